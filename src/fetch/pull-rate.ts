/**
 * Keeps the pulls of one partition within the service's limit.
 *
 * In: when pulls were sent, on the monotonic clock. Out: how long the next must wait. Pure. Without it a partition
 * whose responses bring one small message each would be pulled as fast as the network allows, only to be refused.
 */

/** Documented limit: 200 pulls a second per partition, then HTTP 429. Less, as the network may push pulls together. */
export const PULLS_PER_WINDOW = 190
export const WINDOW_MS = 1000

export class PullRate {
  /** When the last pulls were sent: a ring, written at `#at`, oldest first from there once it is full. */
  readonly #sentMs: number[] = []
  #at = 0

  /** 0 where a pull may be sent now: no window of `WINDOW_MS` then holds more than `PULLS_PER_WINDOW`. */
  waitMs(nowMs: number): number {
    const oldest = this.#sentMs.length < PULLS_PER_WINDOW ? undefined : this.#sentMs[this.#at]
    return oldest === undefined ? 0 : Math.max(0, oldest + WINDOW_MS - nowMs)
  }

  sent(nowMs: number): void {
    this.#sentMs[this.#at] = nowMs
    this.#at = (this.#at + 1) % PULLS_PER_WINDOW
  }
}
