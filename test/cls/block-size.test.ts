import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { canSnappyHold, lz4PlainBytes, snappySize } from '../../src/cls/block-size.ts'
import { compress, decompress } from '../../src/cls/compression.ts'

describe('the size of a snappy block', () => {
  test('is told with where the elements begin', () => {
    assert.deepEqual(snappySize(Buffer.from([0, 7])), { plainBytes: 0, next: 1 })
    assert.deepEqual(snappySize(Buffer.from([0x80, 0x80, 0x80, 0x10, 0, 0x61])), { plainBytes: 2 ** 25, next: 4 })
    assert.deepEqual(snappySize(compress(Buffer.alloc(100_000), 'snappy')), { plainBytes: 100_000, next: 3 })
  })

  test('a preamble that is cut or longer than 32 bits is none', () => {
    assert.equal(snappySize(Buffer.alloc(0)), undefined)
    assert.equal(snappySize(Buffer.from([0x80])), undefined)
    assert.equal(snappySize(Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x01])), undefined)
    assert.deepEqual(snappySize(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])), { plainBytes: 2 ** 32 - 1, next: 5 })
    assert.equal(snappySize(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x1f])), undefined)
  })

  test('a block of nothing but the longest copies is still believed, one byte more is not', () => {
    // A literal byte, then copies of 64 bytes from one byte back: three bytes each, the most that any three can hold.
    const copies = Buffer.alloc(3000, Buffer.from([0xfe, 0x01, 0x00]))
    const plainBytes = 64 * 1000
    assert.ok(canSnappyHold(copies.length, plainBytes))
    assert.ok(!canSnappyHold(copies.length, plainBytes + 1))
    const size = plainBytes + 1
    const block = Buffer.concat([
      Buffer.from([(size & 127) | 128, ((size >> 7) & 127) | 128, size >> 14, 0, 0x61]),
      copies
    ])
    assert.ok(decompress(block, 'snappy', size).equals(Buffer.alloc(size, 'a')))
  })
})

describe('the size of an lz4 block', () => {
  test('is told from its sequences', () => {
    // Head: 1 literal, match of 4 + 15 + 255 + 0 = 274 bytes one byte back; then the last 5 literals.
    const block = Buffer.from([0x1f, 0x61, 0x01, 0x00, 0xff, 0x00, 0x50, 0x62, 0x62, 0x62, 0x62, 0x62])
    assert.equal(lz4PlainBytes(block), 1 + 274 + 5)
    assert.equal(lz4PlainBytes(Buffer.from([0])), 0)
  })

  test('sequences that do not fit together have none', () => {
    for (const hex of ['', '10', 'f0', 'f0ff', '1061 01', '1461 0100', '1f61 0100', '1f61 0100ff']) {
      assert.equal(lz4PlainBytes(Buffer.from(hex.replace(' ', ''), 'hex')), undefined, hex)
    }
  })

  test('is exact past 2^32', () => {
    const bomb = Buffer.concat([Buffer.from([0x1f, 0x61, 1, 0]), Buffer.alloc(17 * 2 ** 20, 255), Buffer.from([0, 0])])
    assert.equal(lz4PlainBytes(bomb), 1 + 19 + 255 * 17 * 2 ** 20)
  })
})
