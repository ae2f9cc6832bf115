/**
 * pull_log: messages of one partition from an offset on, as many as `Size` allows, in one compressed body.
 *
 * `Size` counts bytes of messages as stored (header and payload, before base64 and compression), or messages
 * (`quirks.size`); one message comes in any case. `StartTime` and `EndTime` are Unix seconds by the moment of receipt, the end exclusive; 0 is no limit. At
 * the end of a bounded pull nothing is left that could come: the next offset is then -1. A start offset of -1 is the
 * begin; the end itself is a valid start, with nothing to read yet (`quirks.nothingNew`: and what the next offset then is).
 *
 * Deliberately not done: `Query` (every message comes, filtered or not), and the limit of 5 MB/s.
 */
import { isRecord, type Json, parseJson } from '../../cls/json.ts'
import type { Compression } from '../../world.ts'
import type { StoredMessage, Window } from '../partition-log.ts'
import type { DataAction, DataRequest, WireAnswer } from '../plane.ts'
import { packPullBody } from '../pull-body.ts'
import type { Quirks } from '../quirks.ts'
import { DATA_CODES, FieldReader, Refusal } from '../refusal.ts'
import type { EmulatorState } from '../state.ts'
import type { Partition, Topic } from '../topic.ts'
import { dataTopic } from './upload-logs.ts'

const COMPRESSIONS = ['snappy', 'lz4', 'none'] as const

const MIB = 1024 * 1024
const SIZE_DEFAULT_BYTES = 2 * MIB
const SIZE_MAX_BYTES = 10 * MIB
const SIZE_MAX_GROUPS = 10_000
/** Where `Size` counts log groups, this keeps a response within what this process can hold. */
const GROUP_BYTES_MAX = 128 * MIB
const PULLS_PER_SECOND_MAX = 200

export const pullLog: DataAction = (request, state, nowMs) => {
  const topic = dataTopic(request.topicId, state)
  const fields = new FieldReader(parseFields(request.body), DATA_CODES)
  const partition = topic.partitions[fields.integer('PartitionId')]
  if (partition === undefined) throw fields.invalid('PartitionId', `a partition of topic ${topic.id}`)
  requireRate(topic, partition, state, nowMs)
  partition.log.retire(nowMs)
  const { quirks } = state.settings
  const window = readWindow(fields, partition, topic, quirks)
  const { messages, followedBy } = partition.log.read(window)

  const isLast = followedBy === 'past-end' || (followedBy === 'nothing' && window.endMs <= nowMs)
  const endsHere = isLast && (messages.length === 0 || quirks.boundedEnd === 'with-messages')
  const nextOffset = endsHere ? -1n : nextOffsetOf(messages, window, quirks)
  const asked = readCompression(fields)
  const compression = quirks.compression === 'asked' ? asked : quirks.compression
  return answer({ topic, partition, messages, fromOffset: window.fromOffset, nextOffset, compression }, request, state)
}

function requireRate(topic: Topic, { id }: Partition, { settings, rates }: EmulatorState, nowMs: number): void {
  if (settings.rateLimits === 'none' || rates.allows(`pull_log ${topic.id}#${id}`, PULLS_PER_SECOND_MAX, nowMs)) return
  const message = `more than ${PULLS_PER_SECOND_MAX} pulls of partition ${id} of topic ${topic.id} in a second`
  throw new Refusal('SpeedQuotaExceed', message, 429)
}

/** `undefined` where the answer shall have none. */
function nextOffsetOf(
  messages: readonly StoredMessage[],
  { fromOffset, endMs }: Window,
  { nothingNew }: Quirks
): bigint | undefined {
  const last = messages.at(-1)
  if (last !== undefined) return last.offset + 1n
  if (nothingNew === 'same' || endMs !== Number.POSITIVE_INFINITY) return fromOffset
  return { 'minus-one': -1n, zero: 0n, absent: undefined }[nothingNew]
}

function parseFields(body: Uint8Array): { readonly [name: string]: Json } {
  try {
    const fields = parseJson(Buffer.from(body).toString())
    if (isRecord(fields)) return fields
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new Refusal('InvalidParam', 'the body is not a JSON object')
}

function readWindow(fields: FieldReader, { id, log }: Partition, topic: Topic, quirks: Quirks): Window {
  const asked = fields.int64('StartOffset')
  const fromOffset = asked === -1n ? log.begin : asked
  if (fromOffset < log.begin || fromOffset > log.end) {
    const range = `${log.begin} to ${log.end}, what partition ${id} of topic ${topic.id} holds`
    throw new Refusal('InvalidParameter.InvalidOffset', `the offset ${asked} is not within ${range}`)
  }
  const endSeconds = fields.optionalInteger('EndTime') ?? 0
  const size = fields.optionalInteger('Size') ?? 0
  return {
    fromOffset,
    startMs: (fields.optionalInteger('StartTime') ?? 0) * 1000,
    endMs: endSeconds > 0 ? endSeconds * 1000 : Number.POSITIVE_INFINITY,
    ...readSize(size, quirks)
  }
}

function readSize(size: number, quirks: Quirks): Pick<Window, 'sizeBytes' | 'messageCountMax'> {
  if (quirks.size === 'log-groups') {
    const messageCountMax = size > 0 ? Math.min(size, SIZE_MAX_GROUPS) : SIZE_MAX_GROUPS
    return { sizeBytes: GROUP_BYTES_MAX, messageCountMax }
  }
  const sizeBytes = size > 0 ? Math.min(size, SIZE_MAX_BYTES) : SIZE_DEFAULT_BYTES
  return { sizeBytes, messageCountMax: Number.POSITIVE_INFINITY }
}

function readCompression(fields: FieldReader): Compression {
  const name = fields.optionalText('CompressType') ?? ''
  const compression = COMPRESSIONS.find(known => known === (name === '' ? 'none' : name))
  if (compression === undefined) throw fields.invalid('CompressType', COMPRESSIONS.join(', '))
  return compression
}

interface Batch {
  readonly topic: Topic
  readonly partition: Partition
  readonly messages: readonly StoredMessage[]
  readonly fromOffset: bigint
  readonly nextOffset: bigint | undefined
  readonly compression: Compression
}

/** A range of offsets holds the same messages for ever: under the same quirks, first, next and count fix the body. */
function answer(batch: Batch, { requestId, flaw }: DataRequest, state: EmulatorState): WireAnswer {
  const { topic, partition, messages, fromOffset, nextOffset, compression } = batch
  const { quirks } = state.settings
  const make = (): Uint8Array => {
    const content = { messages: messages.map(({ bytes }) => bytes), fromOffset, nextOffset, requestId }
    return packPullBody(content, { quirks, compression, flaw })
  }
  const first = messages[0]?.offset
  // Nothing to keep of an empty body: it is made faster than found, and would crowd out others. Nor of a flawed one.
  const key = `${topic.id}#${partition.id}:${first}:${messages.length}:${nextOffset}:${compression}`
  const body = first === undefined || flaw !== undefined ? make() : state.bodies.get(key, make)
  return { status: 200, headers: pullHeaders(compression, quirks), body }
}

export function pullHeaders(compression: Compression, { compressionHeader }: Quirks): Record<string, string> {
  if (compression === 'none') return { 'content-type': 'application/json' }
  const named = compressionHeader === 'named' ? { 'x-cls-compress-type': compression } : {}
  return { 'content-type': 'application/octet-stream', ...named }
}
