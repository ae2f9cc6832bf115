/**
 * What a consumer has processed and given up, and the rate of it every ten seconds.
 *
 * In: batches as they are settled, skips, dead letters. Out: totals, and a rate with latencies since the last one.
 */
import type { RateEvent } from '../consumer-events.ts'
import type { Timer, World } from '../world.ts'
import { LatencyRecorder } from './latency.ts'
import { type Counts, type Gauges, rateBetween, type Totals } from './rate.ts'

const RATE_INTERVAL_MS = 10_000

const NOTHING: Totals = {
  batchCount: 0,
  logCount: 0,
  bodyBytes: 0,
  responseBytes: 0,
  skippedBatchCount: 0,
  skippedMessageCount: 0,
  deadLetterCount: 0
}

export class Throughput {
  readonly #world: Pick<World, 'clock' | 'timers'>
  readonly #gauges: () => Gauges
  readonly #told: (rate: RateEvent) => void
  readonly #latency = new LatencyRecorder()
  #totals = NOTHING
  #timer: Timer | undefined

  constructor(world: Pick<World, 'clock' | 'timers'>, gauges: () => Gauges, told: (rate: RateEvent) => void) {
    this.#world = world
    this.#gauges = gauges
    this.#told = told
  }

  /** Since the beginning. */
  get totals(): Totals {
    return this.#totals
  }

  add(batch: Pick<Counts, 'logCount' | 'bodyBytes' | 'responseBytes'>, latencyMs: number): void {
    this.#latency.record(latencyMs)
    const { batchCount, logCount, bodyBytes, responseBytes } = this.#totals
    this.#totals = {
      ...this.#totals,
      batchCount: batchCount + 1,
      logCount: logCount + batch.logCount,
      bodyBytes: bodyBytes + batch.bodyBytes,
      responseBytes: responseBytes + batch.responseBytes
    }
  }

  skipped({ batchCount, messageCount }: { readonly batchCount: number; readonly messageCount: number }): void {
    const { skippedBatchCount, skippedMessageCount } = this.#totals
    this.#totals = {
      ...this.#totals,
      skippedBatchCount: skippedBatchCount + batchCount,
      skippedMessageCount: skippedMessageCount + messageCount
    }
  }

  deadLettered(letterCount: number): void {
    this.#totals = { ...this.#totals, deadLetterCount: this.#totals.deadLetterCount + letterCount }
  }

  start(): void {
    this.#watch(this.#read())
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #watch(before: Counts): void {
    this.#timer = this.#world.timers.after(RATE_INTERVAL_MS, () => {
      const after = this.#read()
      this.#told(rateBetween(before, after, { ...this.#gauges(), latency: this.#latency.take() }))
      this.#watch(after)
    })
  }

  #read(): Counts {
    return { ...this.#totals, atMs: this.#world.clock.monotonic() }
  }
}
