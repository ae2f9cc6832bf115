/**
 * The JSON of a pull response, found its way through without making anything of it.
 *
 * In: the text's bytes. Out: the next offset and where each message stands. Everything is read as JSON.parse reads it,
 * to the last byte; what is not as expected, JSON or not, is `ODD`, and left to the full parser, which knows how to say
 * so. Must never happen: a response taken that the full parser reads otherwise.
 */
import { REPORT } from './report'

/** A pull response, read. */
const READ: i32 = 0
/** Not JSON, an error, another shape, or a rare one: the full parser's. */
const ODD: i32 = 1
/** The table is full. */
const NO_ROOM: i32 = 2

/** Far more than any answer has. Deeper ones may still be JSON. */
const DEPTH_MAX: i32 = 100
/** The full parser refuses integers far longer than this. */
const NUMBER_BYTES_MAX: usize = 400
const INT64_DIGITS: usize = 19

const SPAN_BYTES: usize = 8
/** Of a span's end: the text has escapes. */
const ESCAPED: u32 = 0x8000_0000

// The names of the members that count, in ASCII.
const RESPONSE: usize = memory.data<u8>([0x52, 0x65, 0x73, 0x70, 0x6f, 0x6e, 0x73, 0x65])
const NEXT_OFFSET: usize = memory.data<u8>([0x4e, 0x65, 0x78, 0x74, 0x4f, 0x66, 0x66, 0x73, 0x65, 0x74])
const MESSAGE: usize = memory.data<u8>([0x4d, 0x65, 0x73, 0x73, 0x61, 0x67, 0x65])
const ERROR: usize = memory.data<u8>([0x45, 0x72, 0x72, 0x6f, 0x72])

// Members of the one `Response` that counts, the last.
let hasResponse = false
let hasError = false
/** Whether `NextOffset` or `Message` is of a kind that only the full parser reads. */
let isOddNext = false
let isOddMessages = false
let messageCount: u32 = 0
let hasNext = false
let next: i64 = 0
/** Of the text last skipped. */
let isEscaped = false
let isFull = false

/** @returns `READ`, with the report and the table filled: per message its start and its end; else what stopped it. */
export function scanResponse(text: usize, textEnd: usize, table: usize, tableEnd: usize): i32 {
  hasResponse = false
  isFull = false
  let at = skipSpace(text, textEnd)
  if (!isAt(at, textEnd, 0x7b /* { */)) return ODD
  at = skipSpace(at + 1, textEnd)
  // An empty object has no Response.
  while (true) {
    const key = at
    at = skipKey(at, textEnd)
    if (at === 0 || isEscaped) return ODD
    if (isKey(key, RESPONSE, 8)) {
      at = isAt(at, textEnd, 0x7b) ? readMembers(at, textEnd, table, tableEnd) : 0
    } else at = skipValue(at, textEnd, 1)
    if (isFull) return NO_ROOM
    if (at === 0) return ODD
    at = skipSpace(at, textEnd)
    if (isAt(at, textEnd, 0x7d /* } */)) break
    if (!isAt(at, textEnd, 0x2c /* , */)) return ODD
    at = skipSpace(at + 1, textEnd)
  }
  if (skipSpace(at + 1, textEnd) !== textEnd) return ODD
  if (!hasResponse || hasError || isOddNext || isOddMessages) return ODD
  store<u32>(REPORT, messageCount, 8)
  store<u32>(REPORT, u32(hasNext), 12)
  store<i64>(REPORT, next, 16)
  return READ
}

/** Of the last Response nothing of an earlier one remains. */
function readMembers(start: usize, textEnd: usize, table: usize, tableEnd: usize): usize {
  hasResponse = true
  hasError = false
  isOddNext = false
  isOddMessages = false
  messageCount = 0
  hasNext = false
  next = 0
  let at = skipSpace(start + 1, textEnd)
  if (isAt(at, textEnd, 0x7d)) return at + 1
  while (true) {
    const key = at
    at = skipKey(at, textEnd)
    // An escaped key might be any.
    if (at === 0 || isEscaped) return 0
    if (isKey(key, MESSAGE, 7)) {
      at = readMessages(at, textEnd, table, tableEnd)
    } else if (isKey(key, NEXT_OFFSET, 10)) {
      at = readNext(at, textEnd)
    } else {
      // A null is no error.
      if (isKey(key, ERROR, 5)) hasError = !isAt(at, textEnd, 0x6e)
      at = skipValue(at, textEnd, 2)
    }
    if (at === 0) return 0
    at = skipSpace(at, textEnd)
    if (isAt(at, textEnd, 0x7d)) return at + 1
    if (!isAt(at, textEnd, 0x2c)) return 0
    at = skipSpace(at + 1, textEnd)
  }
}

function readMessages(start: usize, textEnd: usize, table: usize, tableEnd: usize): usize {
  messageCount = 0
  isOddMessages = false
  if (!isAt(start, textEnd, 0x5b /* [ */)) {
    isOddMessages = !isAt(start, textEnd, 0x6e /* n */)
    return skipValue(start, textEnd, 2)
  }
  let at = skipSpace(start + 1, textEnd)
  if (isAt(at, textEnd, 0x5d /* ] */)) return at + 1
  let span = table
  while (true) {
    if (isAt(at, textEnd, 0x22)) {
      const text = at + 1
      at = skipText(text, textEnd)
      if (at === 0) return 0
      if (tableEnd - span < SPAN_BYTES) {
        isFull = true
        return 0
      }
      store<u32>(span, text)
      store<u32>(span, u32(at - 1) | (isEscaped ? ESCAPED : 0), 4)
      span += SPAN_BYTES
      messageCount++
    } else {
      isOddMessages = true
      at = skipValue(at, textEnd, 3)
      if (at === 0) return 0
    }
    at = skipSpace(at, textEnd)
    if (isAt(at, textEnd, 0x5d)) return at + 1
    if (!isAt(at, textEnd, 0x2c)) return 0
    at = skipSpace(at + 1, textEnd)
  }
}

/** Exact, all 64 bits; a fraction, an exponent or more digits are the full parser's, and so is a text of digits. */
function readNext(start: usize, textEnd: usize): usize {
  const end = skipValue(start, textEnd, 2)
  isOddNext = false
  hasNext = false
  next = 0
  if (end === 0 || isAt(start, textEnd, 0x6e)) return end
  const isNegative = isAt(start, textEnd, 0x2d /* - */)
  const digits = isNegative ? start + 1 : start
  if (end - digits > INT64_DIGITS) {
    isOddNext = true
    return end
  }
  let value: u64 = 0
  for (let at = digits; at < end; at++) {
    const digit: u32 = load<u8>(at) - 0x30
    if (digit > 9) {
      isOddNext = true
      return end
    }
    value = value * 10 + digit
  }
  const largest: u64 = isNegative ? 0x8000_0000_0000_0000 : 0x7fff_ffff_ffff_ffff
  if (value > largest) isOddNext = true
  hasNext = true
  next = isNegative ? 0 - i64(value) : i64(value)
  return end
}

/** @returns Where the key's value begins; 0 where there is no key. */
function skipKey(at: usize, textEnd: usize): usize {
  if (!isAt(at, textEnd, 0x22)) return 0
  at = skipText(at + 1, textEnd)
  if (at === 0) return 0
  at = skipSpace(at, textEnd)
  return isAt(at, textEnd, 0x3a /* : */) ? skipSpace(at + 1, textEnd) : 0
}

/** Of a key that was skipped, without escapes: its closing quote ends the comparison at the latest. */
function isKey(quote: usize, name: usize, length: usize): bool {
  for (let index: usize = 0; index < length; index++) {
    if (load<u8>(quote + 1 + index) !== load<u8>(name + index)) return false
  }
  return load<u8>(quote + 1 + length) === 0x22
}

/** @returns Behind the value; 0 where there is none, or too deep a one. */
function skipValue(at: usize, textEnd: usize, depth: i32): usize {
  if (at >= textEnd || depth > DEPTH_MAX) return 0
  const first = load<u8>(at)
  switch (first) {
    case 0x22:
      return skipText(at + 1, textEnd)
    case 0x7b:
      return skipList(at, textEnd, depth, true)
    case 0x5b:
      return skipList(at, textEnd, depth, false)
    case 0x6e:
      return skipWord(at, textEnd, 0x6c6c756e /* null */)
    case 0x74:
      return skipWord(at, textEnd, 0x65757274 /* true */)
    case 0x66:
      // The other four letters of "false".
      return skipWord(at + 1, textEnd, 0x65736c61)
    default:
      return skipNumber(at, textEnd)
  }
}

function skipList(at: usize, textEnd: usize, depth: i32, isObject: bool): usize {
  const closing: u8 = isObject ? 0x7d : 0x5d
  at = skipSpace(at + 1, textEnd)
  if (isAt(at, textEnd, closing)) return at + 1
  while (true) {
    if (isObject) {
      at = skipKey(at, textEnd)
      if (at === 0) return 0
    }
    at = skipValue(at, textEnd, depth + 1)
    if (at === 0) return 0
    at = skipSpace(at, textEnd)
    if (isAt(at, textEnd, closing)) return at + 1
    if (!isAt(at, textEnd, 0x2c)) return 0
    at = skipSpace(at + 1, textEnd)
  }
}

function skipWord(at: usize, textEnd: usize, word: u32): usize {
  return textEnd - at >= 4 && load<u32>(at) === word ? at + 4 : 0
}

function skipNumber(start: usize, textEnd: usize): usize {
  let at = isAt(start, textEnd, 0x2d) ? start + 1 : start
  if (isAt(at, textEnd, 0x30)) at++
  else {
    const whole = at
    at = skipDigits(at, textEnd)
    if (at === whole) return 0
  }
  if (isAt(at, textEnd, 0x2e /* . */)) {
    const fraction = at + 1
    at = skipDigits(fraction, textEnd)
    if (at === fraction) return 0
  }
  if (isAt(at, textEnd, 0x65) || isAt(at, textEnd, 0x45)) {
    let exponent = at + 1
    if (isAt(exponent, textEnd, 0x2b) || isAt(exponent, textEnd, 0x2d)) exponent++
    at = skipDigits(exponent, textEnd)
    if (at === exponent) return 0
  }
  return at - start > NUMBER_BYTES_MAX ? 0 : at
}

function skipDigits(at: usize, textEnd: usize): usize {
  while (at < textEnd && u8(load<u8>(at) - 0x30) <= 9) at++
  return at
}

/** @returns Behind the closing quote, with `isEscaped` set; 0 where the text does not end, or is no JSON text. */
function skipText(at: usize, textEnd: usize): usize {
  isEscaped = false
  const quote = i8x16.splat(0x22)
  const backslash = i8x16.splat(0x5c)
  const space = i8x16.splat(0x20)
  while (at < textEnd) {
    while (textEnd - at >= 64) {
      const one = v128.load(at)
      const two = v128.load(at, 16)
      const three = v128.load(at, 32)
      const four = v128.load(at, 48)
      const quotes = v128.or(
        v128.or(i8x16.eq(one, quote), i8x16.eq(two, quote)),
        v128.or(i8x16.eq(three, quote), i8x16.eq(four, quote))
      )
      const escapes = v128.or(
        v128.or(i8x16.eq(one, backslash), i8x16.eq(two, backslash)),
        v128.or(i8x16.eq(three, backslash), i8x16.eq(four, backslash))
      )
      const least = i8x16.min_u(i8x16.min_u(one, two), i8x16.min_u(three, four))
      if (v128.any_true(v128.or(v128.or(quotes, escapes), i8x16.lt_u(least, space)))) break
      at += 64
    }
    // To the end, or to an escape; behind that the vectors go on.
    while (at < textEnd) {
      const byte = load<u8>(at++)
      if (byte === 0x22) return at
      if (byte < 0x20) return 0
      if (byte !== 0x5c) continue
      isEscaped = true
      at = skipEscape(at, textEnd)
      if (at === 0) return 0
      break
    }
  }
  return 0
}

function skipEscape(at: usize, textEnd: usize): usize {
  if (at >= textEnd) return 0
  switch (load<u8>(at)) {
    case 0x22:
    case 0x2f:
    case 0x5c:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 1
    case 0x75: {
      if (textEnd - at < 5) return 0
      for (let digit = at + 1; digit < at + 5; digit++) if (!isHex(load<u8>(digit))) return 0
      return at + 5
    }
    default:
      return 0
  }
}

function isHex(byte: u8): bool {
  return u8(byte - 0x30) <= 9 || u8((byte | 0x20) - 0x61) <= 5
}

@inline
function isAt(at: usize, textEnd: usize, byte: u8): bool {
  return at < textEnd && load<u8>(at) === byte
}

function skipSpace(at: usize, textEnd: usize): usize {
  while (at < textEnd) {
    const byte = load<u8>(at)
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
    at++
  }
  return at
}
