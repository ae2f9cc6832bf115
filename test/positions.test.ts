/** Positions as a caller of the API writes them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPosition } from '../src/positions.ts'

const LAST = 2n ** 63n - 1n

for (const [given, expected] of [
  [0n, 0n],
  [42n, 42n],
  [LAST, LAST],
  ['begin', 'begin'],
  ['end', 'end'],
  [1_700_000_000, 1_700_000_000],
  [new Date(1_700_000_000_999), 1_700_000_000],
  ['2023-11-14T22:13:20Z', 1_700_000_000]
] as const) {
  test(`I10: ${typeof given} ${String(given)} is ${typeof expected} ${expected}`, () =>
    assert.equal(checkPosition(given), expected))
}

for (const [given, named] of [
  [-1n, '-1n'],
  [LAST + 1n, `${LAST + 1n}n`],
  [-1, '-1'],
  [1.5, '1.5'],
  [Number.NaN, 'NaN'],
  [1e15, '1000000000000000'],
  [new Date(Number.NaN), 'Invalid Date'],
  ['middle', 'middle'],
  [undefined, 'undefined'],
  [null, 'null']
] as const) {
  test(`I6: ${typeof given} ${String(given)} is no position, and the error says what one is`, () =>
    assert.throws(() => checkPosition(given), {
      code: 'OPTIONS_INVALID',
      message: new RegExp(`^the position is ${named}, expected an offset`)
    }))
}

test('I10: a number is a time: whoever means an offset is told how to write one', () =>
  assert.throws(() => checkPosition(2 ** 53), { message: /an offset as a bigint, such as 42n/ }))

test('I10: a small number is an offset without its n, and would be the beginning of the log', () => {
  assert.throws(() => checkPosition(5), { message: /the position is 5, .*expected an offset as a bigint: 5n/ })
  assert.equal(checkPosition(1_000_000_000), 1_000_000_000)
})
