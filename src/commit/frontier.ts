/**
 * The frontier of one epoch: how far its batches are settled without a hole (I1).
 *
 * In: batches, as they are dispatched and as they settle. Out: the next offset to commit. Pure. Progress is ordered by
 * dispatch, never by arithmetic on offsets: logs have gaps.
 */
import { assert } from '../errors.ts'

/** The place of one batch, or of one gap, in the order of dispatch. */
export interface Slot {
  readonly holds: 'batch' | 'gap'
  /** Where the settled batch ends; undefined while it is open. Set by `settle` alone. */
  nextOffset: bigint | undefined
}

export class Frontier {
  #next: bigint
  readonly #slots: Slot[] = []

  constructor(startOffset: bigint) {
    this.#next = startOffset
  }

  /** The `NextOffset` of the longest settled prefix, or the epoch's start. */
  get nextOffset(): bigint {
    return this.#next
  }

  /** Batches dispatched and not yet behind the frontier. */
  get openCount(): number {
    return this.#slots.length
  }

  open(): Slot {
    return this.#append('batch')
  }

  /** A range without logs, up to `nextOffset`: settled as it comes. Returns the next offset to commit. */
  skip(nextOffset: bigint): bigint {
    return this.settle(this.#append('gap'), nextOffset)
  }

  /** Returns the next offset to commit. */
  settle(slot: Slot, nextOffset: bigint): bigint {
    assert(this.#slots.includes(slot) && slot.nextOffset === undefined, 'I1: a batch settles once, in its own epoch')
    slot.nextOffset = nextOffset
    for (let head = this.#slots[0]; head?.nextOffset !== undefined; head = this.#slots[0]) {
      this.#slots.shift()
      this.#next = head.nextOffset
    }
    return this.#next
  }

  /** Batches dispatched after this one were based on an offset that turned out wrong: forgets them. */
  truncateAfter(slot: Slot): void {
    const index = this.#slots.indexOf(slot)
    assert(index >= 0, 'I1: only an open batch is followed by others')
    const dropped = this.#slots.splice(index + 1)
    // A gap is settled while the batch before it is open; to look at it again costs nothing and loses nothing.
    assert(
      dropped.every(({ holds, nextOffset }) => holds === 'gap' || nextOffset === undefined),
      'I1: a settled batch is not dropped'
    )
  }

  /** This batch and those after it were dropped: they will be dispatched anew. */
  truncateFrom(slot: Slot): void {
    this.truncateAfter(slot)
    this.#slots.pop()
  }

  #append(holds: Slot['holds']): Slot {
    const slot: Slot = { holds, nextOffset: undefined }
    this.#slots.push(slot)
    return slot
  }
}
