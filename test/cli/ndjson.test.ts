/** A line of NDJSON: strings as they are, everything else as it is written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJsonLine } from '../../src/cli/ndjson.ts'

function fieldsOf(line: string): [string, string][] {
  const parsed = parseJsonLine(line)
  assert.ok(parsed.kind === 'object', line)
  return parsed.contents.map(({ key, value }) => [key, value])
}

test('strings become what they say, keys too', () => {
  assert.deepEqual(fieldsOf(String.raw`{"a":"x \"y\" \\","\u65e5":"\u5fd7\n","e":""}`), [
    ['a', 'x "y" \\'],
    ['日', '志\n'],
    ['e', '']
  ])
})

test('numbers keep every digit, as they are written', () => {
  const numbers = ['0', '-1', '9007199254740993', '123456789012345678901234567890', '1.10', '1e3', '-0', '2.50E-7']
  for (const number of numbers) assert.deepEqual(fieldsOf(`{"n": ${number} }`), [['n', number]])
})

test('booleans, null and nested values are their JSON text', () => {
  const line = String.raw`{"t":true,"f":false,"n":null,"o":{"a": [1, "}]\"", {}]},"l":[[],[9007199254740993]],"s":"end"}`
  assert.deepEqual(fieldsOf(line), [
    ['t', 'true'],
    ['f', 'false'],
    ['n', 'null'],
    ['o', String.raw`{"a": [1, "}]\"", {}]}`],
    ['l', '[[],[9007199254740993]]'],
    ['s', 'end']
  ])
})

test('a key that repeats is kept as often, in order; so is one named __proto__', () => {
  assert.deepEqual(fieldsOf('{"a":1,"b":2,"a":3,"__proto__":{"x":1}}'), [
    ['a', '1'],
    ['b', '2'],
    ['a', '3'],
    ['__proto__', '{"x":1}']
  ])
})

test('white space anywhere changes nothing', () => {
  assert.deepEqual(fieldsOf(' \t{ "a" : 1 ,\r "b":\t[ 1 ] , "c" : "x" } \t'), [
    ['a', '1'],
    ['b', '[ 1 ]'],
    ['c', 'x']
  ])
  assert.deepEqual(fieldsOf('{}'), [])
  assert.deepEqual(fieldsOf(' { } '), [])
})

test('what is no object says why', () => {
  const lines: readonly (readonly [string, RegExp])[] = [
    ['[1]', /a list, not an object/],
    ['null', /null, not an object/],
    ['"text"', /a string, not an object/],
    ['12', /a number, not an object/],
    ['{"a":1', /JSON/],
    ['{"a":1} x', /JSON/],
    ["{'a':1}", /JSON/],
    ['{"a":01}', /JSON/],
    ['plain text', /JSON/]
  ]
  for (const [line, why] of lines) {
    const parsed = parseJsonLine(line)
    assert.ok(parsed.kind === 'other', line)
    assert.match(parsed.why, why)
  }
})

test('whatever object is printed, its fields come back', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
      const printed = JSON.stringify(object, undefined, indent)
      const expected = Object.entries(object).map(([key, value]) => [key, value])
      const found = fieldsOf(printed).map(([key, value], index) => {
        const original = expected[index]?.[1]
        return [key, typeof original === 'string' ? value : JSON.parse(value)]
      })
      assert.deepEqual(found, JSON.parse(JSON.stringify(expected)))
    }),
    { numRuns: 500 }
  )
})
