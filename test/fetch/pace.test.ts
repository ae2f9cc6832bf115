import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Pace } from '../../src/fetch/pace.ts'

describe('pace', () => {
  test('a partition without news is asked after 50 ms, then less and less often, down to the poll interval', () => {
    const pace = new Pace(1000)
    const delays = Array.from({ length: 12 }, () => pace.idleMs(0))
    assert.deepEqual(delays.slice(0, 3), [50, 75, 112.5])
    assert.ok(delays.every((delayMs, index) => index === 0 || delayMs >= (delays[index - 1] ?? 0)))
    assert.deepEqual(delays.slice(-3), [1000, 1000, 1000])
  })

  test('logs bring it back to 50 ms', () => {
    const pace = new Pace(1000)
    for (let count = 0; count < 9; count++) pace.idleMs(0)
    pace.advanced()
    assert.equal(pace.idleMs(0), 50)
  })

  test('partitions that are silent for long are asked at the same few moments, and never later than the interval', () => {
    const times = [0, 1, 249, 250, 333.5, 999].map(atMs => {
      const pace = new Pace(1000)
      for (let count = 0; count < 12; count++) pace.idleMs(atMs)
      return [atMs, atMs + pace.idleMs(atMs)]
    })
    assert.deepEqual(times, [
      [0, 1000],
      [1, 1000],
      [249, 1000],
      [250, 1250],
      [333.5, 1250],
      [999, 1750]
    ])
  })

  test('a poll interval of 50 ms is kept exactly', () => {
    const pace = new Pace(50)
    assert.deepEqual([pace.idleMs(7), pace.idleMs(7), pace.idleMs(7)], [50, 50, 50])
  })

  test('failures back off exponentially, the upper half by chance, and never beyond ten seconds', () => {
    const [low, high] = [new Pace(1000), new Pace(1000)]
    const lows = Array.from({ length: 12 }, () => low.backoffMs(0))
    const highs = Array.from({ length: 12 }, () => high.backoffMs(0.999999))
    assert.deepEqual(lows.slice(0, 4), [50, 100, 200, 400])
    assert.deepEqual(highs.slice(0, 4), [100, 200, 400, 800])
    assert.deepEqual([lows.at(-1), highs.at(-1)], [5000, 10_000])
    assert.equal(low.failureCount, 12)
  })

  test('an answer of any kind ends the backoff', () => {
    for (const answered of [(pace: Pace) => pace.advanced(), (pace: Pace) => pace.idleMs(0)]) {
      const pace = new Pace(1000)
      pace.backoffMs(0)
      pace.backoffMs(0)
      answered(pace)
      assert.equal(pace.failureCount, 0)
      assert.equal(pace.backoffMs(0), 50)
    }
  })

  test('failures do not change the idle pace', () => {
    const pace = new Pace(1000)
    pace.idleMs(0)
    pace.backoffMs(0)
    assert.equal(pace.idleMs(0), 75)
  })
})
