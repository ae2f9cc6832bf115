/**
 * The batches that a chain has handed on, and what the pulls behind each are based on.
 *
 * In: batches, guesses of their next offsets (a peek at the front, a scout's word), the worker's word. Out: whether a
 * guess is still wanted, and whether it was right. Pure. Must never happen: a wrong guess that nobody notices; a guess
 * taken up for a batch that the worker has told already, or that is not the last of its chain.
 */
import type { Batch } from '../batch.ts'

/**
 * What the worker's word is to a chain. known: told before. right: what the pulls behind are based on. first: nobody
 * had guessed, nothing is pulled behind. wrong: what is pulled behind is based on another offset.
 */
export type Verdict = 'known' | 'right' | 'first' | 'wrong'

interface Entry {
  readonly startOffset: bigint
  readonly askedSize: number
  basis: bigint | undefined
}

export class HandedOn {
  readonly #entries = new Map<number, Entry>()
  /** The batch behind which nobody knows where to go on. Always the last one. */
  #awaited: Batch | undefined
  #confirmedBatchId = -1

  get awaited(): Batch | undefined {
    return this.#awaited
  }

  add(batch: Batch, askedSize: number): void {
    const { batchId, startOffset, peekedOffset } = batch
    this.#entries.set(batchId, { startOffset, askedSize, basis: peekedOffset })
    if (peekedOffset === undefined) this.#awaited = batch
  }

  /** `Size` that the batch's pull asked for; `undefined` once it is freed. */
  askedSizeOf({ batchId }: Batch): number | undefined {
    return this.#entries.get(batchId)?.askedSize
  }

  /** The same for the last batch pulled from `offset`. */
  askedSizeAt(offset: bigint): number | undefined {
    return [...this.#entries.values()].findLast(({ startOffset }) => startOffset === offset)?.askedSize
  }

  /** A scout's word. False: nobody waits for it any more. The worker was faster, or the chain was restarted. */
  guess(batch: Batch, nextOffset: bigint): boolean {
    const entry = this.#entries.get(batch.batchId)
    if (this.#awaited !== batch || entry === undefined) return false
    entry.basis = nextOffset
    this.#awaited = undefined
    return true
  }

  /** The worker's word: twice, early and with its answer, and again with each further attempt. */
  confirm(batch: Batch, nextOffset: bigint | undefined): Verdict {
    if (batch.batchId <= this.#confirmedBatchId) return 'known'
    this.#confirmedBatchId = batch.batchId
    if (this.#awaited?.batchId === batch.batchId) return 'first'
    const basis = this.#entries.get(batch.batchId)?.basis ?? batch.peekedOffset
    return nextOffset === basis ? 'right' : 'wrong'
  }

  /** The chain goes on from elsewhere: no guess counts any more. */
  awaitNothing(): void {
    this.#awaited = undefined
  }

  free({ batchId }: Batch): void {
    this.#entries.delete(batchId)
  }
}
