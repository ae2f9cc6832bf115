/**
 * Base64 with the standard alphabet, strict: no white space, no `-` and `_`, padded to four.
 *
 * In: a text and where its bytes go, which may be the text's own place: what is written never overtakes what is read.
 * Out: the bytes. Must never happen: a read outside the text, a write outside its decoded length. Bits that padding
 * leaves over are not looked at, as nearly every decoder does: a log is worth more than they.
 */

const BAD: u8 = 0xff
const PAD: u8 = 0x3d
const BACKSLASH: u8 = 0x5c

/** The six bits of each byte, or `BAD`. */
// biome-ignore format: a table
const SIX_BITS: usize = memory.data<u8>([
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 62, 255, 255, 255, 63,
  52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 255, 255, 255, 255, 255, 255,
  255, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
  15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 255, 255, 255, 255, 255,
  255, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
  41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
])

// The vectors of the loop over most of a text. In memory, for V8 makes a constant vector anew wherever a loop has it, in
// up to five instructions; a load is one. The classes are Wojciech Muła's: a byte is in the alphabet where the bits of
// its two nibbles have nothing in common.
// biome-ignore format: tables
const LOW_CLASSES: usize = memory.data<u8>([21, 17, 17, 17, 17, 17, 17, 17, 17, 17, 19, 26, 27, 27, 27, 26], 16)
const HIGH_CLASSES: usize = memory.data<u8>([16, 16, 1, 2, 4, 8, 4, 8, 16, 16, 16, 16, 16, 16, 16, 16], 16)
/** What to add for each high nibble, modulo 256; `/` shares one with `+` and takes the nibble below. */
const SHIFTS: usize = memory.data<u8>([0, 16, 19, 4, 191, 191, 185, 185, 0, 0, 0, 0, 0, 0, 0, 0], 16)
/** Each of four has its bytes the wrong way round. What the last four are does not matter. */
const ORDER: usize = memory.data<u8>([2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 0, 0, 0, 0], 16)
const NIBBLES: usize = memory.data<u8>([15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15], 16)
const SLASHES: usize = memory.data<u8>([47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47], 16)
const EVENS: usize = memory.data<u8>([63, 0, 63, 0, 63, 0, 63, 0, 63, 0, 63, 0, 63, 0, 63, 0], 16)
const WEIGHTS: usize = memory.data<u16>([4096, 1, 4096, 1, 4096, 1, 4096, 1], 16)

/** @returns How many bytes; or `-1 - n`, where characters n to n + 3 of the text do not fit, or are not there. */
export function decodeBase64(text: usize, textEnd: usize, output: usize): i32 {
  const length = textEnd - text
  const oddCount = length & 3
  let padCount: usize = 0
  if (oddCount === 0 && length !== 0 && load<u8>(textEnd - 1) === PAD) {
    padCount = load<u8>(textEnd - 2) === PAD ? 2 : 1
  }
  const outputEnd = output + (length >> 2) * 3 - padCount
  let at = text
  let written = output
  // Twelve bytes are made of sixteen characters, and sixteen are written: four more must belong to the output. Then at
  // least eight characters follow, so that no padding is in here. All are read before any is written: in the text's own
  // place that would overwrite nothing of them, but it saves the engine a wait.
  while (outputEnd - written >= 4 * 12 + 4) {
    const one = v128.load(at)
    const two = v128.load(at, 16)
    const three = v128.load(at, 32)
    const four = v128.load(at, 48)
    const wrong = v128.or(v128.or(wrongIn(one), wrongIn(two)), v128.or(wrongIn(three), wrongIn(four)))
    if (v128.any_true(wrong)) break
    v128.store(written, twelveBytesOf(one))
    v128.store(written, twelveBytesOf(two), 12)
    v128.store(written, twelveBytesOf(three), 24)
    v128.store(written, twelveBytesOf(four), 36)
    at += 64
    written += 48
  }

  const wholeEnd = padCount === 0 ? textEnd - oddCount : textEnd - 4
  for (; at < wholeEnd; at += 4) {
    const bits = readFour(at)
    if (bits === u32.MAX_VALUE) return -1 - i32(at - text)
    store<u8>(written, bits >> 16)
    store<u8>(written + 1, bits >> 8)
    store<u8>(written + 2, bits)
    written += 3
  }
  if (oddCount !== 0) return -1 - i32(at - text)
  if (padCount === 0) return i32(written - output)

  const first = load<u8>(SIX_BITS + load<u8>(at))
  const second = load<u8>(SIX_BITS + load<u8>(at + 1))
  const third: u8 = padCount === 2 ? 0 : load<u8>(SIX_BITS + load<u8>(at + 2))
  if (first === BAD || second === BAD || third === BAD) return -1 - i32(at - text)
  store<u8>(written++, (first << 2) | (second >> 4))
  if (padCount === 1) store<u8>(written++, (second << 4) | (third >> 2))
  return i32(written - output)
}

/** Bits where a byte is not of the alphabet. */
@inline
function wrongIn(text: v128): v128 {
  const low = v128.and(text, v128.load(NIBBLES))
  return v128.and(i8x16.swizzle(v128.load(LOW_CLASSES), low), i8x16.swizzle(v128.load(HIGH_CLASSES), highNibbles(text)))
}

/** What sixteen characters of the alphabet stand for; behind it come four bytes of no meaning. */
@inline
function twelveBytesOf(text: v128): v128 {
  const row = i8x16.add(i8x16.eq(text, v128.load(SLASHES)), highNibbles(text))
  const sixes = i8x16.add(text, i8x16.swizzle(v128.load(SHIFTS), row))
  const twelves = v128.or(i16x8.shl(v128.and(sixes, v128.load(EVENS)), 6), i16x8.shr_u(sixes, 8))
  return i8x16.swizzle(i32x4.dot_i16x8_s(twelves, v128.load(WEIGHTS)), v128.load(ORDER))
}

@inline
function highNibbles(text: v128): v128 {
  return v128.and(i16x8.shr_u(text, 4), v128.load(NIBBLES))
}

/**
 * Undoes the escapes of a JSON text that was found well-formed, in its own place. What is no ASCII becomes a byte that
 * is not base64 either.
 * @returns The new end.
 */
export function unescapeText(text: usize, textEnd: usize): usize {
  let written = text
  let at = text
  while (at < textEnd) {
    let byte = load<u8>(at++)
    if (byte === BACKSLASH) {
      const name = load<u8>(at++)
      if (name === 0x75 /* u */) {
        const unit = (hexDigit(at) << 12) | (hexDigit(at + 1) << 8) | (hexDigit(at + 2) << 4) | hexDigit(at + 3)
        byte = unit < 0x80 ? u8(unit) : BAD
        at += 4
      } else {
        // The control characters of \b \f \n \r \t, and the quote and the backslash, are no base64 either way.
        byte = name === 0x2f /* / */ ? name : BAD
      }
    }
    store<u8>(written++, byte)
  }
  return written
}

/** 24 bits, or the largest number. */
@inline
function readFour(at: usize): u32 {
  const first: u32 = load<u8>(SIX_BITS + load<u8>(at))
  const second: u32 = load<u8>(SIX_BITS + load<u8>(at + 1))
  const third: u32 = load<u8>(SIX_BITS + load<u8>(at + 2))
  const fourth: u32 = load<u8>(SIX_BITS + load<u8>(at + 3))
  if ((first | second | third | fourth) > 63) return u32.MAX_VALUE
  return (first << 18) | (second << 12) | (third << 6) | fourth
}

function hexDigit(at: usize): u32 {
  const digit: u32 = load<u8>(at)
  return digit <= 0x39 ? digit - 0x30 : (digit | 0x20) - 0x57
}
