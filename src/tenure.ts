/**
 * One tenure: the way of the batches of one partition in one epoch, from the pull chain over the lane to the frontier.
 *
 * In: what the chain hands on, what threads answer. Out: progress to commit, results, and trouble. Part of the assembly:
 * it knows more than one stage. Must never happen: anything of an ended epoch is delivered or tracked (I3); the frontier
 * passes a batch that was not processed (I1).
 *
 *   opening ──► running ──► done ──► closing ──► ended     opening: its start position is looked up and committed
 *      └───────────┴──────────┴─────────┴──────► ended     done: a bounded run has settled everything up to its end
 *                                                          closing: takes no further batch; the open one still counts
 */
import { type Batch, type Epoch, keyOf } from './batch.ts'
import { Frontier, type Slot } from './commit/frontier.ts'
import type { Dispatcher } from './dispatch/dispatcher.ts'
import type { BatchAnswer, ProcessedAnswer } from './dispatch/messages.ts'
import { assert, ClsConsumerError, type ErrorPlace, fromFailure, toClsError } from './errors.ts'
import { resultError } from './failure/deliver.ts'
import { advances } from './fetch/next-offset.ts'
import type { PullBound, PullChain, PullHandlers } from './fetch/pull-chain.ts'
import type { ResultPlace } from './options.ts'

export interface TenureHandlers {
  /** The monotonic clock. */
  nowMs(): number
  /** Whether the lease holds now, by the clock (I12). Ends the epochs if it does not. */
  checkLease(): boolean
  /** A batch is on its way to a thread: its answer comes back to this tenure. */
  dispatched(batch: Batch): void
  /** The frontier has moved: commit this. */
  progressed(offset: bigint): void
  /**
   * Gives the result to the user, again where that fails (`signal` ends the attempts, not the call under way). Resolves to
   * whether it was taken. Where there is nobody to give it to, undefined.
   */
  readonly deliver: ((result: unknown, place: ResultPlace, signal: AbortSignal) => Promise<boolean>) | undefined
  /** A batch is processed, its result delivered, and it counts. `latencyMs`: since its body had arrived. */
  processed(batch: Batch, answer: ProcessedAnswer, nextOffset: bigint, latencyMs: number): void
  retried(error: ClsConsumerError, place: ErrorPlace, waitMs: number): void
  /** The service has answered a pull; `wasRefused`: the one before it was refused. */
  answered(wasRefused: boolean): void
  /** The chain cannot go on from `offset`; everything before it is settled. */
  stuck(error: ClsConsumerError, offset: bigint): void
  /** A batch failed for good; the frontier stays before it. */
  failed(error: ClsConsumerError): void
  /** A bounded run has settled everything up to its end. */
  done(nextOffset: bigint): void
  /** Bytes were freed. */
  freed(): void
}

type Phase = 'opening' | 'running' | 'done' | 'closing' | 'ended'

const MOVES = {
  opening: ['running', 'closing', 'ended'],
  running: ['done', 'closing', 'ended'],
  done: ['closing', 'ended'],
  closing: ['ended'],
  ended: []
} as const satisfies Record<Phase, readonly Phase[]>

/** A response that makes no sense may be a fault of the transport: it is pulled again this often. */
const REPULLS_MAX = 3
const REPULL_DELAY_MS = 500

export class Tenure {
  readonly epoch: Epoch
  readonly #dispatcher: Dispatcher
  readonly #handlers: TenureHandlers
  /** By batch, while it is open or waits. */
  readonly #slots = new Map<number, { readonly slot: Slot; readonly arrivedMs: number }>()
  /** A result that was refused is not offered again once it aborts. */
  readonly #closed = new AbortController()
  #phase: Phase = 'opening'
  #chain: PullChain | undefined
  #frontier: Frontier | undefined
  #startOffset: bigint | undefined
  #repullCount = 0
  #refusedCount = 0
  /** The chain has stopped there; acted on once everything before it is settled, since a peek may have led it astray. */
  #chainFailure: { readonly error: ClsConsumerError; readonly offset: bigint } | undefined

  constructor(epoch: Epoch, dispatcher: Dispatcher, handlers: TenureHandlers) {
    this.epoch = epoch
    this.#dispatcher = dispatcher
    this.#handlers = handlers
  }

  get phase(): Phase {
    return this.#phase
  }

  /** Aborts when no further batch is taken. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  get startOffset(): bigint | undefined {
    return this.#startOffset
  }

  /** The frontier: where a successor would start if this were committed. */
  get nextOffset(): bigint | undefined {
    return this.#frontier?.nextOffset
  }

  /** The start position is known and committed: pulls begin. */
  run(startOffset: bigint, chain: (handlers: PullHandlers) => PullChain): void {
    this.#move('running')
    this.#startOffset = startOffset
    this.#frontier = new Frontier(startOffset)
    this.#chain = chain({
      batch: batch => this.#dispatch(batch),
      advanced: (_from, to) => this.#advance(to),
      ended: () => this.#checkRest(),
      answered: () => {
        const wasRefused = this.isRefused
        this.#refusedCount = 0
        // Nothing is open that may be broken: a quiet partition may meet a broken body now and then, for ever.
        if (this.#frontier?.openCount === 0) this.#repullCount = 0
        this.#handlers.answered(wasRefused)
      },
      retried: (error, offset, waitMs) => {
        this.#chainFailure = undefined
        this.#handlers.retried(error, { ...placeOf(this.epoch), offset }, waitMs)
      },
      failed: (error, offset) => {
        this.#chainFailure = { error, offset }
        this.#checkRest()
      }
    })
    this.#chain.pump()
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

  /** The service has refused its last pull. */
  get isRefused(): boolean {
    return this.#refusedCount > 0
  }

  /** How often in a row the service has refused its pulls, this time included. */
  refused(): number {
    this.#refusedCount += 1
    return this.#refusedCount
  }

  /** Pulls again from where the chain got stuck. */
  retry(offset: bigint): void {
    if (this.#phase === 'running') this.#chain?.restart(offset)
  }

  /** Pulls no more and opens no further batch; the open one still counts. */
  close(): void {
    if (this.#phase === 'closing' || this.#phase === 'ended') return
    this.#move('closing')
    this.#closed.abort(new Error('the partition is closing'))
    this.#chain?.stop()
  }

  /** The epoch is over: nothing of it counts from here on (I3). */
  end(): void {
    if (this.#phase === 'ended') return
    this.#move('ended')
    this.#closed.abort(new Error('the epoch has ended'))
    this.#chain?.stop()
  }

  mayStart(): boolean {
    return this.#phase === 'running' && this.#handlers.checkLease()
  }

  /** Told by the thread before it processes; the next pull need not wait for the processor. */
  confirm(batch: Batch, nextOffset: bigint | undefined): void {
    const slot = this.#slots.get(batch.batchId)?.slot
    if (slot === undefined || this.#chain === undefined || this.#chain.confirm(batch, nextOffset)) return
    // What was pulled behind this batch was based on a wrong peek: none of it has started, since this one is open (I2).
    this.#chainFailure = undefined
    this.#dispatcher.dropQueued(this.epoch)
    this.#frontier?.truncateAfter(slot)
    this.#chain.pump()
  }

  async answered(batch: Batch, answer: BatchAnswer): Promise<void> {
    try {
      await this.#settle(batch, answer)
    } catch (error) {
      this.#fail(toClsError(error, placeOfBatch(batch)))
    }
    this.dropped(batch)
    this.#checkRest()
  }

  /** The batch is out of every stage: its bytes are free. */
  dropped(batch: Batch): void {
    this.#slots.delete(batch.batchId)
    this.#chain?.free(batch)
    this.#handlers.freed()
  }

  #dispatch(batch: Batch): void {
    assert(batch.epoch === this.epoch.epoch, `I3: a batch of epoch ${batch.epoch} came to epoch ${this.epoch.epoch}`)
    if (this.#frontier !== undefined)
      this.#slots.set(batch.batchId, { slot: this.#frontier.open(), arrivedMs: this.#handlers.nowMs() })
    this.#handlers.dispatched(batch)
    this.#dispatcher.enqueue(batch)
  }

  #advance(to: bigint): void {
    const frontier = this.#frontier
    if (frontier === undefined) return
    const before = frontier.nextOffset
    this.#track(before, frontier.skip(to))
    this.#checkRest()
  }

  async #settle(batch: Batch, answer: BatchAnswer): Promise<void> {
    const waiting = this.#slots.get(batch.batchId)
    const frontier = this.#frontier
    if (this.#phase === 'ended' || waiting === undefined || frontier === undefined) return
    const { slot, arrivedMs } = waiting
    if (answer.kind === 'failed') {
      this.#failBatch(batch, slot, fromFailure(answer.failure), answer.stage === 'decode')
      return
    }
    if (answer.kind === 'not-started') {
      // Its lease had ended when its turn came, so the epoch ends here; or its partition is closing anyway.
      if (this.#handlers.checkLease() && this.#phase === 'running') this.#repull(batch, slot)
      return
    }

    this.confirm(batch, answer.nextOffset)
    const nextOffset = this.#endOf(batch, answer)
    if (nextOffset instanceof ClsConsumerError) {
      this.#failBatch(batch, slot, nextOffset, true)
      return
    }
    if (answer.poison.length > 0) throw poisonError(batch, answer)
    const isDelivered = await this.#deliver(batch, answer, nextOffset)
    // `onResult` took its time: the epoch may have ended, the lease too. What it was given repeats elsewhere.
    if (!isDelivered || this.#hasEnded()) return
    this.#repullCount = 0
    this.#handlers.processed(batch, answer, nextOffset, this.#handlers.nowMs() - arrivedMs)
    const before = frontier.nextOffset
    this.#track(before, frontier.settle(slot, nextOffset))
  }

  /** False: the partition closed before the result was taken; its batch stays unsettled, and repeats elsewhere. */
  async #deliver(batch: Batch, answer: ProcessedAnswer, nextOffset: bigint): Promise<boolean> {
    const { deliver } = this.#handlers
    if (deliver === undefined || answer.logCount === 0 || this.#hasEnded()) return true
    const { startOffset } = batch
    const place = { ...placeOf(batch), startOffset, nextOffset, logCount: answer.logCount }
    try {
      return await deliver(answer.result, place, this.#closed.signal)
    } catch (error) {
      throw resultError(error, placeOfBatch(batch))
    }
  }

  /** Asked after every wait: only the clock tells whether this process was stopped meanwhile (I12). */
  #hasEnded(): boolean {
    return !this.#handlers.checkLease() || this.#phase === 'ended'
  }

  /** Where a processed batch ends, from what the service wrote as `NextOffset` (protocol of `pull_log`). */
  #endOf(batch: Batch, { nextOffset, messageCount }: ProcessedAnswer): bigint | ClsConsumerError {
    if (advances(batch.startOffset, nextOffset)) return nextOffset
    if (nextOffset === -1n && batch.endOffset !== undefined) return batch.endOffset
    if (messageCount === 0) return batch.startOffset
    const message = `the service sent ${messageCount} messages and no offset to go on from: NextOffset is ${nextOffset}`
    return new ClsConsumerError('NEXT_OFFSET_STUCK', message, placeOfBatch(batch))
  }

  #track(before: bigint, after: bigint): void {
    if (after !== before) this.#handlers.progressed(after)
  }

  #failBatch(batch: Batch, slot: Slot, error: ClsConsumerError, isEnvelope: boolean): void {
    if (this.#phase !== 'running') return
    if (isEnvelope && isOfService(error)) {
      this.#forget(slot)
      this.#chain?.refused(error, batch.startOffset)
    } else if (isEnvelope && error.remedy === 'retry' && this.#repullCount < REPULLS_MAX) {
      this.#repullCount += 1
      this.#handlers.retried(error, placeOfBatch(batch), REPULL_DELAY_MS)
      this.#repull(batch, slot)
    } else {
      this.#fail(error)
    }
  }

  #repull(batch: Batch, slot: Slot): void {
    this.#chain?.restart(batch.startOffset, REPULL_DELAY_MS, 'ignored')
    this.#forget(slot)
  }

  /** This batch and what waits behind it will be pulled again, if at all. */
  #forget(slot: Slot): void {
    this.#chainFailure = undefined
    this.#dispatcher.dropQueued(this.epoch)
    this.#frontier?.truncateFrom(slot)
  }

  /** The partition stops before the failed batch: its slot stays open, so the frontier never passes it (I1). */
  #fail(error: ClsConsumerError): void {
    this.#chain?.stop()
    this.#dispatcher.dropQueued(this.epoch)
    this.#handlers.failed(error)
  }

  #checkRest(): void {
    if (this.#phase !== 'running' || this.#frontier?.openCount !== 0 || this.#chain?.pendingCount !== 0) return
    const failure = this.#chainFailure
    if (failure !== undefined) {
      this.#chainFailure = undefined
      this.#handlers.stuck(failure.error, failure.offset)
    } else if (this.#chain.hasEnded) {
      this.#move('done')
      this.#handlers.done(this.#frontier.nextOffset)
    }
  }

  #move(phase: Phase): void {
    const moves: readonly Phase[] = MOVES[this.#phase]
    assert(moves.includes(phase), `I3: the tenure of ${keyOf(this.epoch)} moves from ${this.#phase} to ${phase}`)
    this.#phase = phase
  }
}

/** The service's own word, or a response of a size that was not to be: what to do is as for a pull that brought none. */
function isOfService({ code }: ClsConsumerError): boolean {
  return code.startsWith('API_') || code === 'BODY_TOO_LARGE'
}

function placeOf({ topicId, partition }: Epoch): { topicId: string; partition: number } {
  return { topicId, partition }
}

function placeOfBatch(batch: Batch): ErrorPlace {
  return { ...placeOf(batch), offset: batch.startOffset }
}

function poisonError(batch: Batch, { poison }: ProcessedAnswer): ClsConsumerError {
  const first = poison[0]
  const at = first?.bytePosition === undefined ? '' : ` at byte ${first.bytePosition}`
  const message = `${poison.length} undecodable messages; the first is message ${first?.messageIndex}: ${first?.reason}${at}`
  return new ClsConsumerError('MESSAGE_CORRUPT', message, placeOfBatch(batch))
}
