/**
 * One tenure: the way of the batches of one partition in one epoch, from the pull chain over the lane to the frontier.
 *
 * In: what the chain hands on, what threads answer. Out: progress to commit, results, and trouble. Part of the assembly:
 * it knows more than one stage. `settler.ts` judges answers. Must never happen: anything of an ended epoch is tracked
 * (I3); the frontier passes a batch that was neither processed nor given up (I1).
 *
 *   opening ──► running ──► done ──► closing ──► ended     opening: its start position is looked up and committed
 *      │           ├──► paused ──┤        ▲                 done: a bounded run has settled everything up to its end
 *      │           └──► parked ──┘        │                 paused, parked: nothing is pulled or opened, by the user's
 *      └──────────────────────────────────┘                 order or by the policy; it goes on in a new epoch
 *                                                           closing: takes no further batch; the open one still counts
 * From each it may end.
 */
import { type Batch, type Epoch, keyOf } from './batch.ts'
import { Frontier, type Slot } from './commit/frontier.ts'
import type { Saves } from './commit/saves.ts'
import type { Dispatcher } from './dispatch/dispatcher.ts'
import type { BatchAnswer, ProcessedAnswer } from './dispatch/messages.ts'
import { assert, type ClsConsumerError, type ErrorPlace } from './errors.ts'
import type { Outline } from './fetch/next-offset.ts'
import type { PullBound, PullChain, PullHandlers, PullWait } from './fetch/pull-chain.ts'
import type { LastResort } from './last-resort.ts'
import { Settler, type SettlerHandlers, type Verdict } from './settler.ts'

export interface TenureHandlers extends Pick<SettlerHandlers, 'deliver'> {
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
  retried(error: ClsConsumerError, place: ErrorPlace, waitMs: number): void
  /** How long until a response that made no sense so often in a row is pulled again; undefined: it is not. */
  repullDelayMs(count: number): number | undefined
  /** The service has answered a pull; `wasRefused`: the one before it was refused. */
  answered(wasRefused: boolean): void
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

export type TenurePhase = 'opening' | 'running' | 'paused' | 'parked' | 'done' | 'closing' | 'ended'

const MOVES = {
  opening: ['running', 'closing', 'ended'],
  running: ['paused', 'parked', 'done', 'closing', 'ended'],
  paused: ['parked', 'closing', 'ended'],
  parked: ['closing', 'ended'],
  done: ['closing', 'ended'],
  closing: ['ended'],
  ended: []
} as const satisfies Record<TenurePhase, readonly TenurePhase[]>

/** Between a batch that did not start and its next pull. */
const REPULL_DELAY_MS = 500
/** Where it was pulled so often, and nothing can be there to be passed. */
const REPULL_REST_MS = 5000

/** A batch that is open, or waits. */
interface Waiting {
  readonly slot: Slot
  readonly arrivedMs: number
  outline: Outline | undefined
  /** Processed and not saved, and about to settle: what the processor keeps has it. */
  isKept: boolean
}

/** Where a tenure begins. */
export interface Beginning {
  readonly startOffset: bigint
  /** In commit mode manual: what is saved. Before the start where what the processor keeps is not. */
  readonly saves: Saves | undefined
}

export class Tenure {
  readonly epoch: Epoch
  readonly #dispatcher: Dispatcher
  readonly #handlers: TenureHandlers
  readonly #settler: Settler
  readonly #waiting = new Map<number, Waiting>()
  /** What is tried again elsewhere is not tried again here once it aborts. */
  readonly #closed = new AbortController()
  #phase: TenurePhase = 'opening'
  #chain: PullChain | undefined
  #frontier: Frontier | undefined
  #beginning: Beginning | undefined
  #toldOffset: bigint | undefined
  #repullCount = 0
  #refusedCount = 0
  /** The chain has stopped there; acted on once everything before it is settled, since a peek may have led it astray. */
  #chainFailure: { readonly error: ClsConsumerError; readonly offset: bigint } | undefined
  #lastRetry: ClsConsumerError | undefined
  #progressMs: number
  /** Whose lack of progress counts, until there is some. */
  #clockFrom: 'itself' | 'predecessor' = 'itself'

  constructor(epoch: Epoch, dispatcher: Dispatcher, lastResort: LastResort, handlers: TenureHandlers) {
    this.epoch = epoch
    this.#dispatcher = dispatcher
    this.#handlers = handlers
    this.#progressMs = handlers.nowMs()
    this.#settler = new Settler(lastResort, {
      hasEnded: () => !handlers.checkLease() || this.#phase === 'ended',
      mayRepull: () => handlers.repullDelayMs(this.#repullCount + 1) !== undefined,
      deliver: handlers.deliver
    })
  }

  get phase(): TenurePhase {
    return this.#phase
  }

  /** Aborts when no further batch is taken. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  get startOffset(): bigint | undefined {
    return this.#beginning?.startOffset
  }

  /** The frontier: everything before is settled. */
  get nextOffset(): bigint | undefined {
    return this.#frontier?.nextOffset
  }

  get saves(): Saves | undefined {
    return this.#beginning?.saves
  }

  /** In commit mode manual: the processor keeps something that no save covers. */
  get hasUnsaved(): boolean {
    if (this.saves === undefined) return false
    return this.saves.hasUnsaved || [...this.#waiting.values()].some(({ isKept }) => isKept)
  }

  /** Where a successor would start if this were committed. */
  get committableOffset(): bigint | undefined {
    return this.#beginning?.saves?.offset ?? this.#frontier?.nextOffset
  }

  /** Since when nothing has come forward, though nobody knows of nothing to do. Monotonic, ms. */
  get progressMs(): number {
    return this.#progressMs
  }

  /** What the chain waits for, and the error that its last pull met, if it is tried again. */
  get pulling(): { readonly wait: PullWait | undefined; readonly lastRetry: ClsConsumerError | undefined } {
    return { wait: this.#chain?.waitsFor(), lastRetry: this.#lastRetry }
  }

  /** A processor that turns the partition again and again makes no progress by that. */
  standsStillSince(progressMs: number): void {
    this.#progressMs = progressMs
    this.#clockFrom = 'predecessor'
  }

  /** It will begin with what its predecessor has settled: given up before, it still has that to commit. */
  carry(beginning: Beginning): void {
    this.#beginning = beginning
  }

  /** The start position is known and committed: pulls begin. */
  run(beginning: Beginning, chain: (handlers: PullHandlers) => PullChain): void {
    this.#move('running')
    this.#beginning = beginning
    this.#frontier = new Frontier(beginning.startOffset)
    this.#toldOffset = this.committableOffset
    if (this.#clockFrom === 'itself') this.#progressMs = this.#handlers.nowMs()
    this.#chain = chain({
      batch: batch => this.#dispatch(batch),
      advanced: (_from, to) => this.#advance(to),
      ended: () => this.#checkRest(),
      answered: () => this.#answered(),
      retried: (error, offset, waitMs) => {
        this.#chainFailure = undefined
        this.#lastRetry = error
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

  /** The service has refused its last pull, and will be asked again. */
  get isRefused(): boolean {
    return this.#phase === 'running' && this.#refusedCount > 0
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
    this.#progressMs = this.#handlers.nowMs()
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

  /** Gives its bytes back, but for those of the open batch, which still counts. To go on takes a new epoch. */
  pause(): void {
    if (this.#phase === 'running') this.#halt('paused')
  }

  mayStart(): boolean {
    return this.#phase === 'running' && this.#handlers.checkLease()
  }

  /** Told by the thread before it processes; the next pull need not wait for the processor. */
  outlined(batch: Batch, outline: Outline): void {
    const waiting = this.#waiting.get(batch.batchId)
    if (waiting === undefined) return
    waiting.outline = outline
    this.#confirm(batch, waiting.slot, outline.nextOffset)
  }

  /** The processor has saved what was processed up to here. */
  save(): void {
    if (this.#phase === 'ended' || this.saves === undefined) return
    this.saves.save()
    this.#tell()
  }

  async answered(batch: Batch, answer: BatchAnswer, attempt: number): Promise<void> {
    const waiting = this.#waiting.get(batch.batchId)
    if (this.#phase !== 'ended' && waiting !== undefined) {
      if (answer.kind === 'processed') {
        waiting.isKept = answer.logCount > 0 && !answer.isSaved
        this.#confirm(batch, waiting.slot, answer.nextOffset)
      }
      const { outline } = waiting
      const verdict = await this.#settler.judge({ batch, attempt, outline, signal: this.#closed.signal }, answer)
      // Somebody else's turn may come between the verdict and this one, and end the epoch: a late progress would be
      // committed over its successor's.
      if (this.phase !== 'ended') this.#act(batch, waiting, verdict)
    }
    this.dropped(batch)
    this.#checkRest()
  }

  /** The batch is out of every stage: its bytes are free. */
  dropped(batch: Batch): void {
    this.#waiting.delete(batch.batchId)
    this.#chain?.free(batch)
    this.#handlers.freed()
  }

  #dispatch(batch: Batch): void {
    assert(batch.epoch === this.epoch.epoch, `I3: a batch of epoch ${batch.epoch} came to epoch ${this.epoch.epoch}`)
    if (this.#frontier !== undefined) {
      const slot = this.#frontier.open()
      this.#waiting.set(batch.batchId, { slot, arrivedMs: this.#handlers.nowMs(), outline: undefined, isKept: false })
    }
    this.#handlers.dispatched(batch)
    this.#dispatcher.enqueue(batch)
  }

  #answered(): void {
    const wasRefused = this.isRefused
    this.#refusedCount = 0
    this.#lastRetry = undefined
    if (this.#frontier?.openCount === 0) {
      // Nothing is open that may be broken: a quiet partition may meet a broken body now and then, for ever.
      this.#repullCount = 0
      this.#progressMs = this.#handlers.nowMs()
    }
    this.#handlers.answered(wasRefused)
  }

  #advance(to: bigint): void {
    const frontier = this.#frontier
    if (frontier === undefined) return
    this.#progressMs = this.#handlers.nowMs()
    const nextOffset = frontier.skip(to)
    this.saves?.advanced(nextOffset)
    this.#tell()
    this.#checkRest()
  }

  #confirm(batch: Batch, slot: Slot, nextOffset: bigint | undefined): void {
    if (this.#chain === undefined || this.#chain.confirm(batch, nextOffset)) return
    // What was pulled behind this batch was based on a wrong peek: none of it has started, since this one is open (I2).
    this.#chainFailure = undefined
    this.#dispatcher.dropQueued(this.epoch)
    this.#frontier?.truncateAfter(slot)
    this.#chain.pump()
  }

  #act(batch: Batch, waiting: Waiting, verdict: Verdict): void {
    const isAtWork = this.#phase === 'running' || this.#phase === 'paused'
    switch (verdict.kind) {
      case 'processed':
        this.#repullCount = 0
        this.#settle(waiting, verdict.nextOffset, verdict.answer)
        // Last: who hears of it may turn the partition elsewhere at once.
        this.#handlers.processed(batch, verdict.answer, verdict.nextOffset, this.#handlers.nowMs() - waiting.arrivedMs)
        return
      case 'passed':
        if (waiting.outline === undefined) this.#confirm(batch, waiting.slot, verdict.nextOffset)
        this.#settle(waiting, verdict.nextOffset)
        return
      case 'passed-body':
        this.#passBody(waiting, verdict.nextOffset)
        return
      case 'repull':
        if (this.#phase === 'running') this.#repull(batch, waiting.slot, verdict)
        return
      case 'refused':
        if (this.#phase !== 'running') return
        this.#forget(waiting.slot)
        this.#chain?.refused(verdict.error, batch.startOffset)
        return
      case 'rewound':
        if (isAtWork) this.#handlers.rewound(verdict.offset)
        return
      case 'park':
        if (isAtWork) this.#park(verdict.error)
        return
      case 'stop':
        if (isAtWork) this.#fail(verdict.error)
        return
      case 'left':
        return
    }
  }

  #settle({ slot, isKept }: Waiting, nextOffset: bigint, answer?: ProcessedAnswer): void {
    const frontier = this.#frontier?.settle(slot, nextOffset)
    if (frontier === undefined) return
    this.#progressMs = this.#handlers.nowMs()
    if (isKept || answer?.isSaved === true) this.saves?.settled(frontier, !isKept, nextOffset)
    else this.saves?.advanced(frontier)
    this.#tell()
  }

  /** What may be committed now, where that is news. */
  #tell(): void {
    const offset = this.committableOffset
    if (offset === undefined || offset === this.#toldOffset) return
    this.#toldOffset = offset
    this.#handlers.progressed(offset)
  }

  /** Whatever was pulled behind it was based on an offset in a body that cannot be read. */
  #passBody(waiting: Waiting, nextOffset: bigint): void {
    this.#repullCount = 0
    this.#chainFailure = undefined
    this.#dispatcher.dropQueued(this.epoch)
    this.#frontier?.truncateAfter(waiting.slot)
    this.#settle(waiting, nextOffset)
    if (this.#phase === 'running') this.#chain?.restart(nextOffset)
  }

  #repull(batch: Batch, slot: Slot, { error, repulls }: Extract<Verdict, { kind: 'repull' }>): void {
    let waitMs = REPULL_DELAY_MS
    if (error !== undefined) {
      this.#repullCount = repulls === 'counted' ? this.#repullCount + 1 : 0
      const delayMs = repulls === 'counted' ? this.#handlers.repullDelayMs(this.#repullCount) : undefined
      waitMs = delayMs ?? REPULL_REST_MS
      this.#lastRetry = error
      this.#handlers.retried(error, placeOfBatch(batch), waitMs)
    }
    this.#chain?.restart(batch.startOffset, waitMs, 'ignored')
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

  /** Likewise; it stays ours, and gives its bytes back. */
  #park(error: ClsConsumerError): void {
    this.#halt('parked')
    this.#handlers.parked(error)
  }

  #halt(phase: 'paused' | 'parked'): void {
    this.#move(phase)
    this.#chain?.stop()
    this.#dispatcher.dropQueued(this.epoch)
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

  #move(phase: TenurePhase): void {
    const moves: readonly TenurePhase[] = MOVES[this.#phase]
    assert(moves.includes(phase), `I3: the tenure of ${keyOf(this.epoch)} moves from ${this.#phase} to ${phase}`)
    this.#phase = phase
  }
}

function placeOf({ topicId, partition }: Epoch): { topicId: string; partition: number } {
  return { topicId, partition }
}

function placeOfBatch(batch: Batch): ErrorPlace {
  return { ...placeOf(batch), offset: batch.startOffset }
}
