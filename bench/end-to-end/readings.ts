/** What a consuming process tells of itself, at a moment and at its end. Plain values. */
import type { LatencySummary } from './latency.ts'
import type { ServerAccess } from './server-process.ts'
import type { Contender, Workload } from './workload.ts'

export interface Reading {
  /** On the host's monotonic clock. */
  readonly atMs: number
  /** Of all threads of the process, so far. */
  readonly cpuMs: number
  /** Of the main thread; undefined where the system does not tell. */
  readonly mainCpuMs: number | undefined
  /** Of the threads that process. */
  readonly threadsCpuMs: number | undefined
  /** The main thread stood still for its garbage collection. */
  readonly mainGcMs: number
  readonly threadsGcMs: number
  readonly batchCount: number
  readonly logCount: number
  /** Compressed. */
  readonly bodyBytes: number
  /** JSON. */
  readonly responseBytes: number
  readonly rssBytes: number
  readonly rssPeakBytes: number
  /** Since `openWindow`; undefined where nothing watched it. */
  readonly loopDelayP99Ms: number | undefined
}

/** How far a partition has come. */
export interface EndPosition {
  readonly partition: number
  readonly offset: number
}

/** After everything has ended. */
export interface Outcome {
  readonly positions: readonly EndPosition[]
  /** That went through the processor: more than are settled would be repeats. */
  readonly processedLogCount: number
  readonly hitCount: number
  /** Logs that are settled, by the consumer's own account. */
  readonly settledLogCount: number
  /** Batches that did not begin where the one before ended. */
  readonly breakCount: number
  /** Of logs that were due since `openWindow`; undefined where none had a time. */
  readonly latency: LatencySummary | undefined
}

export interface StartConsuming {
  readonly contender: Contender
  readonly access: ServerAccess
  readonly workload: Workload
  /** A fresh one each time, so that it begins at the beginning. */
  readonly group: string
}
