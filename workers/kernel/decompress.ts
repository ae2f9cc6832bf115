/**
 * First stage: from a compressed body to the response's text, in the kernel's memory.
 *
 * In: a body, untrusted. Out: where its plain bytes stand. Must never happen: memory taken for a size that a body merely
 * declares. As in `src/cls/compression.ts`: snappy's declared size is checked against the limit and against what so few
 * bytes can hold; lz4 declares none, so its sequences are added up first, in JavaScript, which is as fast at that (0.8 ms
 * for a response of 4 MB).
 */
import { canSnappyHold, lz4PlainBytes, snappySize } from '../../src/cls/block-size.ts'
import { ClsConsumerError, type ErrorPlace } from '../../src/errors.ts'
import type { Compression } from '../../src/world.ts'
import { align, type KernelMemory, type Span } from './memory.ts'

/**
 * The plain bytes begin at `at`, an aligned address; what was there, and behind, is gone.
 * @throws ClsConsumerError BODY_TOO_LARGE (more than `plainBytesMax`, found out before a byte is written), BODY_CORRUPT.
 */
export function decompressInto(
  memory: KernelMemory,
  body: Uint8Array,
  compression: Compression,
  plainBytesMax: number,
  place: ErrorPlace = {},
  at = memory.start
): Span {
  const plainBytes = plainBytesOf(body, compression, place)
  if (plainBytes > plainBytesMax) {
    const what = `a ${compression} body of ${body.length} bytes holds ${plainBytes} bytes, more than ${plainBytesMax}`
    throw new ClsConsumerError('BODY_TOO_LARGE', what, place)
  }
  if (compression === 'none') return put(memory, body, at)
  if (compression === 'snappy' && !canSnappyHold(body.length, plainBytes)) {
    throw corrupt(body, compression, `it cannot hold the ${plainBytes} bytes it declares`, place)
  }
  const plain = { start: at, end: at + plainBytes }
  const source = put(memory, body, align(plain.end))
  const { kernel } = memory
  const verdict =
    compression === 'snappy'
      ? kernel.decompressSnappy(source.start, source.end, plain.start, plain.end)
      : kernel.decompressLz4(source.start, source.end, plain.start, plain.end)
  if (verdict < 0) throw corrupt(body, compression, 'the block is malformed', { ...place, bytePosition: -1 - verdict })
  return plain
}

function plainBytesOf(body: Uint8Array, compression: Compression, place: ErrorPlace): number {
  switch (compression) {
    case 'snappy': {
      const size = snappySize(body)
      if (size === undefined) throw corrupt(body, compression, 'it does not begin with its size', place)
      return size.plainBytes
    }
    case 'lz4': {
      const plainBytes = lz4PlainBytes(body)
      if (plainBytes === undefined) throw corrupt(body, compression, 'its sequences do not fit together', place)
      return plainBytes
    }
    case 'none':
      return body.length
  }
}

function put(memory: KernelMemory, body: Uint8Array, start: number): Span {
  const end = start + body.length
  memory.reserve(end)
  memory.bytes.set(body, start)
  return { start, end }
}

function corrupt(body: Uint8Array, compression: Compression, why: string, place: ErrorPlace): ClsConsumerError {
  const what = `a body of ${body.length} bytes is not a ${compression} block: ${why}`
  return new ClsConsumerError('BODY_CORRUPT', what, place)
}
