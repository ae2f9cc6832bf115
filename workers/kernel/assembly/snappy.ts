/**
 * One raw snappy block.
 *
 * In: the block, and where exactly its plain bytes go, as many as it declares. Out: those bytes. Must never happen: a
 * read outside the block or the output so far, a write outside the output.
 *
 * Two loops. The fast one has no branch for what kind an element is of, nor for how long it is: the processor guesses
 * those wrong so often that it costs more than the bytes. It writes 64 bytes for any element, and the next one writes
 * over what was too much. What it cannot take so, and the last elements, are taken one by one (bench: `kernel-stages`).
 */
import { copyBack, copyLiteral, VECTOR } from './copy'

/** What the fast loop writes for an element: as many bytes as the longest copy has. */
const STRIDE: usize = 64
/** What it reads at an element: its tag, and so many bytes behind that. */
const REACH: usize = 1 + STRIDE

/**
 * What each tag means to the fast loop, three words of 16 bits and an empty one: how many plain bytes; the high part of
 * a copy's offset; the bits of its low part in the two bytes behind the tag. A literal has the offset that is always
 * right. Elements for the other loop, long literals and copies with an offset of four bytes, have 0, which never is.
 */
const MEANINGS: usize = memory.data(256 * 8, 8)

for (let tag: u32 = 0; tag < 256; tag++) {
  const kind = tag & 3
  const high = tag >> 2
  if (kind === 0 && high < 60) setMeaning(tag, high + 1, u32(VECTOR), 0)
  else if (kind === 1) setMeaning(tag, (high & 7) + 4, (high >> 3) << 8, 0xff)
  else if (kind === 2) setMeaning(tag, high + 1, 0, 0xffff)
}

function setMeaning(tag: u32, length: u32, offsetHigh: u32, offsetMask: u32): void {
  const meaning = MEANINGS + usize(tag) * 8
  store<u16>(meaning, u16(length))
  store<u16>(meaning, u16(offsetHigh), 2)
  store<u16>(meaning, u16(offsetMask), 4)
}

/** Where the next element is, and where its plain bytes go. */
let at: usize = 0
let written: usize = 0

/** @returns 0, or `-1 - n` where byte n of the block begins what is wrong. */
export function decompressSnappy(source: usize, sourceEnd: usize, output: usize, outputEnd: usize): i32 {
  at = skipDeclaredSize(source, sourceEnd, outputEnd - output)
  if (at === 0) return -1
  written = output
  while (true) {
    takeMany(sourceEnd, output, outputEnd)
    if (at >= sourceEnd) break
    if (!takeOne(sourceEnd, output, outputEnd)) return -1 - i32(at - source)
  }
  return written === outputEnd ? 0 : -1 - i32(at - source)
}

/** Literals whose tag tells their length, and copies that vectors can make. */
function takeMany(sourceEnd: usize, output: usize, outputEnd: usize): void {
  if (written - output < VECTOR || sourceEnd - at < REACH || outputEnd - written < STRIDE) return
  const lastElement = sourceEnd - REACH
  const lastWrite = outputEnd - STRIDE
  const firstCopy = output + VECTOR
  let element = at
  let place = written
  while (element <= lastElement && place <= lastWrite) {
    const tag: usize = load<u8>(element)
    const isLiteral = (tag & 3) === 0
    const meaning = MEANINGS + tag * 8
    const offset = <usize>load<u16>(meaning, 2) + (<usize>load<u16>(element, 1) & <usize>load<u16>(meaning, 4))
    // Wraps where the offset is too small.
    if (offset - VECTOR > place - firstCopy) break
    const from = select<usize>(element + 1, place - offset, isLiteral)
    v128.store(place, v128.load(from))
    v128.store(place, v128.load(from, 16), 16)
    v128.store(place, v128.load(from, 32), 32)
    v128.store(place, v128.load(from, 48), 48)
    place += load<u16>(meaning)
    // By the tag itself: it is what the next one waits for.
    element += select<usize>((tag >> 2) + 2, (tag & 3) + 1, isLiteral)
  }
  at = element
  written = place
}

/** Any element. @returns Whether it is one; if not, nothing has moved. */
function takeOne(sourceEnd: usize, output: usize, outputEnd: usize): bool {
  const tag: usize = load<u8>(at)
  const kind = tag & 3
  let next = at + 1
  let length = (tag >> 2) + 1
  if (kind === 0) {
    if (length > 60) {
      const width = length - 60
      if (sourceEnd - next < width) return false
      const last = readLittleEndian(next, width)
      // 2^32 bytes would be 0 of them.
      if (last === u32.MAX_VALUE) return false
      length = last + 1
      next += width
    }
    if (length > sourceEnd - next || length > outputEnd - written) return false
    copyLiteral(next, sourceEnd, written, outputEnd, length)
    at = next + length
  } else {
    const width: usize = kind === 3 ? 4 : kind
    if (sourceEnd - next < width) return false
    let offset = readLittleEndian(next, width)
    if (kind === 1) {
      length = ((tag >> 2) & 7) + 4
      offset |= (tag >> 5) << 8
    }
    // Zero is no offset, and wraps to the largest here.
    if (offset - 1 >= written - output || length > outputEnd - written) return false
    copyBack(written, outputEnd, offset, length)
    at = next + width
  }
  written += length
  return true
}

/** @returns Where the elements begin; 0 where the block does not declare `plainBytes`. */
function skipDeclaredSize(source: usize, sourceEnd: usize, plainBytes: usize): usize {
  let size: u64 = 0
  for (let index: usize = 0; index < 5; index++) {
    if (source + index >= sourceEnd) return 0
    const byte = load<u8>(source + index)
    size |= u64(byte & 0x7f) << (7 * index)
    if (byte < 0x80) return size === u64(plainBytes) ? source + index + 1 : 0
  }
  return 0
}

/** 1 to 4 bytes. */
function readLittleEndian(at: usize, width: usize): usize {
  let value: usize = 0
  for (let index: usize = 0; index < width; index++) value |= usize(load<u8>(at + index)) << (8 * index)
  return value
}
