/**
 * What the ledger knows of one consumer: its lease as the wire shows it, its work, and how far each epoch has come.
 *
 * Only types and small books; `ledger.ts` judges.
 */
import type { PartitionSnapshot } from '../../src/consumer-events.ts'

/** The ledger's view of a consumer. */
export interface Observed {
  readonly name: string
  partitions(): readonly PartitionSnapshot[]
}

/** A batch in a processor, from the call of `process` until it returns, or the exit of its thread. */
export interface Visit {
  readonly party: Party
  readonly key: string
  readonly epoch: number
  /** When its consumer was told to begin there. */
  readonly epochFromStep: number
  readonly startOffset: bigint
  /** Its thread's name. */
  readonly thread: string
  /** Of the partition's messages. */
  readonly first: number
  readonly end: number
  readonly fromStep: number
  readonly fromMs: number
}

/** How far one epoch of one partition has come at one consumer. */
export interface Progress {
  readonly epoch: number
  readonly fromStep: number
  hasPulled: boolean
  /** Of the partition's messages: everything before is done, and its results are delivered. */
  settled: number
  /** The last batch that came to a processor, and how it went. */
  /**
   * In commit mode manual: what a processor has returned with since the last save begins there, and is with this thread
   * alone.
   */
  unsaved: { readonly first: number; readonly thread: string } | undefined
  last: { readonly first: number; readonly end: number; outcome: 'open' | 'returned' | 'lost' } | undefined
}

export class Party {
  readonly observed: Observed
  /** The lease may last until then at most, by what the wire has shown. */
  #leaseEndMs = Number.NEGATIVE_INFINITY
  /** When a lease of it last ended, before it got another. */
  #lapsedMs = Number.NEGATIVE_INFINITY
  readonly visits = new Set<Visit>()
  readonly progress = new Map<string, Progress>()
  /** By partition: the last batch that came to a processor, in whichever epoch. */
  readonly visited = new Map<string, Pick<Visit, 'first' | 'epoch'>>()
  /** What its newest heartbeat listed, and its number. */
  lastHeld: readonly string[] = []
  lastBeat = 0

  constructor(observed: Observed) {
    this.observed = observed
  }

  get leaseEndMs(): number {
    return this.#leaseEndMs
  }

  extendLease(nowMs: number, leaseEndMs: number): void {
    if (this.#leaseEndMs <= nowMs) this.#lapsedMs = this.#leaseEndMs
    this.#leaseEndMs = Math.max(this.#leaseEndMs, leaseEndMs)
  }

  /** Its lease has held without a break from then until now. */
  hasHeldSince(sinceMs: number, nowMs: number): boolean {
    return nowMs < this.#leaseEndMs && this.#lapsedMs < sinceMs
  }

  get name(): string {
    return this.observed.name
  }

  find(key: string): PartitionSnapshot | undefined {
    return this.observed.partitions().find(({ topicId, partition }) => `${topicId}#${partition}` === key)
  }
}

/** Where the next batch begins: behind the last one; with it, where it did not come to its end. */
export function nextFirst({ last, settled }: Progress): number {
  if (last === undefined) return settled
  return last.outcome === 'returned' ? last.end : last.first
}
