/**
 * How long batches take from their arrival to being settled, since the last reading.
 *
 * In: one duration a batch. Out: percentiles. Bounded memory, whatever the count: an HDR histogram of three digits.
 */
import { build, type Histogram } from 'hdr-histogram-js'

/** Longer ones count as this. */
const LATENCY_MS_MAX = 3_600_000

export interface Percentiles {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export class LatencyRecorder {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MS_MAX,
    numberOfSignificantValueDigits: 3
  })

  record(latencyMs: number): void {
    this.#histogram.recordValue(Math.min(LATENCY_MS_MAX, Math.max(0, Math.round(latencyMs))))
  }

  /** Percentiles of what was recorded since the last call; zeros where nothing was. */
  take(): Percentiles {
    const percentiles = {
      p50Ms: this.#histogram.getValueAtPercentile(50),
      p99Ms: this.#histogram.getValueAtPercentile(99),
      maxMs: this.#histogram.maxValue
    }
    this.#histogram.reset()
    return percentiles
  }
}
