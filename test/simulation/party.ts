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
  readonly startOffset: bigint
  /** Of the partition's messages. */
  readonly first: number
  readonly end: number
  readonly fromStep: number
  readonly fromMs: number
}

/** How far one epoch of one partition has come at one consumer. */
export interface Progress {
  readonly epoch: number
  hasPulled: boolean
  /** Of the partition's messages: everything before is done, and its results are delivered. */
  settled: number
  /** The last batch that came to a processor, and how it went. */
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
  /** What it wanted committed last, as text: a call that was refused for its rate is sent again as it was. */
  lastCommit = ''
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
