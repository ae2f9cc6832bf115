/**
 * Calls whose fate is unknown, by partition: each may be executed late, over a newer offset.
 *
 * In: calls without a sure answer, and those acknowledged after them. Out: whether a late one could undo what is
 * wanted. Pure. Must never happen: a doubt that ends with its epoch. A rewind goes back to 50; the old epoch's call with
 * 100 is executed late → 50 to 100 would be lost.
 */
interface Doubt {
  readonly offset: bigint
  /** Acknowledged calls still needed until it is believed to be over. */
  readonly callsLeft: number
}

const DOUBT_CALLS = 2

/** Doubts with as many calls left that are kept (I8): two threaten whatever is wanted, and a third would end with them. */
const ALIKE_MAX = 2

/** Of a call that others made: equal to nothing that is wanted. */
const UNKNOWN = -1n

export class Doubts {
  /** A partition without doubts has no entry. */
  readonly #byKey = new Map<string, readonly Doubt[]>()

  /** A call with this offset may have been executed, or may be yet. */
  add(key: string, offset: bigint): void {
    this.#put(key, { offset, callsLeft: DOUBT_CALLS })
  }

  /** Another's call may have been executed over what was acknowledged: one more call makes it good. */
  addUnknown(key: string): void {
    this.#put(key, { offset: UNKNOWN, callsLeft: 1 })
  }

  /** A later call for the partition was acknowledged. */
  acknowledged(key: string): void {
    const left = this.#of(key).filter(({ callsLeft }) => callsLeft > 1)
    if (left.length === 0) this.#byKey.delete(key)
    else
      this.#byKey.set(
        key,
        left.map(({ offset, callsLeft }) => ({ offset, callsLeft: callsLeft - 1 }))
      )
  }

  /** A doubtful call that carried what is wanted does no harm, however late. */
  threaten(key: string, wanted: bigint): boolean {
    return this.#of(key).some(({ offset }) => offset !== wanted)
  }

  #of(key: string): readonly Doubt[] {
    return this.#byKey.get(key) ?? []
  }

  #put(key: string, doubt: Doubt): void {
    const others = this.#of(key).filter(({ offset }) => offset !== doubt.offset)
    const alike = others.filter(({ callsLeft }) => callsLeft === doubt.callsLeft)
    if (alike.length < ALIKE_MAX) this.#byKey.set(key, [...others, doubt])
  }
}
