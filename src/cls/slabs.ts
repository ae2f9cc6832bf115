/**
 * Memory for bodies that is used again: in steady state no response allocates any.
 *
 * In: how large a body is. Out: shared memory of at least that size, until it is given back. Must never happen: a slab that
 * two have at a time, or one that is given back twice; more held, in use and idle together, than `bytesMax`, but for what is
 * in use.
 *
 * A fresh `SharedArrayBuffer` for each response costs the main thread more than to receive into it: its pages are mapped
 * one by one as they are written, and given back only by a collection of every heap that has seen it.
 */
import { assert } from '../errors.ts'
import type { Clock } from '../world.ts'

/** Where bodies are written to. */
export interface BodyMemory {
  /** At least so large; what it holds is anything. */
  take(byteCount: number): SharedArrayBuffer
  /** Nobody reads it any more. */
  give(memory: SharedArrayBuffer): void
}

/** For small answers. */
export const freshMemory: BodyMemory = { take: byteCount => new SharedArrayBuffer(byteCount), give: () => undefined }

/** No slab is smaller. Most answers of a quiet partition fit. */
const SLAB_BYTES_MIN = 4 * 1024
/** Sizes between one power of two and the next: a slab is at most a quarter larger than what it is made for. */
const SIZES_PER_DOUBLING = 4
/** A slab is used for what needs at least this share of it. */
const FIT_SHARE_MIN = 0.5
/** What was not needed for so long is dropped. */
const IDLE_MS_MAX = 30_000

interface IdleSlab {
  readonly memory: SharedArrayBuffer
  readonly sinceMs: number
}

export class Slabs implements BodyMemory {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #bytesMax: number
  readonly #inUse = new Set<SharedArrayBuffer>()
  /** In the order in which they came back: the last one is taken first, so that those not needed grow old in front. */
  readonly #idle: IdleSlab[] = []
  #inUseBytes = 0
  #idleBytes = 0

  constructor(bytesMax: number, clock: Pick<Clock, 'monotonic'>) {
    this.#bytesMax = bytesMax
    this.#clock = clock
  }

  get inUseBytes(): number {
    return this.#inUseBytes
  }

  get idleBytes(): number {
    return this.#idleBytes
  }

  take(byteCount: number): SharedArrayBuffer {
    const memory = this.#takeIdle(byteCount) ?? new SharedArrayBuffer(slabBytes(byteCount))
    this.#inUse.add(memory)
    this.#inUseBytes += memory.byteLength
    this.#trim()
    return memory
  }

  give(memory: SharedArrayBuffer): void {
    assert(this.#inUse.delete(memory), 'I5: a slab is given back once')
    this.#inUseBytes -= memory.byteLength
    this.#idleBytes += memory.byteLength
    this.#idle.push({ memory, sinceMs: this.#clock.monotonic() })
    this.#trim()
  }

  #takeIdle(byteCount: number): SharedArrayBuffer | undefined {
    const bytesMax = Math.max(SLAB_BYTES_MIN, byteCount / FIT_SHARE_MIN)
    const index = this.#idle.findLastIndex(
      ({ memory: { byteLength } }) => byteLength >= byteCount && byteLength <= bytesMax
    )
    const [slab] = index < 0 ? [] : this.#idle.splice(index, 1)
    this.#idleBytes -= slab?.memory.byteLength ?? 0
    return slab?.memory
  }

  /** Drops what is too much, and what is too old: it stands in front. */
  #trim(): void {
    const oldestMs = this.#clock.monotonic() - IDLE_MS_MAX
    for (let [first] = this.#idle; first !== undefined; [first] = this.#idle) {
      const isTooMuch = this.#inUseBytes + this.#idleBytes > this.#bytesMax
      if (!isTooMuch && first.sinceMs >= oldestMs) return
      this.#idle.shift()
      this.#idleBytes -= first.memory.byteLength
    }
  }
}

/** The size to make for a body. */
export function slabBytes(byteCount: number): number {
  if (byteCount <= SLAB_BYTES_MIN) return SLAB_BYTES_MIN
  const step = 2 ** Math.floor(Math.log2(byteCount)) / SIZES_PER_DOUBLING
  return Math.ceil(byteCount / step) * step
}
