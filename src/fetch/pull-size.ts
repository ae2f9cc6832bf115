/**
 * How much to ask for in one pull, where responses turned out too large.
 *
 * In: which sizes brought too much, and which did not. Out: the size to ask for. Pure. What the service counts by
 * `Size` (bytes, or log groups) makes no difference: less of it is less.
 *
 * After a refusal it asks for half. It grows back by doubling, and each doubling that fails costs a whole pull for
 * nothing: so a size must hold for a number of pulls before it is doubled, and that number doubles with each failure
 * and halves with each doubling that held. Where the limit stays, failures become rare (one in `HOLDS_MAX`); where it
 * was one odd response, the way back is short. While a partition is quiet its small responses let the size grow far
 * beyond what its next large ones allow: then it falls back at once to where the last failure had brought it, and not
 * by halves.
 */
/** Pulls that must hold before the size is doubled: at first, and at most. */
export const HOLDS_MIN = 8
export const HOLDS_MAX = 1024

/** One byte, or one log group: the service cannot give less. */
const SIZE_MIN = 1

export class PullSize {
  readonly #wanted: number
  #size: number
  /** Where the last failure had brought it. */
  #fallback: number
  #holdCount = 0
  #holdsNeeded = HOLDS_MIN

  constructor(wanted: number) {
    this.#wanted = wanted
    this.#size = wanted
    this.#fallback = wanted
  }

  get size(): number {
    return this.#size
  }

  /** A pull that asked for so much brought too much. False: there is no less to ask for. */
  tooLarge(asked: number): boolean {
    if (asked <= SIZE_MIN) return false
    // A doubling has failed. Neither the first way down is one, nor what was asked for before the last failure.
    if (this.#size > this.#fallback && asked <= this.#size)
      this.#holdsNeeded = Math.min(HOLDS_MAX, this.#holdsNeeded * 2)
    this.#size = Math.min(this.#fallback, Math.max(SIZE_MIN, Math.floor(asked / 2)))
    this.#fallback = this.#size
    this.#holdCount = 0
    return true
  }

  /** A pull that asked for so much brought a response that could be taken. */
  held(asked: number): void {
    // Nothing to grow back to; or a smaller one, asked for while the budget was tight, which says nothing of this size.
    if (this.#fallback === this.#wanted || asked < this.#size) return
    this.#holdCount += 1
    if (this.#holdCount < this.#holdsNeeded) return
    this.#holdCount = 0
    if (this.#size > this.#fallback) this.#holdsNeeded = Math.max(HOLDS_MIN, this.#holdsNeeded / 2)
    if (this.#size < this.#wanted) this.#size = Math.min(this.#wanted, this.#size * 2)
    else this.#fallback = this.#wanted
  }
}
