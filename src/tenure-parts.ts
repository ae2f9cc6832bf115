/** What a tenure tells. Only types. */
import type { Batch } from './batch.ts'
import type { ProcessedAnswer } from './dispatch/messages.ts'
import type { ClsConsumerError, ErrorPlace } from './errors.ts'
import type { SettlerHandlers } from './settler.ts'
import type { SupplyHandlers } from './supply.ts'

export interface TenureHandlers
  extends Pick<SettlerHandlers, 'deliver'>,
    Pick<SupplyHandlers, 'answered' | 'repullDelayMs'> {
  /** The monotonic clock. */
  nowMs(): number
  /** Whether the lease holds now, by the clock (I12). Ends the epochs if it does not. */
  checkLease(): boolean
  /** A batch is on its way to a thread: its answer comes back to this tenure. */
  dispatched(batch: Batch): void
  /** There is something new to commit. */
  progressed(offset: bigint): void
  /** A batch is processed, its result delivered, and it counts. `latencyMs`: since its body had arrived. */
  processed(batch: Batch, answer: ProcessedAnswer, nextOffset: bigint, latencyMs: number): void
  /** A pull is tried again; `attempt`: how many have failed in a row, where that is counted. */
  retried(error: ClsConsumerError, place: ErrorPlace, waitMs: number, attempt: number | undefined): void
  /** Likewise a response that made no sense. */
  repulled(error: ClsConsumerError, place: ErrorPlace, waitMs: number, attempt: number | undefined): void
  /** The chain cannot go on from `offset`; everything before it is settled. */
  stuck(error: ClsConsumerError, offset: bigint): void
  /** A batch failed for good; the frontier stays before it. */
  failed(error: ClsConsumerError): void
  /** Likewise, and the others go on. */
  parked(error: ClsConsumerError): void
  /** The processor wants the partition read again from there. */
  rewound(offset: bigint): void
  /** A bounded run has settled everything up to its end. */
  done(nextOffset: bigint): void
  /** Bytes were freed. */
  freed(): void
}
