/**
 * How long `process` may take: `processTimeoutMs`, then its signal aborts, then its thread is terminated.
 *
 * In: batches that are given to threads, begin there, and end. Out: aborts and terminations; and for a batch whose thread was
 * terminated for its sake, the error it has failed with. Must never happen: a batch that is blamed for another one, which
 * blocks their thread; a thread terminated for a batch that it has answered.
 *
 *   given ──► begun ──► aborted ──► overdue     given: it may wait for another batch that blocks the thread's event loop
 *     └─────────┴──────────┴──────────┴──► ended
 */
import type { Batch } from '../batch.ts'
import { ClsConsumerError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { Timer, World } from '../world.ts'
import type { Crew } from './crew.ts'
import type { Seat } from './lanes.ts'
import type { OpenBatches } from './open-batches.ts'

interface Watch {
  readonly seat: Seat
  readonly thread: number
  phase: 'given' | 'begun' | 'aborted' | 'overdue'
  timer: Timer
}

export interface ProcessLimitParts {
  readonly world: Pick<World, 'timers' | 'log'>
  readonly settings: Pick<Settings, 'processTimeoutMs' | 'abortGraceMs' | 'hookTimeoutMs'>
  /** Of the processor, for errors. */
  readonly file: string
  readonly crew: Crew
  readonly openBatches: OpenBatches
  /** A thread that was to be terminated does not exit. */
  readonly broken: (error: unknown) => void
}

export class ProcessLimit {
  readonly #parts: ProcessLimitParts
  /** By batch, while it is with a thread. */
  readonly #watches = new Map<number, Watch>()

  constructor(parts: ProcessLimitParts) {
    this.#parts = parts
  }

  given(seat: Seat, { batchId }: Batch): void {
    const watch: Watch = { seat, thread: seat.thread, phase: 'given', timer: this.#afterTurn(batchId) }
    this.#watches.set(batchId, watch)
  }

  /** It is decoded, and `process` is next. */
  begun({ batchId }: Batch): void {
    const watch = this.#watches.get(batchId)
    if (watch?.phase !== 'given') return
    watch.phase = 'begun'
    watch.timer.cancel()
    watch.timer = this.#after(batchId)
  }

  /** The thread has answered, or has ended. What it is to fail with where that was brought about for its sake. */
  ended({ batchId, topicId, partition, startOffset }: Batch): ClsConsumerError | undefined {
    const watch = this.#watches.get(batchId)
    this.#watches.delete(batchId)
    watch?.timer.cancel()
    if (watch?.phase !== 'overdue') return undefined
    const { settings, file } = this.#parts
    const what = `process did not return within ${settings.processTimeoutMs} ms (option processTimeoutMs), nor ${settings.abortGraceMs} ms after its signal aborted: its thread was terminated`
    return new ClsConsumerError('PROCESSOR_TIMEOUT', what, { topicId, partition, offset: startOffset, file })
  }

  /** Before it, a hook or a batch that blocks the thread may have its own time. */
  #afterTurn(batchId: number): Timer {
    const { processTimeoutMs, hookTimeoutMs } = this.#parts.settings
    return this.#after(batchId, processTimeoutMs + hookTimeoutMs)
  }

  #after(batchId: number, waitMs = this.#parts.settings.processTimeoutMs): Timer {
    return this.#parts.world.timers.after(waitMs, () => this.#expire(batchId))
  }

  #expire(batchId: number): void {
    const watch = this.#watches.get(batchId)
    // A thread that is on its way out takes with it what runs there: that is nobody else's fault.
    if (watch === undefined || !this.#parts.crew.isUp(watch.thread)) return
    switch (watch.phase) {
      case 'given':
        this.#notTaken(batchId, watch)
        return
      case 'begun': {
        const { settings, openBatches } = this.#parts
        watch.phase = 'aborted'
        openBatches.abort(watch.seat, `process did not return within ${settings.processTimeoutMs} ms`)
        watch.timer = this.#after(batchId, settings.abortGraceMs)
        return
      }
      case 'aborted':
        watch.phase = 'overdue'
        this.#terminate(watch, 'process does not end')
        return
      case 'overdue':
        return
    }
  }

  /** Where another batch has begun there, that one is what blocks the thread, and has a limit of its own. */
  #notTaken(batchId: number, watch: Watch): void {
    const others = [...this.#watches.values()].filter(({ thread }) => thread === watch.thread)
    if (others.some(({ phase }) => phase !== 'given')) watch.timer = this.#afterTurn(batchId)
    else this.#terminate(watch, 'code outside of any batch blocks it')
  }

  #terminate({ seat, thread }: Watch, reason: string): void {
    const { world, crew, broken } = this.#parts
    world.log.warn('terminating a thread', { ...seat.id, thread, reason })
    crew.kill(thread).catch(broken)
  }
}
