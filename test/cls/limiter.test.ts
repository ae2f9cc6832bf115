import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createLimiter, nextSlotMs, type Slots, takeSlot } from '../../src/cls/limiter.ts'
import { createFakeTime, rejection } from './fakes.ts'

const never = () => new AbortController().signal

describe('limiter', () => {
  test('no second holds more than 20 slots, whatever comes when, and none is later than it must be', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(80), { minLength: 30, maxLength: 200 }), pauses => {
        let slots: Slots = []
        const all: number[] = []
        let nowMs = 0
        for (const pause of pauses) {
          nowMs += pause
          const atMs = nextSlotMs(slots, nowMs)
          const windowFull = all.filter(earlier => earlier > nowMs - 1000).length >= 20
          assert.ok(windowFull ? atMs > nowMs : atMs === nowMs)
          slots = takeSlot(slots, atMs)
          all.push(atMs)
          assert.ok(all.filter(earlier => earlier > atMs - 1000).length <= 20)
        }
      })
    )
  })

  test('the 21st request of an action waits for the second to pass; other actions do not', async () => {
    const time = createFakeTime()
    const limiter = createLimiter(time)
    const sentMs: number[] = []
    for (let n = 0; n < 45; n++) limiter.wait('A', never(), {}).then(() => sentMs.push(time.clock.monotonic()))
    await time.advance(0)
    assert.equal(sentMs.length, 20)
    await limiter.wait('B', never(), {})
    await time.advance(999)
    assert.equal(sentMs.length, 20)
    await time.advance(1)
    assert.equal(sentMs.length, 40)
    await time.advance(1000)
    assert.equal(sentMs.length, 45)
  })

  test('I8: who would wait over 10 s is refused at once, with the place', async () => {
    const time = createFakeTime()
    const limiter = createLimiter(time)
    for (let n = 0; n < 220; n++) void limiter.wait('A', never(), {})
    const error = await rejection('API_THROTTLED', limiter.wait('A', never(), { action: 'A' }))
    assert.equal(error.place.action, 'A')
  })

  test('an abort ends the wait with the signal’s reason', async () => {
    const time = createFakeTime()
    const limiter = createLimiter(time)
    for (let n = 0; n < 20; n++) await limiter.wait('A', never(), {})
    const controller = new AbortController()
    const waiting = limiter.wait('A', controller.signal, {})
    const reason = new Error('enough')
    controller.abort(reason)
    await assert.rejects(waiting, reason)
    assert.equal(time.pendingCount, 0)
  })
})
