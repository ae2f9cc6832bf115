/**
 * The kernel memories of one consumer on one thread: those of its open batches, and those that wait for the next one.
 *
 * In: batches that open and close. Out: a memory for each, the last one used first, so that what is not needed falls
 * idle. WebAssembly memory grows and never shrinks: one that was too large for a while is dropped whole. Must never
 * happen: two batches with one memory; more kept for later than the budget has a share for, but for one, however large.
 *
 * A memory that is dropped lives on until the engine collects, which it has little reason to: as long as it is there it is
 * taken again. One more for each response would be many at a time.
 */
import { assert } from '../../src/errors.ts'
import { KernelMemory } from './memory.ts'

/** A memory that no response has needed half of for so long is dropped. */
const TOO_LARGE_MS = 30_000
/** How often to look for those while no batch comes. */
export const SWEEP_MS = 10_000

interface DroppedMemory {
  /** Until the engine collects it. */
  readonly memory: WeakRef<KernelMemory>
  readonly neededAtMs: number
}

export class MemoryList {
  readonly #keptBytesMax: number
  readonly #now: () => number
  /** When each was last needed for more than half of it, open ones and free ones. */
  readonly #neededAtMs = new Map<KernelMemory, number>()
  #free: KernelMemory[] = []
  /** Dropped for want of room or of use. No more than were open at a time: each is taken, or found gone, before one is made. */
  readonly #dropped: DroppedMemory[] = []

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
    const memory = this.#free.pop() ?? this.#takeDropped() ?? this.#make()
    memory.begin()
    return memory
  }

  /** Of a batch that is closed. Kept for the next one, if it is the only one or there is room for it. */
  give(memory: KernelMemory): void {
    assert(this.#neededAtMs.has(memory) && !this.#free.includes(memory), 'a memory is given back once')
    if (memory.neededBytes * 2 > memory.byteCount) this.#neededAtMs.set(memory, this.#now())
    const freeBytes = this.#free.reduce((sum, { byteCount }) => sum + byteCount, memory.byteCount)
    const hasRoom = this.#free.length === 0 || freeBytes <= this.#keptBytesMax
    // For good: what was just used, and not needed, would be taken for the next small response again.
    if (this.#isTooLarge(memory)) this.#neededAtMs.delete(memory)
    else if (hasRoom) this.#free.push(memory)
    else this.#drop(memory)
  }

  /** Drops what has been too large, or idle, for a while. */
  sweep(): void {
    const kept = this.#free.filter(memory => !this.#isTooLarge(memory))
    for (const memory of this.#free) if (!kept.includes(memory)) this.#drop(memory)
    this.#free = kept
  }

  #takeDropped(): KernelMemory | undefined {
    for (;;) {
      const dropped = this.#dropped.pop()
      if (dropped === undefined) return undefined
      const memory = dropped.memory.deref()
      if (memory === undefined) continue
      this.#neededAtMs.set(memory, dropped.neededAtMs)
      return memory
    }
  }

  #make(): KernelMemory {
    const memory = new KernelMemory()
    this.#neededAtMs.set(memory, this.#now())
    return memory
  }

  #drop(memory: KernelMemory): void {
    this.#dropped.push({ memory: new WeakRef(memory), neededAtMs: this.#neededAtMs.get(memory) ?? 0 })
    this.#neededAtMs.delete(memory)
  }

  #isTooLarge(memory: KernelMemory): boolean {
    return this.#now() - (this.#neededAtMs.get(memory) ?? 0) > TOO_LARGE_MS
  }
}
