/** Sums of what the processor counted: checked, and bounded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTally, TallySum } from '../../src/cli/demo-tally.ts'

const tally = (statuses: [string, number][], paths: [string, number][]) => ({
  ids: new Uint32Array(0),
  statuses: new Map(statuses),
  paths: new Map(paths)
})

test('batches are summed by status and by path', () => {
  const sum = new TallySum()
  sum.add(tally([['200', 2]], [['/', 2]]))
  sum.add(
    tally(
      [
        ['200', 1],
        ['404', 1]
      ],
      [['/a', 2]]
    )
  )
  assert.deepEqual(Object.fromEntries(sum.statuses), { 200: 3, 404: 1 })
  assert.deepEqual(Object.fromEntries(sum.paths), { '/': 2, '/a': 2 })
})

test('distinct paths are bounded, and none is counted wrong or lost', () => {
  const sum = new TallySum()
  sum.add(tally([], [['/known', 1]]))
  sum.add(
    tally(
      [],
      Array.from({ length: 60_000 }, (_, index): [string, number] => [`/${index}`, 1])
    )
  )
  sum.add(tally([], [['/known', 4]]))
  const counted = [...sum.paths.values()].reduce((a, b) => a + b, 0)
  assert.equal(sum.paths.size, 50_000)
  assert.equal(sum.paths.get('/known'), 5)
  assert.equal(counted + sum.otherPathCount, 60_005)
})

test('a result is a tally only with all of its parts, after a thread boundary too', () => {
  assert.equal(isTally(structuredClone(tally([['200', 1]], []))), true)
  for (const odd of [undefined, null, 1, {}, { ...tally([], []), ids: [1] }, { ...tally([], []), paths: {} }]) {
    assert.equal(isTally(odd), false)
  }
})
