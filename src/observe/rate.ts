/** Rates between two readings of the counters, and their line in the log. Pure. */
import type { RateEvent } from '../consumer-events.ts'
import type { LogFields } from '../world.ts'

/** What a consumer has done by a moment of the monotonic clock. */
export interface Counts extends Totals {
  readonly atMs: number
}

/** What each is, `ConsumerSnapshot` says. */
export type GivenUpCounts = Pick<RateEvent, 'skippedBatchCount' | 'skippedMessageCount' | 'deadLetterCount'>

/** What is so now. */
export type Gauges = Pick<RateEvent, 'heldBytes' | 'heldBytesMax' | 'partitionCount'>

export interface Totals extends GivenUpCounts {
  readonly batchCount: number
  readonly logCount: number
  /** Compressed. */
  readonly bodyBytes: number
  /** Decompressed. */
  readonly responseBytes: number
}

export function rateBetween(before: Counts, after: Counts, now: Gauges & Pick<RateEvent, 'latency'>): RateEvent {
  const seconds = Math.max(after.atMs - before.atMs, 1) / 1000
  return {
    logsPerSecond: (after.logCount - before.logCount) / seconds,
    bodyBytesPerSecond: (after.bodyBytes - before.bodyBytes) / seconds,
    responseBytesPerSecond: (after.responseBytes - before.responseBytes) / seconds,
    skippedBatchCount: after.skippedBatchCount - before.skippedBatchCount,
    skippedMessageCount: after.skippedMessageCount - before.skippedMessageCount,
    deadLetterCount: after.deadLetterCount - before.deadLetterCount,
    ...now
  }
}

export function rateFields(rate: RateEvent): LogFields {
  return {
    logsPerSecond: Math.round(rate.logsPerSecond),
    bodyMBPerSecond: toMegabytes(rate.bodyBytesPerSecond),
    responseMBPerSecond: toMegabytes(rate.responseBytesPerSecond),
    heldMB: toMegabytes(rate.heldBytes),
    heldMaxMB: toMegabytes(rate.heldBytesMax),
    partitions: rate.partitionCount,
    batchP50Ms: rate.latency.p50Ms,
    batchP99Ms: rate.latency.p99Ms,
    ...givenUpFields(rate)
  }
}

/** Only what there is. */
export function givenUpFields({ skippedBatchCount, skippedMessageCount, deadLetterCount }: GivenUpCounts): LogFields {
  return {
    ...(skippedBatchCount === 0 ? {} : { skippedBatches: skippedBatchCount }),
    ...(skippedMessageCount === 0 ? {} : { skippedMessages: skippedMessageCount }),
    ...(deadLetterCount === 0 ? {} : { deadLetters: deadLetterCount })
  }
}

function toMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
