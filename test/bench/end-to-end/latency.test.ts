import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LatencyBook, LatencyHistogram } from '../../../bench/end-to-end/latency.ts'

/** Within what three digits of a histogram tell. */
function near(value: number, expected: number): void {
  assert.ok(Math.abs(value - expected) <= expected * 0.002 + 0.001, `${value} is not about ${expected}`)
}

test('percentiles are of all that was recorded, in parts of a millisecond', () => {
  const histogram = new LatencyHistogram()
  for (let index = 1; index <= 1000; index++) histogram.record(index / 10)
  const { count, p50Ms, p99Ms, p999Ms, maxMs } = histogram.percentiles()
  assert.equal(count, 1000)
  near(p50Ms, 50)
  near(p99Ms, 99)
  near(p999Ms, 99.9)
  near(maxMs, 100)
})

test('a second of standstill counts for every log that was due in it, by what was left of the second', () => {
  const book = new LatencyBook()
  book.openWindow(0)
  // A log a millisecond. Nine seconds go well: each is processed a millisecond after it was due.
  for (let due = 0; due < 9000; due++) book.processed(0, BigInt(due + 1), timed([due], due + 1))
  // Then nothing for a second, and all of its logs at once: one pull, but a thousand late logs.
  const missed = Array.from({ length: 1000 }, (_, index) => 9000 + index)
  book.processed(0, 10_000n, timed(missed, 10_000))
  const { processed } = book.summary()
  assert.equal(processed.count, 10_000)
  near(processed.p50Ms, 1)
  // A tenth of all logs are late by 1 … 1,000 ms: the 99th percentile lies at a tenth of those, from above.
  near(processed.p99Ms, 900)
  near(processed.p999Ms, 990)
  near(processed.maxMs, 1000)
})

test('logs that were due in the warm-up do not count, whenever they are processed', () => {
  const book = new LatencyBook()
  book.processed(0, 1n, timed([1], 2))
  book.openWindow(100)
  book.processed(0, 3n, timed([50, 100], 150))
  book.committed(0, 3n, 160)
  const { processed, committed } = book.summary()
  assert.deepEqual([processed.count, committed.count], [1, 1])
  near(processed.maxMs, 50)
  near(committed.maxMs, 60)
})

test('a commit covers what ends at its offset or before, of its own partition, once', () => {
  const book = new LatencyBook()
  book.openWindow(0)
  book.processed(0, 10n, timed([0], 5))
  book.processed(0, 20n, timed([10], 15))
  book.processed(1, 10n, timed([20], 25))
  book.committed(0, 19n, 100)
  near(book.summary().committed.maxMs, 100)
  assert.equal(book.summary().committed.count, 1)
  book.committed(0, 20n, 200)
  book.committed(0, 20n, 900)
  near(book.summary().committed.maxMs, 190)
  assert.equal(book.summary().committed.count, 2)
})

function timed(dueMs: readonly number[], begunMs: number) {
  return { dueMs: Float64Array.from(dueMs), begunMs }
}
