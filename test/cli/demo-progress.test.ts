/** Waiting with progress, on a turned clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { progressTicker, watch } from '../../src/cli/demo-progress.ts'
import { createScreen } from '../../src/cli/screen.ts'

const TIMEOUT = { timeout: 10_000 }

function turnedClock() {
  let nowMs = 0
  const controller = new AbortController()
  const clock = { now: () => nowMs, monotonic: () => nowMs }
  const timers = {
    after: () => assert.fail('no timer is needed'),
    sleep: async (delayMs: number, signal?: AbortSignal) => {
      signal?.throwIfAborted()
      nowMs += delayMs
    }
  }
  return { world: { clock, timers, stop: controller.signal }, controller, now: () => nowMs }
}

test('waiting ends when it is done, and ticks until then', TIMEOUT, async () => {
  const { world, now } = turnedClock()
  let ticks = 0
  const done = await watch(world, {
    done: () => now() >= 1000,
    moved: () => '',
    tick: () => {
      ticks++
    }
  })
  assert.deepEqual([done, ticks], [true, 10])
})

test('where nothing moves for 30 s it gives up, and any move starts that time anew', TIMEOUT, async () => {
  const { world, now } = turnedClock()
  const done = await watch(world, {
    done: () => false,
    moved: () => String(Math.min(now(), 100_000)), // moves for 100 s
    tick: () => undefined
  })
  assert.equal(done, false)
  assert.ok(now() >= 130_000 && now() < 131_000, `${now()} ms`)
})

test('a stop ends the wait, and so does an error of `done`', TIMEOUT, async () => {
  const { world, controller } = turnedClock()
  const watched = { done: () => false, moved: () => '', tick: () => controller.abort(new Error('stopped')) }
  await assert.rejects(watch(world, watched), /stopped/)
  const failing = {
    ...watched,
    done: () => {
      throw new Error('consumer failed')
    }
  }
  await assert.rejects(watch(turnedClock().world, failing), /consumer failed/)
})

test('progress is a line a second without a terminal, and a bar besides on one', TIMEOUT, async () => {
  for (const isTTY of [false, true]) {
    const { world, now } = turnedClock()
    let written = ''
    const screen = createScreen({
      isTTY,
      columns: 80,
      write: text => {
        written += text
      }
    })
    const tick = progressTicker(4000, world, screen, () => [now() * 2, now()])
    await watch(world, { done: () => now() > 2500, moved: () => '', tick })
    const lines = written.match(/^.*\d s {2}uploaded.*$/gm) ?? []
    assert.deepEqual(
      lines.map(line => line.slice(line.lastIndexOf('[2K') < 0 ? 0 : line.lastIndexOf('[2K') + 3)),
      [
        '  1 s  uploaded     2,000  processed     1,000    1,000 logs/s',
        '  2 s  uploaded     4,000  processed     2,000    1,000 logs/s'
      ]
    )
    assert.equal(written.includes('█'), isTTY)
    assert.equal(written.includes('2,500 of 4,000'), isTTY)
  }
})
