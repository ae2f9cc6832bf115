/**
 * What to make of a complete body, as far as its front tells.
 *
 * In: the body, and what was peeked while it arrived. Out: a refusal, or a response without logs, or a batch for a
 * thread. Pure. Must never happen: a response taken for empty whose front said otherwise: pulls are based on that, and
 * only the worker's word undoes them.
 */
import type { ClsConsumerError, ErrorPlace } from '../errors.ts'
import type { PulledBody, PullProgress } from '../world.ts'
import { declaredBytes, peek } from './peek.ts'
import { readSmallResponse } from './small-response.ts'

export type Reading =
  | { readonly kind: 'refused'; readonly error: ClsConsumerError }
  | { readonly kind: 'empty'; readonly nextOffset: bigint | undefined }
  /** `nextOffset` is provisional. nowhere: not at the front, so that a scout may find it before the worker does. */
  | { readonly kind: 'batch'; readonly nextOffset: bigint | 'nowhere' | undefined }

/**
 * A batch while open, in sizes of its decompressed response. Measured: text and index take 1.5 of them with access logs, 2.3
 * with 60 short fields, and the strings read from them up to 0.75 more. Only logs with next to nothing in them take
 * more, up to 7; what they take over this is what a response exceeds its reservation by.
 */
const DECODED_FACTOR = 3

/** Compressed bytes become at most this many times more where the body declares no size. */
const UNDECLARED_FACTOR = 8

export function readBody(body: PulledBody, peekedOffset: bigint | undefined, place: ErrorPlace): Reading {
  const found = peek(progressOf(body), true)
  switch (found.kind) {
    case 'offset':
      return { kind: 'batch', nextOffset: found.nextOffset }
    case 'more':
    case 'not-at-front':
      return { kind: 'batch', nextOffset: 'nowhere' }
    case 'whole': {
      const small = readSmallResponse(found.text, place)
      if (small.kind === 'error') return { kind: 'refused', error: small.error }
      // A front that says other than the whole led the pulls behind astray: the worker has the last word on that.
      const isAgreed = peekedOffset === undefined || peekedOffset === small.nextOffset
      const kind = small.kind === 'empty' && isAgreed ? 'empty' : 'batch'
      return { kind, nextOffset: small.nextOffset }
    }
  }
}

/** What a batch needs while it is open. What a body declares is bounded before it is believed. */
export function decodedBytesOf(body: PulledBody, responseBytesMax: number): number {
  const declared = declaredBytes(progressOf(body)) ?? body.byteCount * UNDECLARED_FACTOR
  // The worker refuses what is larger.
  return Math.min(declared, responseBytesMax) * DECODED_FACTOR
}

function progressOf({ bytes, byteCount, compression }: PulledBody): PullProgress {
  return { received: new Uint8Array(bytes, 0, byteCount), compression }
}
