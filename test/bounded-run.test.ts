import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BoundedRun } from '../src/bounded-run.ts'
import { ClsConsumerError } from '../src/errors.ts'
import type { Position } from '../src/world.ts'
import { createFakeTime, rejection } from './cls/fakes.ts'
import { createFakeControl } from './support/fake-control.ts'

const BOUNDED = { timeout: 10_000 }
const NOW_S = 1_700_000_000

function bench(stopAt: Position | 'now' | undefined) {
  const time = createFakeTime(NOW_S * 1000)
  const control = createFakeControl()
  const told: string[] = []
  const run = new BoundedRun(
    { clock: time.clock, timers: time.timers, control: control.api },
    { stopAt, group: 'g' },
    {
      hold: () => told.push(`hold ${time.clock.monotonic()}`),
      known: () => told.push(`known ${time.clock.monotonic()}`)
    }
  )
  const lookUp = (...partitions: number[]) => run.lookUp('t', partitions, new AbortController().signal)
  return { time, control, told, run, lookUp }
}

describe('bounded run: its phases', () => {
  test('without stopAt there is none', BOUNDED, async () => {
    const { time, run, told } = bench(undefined)
    run.start()
    await time.advance(1e9)
    assert.deepEqual([run.phase, told, time.pendingCount], ['none', [], 0])
  })

  for (const stopAt of ['now', 'end', NOW_S - 2, NOW_S - 1000] as const) {
    test(
      `${stopAt === 'now' || stopAt === 'end' ? stopAt : `a time ${NOW_S - stopAt} s ago`} is known from the start`,
      BOUNDED,
      () => {
        const { time, run, told } = bench(stopAt)
        run.start()
        assert.deepEqual([run.phase, told, time.pendingCount], ['known', [], 0])
      }
    )
  }

  test(
    'a time ahead is waited for: pulls stop one guard before it, ends are looked up one guard after',
    BOUNDED,
    async () => {
      const { time, run, told } = bench(NOW_S + 60)
      run.start()
      await time.advance(57_999)
      assert.deepEqual([run.phase, told], ['ahead', []])
      await time.advance(1)
      assert.deepEqual([run.phase, told], ['holding', ['hold 58000']])
      await time.advance(3999)
      assert.equal(run.phase, 'holding')
      await time.advance(1)
      assert.deepEqual([run.phase, told], ['known', ['hold 58000', 'known 62000']])
      assert.equal(time.pendingCount, 0)
    }
  )

  test('a time within the guard holds at once', BOUNDED, async () => {
    for (const ahead of [1, 0, -1]) {
      const { time, run, told } = bench(NOW_S + ahead)
      assert.equal(run.phase, 'ahead')
      run.start()
      assert.equal(run.phase, 'holding')
      await time.advance(4000)
      assert.deepEqual([run.phase, told.length], ['known', 2])
    }
  })

  test('I8: a time weeks ahead sets no timer that the platform cannot keep', BOUNDED, async () => {
    const time = createFakeTime(NOW_S * 1000)
    const delays: number[] = []
    const timers = {
      ...time.timers,
      after: (delayMs: number, fire: () => void) => {
        delays.push(delayMs)
        return time.timers.after(delayMs, fire)
      }
    }
    const told: string[] = []
    const run = new BoundedRun(
      { clock: time.clock, timers, control: createFakeControl().api },
      { stopAt: NOW_S + 30 * 86_400, group: 'g' },
      { hold: () => told.push('hold'), known: () => told.push('known') }
    )
    run.start()
    await time.advance(31 * 86_400_000)
    assert.deepEqual(told, ['hold', 'known'])
    assert.ok(delays.every(delayMs => delayMs <= 2 ** 31 - 1))
  })

  test('stopped, it tells nothing more', BOUNDED, async () => {
    const { time, run, told } = bench(NOW_S + 60)
    run.start()
    run.stop()
    await time.advance(1e6)
    assert.deepEqual([told, time.pendingCount], [[], 0])
  })
})

describe('bounded run: the ends', () => {
  test('now is the log’s own end, with an EndTime past every clock error', BOUNDED, async () => {
    for (const stopAt of ['now', 'end'] as const) {
      const { control, lookUp } = bench(stopAt)
      control.offsets.always = () =>
        new Map([
          [0, 5n],
          [1, 2n ** 60n]
        ])
      const ends = await lookUp(0, 1)
      assert.deepEqual([ends.get(0)?.endOffset, ends.get(1)?.endOffset], [5n, 2n ** 60n])
      assert.ok((ends.get(0)?.endTime ?? 0) >= NOW_S + 300)
      assert.deepEqual(control.offsets.asks, [{ group: 'g', topicId: 't', from: 'end', own: true }])
    }
  })

  test('a time is the log’s own offset at that time, and its EndTime', BOUNDED, async () => {
    const { control, lookUp } = bench(NOW_S - 100)
    control.offsets.always = () => new Map([[0, 5n]])
    assert.deepEqual(await lookUp(0), new Map([[0, { endOffset: 5n, endTime: NOW_S - 100 }]]))
    assert.deepEqual(control.offsets.asks, [{ group: 'g', topicId: 't', from: NOW_S - 100, own: true }])
  })

  test(
    'I6: a time past the last log, of which the service names no position, is the log’s end: nothing is left out',
    BOUNDED,
    async () => {
      const { control, lookUp } = bench(NOW_S - 100)
      control.offsets.always = ({ from }) => new Map([[1, 7n], ...(from === 'end' ? [[0, 90n] as const] : [])])
      const ends = await lookUp(0, 1)
      assert.deepEqual([ends.get(0)?.endOffset, ends.get(1)?.endOffset], [90n, 7n])
    }
  )

  test('a partition that was never written has nothing before its end', BOUNDED, async () => {
    for (const stopAt of ['now', NOW_S - 100] as const) {
      const { control, lookUp } = bench(stopAt)
      control.offsets.always = () => new Map()
      assert.equal((await lookUp(0)).get(0)?.endOffset, -1n)
    }
  })

  test('I6: an error is an error, not an end', BOUNDED, async () => {
    const { control, lookUp } = bench('now')
    control.offsets.always = () => {
      throw new ClsConsumerError('API_UNAVAILABLE', 'no')
    }
    await rejection('API_UNAVAILABLE', lookUp(0))
  })
})
