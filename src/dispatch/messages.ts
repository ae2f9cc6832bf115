/**
 * The thread boundary as a protocol: every message between the main thread and a worker thread, as tagged unions.
 *
 * Main → worker: tasks (answered once, through Piscina) and port messages (not answered). Worker → main: answers and
 * port messages. Everything here is structured-cloneable; errors cross as `Failure`, offsets as bigint.
 *
 * A thread may serve several consumers of the process. What belongs to one of them carries its number in the pool, its
 * `client`: batch ids are unique within a consumer only. A dispatcher knows nothing of that; the pool adds it.
 */
import type { MessagePort } from 'node:worker_threads'
import type { Failure } from '../errors.ts'
import type { Compression, LogFields } from '../world.ts'

/** The user's processor: where its module is and what it is given. */
export interface ProcessorSource {
  /** Absolute path of the module. */
  readonly file: string
  /** `processorOptions`, structured-cloneable, as the user gave them. */
  readonly options: unknown
}

export interface PartitionId {
  readonly topicId: string
  readonly partition: number
}

/**
 * What becomes of a batch after its last attempt, and of a message that cannot be decoded:
 * - stop: the consumer stops in order, and the offset stays before the batch.
 * - dead-letter: it is written to the dead letters, and the partition goes on behind it.
 * - skip: the partition goes on behind it. Counted, and told at warn with its offsets.
 * - park: the partition stops and stays owned; the others go on.
 */
export const FAILURE_POLICIES = ['stop', 'dead-letter', 'skip', 'park'] as const
export type FailurePolicy = (typeof FAILURE_POLICIES)[number]

/** auto: what is processed is committed. manual: what the processor has saved. */
export const COMMIT_MODES = ['auto', 'manual'] as const
export type CommitMode = (typeof COMMIT_MODES)[number]

/** Limits that a thread keeps by itself. */
export interface ThreadLimits {
  /** Decompressed bytes of one response. */
  readonly responseBytesMax: number
  /** Bytes of decoded memory that may wait for the next batches, besides those that open ones need. */
  readonly keptBytesMax: number
}

/** First task of a thread: its number and its own port. The pool sends it, nobody else. */
export interface HelloTask {
  readonly kind: 'hello'
  readonly thread: number
  readonly port: MessagePort
}

/** Loads the processor module and runs its `start`. */
export interface StartTask {
  readonly kind: 'start'
  readonly processor: ProcessorSource
  readonly limits: ThreadLimits
  readonly commitMode: CommitMode
  /** Whether there is a directory for dead letters. */
  readonly deadLetters: 'written' | 'off'
  /**
   * One Float64: the lease's end on the process-wide monotonic clock, ms. Written by the main thread with each
   * acknowledged heartbeat, read by threads right before `process` (I12: the process may have been stopped between).
   */
  readonly leaseEndMs: SharedArrayBuffer
}

/** A partition comes to this thread: runs `assign`. */
export interface AssignTask extends PartitionId {
  readonly kind: 'assign'
  readonly epoch: number
}

/** Decompress, decode, process. */
export interface BatchTask extends PartitionId {
  readonly kind: 'batch'
  readonly batchId: number
  readonly epoch: number
  readonly startOffset: bigint
  /** The end of a bounded run, where there is one: messages known to lie at or past it are not processed. */
  readonly endOffset: bigint | undefined
  readonly body: SharedArrayBuffer
  readonly byteCount: number
  readonly compression: Compression
  /** 1 for the first try. */
  readonly attempt: number
}

/** The partition leaves this thread: runs `revoke`. */
export interface RevokeTask extends PartitionId {
  readonly kind: 'revoke'
  readonly epoch: number
}

/** Runs the processor's `stop`. */
export interface StopTask {
  readonly kind: 'stop'
}

/** Finds the next offset of a response, for nobody's partition: runs on the scout's own thread. */
export interface ScoutTask {
  readonly kind: 'scout'
  readonly body: SharedArrayBuffer
  readonly byteCount: number
  readonly compression: Compression
  /** Decompressed bytes of one response. */
  readonly responseBytesMax: number
}

/** Takes a response apart for the dead letters; on the scout's thread. Answered by `harvested` or `failed`. */
export interface HarvestTask {
  readonly kind: 'harvest'
  readonly body: SharedArrayBuffer
  readonly byteCount: number
  readonly compression: Compression
  /** Decompressed bytes of one response. */
  readonly responseBytesMax: number
}

/** Whose it is: the number of a consumer in its pool, never used twice. */
export interface OfClient {
  readonly client: number
}

/** What a dispatcher gives its threads to do. */
export type ThreadTask = StartTask | AssignTask | BatchTask | RevokeTask | StopTask
export type ClientTask = ThreadTask & OfClient
export type PoolTask = ClientTask | ScoutTask | HarvestTask
export type AnyTask = HelloTask | PoolTask

/** `start`, `assign`, `revoke` and `stop` answer this, or `failed`. */
export interface DoneAnswer {
  readonly kind: 'done'
}

/** A message of the response that could not be decoded. The others of the response were processed. */
export interface PoisonMessage {
  /** Its place in the response's `Message` array. */
  readonly messageIndex: number
  /** Byte position within the decoded message, where known. */
  readonly bytePosition: number | undefined
  readonly reason: string
  /** The message as it stands in the response: JSON, a text of base64 as a rule. */
  readonly raw: Uint8Array
}

/** A log or group that the processor gave to `context.deadLetter`. Counts with its batch, or not at all. */
export type ThreadLetter = LogLetter | GroupLetter

export interface LogLetter {
  readonly kind: 'log'
  readonly messageIndex: number
  readonly logIndex: number
  readonly reason: string
  /** A `LogGroup` from which the other logs are cut out. */
  readonly raw: Uint8Array
}

export interface GroupLetter {
  readonly kind: 'group'
  readonly messageIndex: number
  readonly reason: string
  /** The whole `LogGroup`. */
  readonly raw: Uint8Array
}

export interface ProcessedAnswer {
  readonly kind: 'processed'
  /**
   * The response's `NextOffset` as decoded: greater than the start, or -1 at the end of a bounded pull, or
   * `undefined` where the response had none. The main thread decides what it means.
   */
  readonly nextOffset: bigint | undefined
  readonly messageCount: number
  readonly logCount: number
  /** Decompressed bytes of the response. */
  readonly responseBytes: number
  readonly poison: readonly PoisonMessage[]
  readonly letters: readonly ThreadLetter[]
  /** `context.save()` was called: everything up to the end of this batch is saved, once it settles. */
  readonly isSaved: boolean
  /** What `process` returned. */
  readonly result: unknown
  readonly decodeMs: number
  readonly processMs: number
}

/** The processor wants the partition read again from there: nothing else of the batch counts. */
export interface RewoundAnswer {
  readonly kind: 'rewound'
  readonly offset: bigint
}

/** The task did not succeed; nothing of it counts. `stage` says whose fault it is. */
export interface FailedAnswer {
  readonly kind: 'failed'
  readonly stage: 'decode' | 'process' | 'lifecycle'
  readonly failure: Failure
}

/** The batch was not started: its epoch was aborted, or the lease had ended when its turn came. */
export interface NotStartedAnswer {
  readonly kind: 'not-started'
  readonly reason: 'aborted' | 'lease-ended'
}

export type BatchAnswer = ProcessedAnswer | RewoundAnswer | FailedAnswer | NotStartedAnswer

/** `undefined`: the response has none, or cannot be read. */
export interface ScoutedAnswer {
  readonly kind: 'scouted'
  readonly nextOffset: bigint | undefined
}

/** Every message as it stands in the response: JSON, a text of base64 as a rule. */
export interface HarvestedAnswer {
  readonly kind: 'harvested'
  readonly nextOffset: bigint | undefined
  readonly messages: readonly Uint8Array[]
}

export type ThreadAnswer = DoneAnswer | BatchAnswer
export type AnyAnswer = ThreadAnswer | ScoutedAnswer | HarvestedAnswer

/** Aborts `context.signal` of one attempt at a batch; where that has not started yet, it will not. */
export interface AbortMessage {
  readonly kind: 'abort'
  readonly batchId: number
  /** The message may come when this one has ended and the next one has begun, which it does not concern. */
  readonly attempt: number
  readonly reason: string
}

export type ToThread = AbortMessage
export type ToClient = ToThread & OfClient

/** The response's `NextOffset`, told as soon as it is decoded and before `process` runs. */
export interface NextOffsetMessage {
  readonly kind: 'next-offset'
  readonly batchId: number
  readonly nextOffset: bigint | undefined
  readonly messageCount: number
}

/** A line of `context.log`. */
export interface LogMessage {
  readonly kind: 'log'
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: LogFields
}

/** The processor's own word on what becomes of failed batches, told before `start` is answered. */
export interface PolicyMessage {
  readonly kind: 'policy'
  readonly onFailure: FailurePolicy
}

/** `context.save()` in `revoke`: everything that was processed is saved. Told before `revoke` is answered. */
export interface SavedMessage extends PartitionId {
  readonly kind: 'saved'
  readonly epoch: number
}

/** User code did what no further attempt mends, outside any task that could answer so: the consumer stops. */
export interface BrokenMessage {
  readonly kind: 'broken'
  readonly failure: Failure
}

export type FromThread = NextOffsetMessage | LogMessage | PolicyMessage | SavedMessage | BrokenMessage
export type FromClient = FromThread & OfClient
