/**
 * What each thread did in a window of time, and how much of it each partition was.
 *
 * In: what threads have done so far, at the window's begin and at its end, and what each batch took. Out: shares of the
 * window. Pure but for what it adds up. Must never happen: a wait taken for work.
 *
 * What a batch took is no measure of its load: `process` may have waited, for a sink, or for another batch to let it go on.
 * How long the thread's event loop was busy is measured from outside, and is one: it is shared out among the partitions in
 * proportion to what their batches took. Where consumers share a thread, those of the others have their part in it.
 */
import type { ThreadWork } from '../world.ts'

export interface Reading {
  readonly atMs: number
  /** By thread; `undefined` where it is not up. */
  readonly works: readonly (ThreadWork | undefined)[]
}

export interface MeasuredThread<Seat> {
  /** `undefined` where it was not up all the time. */
  readonly busyShare: number | undefined
  readonly seats: readonly { readonly seat: Seat; readonly share: number }[]
}

export class LoadMeter<Seat extends object> {
  #begin: Reading = { atMs: 0, works: [] }
  readonly #spoilt = new Set<number>()
  /** What batches took, in this window. */
  #tookMs = new Map<Seat, number>()
  /** And in a window, of late. */
  readonly #usualMs = new WeakMap<Seat, number>()
  #usualBatchMs: readonly (number | undefined)[] = []

  begin(reading: Reading): void {
    this.#begin = reading
    this.#spoilt.clear()
    this.#tookMs = new Map()
  }

  /** A batch of the partition was processed, and took so long. */
  took(seat: Seat, ms: number): void {
    this.#tookMs.set(seat, (this.#tookMs.get(seat) ?? 0) + ms)
  }

  /** The thread has ended. */
  spoil(thread: number): void {
    this.#spoilt.add(thread)
  }

  /** `lanes`: which partitions each thread has now. */
  end(reading: Reading, lanes: readonly (readonly Seat[])[]): MeasuredThread<Seat>[] {
    const elapsedMs = reading.atMs - this.#begin.atMs
    const done = lanes.map((_, thread) => this.#done(thread, reading))
    this.#usualBatchMs = done.map((work, thread) => blend(this.#usualBatchMs[thread], work?.batchMs ?? 0))
    return lanes.map((seats, thread) => {
      const work = done[thread]
      const busyShare = work === undefined || elapsedMs <= 0 ? undefined : Math.min(1, work.busyMs / elapsedMs)
      const usual = seats.map(seat => ({ seat, ms: this.#usual(seat) }))
      const ownMs = usual.reduce((total, { ms }) => total + ms, 0)
      // Less than our own it was where one of them has just come from another thread.
      const allMs = Math.max(ownMs, this.#usualBatchMs[thread] ?? 0, Number.MIN_VALUE)
      return { busyShare, seats: usual.map(({ seat, ms }) => ({ seat, share: (busyShare ?? 0) * (ms / allMs) })) }
    })
  }

  #done(thread: number, { works }: Reading): ThreadWork | undefined {
    const [before, after] = [this.#begin.works[thread], works[thread]]
    if (before === undefined || after === undefined || this.#spoilt.has(thread)) return undefined
    return { busyMs: after.busyMs - before.busyMs, batchMs: after.batchMs - before.batchMs }
  }

  #usual(seat: Seat): number {
    const usualMs = blend(this.#usualMs.get(seat), this.#tookMs.get(seat) ?? 0)
    this.#usualMs.set(seat, usualMs)
    return usualMs
  }
}

/** A batch counts in the window in which it ends: one that takes longer than a window would come and go. */
function blend(before: number | undefined, now: number): number {
  return before === undefined ? now : (before + now) / 2
}
