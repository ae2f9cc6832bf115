/**
 * The supply of one tenure: its pull chain, and how often in a row that has been in trouble.
 *
 * In: what the chain tells; what threads find in the batches that it handed on. Out, in offset order: batches and ranges
 * without logs; how the chain has ended. Must never happen: what the chain has stopped at is acted on before everything in
 * front of it is settled, since a wrong guess may have led it astray; a response that makes no sense is pulled for ever
 * without a pause.
 */
import type { Batch } from './batch.ts'
import type { ClsConsumerError } from './errors.ts'
import type { PullBound, PullChain, PullHandlers, PullWait } from './fetch/pull-chain.ts'

export interface SupplyHandlers extends Pick<PullHandlers, 'batch' | 'retried'> {
  /** No log lies before `to` that was not handed on. */
  advanced(to: bigint): void
  /** The service has answered a pull; `wasRefused`: the one before it was refused. */
  answered(wasRefused: boolean): void
  /** The chain has stopped: `takeEnd` tells how, once nothing of it is under way. */
  ended(): void
  /** A response that made no sense is pulled again; `attempt`: the one that failed, where they are counted. */
  repulled(error: ClsConsumerError, offset: bigint, waitMs: number, attempt: number | undefined): void
  /** How long until a response that made no sense so often in a row is pulled again; undefined: it is not. */
  repullDelayMs(count: number): number | undefined
}

/** bound: everything up to the end of a bounded run is pulled. stuck: no further pull helps, from `offset`. */
export type SupplyEnd =
  | { readonly kind: 'bound' }
  | { readonly kind: 'stuck'; readonly error: ClsConsumerError; readonly offset: bigint }

/** What others than its tenure may ask of it, or order. */
export type SupplyControl = Pick<Supply, 'reachedOffset' | 'pulling' | 'pump' | 'hold' | 'setBound' | 'refused'>

/** Between a batch that did not start and its next pull. */
const REPULL_DELAY_MS = 500
/** Where it was pulled so often, and nothing can be there to be passed. */
const REPULL_REST_MS = 5000

export class Supply {
  readonly #handlers: SupplyHandlers
  #chain: PullChain | undefined
  #repullCount = 0
  #refusedCount = 0
  #lastRetry: ClsConsumerError | undefined
  #stuck: Extract<SupplyEnd, { kind: 'stuck' }> | undefined
  #reachedOffset = -1n

  constructor(handlers: SupplyHandlers) {
    this.#handlers = handlers
  }

  begin(startOffset: bigint, chain: (handlers: PullHandlers) => PullChain): void {
    this.#reach(startOffset)
    this.#chain = chain({
      batch: batch => {
        if (batch.peekedOffset !== undefined) this.#reach(batch.peekedOffset)
        this.#handlers.batch(batch)
      },
      advanced: (_from, to) => {
        this.#reach(to)
        this.#handlers.advanced(to)
      },
      ended: () => this.#handlers.ended(),
      answered: () => this.#answered(),
      retried: (error, offset, waitMs, attempt) => {
        this.#stuck = undefined
        this.#lastRetry = error
        this.#handlers.retried(error, offset, waitMs, attempt)
      },
      failed: (error, offset) => {
        this.#stuck = { kind: 'stuck', error, offset }
        this.#handlers.ended()
      }
    })
    this.#chain.pump()
  }

  /** Up to there the log is known to go. */
  get reachedOffset(): bigint {
    return this.#reachedOffset
  }

  /** What the chain waits for, and the error that its last pull met, if it is tried again. */
  get pulling(): { readonly wait: PullWait | undefined; readonly lastRetry: ClsConsumerError | undefined } {
    return { wait: this.#chain?.waitsFor(), lastRetry: this.#lastRetry }
  }

  /** The service has refused its last pull. */
  get isRefused(): boolean {
    return this.#refusedCount > 0
  }

  /** How often in a row the service has refused its pulls, this time included. */
  refused(): number {
    this.#refusedCount += 1
    return this.#refusedCount
  }

  pump(): void {
    this.#chain?.pump()
  }

  /** Before a bounded run's end is known: no message past it may be pulled. */
  hold(): void {
    this.#chain?.hold()
  }

  setBound(bound: PullBound): void {
    this.#chain?.setBound(bound)
  }

  free(batch: Batch): void {
    this.#chain?.free(batch)
  }

  stop(): void {
    this.#chain?.stop()
  }

  /** A thread has read where the batch ends. False: what was pulled behind it was based on a wrong guess. */
  confirm(batch: Batch, nextOffset: bigint | undefined): boolean {
    if (nextOffset !== undefined) this.#reach(nextOffset)
    if (this.#chain === undefined || this.#chain.confirm(batch, nextOffset)) return true
    this.#stuck = undefined
    return false
  }

  /** Goes on from there; what was pulled is dropped. */
  restart(offset: bigint): void {
    this.#stuck = undefined
    this.#chain?.restart(offset)
  }

  /** A thread has found a refusal of the service in the response that was pulled from there. */
  refusedWithin(error: ClsConsumerError, offset: bigint): void {
    this.#stuck = undefined
    this.#chain?.refused(error, offset)
  }

  /** Whether a response that makes no sense may be pulled once more, and that be counted. */
  mayRepull(): boolean {
    return this.#handlers.repullDelayMs(this.#repullCount + 1) !== undefined
  }

  /** A response made sense, or was passed: the next one that does not is the first. */
  forgetRepulls(): void {
    this.#repullCount = 0
  }

  /** Pulls the batch again: one that did not start, or (`error`) whose response made no sense. */
  repull({ startOffset }: Batch, error: ClsConsumerError | undefined, repulls: 'counted' | 'fresh'): void {
    this.#stuck = undefined
    let waitMs = REPULL_DELAY_MS
    if (error !== undefined) {
      this.#repullCount = repulls === 'counted' ? this.#repullCount + 1 : 0
      const delayMs = repulls === 'counted' ? this.#handlers.repullDelayMs(this.#repullCount) : undefined
      waitMs = delayMs ?? REPULL_REST_MS
      this.#lastRetry = error
      this.#handlers.repulled(error, startOffset, waitMs, this.#repullCount || undefined)
    }
    this.#chain?.restart(startOffset, waitMs, 'ignored')
  }

  /** How the chain has ended, once nothing is under way. That it is stuck is told once. */
  takeEnd(): SupplyEnd | undefined {
    if (this.#chain?.pendingCount !== 0) return undefined
    const stuck = this.#stuck
    this.#stuck = undefined
    return stuck ?? (this.#chain.hasEnded ? { kind: 'bound' } : undefined)
  }

  #answered(): void {
    const wasRefused = this.isRefused
    this.#refusedCount = 0
    this.#lastRetry = undefined
    this.#handlers.answered(wasRefused)
  }

  #reach(offset: bigint): void {
    if (offset > this.#reachedOffset) this.#reachedOffset = offset
  }
}
