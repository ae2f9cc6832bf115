/** Rates between two readings of the counters, and their line in the log. Pure. */
import type { RateEvent } from '../consumer-events.ts'
import type { LogFields } from '../world.ts'

/** What a consumer has processed by a moment of the monotonic clock. */
export interface Counts {
  readonly atMs: number
  readonly batchCount: number
  readonly logCount: number
  /** Compressed. */
  readonly bodyBytes: number
  /** Decompressed. */
  readonly responseBytes: number
}

export function rateBetween(
  before: Counts,
  after: Counts,
  now: Pick<RateEvent, 'heldBytes' | 'partitionCount' | 'latency'>
): RateEvent {
  const seconds = Math.max(after.atMs - before.atMs, 1) / 1000
  return {
    logsPerSecond: (after.logCount - before.logCount) / seconds,
    bodyBytesPerSecond: (after.bodyBytes - before.bodyBytes) / seconds,
    responseBytesPerSecond: (after.responseBytes - before.responseBytes) / seconds,
    ...now
  }
}

export function rateFields(rate: RateEvent): LogFields {
  return {
    logsPerSecond: Math.round(rate.logsPerSecond),
    bodyMBPerSecond: toMegabytes(rate.bodyBytesPerSecond),
    responseMBPerSecond: toMegabytes(rate.responseBytesPerSecond),
    heldMB: toMegabytes(rate.heldBytes),
    partitions: rate.partitionCount,
    batchP50Ms: rate.latency.p50Ms,
    batchP99Ms: rate.latency.p99Ms
  }
}

function toMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
