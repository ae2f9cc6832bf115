/** YAML and JSON of a config file: what they say, what is wrong where, and that neither can cost more than it should. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type ConfigFormat, readConfigText, type TextProblem, writeYaml } from '../../src/config/config-text.ts'

function valuesOf(text: string, format: ConfigFormat = 'yaml'): Record<string, unknown> {
  const { values, problems, isParsed } = readConfigText(text, format)
  assert.deepEqual(problems, [])
  assert.ok(isParsed)
  return Object.fromEntries(values.map(({ key, value }) => [key, value]))
}

/** The problems of a text of which nothing is used. */
function slipsOf(text: string, format: ConfigFormat = 'yaml'): readonly TextProblem[] {
  const { values, problems, isParsed } = readConfigText(text, format)
  assert.ok(!isParsed)
  assert.deepEqual(values, [])
  return problems
}

function slipOf(text: string, format: ConfigFormat = 'yaml'): TextProblem {
  const [slip] = slipsOf(text, format)
  return slip ?? assert.fail('no problem')
}

describe('YAML', () => {
  test('is read as YAML 1.2: words, times and old octals are no booleans, dates or numbers', () => {
    const text = [
      'no: no',
      'yes: yes',
      'truth: true',
      'octal: 0o17',
      'zeros: 010',
      'hex: 0x1F',
      'exponent: 1e5',
      'underscored: 1_000',
      'sexagesimal: 12:30',
      'time: 2026-01-31T08:00:00Z',
      'empty:',
      'tilde: ~',
      '<<: {a: 1}',
      '123: key'
    ].join('\n')
    assert.deepEqual(valuesOf(text), {
      123: 'key',
      no: 'no',
      yes: 'yes',
      truth: true,
      octal: 15,
      zeros: 10,
      hex: 31,
      exponent: 100_000,
      underscored: '1_000',
      sexagesimal: '12:30',
      time: '2026-01-31T08:00:00Z',
      empty: null,
      tilde: null,
      '<<': { a: 1 }
    })
    // Also where the file says that it is older.
    assert.deepEqual(valuesOf('%YAML 1.1\n---\na: no\nb: 12:30\n'), { a: 'no', b: '12:30' })
  })

  test('tells the line of each key, and what stands without quotes and is no text', () => {
    const { values } = readConfigText(
      '# c\r\na: 1e5\r\n\r\nb:\r\n  - x\r\n  - 007\r\nc: "1"\r\nd: [y, "2"]\r\ne: {f: 1}\r\n',
      'yaml'
    )
    assert.deepEqual(
      values.map(({ key, line, unquoted }) => [key, line, unquoted]),
      [
        ['a', 2, { text: '1e5', line: 2 }],
        ['b', 4, { text: '007', line: 6 }],
        ['c', 7, undefined],
        ['d', 8, undefined],
        ['e', 9, undefined]
      ]
    )
  })

  test('without anything in it gives nothing', () => {
    for (const text of ['', '\n', '# all of it is a comment\n', '---\n', '\ufeff', '~'])
      assert.deepEqual(valuesOf(text), {})
  })

  test('that is no list of options is refused', () => {
    for (const text of ['- a\n- b\n', 'group', '42', '[group, g]', '"group: g"']) {
      assert.match(slipOf(text).what, /no options at its top/, text)
    }
  })

  test('with a slip is refused with line and column, and nothing of it is used', () => {
    for (const [text, line, column, words] of [
      ['a: 1\nb: "x\nc: 2\n', 4, 1, /quote/i],
      ['a: b: c\n', 1, 4, /in quotes/],
      ['a:\n\tb: 1\n', 2, 1, /tab indents/],
      ['a: @x\n', 1, 4, /in quotes/],
      ['a: "\\q"\n', 1, 5, /escape/],
      ['a: 1\n---\nb: 2\n', 2, 1, /second document/],
      ['a: !!binary aGk=\n', 1, 4, /tag/],
      ['a: !mine x\n', 1, 4, /tag/],
      ['? [x]\n: 1\n', 1, 3, /key is not a text/],
      ['%FOO\n---\na: 1\n', 1, 1, /directive/]
    ] as const) {
      const slip = slipOf(text)
      assert.deepEqual([slip.line, slip.column], [line, column], JSON.stringify(text))
      assert.match(slip.what, words)
    }
  })

  test('I9: no problem quotes what the file says', () => {
    for (const text of [
      'a: "hush\n',
      'a: hush: hush\n',
      'a: "\\hush"\n',
      'a: %hush\n',
      'a: b\n"hush"\n',
      'a: [hush, "hush" hush]\n',
      'a: {hush: 1, : hush\n',
      'a: !hush x\n',
      'a: &hush *hush\n',
      'a: *hush\n',
      'a: |hush\n',
      '%hush\n---\na: 1\n',
      'a: b\n hush\n  hush: c\n',
      'hush',
      'a: 1\n... hush\n'
    ]) {
      for (const format of ['yaml', 'json'] as const) {
        const slips = slipsOf(text, format)
        assert.ok(slips.length > 0)
        for (const { what } of slips) assert.ok(!what.includes('hush'), `${JSON.stringify(text)}: ${what}`)
      }
    }
  })

  test('tells a key that is given twice, at any depth, with both lines', () => {
    const { values, problems, isParsed } = readConfigText(
      'a: 1\nb: {c: 1,\n  d: [{c: 2, c: 3}]}\na: 2\n"a": 3\n',
      'yaml'
    )
    assert.ok(isParsed)
    assert.deepEqual(
      problems.map(({ what, line }) => [what, line]),
      [
        ['a is given twice, first in line 1', 4],
        ['a is given twice, first in line 1', 5],
        ['c is given twice, first in line 3', 3]
      ]
    )
    assert.deepEqual(
      values.map(({ key, isRepeated }) => [key, isRepeated]),
      [
        ['a', true],
        ['b', false]
      ]
    )
  })
})

describe('aliases and nesting', () => {
  test('an alias stands for what its anchor names', () => {
    assert.deepEqual(valuesOf('a: &x [1, {b: &y z}]\nc: *x\nd: {e: *y}\n'), {
      a: [1, { b: 'z' }],
      c: [1, { b: 'z' }],
      d: { e: 'z' }
    })
  })

  test('an alias of nothing, or of what it is part of, is refused with its line', () => {
    for (const [text, words] of [
      ['a: 1\nb: *x\n', /stands for nothing/],
      ['b:\n  - *x\nc: &x 1\n', /stands for nothing/],
      ['a: &x\n  - *x\n', /part of what it stands for/],
      ['a: &x {b:\n [1, {c: *x}]}\n', /part of what it stands for/]
    ] as const) {
      const { what, line } = slipOf(text)
      assert.match(what, words)
      assert.equal(line, 2)
    }
  })

  test('aliases of aliases cannot stand for millions of values', () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const items = Array.from({ length: 9 }, () => (level === 0 ? 'x' : `*a${level - 1}`))
      return `a${level}: &a${level} [${items.join(', ')}]`
    })
    assert.match(slipOf(levels.join('\n')).what, /aliases that stand for more than 100 values/)
    assert.deepEqual(valuesOf(levels.slice(0, 1).join('\n')), { a0: Array.from({ length: 9 }, () => 'x') })
  })

  test('nesting that would exhaust the stack is refused, however it is written', () => {
    const deep = 100_000
    for (const [text, format] of [
      [`a: ${'['.repeat(deep)}`, 'yaml'],
      [`a: ${'[{b: '.repeat(deep)}`, 'yaml'],
      [`{"a": ${'['.repeat(deep)}${']'.repeat(deep)}}`, 'json'],
      [`a:\n  ${'- '.repeat(deep)}x`, 'yaml'],
      [`a:\n  ${'? '.repeat(deep)}x`, 'yaml'],
      [Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), 'yaml']
    ] as const) {
      assert.match(slipOf(text, format).what, /nested deeper than 64/)
    }
    const most = 60
    assert.equal(JSON.stringify(valuesOf(`a: ${'['.repeat(most)}${']'.repeat(most)}`)).length, 6 + 2 * most)
  })
})

describe('JSON', () => {
  test('is read as JSON.parse reads it, with lines', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ maxLength: 20 }), fc.jsonValue({ maxDepth: 3 })),
        fc.constantFrom(undefined, 2, '\t'),
        (object, indentation) => {
          const text = JSON.stringify(object, null, indentation)
          fc.pre(!/["\\][[\]{}]{20}/.test(text))
          assert.deepEqual(valuesOf(text, 'json'), Object.fromEntries(Object.entries(JSON.parse(text))))
        }
      ),
      { numRuns: 300 }
    )
    const { values } = readConfigText('\ufeff{\r\n\t"a": 1,\r\n\t"b": "\\ud83d\\ude00\\/"\r\n}\r\n', 'json')
    assert.deepEqual(
      values.map(({ value, line }) => [value, line]),
      [
        [1, 2],
        ['😀/', 3]
      ]
    )
  })

  test('with what only YAML has is refused with line and column', () => {
    for (const [text, line, column] of [
      ['{\n  "a": 1,\n}', 2, 9],
      ['{"a": [1,\n]}', 1, 9],
      ['{\n  # why\n  "a": 1}', 2, 3],
      ["{\n 'a': 1}", 2, 2],
      ['{"a": "\\x41"}', 1, 7],
      ['{\n"a": +1}', 2, 6],
      ['{"a": 1} # end', 1, 10],
      ['{"a": yes}', 1, 7],
      ['{"a":}', 1, 6],
      ['{"a": 1 "b": 2}', 1, 7],
      ['{"a" 1}', 1, 6],
      ['{"a": 1', 1, 8]
    ] as const) {
      const slip = slipOf(text, 'json')
      assert.deepEqual([slip.line, slip.column], [line, column], `${text}: ${slip.what}`)
    }
    for (const text of ['"a": 1', '{"a"}', '{"a", "b"}']) {
      assert.match(slipOf(text, 'json').what, /not JSON/, text)
    }
  })

  test('tells a key that is given twice, which JSON.parse would not', () => {
    const { problems } = readConfigText('{"a": 1,\n"a": 2}', 'json')
    assert.deepEqual(problems, [{ what: 'a is given twice, first in line 1', line: 2, isFatal: false }])
  })
})

describe('what is written', () => {
  test('is read again as it was, each text in one line', () => {
    const value = fc.jsonValue({ maxDepth: 2 })
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z]{1,10}$/), value, (key, written) => {
        const text = writeYaml({ [key]: written })
        fc.pre((text.match(/[[{]/g) ?? []).length < 60)
        assert.deepEqual(valuesOf(text), { [key]: written })
      }),
      { numRuns: 300 }
    )
    for (const text of [
      'a\nb',
      `${'long '.repeat(50)}\n\n${'x'.repeat(100)}`,
      'no',
      '1e5',
      '0o17',
      '~',
      '# x',
      ' x ',
      '*a'
    ]) {
      assert.deepEqual(valuesOf(writeYaml({ a: text })), { a: text })
      assert.equal(writeYaml({ a: text }).trimEnd().split('\n').length, 1)
    }
  })

  test('has no aliases, which a reader would have to follow', () => {
    const shared = { b: [1] }
    assert.equal(writeYaml({ a: shared, c: shared }), 'a:\n  b:\n    - 1\nc:\n  b:\n    - 1\n')
  })
})
