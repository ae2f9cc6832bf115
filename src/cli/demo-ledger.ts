/**
 * Which logs were processed, by id, and by whom.
 *
 * In: the ids of each processed batch. Out: a verdict against the ids that were produced, which are 0 … n - 1. A count
 * alone never decides: a lost log and a repeated one would cancel out.
 */

/** One byte an id: enough for more logs than a demo should take. */
export const IDS_MAX = 100_000_000
const EXAMPLES_MAX = 5
const SEEN_MAX = 255

export interface Verdict {
  readonly missingCount: number
  /** The first few. */
  readonly missing: readonly number[]
  readonly repeatedCount: number
  readonly repeated: readonly number[]
  /** Processed, but never produced. */
  readonly foreignCount: number
}

export class Ledger {
  readonly #byConsumer = new Map<string, number>()
  #seen = new Uint8Array(1 << 17)
  #distinctCount = 0
  #unknownCount = 0

  record(consumer: string, ids: Uint32Array): void {
    this.#byConsumer.set(consumer, this.processedBy(consumer) + ids.length)
    for (const id of ids) {
      if (id >= IDS_MAX) {
        this.#unknownCount++
        continue
      }
      if (id >= this.#seen.length) this.#grow(id)
      const before = this.#seen[id] ?? 0
      if (before === 0) this.#distinctCount++
      this.#seen[id] = Math.min(SEEN_MAX, before + 1)
    }
  }

  /** Different logs: what tells that all have come, where `processedBy` would count a repeat twice. */
  get distinctCount(): number {
    return this.#distinctCount
  }

  processedBy(consumer: string): number {
    return this.#byConsumer.get(consumer) ?? 0
  }

  judge(producedCount: number): Verdict {
    const missing = new Examples()
    const repeated = new Examples()
    let foreignCount = this.#unknownCount
    for (let id = 0; id < Math.max(producedCount, this.#seen.length); id++) {
      const times = this.#seen[id] ?? 0
      if (id >= producedCount) foreignCount += times
      else if (times === 0) missing.add(id)
      else if (times > 1) repeated.add(id)
    }
    return {
      missingCount: missing.count,
      missing: missing.first,
      repeatedCount: repeated.count,
      repeated: repeated.first,
      foreignCount
    }
  }

  #grow(id: number): void {
    const wider = new Uint8Array(Math.min(IDS_MAX, Math.max(id + 1, 2 * this.#seen.length)))
    wider.set(this.#seen)
    this.#seen = wider
  }
}

class Examples {
  readonly first: number[] = []
  count = 0

  add(id: number): void {
    if (this.count < EXAMPLES_MAX) this.first.push(id)
    this.count++
  }
}
