/**
 * What the threads of a consuming process tell its main thread, without a message: numbers in shared memory.
 *
 * In: one slot a thread, which it alone writes. Out: sums. A number of eight bytes is never read in halves where the
 * processor has 64 bits; on others a reading may be off once, and the next is right.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { PerformanceObserver } from 'node:perf_hooks'

const FIELDS = ['threadId', 'gcMs', 'logCount', 'hitCount'] as const
type Field = (typeof FIELDS)[number]

const SLOTS_MAX = 512
/** How many slots are taken; eight bytes, so that the numbers behind it stand right. */
const COUNT_BYTES = 8

export interface ThreadSlot {
  add(field: Field, amount: number): void
}

export class ThreadGauges {
  readonly shared: SharedArrayBuffer
  readonly #taken: Int32Array
  readonly #values: Float64Array

  constructor(shared = new SharedArrayBuffer(COUNT_BYTES + SLOTS_MAX * FIELDS.length * 8)) {
    this.shared = shared
    this.#taken = new Int32Array(shared, 0, 1)
    this.#values = new Float64Array(shared, COUNT_BYTES)
  }

  /** For the thread that calls it. */
  take(): ThreadSlot {
    const slot = Atomics.add(this.#taken, 0, 1)
    if (slot >= SLOTS_MAX) throw new Error(`more than ${SLOTS_MAX} threads`)
    const values = this.#values
    const add = (field: Field, amount: number) => {
      const at = slot * FIELDS.length + FIELDS.indexOf(field)
      values[at] = (values[at] ?? 0) + amount
    }
    add('threadId', systemThreadId() ?? 0)
    return { add }
  }

  all(field: Field): number[] {
    const count = Atomics.load(this.#taken, 0)
    return Array.from({ length: count }, (_, slot) => this.#values[slot * FIELDS.length + FIELDS.indexOf(field)] ?? 0)
  }
}

/** Tells how long this thread stood still for its garbage collection, whenever it did. */
export function watchCollections(tell: (ms: number) => void): void {
  const observer = new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) tell(duration)
  })
  observer.observe({ entryTypes: ['gc'] })
}

/** What the system calls the thread that asks; Linux alone tells. */
function systemThreadId(): number | undefined {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')))
  } catch {
    return undefined
  }
}

/** CPU time of some threads of this process so far; undefined where the system does not tell, or one is gone. */
export function cpuMsOfThreads(threadIds: readonly number[]): number | undefined {
  try {
    const onCpu = threadIds.map(id => Number(readFileSync(`/proc/self/task/${id}/schedstat`, 'utf8').split(' ')[0]))
    const total = onCpu.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6
    return Number.isFinite(total) ? total : undefined
  } catch {
    return undefined
  }
}
