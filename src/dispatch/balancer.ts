/**
 * Keeps the threads of one consumer about equally busy.
 *
 * In: what batches took, threads that end, partitions that move; the time. Out: one move after the other, each once it is
 * needed. `balance.ts` decides, `seating.ts` moves. Must never happen: two moves at a time by itself; a move decided on what
 * was measured before another; a timer that outlives `stop`.
 *
 * In commit mode manual it measures, and moves nothing: where `revoke` does not save, a move goes back to the last save.
 *
 * What may meet a move, seating.ts says: a drain, a new epoch, the end of either thread. Between the look at a seat and its
 * move nothing waits; and whatever became of the move, the next window begins after its end.
 */
import { errorFields } from '../observe/error-fields.ts'
import type { Timer, World } from '../world.ts'
import { Balance, expectShares, type Move, type ThreadLoad } from './balance.ts'
import type { Crew } from './crew.ts'
import { toPoolError } from './hooks.ts'
import type { Lanes, Seat } from './lanes.ts'
import { LoadMeter, type Reading } from './load-meter.ts'
import type { BatchAnswer } from './messages.ts'

export interface BalancerParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'threads' | 'log'>
  /** How long a window is; 0: nothing is measured, and nothing moves. */
  readonly intervalMs: number
  readonly mode: 'moves' | 'measures'
  readonly lanes: Lanes
  readonly crew: Crew
  /** Whether the partition stays ours and goes on, as far as the consumer knows. */
  goesOn(seat: Seat): boolean
  move(seat: Seat, thread: number): Promise<boolean>
}

type Phase = 'new' | 'watching' | 'stopped'

export class Balancer {
  readonly #parts: BalancerParts
  readonly #balance = new Balance<Seat>()
  readonly #meter = new LoadMeter<Seat>()
  #phase: Phase = 'new'
  #timer: Timer | undefined
  /** Of the last window. */
  #measured: { readonly shares: readonly (number | undefined)[]; readonly seatCounts: readonly number[] } | undefined

  constructor(parts: BalancerParts) {
    this.#parts = parts
  }

  /** Nothing where there is nothing to choose from. */
  start(): void {
    const { intervalMs, world } = this.#parts
    if (intervalMs === 0 || world.threads.count < 2 || this.#phase !== 'new') return
    this.#phase = 'watching'
    this.#watch()
  }

  stop(): void {
    this.#phase = 'stopped'
    this.#timer?.cancel()
  }

  answered(seat: Seat, answer: BatchAnswer): void {
    if (answer.kind === 'processed') this.#meter.took(seat, answer.decodeMs + answer.processMs)
  }

  exited(thread: number): void {
    this.#meter.spoil(thread)
  }

  /** By us, or because the user said so, who knows best. */
  moved(seat: Seat): void {
    this.#balance.moved(seat)
  }

  /** What each thread is expected to do, of the time; empty where nobody knows yet. */
  get shares(): readonly number[] {
    if (this.#measured === undefined) return []
    return expectShares(this.#measured.shares, this.#measured.seatCounts, this.#seatCounts)
  }

  #watch(): void {
    const { world, intervalMs } = this.#parts
    this.#meter.begin(this.#read())
    this.#timer = world.timers.after(intervalMs, () => void this.#look())
  }

  async #look(): Promise<void> {
    const loads = this.#measure()
    const move = this.#parts.mode === 'moves' ? this.#balance.decide(loads) : undefined
    if (move !== undefined) await this.#move(move)
    if (this.#phase === 'watching') this.#watch()
  }

  #measure(): ThreadLoad<Seat>[] {
    const { lanes, crew } = this.#parts
    const measured = this.#meter.end(
      this.#read(),
      crew.threads.map(thread => lanes.seatsOf(thread))
    )
    this.#measured = { shares: measured.map(({ busyShare }) => busyShare), seatCounts: this.#seatCounts }
    return measured.map(({ busyShare, seats }) => ({
      busyShare,
      hasWaiting: seats.some(({ seat }) => seat.queue.length > 0),
      seats: seats.map(({ seat, share }) => ({ seat, share, mayMove: this.#mayMove(seat) }))
    }))
  }

  #mayMove(seat: Seat): boolean {
    return this.#parts.lanes.isAtWork(seat) && this.#parts.goesOn(seat)
  }

  async #move(move: Move<Seat>): Promise<void> {
    const { log } = this.#parts.world
    const { seat, from, to } = move
    log.info('a partition moves to an idler thread', {
      ...seat.id,
      thread: from,
      busyPercent: percent(move.fromShare),
      partitionPercent: percent(move.share),
      toThread: to,
      toBusyPercent: percent(move.toShare)
    })
    try {
      const hasMoved = await this.#parts.move(seat, to)
      if (!hasMoved) log.debug('the partition has not moved: it was given up, or went on elsewhere', { ...seat.id })
    } catch (thrown) {
      // A thread that does not exit breaks the pool, which tells the consumer.
      log.warn('a partition could not be moved', errorFields(toPoolError(thrown), { ...seat.id, thread: from }))
    }
  }

  #read(): Reading {
    const { world, crew } = this.#parts
    const works = crew.threads.map(thread => (crew.isUp(thread) ? world.threads.work(thread) : undefined))
    return { atMs: world.clock.monotonic(), works }
  }

  get #seatCounts(): number[] {
    return this.#parts.crew.threads.map(thread => this.#parts.lanes.seatsOf(thread).length)
  }
}

function percent(share: number): number {
  return Math.round(100 * share)
}
