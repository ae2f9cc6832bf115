import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { lz4PlainBytes, snappySize } from '../../../src/cls/block-size.ts'
import { compress, decompress } from '../../../src/cls/compression.ts'
import { ClsConsumerError } from '../../../src/errors.ts'
import { decompressInto } from '../../../workers/kernel/decompress.ts'
import { KernelMemory, type Span } from '../../../workers/kernel/memory.ts'
import { lz4Sequences, repetitive, snappyElements } from './blocks.ts'
import { Bench, ROUNDS, sharedData } from './setup.ts'

const BYTES_MAX = 2 ** 22
const memory = new KernelMemory()
const bench = new Bench()

function uncompress(body: Uint8Array, compression: 'snappy' | 'lz4', plainBytesMax = BYTES_MAX): Buffer {
  const { start, end } = decompressInto(memory, body, compression, plainBytesMax)
  return Buffer.from(memory.bytes.subarray(start, end))
}

/** Plain bytes, or the code of the error. */
function verdict(work: () => Buffer): string {
  try {
    return work().toString('hex')
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError, String(error))
    return error.code
  }
}

/** The kernel's verdict and bytes are those of the library. @returns Whether it was a block. */
function assertJudgedAlike(body: Buffer, compression: 'snappy' | 'lz4'): boolean {
  const ours = verdict(() => uncompress(body, compression, 2 ** 16))
  const theirs = verdict(() => decompress(body, compression, 2 ** 16))
  assert.equal(ours, theirs, `${compression} ${body.toString('hex')}`)
  return !ours.startsWith('BODY')
}

/** The decoder alone, into exactly `plainBytes` between canaries. */
function decodeBetweenCanaries(
  body: Uint8Array,
  compression: 'snappy' | 'lz4',
  plainBytes: number
): Buffer | undefined {
  const [source, output] = bench.place(body, new Uint8Array(plainBytes))
  assert.ok(source !== undefined && output !== undefined)
  const { kernel } = bench.memory
  const decode = compression === 'snappy' ? kernel.decompressSnappy : kernel.decompressLz4
  const result = decode(source.start, source.end, output.start, output.end)
  bench.assertUntouched(source)
  bench.assertUntouched(output)
  assert.ok(bench.read(source).equals(body), 'the source was written')
  return result === 0 ? Buffer.from(bench.read(output)) : undefined
}

for (const compression of ['snappy', 'lz4'] as const) {
  describe(`the kernel's ${compression}`, () => {
    test('what is compressed comes back, between canaries', () => {
      fc.assert(
        fc.property(repetitive, plain => {
          const body = compress(plain, compression)
          assert.ok(uncompress(body, compression).equals(plain))
          assert.deepEqual(decodeBetweenCanaries(body, compression, plain.length), plain)
        }),
        { numRuns: ROUNDS }
      )
    })

    test(`changed bytes get the verdict and the bytes of npm's, and nothing beside the output is written`, () => {
      const change = fc.tuple(fc.nat(), fc.nat(255))
      fc.assert(
        fc.property(repetitive, fc.array(change, { minLength: 1, maxLength: 4 }), (plain, changes) => {
          const body = Buffer.from(compress(plain, compression))
          for (const [at, byte] of changes) body[at % body.length] = byte
          assertJudgedAlike(body, compression)
          decodeBetweenCanaries(body, compression, plain.length)
        }),
        { numRuns: ROUNDS * 4 }
      )
    })

    test(`elements at random, ends included, get the verdict and the bytes of npm's`, () => {
      let takenCount = 0
      fc.assert(
        fc.property(compression === 'snappy' ? snappyElements : lz4Sequences, body => {
          if (assertJudgedAlike(body, compression)) takenCount++
          const plainBytes = compression === 'snappy' ? snappySize(body)?.plainBytes : lz4PlainBytes(body)
          for (const less of [0, 1, 16]) {
            if (plainBytes !== undefined && plainBytes >= less) {
              decodeBetweenCanaries(body, compression, plainBytes - less)
            }
          }
        }),
        { numRuns: ROUNDS * 4 }
      )
      assert.ok(takenCount > ROUNDS && takenCount < ROUNDS * 4, `${takenCount} of ${ROUNDS * 4} were taken`)
    })

    test('a block cut at any length is refused', () => {
      const plain = Buffer.from('a log, a log, a log, and one that is another: 0123456789'.repeat(8))
      const body = compress(plain, compression)
      for (let length = 0; length < body.length; length++) {
        const cut = body.subarray(0, length)
        assert.equal(decodeBetweenCanaries(cut, compression, plain.length), undefined, `cut at ${length}`)
        assertJudgedAlike(cut, compression)
      }
    })

    test('a block that holds one byte more or less than its room is refused', () => {
      const plain = Buffer.from('abcabcabcabcabcabcabcabcabcabcabcabcabcabcabc0123456789')
      const body = compress(plain, compression)
      for (const more of [-1, 1]) assert.equal(decodeBetweenCanaries(body, compression, plain.length + more), undefined)
    })

    test('nothing is read behind the block, and nothing written behind the output, where the memory ends', () => {
      const { kernel } = bench.memory
      const decode = compression === 'snappy' ? kernel.decompressSnappy : kernel.decompressLz4
      const ofElements = compression === 'snappy' ? snappyElements : lz4Sequences
      fc.assert(
        fc.property(
          fc.oneof(
            ofElements,
            repetitive.map(plain => compress(plain, compression))
          ),
          body => {
            const plainBytes = (compression === 'snappy' ? snappySize(body)?.plainBytes : lz4PlainBytes(body)) ?? 1000
            const wanted = decodeBetweenCanaries(body, compression, plainBytes)
            const ends = (source: Span | undefined, output: Span | undefined) => {
              assert.ok(source !== undefined && output !== undefined)
              const result = decode(source.start, source.end, output.start, output.end)
              assert.deepEqual(result === 0 ? Buffer.from(bench.read(output)) : undefined, wanted)
            }
            const room = new Uint8Array(plainBytes)
            const [output] = bench.place(room, body)
            ends(bench.placeLast(body), output)
            const [source] = bench.place(body, room)
            ends(source, bench.placeLast(room))
          }
        ),
        { numRuns: ROUNDS * 2 }
      )
    })

    for (const name of ['snappy/alice29.txt', 'snappy/html', 'snappy/html_x_4', 'snappy/urls.10K', 'access.log']) {
      test(`shared data: ${name} comes back`, context => {
        const plain = sharedData(context, name)
        if (plain === undefined) return
        assert.ok(uncompress(compress(plain, compression), compression).equals(plain))
      })
    }
  })
}

describe("the kernel's snappy, by hand", () => {
  const block = (hex: string) => Buffer.from(hex, 'hex')

  for (const [name, hex, plain] of [
    ['an empty block', '00', ''],
    ['a literal', '0308616263', 'abc'],
    ['a literal with its length in one byte', '03f002616263', 'abc'],
    ['a literal with its length in two bytes', '03f40200616263', 'abc'],
    ['a literal with its length in three bytes', '03f8020000616263', 'abc'],
    ['a literal with its length in four bytes', '03fc02000000616263', 'abc'],
    ['a copy with its offset in one byte', '0708616263' + '0103', 'abcabca'],
    ['a copy with its offset in two bytes', '0508616263' + '060300', 'abcab'],
    ['a copy with its offset in four bytes', '0508616263' + '0703000000', 'abcab'],
    ['a size with bytes to spare', '8380800008616263', 'abc']
  ] as const) {
    test(`${name} is read`, () => {
      assert.equal(uncompress(block(hex), 'snappy').toString(), plain)
      assert.equal(decompress(block(hex), 'snappy', 100).toString(), plain)
    })
  }

  for (const [name, hex] of [
    ['no bytes', ''],
    ['a size that does not end', 'ffffffffff'],
    ['an offset of zero', '0508616263060000'],
    ['an offset before the output', '0508616263060400'],
    ['a huge offset', '050861626307ffffffff'],
    ['a literal of 2^32 bytes', '03fcffffffff616263'],
    ['a literal of 2^32 bytes, which are not none', '03fcffffffff08616263'],
    ['a literal longer than the block', '03f0ff616263'],
    ['a last literal longer than the block', '0a24616263'],
    ['a last literal longer than the block, with its length in one byte', '64f063616263'],
    ['a copy longer than the output', '0408616263fe0300'],
    ['an element behind the whole output', '030861626300'],
    ['less than it declares', '0408616263']
  ] as const) {
    test(`${name} is refused`, () => {
      assert.throws(() => uncompress(block(hex), 'snappy'), { code: 'BODY_CORRUPT' })
    })
  }

  test('copies of all lengths from all short offsets repeat what they write', () => {
    for (let offset = 1; offset <= 40; offset++) {
      const seed = Buffer.from(Array.from({ length: offset }, (_, index) => index + 1))
      for (let length = 1; length <= 64; length++) {
        for (const behind of [0, 1, 15, 16, 100]) {
          const plainBytes = offset + length + behind
          const body = Buffer.concat([
            Buffer.from(plainBytes < 128 ? [plainBytes] : [(plainBytes & 127) | 128, plainBytes >> 7]),
            Buffer.from([(offset - 1) << 2]),
            seed,
            Buffer.from([((length - 1) << 2) | 2, offset, 0]),
            behind === 0
              ? Buffer.alloc(0)
              : behind <= 60
                ? Buffer.from([(behind - 1) << 2])
                : Buffer.from([0xf0, behind - 1]),
            Buffer.alloc(behind, 0xee)
          ])
          const wanted = Buffer.alloc(plainBytes, 0xee)
          for (let at = 0; at < offset + length; at++) wanted[at] = (at % offset) + 1
          assert.deepEqual(decodeBetweenCanaries(body, 'snappy', plainBytes), wanted, `${offset} ${length} ${behind}`)
        }
      }
    }
  })

  test('literals of one byte, which take more of the block than of the output, stay within it to the end', () => {
    for (let count = 0; count <= 200; count++) {
      const plain = Buffer.from(Array.from({ length: 60 + count }, (_, index) => index & 255))
      const literals = [...plain.subarray(60)].flatMap(byte => [0, byte])
      const size = plain.length < 128 ? [plain.length] : [(plain.length & 127) | 128, plain.length >> 7]
      const body = Buffer.from([...size, 59 << 2, ...plain.subarray(0, 60), ...literals])
      assert.deepEqual(decodeBetweenCanaries(body, 'snappy', plain.length), plain)
    }
  })

  test('a body in shared memory, as the main thread hands it over, is read', () => {
    const plain = Buffer.from('abcabcabcabcabcabcabcabc')
    const compressed = compress(plain, 'snappy')
    const body = new Uint8Array(new SharedArrayBuffer(100), 7, compressed.length)
    body.set(compressed)
    assert.deepEqual(uncompress(body, 'snappy'), plain)
  })

  for (const name of ['baddata1', 'baddata2', 'baddata3']) {
    test(`shared data: ${name} is refused`, context => {
      const body = sharedData(context, `snappy/${name}.snappy`)
      if (body === undefined) return
      assert.throws(() => uncompress(body, 'snappy'), { code: 'BODY_CORRUPT' })
    })
  }
})

describe('bombs', () => {
  test('100 bytes that declare 4 GB cost no memory: snappy', () => {
    const body = Buffer.concat([block4Gb(), Buffer.alloc(95)])
    const fresh = new KernelMemory()
    const { byteCount } = fresh
    assert.throws(() => decompressInto(fresh, body, 'snappy', 2 ** 26), { code: 'BODY_TOO_LARGE' })
    assert.equal(fresh.byteCount, byteCount)
  })

  test('100 bytes that declare 64 MiB, which they cannot hold, cost no memory: snappy', () => {
    const body = Buffer.concat([Buffer.from([0x80, 0x80, 0x80, 0x20]), Buffer.alloc(96)])
    const fresh = new KernelMemory()
    const { byteCount } = fresh
    assert.throws(() => decompressInto(fresh, body, 'snappy', 2 ** 26), { code: 'BODY_CORRUPT' })
    assert.equal(fresh.byteCount, byteCount)
  })

  test('100 bytes of lz4 that add up to more than the limit cost no memory', () => {
    const body = Buffer.concat([Buffer.from([0x1f, 0x61, 1, 0]), Buffer.alloc(94, 255), Buffer.from([0, 0])])
    const fresh = new KernelMemory()
    const { byteCount } = fresh
    assert.throws(() => decompressInto(fresh, body, 'lz4', 2 ** 14), { code: 'BODY_TOO_LARGE' })
    assert.equal(fresh.byteCount, byteCount)
  })

  test('an lz4 block that adds up to more than 4 GiB costs no memory', () => {
    const body = Buffer.concat([Buffer.from([0x1f, 0x61, 1, 0]), Buffer.alloc(17 * 2 ** 20, 255), Buffer.from([0, 0])])
    const fresh = new KernelMemory()
    const { byteCount } = fresh
    assert.throws(() => decompressInto(fresh, body, 'lz4', 2 ** 26), {
      code: 'BODY_TOO_LARGE',
      message: /holds 4545576980 bytes, more than 67108864/
    })
    assert.equal(fresh.byteCount, byteCount)
  })

  test('what is exactly as large as the limit passes, one byte more does not', () => {
    for (const compression of ['snappy', 'lz4', 'none'] as const) {
      const body = compress(Buffer.alloc(1000, 7), compression)
      const { start, end } = decompressInto(memory, body, compression, 1000)
      assert.equal(end - start, 1000)
      assert.throws(() => decompressInto(memory, body, compression, 999), { code: 'BODY_TOO_LARGE' })
    }
  })

  function block4Gb(): Buffer {
    return Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])
  }
})
