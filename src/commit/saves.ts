/**
 * What may be committed of one epoch in commit mode `manual`: the lower of the last save and the settled prefix (I1).
 *
 * In: batches as they settle, ranges that were passed with nothing processed, saves made in `revoke`. Out: the offset
 * to commit, and whether a successor would process again what this processor has seen. Pure. Must never happen: the
 * offset passes a processed batch that no save covers, or what is not settled, or goes back.
 *
 * | what happens | the save | then |
 * |---|---|---|
 * | a processed batch settles, and it saved | moves to the batch's end, and covers every batch before it | follows |
 * | a processed batch settles without a save | stays: the batch is unsaved | waits |
 * | a gap is passed, or a batch that is in no processor's state: skipped, dead-lettered, without logs | – | follows |
 * | `revoke` saves | moves to the frontier | waits behind an open batch |
 * | what the processor kept is lost | stays, whatever comes | waits for the next epoch, which begins there |
 *
 * follows: with no batch unsaved, the save moves along with the frontier, since behind it there is nothing to repeat.
 *
 * Walks of the race:
 * - batch 10–20 is open; the gap 20–50 is passed → the frontier holds at 10; the batch settles and saved → the save is
 *   at 20, and follows to 50. Had it not saved, all would stay at 10.
 * - batch 10–20 settles unsaved; 20–30 is dead-lettered → the offset stays at 10: a successor at 30 would lack 10–20.
 * - batch 20–30 saves and settles while 10–20 still waits for `onResult` → 10–20 was processed before (I2), so the save
 *   covers it; the offset is the frontier, 10, until it settles.
 * Offsets are compared, which is safe within one epoch: its batches end where the next ones begin, or before.
 */
export class Saves {
  #frontier: bigint
  /** Where the last save stands; may be ahead of the frontier. */
  #saved: bigint
  /** Where the last batch that settled without a save ends. */
  #unsavedEnd: bigint
  #phase: 'kept' | 'lost' = 'kept'

  /** `savedOffset`: of an epoch that goes on with what the processor keeps, whose last save lies before its start. */
  constructor(startOffset: bigint, savedOffset = startOffset) {
    this.#frontier = startOffset
    this.#saved = savedOffset
    this.#unsavedEnd = startOffset
  }

  /** What may be committed now. */
  get offset(): bigint {
    return min(this.#saved, this.#frontier)
  }

  /** A batch was processed since the last save: a processor's state would be lost with its thread. */
  get hasUnsaved(): boolean {
    return this.#unsavedEnd > this.#saved
  }

  /** What is unsaved is in no processor's state any more: a save by its successor says nothing of it. */
  lose(): void {
    this.#phase = 'lost'
  }

  /** A processed batch has settled. `frontier` is where the settled prefix ends now; `isSaved`: it saved in `process`. */
  settled(frontier: bigint, isSaved: boolean, batchEnd: bigint): void {
    if (isSaved) this.#saveUpTo(batchEnd)
    else this.#unsavedEnd = max(this.#unsavedEnd, batchEnd)
    this.#moveTo(frontier)
  }

  /** A range was passed of which nothing is in a processor's state. */
  advanced(frontier: bigint): void {
    this.#moveTo(frontier)
  }

  /** `revoke` saved: everything settled without a hole so far. */
  save(): void {
    this.#saveUpTo(this.#frontier)
  }

  #moveTo(frontier: bigint): void {
    this.#frontier = frontier
    if (!this.hasUnsaved) this.#saveUpTo(frontier)
  }

  #saveUpTo(offset: bigint): void {
    if (this.#phase === 'kept') this.#saved = max(this.#saved, offset)
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
