/**
 * Which partition changes its thread, so that no thread falls behind while another idles.
 *
 * In: what each thread did in a window of time, and how much of it each of its partitions was. Out: one move, or none. Pure:
 * a window is whatever its caller says. Must never happen: a partition that goes back and forth; a move after which another
 * thread is as full as the one that was to be relieved.
 *
 * A move costs something: its partition stands still for a moment, `revoke` and `assign` run, and what the processor keeps
 * begins anew. So it must be needed: a thread is nearly full, and has work waiting, in two windows in a row. And it must
 * help: the fuller of the two threads is then less full by a tenth. With loads that stay as they are this comes to an end,
 * since each move takes something from the fullest. With loads that change, what has moved rests.
 */

export interface SeatLoad<Seat> {
  readonly seat: Seat
  /** Of the window, its thread was busy with it: 0 … 1. */
  readonly share: number
  /** It has work, and nothing else is being done about it. */
  readonly mayMove: boolean
}

export interface ThreadLoad<Seat> {
  /** Of the window it was busy, with whatever: 0 … 1; `undefined` where it was not up all the time. */
  readonly busyShare: number | undefined
  /** At the window's end it had batches to open. */
  readonly hasWaiting: boolean
  readonly seats: readonly SeatLoad<Seat>[]
}

export interface Move<Seat> {
  readonly seat: Seat
  readonly share: number
  readonly from: number
  readonly fromShare: number
  readonly to: number
  readonly toShare: number
}

/** Nearly full: what little is left goes by between one batch and the next. */
const FULL_SHARE = 0.9
/** In a row: one may be the backlog of a partition that has just come. */
const PRESSED_WINDOWS_MIN = 2
/** Of what the fuller thread does. Less is within what windows differ by. */
const GAIN_SHARE_MIN = 0.1
/** For how many windows a partition stays where it has come to. */
export const REST_WINDOWS = 6
/** Loads that differ by less are alike. */
const LIKE_SHARE = 0.1

export class Balance<Seat extends object> {
  /** By thread: for how many windows in a row it has been too much for it. */
  #pressedCounts: readonly number[] = []
  readonly #restsUntil = new WeakMap<Seat, number>()
  #window = 0

  /** What should move now. Whoever moves it, or another, says so by `moved`. */
  decide(threads: readonly ThreadLoad<Seat>[]): Move<Seat> | undefined {
    this.#window += 1
    this.#pressedCounts = threads.map((load, thread) => (isPressed(load) ? (this.#pressedCounts[thread] ?? 0) + 1 : 0))
    const to = idlestOf(threads)
    let best: Move<Seat> | undefined
    for (const from of threads.keys()) {
      if ((this.#pressedCounts[from] ?? 0) < PRESSED_WINDOWS_MIN || to === undefined) continue
      for (const move of movesFrom(threads, from, to)) {
        if (this.#isResting(move.seat) || gainOf(move) < GAIN_SHARE_MIN * move.fromShare) continue
        if (best === undefined || gainOf(move) > gainOf(best)) best = move
      }
    }
    return best
  }

  /** The seat has changed its thread: what was measured before says little of what is now. */
  moved(seat: Seat): void {
    this.#restsUntil.set(seat, this.#window + REST_WINDOWS)
    this.#pressedCounts = []
  }

  #isResting(seat: Seat): boolean {
    return this.#window <= (this.#restsUntil.get(seat) ?? 0)
  }
}

/**
 * Where a partition that comes is seated: where the least is done, and of threads that do about as much, where the fewest
 * sit; of several, the next one from `first` on. `shares`: what each thread is expected to do; empty where nobody knows.
 */
export function chooseThread(seatCounts: readonly number[], shares: readonly number[], first: number): number {
  const inTurn = [...seatCounts.keys()].map(index => (index + first) % seatCounts.length)
  const shareOf = (thread: number): number => shares[thread] ?? 0
  const least = Math.min(...inTurn.map(shareOf))
  const alike = inTurn.filter(thread => shareOf(thread) < least + LIKE_SHARE)
  const fewest = Math.min(...alike.map(thread => seatCounts[thread] ?? 0))
  return alike.find(thread => seatCounts[thread] === fewest) ?? first % seatCounts.length
}

/**
 * What each thread will do with the partitions it has now, from what was measured while it had others: each that has come
 * or gone since counts as an average one. Empty where a share was not measured.
 */
export function expectShares(
  measured: readonly (number | undefined)[],
  countsThen: readonly number[],
  countsNow: readonly number[]
): number[] {
  const known = measured.filter(share => share !== undefined)
  if (known.length < measured.length) return []
  const average = sum(known) / Math.max(1, sum(countsThen))
  return known.map((share, thread) =>
    Math.max(0, share + average * ((countsNow[thread] ?? 0) - (countsThen[thread] ?? 0)))
  )
}

function isPressed({ busyShare, hasWaiting }: ThreadLoad<unknown>): boolean {
  return hasWaiting && busyShare !== undefined && busyShare >= FULL_SHARE
}

function idlestOf(threads: readonly ThreadLoad<unknown>[]): number | undefined {
  let idlest: number | undefined
  let leastShare = Number.POSITIVE_INFINITY
  for (const [thread, { busyShare }] of threads.entries()) {
    if (busyShare === undefined || busyShare >= leastShare) continue
    idlest = thread
    leastShare = busyShare
  }
  return idlest
}

/** None of a partition that is alone there: its thread is as full wherever it goes. */
function movesFrom<Seat>(threads: readonly ThreadLoad<Seat>[], from: number, to: number): Move<Seat>[] {
  const { busyShare: fromShare, seats = [] } = threads[from] ?? {}
  const toShare = threads[to]?.busyShare
  if (from === to || fromShare === undefined || toShare === undefined || seats.length < 2) return []
  return seats
    .filter(({ mayMove }) => mayMove)
    .map(({ seat, share }) => ({ seat, share, from, fromShare, to, toShare }))
}

/** By how much the fuller of the two is less full afterwards. */
function gainOf({ share, fromShare, toShare }: Move<unknown>): number {
  return fromShare - Math.max(fromShare - share, toShare + share)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
