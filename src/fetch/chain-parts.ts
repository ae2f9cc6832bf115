/** What a pull chain is made with, and what it tells. Only types. */
import type { Batch, Epoch } from '../batch.ts'
import type { ClsConsumerError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { World } from '../world.ts'
import type { ByteBudget } from './budget.ts'
import type { PullBound } from './next-offset.ts'

export interface PullHandlers {
  batch(batch: Batch): void
  /** The range holds no log. `to` is greater than `from`. */
  advanced(from: bigint, to: bigint): void
  /** A pull was answered by a response, and no refusal: as seen here, or by the worker. */
  answered(): void
  /** A bounded run has nothing more to pull. Batches handed on before may still be open. */
  ended(): void
  /** `attempt`: how many have failed in a row; undefined where less is asked for instead. */
  retried(error: ClsConsumerError, offset: bigint, waitMs: number, attempt: number | undefined): void
  /** No further pull helps. The chain has stopped at `offset`; what it handed on before is valid. */
  failed(error: ClsConsumerError, offset: bigint): void
}

export interface PullChainParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'random' | 'data' | 'scout'>
  readonly settings: Pick<Settings, 'pullBytes' | 'responseBytesMax' | 'pollIntervalMs' | 'query'>
  readonly epoch: Epoch
  readonly startOffset: bigint
  readonly bound: PullBound | undefined
  readonly budget: ByteBudget
  /** How many partitions share the budget. */
  readonly partitionCount: () => number
  readonly nextBatchId: () => number
  readonly handlers: PullHandlers
}
