/**
 * Comparing a text of the index with a string, without making a string of it.
 *
 * In: where the text stands, and the string. Out: exactly what a comparison of strings would say. A text is UTF-8, and
 * its end has a flag where it is not all ASCII. Must never happen: an answer that differs because bytes are not valid.
 */
import { END_MASK } from './kernel/memory.ts'

/** Of texts to compare with, encoded: programs have few. */
const ENCODED_COUNT_MAX = 64
const ENCODED_CHARACTERS_MAX = 1024
const encodedTexts = new Map<string, Buffer>()

/** Bytes of U+FFFD: what invalid bytes are read as, and what half a surrogate pair is written as. */
const REPLACEMENT = Buffer.from('\ufffd')

/** Whether the text from `start` to `end`, which may be flagged, is exactly `text`. */
export function equalsText(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end >= 0) return end - start === text.length && beginsWithAscii(bytes, start, text)
  const plainEnd = end & END_MASK
  const encoded = encode(text)
  // Many texts that differ in their bytes are read as one with a U+FFFD.
  if (encoded.includes(REPLACEMENT)) return bytes.toString('utf8', start, plainEnd) === text
  return plainEnd - start === encoded.length && beginsWith(bytes, start, encoded)
}

/** Whether the text from `start` to `end`, which may be flagged, begins with `text`. */
export function startsWithText(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end >= 0) return end - start >= text.length && beginsWithAscii(bytes, start, text)
  const plainEnd = end & END_MASK
  const encoded = encode(text)
  if (encoded.includes(REPLACEMENT)) return bytes.toString('utf8', start, plainEnd).startsWith(text)
  return plainEnd - start >= encoded.length && beginsWith(bytes, start, encoded)
}

/** Character by character: one that is not ASCII equals no byte of a text that is. */
function beginsWithAscii(bytes: Buffer, start: number, text: string): boolean {
  for (let at = 0; at < text.length; at++) if (bytes[start + at] !== text.charCodeAt(at)) return false
  return true
}

function beginsWith(bytes: Buffer, start: number, prefix: Buffer): boolean {
  for (let at = 0; at < prefix.length; at++) if (bytes[start + at] !== prefix[at]) return false
  return true
}

function encode(text: string): Buffer {
  const known = encodedTexts.get(text)
  if (known !== undefined) return known
  const encoded = Buffer.from(text)
  if (text.length > ENCODED_CHARACTERS_MAX) return encoded
  if (encodedTexts.size === ENCODED_COUNT_MAX) encodedTexts.clear()
  encodedTexts.set(text, encoded)
  return encoded
}
