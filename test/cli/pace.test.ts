/** Pace: a rate on average, and nobody kept from running. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pace } from '../../src/cli/pace.ts'
import { createFakeTime } from '../cls/fakes.ts'

const TIMEOUT = { timeout: 10_000 }
const NEVER = new AbortController().signal

test('what was late is made up for: the rate holds from the first log on', TIMEOUT, async () => {
  const time = createFakeTime()
  const pace = new Pace(100, time.clock, time.timers)
  await time.advance(500)
  for (let log = 1; log <= 200; log++) await time.settle(pace.next(NEVER))
  const nowMs = time.clock.monotonic()
  assert.ok(nowMs > 1950 && nowMs <= 2000, `${nowMs} ms`)
})

test('without a rate nothing waits, but others run at least every 20 ms', TIMEOUT, async () => {
  const time = createFakeTime()
  let nowMs = 0
  const pace = new Pace(undefined, { now: () => nowMs, monotonic: () => nowMs }, time.timers)
  const turnedMs: number[] = []
  for (let log = 1; log <= 10_000; log++) {
    nowMs += 0.1
    const before = time.sleptMs.length
    await time.settle(pace.next(NEVER))
    if (time.sleptMs.length > before) turnedMs.push(nowMs)
  }
  assert.deepEqual(new Set(time.sleptMs), new Set([0]))
  assert.ok(turnedMs.length >= 30 && turnedMs.length <= 50, `${turnedMs.length} turns in 1 s`)
})

test('an end does not wait for the next log', TIMEOUT, async () => {
  const time = createFakeTime()
  const pace = new Pace(1, time.clock, time.timers)
  const controller = new AbortController()
  const waiting = pace.next(controller.signal)
  controller.abort(new Error('ended'))
  await waiting
  assert.equal(time.clock.monotonic(), 0)
})
