/**
 * The first plain bytes of a raw lz4 block, as far as it has arrived. Byte-level.
 *
 * In: untrusted bytes, cut anywhere. Out: at most `plainBytesMax` plain bytes. Must never happen: a read outside of
 * what was received or written, or work beyond what the front needs. Format: lz4, lz4_Block_format.md: sequences of
 * literals and a copy, each length in four bits of the tag and, from 15 on, in bytes that are added up until one is not
 * 255. A block says neither how long it is nor where it ends: it is whole where it ends with the literals of a
 * sequence.
 */
import type { Front } from './front.ts'

/** Of one length; a run of literals this long has over 16 MB. Bounds what is read for a front of a few bytes. */
const LENGTH_BYTES_MAX = 64 * 1024

/** What a length in the tag says where it goes on in bytes. */
const GOES_ON = 15

const COPY_BYTES_MIN = 4

/** `undefined` where it cannot be a block: a copy from before the start, or a length beyond all measure. */
export function lz4Front(received: Uint8Array, plainBytesMax: number): Front | undefined {
  const plain = Buffer.allocUnsafe(plainBytesMax)
  let at = 0
  let length = 0
  const front = (isWhole: boolean): Front => ({ plain: plain.subarray(0, length), isWhole })
  for (;;) {
    const tag = received[at]
    if (tag === undefined) return front(false)

    const literal = readLength(received, at + 1, tag >> 4)
    if (typeof literal === 'string') return literal === 'cut' ? front(false) : undefined
    const there = received.subarray(literal.next, literal.next + Math.min(literal.value, plainBytesMax - length))
    plain.set(there, length)
    length += there.length
    if (there.length < literal.value) return front(false)
    at = literal.next + literal.value
    if (at === received.length) return front(true)

    const [low, high] = received.subarray(at, at + 2)
    if (low === undefined || high === undefined) return front(false)
    const distance = low + 256 * high
    if (distance === 0 || distance > length) return undefined
    const copy = readLength(received, at + 2, tag & 15)
    if (typeof copy === 'string') return copy === 'cut' ? front(false) : undefined
    const end = length + copy.value + COPY_BYTES_MIN
    for (; length < Math.min(end, plainBytesMax); length++) plain[length] = plain[length - distance] ?? 0
    if (length < end) return front(false)
    at = copy.next
  }
}

interface Length {
  readonly value: number
  /** Where the block goes on behind it. */
  readonly next: number
}

function readLength(bytes: Uint8Array, start: number, inTag: number): Length | 'cut' | 'absurd' {
  if (inTag < GOES_ON) return { value: inTag, next: start }
  let value = inTag
  for (let at = start; at < start + LENGTH_BYTES_MAX; at++) {
    const byte = bytes[at]
    if (byte === undefined) return 'cut'
    value += byte
    if (byte < 255) return { value, next: at + 1 }
  }
  return 'absurd'
}
