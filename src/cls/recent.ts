/** A map that holds only so many entries: the latest ones set. Pure. */

export class Recent<T> {
  readonly #countMax: number
  readonly #entries = new Map<string, T>()

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: T): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#countMax) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}
