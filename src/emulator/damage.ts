/**
 * Damage that no strict decoder can miss. Byte-level.
 *
 * In: sound bytes, which stay as they are. Out: a damaged copy. Each kind breaks a rule of its format, so that it is
 * found by certainty and not by luck; none changes what comes before it, so that a front which was already believed
 * turns out wrong only later.
 */
import { MESSAGE_HEADER_BYTES } from '../cls/log-group.ts'
import type { Compression } from '../world.ts'

/** Layers inside a message. */
export type InnerDamage = 'base64' | 'header' | 'protobuf'

/** The last byte of a message header's version: 130 becomes 131. */
const VERSION_AT = 3
/** Field 1 with wire type 7, which there is none. */
const NO_WIRE_TYPE = 0x0f

/** A message of a pull as base64, damaged. */
export function damageMessage(message: Uint8Array, layer: InnerDamage): string {
  const bytes = Buffer.from(message)
  if (layer === 'header') bytes[VERSION_AT] = (bytes[VERSION_AT] ?? 0) + 1
  // A message stored here is never without a payload: an upload of a group without logs is refused.
  if (layer === 'protobuf') bytes[MESSAGE_HEADER_BYTES] = NO_WIRE_TYPE
  const text = bytes.toString('base64')
  if (layer !== 'base64') return text
  const middle = Math.floor(text.length / 2)
  return `${text.slice(0, middle)}*${text.slice(middle + 1)}`
}

/**
 * A compressed block, or a text in the clear, damaged from about its middle on: from there all bytes are 0xff.
 *
 * In snappy that is a copy from four thousand million bytes before; in lz4 a run of literals whose length does not end;
 * in JSON a text that does not end, or no text at all. To be that, it begins where an element of the block does.
 */
export function damageBlock(block: Uint8Array, compression: Compression): Buffer {
  const damaged = Buffer.from(block)
  return damaged.fill(0xff, elementNear(damaged, compression))
}

/** Where the first element after the middle begins; where there is none, the last one before. */
function elementNear(block: Uint8Array, compression: Compression): number {
  const middle = Math.floor(block.length / 2)
  if (compression === 'none') return middle
  let at = compression === 'snappy' ? afterVarint(block) : 0
  while (at < middle) {
    const next = compression === 'snappy' ? afterSnappyElement(block, at) : afterLz4Sequence(block, at)
    if (next >= block.length) break
    at = next
  }
  return at
}

/** Behind the plain size that a snappy block begins with. */
function afterVarint(block: Uint8Array): number {
  let at = 0
  while ((block[at] ?? 0) >= 0x80) at++
  return at + 1
}

/** Format: google/snappy, format_description.txt. */
function afterSnappyElement(block: Uint8Array, at: number): number {
  const tag = block[at] ?? 0
  const high = tag >> 2
  if ((tag & 3) !== 0) return at + ([0, 2, 3, 5][tag & 3] ?? 0)
  if (high < 60) return at + 1 + high + 1
  const lengthBytes = high - 59
  let length = 0
  for (let index = lengthBytes; index > 0; index--) length = length * 256 + (block[at + index] ?? 0)
  return at + 1 + lengthBytes + length + 1
}

/** Format: lz4/lz4, lz4_Block_format.md. */
function afterLz4Sequence(block: Uint8Array, at: number): number {
  const lengths = block[at] ?? 0
  const literals = lz4Length(block, at + 1, lengths >> 4)
  const distanceAt = literals.next + literals.length
  return lz4Length(block, distanceAt + 2, lengths & 15).next
}

function lz4Length(block: Uint8Array, at: number, nibble: number): { readonly length: number; readonly next: number } {
  if (nibble < 15) return { length: nibble, next: at }
  let [length, next] = [15, at]
  for (let byte = 255; byte === 255; next++) {
    byte = block[next] ?? 0
    length += byte
  }
  return { length, next }
}
