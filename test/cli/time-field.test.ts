/** Times of fields: exact, with the unit that is meant. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTimeField, type TimeUnit } from '../../src/cli/time-field.ts'

const MS = 1_769_846_403_250n

test('the unit of a number is told by its magnitude', () => {
  const cases: readonly (readonly [string, bigint])[] = [
    ['1769846403', 1_769_846_403_000n],
    ['1769846403250', MS],
    ['1769846403250125', 1_769_846_403_250_125n],
    ['1769846403250000', MS],
    ['1769846403250125999', 1_769_846_403_250_125n],
    ['1769846403.25', MS],
    ['1769846403.250125', 1_769_846_403_250_125n],
    ['1.76984640325e9', MS],
    ['1769846403250.125', 1_769_846_403_250_125n],
    ['  1769846403250 ', MS]
  ]
  for (const [text, expected] of cases) assert.equal(parseTimeField(text, undefined), expected, text)
})

test('a unit that is given is taken, whatever the magnitude', () => {
  const cases: readonly (readonly [string, TimeUnit, bigint])[] = [
    ['1769846403', 's', 1_769_846_403_000n],
    ['1769846403250', 'ms', MS],
    ['1769846403250125', 'us', 1_769_846_403_250_125n],
    ['1769846403250125999', 'ns', 1_769_846_403_250_125n],
    ['100000001000', 'ms', 100_000_001_000n]
  ]
  for (const [text, unit, expected] of cases) assert.equal(parseTimeField(text, unit), expected, text)
  assert.equal(parseTimeField('1769846403250', 's'), undefined, 'no year of ours')
})

test('ISO 8601 in its forms, and the time of access logs', () => {
  const zoned = [
    '2026-01-31T08:00:03.25Z',
    '2026-01-31t08:00:03.250z',
    '2026-01-31 08:00:03,250 +00:00',
    '2026-01-31T16:00:03.250+08:00',
    '2026-01-31T16:00:03.250+0800',
    '2026-01-31T16:00:03.250+08'
  ]
  for (const text of zoned) assert.equal(parseTimeField(text, undefined), MS, text)
  assert.equal(parseTimeField('2026-01-31T08:00:03.250125999Z', undefined), 1_769_846_403_250_125n)
  assert.equal(parseTimeField('2026-01-31', undefined), BigInt(Date.UTC(2026, 0, 31)))
  assert.equal(parseTimeField('2026-01-31T08:00', undefined), BigInt(new Date(2026, 0, 31, 8).getTime()))
  assert.equal(parseTimeField('17/May/2015:10:05:03 +0000', undefined), BigInt(Date.UTC(2015, 4, 17, 10, 5, 3)))
})

test('what is no time, or one that readers would take for another, is none', () => {
  const wrong = ['', 'soon', '-1769846403', '0', '5', '99999999', '20260131080000', '1e99', '0x1', 'NaN', '1,5']
  const dates = ['2026-02-30', '2026-02-29T00:00:00Z', '2026-13-01', '2026-01-31T25:00:00Z', '2026-00-10', '2026-1-31']
  for (const text of [...wrong, ...dates]) assert.equal(parseTimeField(text, undefined), undefined, text)
  assert.notEqual(parseTimeField('2028-02-29', undefined), undefined, 'a leap year')
})
