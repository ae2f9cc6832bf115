import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compress, decompress } from '../../src/cls/compression.ts'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import type { Compression } from '../../src/world.ts'

const ALL: readonly Compression[] = ['snappy', 'lz4', 'none']
const PLAIN = Buffer.from('one log line after the other, one log line after the other\n'.repeat(500))

describe('compression', () => {
  for (const compression of ALL) {
    test(`${compression}: what was compressed comes back, whatever it is`, () => {
      const repetitive = fc
        .array(fc.tuple(fc.uint8Array({ maxLength: 40, size: 'max' }), fc.nat(400)), { maxLength: 8 })
        .map(parts => Buffer.concat(parts.flatMap(([part, count]) => new Array<Uint8Array>(count).fill(part))))
      fc.assert(
        fc.property(repetitive, plain => {
          const body = compress(plain, compression)
          assert.deepEqual(decompress(body, compression, plain.length), plain)
        })
      )
    })

    test(`${compression}: views on a SharedArrayBuffer are read in place`, () => {
      const plain = shared(PLAIN)
      const body = shared(compress(plain, compression))
      assert.deepEqual(Buffer.from(decompress(body, compression, PLAIN.length)), PLAIN)
    })

    test(`${compression}: one byte over the limit is BODY_TOO_LARGE, with the place`, () => {
      const body = compress(PLAIN, compression)
      const error = failure(() => decompress(body, compression, PLAIN.length - 1, { topicId: 't', partition: 3 }))
      assert.equal(error.code, 'BODY_TOO_LARGE')
      assert.equal(error.place.partition, 3)
      assert.match(error.message, new RegExp(`${PLAIN.length} bytes, more than ${PLAIN.length - 1}`))
    })
  }

  for (const compression of ['snappy', 'lz4'] as const) {
    test(`${compression}: cut and broken blocks are errors with a code, or decode within the limit`, () => {
      const body = compress(PLAIN, compression)
      fc.assert(
        fc.property(fc.nat(body.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
          const broken = Buffer.from(cut ? body.subarray(0, at) : body)
          if (!cut) broken[at] = byte
          const limit = 2 * PLAIN.length
          try {
            assert.ok(decompress(broken, compression, limit).length <= limit)
          } catch (error) {
            assert.ok(error instanceof ClsConsumerError, String(error))
            assert.ok(['BODY_CORRUPT', 'BODY_TOO_LARGE'].includes(error.code))
          }
        }),
        { numRuns: 500 }
      )
      for (const bytes of [0, 1, 2, body.length - 1]) {
        code('BODY_CORRUPT', () => decompress(body.subarray(0, bytes), compression, PLAIN.length))
      }
    })
  }

  test('snappy: a declared size that so few bytes cannot hold is refused without memory for it', () => {
    const liar = Buffer.from([0x80, 0x80, 0x80, 0x10, 0x00, 0x61])
    assert.match(failure(() => decompress(liar, 'snappy', 64 * 1024 * 1024)).message, /cannot hold the 33554432 bytes/)
    code('BODY_TOO_LARGE', () => decompress(liar, 'snappy', 1024))
  })

  test('lz4: the service has raw blocks, without a size in front', () => {
    // Token: 1 literal, match of 4 + 15 + 255 + 0 = 274 bytes one byte back; then the last 5 literals.
    const block = Buffer.from([0x1f, 0x61, 0x01, 0x00, 0xff, 0x00, 0x50, 0x62, 0x62, 0x62, 0x62, 0x62])
    assert.equal(decompress(block, 'lz4', 1000).toString(), `${'a'.repeat(275)}bbbbb`)
    assert.deepEqual(compress(Buffer.from('aaaaa'), 'lz4'), Buffer.from('50aaaaa'.replace(/a/g, '61'), 'hex'))
  })

  test('lz4: a body of ones, which promises very much, is refused before memory is given out', () => {
    const bomb = Buffer.concat([
      Buffer.from([0x1f, 0x61, 0x01, 0x00]),
      Buffer.alloc(1024 * 1024, 0xff),
      Buffer.from([0, 0])
    ])
    code('BODY_TOO_LARGE', () => decompress(bomb, 'lz4', 64 * 1024 * 1024))
  })
})

function shared(bytes: Uint8Array): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.length + 7), 7)
  view.set(bytes)
  return view
}

function failure(run: () => unknown): ClsConsumerError {
  try {
    run()
  } catch (error) {
    if (error instanceof ClsConsumerError) return error
    throw error
  }
  throw new Error('no error was thrown')
}

function code(expected: ErrorCode, run: () => unknown): void {
  assert.equal(failure(run).code, expected)
}
