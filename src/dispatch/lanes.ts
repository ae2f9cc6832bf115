/**
 * Lanes: which thread a partition belongs to, and which batch a thread takes next.
 *
 * In: partitions that come and go, batches in offset order, answers. Out: the next batch for a thread. Pure. A lane is
 * the queue of one thread; a partition belongs to one lane at a time, and has one batch open at most (I2). Batches of
 * different partitions take turns on their lane.
 */
import { type Batch, type Epoch, keyOf } from '../batch.ts'
import { assert } from '../errors.ts'
import type { PartitionId } from './messages.ts'

/**
 * assigning: its `assign` has not returned on the thread it belongs to (now, or since that thread was replaced).
 * draining: it takes no further batch; the open one, if any, is the last.
 */
export type SeatPhase = 'assigning' | 'ready' | 'draining'

/** The place of one partition on one lane. */
export interface Seat {
  readonly id: PartitionId
  readonly thread: number
  epoch: number
  phase: SeatPhase
  queue: Batch[]
  open: Batch | undefined
  /** Of the batch at the head or open: 1 for the first. */
  attempt: number
}

export class Lanes {
  readonly #batchesPerThread: number
  readonly #lanes: Seat[][]
  readonly #seats = new Map<string, Seat>()

  constructor(threadCount: number, batchesPerThread: number) {
    this.#batchesPerThread = batchesPerThread
    this.#lanes = Array.from({ length: threadCount }, () => [])
  }

  /** Seats a partition on the lane that has the fewest. */
  add(epoch: Epoch): Seat {
    assert(!this.#seats.has(keyOf(epoch)), `I2: ${keyOf(epoch)} is seated once, in one epoch`)
    const loads = this.#lanes.map(lane => lane.length)
    const thread = loads.indexOf(Math.min(...loads))
    const { topicId, partition } = epoch
    const seat: Seat = {
      id: { topicId, partition },
      thread,
      epoch: epoch.epoch,
      phase: 'assigning',
      queue: [],
      open: undefined,
      attempt: 1
    }
    this.#lanes[thread]?.push(seat)
    this.#seats.set(keyOf(epoch), seat)
    return seat
  }

  remove(seat: Seat): void {
    assert(seat.open === undefined, `I2: ${keyOf(seat.id)} leaves its lane only when none of its batches is open`)
    this.#seats.delete(keyOf(seat.id))
    const lane = this.#lanes[seat.thread] ?? []
    lane.splice(lane.indexOf(seat), 1)
  }

  /** The seat of a partition in this very epoch. */
  find(epoch: Epoch): Seat | undefined {
    const seat = this.#seats.get(keyOf(epoch))
    return seat?.epoch === epoch.epoch ? seat : undefined
  }

  seatsOf(thread: number): readonly Seat[] {
    return this.#lanes[thread] ?? []
  }

  openBatch(batchId: number): Batch | undefined {
    for (const seat of this.#seats.values()) if (seat.open?.batchId === batchId) return seat.open
    return undefined
  }

  enqueue(seat: Seat, batch: Batch): void {
    const last = seat.queue.at(-1) ?? seat.open
    assert(last === undefined || last.batchId < batch.batchId, `I2: batches of ${keyOf(seat.id)} start in offset order`)
    seat.queue.push(batch)
  }

  /** Takes all queued batches away. */
  clear(seat: Seat): Batch[] {
    return seat.queue.splice(0)
  }

  /** The seat whose next batch a thread should open now, if it may open one. */
  next(thread: number): Seat | undefined {
    const lane = this.#lanes[thread] ?? []
    const openCount = lane.filter(seat => seat.open !== undefined).length
    if (openCount >= this.#batchesPerThread) return undefined
    return lane.find(seat => seat.phase === 'ready' && seat.open === undefined && seat.queue.length > 0)
  }

  /** Opens the seat's next batch; its turn comes again after the others of the lane. */
  open(seat: Seat): Batch {
    assert(seat.open === undefined, `I2: one batch of ${keyOf(seat.id)} is open at a time`)
    const batch = seat.queue.shift()
    assert(batch !== undefined, `I2: ${keyOf(seat.id)} has a batch to open`)
    seat.open = batch
    const lane = this.#lanes[seat.thread] ?? []
    lane.splice(lane.indexOf(seat), 1)
    lane.push(seat)
    return batch
  }

  close(seat: Seat): void {
    seat.open = undefined
    seat.attempt = 1
  }

  /** The open batch did not run to its end, for no fault of its own: it is the next one again. */
  reopen(seat: Seat): void {
    assert(seat.open !== undefined, `I2: ${keyOf(seat.id)} has an open batch to return`)
    seat.queue.unshift(seat.open)
    seat.open = undefined
    seat.attempt += 1
  }
}
