/**
 * One raw lz4 block: no frame, no size in front.
 *
 * A block is read where its meaning is sure: its last sequence is literals alone, up to its last byte, and the length
 * of a match in that sequence's head says nothing. The other rules for a block's end (its last five bytes are literals,
 * its last match begins twelve bytes before) bind who writes one, for readers that copy without looking; this one
 * looks, and so reads blocks without them, as lz4-napi does. An offset of 0, one before the block, and no bytes at all
 * are refused.
 *
 * lz4-napi's decoder takes nearly twice as long, wants a prefixed copy of the block and gives a fresh buffer; this one
 * writes where the next stage reads (bench: `kernel-stages`). Its two loops are as those of `snappy.ts`.
 *
 * In: the block, and where exactly its plain bytes go. Out: those bytes. Must never happen: a read outside the block or
 * the output so far, a write outside the output.
 */
import { copyBack, copyLiteral, VECTOR } from './copy'

const LENGTH_MORE: usize = 15
const MATCH_MIN: usize = 4
/** A byte of a length that says that another follows. */
const MORE: usize = 255

/** What the fast loop reads at a sequence: head, a vector of literals or fewer and an offset, a byte of a length. */
const REACH: usize = 1 + VECTOR + 2
/** What it writes for a match at first, and as often as need be for a longer one; then all that it writes. */
const STEP: usize = 64
const MATCH_MAX: usize = MATCH_MIN + LENGTH_MORE + MORE - 1
const STRIDE: usize = VECTOR + MATCH_MAX + STEP

/** Where the reader stands, and where the next plain bytes go. */
let at: usize = 0
let written: usize = 0

/** @returns 0, or `-1 - n` where the sequence at byte n of the block is wrong. */
export function decompressLz4(source: usize, sourceEnd: usize, output: usize, outputEnd: usize): i32 {
  at = source
  written = output
  while (true) {
    takeMany(sourceEnd, output, outputEnd)
    const sequence = at
    const wrong = -1 - i32(sequence - source)
    if (at >= sourceEnd) return wrong
    const head: usize = load<u8>(at++)
    if (!takeLiterals(head >> 4, sourceEnd, outputEnd)) return wrong
    // The last sequence ends with its literals.
    if (at === sourceEnd) return written === outputEnd ? 0 : wrong
    if (!takeMatch(head & 15, sourceEnd, output, outputEnd)) return wrong
  }
}

/** Sequences with a vector of literals at most, and a match of which the length takes one byte more at most. */
function takeMany(sourceEnd: usize, output: usize, outputEnd: usize): void {
  if (sourceEnd - at < REACH || outputEnd - written < STRIDE) return
  const lastSequence = sourceEnd - REACH
  const lastWrite = outputEnd - STRIDE
  let sequence = at
  let place = written
  while (sequence <= lastSequence && place <= lastWrite) {
    const head: usize = load<u8>(sequence)
    const literal = head >> 4
    const short = head & 15
    const match = sequence + 1 + literal
    const offset: usize = load<u16>(match)
    const hasMore = usize(short === LENGTH_MORE)
    const more = <usize>load<u8>(match, 2) & (0 - hasMore)
    const matchPlace = place + literal
    if (literal === LENGTH_MORE || more === MORE || offset < VECTOR || offset > matchPlace - output) break
    v128.store(place, v128.load(sequence + 1))
    const from = matchPlace - offset
    const length = MATCH_MIN + short + more
    for (let done: usize = 0; done < length; done += STEP) {
      v128.store(matchPlace + done, v128.load(from + done))
      v128.store(matchPlace + done, v128.load(from + done, 16), 16)
      v128.store(matchPlace + done, v128.load(from + done, 32), 32)
      v128.store(matchPlace + done, v128.load(from + done, 48), 48)
    }
    place = matchPlace + length
    sequence = match + 2 + hasMore
  }
  at = sequence
  written = place
}

/** @returns Whether they are there, and have room. */
function takeLiterals(short: usize, sourceEnd: usize, outputEnd: usize): bool {
  const length = readLength(short, sourceEnd)
  if (length < 0 || length > i64(sourceEnd - at) || length > i64(outputEnd - written)) return false
  copyLiteral(at, sourceEnd, written, outputEnd, usize(length))
  at += usize(length)
  written += usize(length)
  return true
}

/** @returns Whether it is whole, comes from the output, and has room. */
function takeMatch(short: usize, sourceEnd: usize, output: usize, outputEnd: usize): bool {
  if (sourceEnd - at < 2) return false
  const offset: usize = load<u16>(at)
  at += 2
  const more = readLength(short, sourceEnd)
  const length = more + i64(MATCH_MIN)
  if (more < 0 || length > i64(outputEnd - written)) return false
  // Zero is no offset, and wraps to the largest here.
  if (offset - 1 >= written - output) return false
  copyBack(written, outputEnd, offset, usize(length))
  written += usize(length)
  return true
}

/** @returns A length of which the head has `short`; -1 where it does not end. */
function readLength(short: usize, sourceEnd: usize): i64 {
  let length: i64 = short
  if (short < LENGTH_MORE) return length
  while (true) {
    if (at >= sourceEnd) return -1
    const more: usize = load<u8>(at++)
    length += more
    if (more !== MORE) return length
  }
}
