import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { BatchTexts } from '../../workers/batch-texts.ts'
import { END_FLAG } from '../../workers/kernel/memory.ts'
import { RepeatedTexts } from '../../workers/repeated-texts.ts'
import { ROUNDS } from './kernel/setup.ts'

/** The texts side by side, how many strings were made of them, and how long ones. */
class Column {
  madeCount = 0
  longest = 0
  readonly #texts: RepeatedTexts
  readonly #ends: number[] = []
  readonly #bytes: Buffer

  constructor(values: readonly string[]) {
    this.#bytes = Buffer.from(values.join(''))
    let end = 0
    for (const value of values) {
      end += Buffer.byteLength(value)
      this.#ends.push(end)
    }
    const batchTexts = new BatchTexts(this.#bytes)
    this.#bytes.toString = (encoding, from, to) => {
      this.madeCount++
      const made = Buffer.prototype.toString.call(this.#bytes, encoding, from, to)
      this.longest = Math.max(this.longest, made.length)
      return made
    }
    this.#texts = new RepeatedTexts(batchTexts)
  }

  readAll(): string[] {
    return this.#ends.map((end, index) => {
      const start = this.#ends[index - 1] ?? 0
      const isWide = this.#bytes.subarray(start, end).some(byte => byte > 127)
      return this.#texts.read(start, isWide ? end | END_FLAG : end)
    })
  }
}

describe('repeated texts', () => {
  test('are those that stand there, whatever stood there before', () => {
    const value = fc.oneof(
      fc.constantFrom('200', '404', '500', '020', '', 'GET', 'x'.repeat(24), 'x'.repeat(25), '茶', '\0'),
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 6 })
    )
    fc.assert(
      fc.property(fc.array(value, { maxLength: 400 }), values => {
        const column = new Column(values)
        assert.deepEqual(column.readAll(), values)
        assert.deepEqual(column.readAll(), values)
      }),
      { numRuns: ROUNDS }
    )
  })

  test('cost a string for each that is different', () => {
    const column = new Column(
      Array.from({ length: 10_000 }, (_, index) => ['200', '404', '500', 'GET'][index % 4] ?? '')
    )
    column.readAll()
    assert.equal(column.madeCount, 4)
  })

  test('stay so though one in twenty is new: no window is moved for them', () => {
    const values = Array.from({ length: 10_000 }, (_, index) => (index % 20 === 0 ? `${100_000 + index}` : '200'))
    const column = new Column(values)
    assert.deepEqual(column.readAll(), values)
    assert.equal(column.longest, 6)
  })

  test('are read as all others where they are all different', () => {
    const values = Array.from({ length: 10_000 }, (_, index) => `${100_000 + index}`)
    const column = new Column(values)
    assert.deepEqual(column.readAll(), values)
    // Strings of their own until it shows, then a window for many.
    assert.ok(column.madeCount < 100, `${column.madeCount} strings`)
  })
})
