/** Percentiles of what was recorded since the last reading, in bounded memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LatencyRecorder } from '../../src/observe/latency.ts'

const HOUR_MS = 3_600_000
const NOTHING = { p50Ms: 0, p99Ms: 0, maxMs: 0 }

function recorded(...latenciesMs: readonly number[]): LatencyRecorder {
  const recorder = new LatencyRecorder()
  for (const latencyMs of latenciesMs) recorder.record(latencyMs)
  return recorder
}

/** Three digits are kept. */
function assertNear(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= expected / 1000, `${actual} is not ${expected}`)
}

test('nothing recorded is zeros', () => {
  assert.deepEqual(recorded().take(), NOTHING)
})

test('percentiles are of all that was recorded, in whatever order', () => {
  const latenciesMs = Array.from({ length: 1000 }, (_, index) => ((index * 7) % 1000) + 1)
  assert.deepEqual(recorded(...latenciesMs).take(), { p50Ms: 500, p99Ms: 990, maxMs: 1000 })
})

test('one that took long is the maximum, and no percentile of many', () => {
  const { p50Ms, p99Ms, maxMs } = recorded(...Array.from({ length: 999 }, () => 5), 60_000).take()
  assert.deepEqual([p50Ms, p99Ms], [5, 5])
  assertNear(maxMs, 60_000)
})

test('a reading begins anew: what was told is not told again', () => {
  const recorder = recorded(900, 1000)
  assert.equal(recorder.take().maxMs, 1000)
  assert.deepEqual(recorder.take(), NOTHING)
  recorder.record(3)
  assert.deepEqual(recorder.take(), { p50Ms: 3, p99Ms: 3, maxMs: 3 })
})

test('three digits are kept from a millisecond to an hour', () => {
  for (let latencyMs = 1; latencyMs <= HOUR_MS; latencyMs = Math.ceil(latencyMs * 1.7)) {
    const { p50Ms, p99Ms, maxMs } = recorded(latencyMs).take()
    for (const each of [p50Ms, p99Ms, maxMs]) assertNear(each, latencyMs)
  }
})

test('longer than an hour counts as an hour, less than nothing as nothing, and parts of a millisecond are rounded', () => {
  assertNear(recorded(HOUR_MS * 100).take().maxMs, HOUR_MS)
  assertNear(recorded(Number.POSITIVE_INFINITY).take().maxMs, HOUR_MS)
  assert.deepEqual(recorded(-5).take(), NOTHING)
  assert.deepEqual(recorded(2.4, 2.4, 2.6).take(), { p50Ms: 2, p99Ms: 3, maxMs: 3 })
})
