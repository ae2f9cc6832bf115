/**
 * One raw snappy block.
 *
 * In: the block, and where exactly its plain bytes go, as many as it declares. Out: those bytes. Must never happen: a
 * read outside the block or the output so far, a write outside the output.
 */
import { copyBack, copyLiteral } from './copy'

/** A literal or copy of one vector, with this much room behind it, needs no other check. */
const ROOM: usize = 64 + 16

/** @returns 0, or `-1 - n` where byte n of the block begins what is wrong. */
export function decompressSnappy(source: usize, sourceEnd: usize, output: usize, outputEnd: usize): i32 {
  let at = skipDeclaredSize(source, sourceEnd, outputEnd - output)
  if (at === 0) return -1
  let written = output
  while (at < sourceEnd) {
    const element = at
    const tag: usize = load<u8>(at++)
    const kind = tag & 3
    if (kind === 0) {
      let length = (tag >> 2) + 1
      if (length <= 16 && sourceEnd - at >= 16 && outputEnd - written >= 16) {
        v128.store(written, v128.load(at))
      } else {
        if (length > 60) {
          const width = length - 60
          if (sourceEnd - at < width) return refuse(source, element)
          const last = readLittleEndian(at, width)
          // 2^32 bytes would be 0 of them.
          if (last === u32.MAX_VALUE) return refuse(source, element)
          length = last + 1
          at += width
        }
        if (length > sourceEnd - at || length > outputEnd - written) return refuse(source, element)
        copyLiteral(at, sourceEnd, written, outputEnd, length)
      }
      at += length
      written += length
      continue
    }

    let length: usize
    let offset: usize
    if (kind === 1) {
      if (at >= sourceEnd) return refuse(source, element)
      length = ((tag >> 2) & 7) + 4
      offset = ((tag >> 5) << 8) | load<u8>(at++)
    } else {
      const width: usize = kind === 2 ? 2 : 4
      if (sourceEnd - at < width) return refuse(source, element)
      length = (tag >> 2) + 1
      offset = kind === 2 ? load<u16>(at) : load<u32>(at)
      at += width
    }
    // Zero is no offset, and wraps to the largest here.
    if (offset - 1 >= written - output || length > outputEnd - written) return refuse(source, element)
    if (offset >= 16 && outputEnd - written >= ROOM) {
      v128.store(written, v128.load(written - offset))
      if (length > 16) {
        v128.store(written + 16, v128.load(written + 16 - offset))
        if (length > 32) {
          v128.store(written + 32, v128.load(written + 32 - offset))
          v128.store(written + 48, v128.load(written + 48 - offset))
        }
      }
    } else copyBack(written, outputEnd, offset, length)
    written += length
  }
  return written === outputEnd ? 0 : refuse(source, sourceEnd)
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

function refuse(source: usize, element: usize): i32 {
  return -1 - i32(element - source)
}
