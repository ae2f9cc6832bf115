/** What a `Consumer` tells: the types of its events and of its snapshot. */
import type { PartitionId } from './dispatch/messages.ts'
import type { ClsConsumerError, ErrorPlace } from './errors.ts'
import type { Phase } from './group/holdings.ts'
import type { DeadLetteredEvent, SkippedEvent } from './last-resort.ts'
import type { Percentiles } from './observe/latency.ts'
import type { StalledEvent } from './stall-watch.ts'
import type { TenurePhase } from './tenure.ts'

export type ConsumerPhase = 'idle' | 'starting' | 'running' | 'stopping' | 'stopped'

export interface AssignedEvent extends PartitionId {
  readonly epoch: number
  readonly startOffset: bigint
  /** Why it starts there. */
  readonly reason: string
}

export interface RepositionedEvent extends PartitionId {
  /** Everything before was settled. */
  readonly fromOffset: bigint | undefined
  readonly toOffset: bigint
  readonly reason: string
}

export interface BatchEvent extends PartitionId {
  readonly startOffset: bigint
  readonly nextOffset: bigint
  readonly logCount: number
  /** Compressed. */
  readonly bodyBytes: number
  /** Decompressed. */
  readonly responseBytes: number
}

export interface RateEvent {
  readonly logsPerSecond: number
  /** Compressed. */
  readonly bodyBytesPerSecond: number
  /** Decompressed. */
  readonly responseBytesPerSecond: number
  /** Held now. */
  readonly heldBytes: number
  /** What may be held. */
  readonly heldBytesMax: number
  readonly partitionCount: number
  /** Since the last event; what each is, `ConsumerSnapshot` says. */
  readonly skippedBatchCount: number
  readonly skippedMessageCount: number
  readonly deadLetterCount: number
  /** From the arrival of a batch to its being settled, over the batches since the last event. */
  readonly latency: Percentiles
}

/** What was tried again: a pull, a response, a batch, its result, or the writing of dead letters. */
export interface RetriedEvent {
  readonly error: ClsConsumerError
  readonly place: ErrorPlace
  /** How many attempts have failed; undefined where they are not counted, as when a pull asks for less. */
  readonly attempt: number | undefined
  /** How many there are in all; undefined where there is no end to them, as of pulls. */
  readonly of: number | undefined
  readonly waitMs: number
}

export type Tries = Pick<RetriedEvent, 'attempt' | 'of'>

/** Events of a `Consumer`, each with its arguments. */
export interface ConsumerEvents {
  joined: [{ readonly group: string; readonly consumer: string }]
  assigned: [AssignedEvent]
  revoked: [PartitionId]
  released: [PartitionId & { readonly committedOffset: bigint | undefined }]
  committed: [PartitionId & { readonly offset: bigint }]
  commitFailed: [{ readonly error: ClsConsumerError; readonly partitionCount: number }]
  retried: [RetriedEvent]
  /** The service refuses one topic; it is tried again, and the others go on. */
  topicRefused: [{ readonly topicId: string; readonly error: ClsConsumerError }]
  /** What was refused works again. */
  topicRestored: [{ readonly topicId: string }]
  /** Somebody deleted the group; it is made again. */
  groupLost: [{ readonly group: string }]
  /** The policy has passed a batch, or messages of it, unprocessed (`onFailure: 'skip'`). */
  skipped: [SkippedEvent]
  /** Letters are on disk. */
  deadLettered: [DeadLetteredEvent]
  /** The policy has stopped a partition, which stays owned: `resume()` tries again. */
  parked: [PartitionId & { readonly offset: bigint; readonly error: ClsConsumerError }]
  paused: [PartitionId]
  /** A partition goes on from another position: a rewind, seek, resume, or where its offset was gone. */
  repositioned: [RepositionedEvent]
  /** A partition has something to do, and has made no progress for `stallMs`. */
  stalled: [StalledEvent]
  leaseLost: [{ readonly partitions: readonly PartitionId[] }]
  partitionDone: [PartitionId & { readonly nextOffset: bigint }]
  batch: [BatchEvent]
  rate: [RateEvent]
  failed: [ClsConsumerError]
  stopped: []
}

export interface PartitionSnapshot extends PartitionId {
  readonly phase: Phase
  /** What becomes of its batches. */
  readonly state: TenurePhase
  readonly epoch: number
  readonly startOffset: bigint | undefined
  /** Everything before is settled. */
  readonly nextOffset: bigint | undefined
  readonly committedOffset: bigint | undefined
}

export interface ConsumerSnapshot {
  readonly phase: ConsumerPhase
  readonly partitions: readonly PartitionSnapshot[]
  readonly batchCount: number
  readonly logCount: number
  /** Compressed bytes processed. */
  readonly bodyBytes: number
  /** Decompressed bytes processed. */
  readonly responseBytes: number
  /** Batches that `onFailure: 'skip'` has passed whole. */
  readonly skippedBatchCount: number
  /** Messages that it has passed: those of such batches, as far as their number is known, and single ones. */
  readonly skippedMessageCount: number
  /** Dead letters written. */
  readonly deadLetterCount: number
  /** How often a partition has moved to another thread. */
  readonly moveCount: number
  /** Held now. */
  readonly heldBytes: number
  /** What may be held: all backpressure follows from the two. */
  readonly heldBytesMax: number
}
