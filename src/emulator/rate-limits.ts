/**
 * How often the emulated service lets itself be asked.
 *
 * In: what is asked for, how often a second that may be, and the moment. Out: whether it may. Counts what it let pass in
 * the second before, so that a client which stays below the limit is never refused; what was refused does not count.
 */
const WINDOW_MS = 1000

export class RateLimits {
  /** Moments of what was let pass, the oldest first. */
  readonly #passed = new Map<string, number[]>()

  allows(key: string, perSecond: number, nowMs: number): boolean {
    const recent = (this.#passed.get(key) ?? []).filter(atMs => nowMs - atMs < WINDOW_MS)
    this.#passed.set(key, recent)
    if (recent.length >= perSecond) return false
    recent.push(nowMs)
    return true
  }

  /** When the clock is set. */
  clear(): void {
    this.#passed.clear()
  }
}
