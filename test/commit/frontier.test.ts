import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Frontier, type Slot } from '../../src/commit/frontier.ts'

describe('frontier', () => {
  test('I1: nothing settled commits the start; a settled batch behind an open one moves nothing', () => {
    const frontier = new Frontier(100n)
    const [first, second, third] = [frontier.open(), frontier.open(), frontier.open()]
    assert.equal(frontier.nextOffset, 100n)
    assert.equal(frontier.settle(second, 120n), 100n)
    assert.equal(frontier.settle(first, 110n), 120n)
    assert.equal(frontier.settle(third, 130n), 130n)
    assert.equal(frontier.openCount, 0)
  })

  test('I10: offsets beyond 2^53 stay exact', () => {
    const start = 2n ** 62n + 1n
    const frontier = new Frontier(start)
    assert.equal(frontier.settle(frontier.open(), start + 2n), 4_611_686_018_427_387_907n)
  })

  test('I1: a batch settles once, and only in its own epoch', () => {
    const frontier = new Frontier(0n)
    const first = frontier.open()
    const second = frontier.open()
    frontier.settle(second, 20n)
    assert.throws(() => frontier.settle(second, 20n), { code: 'INVARIANT_BROKEN' })
    frontier.settle(first, 10n)
    assert.throws(() => frontier.settle(first, 10n), { code: 'INVARIANT_BROKEN' })
    assert.throws(() => frontier.settle(new Frontier(0n).open(), 5n), { code: 'INVARIANT_BROKEN' })
    assert.equal(frontier.nextOffset, 20n)
  })

  test('I1: a gap counts only once everything before it is settled', () => {
    const frontier = new Frontier(0n)
    const batch = frontier.open()
    assert.equal(frontier.skip(50n), 0n)
    assert.equal(frontier.settle(batch, 10n), 50n)
    assert.equal(frontier.skip(60n), 60n)
  })

  test('batches based on a wrong offset are forgotten, with the gaps between them', () => {
    const frontier = new Frontier(0n)
    const batch = frontier.open()
    const wrong = frontier.open()
    frontier.skip(99n)
    frontier.truncateAfter(batch)
    assert.throws(() => frontier.settle(wrong, 50n), { code: 'INVARIANT_BROKEN' })
    const right = frontier.open()
    assert.equal(frontier.settle(right, 20n), 0n)
    assert.equal(frontier.settle(batch, 10n), 20n)
  })

  test('a batch that will be dispatched anew leaves no trace, nor does what followed it', () => {
    const frontier = new Frontier(0n)
    const kept = frontier.open()
    const dropped = frontier.open()
    frontier.skip(99n)
    frontier.truncateFrom(dropped)
    assert.equal(frontier.openCount, 1)
    assert.equal(frontier.settle(kept, 10n), 10n)
    assert.throws(() => frontier.settle(dropped, 20n), { code: 'INVARIANT_BROKEN' })
  })

  test('I1: a settled batch is never dropped', () => {
    const frontier = new Frontier(0n)
    const open = frontier.open()
    frontier.settle(frontier.open(), 20n)
    assert.throws(() => frontier.truncateAfter(open), { code: 'INVARIANT_BROKEN' })
  })

  test('I1: in any order of settling, the frontier is the end of the longest settled prefix', () => {
    const plan = fc
      .array(fc.record({ step: fc.bigInt({ min: 1n, max: 2n ** 40n }), isGap: fc.boolean() }), { maxLength: 20 })
      .chain(steps =>
        fc.tuple(fc.constant(steps), fc.shuffledSubarray([...steps.keys()], { minLength: 0, maxLength: steps.length }))
      )
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 62n }), plan, (start, [steps, order]) => {
        const frontier = new Frontier(start)
        let offset = start
        const model = steps.map(({ step, isGap }): { end: bigint; slot: Slot | undefined; settled: boolean } => {
          offset += step
          if (isGap) {
            frontier.skip(offset)
            return { end: offset, slot: undefined, settled: true }
          }
          return { end: offset, slot: frontier.open(), settled: false }
        })
        const expected = (): bigint => {
          let end = start
          for (const each of model) {
            if (!each.settled) return end
            end = each.end
          }
          return end
        }
        assert.equal(frontier.nextOffset, expected())
        for (const index of order) {
          const each = model[index]
          if (each?.slot === undefined) continue
          each.settled = true
          assert.equal(frontier.settle(each.slot, each.end), expected())
        }
        const firstOpen = model.findIndex(each => !each.settled)
        assert.equal(frontier.openCount, firstOpen < 0 ? 0 : model.length - firstOpen)
      })
    )
  })
})
