/**
 * From the bytes of a response to log groups.
 *
 * In: a batch task with its compressed body. Out: the next offset, the log groups that decode, and a note on each
 * message that does not. Must never happen: one bad message that costs the others of its response, or messages without
 * a way forward that reach a processor.
 */
import { decompress } from '../src/cls/compression.ts'
import { decodeLogGroup, decodeMessageHeader, type LogGroup, MESSAGE_HEADER_BYTES } from '../src/cls/log-group.ts'
import type { BatchTask, PoisonMessage } from '../src/dispatch/messages.ts'
import { ClsConsumerError, type ErrorPlace } from '../src/errors.ts'
import { type PullResponse, readResponse } from './response.ts'
import { describeThrown } from './user-failure.ts'

export interface OpenedResponse extends PullResponse {
  /** Decompressed. */
  readonly responseBytes: number
}

export interface DecodedMessages {
  readonly groups: readonly LogGroup[]
  readonly logCount: number
  readonly poison: readonly PoisonMessage[]
}

/** @throws ClsConsumerError BODY_TOO_LARGE, BODY_CORRUPT, API_…, NEXT_OFFSET_STUCK */
export function openResponse(task: BatchTask, responseBytesMax: number): OpenedResponse {
  const place = placeOf(task)
  const body = new Uint8Array(task.body, 0, task.byteCount)
  const plain = decompress(body, task.compression, responseBytesMax, place)
  const response = readResponse(plain, place)
  assertMoves(response, task, place)
  return { ...response, responseBytes: plain.length }
}

/**
 * Messages with an offset that does not advance would be processed again with the next pull, and again. -1 passes at the
 * end of a bounded pull, where it is the regular last answer; elsewhere it leads nowhere.
 */
function assertMoves({ nextOffset, messages }: PullResponse, task: BatchTask, place: ErrorPlace): void {
  if (messages.length === 0) return
  if (nextOffset !== undefined && nextOffset > 0n && nextOffset > task.startOffset) return
  if (nextOffset === -1n && task.endOffset !== undefined) return
  throw new ClsConsumerError(
    'NEXT_OFFSET_STUCK',
    `a response with ${messages.length} messages has ${nextOffset === undefined ? 'no next offset' : `the next offset ${nextOffset}`}`,
    place
  )
}

/**
 * What of a response lies before the end of a bounded run.
 *
 * Messages have no offset of their own. Only where the offsets from start to next are as many as the messages is it
 * sure that message i has offset start + i: then the rest is cut, and the next offset is the end itself. Where there
 * are gaps, any message might be the one before the end, so all are processed: a log past the end does no harm, a lost
 * one does.
 */
export function cutAtEnd(
  { nextOffset, messages }: PullResponse,
  startOffset: bigint,
  endOffset: bigint | undefined
): PullResponse {
  const dense = nextOffset !== undefined && nextOffset - startOffset === BigInt(messages.length)
  if (endOffset === undefined || !dense || nextOffset <= endOffset) return { nextOffset, messages }
  const keptCount = endOffset > startOffset ? endOffset - startOffset : 0n
  return { nextOffset: startOffset + keptCount, messages: messages.slice(0, Number(keptCount)) }
}

/** Each by itself: base64, header, protobuf. */
export function decodeMessages(messages: PullResponse['messages']): DecodedMessages {
  const groups: LogGroup[] = []
  const poison: PoisonMessage[] = []
  let logCount = 0
  for (const [messageIndex, message] of messages.entries()) {
    const decoded = decodeMessage(message)
    if ('reason' in decoded) poison.push({ messageIndex, ...decoded })
    else {
      groups.push(decoded)
      logCount += decoded.logs.length
    }
  }
  return { groups, logCount, poison }
}

export function placeOf(task: BatchTask): ErrorPlace {
  return { topicId: task.topicId, partition: task.partition, offset: task.startOffset }
}

type Reason = Omit<PoisonMessage, 'messageIndex'>

function decodeMessage(message: unknown): LogGroup | Reason {
  if (typeof message !== 'string') return { bytePosition: undefined, reason: 'the message is not a text' }
  const bytes = decodeBase64(message)
  if (bytes === undefined) return { bytePosition: undefined, reason: 'the message is not base64' }
  let layerAt = 0
  try {
    const { payloadBytes } = decodeMessageHeader(bytes)
    layerAt = MESSAGE_HEADER_BYTES
    return decodeLogGroup(bytes.subarray(layerAt, layerAt + payloadBytes))
  } catch (error) {
    return reasonOf(error, layerAt)
  }
}

/** The codec counts bytes from where its own layer begins. */
function reasonOf(error: unknown, layerAt: number): Reason {
  if (!(error instanceof ClsConsumerError)) return { reason: describeThrown(error).message, bytePosition: undefined }
  const { bytePosition } = error.place
  return { reason: error.what, bytePosition: bytePosition === undefined ? undefined : layerAt + bytePosition }
}

/**
 * Strict where `Buffer.from` is not: that skips what is no base64, takes `-` and `_`, and uses the low eight bits of
 * other characters. Skipping shows in the length. Much faster than a regular expression over megabytes.
 */
function decodeBase64(text: string): Buffer | undefined {
  const ascii = Buffer.byteLength(text, 'utf8') === text.length
  if (!ascii || text.includes('-') || text.includes('_')) return undefined
  const padCount = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = Buffer.from(text, 'base64')
  // A length that is no multiple of four leaves a fraction, which equals no length.
  return bytes.length === (text.length / 4) * 3 - padCount ? bytes : undefined
}
