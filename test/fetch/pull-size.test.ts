import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { HOLDS_MAX, HOLDS_MIN, PullSize } from '../../src/fetch/pull-size.ts'

const MIB = 1024 * 1024

/** Pulls as the service would answer where what is larger than `fits` is too large. Returns how many failed. */
function pull(size: PullSize, count: number, fits: () => number): number {
  let failedCount = 0
  for (let done = 0; done < count; done++) {
    const asked = size.size
    if (asked <= fits()) size.held(asked)
    else {
      assert.ok(size.tooLarge(asked))
      failedCount += 1
    }
  }
  return failedCount
}

describe('the size of pulls', () => {
  test('what was never too large stays as it is wanted', () => {
    const size = new PullSize(2 * MIB)
    pull(size, 10_000, () => 2 * MIB)
    assert.equal(size.size, 2 * MIB)
  })

  test('each pull that brings too much halves it, down to one byte or log group, and no further', () => {
    const size = new PullSize(2 * MIB)
    const asked: number[] = []
    do asked.push(size.size)
    while (size.tooLarge(size.size))
    assert.deepEqual(
      asked,
      Array.from({ length: 22 }, (_, index) => (2 * MIB) / 2 ** index)
    )
    assert.equal(size.tooLarge(1), false)
  })

  test('what is asked for is a whole number, whatever is wanted', () => {
    const size = new PullSize(1027)
    for (const expected of [513, 256, 128]) {
      size.tooLarge(size.size)
      assert.equal(size.size, expected)
    }
  })

  test('it grows back by doubling, each time after some pulls that held, and not beyond what is wanted', () => {
    const size = new PullSize(1000)
    size.tooLarge(1000)
    size.tooLarge(500)
    const sizes = Array.from({ length: 4 }, () => {
      const before = size.size
      pull(size, HOLDS_MIN, () => 1000)
      return before
    })
    assert.deepEqual(sizes, [250, 500, 1000, 1000])
  })

  test('the first way down is no failed doubling: the way back up begins as early as ever', () => {
    const size = new PullSize(2 * MIB)
    while (size.size > 4096) size.tooLarge(size.size)
    pull(size, HOLDS_MIN - 1, () => 4096)
    assert.equal(size.size, 4096)
    size.held(4096)
    assert.equal(size.size, 8192)
  })

  test('where the limit stays, doublings that fail become rare', () => {
    const size = new PullSize(2 * MIB)
    pull(size, 20, () => 5000)
    const early = pull(size, 1000, () => 5000)
    const late = pull(size, 100_000, () => 5000)
    assert.ok(early >= 5 && early <= 12, `${early} of the first 1000`)
    assert.ok(late <= 100_000 / HOLDS_MAX + 1 && late > 50, `${late} of 100000`)
  })

  test('a doubling that holds makes the next one earlier again', () => {
    const size = new PullSize(2 * MIB)
    pull(size, 5000, () => 5000)
    const beforeCount = countUntil(size, 8192)
    const nextCount = countUntil(size, 16_384)
    const lastCount = countUntil(size, 2 * MIB)
    assert.ok(nextCount > HOLDS_MIN && nextCount <= beforeCount + HOLDS_MAX, `${beforeCount}, then ${nextCount}`)
    assert.ok(lastCount < 7 * nextCount, `${nextCount}, then ${lastCount} for seven more`)
  })

  test('after a quiet time with small responses, one failure brings it back to where the last one had', () => {
    const size = new PullSize(2 * MIB)
    pull(size, 10, () => 4096)
    assert.equal(size.size, 4096)
    // One step short of the whole way back, where all is forgotten.
    while (size.size < MIB) size.held(size.size)
    assert.equal(
      pull(size, 2, () => 4096),
      1,
      'one pull for nothing, and not eight'
    )
    assert.equal(size.size, 4096)
  })

  test('what has held for long at the full size is forgotten: the next failure goes down by halves', () => {
    const size = new PullSize(2 * MIB)
    pull(size, 10, () => 4096)
    while (size.size < 2 * MIB) size.held(size.size)
    pull(size, HOLDS_MAX, () => 2 * MIB)
    size.tooLarge(2 * MIB)
    assert.equal(size.size, MIB)
  })

  test('a pull that asked for less, since the budget was tight, says nothing of this size', () => {
    const size = new PullSize(2 * MIB)
    size.tooLarge(2 * MIB)
    for (let count = 0; count < 100; count++) size.held(MIB - 1)
    assert.equal(size.size, MIB)
  })

  test('one that asked for less and still brought too much halves what it asked for', () => {
    const size = new PullSize(2 * MIB)
    assert.ok(size.tooLarge(1000))
    assert.equal(size.size, 500)
  })

  test('pulls that were under way together and all failed count as one', () => {
    const size = new PullSize(2 * MIB)
    for (let count = 0; count < 5; count++) assert.ok(size.tooLarge(2 * MIB))
    assert.equal(size.size, MIB)
  })

  test('under any schedule it stays between one and what is wanted, and falls below what failed', () => {
    const act = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 5000 }))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4000 }), fc.array(act, { maxLength: 200 }), (wanted, acts) => {
        const size = new PullSize(wanted)
        for (const [isTooLarge, any] of acts) {
          const asked = Math.min(any, size.size)
          const hasLess = isTooLarge && size.tooLarge(asked)
          if (isTooLarge) assert.ok(hasLess ? size.size < asked : asked === 1)
          else size.held(asked)
          assert.ok(size.size >= 1 && size.size <= wanted && Number.isInteger(size.size))
        }
      })
    )
  })
})

function countUntil(size: PullSize, wanted: number): number {
  let count = 0
  for (; size.size < wanted; count++) size.held(size.size)
  return count
}
