/**
 * Batches on their way: each opened when its thread and the memory allow, run, answered or run again.
 *
 * In: queued batches; what threads answer, or that they have ended. Out: `handlers`. Must never happen: a partition's next
 * batch starts before its last one was answered and its answer dealt with (I2); a batch starts that may not (I3, I12).
 *
 * A batch whose thread ends is run again from the bytes that are still held here: at once where the thread was terminated
 * for another's sake, after a wait and only so often where it died by itself.
 */
import type { Batch } from '../batch.ts'
import { assert, ClsConsumerError, type ErrorPlace, toFailure } from '../errors.ts'
import type { Timer, World } from '../world.ts'
import type { Crew, LossHandlers } from './crew.ts'
import { toPoolError } from './hooks.ts'
import type { Lanes, Seat } from './lanes.ts'
import { MemoryLine } from './memory-line.ts'
import type { BatchAnswer, BatchTask } from './messages.ts'
import type { OpenBatches } from './open-batches.ts'
import type { Seating } from './seating.ts'

export interface RunHandlers extends LossHandlers {
  /** Whether the batch may start now: its epoch is current and the lease holds (I3, I12). */
  mayStart(batch: Batch): boolean
  /** Reserves memory for the decoded batch; asked again after the next `close`. */
  tryOpen(decodedBytes: number): boolean
  close(decodedBytes: number): void
  /** The partition's next batch waits until this resolves; it never rejects. */
  answered(batch: Batch, answer: BatchAnswer): Promise<void>
  /** Never processed, or not to its end, and will not be: its bytes are free. */
  dropped(batch: Batch): void
  /** A thread died with the batch on it, which is run again after `waitMs`. */
  retried(batch: Batch, error: ClsConsumerError, waitMs: number): void
}

export interface RunsParts {
  readonly world: Pick<World, 'timers' | 'threads'>
  /** Of the processor, for errors. */
  readonly file: string
  readonly lanes: Lanes
  readonly crew: Crew
  readonly openBatches: OpenBatches
  readonly seating: Seating
  readonly handlers: RunHandlers
}

export class Runs {
  readonly #parts: RunsParts
  readonly #memoryLine = new MemoryLine()
  /** Of batches that wait for their next attempt. */
  readonly #backoffs = new Map<Seat, Timer>()

  constructor(parts: RunsParts) {
    this.#parts = parts
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
      () => this.#parts.handlers.tryOpen(batch.decodedBytes)
    )
  }

  async #run(seat: Seat, batch: Batch): Promise<void> {
    const { thread } = seat
    this.#parts.openBatches.given(batch.batchId)
    const answer = await this.#process(thread, toTask(batch, seat.attempt))
    this.#parts.openBatches.returned(batch.batchId)
    this.#parts.handlers.close(batch.decodedBytes)
    // Not only once the answer is dealt with: `onResult` may take its time, and the memory is free now.
    if (this.#memoryLine.threads.length > 0) this.pumpAll()
    if (!(answer instanceof ClsConsumerError)) await this.#answer(seat, batch, answer)
    else if (answer.code === 'THREAD_LOST') await this.#takeBack(seat, batch, thread, answer)
    else await this.#answer(seat, batch, failedBy(answer, this.#placeOf(batch)))
    this.pumpAll()
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

  async #answer(seat: Seat, batch: Batch, answer: BatchAnswer): Promise<void> {
    await this.#parts.handlers.answered(batch, answer)
    this.#parts.lanes.close(seat)
  }

  /** The thread has ended with the batch on it: run again, or drop, or (its last attempt) fail. */
  async #takeBack(seat: Seat, batch: Batch, thread: number, error: ClsConsumerError): Promise<void> {
    if (this.#parts.seating.isDraining(seat) || seat.epoch !== batch.epoch) {
      this.#parts.lanes.close(seat)
      this.#parts.handlers.dropped(batch)
    } else if (this.#parts.crew.wasKilled(thread)) {
      this.#parts.lanes.reopen(seat)
    } else {
      const lossCount = seat.lossCount + 1
      const waitMs = this.#parts.handlers.retryDelayMs(lossCount)
      if (waitMs === undefined) await this.#answer(seat, batch, this.#deadly(error, lossCount, batch))
      else this.#backOff(seat, batch, error, waitMs)
    }
  }

  #deadly(error: ClsConsumerError, lossCount: number, batch: Batch): BatchAnswer {
    const times = lossCount === 1 ? 'a thread has' : `${lossCount} threads have`
    const place = this.#placeOf(batch)
    const what = `${times} died with this batch: ${error.what}`
    return failedBy(new ClsConsumerError('THREAD_LOST', what, { ...place, cause: error }), place)
  }

  #placeOf({ topicId, partition, startOffset }: Batch): ErrorPlace {
    return { topicId, partition, offset: startOffset, file: this.#parts.file }
  }

  /** Its bytes stay held and its place stays first: nothing of the partition starts before it (I2). */
  #backOff(seat: Seat, batch: Batch, error: ClsConsumerError, waitMs: number): void {
    this.#parts.lanes.suspend(seat)
    const timer = this.#parts.world.timers.after(waitMs, () => {
      this.#endBackoff(seat)
      this.pump(seat.thread)
    })
    this.#backoffs.set(seat, timer)
    this.#parts.handlers.retried(batch, error, waitMs)
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

function failedBy(error: ClsConsumerError, place: ErrorPlace): BatchAnswer {
  return { kind: 'failed', stage: 'process', failure: toFailure(error, 'POOL_BROKEN', place) }
}
