/**
 * First stage: from a compressed body to the response's text, in the kernel's memory.
 *
 * In: a body, untrusted. Out: where its plain bytes stand. Must never happen: memory taken for a size that a body merely
 * declares. As in `src/cls/compression.ts`: snappy's declared size is checked against the limit and against what so few
 * bytes can hold; lz4 declares none, so its sequences are added up first.
 */
import { snappyPlainBytes } from '../../src/cls/compression.ts'
import { ClsConsumerError, type ErrorPlace } from '../../src/errors.ts'
import type { Compression } from '../../src/world.ts'
import { align, type KernelMemory, type Span } from './memory.ts'

/** Three bytes of a snappy copy element give 64 bytes at most; nothing expands more. */
const SNAPPY_RATIO_MAX = 64 / 3

/**
 * The plain bytes begin at `memory.start`; what was there before is gone.
 * @throws ClsConsumerError BODY_TOO_LARGE (more than `plainBytesMax`, found out before a byte is written), BODY_CORRUPT.
 */
export function decompressInto(
  memory: KernelMemory,
  body: Uint8Array,
  compression: Compression,
  plainBytesMax: number,
  place: ErrorPlace = {}
): Span {
  switch (compression) {
    case 'snappy':
      return decompressSnappy(memory, body, plainBytesMax, place)
    case 'lz4':
      return decompressLz4(memory, body, plainBytesMax, place)
    case 'none':
      assertFits(body, compression, body.length, plainBytesMax, place)
      return put(memory, body, memory.start)
  }
}

function decompressSnappy(memory: KernelMemory, body: Uint8Array, plainBytesMax: number, place: ErrorPlace): Span {
  const plainBytes = snappyPlainBytes(body)
  if (plainBytes === undefined) throw corrupt(body, 'snappy', 'it does not begin with its size', place)
  assertFits(body, 'snappy', plainBytes, plainBytesMax, place)
  if (plainBytes > body.length * SNAPPY_RATIO_MAX) {
    throw corrupt(body, 'snappy', `it cannot hold the ${plainBytes} bytes it declares`, place)
  }
  const plain = { start: memory.start, end: memory.start + plainBytes }
  const source = put(memory, body, align(plain.end))
  const verdict = memory.kernel.decompressSnappy(source.start, source.end, plain.start, plain.end)
  if (verdict < 0) throw malformed(body, 'snappy', verdict, place)
  return plain
}

function decompressLz4(memory: KernelMemory, body: Uint8Array, plainBytesMax: number, place: ErrorPlace): Span {
  const first = put(memory, body, memory.start)
  const plainBytes = Number(memory.kernel.lz4PlainBytes(first.start, first.end))
  if (plainBytes < 0) throw corrupt(body, 'lz4', 'its sequences do not fit together', place)
  assertFits(body, 'lz4', plainBytes, plainBytesMax, place)
  const plain = { start: memory.start, end: memory.start + plainBytes }
  const source = put(memory, body, align(plain.end))
  const verdict = memory.kernel.decompressLz4(source.start, source.end, plain.start, plain.end)
  if (verdict < 0) throw malformed(body, 'lz4', verdict, place)
  return plain
}

function put(memory: KernelMemory, body: Uint8Array, start: number): Span {
  const end = start + body.length
  memory.reserve(end)
  memory.bytes.set(body, start)
  return { start, end }
}

function assertFits(
  body: Uint8Array,
  compression: Compression,
  plainBytes: number,
  plainBytesMax: number,
  place: ErrorPlace
): void {
  if (plainBytes <= plainBytesMax) return
  const message = `a ${compression} body of ${body.length} bytes holds ${plainBytes} bytes, more than ${plainBytesMax}`
  throw new ClsConsumerError('BODY_TOO_LARGE', message, place)
}

function malformed(body: Uint8Array, compression: Compression, verdict: number, place: ErrorPlace): ClsConsumerError {
  const bytePosition = -1 - verdict
  return corrupt(body, compression, 'the block is malformed', { ...place, bytePosition })
}

function corrupt(body: Uint8Array, compression: Compression, why: string, place: ErrorPlace): ClsConsumerError {
  return new ClsConsumerError(
    'BODY_CORRUPT',
    `a body of ${body.length} bytes is not a ${compression} block: ${why}`,
    place
  )
}
