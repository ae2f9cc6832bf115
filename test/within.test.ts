/** A wait with a limit: what it comes to, and what it leaves behind. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { unlessAborted, within } from '../src/within.ts'
import { createFakeTime } from './cls/fakes.ts'

const BOUNDED = { timeout: 10_000 }
const LIMIT_MS = 1000
const never = (): Promise<string> => new Promise(() => undefined)

test('what ends in time is what it comes to, and no timer stays', BOUNDED, async () => {
  const time = createFakeTime()
  const late = () => assert.fail('it was in time')
  assert.equal(await within(time.timers, Promise.resolve('here'), LIMIT_MS, late), 'here')
  await assert.rejects(within(time.timers, Promise.reject(new Error('no')), LIMIT_MS, late), /^Error: no$/)
  assert.equal(time.pendingCount, 0)
})

test('I8: what takes longer comes to what `late` says, at the limit and not before', BOUNDED, async () => {
  const time = createFakeTime()
  const lateAtMs: number[] = []
  const waited = within(time.timers, never(), LIMIT_MS, () => {
    lateAtMs.push(time.clock.monotonic())
    return 'late'
  })
  assert.equal(await time.settle(waited), 'late')
  assert.deepEqual([lateAtMs, time.pendingCount], [[LIMIT_MS], 0])
})

test('what `late` throws is what it comes to, and what comes after it is no unhandled rejection', BOUNDED, async () => {
  const time = createFakeTime()
  let fail = (_error: Error): void => undefined
  const awaited = new Promise<string>((_resolve, reject) => {
    fail = reject
  })
  const waited = within(time.timers, awaited, LIMIT_MS, () => {
    throw new Error('too late')
  })
  await assert.rejects(time.settle(waited), /^Error: too late$/)
  fail(new Error('later still'))
  await time.advance(LIMIT_MS)
})

test('what comes to something before the signal aborts is that, and no listener stays', BOUNDED, async () => {
  const { signal } = new AbortController()
  assert.equal(await unlessAborted(Promise.resolve('here'), signal), 'here')
  await assert.rejects(unlessAborted(Promise.reject(new Error('no')), signal), /^Error: no$/)
  assert.deepEqual(getEventListeners(signal, 'abort'), [])
})

test('I8: what is awaited when the signal aborts, or had aborted before, comes to undefined', BOUNDED, async () => {
  const controller = new AbortController()
  const waited = unlessAborted(never(), controller.signal)
  controller.abort()
  assert.equal(await waited, undefined)
  assert.equal(await unlessAborted(never(), controller.signal), undefined)
})
