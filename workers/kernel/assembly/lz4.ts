/**
 * One raw lz4 block: no frame, no size in front.
 *
 * lz4-napi's decoder takes as long, but wants a prefixed copy of the block and gives a fresh buffer; this one writes where
 * the next stage reads (bench: `kernel-stages`).
 *
 * In: the block. Out: the size of its plain bytes, from its sequences alone; then, into exactly that many bytes, they.
 * Must never happen: a read outside the block or the output so far, a write outside the output.
 */
import { copyBack, copyLiteral } from './copy'

const LENGTH_MORE: usize = 15
const MATCH_MIN: i64 = 4

/** Where the reader stands, after `readMore`. */
let at: usize = 0

/** @returns The plain size, or -1 where the sequences do not fit together. Does not overflow: a byte adds 255 at most. */
export function lz4PlainBytes(source: usize, sourceEnd: usize): i64 {
  let plainBytes: u64 = 0
  at = source
  while (true) {
    if (at >= sourceEnd) return -1
    const head: usize = load<u8>(at++)
    const literal = readLength(head >> 4, sourceEnd)
    if (literal < 0 || literal > i64(sourceEnd - at)) return -1
    at += usize(literal)
    plainBytes += literal
    // The last sequence ends with its literals.
    if (at === sourceEnd) return plainBytes
    if (sourceEnd - at < 2) return -1
    at += 2
    const match = readLength(head & 15, sourceEnd)
    if (match < 0) return -1
    plainBytes += match + MATCH_MIN
  }
}

/** @returns 0, or `-1 - n` where byte n of the block begins what is wrong. */
export function decompressLz4(source: usize, sourceEnd: usize, output: usize, outputEnd: usize): i32 {
  let written = output
  at = source
  while (true) {
    const sequence = at
    if (at >= sourceEnd) return refuse(source, sequence)
    const head: usize = load<u8>(at++)
    const literal = readLength(head >> 4, sourceEnd)
    if (literal < 0 || literal > i64(sourceEnd - at) || literal > i64(outputEnd - written))
      return refuse(source, sequence)
    const literalBytes = usize(literal)
    copyLiteral(at, sourceEnd, written, outputEnd, literalBytes)
    at += literalBytes
    written += literalBytes
    if (at === sourceEnd) return written === outputEnd ? 0 : refuse(source, sequence)
    if (sourceEnd - at < 2) return refuse(source, sequence)
    const offset: usize = load<u16>(at)
    at += 2
    const match = readLength(head & 15, sourceEnd) + MATCH_MIN
    if (match < MATCH_MIN || match > i64(outputEnd - written)) return refuse(source, sequence)
    // Zero is no offset, and wraps to the largest here.
    if (offset - 1 >= written - output) return refuse(source, sequence)
    copyBack(written, outputEnd, offset, usize(match))
    written += usize(match)
  }
}

/** @returns A length of which the head has `first`, or a negative number where it does not end. */
@inline
function readLength(first: usize, sourceEnd: usize): i64 {
  return first < LENGTH_MORE ? i64(first) : readMore(sourceEnd)
}

function readMore(sourceEnd: usize): i64 {
  let length: i64 = 15
  while (true) {
    if (at >= sourceEnd) return -1 - MATCH_MIN
    const more = load<u8>(at++)
    length += more
    if (more !== 255) return length
  }
}

function refuse(source: usize, sequence: usize): i32 {
  return -1 - i32(sequence - source)
}
