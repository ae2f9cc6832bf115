/** Rates are of the time between two readings, and their line can be read at a glance. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Counts, rateBetween, rateFields } from '../../src/observe/rate.ts'

const LATENCY = { p50Ms: 12, p99Ms: 345, maxMs: 678 }
const NOW = { heldBytes: 5_000_000, heldBytesMax: 20_000_000, partitionCount: 3, latency: LATENCY }
const NONE = { skippedBatchCount: 0, skippedMessageCount: 0, deadLetterCount: 0 }
const BEFORE: Counts = {
  atMs: 40_000,
  batchCount: 7,
  logCount: 1000,
  bodyBytes: 2_000_000,
  responseBytes: 9_000_000,
  skippedBatchCount: 1,
  skippedMessageCount: 30,
  deadLetterCount: 5
}
const AFTER: Counts = {
  atMs: 44_000,
  batchCount: 9,
  logCount: 1500,
  bodyBytes: 2_600_000,
  responseBytes: 17_000_000,
  skippedBatchCount: 3,
  skippedMessageCount: 37,
  deadLetterCount: 9
}

test('a rate is what was added between two readings, by the time between them; what was given up is counted', () => {
  assert.deepEqual(rateBetween(BEFORE, AFTER, NOW), {
    logsPerSecond: 125,
    bodyBytesPerSecond: 150_000,
    responseBytesPerSecond: 2_000_000,
    skippedBatchCount: 2,
    skippedMessageCount: 7,
    deadLetterCount: 4,
    ...NOW
  })
})

test('nothing added is a rate of zero, and what is so now is told all the same', () => {
  const idle = { logsPerSecond: 0, bodyBytesPerSecond: 0, responseBytesPerSecond: 0, ...NONE, ...NOW }
  assert.deepEqual(rateBetween(BEFORE, { ...BEFORE, atMs: 50_000 }, NOW), idle)
})

test('two readings at one moment, or the later one first, count as a millisecond apart', () => {
  for (const atMs of [BEFORE.atMs, BEFORE.atMs - 1000]) {
    assert.equal(rateBetween(BEFORE, { ...AFTER, atMs }, NOW).logsPerSecond, 500_000)
    assert.equal(rateBetween(BEFORE, { ...BEFORE, atMs }, NOW).logsPerSecond, 0)
  }
})

test('the line has whole logs, megabytes of 10^6 with one decimal, and the percentiles', () => {
  const speeds = { logsPerSecond: 1234.5678, bodyBytesPerSecond: 1_250_001, responseBytesPerSecond: 49_999 }
  const rate = { ...NOW, ...NONE, ...speeds }
  assert.deepEqual(rateFields(rate), {
    logsPerSecond: 1235,
    bodyMBPerSecond: '1.3',
    responseMBPerSecond: '0.0',
    heldMB: '5.0',
    heldMaxMB: '20.0',
    partitions: 3,
    batchP50Ms: 12,
    batchP99Ms: 345
  })
  const given = rateFields({ ...rate, skippedBatchCount: 1, skippedMessageCount: 20, deadLetterCount: 3 })
  assert.deepEqual([given.skippedBatches, given.skippedMessages, given.deadLetters], [1, 20, 3])
})
