/**
 * How long a pull chain waits: after a pull that brought nothing, and after one that failed.
 *
 * In: what the last pulls brought. Out: a delay in ms. Pure. While logs come there is no delay at all; a partition that
 * falls silent is asked again after 50 ms, then less and less often, down to once per `pollIntervalMs`. Partitions that
 * are silent for long fall into step: one wake-up of the process then pulls from many.
 */

const IDLE_FIRST_MS = 50
const IDLE_FACTOR = 1.5
/** Moments in a `pollIntervalMs` at which silent partitions are asked: all at one would be a burst. */
const STEPS_PER_INTERVAL = 4
const FAILURE_FIRST_MS = 100
const FAILURE_MAX_MS = 10_000

export class Pace {
  readonly #pollIntervalMs: number
  #idleCount = 0
  #failureCount = 0

  constructor(pollIntervalMs: number) {
    this.#pollIntervalMs = pollIntervalMs
  }

  /** Logs came. */
  advanced(): void {
    this.#idleCount = 0
    this.#failureCount = 0
  }

  /** Nothing new: the delay before asking again, `nowMs` being on the monotonic clock. */
  idleMs(nowMs: number): number {
    this.#failureCount = 0
    const delayMs = IDLE_FIRST_MS * IDLE_FACTOR ** this.#idleCount
    this.#idleCount += 1
    return delayMs < this.#pollIntervalMs ? delayMs : this.#untilStep(nowMs)
  }

  /** The last step within an interval from now. */
  #untilStep(nowMs: number): number {
    const stepMs = this.#pollIntervalMs / STEPS_PER_INTERVAL
    if (stepMs < IDLE_FIRST_MS) return this.#pollIntervalMs
    return this.#pollIntervalMs - (nowMs % stepMs)
  }

  /** A failure that a later pull may not meet: exponential backoff, its upper half by chance. `random` is in [0, 1). */
  backoffMs(random: number): number {
    const ceilingMs = Math.min(FAILURE_MAX_MS, FAILURE_FIRST_MS * 2 ** this.#failureCount)
    this.#failureCount += 1
    return Math.ceil(ceilingMs * (0.5 + random / 2))
  }

  get failureCount(): number {
    return this.#failureCount
  }
}
