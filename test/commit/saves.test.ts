import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Frontier, type Slot } from '../../src/commit/frontier.ts'
import { Saves } from '../../src/commit/saves.ts'

/** Frontier and saves of one epoch together, as a tenure has them. */
function epoch(startOffset: bigint) {
  const frontier = new Frontier(startOffset)
  const saves = new Saves(startOffset)
  return {
    saves,
    open: () => frontier.open(),
    settle: (slot: Slot, end: bigint, isSaved = false) => saves.settled(frontier.settle(slot, end), isSaved, end),
    /** Skipped, dead-lettered, or without logs. */
    pass: (slot: Slot, end: bigint) => saves.advanced(frontier.settle(slot, end)),
    gap: (end: bigint) => saves.advanced(frontier.skip(end))
  }
}

describe('saves', () => {
  test('I1: an epoch begins saved, at its start', () => {
    const { saves } = epoch(100n)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [100n, false])
  })

  test('I1: what is processed is committed only up to the last save', () => {
    const { saves, open, settle } = epoch(0n)
    settle(open(), 10n)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [0n, true])
    settle(open(), 20n, true)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [20n, false], 'a save covers the batches before it')
    settle(open(), 30n)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [20n, true])
  })

  test('with nothing unsaved, the offset follows gaps and batches that nobody processed', () => {
    const { saves, open, settle, pass, gap } = epoch(0n)
    gap(5n)
    assert.equal(saves.offset, 5n)
    settle(open(), 10n, true)
    gap(15n)
    assert.equal(saves.offset, 15n)
    pass(open(), 20n)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [20n, false])
  })

  test('I1: a gap or a batch set aside does not carry the offset past an unsaved batch', () => {
    const { saves, open, settle, pass, gap } = epoch(0n)
    settle(open(), 10n)
    gap(15n)
    pass(open(), 20n)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [0n, true])
    saves.save()
    assert.deepEqual([saves.offset, saves.hasUnsaved], [20n, false])
  })

  test('I1: a gap that was passed before an open batch holds, and counts once the batch is saved', () => {
    for (const isSaved of [true, false]) {
      const { saves, open, settle, gap } = epoch(10n)
      const batch = open()
      gap(50n)
      assert.equal(saves.offset, 10n)
      settle(batch, 20n, isSaved)
      assert.deepEqual([saves.offset, saves.hasUnsaved], isSaved ? [50n, false] : [10n, true])
    }
  })

  test('I1: a save covers the batches before it, but is committed no further than is settled', () => {
    const { saves, open, settle } = epoch(10n)
    const first = open()
    settle(open(), 30n, true)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [10n, false])
    settle(first, 20n)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [30n, false])
  })

  test('a late save of an earlier batch leaves the later one unsaved', () => {
    const { saves, open, settle } = epoch(10n)
    const first = open()
    settle(open(), 30n)
    settle(first, 20n, true)
    assert.deepEqual([saves.offset, saves.hasUnsaved], [20n, true])
  })

  test('I1: the save of revoke covers what is settled without a hole, and nothing behind', () => {
    const { saves, open, settle } = epoch(0n)
    settle(open(), 10n)
    const second = open()
    settle(open(), 30n)
    saves.save()
    assert.deepEqual([saves.offset, saves.hasUnsaved], [10n, true])
    settle(second, 20n)
    assert.equal(saves.offset, 10n)
  })

  test('I10: offsets beyond 2^53 stay exact', () => {
    const start = 2n ** 62n + 1n
    const { saves, open, settle } = epoch(start)
    settle(open(), start + 2n, true)
    assert.equal(saves.offset, 4_611_686_018_427_387_907n)
  })
})

type Kind = 'saved' | 'unsaved' | 'aside' | 'gap'

interface Step {
  readonly kind: Kind
  readonly size: bigint
  /** Batches that are open at a time before the oldest settles: gaps come between. */
  readonly openMax: number
  /** A save in `revoke` after this step. */
  readonly savesAfter: boolean
}

/** One range in the order of dispatch, and what became of it so far. */
interface Range {
  readonly end: bigint
  /** A processor was given it. */
  readonly isWork: boolean
  isSettled: boolean
  /** A save was made with it in the processor's state. */
  isCovered: boolean
}

/** By looking at every range anew: up to the first that is not settled, or whose work no save covers. */
function naiveOffset(ranges: readonly Range[], startOffset: bigint): bigint {
  const stop = ranges.findIndex(({ isWork, isSettled, isCovered }) => !isSettled || (isWork && !isCovered))
  const passed = stop < 0 ? ranges : ranges.slice(0, stop)
  return passed.at(-1)?.end ?? startOffset
}

/** Plays the steps beside the naive model. `check` is given both offsets after each change. */
function play(
  start: bigint,
  steps: readonly Step[],
  pick: (openCount: number) => number,
  check: (offset: bigint, naive: bigint) => void
) {
  const { saves, open, settle, pass, gap } = epoch(start)
  const ranges: Range[] = []
  const waiting: { readonly kind: Kind; readonly range: Range; readonly slot: Slot }[] = []
  const compare = (): void => {
    const isUnsaved = ({ isWork, isSettled, isCovered }: Range): boolean => isWork && isSettled && !isCovered
    assert.equal(saves.hasUnsaved, ranges.some(isUnsaved))
    check(saves.offset, naiveOffset(ranges, start))
  }
  const cover = (count: number): void => {
    for (const range of ranges.slice(0, count)) range.isCovered = true
    compare()
  }
  const settleOne = (): void => {
    const [next] = waiting.splice(pick(waiting.length), 1)
    if (next === undefined) return
    const { kind, range, slot } = next
    range.isSettled = true
    if (kind === 'aside') pass(slot, range.end)
    else settle(slot, range.end, kind === 'saved')
    // What was dispatched before it was processed before it (I2), settled or not.
    cover(kind === 'saved' ? ranges.indexOf(range) + 1 : 0)
  }
  let end = start
  for (const { kind, size, openMax, savesAfter } of steps) {
    end += size
    const range = { end, isWork: kind === 'saved' || kind === 'unsaved', isSettled: kind === 'gap', isCovered: false }
    ranges.push(range)
    if (kind === 'gap') gap(end)
    else waiting.push({ kind, range, slot: open() })
    compare()
    while (waiting.length > openMax) settleOne()
    if (!savesAfter) continue
    saves.save()
    const hole = ranges.findIndex(({ isSettled }) => !isSettled)
    cover(hole < 0 ? ranges.length : hole)
  }
  while (waiting.length > 0) settleOne()
  return { saves, end }
}

const anySteps = fc.array(
  fc.record<Step>({
    kind: fc.constantFrom<Kind>('saved', 'unsaved', 'unsaved', 'aside', 'gap'),
    size: fc.bigInt({ min: 1n, max: 2n ** 40n }),
    openMax: fc.nat(3),
    savesAfter: fc.nat(7).map(chance => chance === 0)
  }),
  { maxLength: 30, size: 'max' }
)
const anyStart = fc.bigInt({ min: 0n, max: 2n ** 62n })
const oldest = (): number => 0

describe('saves: any course', () => {
  test('I1: where batches settle in their order, the offset is the end of what is settled and needs no repeat', () => {
    fc.assert(
      fc.property(anyStart, anySteps, (start, steps) => {
        play(start, steps, oldest, (offset, naive) => assert.equal(offset, naive))
      })
    )
  })

  test('I1: in any order of settling, the offset passes nothing that is open or unsaved, and never goes back', () => {
    fc.assert(
      fc.property(anyStart, anySteps, fc.infiniteStream(fc.nat()), (start, steps, chances) => {
        let last = start
        const pick = (openCount: number): number => (chances.next().value ?? 0) % Math.max(1, openCount)
        const { saves, end } = play(start, steps, pick, (offset, naive) => {
          assert.ok(offset <= naive, `${offset} is past ${naive}`)
          assert.ok(offset >= last, `${offset} is behind ${last}`)
          last = offset
        })
        saves.save()
        assert.deepEqual([saves.offset, saves.hasUnsaved], [end, false], 'a save at the end loses nothing')
      })
    )
  })
})
