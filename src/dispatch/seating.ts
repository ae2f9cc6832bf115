/**
 * Where partitions sit: how one comes to its thread, moves to another, and leaves.
 *
 * In: seats, and the user's `assign` and `revoke`. Out: seats that are ready, moved or gone. Must never happen: `assign`
 * on one thread while the partition's work may still run on another (I2); two hooks of a partition at a time; `revoke` on
 * a thread where `assign` has not returned; a seat given up while something of it may run (I4).
 *
 * What may meet a move, and where each is decided:
 *   its batch is still open       waited for; ended by whoever ends the partition (`move`)
 *   drained while it waits        the drain goes on, the move gives up (`move`, phase)
 *   drained while a hook runs     the drain waits for that hook; `assign` there does not begin (`#drainSeat`, `#change`)
 *   renewed while it waits        the batch was of the old epoch: it stays where it is (`move`)
 *   renewed while a hook runs     it moves on, in the new epoch
 *   its thread dies               nothing is left to `revoke`; the lost batch runs again on the new thread (`exited`)
 *   the new thread dies           `assign` runs on the replacement (`up`)
 *   batches come meanwhile        they queue on the seat, which takes them along
 */

import { errorFields } from '../observe/error-fields.ts'
import type { Logger } from '../world.ts'
import type { Crew, LossHandlers } from './crew.ts'
import { type Hooks, toPoolError } from './hooks.ts'
import type { Lanes, Seat } from './lanes.ts'
import type { OpenBatches } from './open-batches.ts'

export interface SeatingHandlers extends LossHandlers {
  /** The seat's waiting batches are not wanted any more. */
  dropQueued(seat: Seat): void
  /** The thread may open what it could not before. */
  pump(thread: number): void
  pumpAll(): void
  /** What the processor kept for the partition is gone. */
  stateLost(seat: Seat): void
}

export interface SeatingParts {
  readonly log: Logger
  readonly lanes: Lanes
  readonly crew: Crew
  readonly hooks: Hooks
  readonly openBatches: OpenBatches
  readonly handlers: SeatingHandlers
}

export class Seating {
  readonly #parts: SeatingParts
  /** Resolves when the hooks under way for a seat have returned; rejects where one may still run. */
  readonly #hooked = new WeakMap<Seat, Promise<void>>()
  readonly #drains = new WeakMap<Seat, Promise<void>>()
  /** Whose `assign` has returned on the thread as it is now: only there is something to `revoke`. */
  readonly #assigned = new WeakSet<Seat>()
  /** Threads in a row that died by themselves while `assign` of a seat ran. */
  readonly #lossCounts = new WeakMap<Seat, number>()

  constructor(parts: SeatingParts) {
    this.#parts = parts
  }

  /** Runs `assign` on the seat's thread, or leaves it to `up`. */
  assign(seat: Seat): void {
    this.#hook(seat, this.#runAssign(seat))
  }

  isDraining(seat: Seat): boolean {
    return this.#drains.has(seat)
  }

  /** The last batch of a draining partition has left the thread, and its `revoke` is the next thing there. */
  awaitsRevoke(thread: number): boolean {
    const { lanes, openBatches } = this.#parts
    return lanes
      .seatsOf(thread)
      .some(seat => seat.phase === 'draining' && this.#assigned.has(seat) && !openBatches.isWithThread(seat))
  }

  exited(thread: number): void {
    for (const seat of this.#parts.lanes.seatsOf(thread)) {
      if (this.#assigned.delete(seat)) this.#parts.handlers.stateLost(seat)
    }
  }

  /** `start` has returned on a thread: `assign` for every partition of its lane. One that moves away needs none there. */
  up(thread: number): void {
    const { lanes } = this.#parts
    for (const seat of lanes.seatsOf(thread)) {
      if (seat.phase === 'ready') lanes.turn(seat, 'assigning')
      if (seat.phase === 'assigning') this.assign(seat)
    }
  }

  /** Ends the partition's work and unseats it. Asked again meanwhile, it aborts the open batch and is the same end. */
  async drain(seat: Seat, patienceMs: number, reason: string): Promise<void> {
    const running = this.#drains.get(seat)
    if (running !== undefined) {
      this.#parts.openBatches.abort(seat, reason)
      return await running
    }
    const drain = this.#drainSeat(seat, patienceMs, reason)
    this.#drains.set(seat, drain)
    await drain
  }

  /** Whether the partition has gone to the thread. See the header for what may come between. */
  async move(seat: Seat, thread: number): Promise<boolean> {
    const { lanes, openBatches, handlers } = this.#parts
    if (seat.thread === thread || seat.phase === 'moving' || this.isDraining(seat)) return false
    const { epoch } = seat
    lanes.turn(seat, 'moving')
    // Its next batch may have been first in the line for memory.
    handlers.pumpAll()
    await this.#hooked.get(seat)
    await openBatches.rest(seat)
    if (!this.#mayLeave(seat)) return false
    if (seat.epoch !== epoch) {
      this.#stay(seat)
      return false
    }
    const change = this.#change(seat, thread)
    this.#hook(seat, change)
    await change
    return !this.isDraining(seat)
  }

  /** A drain may be waiting for the same hook as a move did, with the phase still the move's. */
  #mayLeave(seat: Seat): boolean {
    return seat.phase === 'moving' && !this.isDraining(seat) && seat.open === undefined
  }

  /** Nothing waits between the last look at the seat and `revoke`: nothing of it is open, and nothing can be. */
  async #change(seat: Seat, thread: number): Promise<void> {
    if (this.#assigned.delete(seat)) await this.#revoke(seat)
    // A drain waits for this hook, and finds nothing left to revoke.
    if (this.isDraining(seat)) return
    // What `revoke` has saved was told before it was answered.
    this.#parts.handlers.stateLost(seat)
    this.#parts.lanes.moveTo(seat, thread)
    await this.#runAssign(seat)
  }

  #stay(seat: Seat): void {
    const { lanes, handlers } = this.#parts
    if (this.#assigned.has(seat)) {
      lanes.turn(seat, 'ready')
      handlers.pump(seat.thread)
    } else {
      // Its thread was replaced while it was about to leave.
      lanes.turn(seat, 'assigning')
      this.assign(seat)
    }
  }

  async #drainSeat(seat: Seat, patienceMs: number, reason: string): Promise<void> {
    const { lanes, openBatches, handlers } = this.#parts
    handlers.dropQueued(seat)
    // What was dropped may have stood in the way of others.
    handlers.pumpAll()
    await this.#hooked.get(seat)
    lanes.turn(seat, 'draining')
    await openBatches.end(seat, patienceMs, reason)
    // On a thread that died meanwhile, or has replaced one that did, `revoke` does not run.
    if (this.#assigned.delete(seat)) {
      const revoked = this.#revoke(seat)
      // It has gone ahead of the batches that waited for their turn (`awaitsRevoke`): now they may follow.
      handlers.pump(seat.thread)
      await revoked
    }
    lanes.remove(seat)
    handlers.pumpAll()
  }

  async #runAssign(seat: Seat): Promise<void> {
    const { lanes, crew, hooks, handlers } = this.#parts
    const { thread } = seat
    // The thread is not up, or being replaced: `up` assigns what it finds.
    if (!crew.isUp(thread)) return
    const task = { kind: 'assign', ...seat.id, epoch: seat.epoch } as const
    const error = await hooks.run(thread, task)
    if (error === undefined) {
      this.#lossCounts.delete(seat)
      this.#assigned.add(seat)
      // Drained or moving on while `assign` ran: it takes no batch here.
      if (seat.phase === 'assigning') lanes.turn(seat, 'ready')
      handlers.pump(thread)
      return
    }
    if (error.code === 'THREAD_LOST' && this.#mayAssignAgain(seat, thread)) return
    handlers.broken(hooks.blame(task, error))
    // What never returned may still run: the partition is not released before its thread has exited (I4).
    if (error.code !== 'PROCESSOR_STUCK') return
    try {
      await crew.kill(thread)
    } catch (thrown) {
      handlers.broken(toPoolError(thrown))
      throw thrown
    }
  }

  /** On the replacement; but not for ever where `assign` itself is what threads die of. */
  #mayAssignAgain(seat: Seat, thread: number): boolean {
    if (this.#parts.crew.wasKilled(thread)) return true
    const lossCount = (this.#lossCounts.get(seat) ?? 0) + 1
    this.#lossCounts.set(seat, lossCount)
    return this.#parts.handlers.retryDelayMs(lossCount) !== undefined
  }

  async #revoke(seat: Seat): Promise<void> {
    const { crew, hooks, log } = this.#parts
    const { thread } = seat
    // Also on one that is ending: this waits for its exit (I2).
    const wasUp = crew.isUp(thread)
    const error = await hooks.run(thread, { kind: 'revoke', ...seat.id, epoch: seat.epoch })
    if (error === undefined) return
    // What a thread has died of is told by others, and where it has nothing is left to revoke. But a hook that was cut off,
    // for the sake of another partition or consumer, has not flushed what it holds.
    if (error.code === 'THREAD_LOST' && !(wasUp && crew.wasKilled(thread))) return
    log.warn('processor revoke failed', errorFields(error, { ...seat.id }))
    // A hook that never returns would share the partition's state with nobody knows what: its thread goes.
    if (error.code === 'PROCESSOR_STUCK') await crew.kill(thread)
  }

  /** Whoever waits for the hooks of a seat hears how they ended; where nobody does, it was told as broken. */
  #hook(seat: Seat, running: Promise<void>): void {
    this.#hooked.set(seat, running)
    running.catch(() => undefined)
  }
}
