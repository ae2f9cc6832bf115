/**
 * Lanes: which thread a partition belongs to, and which batch a thread takes next.
 *
 * In: partitions that come, move and go, batches in offset order, answers. Out: the next batch for a thread. Pure. A lane
 * is the queue of one thread; a partition belongs to one lane at a time, and has one batch open at most (I2). Batches of
 * different partitions take turns on their lane.
 */
import { type Batch, type Epoch, keyOf } from '../batch.ts'
import { assert } from '../errors.ts'
import { chooseThread } from './balance.ts'
import type { FailedAnswer, PartitionId } from './messages.ts'

/**
 * assigning: its `assign` has not returned on the thread it belongs to (now, or since that thread was replaced).
 * moving: it leaves for another thread; the open batch, if any, is the last here.
 * draining: it takes no further batch; the open one, if any, is the last.
 */
type SeatPhase = 'assigning' | 'ready' | 'moving' | 'draining'

const MOVES = {
  assigning: ['ready', 'moving', 'draining'],
  ready: ['assigning', 'moving', 'draining'],
  moving: ['assigning', 'ready', 'draining'],
  draining: []
} as const satisfies Record<SeatPhase, readonly SeatPhase[]>

/**
 * What has gone wrong with the batch that starts there. It outlives the epoch: where a partition restarts at its last save,
 * the batch that threads die of comes again.
 */
export interface Trouble {
  readonly startOffset: bigint
  /** How often it was begun and not brought to an end, for whatever reason. */
  readonly beginCount: number
  /** Of these, how often by its own fault, as far as can be told. */
  readonly failureCount: number
  /** Of these, how many threads were lost of it: they died by themselves, or were terminated for its sake. */
  readonly lossCount: number
  /** What it failed of last. */
  readonly last: FailedAnswer | undefined
}

/** Of one partition. More than one at a time takes a restart at a save. */
const TROUBLES_MAX = 64

/** The place of one partition on one lane. Changed by `Lanes` alone. */
export interface Seat {
  readonly id: PartitionId
  thread: number
  epoch: number
  phase: SeatPhase
  queue: Batch[]
  open: Batch | undefined
  /** By start offset; of batches that have not come to an end. */
  readonly troubles: Map<bigint, Trouble>
  /** What goes wrong with batches of earlier epochs does not count any more. */
  firstCounted: number
  /** backoff: the batch at the head waits for its next attempt. */
  pause: 'none' | 'backoff'
}

export class Lanes {
  readonly #batchesPerThread: number
  readonly #firstThread: number
  readonly #lanes: Seat[][]
  readonly #seats = new Map<string, Seat>()

  constructor(threadCount: number, batchesPerThread: number, firstThread = 0) {
    this.#batchesPerThread = batchesPerThread
    this.#firstThread = firstThread
    this.#lanes = Array.from({ length: threadCount }, () => [])
  }

  /** Seats a partition where the least is done, as `chooseThread` says. `shares`: what each thread is expected to do. */
  add(epoch: Epoch, shares: readonly number[] = []): Seat {
    assert(!this.#seats.has(keyOf(epoch)), `I2: ${keyOf(epoch)} is seated once, in one epoch`)
    const { topicId, partition } = epoch
    const seatCounts = this.#lanes.map(lane => lane.length)
    const seat: Seat = {
      id: { topicId, partition },
      thread: chooseThread(seatCounts, shares, this.#firstThread),
      epoch: epoch.epoch,
      phase: 'assigning',
      queue: [],
      open: undefined,
      troubles: new Map(),
      firstCounted: epoch.epoch,
      pause: 'none'
    }
    this.#lanes[seat.thread]?.push(seat)
    this.#seats.set(keyOf(epoch), seat)
    return seat
  }

  remove(seat: Seat): void {
    this.#leave(seat)
    this.#seats.delete(keyOf(seat.id))
  }

  /** The partition belongs to another thread from here on, with all that waits. */
  moveTo(seat: Seat, thread: number): void {
    this.#leave(seat)
    this.turn(seat, 'assigning')
    seat.thread = thread
    this.#lanes[thread]?.push(seat)
  }

  turn(seat: Seat, phase: SeatPhase): void {
    const allowed: readonly SeatPhase[] = MOVES[seat.phase]
    assert(allowed.includes(phase), `I2: the seat of ${keyOf(seat.id)} does not go from ${seat.phase} to ${phase}`)
    seat.phase = phase
  }

  /** `isNewTry`: what went wrong before is forgiven, since somebody has decided where to go on. */
  renew(seat: Seat, next: Epoch, isNewTry: boolean): void {
    seat.epoch = next.epoch
    if (!isNewTry) return
    seat.troubles.clear()
    seat.firstCounted = next.epoch
  }

  /** Somebody has decided where to go on while it was open: whatever it comes to, perhaps by its abort, is nobody's failure. */
  isForgiven({ open, firstCounted }: Seat): boolean {
    return open !== undefined && open.epoch < firstCounted
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

  /** Of the batch at the head or open: 1 for the first. */
  attempt(seat: Seat): number {
    return (troubleOf(seat)?.beginCount ?? 0) + 1
  }

  /** What has gone wrong with the batch at the head or open. */
  trouble(seat: Seat): Trouble | undefined {
    return troubleOf(seat)
  }

  /**
   * The seat whose next batch a thread should open now, if it may open one. A batch that a thread was lost of runs
   * alone: were others open beside it, they could be blamed with it for the next loss, or in its place.
   */
  next(thread: number): Seat | undefined {
    const lane = this.#lanes[thread] ?? []
    const open = lane.filter(seat => seat.open !== undefined)
    const waiting = lane.filter(isDue)
    const suspect = waiting.find(isSuspect)
    if (suspect !== undefined) return open.length === 0 ? suspect : undefined
    if (open.length >= this.#batchesPerThread || open.some(isSuspect)) return undefined
    return waiting[0]
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

  /** The open batch has been answered, and that is dealt with: what went wrong with it is over. */
  close(seat: Seat): void {
    if (seat.open !== undefined) seat.troubles.delete(seat.open.startOffset)
    seat.open = undefined
  }

  /** The open batch was not brought to an end, and it is not to blame. */
  cutShort(seat: Seat): void {
    const { startOffset, beginCount, failureCount, lossCount, last } = this.#openTrouble(seat)
    setTrouble(seat, { startOffset, beginCount: beginCount + 1, failureCount, lossCount, last })
  }

  /** The open batch has failed. `isLoss`: its thread was lost of it. `isCounted`: it is to blame, or may be. */
  failed(seat: Seat, last: FailedAnswer, { isLoss, isCounted }: { isLoss: boolean; isCounted: boolean }): Trouble {
    const { startOffset, beginCount, failureCount, lossCount } = this.#openTrouble(seat)
    const trouble = {
      startOffset,
      beginCount: beginCount + 1,
      failureCount: failureCount + (isCounted ? 1 : 0),
      lossCount: lossCount + (isLoss ? 1 : 0),
      last
    }
    setTrouble(seat, trouble)
    return trouble
  }

  /** The open batch is the next one again. */
  reopen(seat: Seat): void {
    assert(seat.open !== undefined, `I2: ${keyOf(seat.id)} has an open batch to return`)
    seat.queue.unshift(seat.open)
    seat.open = undefined
  }

  /** The open batch is wanted no more: its epoch is over. It may come again in the next one. */
  discard(seat: Seat): void {
    seat.open = undefined
  }

  /** It has something to do, and nothing keeps it from that. */
  isAtWork(seat: Seat): boolean {
    const { phase, pause, open, queue } = seat
    return phase === 'ready' && pause === 'none' && (open !== undefined || queue.length > 0) && !isSuspect(seat)
  }

  /** Nothing of the seat is opened until `resume`. */
  suspend(seat: Seat): void {
    seat.pause = 'backoff'
  }

  resume(seat: Seat): void {
    seat.pause = 'none'
  }

  #openTrouble(seat: Seat): Trouble {
    assert(seat.open !== undefined, `I2: ${keyOf(seat.id)} has an open batch that did not end`)
    const { startOffset } = seat.open
    return troubleOf(seat) ?? { startOffset, beginCount: 0, failureCount: 0, lossCount: 0, last: undefined }
  }

  #leave(seat: Seat): void {
    assert(seat.open === undefined, `I2: ${keyOf(seat.id)} leaves its lane only when none of its batches is open`)
    const lane = this.#lanes[seat.thread] ?? []
    lane.splice(lane.indexOf(seat), 1)
  }
}

function isDue({ phase, open, queue, pause }: Seat): boolean {
  return phase === 'ready' && open === undefined && queue.length > 0 && pause === 'none'
}

/** A thread was lost of its next or open batch, as far as can be told. */
function isSuspect(seat: Seat): boolean {
  return (troubleOf(seat)?.lossCount ?? 0) > 0
}

/** What went wrong with the batch that is open, or the next one. */
function troubleOf({ open, queue, troubles }: Seat): Trouble | undefined {
  const batch = open ?? queue[0]
  return batch === undefined ? undefined : troubles.get(batch.startOffset)
}

/** The newest are kept: after a restart at a save batches may be cut elsewhere, and some never come again. */
function setTrouble({ troubles }: Seat, trouble: Trouble): void {
  troubles.delete(trouble.startOffset)
  troubles.set(trouble.startOffset, trouble)
  const [oldest] = troubles.keys()
  if (troubles.size > TROUBLES_MAX && oldest !== undefined) troubles.delete(oldest)
}
