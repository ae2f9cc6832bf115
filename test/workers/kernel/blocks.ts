/**
 * What the block decoders are tested with: texts to compress, and blocks made of elements at random, which are valid as a
 * rule, and wrong in one place where they are not.
 */
import fc from 'fast-check'

/** Texts that repeat themselves at all distances, so that both compressors copy. */
export const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 90, size: 'max' }), fc.integer({ min: 1, max: 40 })), {
    maxLength: 12
  })
  .map(parts => Buffer.concat(parts.flatMap(([part, count]) => new Array<Uint8Array>(count).fill(part))))

const literalBytes = fc.oneof(fc.nat(14), fc.nat(80), fc.constantFrom(15, 16, 59, 60, 61, 255, 256, 257, 270, 300))
/** Nearly always into what is there. */
const offset = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 20 }), weight: 30 },
  { arbitrary: fc.nat(400), weight: 2 },
  { arbitrary: fc.constantFrom(0, 65_535), weight: 1 }
)

/** An lz4 sequence: literals, and a match unless the block ends there. */
const lz4Sequence = fc
  .tuple(literalBytes, fc.oneof(fc.nat(20), fc.nat(300), fc.constantFrom(285, 540, 800)), offset, fc.nat(255))
  .map(([literal, match, distance, byte]) => {
    const more = (length: number) =>
      length < 15 ? [] : [...new Array<number>(Math.floor((length - 15) / 255)).fill(255), (length - 15) % 255]
    const head = [(Math.min(15, literal) << 4) | Math.min(15, match), ...more(literal)]
    const literals = Array.from({ length: literal }, (_, index) => (byte + index * 7) & 255)
    return { front: [...head, ...literals], behind: [distance & 255, distance >> 8, ...more(match)] }
  })

/** Blocks that end with literals of any count, none and fewer than five among them, or otherwise. */
export const lz4Sequences = fc
  .tuple(fc.integer({ min: 10, max: 60 }), fc.array(lz4Sequence, { minLength: 1, maxLength: 5 }), fc.nat(9), fc.nat(19))
  .map(([firstBytes, sequences, ending, cut]) => {
    const first = [0xf0, firstBytes, ...new Array<number>(15 + firstBytes).fill(0x41), 1 + (firstBytes % 20), 0]
    const bytes = sequences.reduce<number[]>((all, { front, behind }, index) => {
      all.push(...front)
      if (index < sequences.length - 1 || ending === 0) all.push(...behind)
      return all
    }, first)
    return Buffer.from(cut === 0 ? bytes.slice(0, -1) : bytes)
  })

/** A snappy element, with the bytes that it makes: a literal of any width of length, or a copy of any kind. */
const snappyElement = fc
  .tuple(fc.nat(3), literalBytes, fc.integer({ min: 1, max: 64 }), offset, fc.nat(255))
  .map(([kind, literal, copy, distance, byte]) => {
    const high = (copy - 1) << 2
    switch (kind) {
      case 1: {
        const length = 4 + (copy & 7)
        const near = distance & 2047
        return { bytes: [1 | ((length - 4) << 2) | ((near >> 8) << 5), near & 255], length }
      }
      case 2:
        return { bytes: [2 | high, distance & 255, distance >> 8], length: copy }
      case 3:
        return { bytes: [3 | high, distance & 255, distance >> 8, 0, 0], length: copy }
    }
    const length = literal + 1
    const literals = Array.from({ length }, (_, index) => (byte + index * 7) & 255)
    if (literal < 60 && byte % 4 > 0) return { bytes: [literal << 2, ...literals], length }
    const width = literal < 256 && byte % 2 > 0 ? 1 : 2 + (byte % 3)
    const digits = Array.from({ length: width }, (_, index) => (literal / 256 ** index) & 255)
    return { bytes: [(59 + width) << 2, ...digits, ...literals], length }
  })

const ODD_SIZES = [1, -1, -2, -15, -16, -40]

/** Blocks that begin with a literal, and declare what they make, or one byte more, or some less. */
export const snappyElements = fc
  .tuple(
    fc.uint8Array({ minLength: 10, maxLength: 60, size: 'max' }),
    fc.array(snappyElement, { maxLength: 8 }),
    fc.nat(30)
  )
  .map(([first, elements, odd]) => {
    const made = elements.reduce((sum, { length }) => sum + length, first.length)
    const size = Math.max(0, made + (ODD_SIZES[odd] ?? 0))
    const preamble = size < 128 ? [size] : [(size & 127) | 128, size >> 7]
    return Buffer.from([...preamble, (first.length - 1) << 2, ...first, ...elements.flatMap(({ bytes }) => bytes)])
  })
