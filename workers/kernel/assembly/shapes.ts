/**
 * Which logs of a group have the same keys: their shapes.
 *
 * In: an indexed group, and the shapes that its batch has met. Out: each log's word for its shape, and the shapes that
 * are new. A shape is the exact sequence of a log's keys, byte for byte, repeated ones included; it is known by the first
 * log that had it. Must never happen: two logs of one shape whose keys differ in a byte.
 */

/** Also in `workers/batch-reader.ts`. */
const UNMATCHED: i32 = -1

const SHAPES_MAX: i32 = 64
/** A log of more keys has none: what is known of a shape must not cost more than its logs do. */
const KEYS_MAX: u32 = 1000
const SHAPE_BYTES: i32 = 8
/** The batch's shapes, by number; 0 is none. The address of the first log, and the digest of its keys. */
export const SHAPES: usize = memory.data((SHAPES_MAX + 1) * SHAPE_BYTES, 8)

const GROUP_HEAD_BYTES: usize = 64
const LOG_HEAD_BYTES: usize = 32
const PAIR_BYTES: usize = 16
const VECTOR_BYTES: usize = 16

/** 16 bytes that count, then 16 that do not: read from 16 - n on, a mask of n bytes. */
// biome-ignore format: a table
const MASKS: usize = memory.data<u8>([
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
])

/**
 * Gives each log of the group the number of its shape, or -1 where the batch has met too many, or the log has too many
 * keys.
 *
 * @param count How many shapes the batch has met; 0 begins anew. @returns How many it has met now.
 */
export function matchShapes(group: usize, count: i32): i32 {
  // Keys are read 16 bytes at a time, past their end. Behind a payload stands at least the group's own table; were it
  // not so, its logs would have no shape.
  const hasRoom = usize(load<u32>(group, 16)) + VECTOR_BYTES <= usize(memory.size()) << 16
  let log = group + GROUP_HEAD_BYTES
  let last: usize = 0
  let shape = UNMATCHED
  for (let left = load<u32>(group); left > 0; left--) {
    // Most logs have the keys of the one before.
    if (last === 0 || !haveSameKeys(log, last)) {
      shape = hasRoom ? findShape(log, count) : UNMATCHED
      count = max(count, shape)
      last = shape === UNMATCHED ? 0 : log
    }
    store<i32>(log, shape, 24)
    log = endOf(log)
  }
  return count
}

/** A new shape takes the next number. */
function findShape(log: usize, count: i32): i32 {
  if (load<u32>(log) > KEYS_MAX) return UNMATCHED
  const digest = digestKeys(log)
  let entry = SHAPES
  for (let shape = 1; shape <= count; shape++) {
    entry += SHAPE_BYTES
    if (load<u32>(entry, 4) === digest && haveSameKeys(log, load<u32>(entry))) return shape
  }
  if (count === SHAPES_MAX) return UNMATCHED
  store<u32>(entry + SHAPE_BYTES, log)
  store<u32>(entry + SHAPE_BYTES, digest, 4)
  return count + 1
}

/** So that a log is compared, key by key, with hardly more than the one shape that it has. */
function digestKeys(log: usize): u32 {
  let digest = load<u32>(log)
  const end = endOf(log)
  for (let pair = log + LOG_HEAD_BYTES; pair < end; pair += PAIR_BYTES) {
    const key: usize = load<u32>(pair)
    const bytes = lengthOf(pair)
    digest = digest * 31 + u32(bytes)
    if (bytes > 0) digest = digest * 31 + load<u8>(key + bytes - 1)
  }
  return digest
}

@inline
function haveSameKeys(log: usize, other: usize): bool {
  if (load<u32>(log) !== load<u32>(other)) return false
  const end = endOf(log)
  let otherPair = other + LOG_HEAD_BYTES
  let differences = i8x16.splat(0)
  for (let pair = log + LOG_HEAD_BYTES; pair < end; pair += PAIR_BYTES) {
    // With their flags: keys that differ in those differ.
    const keyBytes = load<u32>(pair, 4) - load<u32>(pair)
    if (keyBytes !== load<u32>(otherPair, 4) - load<u32>(otherPair)) return false
    // Short ASCII keys, as most are, are asked about once for all of a log.
    if (keyBytes <= <u32>VECTOR_BYTES) {
      differences = v128.or(differences, differ(load<u32>(pair), load<u32>(otherPair), keyBytes))
    } else if (!isSameLongKey(pair, otherPair)) return false
    otherPair += PAIR_BYTES
  }
  return !v128.any_true(differences)
}

/** Where the first `bytes` of two texts, 16 at most, are not the same. */
@inline
function differ(text: usize, other: usize, bytes: usize): v128 {
  return v128.and(v128.xor(v128.load(text), v128.load(other)), v128.load(MASKS + VECTOR_BYTES - bytes))
}

/** Of keys with as many bytes. */
function isSameLongKey(pair: usize, otherPair: usize): bool {
  let key: usize = load<u32>(pair)
  let other: usize = load<u32>(otherPair)
  let left = lengthOf(pair)
  while (left > VECTOR_BYTES) {
    if (v128.any_true(v128.xor(v128.load(key), v128.load(other)))) return false
    key += VECTOR_BYTES
    other += VECTOR_BYTES
    left -= VECTOR_BYTES
  }
  return !v128.any_true(differ(key, other, left))
}

/** Of a log's pairs. */
@inline
function endOf(log: usize): usize {
  return log + LOG_HEAD_BYTES + usize(load<u32>(log)) * PAIR_BYTES
}

/** Of a pair's key, without its flag. */
@inline
function lengthOf(pair: usize): usize {
  return (load<u32>(pair, 4) & 0x7fff_ffff) - load<u32>(pair)
}
