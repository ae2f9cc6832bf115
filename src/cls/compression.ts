/**
 * Raw snappy and lz4 blocks, both ways. Byte-level.
 *
 * In: a body and how it is compressed; views on a `SharedArrayBuffer` are welcome. Out: plain bytes, or
 * BODY_TOO_LARGE / BODY_CORRUPT. Must never happen: memory given out for a size that a body merely declares. Snappy's
 * declared size is checked against the limit and against what so few bytes can hold; lz4 declares none, so its
 * sequences are walked and added up before the first byte is written.
 */
import * as lz4 from 'lz4-napi'
import * as snappy from 'snappy'
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import type { Compression } from '../world.ts'

/** lz4-napi's own prefix: the plain size, little-endian. The service's raw blocks have none. */
const LZ4_PREFIX_BYTES = 4
/** Three bytes of a snappy copy element give 64 bytes at most; nothing expands more. */
const SNAPPY_RATIO_MAX = 64 / 3

/**
 * The plain bytes of one raw block. With `none` the result is a view on `body`.
 * @throws ClsConsumerError BODY_TOO_LARGE (more than `plainBytesMax`, found out before writing), BODY_CORRUPT.
 */
export function decompress(
  body: Uint8Array,
  compression: Compression,
  plainBytesMax: number,
  place: ErrorPlace = {}
): Buffer {
  const plainBytes = plainBytesOf(body, compression)
  if (plainBytes === undefined) throw corrupt(body, compression, 'the block is malformed', place)
  if (plainBytes > plainBytesMax) {
    const message = `a ${compression} body of ${body.length} bytes holds ${plainBytes} bytes, more than ${plainBytesMax}`
    throw new ClsConsumerError('BODY_TOO_LARGE', message, place)
  }
  if (compression === 'none') return asBuffer(body)
  if (compression === 'snappy' && plainBytes > body.length * SNAPPY_RATIO_MAX) {
    throw corrupt(body, compression, `it cannot hold the ${plainBytes} bytes it declares`, place)
  }
  try {
    const plain = compression === 'snappy' ? snappy.uncompressSync(body) : uncompressLz4(body, plainBytes)
    if (typeof plain !== 'string' && plain.length === plainBytes) return plain
  } catch (cause) {
    throw corrupt(body, compression, cause instanceof Error ? cause.message : String(cause), place, cause)
  }
  throw corrupt(body, compression, `it does not hold the ${plainBytes} bytes it promises`, place)
}

/** One raw block. With `none` the result is a view on `plain`. */
export function compress(plain: Uint8Array, compression: Compression): Buffer {
  switch (compression) {
    case 'snappy':
      return snappy.compressSync(plain)
    case 'lz4':
      return lz4.compressSync(asBuffer(plain)).subarray(LZ4_PREFIX_BYTES)
    case 'none':
      return asBuffer(plain)
  }
}

/** The plain size that a snappy block declares in front (a varint of at most 32 bits); `undefined` where it is none. */
export function snappyPlainBytes(body: Uint8Array): number | undefined {
  let size = 0
  for (let at = 0; at < 5; at++) {
    const byte = body[at]
    if (byte === undefined) return undefined
    size += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return size < 2 ** 32 ? size : undefined
  }
  return undefined
}

/** The plain size of a raw lz4 block, from its sequences alone; `undefined` where they do not fit together. */
export function lz4PlainBytes(body: Uint8Array): number | undefined {
  let plainBytes = 0
  let at = 0
  for (;;) {
    const token = body[at++]
    if (token === undefined) return undefined
    let literalBytes = token >> 4
    if (literalBytes === 15) {
      let more: number | undefined
      do {
        more = body[at++]
        if (more === undefined) return undefined
        literalBytes += more
      } while (more === 255)
    }
    at += literalBytes
    plainBytes += literalBytes
    // The last sequence ends with its literals.
    if (at === body.length) return plainBytes
    if (at > body.length - 2) return undefined
    at += 2
    let matchBytes = (token & 15) + 4
    if (matchBytes === 19) {
      let more: number | undefined
      do {
        more = body[at++]
        if (more === undefined) return undefined
        matchBytes += more
      } while (more === 255)
    }
    plainBytes += matchBytes
  }
}

function plainBytesOf(body: Uint8Array, compression: Compression): number | undefined {
  switch (compression) {
    case 'snappy':
      return snappyPlainBytes(body)
    case 'lz4':
      return lz4PlainBytes(body)
    case 'none':
      return body.length
  }
}

function uncompressLz4(body: Uint8Array, plainBytes: number): Buffer {
  const prefixed = Buffer.allocUnsafe(LZ4_PREFIX_BYTES + body.length)
  prefixed.writeUInt32LE(plainBytes)
  prefixed.set(body, LZ4_PREFIX_BYTES)
  return lz4.uncompressSync(prefixed)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function corrupt(
  body: Uint8Array,
  compression: Compression,
  why: string,
  place: ErrorPlace,
  cause?: unknown
): ClsConsumerError {
  const message = `a body of ${body.length} bytes is not a ${compression} block: ${why}`
  return new ClsConsumerError('BODY_CORRUPT', message, { ...place, cause })
}
