import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { realClock, realRandom, realTimers } from '../src/real-world.ts'

const BOUNDED = { timeout: 20_000 }

test('the monotonic clock never goes back, and measures milliseconds', BOUNDED, async () => {
  const wallMs = realClock.now()
  const before = realClock.monotonic()
  await realTimers.sleep(20)
  const tookMs = realClock.monotonic() - before
  assert.ok(tookMs >= 18, `${tookMs}`)
  assert.ok(Math.abs(realClock.now() - wallMs - tookMs) < 1000)
})

test('I12: another thread reads the same monotonic clock', BOUNDED, async () => {
  const before = realClock.monotonic()
  const worker = new Worker(
    `require('node:worker_threads').parentPort.postMessage(Number(process.hrtime.bigint()) / 1e6)`,
    { eval: true }
  )
  const there = await new Promise<unknown>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  assert.ok(typeof there === 'number' && there >= before && there <= realClock.monotonic())
})

test('a timer fires once, and not at all once cancelled', BOUNDED, async () => {
  const fired: string[] = []
  const cancelled = realTimers.after(1, () => fired.push('cancelled'))
  cancelled.cancel()
  await new Promise<void>(resolve => {
    realTimers.after(5, () => {
      fired.push('fired')
      resolve()
    })
  })
  cancelled.cancel()
  assert.deepEqual(fired, ['fired'])
})

test('a sleep ends with the reason of its signal, at once', BOUNDED, async () => {
  const reason = new Error('enough')
  const stop = new AbortController()
  const slept = realTimers.sleep(60_000, stop.signal)
  stop.abort(reason)
  await assert.rejects(slept, reason)
  await assert.rejects(realTimers.sleep(60_000, stop.signal), reason)
})

test('chance is in [0, 1), and hexadecimal digits are two a byte', () => {
  for (let count = 0; count < 100; count++) {
    const value = realRandom.next()
    assert.ok(value >= 0 && value < 1)
  }
  assert.match(realRandom.hex(8), /^[0-9a-f]{16}$/)
  assert.notEqual(realRandom.hex(16), realRandom.hex(16))
})
