import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { BatchTexts, WINDOW_BYTES } from '../../workers/batch-texts.ts'
import { LOG, LOG_WORDS, PAIR, PAIR_WORDS } from '../../workers/kernel/log-group-index.ts'
import { END_FLAG } from '../../workers/kernel/memory.ts'
import { KeyShape, ShapeCache, toRecord } from '../../workers/key-shapes.ts'
import { ROUNDS } from './kernel/setup.ts'

/** More often than it takes for the code to be compiled. */
const OBJECT_COUNT = 600

/** A log whose value at pair `n` is `value n`, and every third of them not ASCII. */
function logOf(keyCount: number): { readonly words: Int32Array; readonly texts: BatchTexts; readonly log: number } {
  const log = 8
  const words = new Int32Array(log + LOG_WORDS + keyCount * PAIR_WORDS)
  let at = 1000
  const values = Array.from({ length: keyCount }, (_, pair) => {
    const value = Buffer.from(valueAt(pair))
    const place = log + LOG_WORDS + pair * PAIR_WORDS + PAIR.value
    words[place] = at
    at += value.length
    words[place + 1] = pair % 3 === 0 ? at | END_FLAG : at
    return value
  })
  return { words, log, texts: new BatchTexts(Buffer.concat([Buffer.alloc(1000), ...values])) }
}

function valueAt(pair: number): string {
  return pair % 3 === 0 ? `值 ${pair}` : `value ${pair}`
}

/** Keys as the object's order and prototype would notice them. */
const key = fc.oneof(
  {
    arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', '', '0', '7', '10', '-1', '01', '1e3'),
    weight: 3
  },
  { arbitrary: fc.constantFrom('"', "'", '\\', '`', '\u0024{1}', '\n', '\u2028', '\0', '*/', ']: 1, ['), weight: 2 },
  { arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }), weight: 2 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 12 }), weight: 1 }
)

/** What one member after the other makes of it. */
function expected(keys: readonly string[]): Record<string, string> {
  const object: Record<string, string> = {}
  for (const [index, each] of keys.entries()) {
    if (Object.hasOwn(object, each)) continue
    Object.defineProperty(object, each, {
      value: valueAt(index),
      enumerable: true,
      configurable: true,
      writable: true
    })
  }
  return object
}

function assertObject(object: Record<string, string>, keys: readonly string[]): void {
  const wanted = expected(keys)
  assert.deepEqual(Object.getOwnPropertyDescriptors(object), Object.getOwnPropertyDescriptors(wanted))
  assert.deepEqual(Object.entries(object), Object.entries(wanted))
  assert.equal(Object.getPrototypeOf(object), Object.prototype)
}

describe('an object of a shape', () => {
  test('has each key once, with its first value, in the order of any object, before it is compiled and after', () => {
    fc.assert(
      fc.property(fc.array(key, { maxLength: 12 }), keys => {
        const shape = new KeyShape(keys)
        const { texts, words, log } = logOf(keys.length)
        assertObject(shape.toObject(texts, words, log), keys)
        for (let count = 1; count < OBJECT_COUNT; count++) shape.toObject(texts, words, log)
        assertObject(shape.toObject(texts, words, log), keys)
      }),
      { numRuns: ROUNDS }
    )
  })

  test('with more keys than a literal is for is made all the same', () => {
    const keys = Array.from({ length: 1000 }, (_, index) => `key ${index % 900}`)
    const shape = new KeyShape(keys)
    const { texts, words, log } = logOf(keys.length)
    for (let count = 0; count < OBJECT_COUNT; count++) shape.toObject(texts, words, log)
    assertObject(shape.toObject(texts, words, log), keys)
  })

  test('of a log that is longer than a window is made all the same, with strings that keep no more than a window', () => {
    const shape = new KeyShape(['a', 'b', 'c'])
    const log = 0
    const words = new Int32Array(LOG_WORDS + 3 * PAIR_WORDS)
    const value = 'x'.repeat(WINDOW_BYTES / 2)
    for (let pair = 0; pair < 3; pair++) {
      words[LOG_WORDS + pair * PAIR_WORDS + PAIR.value] = pair * value.length
      words[LOG_WORDS + pair * PAIR_WORDS + PAIR.value + 1] = (pair + 1) * value.length
    }
    const texts = new BatchTexts(Buffer.from(value.repeat(3)))
    for (let count = 0; count < OBJECT_COUNT; count++) {
      assert.deepEqual(shape.toObject(texts, words, log), { a: value, b: value, c: value })
      assert.ok(texts.window.length <= WINDOW_BYTES)
    }
  })

  test('is made where Node may not make code of strings', { timeout: 30_000 }, async () => {
    const folder = new URL('../../workers/', import.meta.url)
    const code = `
      const { KeyShape } = await import(${JSON.stringify(new URL('key-shapes.js', folder).href)})
      const { BatchTexts } = await import(${JSON.stringify(new URL('batch-texts.js', folder).href)})
      const texts = new BatchTexts(Buffer.from('abcdefghijklmnopqrstuvwxyz'))
      const shape = new KeyShape(['a', '__proto__', 'a'])
      let object
      for (let count = 0; count < ${OBJECT_COUNT}; count++) {
        object = shape.toObject(texts, new Int32Array(64).map((_, at) => at), 0)
      }
      let isRefused = false
      try { new Function('') } catch { isRefused = true }
      console.log(JSON.stringify([Object.entries(object), isRefused]))
    `
    const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', code]
    const { stdout } = await promisify(execFile)(process.execPath, flags)
    assert.deepEqual(JSON.parse(stdout), [
      [
        ['a', 'k'],
        ['__proto__', 'o']
      ],
      true
    ])
  })
})

describe('a shape', () => {
  test('knows its keys as written, and where the first of each has its value', () => {
    const shape = new KeyShape(['a', 'b', 'a', '__proto__'])
    assert.deepEqual(shape.keys, ['a', 'b', 'a', '__proto__'])
    assert.deepEqual(shape.uniqueKeys(), ['a', 'b', '__proto__'])
    const places = ['a', 'b', '__proto__', 'constructor'].map(each => shape.placeOf(each))
    const first = LOG_WORDS + PAIR.value
    assert.deepEqual(places, [first, first + PAIR_WORDS, first + 3 * PAIR_WORDS, undefined])
  })
})

/** A log with these keys and empty values: strings as UTF-8, bytes as they are. */
function logWith(keys: readonly (string | Buffer)[]): { readonly words: Int32Array; readonly texts: BatchTexts } {
  const words = new Int32Array(LOG_AT + LOG_WORDS + keys.length * PAIR_WORDS)
  words[LOG_AT + LOG.contentCount] = keys.length
  let at = 0
  const texts = keys.map((each, index) => {
    const text = Buffer.from(each)
    const pair = LOG_AT + LOG_WORDS + index * PAIR_WORDS
    words[pair + PAIR.key] = at
    at += text.length
    words[pair + PAIR.key + 1] = text.some(byte => byte > 127) ? at | END_FLAG : at
    return text
  })
  return { words, texts: new BatchTexts(Buffer.concat(texts)) }
}

const LOG_AT = 8

function shapeOf(cache: ShapeCache, keys: readonly (string | Buffer)[], digest = 0): KeyShape {
  const { words, texts } = logWith(keys)
  return cache.shapeOf(LOG_AT, words, texts, digest)
}

describe('the shapes of a thread', () => {
  test('the same keys have the same shape, and others never, though they have one digest', () => {
    const cache = new ShapeCache(100, 1000)
    const sequences = [
      ['a', 'b'],
      ['b', 'a'],
      ['a","b'],
      ['a', 'b', ''],
      ['a', 'bb'],
      ['ab'],
      ['a'],
      [],
      ['键'],
      ['锣']
    ]
    const shapes = sequences.map(keys => shapeOf(cache, keys))
    assert.equal(new Set(shapes).size, sequences.length)
    for (const [index, keys] of sequences.entries()) {
      assert.deepEqual(shapes[index]?.keys, keys)
      assert.equal(shapeOf(cache, keys), shapes[index])
    }
    assert.equal(cache.size, sequences.length)
  })

  test('any keys are those that the shape says, whatever was met before', () => {
    const cache = new ShapeCache(20, 100)
    const keys = fc.array(fc.oneof(fc.constantFrom('a', 'b', ''), key), { maxLength: 4 })
    fc.assert(
      fc.property(keys, fc.nat(3), (sequence, digest) => {
        const written = sequence.map(each => Buffer.from(each).toString())
        assert.deepEqual(shapeOf(cache, sequence, digest).keys, written)
        assert.ok(cache.size <= 20)
      }),
      { numRuns: ROUNDS }
    )
  })

  test('bytes that are no UTF-8 are the key that they are read as', () => {
    const cache = new ShapeCache(10, 1000)
    const shape = shapeOf(cache, [Buffer.from([0x61, 0xff])])
    assert.deepEqual(shape.keys, ['a\ufffd'])
    assert.equal(shapeOf(cache, [Buffer.from([0x61, 0xfe])]), shape)
    assert.notEqual(shapeOf(cache, [Buffer.from([0x62, 0xff])]), shape)
  })

  test('keys that were met before cost no string', () => {
    const cache = new ShapeCache(10, 1000)
    const shape = shapeOf(cache, ['status', '状态'])
    const { words, texts } = logWith(['status', '状态'])
    texts.bytes.toString = () => assert.fail('a string is made')
    assert.equal(cache.shapeOf(LOG_AT, words, texts, 0), shape)
  })

  test('the least recently used goes first', () => {
    const cache = new ShapeCache(2, 1000)
    const a = shapeOf(cache, ['a'], 1)
    const b = shapeOf(cache, ['b'], 2)
    assert.equal(shapeOf(cache, ['a'], 1), a)
    shapeOf(cache, ['c'], 3)
    assert.equal(cache.size, 2)
    assert.equal(shapeOf(cache, ['a'], 1), a)
    assert.notEqual(shapeOf(cache, ['b'], 2), b)
  })

  test('those of one digest go together, so that there are never too many', () => {
    const cache = new ShapeCache(3, 1000)
    const kept = shapeOf(cache, ['kept'], 7)
    for (const name of ['a', 'b']) shapeOf(cache, [name], 1)
    assert.equal(shapeOf(cache, ['kept'], 7), kept)
    shapeOf(cache, ['c'], 1)
    assert.equal(cache.size, 3, 'the digest that was just used is the youngest')
    assert.notEqual(shapeOf(cache, ['kept'], 7), kept)
    assert.equal(cache.size, 1)
  })

  test('one with very long or very many keys is not kept', () => {
    const cache = new ShapeCache(2, 1000)
    for (const keys of [['a'.repeat(1000)], Array.from({ length: 1001 }, () => '')]) {
      assert.deepEqual(shapeOf(cache, keys).keys, keys)
      assert.equal(cache.size, 0)
    }
    shapeOf(cache, ['a'.repeat(999)])
    assert.equal(cache.size, 1)
  })
})

test('of pairs with the same key an object has the first', () => {
  const pairs = [
    ['__proto__', '1'],
    ['b', '2'],
    ['__proto__', '3'],
    ['b', '4']
  ] as const
  assert.deepEqual(Object.entries(toRecord(pairs)), [
    ['__proto__', '1'],
    ['b', '2']
  ])
})
