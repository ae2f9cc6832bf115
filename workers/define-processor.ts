/**
 * What a processor is: the types that a user's module is written against.
 *
 * In: nothing. Out: the public types of processors, and `defineProcessor`, which only gives a module its types. A
 * processor needs nothing of this package at run time: a plain object or function with this shape will do.
 */
import type { FailurePolicy, LogMessage, PartitionId } from '../src/dispatch/messages.ts'
import type { Log, LogBatch, LogGroup } from './batch-view.ts'

/** Fields of a log line. Other values than these are written as text. */
export type ProcessorLogFields = LogMessage['fields']

/** Writes lines to the consumer's own log, in the order of the calls. */
export interface ProcessorLog {
  debug(message: string, fields?: ProcessorLogFields): void
  info(message: string, fields?: ProcessorLogFields): void
  warn(message: string, fields?: ProcessorLogFields): void
  error(message: string, fields?: ProcessorLogFields): void
}

/** What `start` and `stop` get: the thread's own. */
export interface ThreadContext<Options = unknown> {
  /** The consumer's `processorOptions`, a copy per thread. */
  readonly options: Options
  readonly log: ProcessorLog
}

/** What `assign` gets. */
export interface PartitionContext<Options = unknown> extends ThreadContext<Options> {
  readonly topicId: string
  readonly partition: number
}

/** What `revoke` gets. Its method throws CONSUMER_STATE once `revoke` has settled. */
export interface RevokeContext<Options = unknown> extends PartitionContext<Options> {
  /**
   * Marks that everything processed of this partition is safe, so that it may be committed. Counts when `revoke` has
   * returned; where it throws, the last save before it stays.
   * @throws ClsConsumerError CONSUMER_STATE, unless the option `commitMode` is `manual`.
   */
  save(): void
}

/** What `process` gets. `save` and `rewind` throw CONSUMER_STATE once `process` has settled. */
export interface ProcessorContext<Options = unknown> extends PartitionContext<Options> {
  /** 1 for the first try of these logs on this assignment, 2 for the first repeat. */
  readonly attempt: number
  /** Aborted when the partition is lost or a deadline passes; pass it on to what you await. */
  readonly signal: AbortSignal
  /**
   * Marks that everything of this partition up to the end of this batch is safe, so that it may be committed. Counts when
   * the batch settles, not with the call: a save of an attempt that fails, or rewinds, never was.
   * @throws ClsConsumerError CONSUMER_STATE, unless the option `commitMode` is `manual`.
   */
  save(): void
  /**
   * Has the partition read again from this offset, back or ahead, once `process` has returned. Of this batch nothing
   * counts then: its result is not delivered, its letters are not written, its save is none. The last call wins.
   * @throws TypeError for what is no offset: a bigint, or a safe integer, of 0 or more.
   */
  rewind(offset: bigint | number): void
  /**
   * Sets one log aside, or a group with all its logs: it is written to the dead letters before the offset passes, a log
   * with all that is said of its group. Counts when `process` has returned. Of what is given twice the first reason stays;
   * of a reason the first 4096 characters.
   * @throws TypeError for what is no log or group of this batch, or an empty reason.
   * @throws ClsConsumerError DEAD_LETTER_DIRECTORY without the option `deadLetterDirectory`; DEAD_LETTER_TOO_LARGE past
   * 256 MiB of letters of one batch; BATCH_CLOSED once `process` has settled.
   */
  deadLetter(logOrGroup: Log | LogGroup, reason: string): void
}

/**
 * A processor. One object serves one thread, for all partitions of the thread: batches of one partition come one at a
 * time and in order, those of different partitions may be open at the same time where `process` is async. Consumers that
 * share threads share a module's object too; of a class each gets its own.
 */
export interface Processor {
  /**
   * What becomes of a batch after its last attempt, and of a message that cannot be decoded; goes before the consumer's
   * option of this name. Read when `start` has returned. In a TypeScript class: `readonly onFailure = 'skip'`.
   */
  readonly onFailure?: FailurePolicy
  /** Once per thread, before anything else: open connections. To throw stops the consumer. */
  start?(context: ThreadContext): unknown
  /** A partition comes to this thread. */
  assign?(partition: PartitionId, context: PartitionContext): unknown
  /**
   * Processes one batch; await everything you start. What it returns (structured-cloneable) is delivered to the
   * consumer's `onResult`, in order per partition. To throw fails this attempt: the batch is tried again, after a while,
   * and `onFailure` decides after the last attempt. Until then nothing of it is committed.
   */
  process(batch: LogBatch, context: ProcessorContext): unknown
  /** The partition leaves this thread: flush what is kept for it. Does not run on a thread that died. */
  revoke?(partition: PartitionId, context: RevokeContext): unknown
  /** The last call on this thread. Does not run on a thread that died. */
  stop?(context: ThreadContext): unknown
}

/** A processor with only `process`; it may have a property `onFailure`. */
export type ProcessFunction = Processor['process']

/** A class of processors: constructed once per thread and consumer, with the consumer's `processorOptions`. */
export type ProcessorClass = new (options: never) => Processor

/**
 * Gives a processor its types; returns it as it is: an object, a function or a class.
 *
 * Options can be typed where they are used: `process (batch, context: ProcessorContext<{ key: string }>) {…}`. They
 * come from the user of the processor, so check them in `start`.
 */
export function defineProcessor<P extends Processor | ProcessFunction | ProcessorClass>(processor: P): P {
  return processor
}
