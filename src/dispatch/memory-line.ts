/**
 * The threads whose next batch waits for memory, in the order in which they get it.
 *
 * In: who asks, and who still has something to open. Out: whether it may open now. Pure but for what it is handed. Must
 * never happen: a large batch that is overtaken by small ones again and again, and waits for ever; one that waits no
 * longer and keeps others waiting.
 */
export class MemoryLine {
  /** The longest first. */
  #threads: readonly number[] = []

  get threads(): readonly number[] {
    return this.#threads
  }

  /**
   * Reserves in turn: the thread that has waited longest comes first. While it is refused, at least one batch is open,
   * whose end asks again. One whose thread was lost or whose batches were dropped leaves the line here.
   */
  take(thread: number, stillWaits: (other: number) => boolean, tryOpen: () => boolean): boolean {
    const line = this.#threads.filter(stillWaits)
    const isFirst = line.length === 0 || line[0] === thread
    const isOpened = isFirst && tryOpen()
    if (isOpened) this.#threads = line.filter(other => other !== thread)
    else this.#threads = line.includes(thread) ? line : [...line, thread]
    return isOpened
  }
}
