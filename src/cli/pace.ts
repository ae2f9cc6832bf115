/**
 * When the next log is due.
 *
 * In: a rate, or none. Out: waits, so that the rate holds on average from the first log on: what was late is made up for.
 * Must never happen: a source without any wait of its own, such as made-up logs, that keeps everything else (answers,
 * signals, the status line) from running.
 */
import type { Clock, Timers } from '../world.ts'

/** Timers are coarse: short waits are left to add up. */
const WAIT_LEAST_MS = 20
/** Others run at least this often. */
const TURN_MS = 20
/** Without a rate, the clock is looked at once in so many logs. */
const LOOK_LOGS = 100

export class Pace {
  readonly #logsPerSecond: number | undefined
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #startedMs: number
  #turnedMs: number
  #takenCount = 0

  constructor(logsPerSecond: number | undefined, clock: Clock, timers: Timers) {
    this.#logsPerSecond = logsPerSecond
    this.#clock = clock
    this.#timers = timers
    this.#startedMs = clock.monotonic()
    this.#turnedMs = this.#startedMs
  }

  /** After each log; resolves once the next one is due, or `ended` aborts. */
  async next(ended: AbortSignal): Promise<void> {
    this.#takenCount++
    if (this.#logsPerSecond === undefined && this.#takenCount % LOOK_LOGS !== 0) return
    const nowMs = this.#clock.monotonic()
    const waitMs = this.#dueMs(nowMs) - nowMs
    if (waitMs < WAIT_LEAST_MS && nowMs - this.#turnedMs < TURN_MS) return
    await this.#timers.sleep(Math.max(0, waitMs), ended).catch(error => {
      if (!ended.aborted) throw error
    })
    this.#turnedMs = this.#clock.monotonic()
  }

  #dueMs(nowMs: number): number {
    return this.#logsPerSecond === undefined ? nowMs : this.#startedMs + (this.#takenCount / this.#logsPerSecond) * 1000
  }
}
