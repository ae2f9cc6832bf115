/**
 * One tenure: the way of the batches of one partition in one epoch, from the pull chain over the lane to the frontier.
 *
 * In: what the chain hands on, what threads answer. Out: progress to commit, results, and trouble. Part of the assembly:
 * it knows more than one stage. `supply.ts` has the pulls, `settler.ts` judges answers, `progress.ts` counts what has settled;
 * what a verdict means for all of them is decided here. Must never happen: anything of an ended epoch is tracked (I3).
 *
 *   opening ──► running ──► done ──► closing ──► ended     opening: its start position is looked up and committed
 *      │           ├──► paused ──┤        ▲                 done: a bounded run has settled everything up to its end
 *      │           └──► parked ──┘        │                 paused, parked: nothing is pulled or opened, by the user's
 *      └──────────────────────────────────┘                 order or by the policy; it goes on in a new epoch
 *                                                           closing: takes no further batch; the open one still counts
 * From each it may end.
 */
import { type Batch, type Epoch, keyOf, type Outline } from './batch.ts'
import type { Saves } from './commit/saves.ts'
import type { Dispatcher } from './dispatch/dispatcher.ts'
import type { BatchAnswer } from './dispatch/messages.ts'
import { assert, type ClsConsumerError } from './errors.ts'
import type { PullChain, PullHandlers } from './fetch/pull-chain.ts'
import type { LastResort } from './last-resort.ts'
import { type Beginning, Progress, type Waiting } from './progress.ts'
import { Settler, type Verdict } from './settler.ts'
import { Supply, type SupplyControl } from './supply.ts'
import type { TenureHandlers } from './tenure-parts.ts'

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

export class Tenure {
  readonly epoch: Epoch
  readonly #dispatcher: Dispatcher
  readonly #handlers: TenureHandlers
  readonly #settler: Settler
  readonly #supply: Supply
  readonly #progress: Progress
  /** What is tried again elsewhere is not tried again here once it aborts. */
  readonly #closed = new AbortController()
  #phase: TenurePhase = 'opening'
  #progressMs: number
  /** Whose lack of progress counts, until there is some. */
  #clockFrom: 'itself' | 'predecessor' = 'itself'

  constructor(epoch: Epoch, dispatcher: Dispatcher, lastResort: LastResort, handlers: TenureHandlers) {
    this.epoch = epoch
    this.#dispatcher = dispatcher
    this.#handlers = handlers
    this.#progressMs = handlers.nowMs()
    this.#progress = new Progress(offset => handlers.progressed(offset))
    this.#settler = new Settler(lastResort, {
      hasEnded: () => !handlers.checkLease() || this.#phase === 'ended',
      mayRepull: () => this.#supply.mayRepull(),
      deliver: handlers.deliver
    })
    this.#supply = new Supply({
      batch: batch => this.#dispatch(batch),
      advanced: to => this.#advance(to),
      answered: wasRefused => this.#answered(wasRefused),
      ended: () => this.#checkRest(),
      retried: (error, offset, waitMs, attempt) =>
        handlers.retried(error, { ...placeOf(epoch), offset }, waitMs, attempt),
      repulled: (error, offset, waitMs, attempt) =>
        handlers.repulled(error, { ...placeOf(epoch), offset }, waitMs, attempt),
      repullDelayMs: count => handlers.repullDelayMs(count)
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
    return this.#progress.startOffset
  }

  /** The frontier: everything before is settled. */
  get nextOffset(): bigint | undefined {
    return this.#progress.nextOffset
  }

  get saves(): Saves | undefined {
    return this.#progress.saves
  }

  /** In commit mode manual: the processor keeps something that no save covers. */
  get hasUnsaved(): boolean {
    return this.#progress.hasUnsaved
  }

  /** Where a successor would start if this were committed. */
  get committableOffset(): bigint | undefined {
    return this.#progress.committableOffset
  }

  /** Since when nothing has come forward, though nobody knows of nothing to do. Monotonic, ms. */
  get progressMs(): number {
    return this.#progressMs
  }

  /** Its pulls. */
  get supply(): SupplyControl {
    return this.#supply
  }

  /** The service has refused its last pull, and will be asked again. */
  get isRefused(): boolean {
    return this.#phase === 'running' && this.#supply.isRefused
  }

  /** A processor that repositions the partition again and again makes no progress by that. */
  standsStillSince(progressMs: number): void {
    this.#progressMs = progressMs
    this.#clockFrom = 'predecessor'
  }

  /** It will begin with what its predecessor has settled: given up before, it still has that to commit. */
  carry(beginning: Beginning): void {
    this.#progress.carry(beginning)
  }

  /** The start position is known and committed: pulls begin. */
  run(beginning: Beginning, chain: (handlers: PullHandlers) => PullChain): void {
    this.#move('running')
    this.#progress.begin(beginning)
    if (this.#clockFrom === 'itself') this.#progressMs = this.#handlers.nowMs()
    this.#supply.begin(beginning.startOffset, chain)
  }

  /** Pulls again from where the chain got stuck. */
  retry(offset: bigint): void {
    if (this.#phase === 'running') this.#supply.restart(offset)
  }

  /** Pulls no more and opens no further batch; the open one still counts. */
  close(): void {
    if (this.#phase === 'closing' || this.#phase === 'ended') return
    this.#move('closing')
    this.#progressMs = this.#handlers.nowMs()
    this.#closed.abort(new Error('the partition is closing'))
    this.#supply.stop()
  }

  /** The epoch is over: nothing of it counts from here on (I3). */
  end(): void {
    if (this.#phase === 'ended') return
    this.#move('ended')
    this.#closed.abort(new Error('the epoch has ended'))
    this.#supply.stop()
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
    const waiting = this.#progress.find(batch)
    if (waiting === undefined) return
    waiting.outline = outline
    this.#confirm(batch, waiting, outline.nextOffset)
  }

  /** The processor has saved what was processed up to here. */
  save(): void {
    if (this.#phase !== 'ended') this.#progress.save()
  }

  async answered(batch: Batch, answer: BatchAnswer, attempt: number): Promise<void> {
    const waiting = this.#progress.find(batch)
    if (this.#phase !== 'ended' && waiting !== undefined) {
      if (answer.kind === 'processed') {
        waiting.isSaved = answer.isSaved
        waiting.isKept = answer.logCount > 0 && !answer.isSaved
        this.#confirm(batch, waiting, answer.nextOffset)
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
    this.#progress.drop(batch)
    this.#supply.free(batch)
    this.#handlers.freed()
  }

  #dispatch(batch: Batch): void {
    assert(batch.epoch === this.epoch.epoch, `I3: a batch of epoch ${batch.epoch} came to epoch ${this.epoch.epoch}`)
    this.#progress.open(batch, this.#handlers.nowMs())
    this.#handlers.dispatched(batch)
    this.#dispatcher.enqueue(batch)
  }

  #answered(wasRefused: boolean): void {
    if (this.#progress.restOffset !== undefined) {
      // Nothing is open that may be broken: a quiet partition may meet a broken body now and then, for ever.
      this.#supply.forgetRepulls()
      this.#progressMs = this.#handlers.nowMs()
    }
    this.#handlers.answered(wasRefused && this.#phase === 'running')
  }

  #advance(to: bigint): void {
    this.#progressMs = this.#handlers.nowMs()
    this.#progress.advance(to)
    this.#checkRest()
  }

  #confirm(batch: Batch, waiting: Waiting, nextOffset: bigint | undefined): void {
    if (this.#supply.confirm(batch, nextOffset)) return
    // What was pulled behind this batch was based on a wrong peek: none of it has started, since this one is open (I2).
    this.#dispatcher.dropQueued(this.epoch)
    this.#progress.truncateAfter(waiting)
    this.#supply.pump()
  }

  #act(batch: Batch, waiting: Waiting, verdict: Verdict): void {
    const isAtWork = this.#phase === 'running' || this.#phase === 'paused'
    switch (verdict.kind) {
      case 'processed':
        this.#supply.forgetRepulls()
        this.#settle(waiting, verdict.nextOffset)
        // Last: who hears of it may reposition the partition at once.
        this.#handlers.processed(batch, verdict.answer, verdict.nextOffset, this.#handlers.nowMs() - waiting.arrivedMs)
        return
      case 'passed':
        if (waiting.outline === undefined) this.#confirm(batch, waiting, verdict.nextOffset)
        this.#settle(waiting, verdict.nextOffset)
        return
      case 'passed-body':
        this.#passBody(waiting, verdict.nextOffset)
        return
      case 'repull':
        if (this.#phase !== 'running') return
        this.#supply.repull(batch, verdict.error, verdict.repulls)
        this.#forget(waiting)
        return
      case 'refused':
        if (this.#phase !== 'running') return
        this.#forget(waiting)
        this.#supply.refusedWithin(verdict.error, batch.startOffset)
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

  #settle(waiting: Waiting, nextOffset: bigint): void {
    this.#progressMs = this.#handlers.nowMs()
    this.#progress.settle(waiting, nextOffset)
  }

  /** Whatever was pulled behind it was based on an offset in a body that cannot be read. */
  #passBody(waiting: Waiting, nextOffset: bigint): void {
    this.#supply.forgetRepulls()
    this.#dispatcher.dropQueued(this.epoch)
    this.#progress.truncateAfter(waiting)
    this.#settle(waiting, nextOffset)
    if (this.#phase === 'running') this.#supply.restart(nextOffset)
  }

  /** This batch and what waits behind it will be pulled again, if at all. */
  #forget(waiting: Waiting): void {
    this.#dispatcher.dropQueued(this.epoch)
    this.#progress.truncateFrom(waiting)
  }

  /** The partition stops before the failed batch: its slot stays open, so the frontier never passes it (I1). */
  #fail(error: ClsConsumerError): void {
    this.#supply.stop()
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
    this.#supply.stop()
    this.#dispatcher.dropQueued(this.epoch)
  }

  #checkRest(): void {
    const { restOffset } = this.#progress
    if (this.#phase !== 'running' || restOffset === undefined) return
    const end = this.#supply.takeEnd()
    if (end?.kind === 'stuck') {
      this.#handlers.stuck(end.error, end.offset)
    } else if (end?.kind === 'bound') {
      this.#move('done')
      this.#handlers.done(restOffset)
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
