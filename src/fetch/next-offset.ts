/**
 * What a response's `NextOffset` means for where a chain goes on, by the protocol of `pull_log`.
 *
 * In: the offset pulled from, the bound of the pull, the next offset. Out: a decision, as data. Pure. Must never
 * happen: an offset that goes back, or the -1 of an unbounded pull, taken for a position.
 */
import { type Batch, cutAtEnd, type Outline } from '../batch.ts'

/** The end of a bounded run. */
export interface PullBound {
  readonly endOffset: bigint
  /** Unix seconds, exclusive. */
  readonly endTime: number
}

/** Whether it leads on: it is greater than 0, and than where it was pulled. */
export function advances(startOffset: bigint, nextOffset: bigint | undefined): nextOffset is bigint {
  return nextOffset !== undefined && nextOffset > 0n && nextOffset > startOffset
}

/** What to do after a response without messages. */
export type Step =
  /** The range holds no log. */
  | { readonly kind: 'advance'; readonly to: bigint }
  /** Nothing more before the end of the bounded run. */
  | { readonly kind: 'end'; readonly to: bigint }
  /** Nothing new: ask again later from the same offset. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'went-back'; readonly to: bigint }

/** `bound`: what the pull was sent with. -1 is the end of a bounded pull alone, and "nothing now" to any other. */
export function stepAfterEmpty(
  startOffset: bigint,
  bound: PullBound | undefined,
  nextOffset: bigint | undefined
): Step {
  if (advances(startOffset, nextOffset)) return { kind: 'advance', to: nextOffset }
  if (nextOffset === -1n && bound !== undefined) return { kind: 'end', to: bound.endOffset }
  if (nextOffset === undefined || nextOffset === 0n || nextOffset === -1n || nextOffset === startOffset)
    return { kind: 'wait' }
  return { kind: 'went-back', to: nextOffset }
}

/**
 * Where a batch ends, of a bounded run or not; `undefined` where its response leads nowhere. One that goes past the end of
 * its run counts as far as `cutAtEnd` can tell.
 */
export function batchEnd(batch: Pick<Batch, 'startOffset' | 'endOffset'>, outline: Outline): bigint | undefined {
  const { startOffset, endOffset } = batch
  const { nextOffset, messageCount } = cutAtEnd(batch, outline)
  if (advances(startOffset, nextOffset)) return nextOffset
  if (nextOffset === -1n && endOffset !== undefined) return endOffset
  return messageCount === 0 ? startOffset : undefined
}
