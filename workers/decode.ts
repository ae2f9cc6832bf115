/**
 * From the bytes of a response to the index of its log groups.
 *
 * In: a batch task with its compressed body, and the memory for all that comes of it. Out: the next offset, as soon as it
 * is known; the index of the groups that decode; a note on each message that does not. Must never happen: one bad message
 * that costs the others of its response, or messages without a way forward that reach a processor.
 */
import type { BatchTask, PoisonMessage } from '../src/dispatch/messages.ts'
import { ClsConsumerError, type ErrorPlace } from '../src/errors.ts'
import { decompressInto } from './kernel/decompress.ts'
import { type FoundMessages, findMessages } from './kernel/find-messages.ts'
import { GROUP, type IndexedGroups, indexLogGroup } from './kernel/log-group-index.ts'
import { align, type KernelMemory, type Span } from './kernel/memory.ts'
import { decodeMessageText, HEADER_BYTES, type MessageFault, payloadOf } from './kernel/message.ts'

export interface DecodedResponse extends IndexedGroups {
  /** As the response has it, or the end of a bounded run, where that lies before it. */
  readonly nextOffset: bigint | undefined
  /** Without those cut off behind the end. */
  readonly messageCount: number
  /** Decompressed. */
  readonly responseBytes: number
  readonly poison: readonly PoisonMessage[]
}

/** What a response says of its way forward, before any message is decoded. */
export type Outline = Pick<FoundMessages, 'nextOffset' | 'messageCount'>

/**
 * `onOutline` is told what the response has, before any cut: the main thread compares it with what it peeked.
 * @throws ClsConsumerError BODY_TOO_LARGE, BODY_CORRUPT, API_…, NEXT_OFFSET_STUCK
 */
export function decodeResponse(
  task: BatchTask,
  memory: KernelMemory,
  responseBytesMax: number,
  onOutline: (outline: Outline) => void
): DecodedResponse {
  const plain = decompressTask(task, memory, responseBytesMax, memory.start)
  const found = findMessages(memory, plain, placeOf(task))
  assertMoves(found, task)
  onOutline(found)
  const { nextOffset, messageCount } = cutAtEnd(found, task.startOffset, task.endOffset)
  const { firstGroup, groupCount, logCount, notes, end } = indexMessages(memory, found, messageCount)
  assertFewNotes(notes, task)
  const poison = notes.length === 0 ? [] : withRaw(notes, task, memory, responseBytesMax, align(end))
  const responseBytes = plain.end - plain.start
  // Written out: to spread one object into another takes longer than all else of a tiny response (bench: decode, `tiny`).
  return { memory, firstGroup, groupCount, logCount, nextOffset, messageCount, responseBytes, poison }
}

/** The next offset alone. @throws ClsConsumerError BODY_TOO_LARGE, BODY_CORRUPT, API_… */
export function nextOffsetOf(
  task: Pick<BatchTask, 'body' | 'byteCount' | 'compression'>,
  memory: KernelMemory,
  responseBytesMax: number
): bigint | undefined {
  const body = new Uint8Array(task.body, 0, task.byteCount)
  return findMessages(memory, decompressInto(memory, body, task.compression, responseBytesMax), {}).nextOffset
}

export function placeOf({ topicId, partition, startOffset }: BatchTask): ErrorPlace {
  return { topicId, partition, offset: startOffset }
}

/**
 * What of a response lies before the end of a bounded run.
 *
 * Messages have no offset of their own. Only where the offsets from start to next are as many as the messages is it
 * sure that message i has offset start + i: then the rest is cut, and the next offset is the end itself. Where there
 * are gaps, any message might be the one before the end, so all are processed: a log past the end does no harm, a lost
 * one does. The main thread counts the same, by `cutAtEnd` of src/batch.ts.
 */
export function cutAtEnd(
  { nextOffset, messageCount }: Outline,
  startOffset: bigint,
  endOffset: bigint | undefined
): Outline {
  const dense = nextOffset !== undefined && nextOffset - startOffset === BigInt(messageCount)
  if (endOffset === undefined || !dense || nextOffset <= endOffset) return { nextOffset, messageCount }
  const keptCount = endOffset > startOffset ? endOffset - startOffset : 0n
  return { nextOffset: startOffset + keptCount, messageCount: Number(keptCount) }
}

function decompressTask(task: BatchTask, memory: KernelMemory, responseBytesMax: number, at: number): Span {
  const body = new Uint8Array(task.body, 0, task.byteCount)
  return decompressInto(memory, body, task.compression, responseBytesMax, placeOf(task), at)
}

/**
 * Messages with an offset that does not advance would be processed again with the next pull, and again. -1 passes at the
 * end of a bounded pull, where it is the regular last answer; elsewhere it leads nowhere.
 */
function assertMoves({ nextOffset, messageCount }: Outline, task: BatchTask): void {
  if (messageCount === 0) return
  if (nextOffset !== undefined && nextOffset > 0n && nextOffset > task.startOffset) return
  if (nextOffset === -1n && task.endOffset !== undefined) return
  throw new ClsConsumerError(
    'NEXT_OFFSET_STUCK',
    `a response with ${messageCount} messages has ${nextOffset === undefined ? 'no next offset' : `the next offset ${nextOffset}`}`,
    placeOf(task)
  )
}

type Note = Omit<PoisonMessage, 'raw'>

/** What is told of a bad message takes hundreds of bytes, and one may take three. No honest response has so many. */
const POISON_COUNT_MAX = 65_536

interface IndexedMessages extends Omit<IndexedGroups, 'memory'> {
  /** On those that do not decode; one more than `POISON_COUNT_MAX` at most. */
  readonly notes: readonly Note[]
  /** Behind the last block. */
  readonly end: number
}

/** Each by itself; the blocks of those that decode follow each other, behind the texts. */
function indexMessages(memory: KernelMemory, found: FoundMessages, messageCount: number): IndexedMessages {
  const notes: Note[] = []
  const firstGroup = align(found.end)
  let table = firstGroup
  let logCount = 0
  for (let messageIndex = 0; messageIndex < messageCount && notes.length <= POISON_COUNT_MAX; messageIndex++) {
    const end = indexMessage(memory, found.text(messageIndex), table)
    if (typeof end !== 'number') notes.push({ messageIndex, ...end })
    else {
      const group = table / 4
      memory.words[group + GROUP.messageIndex] = messageIndex
      logCount += memory.words[group + GROUP.logCount] ?? 0
      table = end
    }
  }
  return { firstGroup, groupCount: messageCount - notes.length, logCount, notes, end: table }
}

/** @returns Where the table goes on. */
function indexMessage(memory: KernelMemory, text: Span | undefined, table: number): number | MessageFault {
  if (text === undefined) return { reason: 'the message is not a text', bytePosition: undefined }
  const message = decodeMessageText(memory, text)
  if ('reason' in message) return message
  const payload = payloadOf(memory, message)
  if ('reason' in payload) return payload
  const end = indexLogGroup(memory, payload, table)
  if (typeof end === 'number' || end.bytePosition === undefined) return end
  // The index counts from where the payload begins.
  return { ...end, bytePosition: HEADER_BYTES + end.bytePosition }
}

/** So many are no messages that went bad, but a response that is none. @throws ClsConsumerError BODY_CORRUPT */
function assertFewNotes(notes: readonly Note[], task: BatchTask): void {
  if (notes.length <= POISON_COUNT_MAX) return
  const { messageIndex, reason } = notes[0] ?? {}
  const what = `more than ${POISON_COUNT_MAX} messages of a response cannot be decoded; the first is message ${messageIndex}: ${reason}`
  throw new ClsConsumerError('BODY_CORRUPT', what, placeOf(task))
}

/** Messages are decoded in their own place: for what stood there, the body is opened once more, behind the tables. */
function withRaw(
  notes: readonly Note[],
  task: BatchTask,
  memory: KernelMemory,
  responseBytesMax: number,
  at: number
): PoisonMessage[] {
  const found = findMessages(memory, decompressTask(task, memory, responseBytesMax, at), placeOf(task))
  return notes.map(note => ({ ...note, raw: found.raw(note.messageIndex) }))
}
