import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, spreadOf } from '../../bench/statistics.ts'

test('the median of an odd count is the middle one, of an even count between the middle two', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([4, 1, 2, 100]), 3)
  assert.equal(median([7]), 7)
})

test('the median of nothing is no number', () => {
  assert.ok(Number.isNaN(median([])))
})

test('a spread goes from the least to the most, and leaves its values alone', () => {
  const values = [3, 10, 2]
  assert.deepEqual(spreadOf(values), { median: 3, least: 2, most: 10 })
  assert.deepEqual(values, [3, 10, 2])
})
