/**
 * How late logs are, each from the moment it was due.
 *
 * In: for each log when it was due, when its processor began, when it was committed. Out: percentiles. No log is left out,
 * and none counts from the moment it happened to be asked for: where everything stands still for a second, every log that
 * was due in that second is late by what was left of it. That is what correcting for coordinated omission is to restore;
 * here nothing is omitted.
 */
import { build, type Histogram } from 'hdr-histogram-js'

export interface Percentiles {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export interface LatencySummary {
  /** From due to the begin of `process`. */
  readonly processed: Percentiles
  /** From due to the answer of the commit that covers it. */
  readonly committed: Percentiles
}

const MICROSECONDS = 1000
/** An hour: longer ones count as this. */
const LATENCY_MICROSECONDS_MAX = 3_600_000_000

export class LatencyHistogram {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MICROSECONDS_MAX,
    numberOfSignificantValueDigits: 3
  })

  record(ms: number): void {
    this.#histogram.recordValue(Math.min(LATENCY_MICROSECONDS_MAX, Math.max(0, Math.round(ms * MICROSECONDS))))
  }

  percentiles(): Percentiles {
    const at = (percentile: number) => this.#histogram.getValueAtPercentile(percentile) / MICROSECONDS
    return {
      count: this.#histogram.totalCount,
      p50Ms: at(50),
      p99Ms: at(99),
      p999Ms: at(99.9),
      maxMs: this.#histogram.maxValue / MICROSECONDS
    }
  }
}

/** What a processor tells of a batch whose logs have times. */
export interface Timed {
  readonly begunMs: number
  readonly dueMs: Float64Array
}

interface Open extends Timed {
  readonly nextOffset: bigint
}

/** Keeps batches until they are committed. */
export class LatencyBook {
  readonly #open = new Map<number, Open[]>()
  #processed = new LatencyHistogram()
  #committed = new LatencyHistogram()
  #fromMs = Number.POSITIVE_INFINITY

  /** Logs that were due before do not count: the warm-up is theirs. */
  openWindow(fromMs: number): void {
    this.#fromMs = fromMs
    this.#processed = new LatencyHistogram()
    this.#committed = new LatencyHistogram()
  }

  processed(partition: number, nextOffset: bigint, timed: Timed): void {
    const open = this.#open.get(partition) ?? []
    open.push({ ...timed, nextOffset })
    this.#open.set(partition, open)
    this.#record(this.#processed, timed.dueMs, timed.begunMs)
  }

  /** Everything before `offset` is. */
  committed(partition: number, offset: bigint, atMs: number): void {
    const open = this.#open.get(partition) ?? []
    while (open[0] !== undefined && open[0].nextOffset <= offset) {
      this.#record(this.#committed, open[0].dueMs, atMs)
      open.shift()
    }
  }

  summary(): LatencySummary {
    return { processed: this.#processed.percentiles(), committed: this.#committed.percentiles() }
  }

  #record(histogram: LatencyHistogram, dueMs: Float64Array, atMs: number): void {
    for (const due of dueMs) if (due >= this.#fromMs) histogram.record(atMs - due)
  }
}
