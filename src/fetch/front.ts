/**
 * What stands at the front of a response, in its plain text.
 *
 * In: the first characters of `{"Response":{…`, cut anywhere. Out: its `NextOffset`, or that more is needed, or that it
 * does not stand at the front. Pure, and never throws.
 */

/** The first plain bytes of a body. */
export interface Front {
  readonly plain: Buffer
  /** Nothing follows. */
  readonly isWhole: boolean
}

export type Found =
  | { readonly kind: 'offset'; readonly nextOffset: bigint }
  | { readonly kind: 'more' }
  | { readonly kind: 'not-at-front' }

const SPACE = /[ \t\r\n]*/y
const OPENING = /[ \t\r\n]*\{[ \t\r\n]*"Response"[ \t\r\n]*:[ \t\r\n]*\{/y
const KEY = /[ \t\r\n]*"([A-Za-z]+)"[ \t\r\n]*:[ \t\r\n]*/y
/** A scalar and the comma after it; what has no comma may go on in the next chunk. */
const SCALAR = /("(?:[^"\\]|\\.)*"|[^\s,"[\]{}]+)[ \t\r\n]*,/y
const INTEGER = /^-?\d{1,19}$/

/** Reads keys of `Response` from the front until `NextOffset`, over scalars only: an array or object ends the search. */
export function scanFront(text: string): Found {
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
