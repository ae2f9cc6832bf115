import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PULLS_PER_WINDOW, PullRate, WINDOW_MS } from '../../src/fetch/pull-rate.ts'

test('a window of pulls may go at once; the next waits until the first of them is a window ago', () => {
  const rate = new PullRate()
  for (let count = 0; count < PULLS_PER_WINDOW; count++) {
    assert.equal(rate.waitMs(100), 0)
    rate.sent(100)
  }
  assert.equal(rate.waitMs(100), WINDOW_MS)
  assert.equal(rate.waitMs(100 + WINDOW_MS - 1), 1)
  assert.equal(rate.waitMs(100 + WINDOW_MS), 0)
})

test('a slow partition never waits', () => {
  const rate = new PullRate()
  for (let nowMs = 0; nowMs < 100_000; nowMs += 6) {
    assert.equal(rate.waitMs(nowMs), 0)
    rate.sent(nowMs)
  }
})

test('whatever the schedule, no window holds more than the limit, and a wait is no longer than needed', () => {
  let waitCount = 0
  fc.assert(
    fc.property(fc.array(fc.nat(8), { minLength: 300, maxLength: 900 }), gaps => {
      const rate = new PullRate()
      const sentMs: number[] = []
      let nowMs = 0
      for (const gap of gaps) {
        nowMs += gap
        const waitMs = rate.waitMs(nowMs)
        if (waitMs > 0) {
          waitCount += 1
          assert.equal(inWindow(sentMs, nowMs + waitMs - 0.5), PULLS_PER_WINDOW, 'sooner there would be one too many')
        }
        nowMs += waitMs
        rate.sent(nowMs)
        sentMs.push(nowMs)
        assert.ok(inWindow(sentMs, nowMs) <= PULLS_PER_WINDOW)
      }
    }),
    { numRuns: 50 }
  )
  assert.ok(waitCount > 100, 'the schedules reach the limit')
})

/** How many were sent in the window that ends with this moment; of two pulls a whole window apart it holds one. */
function inWindow(sentMs: readonly number[], atMs: number): number {
  return sentMs.filter(each => each > atMs - WINDOW_MS && each <= atMs).length
}
