import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { int64, isRecord, type Json, parseJson, printJson } from '../../src/cls/json.ts'

describe('int64-safe JSON', () => {
  for (const offset of [2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), -1n, 0n]) {
    test(`I10: ${offset} is exact, parsed and printed`, () => {
      const text = `{"Offset":${offset}}`
      const parsed = parseJson(text)
      assert.ok(isRecord(parsed))
      assert.equal(int64(parsed.Offset), offset)
      assert.equal(printJson(parsed), text)
      assert.equal(printJson({ Offset: offset }), text)
    })
  }

  test('integers are numbers while safe, and bigints beyond', () => {
    assert.deepEqual(parseJson('[9007199254740991,9007199254740992,-9007199254740993,1e3,1.5,-0]'), [
      9007199254740991,
      9007199254740992n,
      -9007199254740993n,
      1000,
      1.5,
      -0
    ])
  })

  test('int64 takes safe integers, bigints and decimal strings within 64 bits, and nothing else', () => {
    assert.equal(int64('9223372036854775807'), 2n ** 63n - 1n)
    assert.equal(int64(-1), -1n)
    for (const no of [
      2n ** 63n,
      '9223372036854775808',
      1.5,
      2 ** 53,
      '1.5',
      '',
      ' 1',
      '0x1',
      null,
      true,
      [],
      {},
      undefined
    ]) {
      assert.equal(int64(no), undefined, String(no))
    }
  })

  test('values as JSON.parse gives them', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), fc.nat(2), (value, space) => {
        const text = JSON.stringify(value, null, space)
        assert.deepEqual(rounded(parseJson(text)), JSON.parse(text))
        assert.deepEqual(JSON.parse(printJson(parseJson(text))), JSON.parse(text))
      })
    )
  })

  test('text with a few characters broken is accepted or refused as JSON.parse does', () => {
    const characters = [...'{}[]",:\\/ \t\r\n\u0000untrefalsxbE+-.0123456789é']
    const edit = fc.tuple(fc.nat(60), fc.nat(2), fc.constantFrom(...characters))
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(edit, { minLength: 1, maxLength: 3 }), (value, edits) => {
        let text = JSON.stringify(value)
        for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut)
        const expected = outcome(() => JSON.parse(text))
        const found = outcome(() => parseJson(text))
        if (/\d{16}/.test(text)) assert.equal(typeof found, typeof expected)
        else assert.deepEqual(found, expected, text)
      }),
      { numRuns: 2000 }
    )
  })

  test('white space is space, tab, line feed and carriage return, and no other', () => {
    assert.deepEqual(parseJson('\r\n\t {\r\n\t "a"\r\n\t :\r\n\t 1\r\n\t }\r\n\t '), { a: 1 })
    for (const no of ['\u00a0', '\ufeff', '\f', '\v']) assert.throws(() => parseJson(`${no}1`), SyntaxError)
  })

  test('escapes, also of quotes and backslashes before the end', () => {
    for (const text of ['"\\\\"', '"\\\\\\""', '"a\\/\\u002b\\ud83d\\ude00"', '"\\"', '"\\x"', '"\n"', '"']) {
      assert.deepEqual(
        outcome(() => parseJson(text)),
        outcome(() => JSON.parse(text)),
        text
      )
    }
  })

  test('a key named __proto__ is an ordinary key', () => {
    const parsed = parseJson('{"__proto__":{"a":1}}')
    assert.ok(isRecord(parsed))
    assert.equal(Object.getPrototypeOf(parsed), Object.prototype)
    assert.deepEqual(Object.keys(parsed), ['__proto__'])
  })

  test('of equal keys the last one counts, whole and not merged', () => {
    for (const text of [
      '{"a":1,"a":2}',
      '{"a":{"b":1},"a":{"c":2}}',
      '{"a":[1],"a":null}',
      '{"1":1,"b":2,"1":3}',
      '{"a":1,"\\u0061":2}',
      '{"__proto__":1,"__proto__":{"x":2}}'
    ])
      assert.deepEqual(parseJson(text), JSON.parse(text), text)
  })

  test('nesting and integers of absurd size are refused, not suffered', () => {
    assert.throws(() => parseJson('['.repeat(100_000)), SyntaxError)
    assert.throws(() => parseJson('9'.repeat(100_000)), SyntaxError)
  })

  test('errors name the position', () => {
    assert.throws(() => parseJson('{"a":1,}'), /position 7/)
    assert.throws(() => parseJson('<html>'), /position 0/)
    assert.throws(() => parseJson(''), /the end.*position 0/)
    assert.throws(() => parseJson('{"a":"b'), /does not end.*position 5/)
    assert.throws(() => parseJson('[1,"\\u00e4b\u0001c"]'), { name: 'SyntaxError', position: 11 })
    assert.throws(() => parseJson('["\\\\x\\y"]'), { name: 'SyntaxError', position: 5 })
    assert.throws(() => parseJson('["a\\u12g4"]'), { name: 'SyntaxError', position: 3 })
    assert.throws(() => parseJson('['.repeat(1000)), { name: 'SyntaxError', position: 201 })
  })

  test('a member that is undefined is left out, a number that JSON lacks is refused', () => {
    assert.equal(printJson({ a: undefined, b: [null, true, 'x"\u2028'] }), '{"b":[null,true,"x\\"\u2028"]}')
    assert.throws(() => printJson([Number.NaN]), TypeError)
  })
})

/** The value as `JSON.parse` has it, with doubles instead of big integers. */
function rounded(value: Json): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(rounded)
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, rounded(member)]))
}

function outcome(run: () => unknown): unknown {
  try {
    return { value: run() }
  } catch (error) {
    return error instanceof SyntaxError ? 'SyntaxError' : error
  }
}
