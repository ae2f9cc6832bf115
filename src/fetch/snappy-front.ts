/**
 * The first plain bytes of a raw snappy block, as far as it has arrived. Byte-level.
 *
 * In: untrusted bytes, cut anywhere. Out: at most `plainBytesMax` plain bytes. Must never happen: a read outside of
 * what was received or written, or work beyond what the front needs. Format: google/snappy, format_description.txt.
 */
import { snappySize } from '../cls/block-size.ts'
import type { Front } from './front.ts'

/**
 * An element that would read past what is received, or before the start, ends the front; `undefined` where it cannot be
 * a block at all.
 */
export function snappyFront(received: Uint8Array, plainBytesMax: number): Front | undefined {
  const declared = snappySize(received)
  if (declared === undefined) return { plain: Buffer.alloc(0), isWhole: false }
  const plain = Buffer.allocUnsafe(Math.min(declared.plainBytes, plainBytesMax))
  let at = declared.next
  let length = 0
  while (length < plain.length && at < received.length) {
    const element = readElement(received, at)
    if (element === undefined) break
    at = element.next
    // More than the preamble declares: not a block at all.
    if (length + element.length > declared.plainBytes) return undefined
    if (element.distance === 0) {
      const literal = received.subarray(at, at + Math.min(element.length, plain.length - length))
      plain.set(literal, length)
      length += literal.length
      if (literal.length < element.length) break
      at += element.length
    } else {
      if (element.distance > length) return undefined
      const end = Math.min(plain.length, length + element.length)
      for (; length < end; length++) plain[length] = plain[length - element.distance] ?? 0
    }
  }
  return { plain: plain.subarray(0, length), isWhole: length === declared.plainBytes && at === received.length }
}

interface Element {
  /** Distance of a copy, 0 for a literal. */
  readonly distance: number
  readonly length: number
  readonly next: number
}

function readElement(bytes: Uint8Array, at: number): Element | undefined {
  const tag = bytes[at] ?? 0
  const high = tag >> 2
  const bytesAfter = [high < 60 ? 0 : high - 59, 1, 2, 4][tag & 3] ?? 0
  if (at + 1 + bytesAfter > bytes.length) return undefined
  let value = 0
  for (let index = bytesAfter; index > 0; index--) value = value * 256 + (bytes[at + index] ?? 0)
  const next = at + 1 + bytesAfter
  if ((tag & 3) === 0) return { distance: 0, length: (high < 60 ? high : value) + 1, next }
  const distance = (tag & 3) === 1 ? ((high >> 3) << 8) | value : value
  // Distance 0 is not a copy, and would be taken for a literal.
  if (distance === 0) return undefined
  return { distance, length: (tag & 3) === 1 ? (high & 7) + 4 : high + 1, next }
}
