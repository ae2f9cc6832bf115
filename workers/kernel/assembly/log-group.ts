/**
 * The index of one protobuf `LogGroup`: where every key and every value stands.
 *
 * In: the payload of a message, and a table with room. Out: a block in that table (see `workers/kernel/log-group-index.ts`), or
 * what is wrong with the group, and where. Read as protobufjs reads it, verdict for verdict: unknown fields of every
 * wire type are skipped, groups among them; of a repeated field that may be there once the last counts; a log without
 * time, or a content without key or value, poisons the group. Must never happen: a byte read outside the payload, or a
 * group half read and taken for whole.
 */
import { REPORT } from './report'

/** Also in `workers/kernel/log-group-index.ts`. */
// biome-ignore format: a table
const TRUNCATED = 1, BAD_TAG = 2, BAD_LENGTH = 3, BAD_VARINT = 4, FIELD_ZERO = 5, BAD_WIRE_TYPE = 6,
  BAD_GROUP_END = 7, TOO_DEEP = 8, NO_TIME = 9, NO_KEY = 10, NO_VALUE = 11, NO_ROOM = 12

/** protobuf's own limit on nested messages and groups. */
const DEPTH_MAX: i32 = 100
const VARINT: u32 = 0
const FIXED64: u32 = 1
const BYTES: u32 = 2
const GROUP: u32 = 3
const GROUP_END: u32 = 4
const FIXED32: u32 = 5

// Tags: the field's number, and its wire type.
const LOG: u32 = (1 << 3) | BYTES
const CONTEXT_FLOW: u32 = (2 << 3) | BYTES
const FILENAME: u32 = (3 << 3) | BYTES
const SOURCE: u32 = (4 << 3) | BYTES
const TAG: u32 = (5 << 3) | BYTES
const HOSTNAME: u32 = (6 << 3) | BYTES
const TIME: u32 = (1 << 3) | VARINT
const CONTENT: u32 = (2 << 3) | BYTES
const COLLECT_TIME: u32 = (3 << 3) | VARINT
const KEY: u32 = (1 << 3) | BYTES
const VALUE: u32 = (2 << 3) | BYTES

// How a content begins, little-endian: its tag, its length of one byte or of two, the tag of its key, and (of the short
// one) the key's length of one byte.
const SHORT_PAIR: u32 = CONTENT | (KEY << 16)
const SHORT_PAIR_MASK: u32 = 0x80ff_80ff
const LONG_PAIR: u32 = CONTENT | 0x8000 | (KEY << 24)
const LONG_PAIR_MASK: u32 = 0xff80_80ff

const GROUP_HEAD_BYTES: usize = 64
const LOG_HEAD_BYTES: usize = 32
const PAIR_BYTES: usize = 16
/** Of an end: the text has a byte over 127. */
const WIDE: u32 = 0x8000_0000

/** Where the reader stands; after a failure, where it stopped. */
let at: usize = 0
/** Why it stopped; 0 as long as it has not. */
let reason: i32 = 0
/** The first byte over 127 at or behind the text that was last looked for one; before any, the payload's start. */
let wideAt: usize = 0
let wideEnd: usize = 0

/** @returns Where the table goes on; 0: the group is poisoned, or has no room: the report has the reason and the place. */
export function indexLogGroup(payload: usize, payloadEnd: usize, table: usize, tableEnd: usize): usize {
  at = payload
  reason = 0
  wideEnd = payloadEnd
  wideAt = findWide(payload)
  const end = indexGroup(payload, payloadEnd, table, tableEnd)
  store<i32>(REPORT, reason)
  store<u32>(REPORT, at - payload, 4)
  return reason === 0 ? end : 0
}

function indexGroup(payload: usize, payloadEnd: usize, head: usize, tableEnd: usize): usize {
  if (tableEnd - head < GROUP_HEAD_BYTES) return fail(NO_ROOM)
  memory.fill(head, 0, GROUP_HEAD_BYTES)
  store<u32>(head, payload, 12)
  store<u32>(head, payloadEnd, 16)
  let table = head + GROUP_HEAD_BYTES
  let logCount: u32 = 0
  let tagCount: u32 = 0
  while (at < payloadEnd) {
    const tag = readTag(payloadEnd)
    if (reason !== 0) return 0
    switch (tag) {
      case LOG: {
        const end = readEnd(payloadEnd)
        if (reason !== 0) return 0
        table = indexLog(end, head, table, tableEnd)
        if (reason !== 0) return 0
        logCount++
        break
      }
      case TAG: {
        const end = readEnd(payloadEnd)
        if (reason !== 0) return 0
        if (tableEnd - table < PAIR_BYTES) return fail(NO_ROOM)
        // Only checked: the tags are to stand together, behind the logs. The next log writes over it.
        indexPair(end, table)
        if (reason !== 0) return 0
        tagCount++
        break
      }
      case CONTEXT_FLOW:
        readText(payloadEnd, head + 20)
        break
      case FILENAME:
        readText(payloadEnd, head + 28)
        break
      case SOURCE:
        readText(payloadEnd, head + 36)
        break
      case HOSTNAME:
        readText(payloadEnd, head + 44)
        break
      default:
        skipField(tag, payloadEnd, 0)
    }
    if (reason !== 0) return 0
  }
  store<u32>(head, logCount)
  store<u32>(head, tagCount, 4)
  store<u32>(head, table, 8)
  if (tagCount > 0) table = indexTags(payload, payloadEnd, table, tableEnd)
  store<u32>(head, table, 52)
  return table
}

/** A second way through a group that is sound, for few have tags. */
function indexTags(payload: usize, payloadEnd: usize, table: usize, tableEnd: usize): usize {
  at = payload
  wideAt = findWide(payload)
  while (at < payloadEnd) {
    const tag = readTag(payloadEnd)
    if (tag === TAG) {
      const end = readEnd(payloadEnd)
      if (tableEnd - table < PAIR_BYTES) return fail(NO_ROOM)
      indexPair(end, table)
      table += PAIR_BYTES
    } else skipField(tag, payloadEnd, 0)
    if (reason !== 0) return 0
  }
  return table
}

/** From `at` to `end`, into the block of `group`. @returns Where the table goes on. */
function indexLog(end: usize, group: usize, head: usize, tableEnd: usize): usize {
  if (tableEnd - head < LOG_HEAD_BYTES) return fail(NO_ROOM)
  let pair = head + LOG_HEAD_BYTES
  let hasTime = false
  let hasCollectTime = false
  let time: i64 = 0
  let collectTime: i64 = 0
  let cursor = at
  while (cursor < end) {
    if (load<u8>(cursor) === CONTENT) {
      if (tableEnd - pair < PAIR_BYTES) return stop(NO_ROOM, cursor)
      // As nearly every writer has it: lengths of one byte (a value's of two), the key, the value, no more.
      const next = tryPair(cursor, end, pair)
      if (next !== 0) {
        cursor = next
        pair += PAIR_BYTES
        continue
      }
    }
    at = cursor
    const tag = readTag(end)
    if (reason !== 0) return 0
    switch (tag) {
      case CONTENT: {
        const contentEnd = readEnd(end)
        if (reason !== 0) return 0
        if (tableEnd - pair < PAIR_BYTES) return fail(NO_ROOM)
        indexPair(contentEnd, pair)
        pair += PAIR_BYTES
        break
      }
      case TIME:
        time = readInt64(end)
        hasTime = true
        break
      case COLLECT_TIME:
        collectTime = readInt64(end)
        hasCollectTime = true
        break
      default:
        skipField(tag, end, 1)
    }
    if (reason !== 0) return 0
    cursor = at
  }
  at = end
  if (!hasTime) return fail(NO_TIME)
  store<u32>(head, u32((pair - head - LOG_HEAD_BYTES) / PAIR_BYTES))
  store<u32>(head, u32(hasCollectTime), 4)
  store<i64>(head, time, 8)
  store<i64>(head, collectTime, 16)
  store<u32>(head, 0, 24)
  store<u32>(head, group, 28)
  return pair
}

/**
 * The content whose tag is at `cursor`, if it has the usual form. Tags and lengths that stand together are asked about
 * together: a comparison for the content and its key, one for the value. (bench: `kernel-stages`)
 * @returns Behind it; 0: it has another, or is wrong.
 */
@inline
function tryPair(cursor: usize, end: usize, pair: usize): usize {
  // Tag and length of the content, tag and length of the key; a value behind it has two bytes at least.
  if (end - cursor < 6) return 0
  const head = load<u32>(cursor)
  let keyAt = cursor + 4
  let keyBytes: usize = head >>> 24
  let contentEnd = cursor + 2 + ((head >> 8) & 127)
  if ((head & SHORT_PAIR_MASK) !== SHORT_PAIR) {
    if ((head & LONG_PAIR_MASK) !== LONG_PAIR) return 0
    keyBytes = load<u8>(cursor + 4)
    if (keyBytes > 127) return 0
    keyAt++
    contentEnd = cursor + 3 + (((head >> 8) & 127) | (((head >> 16) & 127) << 7))
  }
  const keyEnd = keyAt + keyBytes
  if (contentEnd > end || keyEnd + 2 > contentEnd) return 0
  const tail: u32 = load<u16>(keyEnd)
  if ((tail & 255) !== VALUE) return 0
  let valueAt = keyEnd + 2
  let valueBytes: usize = tail >> 8
  if (valueBytes > 127) {
    if (valueAt >= contentEnd) return 0
    const more: usize = load<u8>(valueAt++)
    if (more > 127) return 0
    valueBytes = (valueBytes & 127) | (more << 7)
  }
  if (valueAt + valueBytes !== contentEnd) return 0
  if (contentEnd > wideAt) {
    storeText(pair, keyAt, keyEnd)
    storeText(pair + 8, valueAt, contentEnd)
  } else {
    // No byte over 127 before that.
    store<u64>(pair, (u64(keyEnd) << 32) | keyAt)
    store<u64>(pair, (u64(contentEnd) << 32) | valueAt, 8)
  }
  return contentEnd
}

/** A content or a tag of any form, from `at` to `end`. */
function indexPair(end: usize, pair: usize): void {
  let hasKey = false
  let hasValue = false
  while (at < end) {
    const tag = readTag(end)
    if (reason !== 0) return
    if (tag === KEY) {
      readText(end, pair)
      hasKey = true
    } else if (tag === VALUE) {
      readText(end, pair + 8)
      hasValue = true
    } else skipField(tag, end, 2)
    if (reason !== 0) return
  }
  if (!hasKey) fail(NO_KEY)
  else if (!hasValue) fail(NO_VALUE)
}

function readText(end: usize, entry: usize): void {
  const textEnd = readEnd(end)
  if (reason !== 0) return
  storeText(entry, at, textEnd)
  at = textEnd
}

@inline
function storeText(entry: usize, text: usize, textEnd: usize): void {
  store<u32>(entry, text)
  if (textEnd > wideAt && wideAt < text) wideAt = findWide(text)
  store<u32>(entry, u32(textEnd) | (textEnd > wideAt ? WIDE : 0), 4)
}

/**
 * The first byte over 127 from `from` on; the payload's end where there is none. Texts are met in their order, and only
 * one behind `wideAt` asks anew, so that each byte is looked at once: far less than a look at every text by itself.
 */
function findWide(from: usize): usize {
  while (wideEnd - from >= 16) {
    const bits = i8x16.bitmask(v128.load(from))
    if (bits !== 0) return from + ctz(bits)
    from += 16
  }
  while (from < wideEnd && load<u8>(from) < 128) from++
  return from
}

/** At most five bytes, of 32 bits. 0 after a failure. */
function readTag(end: usize): u32 {
  let tag: u32 = 0
  for (let shift: u32 = 0; shift < 35; shift += 7) {
    if (at >= end) return u32(fail(TRUNCATED))
    const byte: u32 = load<u8>(at++)
    if (shift === 28 && byte > 15) return u32(fail(BAD_TAG))
    tag |= (byte & 127) << shift
    if (byte < 128) break
  }
  return tag >>> 3 === 0 ? u32(fail(FIELD_ZERO)) : tag
}

/** A length of at most five bytes and 31 bits, that fits. @returns Where what is so long ends. */
function readEnd(end: usize): usize {
  let length: usize = 0
  for (let shift: usize = 0; shift < 35; shift += 7) {
    if (at >= end) return fail(TRUNCATED)
    const byte: usize = load<u8>(at++)
    if (shift === 28 && byte > 7) return fail(BAD_LENGTH)
    length |= (byte & 127) << shift
    if (byte < 128) break
  }
  return length > end - at ? fail(TRUNCATED) : at + length
}

/** At most ten bytes; of the tenth one bit counts. */
function readInt64(end: usize): i64 {
  let value: u64 = 0
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) return i64(fail(TRUNCATED))
    const byte: u64 = load<u8>(at++)
    value |= (byte & 127) << shift
    if (byte < 128) return i64(value)
  }
  return i64(fail(BAD_VARINT))
}

/** What follows a tag, of which the number is not 0. */
function skipField(tag: u32, end: usize, depth: i32): void {
  if (depth > DEPTH_MAX) {
    fail(TOO_DEEP)
    return
  }
  switch (tag & 7) {
    case VARINT:
      // Of any length, as protobufjs skips it.
      do {
        if (at >= end) {
          fail(TRUNCATED)
          return
        }
      } while (load<u8>(at++) > 127)
      return
    case FIXED64:
      skipBytes(8, end)
      return
    case BYTES: {
      const next = readEnd(end)
      if (reason === 0) at = next
      return
    }
    case GROUP:
      skipGroup(tag >>> 3, end, depth)
      return
    case FIXED32:
      skipBytes(4, end)
      return
    default:
      fail(BAD_WIRE_TYPE)
  }
}

function skipGroup(field: u32, end: usize, depth: i32): void {
  while (true) {
    const tag = readTag(end)
    if (reason !== 0) return
    if ((tag & 7) === GROUP_END) {
      if (tag >>> 3 !== field) fail(BAD_GROUP_END)
      return
    }
    skipField(tag, end, depth + 1)
    if (reason !== 0) return
  }
}

function skipBytes(byteCount: usize, end: usize): void {
  if (end - at < byteCount) fail(TRUNCATED)
  else at += byteCount
}

function stop(why: i32, where: usize): usize {
  at = where
  return fail(why)
}

/** @returns 0, for callers that return an address. */
function fail(why: i32): usize {
  reason = why
  return 0
}
