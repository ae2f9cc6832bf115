/**
 * What a processor is: the types that a user's module is written against.
 *
 * In: nothing. Out: the public types of processors, and `defineProcessor`, which only gives a module its types. A
 * processor needs nothing of this package at run time: a plain object or function with this shape will do.
 */
import type { LogMessage, PartitionId } from '../src/dispatch/messages.ts'
import type { LogBatch } from './batch-view.ts'

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

/** What `assign` and `revoke` get. */
export interface PartitionContext<Options = unknown> extends ThreadContext<Options> {
  readonly topicId: string
  readonly partition: number
}

/** What `process` gets. */
export interface ProcessorContext<Options = unknown> extends PartitionContext<Options> {
  /** 1 for the first try of these logs on this assignment, 2 for the first repeat. */
  readonly attempt: number
  /** Aborted when the partition is lost or a deadline passes; pass it on to what you await. */
  readonly signal: AbortSignal
}

/**
 * A processor. One object serves one thread, for all partitions of the thread: batches of one partition come one at a
 * time and in order, those of different partitions may be open at the same time where `process` is async. Consumers that
 * share threads share a module's object too; of a class each gets its own.
 */
export interface Processor {
  /** Once per thread, before anything else: open connections. To throw stops the consumer. */
  start?(context: ThreadContext): unknown
  /** A partition comes to this thread. */
  assign?(partition: PartitionId, context: PartitionContext): unknown
  /**
   * Processes one batch; await everything you start. What it returns (structured-cloneable) is delivered to the
   * consumer's `onResult`, in order per partition. To throw stops the consumer in order, and the batch stays uncommitted.
   */
  process(batch: LogBatch, context: ProcessorContext): unknown
  /** The partition leaves this thread: flush what is kept for it. Does not run on a thread that died. */
  revoke?(partition: PartitionId, context: PartitionContext): unknown
  /** The last call on this thread. Does not run on a thread that died. */
  stop?(context: ThreadContext): unknown
}

/** A processor with only `process`. */
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
