/**
 * Finds `NextOffset` at the front of a response while its body is still arriving.
 *
 * In: the bytes received so far, still compressed. Out: the next offset, or that more bytes are needed, or that it does
 * not stand at the front. A response that is whole within the limit is returned as text. Bounded: never looks at more
 * than `PEEK_BYTES` decompressed bytes, so the main thread decompresses no whole response of any size (I7). Pure, and
 * never throws: whatever is odd is left to the worker, which has the last word.
 */
import type { PullProgress } from '../world.ts'

/** Decompressed bytes looked at, at most. An empty response is under 200. */
export const PEEK_BYTES = 1024

export type Peek =
  | { readonly kind: 'offset'; readonly nextOffset: bigint }
  /** The whole response; only told once the body is complete. */
  | { readonly kind: 'whole'; readonly text: string }
  | { readonly kind: 'more' }
  | { readonly kind: 'not-at-front' }

export function peek(progress: PullProgress, isComplete: boolean): Peek {
  const front = decompressFront(progress)
  if (front === undefined) return { kind: 'not-at-front' }
  if (isComplete && front.isWhole) return { kind: 'whole', text: front.plain.toString('utf8') }
  const found = scanFront(front.plain.toString('latin1'))
  const canGrow = !isComplete && front.plain.length < PEEK_BYTES
  return found.kind === 'more' && !canGrow ? { kind: 'not-at-front' } : found
}

/**
 * How many bytes a body decompresses to, as its preamble declares; undefined where it declares nothing. Not to be
 * believed before it is bounded.
 */
export function declaredBytes({ received, compression }: PullProgress): number | undefined {
  if (compression === 'none') return received.length
  return compression === 'snappy' ? readVarint(received)?.value : undefined
}

interface Front {
  readonly plain: Buffer
  /** Nothing follows. */
  readonly isWhole: boolean
}

function decompressFront({ received, compression }: PullProgress): Front | undefined {
  if (compression === 'none') {
    const plain = Buffer.from(received.subarray(0, PEEK_BYTES))
    return { plain, isWhole: received.length <= PEEK_BYTES }
  }
  // A raw lz4 block does not say where it ends: the worker, which has the whole, finds the offset.
  return compression === 'snappy' ? snappyFront(received) : undefined
}

/**
 * The first bytes of a raw snappy block, as far as they are there. Format: google/snappy, format_description.txt. An
 * element that would read past what is received, or before the start, ends the front.
 */
function snappyFront(received: Uint8Array): Front | undefined {
  const declared = readVarint(received)
  if (declared === undefined) return { plain: Buffer.alloc(0), isWhole: false }
  const plain = Buffer.allocUnsafe(Math.min(declared.value, PEEK_BYTES))
  let at = declared.next
  let length = 0
  while (length < plain.length && at < received.length) {
    const element = readElement(received, at)
    if (element === undefined) break
    at = element.next
    // More than the preamble declares: not a block at all.
    if (length + element.length > declared.value) return undefined
    if (element.distance === 0) {
      const literal = received.subarray(at, at + Math.min(element.length, plain.length - length))
      plain.set(literal, length)
      length += literal.length
      if (literal.length < element.length) break
      at += element.length
    } else {
      if (element.distance > length) return undefined
      const end = Math.min(plain.length, length + element.length)
      for (; length < end; length++) plain[length] = plain[length - element.distance] ?? 0
    }
  }
  return { plain: plain.subarray(0, length), isWhole: length === declared.value && at === received.length }
}

interface Element {
  /** Distance of a copy, 0 for a literal. */
  readonly distance: number
  readonly length: number
  readonly next: number
}

function readElement(bytes: Uint8Array, at: number): Element | undefined {
  const tag = bytes[at] ?? 0
  const high = tag >> 2
  const bytesAfter = [high < 60 ? 0 : high - 59, 1, 2, 4][tag & 3] ?? 0
  if (at + 1 + bytesAfter > bytes.length) return undefined
  let value = 0
  for (let index = bytesAfter; index > 0; index--) value = value * 256 + (bytes[at + index] ?? 0)
  const next = at + 1 + bytesAfter
  if ((tag & 3) === 0) return { distance: 0, length: (high < 60 ? high : value) + 1, next }
  const distance = (tag & 3) === 1 ? ((high >> 3) << 8) | value : value
  // Distance 0 is not a copy, and would be taken for a literal.
  if (distance === 0) return undefined
  return { distance, length: (tag & 3) === 1 ? (high & 7) + 4 : high + 1, next }
}

function readVarint(bytes: Uint8Array): { readonly value: number; readonly next: number } | undefined {
  let value = 0
  for (let index = 0; index < 5; index++) {
    const byte = bytes[index]
    if (byte === undefined) return undefined
    value += (byte & 127) * 2 ** (7 * index)
    if (byte < 128) return { value, next: index + 1 }
  }
  return undefined
}

const SPACE = /[ \t\r\n]*/y
const OPENING = /[ \t\r\n]*\{[ \t\r\n]*"Response"[ \t\r\n]*:[ \t\r\n]*\{/y
const KEY = /[ \t\r\n]*"([A-Za-z]+)"[ \t\r\n]*:[ \t\r\n]*/y
/** A scalar and the comma after it; what has no comma may go on in the next chunk. */
const SCALAR = /("(?:[^"\\]|\\.)*"|[^\s,"[\]{}]+)[ \t\r\n]*,/y
const INTEGER = /^-?\d{1,19}$/

/** Reads keys of `Response` from the front until `NextOffset`, over scalars only: an array or object ends the search. */
function scanFront(text: string): Peek {
  const opening = matchAt(OPENING, text, 0)
  if (opening === undefined) return text.length < 64 ? { kind: 'more' } : { kind: 'not-at-front' }
  let at = opening.end
  for (;;) {
    const key = matchAt(KEY, text, at)
    if (key === undefined) return isCut(text, at) ? { kind: 'more' } : { kind: 'not-at-front' }
    const scalar = matchAt(SCALAR, text, key.end)
    if (scalar === undefined) return isScalarCut(text, key.end) ? { kind: 'more' } : { kind: 'not-at-front' }
    if (key.group === 'NextOffset') {
      const nextOffset = INTEGER.test(scalar.group) ? BigInt(scalar.group) : undefined
      // No int64: a pull from there would be refused before the worker says what is wrong.
      const isOffset = nextOffset !== undefined && BigInt.asIntN(64, nextOffset) === nextOffset
      return isOffset ? { kind: 'offset', nextOffset } : { kind: 'not-at-front' }
    }
    at = scalar.end
  }
}

function matchAt(
  pattern: RegExp,
  text: string,
  at: number
): { readonly group: string; readonly end: number } | undefined {
  pattern.lastIndex = at
  const match = pattern.exec(text)
  return match === null ? undefined : { group: match[1] ?? '', end: pattern.lastIndex }
}

/** Nothing but the beginning of a key follows. */
function isCut(text: string, at: number): boolean {
  const start = matchAt(SPACE, text, at)?.end ?? at
  return start === text.length || /^"[A-Za-z]*"?[ \t\r\n]*:?[ \t\r\n]*$/.test(text.slice(start))
}

function isScalarCut(text: string, at: number): boolean {
  return /^("([^"\\]|\\.)*\\?"?|[^\s,"[\]{}]*)[ \t\r\n]*$/.test(text.slice(at))
}
