/**
 * Finds `NextOffset` at the front of a response while its body is still arriving.
 *
 * In: the bytes received so far, still compressed. Out: the next offset, or that more bytes are needed, or that it does
 * not stand at the front. A response that is whole within the limit is returned as text. Bounded: never looks at more
 * than `PEEK_BYTES` decompressed bytes, so the main thread decompresses no whole response of any size (I7). Pure, and
 * never throws: whatever is odd is left to the worker, which has the last word.
 */
import { snappySize } from '../cls/block-size.ts'
import type { PullProgress } from '../world.ts'
import { type Found, type Front, scanFront } from './front.ts'
import { lz4Front } from './lz4-front.ts'
import { snappyFront } from './snappy-front.ts'

/** Decompressed bytes looked at, at most. An empty response is under 200. */
export const PEEK_BYTES = 1024

/** whole: the whole response; only told once the body is complete. */
export type Peek = Found | { readonly kind: 'whole'; readonly text: string }

export function peek(progress: PullProgress, isComplete: boolean): Peek {
  const front = decompressFront(progress)
  if (front === undefined) return { kind: 'not-at-front' }
  if (isComplete && front.isWhole) return { kind: 'whole', text: front.plain.toString('utf8') }
  const found = scanFront(front.plain.toString('latin1'))
  const canGrow = !isComplete && front.plain.length < PEEK_BYTES
  return found.kind === 'more' && !canGrow ? { kind: 'not-at-front' } : found
}

/**
 * How many bytes a body decompresses to, as its preamble declares; undefined where it declares nothing, as lz4 does.
 * Not to be believed before it is bounded.
 */
export function declaredBytes({ received, compression }: PullProgress): number | undefined {
  if (compression === 'none') return received.length
  return compression === 'snappy' ? snappySize(received)?.plainBytes : undefined
}

function decompressFront({ received, compression }: PullProgress): Front | undefined {
  switch (compression) {
    case 'none':
      return { plain: Buffer.from(received.subarray(0, PEEK_BYTES)), isWhole: received.length <= PEEK_BYTES }
    case 'snappy':
      return snappyFront(received, PEEK_BYTES)
    case 'lz4':
      return lz4Front(received, PEEK_BYTES)
  }
}
