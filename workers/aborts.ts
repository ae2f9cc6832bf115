/**
 * Which batches of one consumer are open on a thread, and which must not start.
 *
 * In: abort messages, batches that begin and end. Out: a signal per open batch. Abort messages and batch tasks come by
 * different ports, so an abort can overtake its batch, or arrive after its end. It is therefore kept by batch id until
 * the batch shows up; of those that never will, only the newest are remembered.
 */

/**
 * Enough for every batch that can wait for a thread. One that is tried again has the same id: an abort that came too late
 * for its last attempt keeps the next one from starting, and it is pulled again.
 */
const EARLY_ABORTS_MAX = 4096

export class Aborts {
  readonly #open = new Map<number, AbortController>()
  readonly #early = new Set<number>()

  /** The signal of a batch that begins, or `undefined` where it has been aborted already. */
  begin(batchId: number): AbortSignal | undefined {
    if (this.#early.delete(batchId)) return undefined
    const controller = new AbortController()
    this.#open.set(batchId, controller)
    return controller.signal
  }

  abort(batchId: number, reason: string): void {
    const controller = this.#open.get(batchId)
    if (controller !== undefined) {
      // The error that fetch and friends throw for an abort, so that a processor can treat all of them alike.
      controller.abort(new DOMException(reason, 'AbortError'))
      return
    }
    this.#early.add(batchId)
    if (this.#early.size <= EARLY_ABORTS_MAX) return
    const [oldest] = this.#early
    if (oldest !== undefined) this.#early.delete(oldest)
  }

  end(batchId: number): void {
    this.#open.delete(batchId)
  }
}
