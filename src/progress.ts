/**
 * The progress of one tenure: which of its batches are open or wait, what has settled, what may be committed.
 *
 * In: batches as they are handed on and as they settle, ranges without logs, saves. Out: the offset to commit, each time that
 * it is news. Must never happen: it passes a batch that was neither processed nor given up (I1), or, in commit mode manual,
 * one that the processor keeps and has not saved.
 */
import type { Batch, Outline } from './batch.ts'
import { Frontier, type Slot } from './commit/frontier.ts'
import type { Saves } from './commit/saves.ts'

/** Where a tenure begins. */
export interface Beginning {
  readonly startOffset: bigint
  /** In commit mode manual: what is saved. Before the start where what the processor keeps is not. */
  readonly saves: Saves | undefined
}

/** A batch that is open, or waits. */
export interface Waiting {
  readonly slot: Slot
  readonly arrivedMs: number
  outline: Outline | undefined
  /** Processed and not saved, and about to settle: what the processor keeps has it. */
  isKept: boolean
  /** Processed, and saved: that counts once it settles, also where its result is given up. */
  isSaved: boolean
}

export class Progress {
  readonly #progressed: (offset: bigint) => void
  /** By the number of the batch. */
  readonly #waiting = new Map<number, Waiting>()
  #frontier: Frontier | undefined
  #beginning: Beginning | undefined
  #toldOffset: bigint | undefined

  /** `progressed`: there is something new to commit. */
  constructor(progressed: (offset: bigint) => void) {
    this.#progressed = progressed
  }

  /** It will begin there, and has that much to commit already. */
  carry(beginning: Beginning): void {
    this.#beginning = beginning
  }

  begin(beginning: Beginning): void {
    this.#beginning = beginning
    this.#frontier = new Frontier(beginning.startOffset)
    this.#toldOffset = this.committableOffset
  }

  get startOffset(): bigint | undefined {
    return this.#beginning?.startOffset
  }

  get saves(): Saves | undefined {
    return this.#beginning?.saves
  }

  /** The frontier: everything before is settled. */
  get nextOffset(): bigint | undefined {
    return this.#frontier?.nextOffset
  }

  /** Where a successor would start if this were committed. */
  get committableOffset(): bigint | undefined {
    return this.saves?.offset ?? this.#frontier?.nextOffset
  }

  /** In commit mode manual: the processor keeps something that no save covers. */
  get hasUnsaved(): boolean {
    if (this.saves === undefined) return false
    return this.saves.hasUnsaved || [...this.#waiting.values()].some(({ isKept }) => isKept)
  }

  /** The frontier, where everything that was handed on has settled. */
  get restOffset(): bigint | undefined {
    return this.#frontier?.openCount === 0 ? this.#frontier.nextOffset : undefined
  }

  /** A batch was handed on. */
  open({ batchId }: Batch, arrivedMs: number): void {
    if (this.#frontier === undefined) return
    this.#waiting.set(batchId, {
      slot: this.#frontier.open(),
      arrivedMs,
      outline: undefined,
      isKept: false,
      isSaved: false
    })
  }

  find({ batchId }: Batch): Waiting | undefined {
    return this.#waiting.get(batchId)
  }

  /** The batch is out of every stage; where it has not settled, its slot stays open. */
  drop({ batchId }: Batch): void {
    this.#waiting.delete(batchId)
  }

  /** It was processed (`answer`) or given up. */
  settle({ slot, isKept, isSaved }: Waiting, nextOffset: bigint): void {
    const frontier = this.#frontier?.settle(slot, nextOffset)
    if (frontier === undefined) return
    if (isKept || isSaved) this.saves?.settled(frontier, !isKept, nextOffset)
    else this.saves?.advanced(frontier)
    this.#tell()
  }

  /** No log lies before `to` that was not handed on. */
  advance(to: bigint): void {
    const frontier = this.#frontier?.skip(to)
    if (frontier === undefined) return
    this.saves?.advanced(frontier)
    this.#tell()
  }

  /** The processor has saved what was processed so far. */
  save(): void {
    this.saves?.save()
    this.#tell()
  }

  /** What was handed on behind it is dropped, and may come again. */
  truncateAfter({ slot }: Waiting): void {
    this.#frontier?.truncateAfter(slot)
  }

  /** Likewise, and so is the batch itself. */
  truncateFrom({ slot }: Waiting): void {
    this.#frontier?.truncateFrom(slot)
  }

  #tell(): void {
    const offset = this.committableOffset
    if (offset === undefined || offset === this.#toldOffset) return
    this.#toldOffset = offset
    this.#progressed(offset)
  }
}
