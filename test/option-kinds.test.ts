/** The kinds of option, from code and from a file. `resolve-options.test.ts` has them in the table. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  anyValue,
  choice,
  flag,
  integer,
  list,
  type OptionRow,
  parseWritten,
  position,
  text,
  Wrong
} from '../src/option-kinds.ts'

const KINDS = {
  text: text({ help: 'h' }),
  patterned: text({ help: 'h', pattern: /^[a-z]+$/, expected: 'letters' }),
  integer: integer({ help: 'h', min: 0, max: 100, step: 5, unit: 'ms' }),
  flag: flag({ help: 'h' }),
  choice: choice(['begin', 'end'], { help: 'h' }),
  list: list({ help: 'h', item: 'topic' }),
  position: position(['begin', 'end'], { help: 'h' }),
  value: anyValue({ help: 'h' })
} satisfies Record<string, OptionRow<unknown>>

function expectedOf(row: OptionRow<unknown>, value: unknown): string | undefined {
  const parsed = parseWritten(row, value)
  return parsed instanceof Wrong ? parsed.expected : undefined
}

describe('a value of a config file', () => {
  test('that is of its own type is taken as from code', () => {
    for (const [kind, value] of [
      ['text', '5'],
      ['patterned', 'a'],
      ['integer', 10],
      ['flag', false],
      ['choice', 'end'],
      ['list', ['a', 'b']],
      ['position', 1_700_000_000],
      ['position', 'begin'],
      ['value', { any: ['thing', 1] }]
    ] as const) {
      assert.deepEqual(parseWritten(KINDS[kind], value), value, kind)
    }
    assert.equal(parseWritten(KINDS.position, '2023-11-14T22:13:20Z'), 1_700_000_000)
  })

  test('that is a text for something else is refused, with how to write it, though a variable may be one', () => {
    for (const [kind, value, expected] of [
      ['integer', '10', 'a number without quotes'],
      ['flag', 'true', 'true or false without quotes'],
      ['list', 'a,b', 'a list, such as [a, b]'],
      ['position', '1700000000', 'Unix seconds without quotes']
    ] as const) {
      assert.ok(!(KINDS[kind].parse(value) instanceof Wrong), kind)
      assert.equal(expectedOf(KINDS[kind], value), expected)
    }
  })

  test('that is wrong from code too is refused in the same words', () => {
    for (const [kind, value] of [
      ['text', 5],
      ['text', ''],
      ['patterned', 'A'],
      ['integer', 7],
      ['integer', 'ten'],
      ['flag', 1],
      ['choice', 'now'],
      ['list', []],
      ['list', [1]],
      ['position', 'yesterday']
    ] as const) {
      const parsed: unknown = KINDS[kind].parse(value)
      assert.ok(parsed instanceof Wrong)
      assert.equal(expectedOf(KINDS[kind], value), parsed.expected)
    }
  })
})

test('a whole number is told with its unit, its bounds and its step, as far as it has them', () => {
  for (const [row, type, expected] of [
    [KINDS.integer, 'ms, 0 – 100, multiple of 5', 'a whole number of ms from 0 to 100, a multiple of 5'],
    [integer({ help: 'h', min: 0, max: 65_535 }), '0 – 65535', 'a whole number from 0 to 65535']
  ] as const) {
    assert.deepEqual([row.type, expectedOf(row, -1)], [type, expected])
  }
})

describe('a time', () => {
  test('is a day that exists, at a time of day that exists', () => {
    for (const time of [
      '2024-02-29',
      '2023-12-31T23:59:59.999Z',
      '2023-11-14T22:13+0800',
      '2023-11-14T22:13:20-11:30'
    ]) {
      assert.equal(typeof KINDS.position.parse(time), 'number', time)
    }
    for (const time of [
      '2023-02-29',
      '2026-02-30T00:00:00Z',
      '2026-04-31T08:00:00+08:00',
      '2026-00-01',
      '2026-01-32',
      '2026-01-01T24:00:00Z',
      '2026-01-01T08:60Z',
      '2026-01-01T08:00:60Z',
      '2026-01-01T08:00+24:00',
      '1969-12-31T23:59:59Z',
      '2026-1-1'
    ]) {
      assert.ok(KINDS.position.parse(time) instanceof Wrong, time)
    }
  })

  test('of a fraction of a second is the second it lies in', () => {
    assert.equal(KINDS.position.parse('2023-11-14T22:13:20.999Z'), 1_700_000_000)
  })
})
