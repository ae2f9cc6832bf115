/**
 * structuredlog: stores the log groups of one upload, each as one message, all in one partition.
 *
 * The partition is the one whose range holds `x-cls-hashkey`, else the writable ones take turns, upload by upload. An
 * upload that breaks a limit of the service is refused as a whole. Deliberately not done: the limit of 500 writes/s, index
 * rules, and encodings other than lz4 and none.
 */
import { decompress } from '../../cls/compression.ts'
import { decodeLogGroup, encodeMessage, splitLogGroupList } from '../../cls/log-group.ts'
import { ClsConsumerError } from '../../errors.ts'
import type { DataAction, DataRequest } from '../plane.ts'
import type { Quirks } from '../quirks.ts'
import { Refusal } from '../refusal.ts'
import type { EmulatorState } from '../state.ts'
import type { Topic } from '../topic.ts'

const MIB = 1024 * 1024
const HEADER_ID_BYTES = 36
const UPLOAD_BYTES_MAX = 6 * MIB
const GROUP_COUNT_MAX = 10
const LOG_COUNT_MAX = 10_000
const VALUE_BYTES_MAX = MIB
const GROUP_VALUE_BYTES_MAX = 5 * MIB

export const uploadLogs: DataAction = (request, state, nowMs) => {
  const topic = dataTopic(request.topicId, state)
  const groups = readGroups(request)
  for (const group of groups) checkLimits(group)
  const { log } = topic.route(readHashKey(request.headers))
  for (const payload of groups) log.append(nowMs, receiptMs => message(payload, receiptMs, topic, state))
  return { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.alloc(0) }
}

export function dataTopic(topicId: string, state: EmulatorState): Topic {
  const topic = state.topics.get(topicId)
  if (topic === undefined) throw new Refusal('TopicNotExist', `the topic ${topicId} does not exist`, 404)
  return topic
}

function message(payload: Uint8Array, receiptMs: number, topic: Topic, state: EmulatorState): Uint8Array {
  const { accountUin, logsetId, quirks } = state.settings
  const [logset, topicId] = [logsetId, topic.id].map(id => headerId(id, quirks))
  const timestamp = headerTime(receiptMs, quirks)
  return encodeMessage({ timestamp, accountUin, logsetId: logset ?? '', topicId: topicId ?? '' }, payload)
}

function headerTime(receiptMs: number, { headerTime: unit }: Quirks): bigint {
  switch (unit) {
    case 'milliseconds':
      return BigInt(receiptMs)
    case 'seconds':
      return BigInt(Math.floor(receiptMs / 1000))
    case 'microseconds':
      return BigInt(receiptMs) * 1000n
  }
}

/** The codec fills up, and cuts the end off. */
function headerId(id: string, { headerIds }: Quirks): string {
  return headerIds === 'padded' || Buffer.byteLength(id) === HEADER_ID_BYTES ? id : ''
}

function readGroups({ headers, body }: DataRequest): Uint8Array[] {
  const contentType = headers['content-type'] ?? ''
  if (contentType.split(';')[0]?.trim().toLowerCase() !== 'application/x-protobuf') {
    throw new Refusal('InvalidContentType', 'the content type is not application/x-protobuf')
  }
  if (body.length === 0) throw new Refusal('MissingContent', 'the body is empty')
  const groups = decode(body, readCompression(headers['x-cls-compress-type'] ?? ''))
  if (groups.length === 0) throw new Refusal('InvalidContent', 'the body holds no log group')
  if (groups.length > GROUP_COUNT_MAX) {
    throw new Refusal('InvalidParam', `${groups.length} log groups in one body: ${GROUP_COUNT_MAX} at most`)
  }
  return groups
}

function readCompression(name: string): 'lz4' | 'none' {
  if (name === 'lz4' || name === 'none') return name
  if (name === '') return 'none'
  throw new Refusal('InvalidCompressType', `x-cls-compress-type ${name} is not supported: send lz4, or leave it out`)
}

function decode(body: Uint8Array, compression: 'lz4' | 'none'): Uint8Array[] {
  try {
    return splitLogGroupList(decompress(body, compression, UPLOAD_BYTES_MAX))
  } catch (error) {
    if (!(error instanceof ClsConsumerError)) throw error
    if (error.code === 'BODY_TOO_LARGE') throw tooLarge('the body', UPLOAD_BYTES_MAX)
    throw new Refusal('InvalidContent', `the body cannot be read: ${error.message}`)
  }
}

function checkLimits(payload: Uint8Array): void {
  const { logs } = decodeLogGroup(payload)
  if (logs.length === 0) throw new Refusal('InvalidContent', 'a log group holds no log')
  if (logs.length > LOG_COUNT_MAX) {
    throw new Refusal('InvalidParam', `${logs.length} logs in one log group: ${LOG_COUNT_MAX} at most`)
  }
  // Values are part of the payload: where that is small enough, they are.
  if (payload.length <= VALUE_BYTES_MAX) return
  let valueBytes = 0
  for (const { contents } of logs) {
    for (const { value } of contents) {
      const bytes = Buffer.byteLength(value)
      if (bytes > VALUE_BYTES_MAX) throw tooLarge('a value', VALUE_BYTES_MAX)
      valueBytes += bytes
    }
  }
  if (valueBytes > GROUP_VALUE_BYTES_MAX) throw tooLarge('the values of a log group', GROUP_VALUE_BYTES_MAX)
}

function tooLarge(what: string, bytesMax: number): Refusal {
  return new Refusal('LogSizeExceed', `${what} has more than ${bytesMax} bytes uncompressed`, 413)
}

/** @throws Refusal InvalidParam. */
export function readHashKey(headers: DataRequest['headers']): bigint | undefined {
  const key = headers['x-cls-hashkey']
  if (key === undefined || key === '') return undefined
  if (!/^[0-9a-fA-F]{32}$/.test(key)) throw new Refusal('InvalidParam', 'x-cls-hashkey is not 32 hex digits')
  return BigInt(`0x${key}`)
}
