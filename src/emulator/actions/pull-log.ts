/**
 * pull_log: messages of one partition from an offset on, as many as `Size` allows, in one compressed body.
 *
 * `Size` counts bytes of messages as stored (header and payload, before base64 and compression); one message comes in
 * any case. `StartTime` and `EndTime` are Unix seconds by the moment of receipt, the end exclusive; 0 is no limit. At
 * the end of a bounded pull nothing is left that could come: the next offset is then -1. A start offset of -1 is the
 * begin; the end itself is a valid start, with nothing to read yet.
 *
 * Deliberately not done: `Query` (every message comes, filtered or not), and limits of rate.
 */
import { compress } from '../../cls/compression.ts'
import { isRecord, type Json, parseJson } from '../../cls/json.ts'
import type { StoredMessage, Window } from '../partition-log.ts'
import type { DataAction, WireAnswer } from '../plane.ts'
import { DATA_CODES, FieldReader, Refusal } from '../refusal.ts'
import type { EmulatorState } from '../state.ts'
import type { Partition, Topic } from '../topic.ts'
import { dataTopic } from './upload-logs.ts'

const COMPRESSIONS = ['snappy', 'lz4', 'none'] as const
type PullCompression = (typeof COMPRESSIONS)[number]

const MIB = 1024 * 1024
const SIZE_DEFAULT_BYTES = 2 * MIB
const SIZE_MAX_BYTES = 10 * MIB

export const pullLog: DataAction = (request, state, nowMs) => {
  const topic = dataTopic(request.topicId, state)
  const fields = new FieldReader(parseFields(request.body), DATA_CODES)
  const partition = topic.partitions[fields.integer('PartitionId')]
  if (partition === undefined) throw fields.invalid('PartitionId', `a partition of topic ${topic.id}`)
  partition.log.retire(nowMs)
  const window = readWindow(fields, partition, topic)
  const { messages, followedBy } = partition.log.read(window)

  const isLast = followedBy === 'past-end' || (followedBy === 'nothing' && window.endMs <= nowMs)
  const endsHere = isLast && (messages.length === 0 || state.settings.quirks.boundedEnd === 'with-messages')
  const last = messages.at(-1)
  const nextOffset = endsHere ? -1n : last === undefined ? window.fromOffset : last.offset + 1n
  return answer(
    { topic, partition, messages, nextOffset, compression: readCompression(fields) },
    request.requestId,
    state
  )
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

function readWindow(fields: FieldReader, { id, log }: Partition, topic: Topic): Window {
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
    sizeBytes: size > 0 ? Math.min(size, SIZE_MAX_BYTES) : SIZE_DEFAULT_BYTES
  }
}

function readCompression(fields: FieldReader): PullCompression {
  const name = fields.optionalText('CompressType') ?? ''
  const compression = COMPRESSIONS.find(known => known === (name === '' ? 'none' : name))
  if (compression === undefined) throw fields.invalid('CompressType', COMPRESSIONS.join(', '))
  return compression
}

interface Batch {
  readonly topic: Topic
  readonly partition: Partition
  readonly messages: readonly StoredMessage[]
  readonly nextOffset: bigint
  readonly compression: PullCompression
}

/** A range of offsets holds the same messages for ever, so that first, next and count fix the body. */
function answer(batch: Batch, requestId: string, state: EmulatorState): WireAnswer {
  const { topic, partition, messages, nextOffset, compression } = batch
  const make = (): Uint8Array => compress(printBody(messages, nextOffset, requestId), compression)
  const first = messages[0]?.offset
  // Nothing to keep of an empty body: it is made faster than found, and would crowd out others.
  const key = `${topic.id}#${partition.id}:${first}:${messages.length}:${nextOffset}:${compression}`
  const body = first === undefined ? make() : state.bodies.get(key, make)
  const headers: Record<string, string> =
    compression === 'none'
      ? { 'content-type': 'application/json' }
      : { 'content-type': 'application/octet-stream', 'x-cls-compress-type': compression }
  return { status: 200, headers, body }
}

/** Written by hand: base64 needs no escaping, and `NextOffset` has to come first. */
function printBody(messages: readonly StoredMessage[], nextOffset: bigint, requestId: string): Buffer {
  const texts = messages.map(({ bytes }) => `"${toBase64(bytes)}"`)
  const response = `{"NextOffset":${nextOffset},"Message":[${texts.join(',')}],"RequestId":${JSON.stringify(requestId)}}`
  return Buffer.from(`{"Response":${response}}`)
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
