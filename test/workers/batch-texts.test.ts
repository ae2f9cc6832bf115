import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BatchTexts, WINDOW_BYTES } from '../../workers/batch-texts.ts'
import { END_FLAG } from '../../workers/kernel/memory.ts'

const BYTE_COUNT = WINDOW_BYTES * 8
const TEXT_BYTES = 20

/** Letters, with the strings that are made of them written down: each is what a kept part of it may keep alive. */
class SpiedTexts {
  readonly made: { readonly start: number; readonly end: number }[] = []
  readonly bytes = Buffer.from(Array.from({ length: BYTE_COUNT }, (_, at) => 97 + (at % 23)))
  readonly texts = new BatchTexts(this.bytes)

  constructor() {
    const plain = Buffer.from(this.bytes)
    this.bytes.toString = (encoding, start = 0, end = 0) => {
      this.made.push({ start, end })
      return plain.toString(encoding, start, end)
    }
  }

  read(start: number, end = start + TEXT_BYTES): void {
    assert.equal(this.texts.read(start, end), this.text(start, end), `${start} to ${end}`)
  }

  text(start: number, end: number): string {
    return this.bytes.subarray(start, end).toString('latin1')
  }

  get sizes(): number[] {
    return this.made.map(({ start, end }) => end - start)
  }
}

describe('the texts of a batch', () => {
  test('read in their order are parts of few strings, each at most as long as a window', () => {
    const spied = new SpiedTexts()
    for (let at = 1000; at < BYTE_COUNT - TEXT_BYTES; at += TEXT_BYTES + 7) spied.read(at)
    assert.equal(Math.max(...spied.sizes), WINDOW_BYTES)
    assert.ok(spied.made.length <= 16, `${spied.made.length} strings`)
  })

  test('read in their order, but within each log in any order, are parts of few strings too', () => {
    const spied = new SpiedTexts()
    for (let log = 1000; log < BYTE_COUNT - 400; log += 400) for (const at of [300, 0, 350, 200]) spied.read(log + at)
    assert.ok(spied.made.length <= 16, `${spied.made.length} strings`)
  })

  test('read here and there are strings of their own', () => {
    const spied = new SpiedTexts()
    for (let at = 0; at < BYTE_COUNT - TEXT_BYTES; at += WINDOW_BYTES / 2) spied.read(at)
    for (let at = BYTE_COUNT - TEXT_BYTES; at > 0; at -= WINDOW_BYTES / 2) spied.read(at)
    assert.deepEqual(new Set(spied.sizes), new Set([TEXT_BYTES]))
  })

  test('a few of them read at each of many places cost short strings', () => {
    const spied = new SpiedTexts()
    for (let at = 0; at < BYTE_COUNT - 500; at += WINDOW_BYTES / 2)
      for (const by of [0, 100, 200, 300]) spied.read(at + by)
    assert.ok(Math.max(...spied.sizes) <= 1024)
    assert.equal(spied.made.length, 2 * 16)
  })

  test('longer than a window are strings of their own, between which windows go on', () => {
    const spied = new SpiedTexts()
    const long = WINDOW_BYTES + 1
    for (let at = 1000; at < 1000 + 6 * (long + 100); at += long + 100) {
      spied.read(at, at + long)
      for (let by = 0; by < 100; by += TEXT_BYTES) spied.read(at + long + by)
    }
    assert.equal(spied.sizes.filter(size => size === long).length, 6)
    assert.ok(spied.sizes.every(size => size === long || size <= WINDOW_BYTES))
    assert.ok(spied.made.length <= 2 * 6, `${spied.made.length} strings`)
  })

  test('at both ends of the memory are read', () => {
    const spied = new SpiedTexts()
    for (let at = 0; at < 500; at += 50) spied.read(at, at + 50)
    for (let at = BYTE_COUNT - 500; at + 50 <= BYTE_COUNT; at += 50) spied.read(at, at + 50)
    spied.read(BYTE_COUNT, BYTE_COUNT)
    assert.ok(spied.made.every(({ start, end }) => start >= 0 && end <= BYTE_COUNT))
  })

  test('apart from the values, or not ASCII, are strings of their own and leave the window', () => {
    const spied = new SpiedTexts()
    spied.read(1000)
    spied.read(1030)
    const { length } = spied.made
    assert.equal(spied.texts.readApart(WINDOW_BYTES * 3, WINDOW_BYTES * 3 + 1).length, 1)
    assert.equal(spied.texts.read(WINDOW_BYTES * 4, (WINDOW_BYTES * 4 + 2) | END_FLAG).length, 2)
    spied.read(1060)
    assert.deepEqual(spied.sizes.slice(length), [1, 2])
  })
})

describe('a window that is to cover a whole log', () => {
  test('does, with one string', () => {
    const spied = new SpiedTexts()
    for (const start of [0, 50_000, 1000, 30_000]) {
      assert.equal(spied.texts.cover(start, start + 700), true)
      const { window, windowStart } = spied.texts
      assert.equal(window.slice(start - windowStart, start - windowStart + 700), spied.text(start, start + 700))
    }
    assert.deepEqual(spied.sizes, [700, 700, 700, 700])
  })

  test('does not cover one that is longer than a window', () => {
    const { texts } = new SpiedTexts()
    assert.equal(texts.cover(0, WINDOW_BYTES), true)
    assert.equal(texts.cover(0, WINDOW_BYTES + 1), false)
    assert.equal(texts.window.length, WINDOW_BYTES)
  })
})
