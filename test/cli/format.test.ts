/** Numbers, bars and tables for a terminal. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bar, cellCount, count, fit, megabytes, seconds, table } from '../../src/cli/format.ts'

test('numbers are grouped by thousands, also past 2^53', () => {
  assert.deepEqual([0, 999, 1000, 1234567, -1234].map(count), ['0', '999', '1,000', '1,234,567', '-1,234'])
  assert.equal(count(9223372036854775807n), '9,223,372,036,854,775,807')
})

test('bytes and times keep about three digits', () => {
  assert.deepEqual([0, 1_234_567, 45_678_901].map(megabytes), ['0.00 MB', '1.23 MB', '45.7 MB'])
  assert.deepEqual([0, 1234, 12_345].map(seconds), ['0.00 s', '1.23 s', '12.3 s'])
})

test('a bar is always as wide as asked, and full only at the end', () => {
  assert.equal(bar(0, 4), '····')
  assert.equal(bar(0.5, 4), '██··')
  assert.equal(bar(0.53125, 4), '██▏·')
  assert.equal(bar(1, 4), '████')
  for (const odd of [-1, Number.NaN]) assert.equal(bar(odd, 4), '····')
  for (const odd of [2, Number.POSITIVE_INFINITY]) assert.equal(bar(odd, 4), '████')
  for (let step = 0; step <= 320; step++) assert.equal([...bar(step / 320, 10)].length, 10)
})

test('wide characters count two cells, combining marks none', () => {
  assert.equal(cellCount('abc'), 3)
  assert.equal(cellCount('日志 ok'), 7)
  assert.equal(cellCount('e\u0301'), 1)
})

test('a text is cut by cells, and cannot command the terminal', () => {
  assert.equal(fit('abcdef', 6), 'abcdef')
  assert.equal(fit('abcdef', 5), 'abcd…')
  assert.equal(fit('日志服务', 6), '日志…')
  assert.equal(fit('a\x1b[2J', 20), 'a\\u001b[2J')
})

test('table columns line up, by cells', () => {
  const lines = table(
    [
      { title: 'path', align: 'left' },
      { title: 'lines', align: 'right' },
      { title: 'last', align: 'left' }
    ],
    [
      ['/', '1,000', 'x'],
      ['/日志', '7', '']
    ]
  )
  assert.deepEqual(lines, ['path   lines  last', '/      1,000  x', '/日志      7'])
})
