/** Made-up readings, runs and scenes: what the bench's arithmetic is tried on. */
import type { Run, Window } from '../../../bench/end-to-end/figures.ts'
import type { Reading } from '../../../bench/end-to-end/readings.ts'
import type { SceneResult } from '../../../bench/end-to-end/run.ts'
import { type SceneName, sceneOf } from '../../../bench/end-to-end/scenes.ts'
import type { ServerReading } from '../../../bench/end-to-end/server-process.ts'

export function reading(change: Partial<Reading> = {}): Reading {
  return {
    atMs: 0,
    cpuMs: 0,
    mainCpuMs: 0,
    threadsCpuMs: 0,
    mainGcMs: 0,
    threadsGcMs: 0,
    batchCount: 0,
    logCount: 0,
    bodyBytes: 0,
    responseBytes: 0,
    rssBytes: 0,
    rssPeakBytes: 0,
    loopDelayP99Ms: undefined,
    ...change
  }
}

export function serverReading(change: Partial<ServerReading> = {}): ServerReading {
  return { atMs: 0, cpuMs: 0, pullCounts: [], heartbeatsAtMs: [], commitsAtMs: [], beganMs: 0, ...change }
}

/** Ten seconds in which nothing happened but for what is given. */
export function tenSeconds(change: Partial<Window> = {}): Window {
  return {
    before: reading(),
    after: reading({ atMs: 10_000 }),
    serverBefore: serverReading(),
    serverAfter: serverReading({ atMs: 10_000 }),
    rssSamples: [1, 1],
    ...change
  }
}

export function run(change: Partial<Run> = {}): Run {
  return {
    contender: 'ours',
    seconds: 1,
    batchCount: 0,
    logCount: 0,
    bodyBytes: 1e6,
    responseBytes: 4e6,
    cpuPerGb: { total: 1, main: 0.5, threads: 0.25, collections: 0.25 },
    consumerCores: 1,
    serverCores: 0.1,
    limit: 'neither',
    bodyMbPerSecond: 1,
    responseMbPerSecond: 4,
    logsPerSecond: 0,
    batchesPerSecond: 0,
    pullsPerSecond: [],
    rssPeakBytes: 0,
    rssGrowth: 0,
    loopDelayP99Ms: undefined,
    heartbeatCount: 0,
    lateHeartbeatCount: 0,
    commitsPerInterval: 0,
    latency: undefined,
    ...change
  }
}

export function scene(name: SceneName, runs: readonly Run[], change: Partial<SceneResult> = {}): SceneResult {
  return { ...sceneOf(name, false), runs, decoded: [], ...change }
}
