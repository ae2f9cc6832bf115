/**
 * Which batches of one consumer are open on a thread, and which must not start.
 *
 * In: abort messages, batches that begin and end. Out: a signal per open batch. Must never happen: a batch that starts
 * although it was aborted before; an attempt that ends of an abort of the one before.
 *
 * Abort messages and batch tasks come by different ports, so an abort can overtake its batch, or arrive after its end:
 * It is therefore kept until the batch shows up; of those that never will, only the newest are remembered.
 *
 * attempt 1 takes too long and is aborted; it throws before it hears of that, and the batch is run again → attempt 2 would
 * not start, though nobody has aborted it; hence an abort names its attempt
 */

/** Enough for every batch that can wait for a thread. */
const EARLY_ABORTS_MAX = 4096

/** One try of a batch. The attempts of a batch only grow. */
export interface BatchAttempt {
  readonly batchId: number
  readonly attempt: number
}

interface OpenAttempt {
  readonly attempt: number
  readonly controller: AbortController
}

export class Aborts {
  /** By batch. */
  readonly #open = new Map<number, OpenAttempt>()
  /** By batch: the attempt that is not to start, nor any before. */
  readonly #early = new Map<number, number>()

  /** The signal of an attempt that begins, or `undefined` where it has been aborted already. */
  begin({ batchId, attempt }: BatchAttempt): AbortSignal | undefined {
    const abortedAttempt = this.#early.get(batchId) ?? 0
    this.#early.delete(batchId)
    if (attempt <= abortedAttempt) return undefined
    const controller = new AbortController()
    this.#open.set(batchId, { attempt, controller })
    return controller.signal
  }

  abort({ batchId, attempt }: BatchAttempt, reason: string): void {
    const open = this.#open.get(batchId)
    if (open === undefined) this.#keep(batchId, attempt)
    // The error that fetch and friends throw for an abort, so that a processor can treat all of them alike.
    else if (open.attempt <= attempt) open.controller.abort(new DOMException(reason, 'AbortError'))
  }

  end(batchId: number): void {
    this.#open.delete(batchId)
  }

  /** They come in the order in which they were sent: the last one is of the latest attempt. */
  #keep(batchId: number, attempt: number): void {
    this.#early.set(batchId, attempt)
    if (this.#early.size <= EARLY_ABORTS_MAX) return
    const [oldest] = this.#early.keys()
    if (oldest !== undefined) this.#early.delete(oldest)
  }
}
