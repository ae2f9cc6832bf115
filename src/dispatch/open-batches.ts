/**
 * The open batches: which are with a thread, and how their end is awaited or brought about.
 *
 * In: seats whose batch was opened, and the promise of its end. Out: waits, aborts, terminations. Must never happen: a
 * thread terminated for a batch that it has answered; a wait without end (I8).
 *
 * Ending the work of a partition, each step only where the one before did not suffice:
 *   wait `patienceMs` for the open batch → abort its signal, wait `abortGraceMs` → terminate its thread, wait for exit
 */
import { keyOf } from '../batch.ts'
import { ClsConsumerError } from '../errors.ts'
import type { Settings } from '../options.ts'
import { within } from '../within.ts'
import type { World } from '../world.ts'
import type { Crew } from './crew.ts'
import type { Seat } from './lanes.ts'

export class OpenBatches {
  readonly #world: Pick<World, 'timers' | 'threads' | 'log'>
  readonly #limits: Pick<Settings, 'abortGraceMs' | 'threadExitMs'>
  readonly #crew: Crew
  /** Resolves when the open batch of a seat has been answered and dealt with. */
  readonly #ends = new WeakMap<Seat, Promise<void>>()
  /** By batch, which attempt is with a thread: of open batches less those whose answer is being dealt with. */
  readonly #running = new Map<number, number>()

  constructor(
    world: Pick<World, 'timers' | 'threads' | 'log'>,
    limits: Pick<Settings, 'abortGraceMs' | 'threadExitMs'>,
    crew: Crew
  ) {
    this.#world = world
    this.#limits = limits
    this.#crew = crew
  }

  opened(seat: Seat, end: Promise<void>): void {
    this.#ends.set(seat, end)
  }

  /** The thread has this attempt at it. */
  given(batchId: number, attempt: number): void {
    this.#running.set(batchId, attempt)
  }

  /** The thread has answered, or is gone. */
  returned(batchId: number): void {
    this.#running.delete(batchId)
  }

  isWithThread({ open }: Seat): boolean {
    return open !== undefined && this.#running.has(open.batchId)
  }

  /** Nothing where its thread has answered: what is left of the batch is none of the processor's. */
  abort({ open, thread }: Seat, reason: string): void {
    if (open === undefined) return
    const attempt = this.#running.get(open.batchId)
    if (attempt === undefined) return
    this.#world.threads.post(thread, { kind: 'abort', batchId: open.batchId, attempt, reason })
  }

  /** Waits for the end of the seat's open batch: as long as its processor takes, or until the partition is ended. */
  async rest(seat: Seat): Promise<void> {
    if (seat.open !== undefined) await this.#ends.get(seat)
  }

  /** As the header says. @throws ClsConsumerError THREAD_STUCK, DRAIN_TIMEOUT: work of the seat may still run (I4). */
  async end(seat: Seat, patienceMs: number, reason: string): Promise<void> {
    const { abortGraceMs, threadExitMs } = this.#limits
    if (await this.#restsWithin(seat, patienceMs)) return
    this.abort(seat, reason)
    if (await this.#restsWithin(seat, abortGraceMs)) return
    // Where the thread has answered, what is left is our own `answered`, which waits for `onResult`.
    if (this.isWithThread(seat)) {
      const { thread } = seat
      this.#world.log.warn('terminating the thread of a batch that does not end', { ...seat.id, thread, reason })
      await this.#crew.kill(thread)
    }
    if (await this.#restsWithin(seat, threadExitMs)) return
    throw new ClsConsumerError('DRAIN_TIMEOUT', `onResult did not return after ${keyOf(seat.id)} was to end`, seat.id)
  }

  async #restsWithin(seat: Seat, limitMs: number): Promise<boolean> {
    if (seat.open === undefined) return true
    if (limitMs === 0) return false
    await within(this.#world.timers, this.rest(seat), limitMs, () => undefined)
    return seat.open === undefined
  }
}
