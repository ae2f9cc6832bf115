/**
 * Damage to bytes, of any layer.
 *
 * In: bytes and dice. Out: other bytes, mostly of about the same length: bits turned, bytes set to what is a border
 * somewhere, spans cut out, doubled or put elsewhere, an end cut off. Small, so that most of what was right remains, and
 * the decoder gets far before it meets the damage.
 */
import type { Dice } from './dice.ts'

/** Borders of signs, varints, ASCII and UTF-8; what JSON and base64 are made of; tags of snappy, lz4 and protobuf. */
const BORDERS = Buffer.from(
  [
    ...'\0\x01\x07\x08\x0a\x0f\x10\x12\x1a\x1f !"\\/+-_,:[]{}=09AZaz\x7f\x80\x82\xbf\xc0\xc3\xe0\xed\xf0\xf4\xfe\xff'
  ].map(character => character.charCodeAt(0))
)
const SPAN_MAX = 16

export function mutate(dice: Dice, bytes: Buffer): Buffer {
  let changed: Buffer = Buffer.from(bytes)
  do changed = damage(dice, changed)
  while (dice.oneIn(2))
  return changed
}

function damage(dice: Dice, bytes: Buffer): Buffer {
  const at = drawPlace(dice, bytes.length)
  switch (dice.below(10)) {
    case 0:
    case 1:
      return withByte(bytes, at, (bytes[at] ?? 0) ^ (1 << dice.below(8)))
    case 2:
      return withByte(bytes, at, dice.below(256))
    case 3:
    case 4:
      return withByte(bytes, at, drawBorder(dice))
    case 5:
      return withByte(bytes, at, (bytes[at] ?? 0) + dice.pick([1, -1, 2, 128]))
    case 6:
      return spliced(bytes, at, drawSpan(dice), Buffer.alloc(0))
    case 7:
      return spliced(bytes, at, 0, Buffer.from(dice.list(drawSpan(dice), () => drawBorder(dice))))
    case 8: {
      const from = dice.below(bytes.length + 1)
      return spliced(bytes, at, dice.oneIn(2) ? 0 : drawSpan(dice), bytes.subarray(from, from + drawSpan(dice)))
    }
    default:
      // To its end, one time in four: nothing of a layer remains behind a cut.
      return dice.oneIn(4) ? bytes.subarray(0, at) : spliced(bytes, at, 0, bytes.subarray(at, at + drawSpan(dice)))
  }
}

/** Sizes and versions stand in front. */
function drawPlace(dice: Dice, length: number): number {
  return dice.below(dice.oneIn(4) ? Math.min(length, 8) : length)
}

function drawSpan(dice: Dice): number {
  return 1 + dice.below(dice.oneIn(8) ? 8 * SPAN_MAX : SPAN_MAX)
}

function drawBorder(dice: Dice): number {
  return BORDERS[dice.below(BORDERS.length)] ?? 0
}

function withByte(bytes: Buffer, at: number, byte: number): Buffer {
  if (bytes.length === 0) return Buffer.from([byte])
  bytes[at] = byte
  return bytes
}

function spliced(bytes: Buffer, at: number, cut: number, put: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)])
}
