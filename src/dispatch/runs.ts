/**
 * Batches on their way: each opened when its thread and the memory allow, run, answered or run again.
 *
 * In: queued batches; what threads answer, or that they have ended. Out: `handlers`. Must never happen: a partition's next
 * batch starts before its last one was answered and its answer dealt with (I2); a batch starts that may not (I3, I12); more
 * results that wait to be taken than `resultsMax`.
 *
 * A batch that was not brought to its end is run again from the bytes that are still held here:
 *   `process` threw                          after a wait, and only so often
 *   its thread died by itself, or was        likewise, and alone on its thread; the last time is one that it was alone
 *     terminated for its sake
 *   its thread was terminated for others     at once
 * What is wrong for good (a result that cannot be copied) is not. What became of its last attempt is its answer. One that
 * the pool could not give to a thread has not failed: that is nothing for a policy.
 */
import type { Batch } from '../batch.ts'
import { assert, ClsConsumerError, type ErrorPlace, fromFailure, REMEDIES, toFailure } from '../errors.ts'
import type { Timer, World } from '../world.ts'
import type { Crew, LossHandlers } from './crew.ts'
import { toPoolError } from './hooks.ts'
import type { Lanes, Seat } from './lanes.ts'
import { MemoryLine } from './memory-line.ts'
import type { BatchAnswer, BatchTask, FailedAnswer, RewoundAnswer } from './messages.ts'
import type { OpenBatches } from './open-batches.ts'
import type { ProcessLimit } from './process-limit.ts'
import type { Seating } from './seating.ts'

export interface RunHandlers extends LossHandlers {
  /** Whether the batch may start now: its epoch is current and the lease holds (I3, I12). */
  mayStart(batch: Batch): boolean
  /** Reserves memory for the decoded batch; asked again after the next `close`. */
  tryOpen(decodedBytes: number): boolean
  close(decodedBytes: number): void
  /**
   * Why the batch may not rewind to there: it has failed then. The partition's next batch waits until this resolves; it never
   * rejects.
   */
  rewindFault(batch: Batch, offset: bigint): Promise<ClsConsumerError | undefined>
  /** `attempt`: which one it is the answer to. The partition's next batch waits until this resolves; it never rejects. */
  answered(batch: Batch, answer: BatchAnswer, attempt: number): Promise<void>
  /** Never processed, or not to its end, and will not be: its bytes are free. */
  dropped(batch: Batch): void
  /** The batch has failed, or a thread died with it; it is run again after `waitMs`. */
  /** `attempt`: how many have failed, of those that count. */
  retried(batch: Batch, error: ClsConsumerError, waitMs: number, attempt: number): void
}

/**
 * What a partition's next batch waits for: the processor that has it; the answer to be dealt with (`onResult`, dead letters);
 * its next attempt; its thread to come up; results to be taken; its turn on the lane, or memory.
 */
export type DispatchWait = 'processor' | 'settling' | 'backoff' | 'thread' | 'results' | 'lane'

export interface RunsParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'threads'>
  /** Of the processor, for errors. */
  readonly file: string
  readonly lanes: Lanes
  readonly crew: Crew
  readonly openBatches: OpenBatches
  readonly processLimit: ProcessLimit
  readonly seating: Seating
  /** How many batches may be with threads, or answered with results that are not taken yet. */
  readonly resultsMax: number
  readonly handlers: RunHandlers
}

export class Runs {
  readonly #parts: RunsParts
  readonly #memoryLine = new MemoryLine()
  /** Of batches that wait for their next attempt. */
  readonly #backoffs = new Map<Seat, Timer>()
  /** Batches whose thread has ended with others open there: which of them it ended of, nobody can tell. */
  readonly #endedTogether = new Set<number>()
  /** Since when a thread has their open batch, ms on the monotonic clock. */
  readonly #givenMs = new WeakMap<Seat, number>()
  #openCount = 0

  constructor(parts: RunsParts) {
    this.#parts = parts
  }

  /** Told before the runs of that thread are. */
  exited(thread: number): void {
    const { lanes, openBatches } = this.#parts
    const lost = lanes.seatsOf(thread).flatMap(seat => (openBatches.isWithThread(seat) ? (seat.open ?? []) : []))
    if (lost.length > 1) for (const { batchId } of lost) this.#endedTogether.add(batchId)
  }

  waitOf(seat: Seat): DispatchWait | undefined {
    if (seat.open !== undefined) return this.#parts.openBatches.isWithThread(seat) ? 'processor' : 'settling'
    if (seat.queue.length === 0) return undefined
    if (this.#backoffs.has(seat)) return 'backoff'
    if (!this.#parts.crew.isUp(seat.thread) || seat.phase === 'assigning') return 'thread'
    return this.#openCount >= this.#parts.resultsMax ? 'results' : 'lane'
  }

  /** Since when a thread has the open batch, ms on the monotonic clock. */
  givenMs(seat: Seat): number | undefined {
    return this.#parts.openBatches.isWithThread(seat) ? this.#givenMs.get(seat) : undefined
  }

  /** Takes away what waits; the open batch goes on. */
  dropQueued(seat: Seat): void {
    this.#endBackoff(seat)
    for (const batch of this.#parts.lanes.clear(seat)) this.#parts.handlers.dropped(batch)
  }

  pumpAll(): void {
    for (const thread of new Set([...this.#memoryLine.threads, ...this.#parts.crew.threads])) this.pump(thread)
  }

  /** Opens what the thread may open now. */
  pump(thread: number): void {
    while (this.#parts.crew.isUp(thread) && !this.#parts.seating.awaitsRevoke(thread)) {
      const seat = this.#parts.lanes.next(thread)
      const batch = seat?.queue[0]
      if (seat === undefined || batch === undefined) return
      if (!this.#parts.handlers.mayStart(batch) || !this.#tryOpen(thread, batch)) return
      const run = this.#run(seat, this.#parts.lanes.open(seat))
      this.#parts.openBatches.opened(
        seat,
        run.catch(error => this.#parts.handlers.broken(toPoolError(error)))
      )
    }
  }

  #tryOpen(thread: number, batch: Batch): boolean {
    return this.#memoryLine.take(
      thread,
      other => this.#parts.crew.isUp(other) && this.#parts.lanes.next(other) !== undefined,
      () => this.#openCount < this.#parts.resultsMax && this.#parts.handlers.tryOpen(batch.decodedBytes)
    )
  }

  async #run(seat: Seat, batch: Batch): Promise<void> {
    this.#openCount += 1
    const spent = this.#spent(seat)
    if (spent === undefined) await this.#runOn(seat.thread, seat, batch)
    else {
      this.#parts.handlers.close(batch.decodedBytes)
      await this.#answer(seat, batch, spent, this.#parts.lanes.attempt(seat) - 1)
    }
    this.#openCount -= 1
    this.pumpAll()
  }

  /** In an epoch that has ended it failed as often as it may: it is not tried again, and the policy has its word now. */
  #spent(seat: Seat): FailedAnswer | undefined {
    const trouble = this.#parts.lanes.trouble(seat)
    if (trouble?.last === undefined) return undefined
    return this.#parts.handlers.retryDelayMs(trouble.failureCount) === undefined ? trouble.last : undefined
  }

  async #runOn(thread: number, seat: Seat, batch: Batch): Promise<void> {
    const { world, lanes, openBatches, processLimit, handlers } = this.#parts
    const attempt = lanes.attempt(seat)
    this.#givenMs.set(seat, world.clock.monotonic())
    openBatches.given(batch.batchId, attempt)
    processLimit.given(seat, batch)
    const answer = await this.#process(thread, toTask(batch, attempt))
    openBatches.returned(batch.batchId)
    const late = processLimit.ended(batch)
    handlers.close(batch.decodedBytes)
    // Not only once the answer is dealt with: `onResult` may take its time, and the memory is free now.
    if (this.#memoryLine.threads.length > 0) this.pumpAll()
    if (!(answer instanceof ClsConsumerError)) await this.#sort(seat, batch, answer, attempt)
    else if (answer.code === 'THREAD_LOST') await this.#takeBack(seat, batch, thread, answer, late)
    else await this.#answer(seat, batch, failedBy(answer, 'lifecycle', this.#placeOf(batch)), attempt)
  }

  /** The thread's answer, or why there is none. */
  async #process(thread: number, task: BatchTask): Promise<BatchAnswer | ClsConsumerError> {
    try {
      const answer = await this.#parts.world.threads.run(thread, task)
      assert(answer.kind !== 'done', 'a batch is not answered as a hook is')
      return answer
    } catch (error) {
      return toPoolError(error)
    }
  }

  async #answer(seat: Seat, batch: Batch, answer: BatchAnswer, attempt: number): Promise<void> {
    await this.#parts.handlers.answered(batch, answer, attempt)
    this.#parts.lanes.close(seat)
  }

  async #sort(seat: Seat, batch: Batch, told: BatchAnswer, attempt: number): Promise<void> {
    const answer = told.kind === 'rewound' ? await this.#judgeRewind(batch, told) : told
    if (answer.kind !== 'failed' || !mayHelp(answer)) await this.#answer(seat, batch, answer, attempt)
    // It may well have failed because it was aborted for that.
    else if (!this.#isWanted(seat, batch)) this.#discard(seat, batch)
    else await this.#retry(seat, batch, answer, 'none')
  }

  /** To nowhere is no rewind but a failed attempt. The batch stays open while that is found out (I2). */
  async #judgeRewind(batch: Batch, answer: RewoundAnswer): Promise<BatchAnswer> {
    const fault = await this.#parts.handlers.rewindFault(batch, answer.offset)
    return fault === undefined ? answer : failedBy(fault, 'process', this.#placeOf(batch))
  }

  /** The thread has ended with the batch on it: run again, or drop, or (its last attempt) fail. */
  async #takeBack(
    seat: Seat,
    batch: Batch,
    thread: number,
    error: ClsConsumerError,
    late: ClsConsumerError | undefined
  ): Promise<void> {
    const { lanes, crew } = this.#parts
    const wasAlone = !this.#endedTogether.delete(batch.batchId)
    if (late !== undefined) {
      // Alone from now on: it may have waited, begun as it was, for another one that blocks the thread, and that one would
      // be run again beside it, at once, and spared once more.
      await this.#retry(seat, batch, failedBy(late, 'process', this.#placeOf(batch)), wasAlone ? 'alone' : 'together')
    } else if (crew.wasKilled(thread)) {
      if (!lanes.isForgiven(seat)) lanes.cutShort(seat)
      if (this.#isWanted(seat, batch)) lanes.reopen(seat)
      else this.#discard(seat, batch)
    } else {
      const lossCount = (lanes.trouble(seat)?.lossCount ?? 0) + 1
      await this.#retry(seat, batch, this.#deadly(error, lossCount, batch), wasAlone ? 'alone' : 'together')
    }
  }

  #deadly(error: ClsConsumerError, lossCount: number, batch: Batch): FailedAnswer {
    const times = lossCount === 1 ? 'a thread has' : `${lossCount} threads have`
    const place = this.#placeOf(batch)
    const what = `${times} died with this batch: ${error.what}`
    return failedBy(new ClsConsumerError('THREAD_LOST', what, { ...place, cause: error }), 'process', place)
  }

  /** Not where its partition goes, is paused, or is repositioned. */
  #isWanted(seat: Seat, batch: Batch): boolean {
    const { seating, handlers } = this.#parts
    return !seating.isDraining(seat) && seat.epoch === batch.epoch && handlers.mayStart(batch)
  }

  #discard(seat: Seat, batch: Batch): void {
    this.#parts.lanes.discard(seat)
    this.#parts.handlers.dropped(batch)
  }

  /**
   * After a wait, or not at all: then the policy has its word. A batch of an ended epoch is counted and waited for all the
   * same, unless that is forgiven: where its partition restarts at its last save, it comes again. `loss`: of its thread,
   * with others open there or not; together is never the last word, since any of them may be to blame.
   */
  async #retry(seat: Seat, batch: Batch, answer: FailedAnswer, loss: 'none' | 'alone' | 'together'): Promise<void> {
    const { lanes, handlers, seating } = this.#parts
    if (lanes.isForgiven(seat)) return this.#discard(seat, batch)
    const attempt = lanes.attempt(seat)
    const wouldBeLast = handlers.retryDelayMs((lanes.trouble(seat)?.failureCount ?? 0) + 1) === undefined
    const { failureCount } = lanes.failed(seat, answer, {
      isLoss: loss !== 'none',
      isCounted: loss !== 'together' || !wouldBeLast
    })
    const waitMs = handlers.retryDelayMs(failureCount)
    if (this.#isWanted(seat, batch)) {
      if (waitMs === undefined) return await this.#answer(seat, batch, answer, attempt)
      lanes.reopen(seat)
    } else {
      this.#discard(seat, batch)
      if (waitMs === undefined || seating.isDraining(seat) || seat.epoch === batch.epoch) return
    }
    this.#backOff(seat, waitMs)
    handlers.retried(batch, fromFailure(answer.failure), waitMs, failureCount)
  }

  #placeOf({ topicId, partition, startOffset }: Batch): ErrorPlace {
    return { topicId, partition, offset: startOffset, file: this.#parts.file }
  }

  /** Its bytes stay held and its place stays first: nothing of the partition starts before it (I2). */
  #backOff(seat: Seat, waitMs: number): void {
    this.#endBackoff(seat)
    this.#parts.lanes.suspend(seat)
    const timer = this.#parts.world.timers.after(waitMs, () => {
      this.#endBackoff(seat)
      this.pump(seat.thread)
    })
    this.#backoffs.set(seat, timer)
  }

  #endBackoff(seat: Seat): void {
    this.#backoffs.get(seat)?.cancel()
    if (this.#backoffs.delete(seat)) this.#parts.lanes.resume(seat)
  }
}

function toTask(batch: Batch, attempt: number): BatchTask {
  const { topicId, partition, epoch, batchId, startOffset, endOffset } = batch
  const { bytes: body, byteCount, compression } = batch.body
  return {
    kind: 'batch',
    topicId,
    partition,
    epoch,
    batchId,
    startOffset,
    endOffset,
    body,
    byteCount,
    compression,
    attempt
  }
}

/** Whether to run it again may help: not where only another program would. */
function mayHelp({ stage, failure }: FailedAnswer): boolean {
  return stage === 'process' && REMEDIES[failure.code] !== 'fix-input'
}

function failedBy(error: ClsConsumerError, stage: FailedAnswer['stage'], place: ErrorPlace): FailedAnswer {
  return { kind: 'failed', stage, failure: toFailure(error, 'POOL_BROKEN', place) }
}
