/**
 * The kernel memories of one consumer on one thread: those of its open batches, and those that wait for the next one.
 *
 * In: batches that open and close. Out: a memory for each, the last one used first, so that what is not needed falls
 * idle. WebAssembly memory grows and never shrinks: one that was too large for a while is dropped whole. Must never
 * happen: two batches with one memory; more kept for later than the budget has a share for, but for one, however large:
 * a memory that is dropped lives on until the engine collects, so that one for each response would be many at a time.
 */
import { assert } from '../../src/errors.ts'
import { KernelMemory } from './memory.ts'

/** A memory that no response has needed half of for so long is dropped. */
const TOO_LARGE_MS = 30_000
/** How often to look for those while no batch comes. */
export const SWEEP_MS = 10_000

export class MemoryList {
  readonly #keptBytesMax: number
  readonly #now: () => number
  /** When each was last needed for more than half of it, open ones and free ones. */
  readonly #neededAtMs = new Map<KernelMemory, number>()
  #free: KernelMemory[] = []

  /** `now`: monotonic, ms. */
  constructor(keptBytesMax: number, now: () => number) {
    this.#keptBytesMax = keptBytesMax
    this.#now = now
  }

  /** Of all of them. */
  get byteCount(): number {
    let byteCount = 0
    for (const memory of this.#neededAtMs.keys()) byteCount += memory.byteCount
    return byteCount
  }

  take(): KernelMemory {
    const memory = this.#free.pop() ?? this.#make()
    memory.begin()
    return memory
  }

  /** Of a batch that is closed. Kept for the next one, if it is the only one or there is room for it. */
  give(memory: KernelMemory): void {
    assert(this.#neededAtMs.has(memory) && !this.#free.includes(memory), 'a memory is given back once')
    if (memory.neededBytes * 2 > memory.byteCount) this.#neededAtMs.set(memory, this.#now())
    const freeBytes = this.#free.reduce((sum, { byteCount }) => sum + byteCount, memory.byteCount)
    const hasRoom = this.#free.length === 0 || freeBytes <= this.#keptBytesMax
    if (hasRoom && !this.#isTooLarge(memory)) this.#free.push(memory)
    else this.#neededAtMs.delete(memory)
  }

  /** Drops what has been too large, or idle, for a while. */
  sweep(): void {
    const kept = this.#free.filter(memory => !this.#isTooLarge(memory))
    for (const memory of this.#free) if (!kept.includes(memory)) this.#neededAtMs.delete(memory)
    this.#free = kept
  }

  #make(): KernelMemory {
    const memory = new KernelMemory()
    this.#neededAtMs.set(memory, this.#now())
    return memory
  }

  #isTooLarge(memory: KernelMemory): boolean {
    return this.#now() - (this.#neededAtMs.get(memory) ?? 0) > TOO_LARGE_MS
  }
}
