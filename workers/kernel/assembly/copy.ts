/**
 * Copies for the block decoders, 16 bytes at a time. They may write behind the copy's end, where later elements write
 * again, but never behind `outputEnd`.
 */

/** Copies of whole vectors repeat what they have just written, from this offset on. */
export const VECTOR: usize = 16

/** Row n has the bytes 0 … 15 modulo n: a swizzle by it repeats the first n bytes of a vector. Row 0 is not used. */
// biome-ignore format: a table
const REPEATS: usize = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
  0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0,
  0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0,
  0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0
])

/** `length` bytes of the source. Both have room for `length`; checked by the caller. */
@inline
export function copyLiteral(source: usize, sourceEnd: usize, output: usize, outputEnd: usize, length: usize): void {
  const padded = length + 15
  // Long ones are rare, and the engine's own copy is faster there.
  if (length > 256 || sourceEnd - source < padded || outputEnd - output < padded) memory.copy(output, source, length)
  else {
    for (let at: usize = 0; at < length; at += 16) v128.store(output + at, v128.load(source + at))
  }
}

/** `length` bytes from `offset` bytes back, which may be bytes that this very copy writes. */
@inline
export function copyBack(output: usize, outputEnd: usize, offset: usize, length: usize): void {
  const end = output + length
  const source = output - offset
  if (outputEnd - output < length + 15) {
    for (let at = output; at < end; at++) store<u8>(at, load<u8>(at - offset))
  } else if (offset >= VECTOR) {
    for (let at = output; at < end; at += 16) v128.store(at, v128.load(at - offset))
  } else {
    const repeated = i8x16.swizzle(v128.load(source), v128.load(REPEATS + offset * 16))
    // As many bytes as are whole repetitions, so that each store begins with the first of them.
    const step: usize = 16 - (usize(16) % offset)
    for (let at = output; at < end; at += step) v128.store(at, repeated)
  }
}
