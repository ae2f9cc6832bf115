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
import { canSnappyHold, lz4PlainBytes, snappySize } from './block-size.ts'

/** lz4-napi's own prefix: the plain size, little-endian. The service's raw blocks have none. */
const LZ4_PREFIX_BYTES = 4

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
  if (compression === 'snappy' && !canSnappyHold(body.length, plainBytes)) {
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

function plainBytesOf(body: Uint8Array, compression: Compression): number | undefined {
  switch (compression) {
    case 'snappy':
      return snappySize(body)?.plainBytes
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
