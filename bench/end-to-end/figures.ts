/**
 * From two readings to the figures of a run. Pure.
 *
 * In: what the consuming process and the server told at the begin and the end of a window. Out: costs, rates, and what
 * limited the run. CPU time is split so that the parts add up: threads that the engine keeps for itself do little else
 * than collect once everything is compiled, so they count with the pauses of the others.
 */
import { median } from '../statistics.ts'
import type { LatencySummary } from './latency.ts'
import type { Reading } from './readings.ts'
import type { ServerReading } from './server-process.ts'
import type { Contender, Workload } from './workload.ts'

export interface CpuSplit {
  readonly total: number
  /** The three are undefined where the system does not tell the time of a thread. */
  readonly main: number | undefined
  readonly threads: number | undefined
  readonly collections: number | undefined
}

/** What the run would have to have more of to be faster: as far as CPU time shows. */
export type Limit = 'server' | 'host' | 'neither'

export interface Run {
  readonly contender: Contender
  readonly seconds: number
  readonly batchCount: number
  readonly logCount: number
  /** Compressed. */
  readonly bodyBytes: number
  /** JSON. */
  readonly responseBytes: number
  /** CPU-seconds per GB of JSON; null in JSON where nothing came. */
  readonly cpuPerGb: CpuSplit
  readonly consumerCores: number
  readonly serverCores: number
  readonly limit: Limit
  readonly bodyMbPerSecond: number
  readonly responseMbPerSecond: number
  readonly logsPerSecond: number
  readonly batchesPerSecond: number
  /** By partition. */
  readonly pullsPerSecond: readonly number[]
  readonly rssPeakBytes: number
  /** Of the window's last tenth over its first, less 1. */
  readonly rssGrowth: number
  readonly loopDelayP99Ms: number | undefined
  readonly heartbeatCount: number
  readonly lateHeartbeatCount: number
  readonly commitsPerInterval: number
  readonly latency: LatencySummary | undefined
}

export interface Window {
  readonly before: Reading
  readonly after: Reading
  readonly serverBefore: ServerReading
  readonly serverAfter: ServerReading
  /** One by one, over the window. */
  readonly rssSamples: readonly number[]
}

export function runOf(
  contender: Contender,
  window: Window,
  { heartbeatIntervalMs, commitIntervalMs }: Workload,
  latency: LatencySummary | undefined,
  hostCores: number
): Run {
  const { before, after, serverBefore, serverAfter, rssSamples } = window
  const seconds = (after.atMs - before.atMs) / 1000
  const serverSeconds = (serverAfter.atMs - serverBefore.atMs) / 1000
  const cores = {
    consumerCores: (after.cpuMs - before.cpuMs) / 1000 / seconds,
    serverCores: (serverAfter.cpuMs - serverBefore.cpuMs) / 1000 / serverSeconds
  }
  const batchCount = after.batchCount - before.batchCount
  const logCount = after.logCount - before.logCount
  const bodyBytes = after.bodyBytes - before.bodyBytes
  const responseBytes = after.responseBytes - before.responseBytes
  const heartbeats = serverAfter.heartbeatsAtMs.filter(atMs => atMs >= serverBefore.atMs)
  return {
    contender,
    seconds,
    batchCount,
    logCount,
    bodyBytes,
    responseBytes,
    cpuPerGb: cpuPerGb(before, after, responseBytes),
    ...cores,
    limit: limitOf({ ...cores, hostCores }),
    bodyMbPerSecond: bodyBytes / 1e6 / seconds,
    responseMbPerSecond: responseBytes / 1e6 / seconds,
    logsPerSecond: logCount / seconds,
    batchesPerSecond: batchCount / seconds,
    pullsPerSecond: serverAfter.pullCounts.map(
      (count, partition) => (count - (serverBefore.pullCounts[partition] ?? 0)) / serverSeconds
    ),
    rssPeakBytes: after.rssPeakBytes,
    rssGrowth: growthOf(rssSamples),
    loopDelayP99Ms: after.loopDelayP99Ms,
    heartbeatCount: heartbeats.length,
    lateHeartbeatCount: lateCount(heartbeats, heartbeatIntervalMs),
    commitsPerInterval: callsPerInterval(
      serverAfter.commitsAtMs.filter(atMs => atMs >= serverBefore.atMs),
      commitIntervalMs
    ),
    latency
  }
}

/** CPU-seconds per GB of JSON. Pauses are told in time that passed: of a thread that had to wait for its core, too much. */
export function cpuPerGb(before: Reading, after: Reading, responseBytes: number): CpuSplit {
  const perGb = (ms: number) => ms / 1000 / (responseBytes / 1e9)
  const spent = (name: 'cpuMs' | 'mainGcMs' | 'threadsGcMs') => after[name] - before[name]
  const totalMs = spent('cpuMs')
  const mainMs = difference(after.mainCpuMs, before.mainCpuMs)
  const threadsMs = difference(after.threadsCpuMs, before.threadsCpuMs)
  if (mainMs === undefined || threadsMs === undefined) {
    return { total: perGb(totalMs), main: undefined, threads: undefined, collections: undefined }
  }
  const ownMainMs = Math.max(0, mainMs - spent('mainGcMs'))
  const ownThreadsMs = Math.max(0, threadsMs - spent('threadsGcMs'))
  return {
    total: perGb(totalMs),
    main: perGb(ownMainMs),
    threads: perGb(ownThreadsMs),
    collections: perGb(Math.max(0, totalMs - ownMainMs - ownThreadsMs))
  }
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before
}

/** Of one core that the server has, or of all that the host has, this much is all. */
const FULL_SHARE = 0.9

/** The server answers on one thread. Where it is busy all the time, nobody can be faster than it. */
export function limitOf(cores: { serverCores: number; consumerCores: number; hostCores: number }): Limit {
  const { serverCores, consumerCores, hostCores } = cores
  if (serverCores >= FULL_SHARE) return 'server'
  return serverCores + consumerCores >= FULL_SHARE * hostCores ? 'host' : 'neither'
}

/** How much later than due a heartbeat may come, of its interval. */
const LATE_SHARE = 0.1

export function lateCount(atMs: readonly number[], intervalMs: number): number {
  return gaps(atMs).filter(gapMs => gapMs > intervalMs * (1 + LATE_SHARE)).length
}

/** Over the time from the first call to the last; 0 of fewer than two. */
export function callsPerInterval(atMs: readonly number[], intervalMs: number): number {
  const [first, last] = [atMs[0], atMs.at(-1)]
  if (first === undefined || last === undefined || last === first) return 0
  return (atMs.length - 1) / ((last - first) / intervalMs)
}

function gaps(atMs: readonly number[]): number[] {
  return atMs.slice(1).map((each, index) => each - (atMs[index] ?? each))
}

/** Of medians, so that one peak is no growth. */
export function growthOf(samples: readonly number[]): number {
  const tenth = Math.max(1, Math.floor(samples.length / 10))
  return median(samples.slice(-tenth)) / median(samples.slice(0, tenth)) - 1
}

/** How much longer others' pulls are apart where one is slow, and how much they are apart by chance alone. */
export interface Delay {
  readonly delayMs: number
  readonly noiseMs: number
}

/** Fewer could not be told from the timers' own inaccuracy. */
const NOISE_MS_MIN = 0.5

/** `even`, `slowed`: pulls per second of each of the other partitions, by run. */
export function delayBetween(even: readonly (readonly number[])[], slowed: readonly (readonly number[])[]): Delay {
  const intervals = (runs: readonly (readonly number[])[]) =>
    runs.map(partitions => 1000 / (partitions.reduce((sum, rate) => sum + rate, 0) / partitions.length))
  const [evenMs, slowedMs] = [intervals(even), intervals(slowed)]
  return {
    delayMs: median(slowedMs) - median(evenMs),
    noiseMs: Math.max(NOISE_MS_MIN, Math.max(...evenMs) - Math.min(...evenMs))
  }
}
