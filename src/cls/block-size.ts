/**
 * How many plain bytes a raw snappy or lz4 block holds, told without decompressing it. Byte-level; imports nothing, so
 * that neither the main thread nor the workers load a library for it.
 *
 * In: untrusted bytes. Out: a size, not to be believed before it is bounded. Must never happen: memory taken for it here.
 */

/** What a snappy block declares in front. */
export interface SnappySize {
  readonly plainBytes: number
  /** Where the elements begin. */
  readonly next: number
}

/** A varint of at most 32 bits; `undefined` where there is none, or not yet the whole of it. */
export function snappySize(block: Uint8Array): SnappySize | undefined {
  let plainBytes = 0
  for (let at = 0; at < 5; at++) {
    const byte = block[at]
    if (byte === undefined) return undefined
    plainBytes += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return plainBytes < 2 ** 32 ? { plainBytes, next: at + 1 } : undefined
  }
  return undefined
}

/** Three bytes of a snappy copy element give 64 bytes at most; nothing expands more. */
const SNAPPY_RATIO_MAX = 64 / 3

/** Whether a snappy block of so many bytes can hold what it declares. */
export function canSnappyHold(blockBytes: number, plainBytes: number): boolean {
  return plainBytes <= blockBytes * SNAPPY_RATIO_MAX
}

/** The plain size of a raw lz4 block, which declares none, from its sequences; `undefined` where they do not fit together. */
export function lz4PlainBytes(block: Uint8Array): number | undefined {
  let plainBytes = 0
  let at = 0
  for (;;) {
    const token = block[at++]
    if (token === undefined) return undefined
    let literalBytes = token >> 4
    if (literalBytes === 15) {
      let more: number | undefined
      do {
        more = block[at++]
        if (more === undefined) return undefined
        literalBytes += more
      } while (more === 255)
    }
    at += literalBytes
    plainBytes += literalBytes
    // The last sequence ends with its literals.
    if (at === block.length) return plainBytes
    if (at > block.length - 2) return undefined
    at += 2
    let matchBytes = (token & 15) + 4
    if (matchBytes === 19) {
      let more: number | undefined
      do {
        more = block[at++]
        if (more === undefined) return undefined
        matchBytes += more
      } while (more === 255)
    }
    plainBytes += matchBytes
  }
}
