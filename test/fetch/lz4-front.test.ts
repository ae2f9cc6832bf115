import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compress, decompress } from '../../src/cls/compression.ts'
import { lz4Front } from '../../src/fetch/lz4-front.ts'

const MAX = 1024

/** Plain texts that make literals, copies near and far, copies over themselves, and long lengths of both. */
const plain = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 600, size: 'max' }).map(bytes => Buffer.from(bytes)),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(700))
        .map(([unit, count]) => Buffer.concat(new Array(count).fill(Buffer.from(unit)))),
      fc.base64String({ maxLength: 300, size: 'max' }).map(text => Buffer.from(text))
    ),
    { maxLength: 6 }
  )
  // What was at the front comes again: copies from afar.
  .map(parts => Buffer.concat([...parts, ...parts.slice(0, 2)]))

describe('the front of an lz4 block', () => {
  test('of a real block it is the first bytes, and whole exactly where they are all', () => {
    let wholeCount = 0
    fc.assert(
      fc.property(plain, bytes => {
        const front = lz4Front(compress(bytes, 'lz4'), MAX)
        assert.ok(front !== undefined)
        assert.ok(front.plain.equals(bytes.subarray(0, MAX)))
        assert.equal(front.isWhole, bytes.length <= MAX)
        if (front.isWhole) wholeCount += 1
      }),
      { numRuns: 1000, endOnFailure: true }
    )
    assert.ok(wholeCount > 50 && wholeCount < 950, `${wholeCount} were whole`)
  })

  test('cut at every length it is a beginning of that, never shorter than at a smaller length', () => {
    fc.assert(
      fc.property(plain, bytes => {
        const body = compress(bytes, 'lz4')
        let before = 0
        for (let length = 0; length <= Math.min(body.length, 3000); length++) {
          const front = lz4Front(body.subarray(0, length), MAX)
          assert.ok(front !== undefined, `cut at ${length}`)
          assert.ok(front.plain.length >= before && front.plain.equals(bytes.subarray(0, front.plain.length)))
          before = front.plain.length
        }
      }),
      { numRuns: 150, endOnFailure: true }
    )
  })

  test('of garbage it is what the decompressor makes of it, or nothing; whole is never told of what that refuses', () => {
    const damaged = fc
      .tuple(plain, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
      .map(([bytes, changes]) => {
        const body = Buffer.from(compress(bytes.subarray(0, 900), 'lz4'))
        for (const [at, value] of changes) body[at % body.length] = value
        return body
      })
    const counts = { refused: 0, whole: 0, nothing: 0 }
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 300 })), body => {
        const front = lz4Front(body, MAX)
        const real = outcome(body)
        if (real === undefined) counts.refused += 1
        if (front === undefined) counts.nothing += 1
        if (front?.isWhole !== true) return
        counts.whole += 1
        assert.ok(real !== undefined && front.plain.equals(real))
      }),
      { numRuns: 4000, endOnFailure: true }
    )
    assert.ok(counts.refused > 200 && counts.whole > 200 && counts.nothing > 100, JSON.stringify(counts))
  })

  for (const [title, ...bytes] of [
    ['a copy of distance 0', 0x10, 0x61, 0x00, 0x00, 0x00],
    ['a copy from before the start', 0x10, 0x61, 0x02, 0x00, 0x00],
    ['a copy before anything is written', 0x00, 0x01, 0x00, 0x00]
  ] as const) {
    test(`${title} is no block`, () => assert.equal(lz4Front(Buffer.from(bytes), MAX), undefined))
  }

  test('it reads nothing outside of the block, however long the lengths that it declares', () => {
    const around = Buffer.from('AAAAAAAA')
    for (const bytes of [
      [0xf0, 0xff, 0xff, 0xff],
      [0xff],
      [0xf0, 0x10, 0x61],
      [0x1f, 0x61, 0x01, 0x00, 0xff],
      [0x10, 0x61, 0x01]
    ]) {
      const whole = Buffer.concat([around, Buffer.from(bytes), around])
      const inside = whole.subarray(around.length, around.length + bytes.length)
      const front = lz4Front(inside, MAX)
      assert.deepEqual(front, { plain: Buffer.from(front?.plain.toString() === 'a' ? 'a' : ''), isWhole: false })
    }
  })

  test('I7: a length that goes on for megabytes is given up after 64 KiB', () => {
    const bomb = Buffer.alloc(4 * 1024 * 1024, 0xff)
    assert.equal(lz4Front(bomb, MAX), undefined)
    assert.equal(lz4Front(bomb.subarray(0, 64 * 1024), MAX)?.isWhole, false, 'shorter, it may yet become one')
  })

  test('literals of two megabytes are met at once: their length takes 8 KiB', () => {
    const text = Buffer.from(Array.from({ length: 500_000 }, (_, index) => (index * 7919) % 10_007).join(','))
    const random = Buffer.from(text.map((byte, index) => byte ^ ((index * index * 31) >> 7)))
    const body = compress(random, 'lz4')
    assert.ok(lz4Front(body.subarray(0, 64 * 1024), MAX)?.plain.equals(random.subarray(0, MAX)))
  })
})

function outcome(body: Uint8Array): Buffer | undefined {
  try {
    return decompress(body, 'lz4', 1e6)
  } catch {
    return undefined
  }
}
