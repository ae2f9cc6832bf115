import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  callsPerInterval,
  cpuPerGb,
  delayBetween,
  growthOf,
  lateCount,
  limitOf,
  runOf
} from '../../../bench/end-to-end/figures.ts'
import { DEFAULT_WORKLOAD } from '../../../bench/end-to-end/workload.ts'
import { reading, serverReading, tenSeconds } from './made-up.ts'

const GB = 1e9

describe('CPU per GB of JSON', () => {
  const before = reading({ cpuMs: 1000, mainCpuMs: 400, threadsCpuMs: 500, mainGcMs: 10, threadsGcMs: 20 })

  test('is of the window alone, and its parts add up to the whole', () => {
    const after = reading({ cpuMs: 5000, mainCpuMs: 1400, threadsCpuMs: 2500, mainGcMs: 110, threadsGcMs: 220 })
    // 4 s in all: 1 s main with 0.1 s of pauses, 2 s threads with 0.2 s, and 1 s of the engine's own threads.
    const split = cpuPerGb(before, after, 2 * GB)
    assert.deepEqual(split, { total: 2, main: 0.45, threads: 0.9, collections: 0.65 })
  })

  test('has no parts where the system does not tell the time of a thread', () => {
    const after = reading({ cpuMs: 3000, mainCpuMs: undefined })
    const none = { main: undefined, threads: undefined, collections: undefined }
    assert.deepEqual(cpuPerGb(before, after, GB), { total: 2, ...none })
    assert.deepEqual(cpuPerGb(reading({ threadsCpuMs: undefined }), reading({ cpuMs: 2000 }), GB), {
      total: 2,
      ...none
    })
  })

  test('has no part below zero where pauses waited for a core', () => {
    const after = reading({ cpuMs: 2000, mainCpuMs: 500, threadsCpuMs: 600, mainGcMs: 900, threadsGcMs: 20 })
    const { main, threads, collections } = cpuPerGb(before, after, GB)
    assert.deepEqual([main, threads, collections], [0, 0.1, 0.9])
  })
})

test('a run has its rates over its own window, and the server over its own', () => {
  const { heartbeatIntervalMs } = DEFAULT_WORKLOAD
  const window = tenSeconds({
    before: reading({ batchCount: 5, logCount: 50, bodyBytes: 1e6, responseBytes: 4e6 }),
    after: reading({
      atMs: 10_000,
      cpuMs: 15_000,
      batchCount: 25,
      logCount: 1050,
      bodyBytes: 21e6,
      responseBytes: 84e6,
      rssPeakBytes: 7
    }),
    serverBefore: serverReading({ atMs: 100, cpuMs: 50, pullCounts: [1, 2] }),
    serverAfter: serverReading({
      atMs: 20_100,
      cpuMs: 4050,
      pullCounts: [41, 22],
      // The first is of the warm-up.
      heartbeatsAtMs: [0, 200, 200 + heartbeatIntervalMs],
      commitsAtMs: [50, 1000, 2000, 3000]
    })
  })
  const figures = runOf('ours', window, DEFAULT_WORKLOAD, undefined, 4)
  assert.equal(figures.seconds, 10)
  assert.deepEqual([figures.batchesPerSecond, figures.logsPerSecond], [2, 100])
  assert.deepEqual([figures.bodyMbPerSecond, figures.responseMbPerSecond], [2, 8])
  assert.deepEqual([figures.consumerCores, figures.serverCores, figures.limit], [1.5, 0.2, 'neither'])
  assert.deepEqual(figures.pullsPerSecond, [2, 1])
  assert.deepEqual([figures.heartbeatCount, figures.lateHeartbeatCount, figures.commitsPerInterval], [2, 0, 1])
  assert.equal(figures.rssPeakBytes, 7)
})

test('the server is the limit where its one thread is busy, and the host where all its cores are', () => {
  assert.equal(limitOf({ serverCores: 0.95, consumerCores: 0.2, hostCores: 16 }), 'server')
  assert.equal(limitOf({ serverCores: 0.95, consumerCores: 1.05, hostCores: 2 }), 'server')
  assert.equal(limitOf({ serverCores: 0.3, consumerCores: 1.6, hostCores: 2 }), 'host')
  assert.equal(limitOf({ serverCores: 0.85, consumerCores: 0.9, hostCores: 2 }), 'neither')
  assert.equal(limitOf({ serverCores: 0.3, consumerCores: 1.6, hostCores: 4 }), 'neither')
})

test('a heartbeat is late past a tenth of its interval, counted from the one before', () => {
  assert.equal(lateCount([0, 1000, 2100, 3100], 1000), 0)
  assert.equal(lateCount([0, 1000, 2101, 3000, 4200], 1000), 2)
  assert.equal(lateCount([5], 1000), 0)
})

test('calls per interval are counted over the time from the first to the last', () => {
  assert.equal(callsPerInterval([500, 1500, 2500], 1000), 1)
  assert.equal(callsPerInterval([0, 500, 1000], 1000), 2)
  assert.equal(callsPerInterval([7], 1000), 0)
  assert.equal(callsPerInterval([], 1000), 0)
})

test('growth is that of the last tenth over the first, and a peak is none', () => {
  const samples = [100, 100, 100, ...Array.from({ length: 24 }, () => 500), 110, 110, 900]
  assert.ok(Math.abs(growthOf(samples) - 0.1) < 1e-9)
  assert.equal(growthOf([200, 150]), -0.25)
  assert.equal(growthOf([200]), 0)
})

test('a delay is how much longer pulls are apart, beside how much they differ by chance', () => {
  const even = [
    [20, 20],
    [10, 30],
    [19, 19]
  ]
  const slowed = [
    [10, 10],
    [10, 10],
    [20, 20]
  ]
  const { delayMs, noiseMs } = delayBetween(even, slowed)
  assert.equal(delayMs, 50)
  assert.ok(Math.abs(noiseMs - (1000 / 19 - 50)) < 1e-9)
  assert.equal(delayBetween([[20], [20]], [[20]]).noiseMs, 0.5, 'no less than timers can tell')
})
