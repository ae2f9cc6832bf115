/**
 * The value that travels: one pulled response of one partition in one epoch, from the pull chain to the commit.
 *
 * A batch never changes. What is learned about it on the way (its confirmed next offset, its outcome) stands with the
 * stage that learned it.
 */
import type { PartitionId } from './dispatch/messages.ts'
import type { PulledBody } from './world.ts'

/** One tenure of one partition: a new number with each assignment, rewind, seek and resume. */
export interface Epoch extends PartitionId {
  readonly epoch: number
}

export interface Batch extends Epoch {
  /** Unique in the process, growing in the order of dispatch. */
  readonly batchId: number
  readonly startOffset: bigint
  /** The end of a bounded run. */
  readonly endOffset: bigint | undefined
  /** What the front of the body says comes next. Provisional: the worker confirms it. */
  readonly peekedOffset: bigint | undefined
  readonly body: PulledBody
  /** What the batch needs while it is open, decompressed and decoded, in bytes: an upper estimate. */
  readonly decodedBytes: number
}

/** What a response says of its way forward. */
export interface Outline {
  readonly nextOffset: bigint | undefined
  readonly messageCount: number
}

/**
 * What of a response its batch has: what lies before the end of a bounded run. The same is cut on the batch's thread.
 *
 * Messages have no offset of their own. Only where the offsets from start to next are as many as the messages is it sure
 * which of them lie behind the end; where there are gaps, any message might be the last one before it, so all count.
 */
export function cutAtEnd(
  { startOffset, endOffset }: Pick<Batch, 'startOffset' | 'endOffset'>,
  { nextOffset, messageCount }: Outline
): Outline {
  const isDense = nextOffset !== undefined && nextOffset - startOffset === BigInt(messageCount)
  if (endOffset === undefined || !isDense || nextOffset <= endOffset) return { nextOffset, messageCount }
  const keptCount = endOffset > startOffset ? endOffset - startOffset : 0n
  return { nextOffset: startOffset + keptCount, messageCount: Number(keptCount) }
}

/** The key of a partition in maps. */
export function keyOf(id: PartitionId): string {
  return `${id.topicId}/${id.partition}`
}

/** Compares two partitions for a stable order in lists and tables. */
export function byPartition(a: PartitionId, b: PartitionId): number {
  return a.topicId === b.topicId ? a.partition - b.partition : a.topicId < b.topicId ? -1 : 1
}
