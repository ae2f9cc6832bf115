/**
 * Compressed responses, kept so that a benchmark measures the consumer and not this emulator.
 *
 * In: a key that fixes the content. Out: the bytes, made at most once while they are kept. Never holds more than its
 * limit: what was not asked for longest goes first.
 */
export class BodyCache {
  readonly #bytesMax: number
  /** In the order of last use: a Map keeps the order of insertion. */
  readonly #bodies = new Map<string, Uint8Array>()
  #heldBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  get(key: string, make: () => Uint8Array): Uint8Array {
    const kept = this.#bodies.get(key)
    if (kept !== undefined) {
      this.#bodies.delete(key)
      this.#bodies.set(key, kept)
      return kept
    }
    const body = make()
    if (body.length > this.#bytesMax) return body
    this.#bodies.set(key, body)
    this.#heldBytes += body.length
    for (const [oldest, bytes] of this.#bodies) {
      if (this.#heldBytes <= this.#bytesMax) break
      this.#bodies.delete(oldest)
      this.#heldBytes -= bytes.length
    }
    return body
  }

  /** For when the same keys begin to stand for other bodies. */
  clear(): void {
    this.#bodies.clear()
    this.#heldBytes = 0
  }
}
