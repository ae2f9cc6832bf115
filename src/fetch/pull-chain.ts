/**
 * The pull chain of one partition in one epoch: each response's next offset starts the next pull, ahead of processing.
 *
 * In: a start offset; what pulls bring; the word of scout and worker on offsets that could not be peeked, or were
 * peeked wrong, and on what the service refused inside a body. Out, in offset order: batches, and advances over ranges
 * without logs. Must never happen: a response is handed on before the ones in front of it; two pulls from the same
 * offset are both handed on; anything is handed on after `stop`.
 *
 * Where the front of a body does not tell the next offset, scout and worker both look, and the first who tells wins.
 * The scout's word is a guess, as a peek is: the worker's is the truth that every guess is compared with.
 */
import type { Batch } from '../batch.ts'
import { assert, ClsConsumerError, type ErrorPlace, fromFailure, toClsError, toFailure } from '../errors.ts'
import type { PulledBody } from '../world.ts'
import type { PullChainParts } from './chain-parts.ts'
import { HandedOn } from './handed-on.ts'
import { advances, type PullBound, stepAfterEmpty } from './next-offset.ts'
import { Pace } from './pace.ts'
import type { Pull } from './pull-list.ts'
import { type PullWait, ReadAhead } from './read-ahead.ts'
import { decodedBytesOf, readBody } from './read-body.ts'

export type { PullHandlers } from './chain-parts.ts'
export type { PullBound } from './next-offset.ts'
export type { PullWait } from './read-ahead.ts'

type Phase = 'pulling' | 'ended' | 'failed' | 'stopped'

/** From `ended` and `failed` it comes back where what led there was based on a wrong offset. */
const MOVES = {
  pulling: ['ended', 'failed', 'stopped'],
  ended: ['pulling', 'failed', 'stopped'],
  failed: ['pulling', 'stopped'],
  stopped: []
} as const satisfies Record<Phase, readonly Phase[]>

export class PullChain {
  readonly #parts: PullChainParts
  readonly #ahead: ReadAhead
  readonly #handedOn = new HandedOn()
  readonly #pace: Pace
  #phase: Phase = 'pulling'

  constructor(parts: PullChainParts) {
    this.#parts = parts
    this.#pace = new Pace(parts.settings.pollIntervalMs)
    this.#ahead = new ReadAhead({
      ...parts,
      handlers: {
        complete: (pull, body) => this.#complete(pull, body),
        broke: (pull, error) => this.#recover(error, pull.startOffset, pull.askedSize),
        reachedBound: () => this.#end(),
        brokeDown: (error, offset) => this.#giveUp(error, offset)
      }
    })
  }

  /** Everything up to the end of the bounded run has been pulled. */
  get hasEnded(): boolean {
    return this.#phase === 'ended'
  }

  /** Pulls under way, or complete and behind one that is. */
  get pendingCount(): number {
    return this.#ahead.pulls.count
  }

  /** Why no further pull is sent now; undefined where none will be. */
  waitsFor(): PullWait | undefined {
    return this.#phase === 'pulling' ? this.#ahead.waitsFor() : undefined
  }

  /** Sends the next pull if its start is known and the budget allows. Called again whenever bytes were freed. */
  pump(): void {
    this.#ahead.pump()
  }

  /**
   * The worker decoded the next offset of a batch. True: it is what the pulls behind were based on. False: it is not;
   * the chain has gone back to it, and batches handed on after this one must be dropped.
   */
  confirm(batch: Batch, nextOffset: bigint | undefined): boolean {
    const verdict = this.#handedOn.confirm(batch, nextOffset)
    if (verdict === 'known') return true
    this.#ahead.size.held(this.#handedOn.askedSizeOf(batch) ?? 0)
    this.#answered(batch.startOffset)
    if (verdict === 'right') return true
    if (this.#phase === 'stopped') return verdict === 'first'
    if (nextOffset === -1n && batch.endOffset !== undefined) {
      this.restart(batch.endOffset)
    } else if (advances(batch.startOffset, nextOffset)) {
      this.#pace.advanced()
      this.restart(nextOffset)
    } else {
      // No logs and no advance, in a response too large to see that here; with logs the worker fails the batch.
      this.restart(batch.startOffset, this.#idleMs())
    }
    return verdict === 'first'
  }

  /**
   * A thread found, in the response pulled from `offset`, an error of the service, or a body too large. The batches
   * from there on must have been dropped before this.
   */
  refused(error: ClsConsumerError, offset: bigint): void {
    if (this.#phase === 'stopped') return
    const askedSize = this.#handedOn.askedSizeAt(offset) ?? this.#ahead.size.size
    this.#clear()
    this.#recover(this.#parts.world.data.heed(error), offset, askedSize)
  }

  /**
   * Drops every pull and goes on from `offset`, after `delayMs`. `front` is ignored after a response that made no sense:
   * nothing is pulled behind the next one before the worker has made sense of it. What would be dropped again is not
   * pulled, and a fault that strikes every Nth pull does not meet the same response each time.
   */
  restart(offset: bigint, delayMs = 0, front: 'sought' | 'ignored' = 'sought'): void {
    if (this.#phase === 'stopped') return
    this.#move('pulling')
    this.#clear()
    this.#ahead.goOnFrom(offset, delayMs, front)
  }

  /** Sends nothing more until `setBound`; what is under way goes on. */
  hold(): void {
    this.#ahead.hold()
  }

  /** From here on the run is bounded. */
  setBound(bound: PullBound): void {
    this.#ahead.setBound(bound)
  }

  /** A batch that was handed on is done or dropped: its bytes are free. */
  free(batch: Batch): void {
    this.#ahead.pulls.free(batch)
    this.#handedOn.free(batch)
  }

  /** Ends pulling for good. What was handed on stays valid. */
  stop(): void {
    this.#move('stopped')
    this.#ahead.clear()
  }

  /** The head is complete: hands it on, or deals with a response that holds no log. */
  #complete(pull: Pull, body: PulledBody): void {
    const { epoch, world } = this.#parts
    const place: ErrorPlace = { topicId: epoch.topicId, partition: epoch.partition, offset: pull.startOffset }
    const reading = readBody(body, pull.peekedOffset, place)
    switch (reading.kind) {
      case 'refused':
        this.#broke(pull, world.data.heed(reading.error))
        return
      case 'empty':
        // First: the pull behind it may have been refused, which its advance brings out. Told after that, an older
        // answer would make the refusal good again.
        this.#answered(pull.startOffset)
        if (this.#phase !== 'stopped') this.#skipEmpty(pull, reading.nextOffset, place)
        return
      case 'batch':
        if (typeof reading.nextOffset === 'bigint') this.#ahead.peeked(pull, reading.nextOffset)
        this.#ahead.pulls.handOnHead()
        this.#handOn(pull, body)
        if (reading.nextOffset === 'nowhere' && pull.front !== 'ignored') this.#scout()
    }
  }

  /** The response from there is known to be no refusal. */
  #answered(startOffset: bigint): void {
    const { epoch, world, handlers } = this.#parts
    world.data.worked({ ...epoch, startOffset })
    handlers.answered()
  }

  #handOn(pull: Pull, body: PulledBody): void {
    const { settings, epoch, handlers, nextBatchId } = this.#parts
    const { startOffset, askedSize, peekedOffset } = pull
    const batch: Batch = {
      ...epoch,
      batchId: nextBatchId(),
      startOffset,
      endOffset: pull.bound?.endOffset,
      peekedOffset,
      body,
      decodedBytes: decodedBytesOf(body, settings.responseBytesMax)
    }
    this.#handedOn.add(batch, askedSize)
    // Where only others can tell whether anything came, they set the pace.
    if (peekedOffset !== undefined) this.#pace.advanced()
    handlers.batch(batch)
  }

  /** So that the next pull need not wait for a processor. */
  #scout(): void {
    const batch = this.#handedOn.awaited
    if (batch === undefined) return
    this.#parts.world.scout
      .nextOffset(batch.body)
      .then(nextOffset => this.#scouted(batch, nextOffset))
      .catch(error => this.#breakDown(error, batch.startOffset))
  }

  #scouted(batch: Batch, nextOffset: bigint | undefined): void {
    // The worker has the last word on a response that does not lead on.
    if (!advances(batch.startOffset, nextOffset) || !this.#handedOn.guess(batch, nextOffset)) return
    assert(this.pendingCount === 0, 'I2: nothing is pulled behind a batch whose next offset nobody knows')
    this.#pace.advanced()
    this.#goOnFrom(nextOffset)
  }

  #skipEmpty(pull: Pull, nextOffset: bigint | undefined, place: ErrorPlace): void {
    const { handlers } = this.#parts
    const { startOffset, peekedOffset } = pull
    const step = stepAfterEmpty(startOffset, pull.bound, nextOffset)
    switch (step.kind) {
      case 'advance':
        this.#ahead.pulls.dropHead()
        this.#pace.advanced()
        handlers.advanced(startOffset, step.to)
        if (peekedOffset === undefined) this.#goOnFrom(step.to)
        return
      case 'end':
        this.#ahead.dropFrom(pull)
        handlers.advanced(startOffset, step.to)
        this.#end()
        return
      case 'wait':
        this.#ahead.dropFrom(pull)
        this.#goOnFrom(startOffset, this.#idleMs())
        return
      case 'went-back': {
        const message = `the next offset ${step.to} lies before the one pulled from`
        this.#broke(pull, new ClsConsumerError('NEXT_OFFSET_STUCK', message, place))
      }
    }
  }

  /** A pull failed: it and everything based on it are dropped, and the chain goes on from its start. */
  #broke(pull: Pull, error: ClsConsumerError): void {
    this.#ahead.dropFrom(pull)
    this.#recover(error, pull.startOffset, pull.askedSize)
  }

  #recover(error: ClsConsumerError, offset: bigint, askedSize: number): void {
    if (error.code === 'BODY_TOO_LARGE') {
      if (this.#ahead.size.tooLarge(askedSize)) this.#retry(error, offset, 0, undefined)
      else this.#giveUp(tooLargeAtAll(error), offset)
    } else if (error.remedy === 'retry') {
      const waitMs = this.#pace.backoffMs(this.#parts.world.random.next())
      this.#retry(error, offset, waitMs, this.#pace.failureCount)
    } else {
      this.#giveUp(error, offset)
    }
  }

  #retry(error: ClsConsumerError, offset: bigint, waitMs: number, attempt: number | undefined): void {
    // A pull behind this one may have failed for good, or ended the run: that was based on this one, and will show
    // again.
    this.#move('pulling')
    this.#parts.handlers.retried(error, offset, waitMs, attempt)
    this.#goOnFrom(offset, waitMs, 'kept')
  }

  /** What is told to the handlers may have stopped the chain, and a scout may tell at any time. */
  #goOnFrom(offset: bigint, delayMs = 0, front: 'sought' | 'kept' = 'sought'): void {
    if (this.#phase === 'pulling') this.#ahead.goOnFrom(offset, delayMs, front)
  }

  #idleMs(): number {
    return this.#pace.idleMs(this.#parts.world.clock.monotonic())
  }

  #giveUp(error: ClsConsumerError, offset: bigint): void {
    if (this.#phase !== 'stopped') this.#move('failed')
    this.#parts.handlers.failed(error, offset)
  }

  /** An invariant broke in a callback: the consumer stops in order, on the error, instead of the process crashing. */
  #breakDown(error: unknown, offset: bigint): void {
    this.#clear()
    this.#giveUp(toClsError(error), offset)
  }

  #end(): void {
    if (this.#phase !== 'pulling') return
    this.#move('ended')
    this.#parts.handlers.ended()
  }

  /** What was under way, awaited or waited for belonged to where the chain has left. */
  #clear(): void {
    this.#ahead.clear()
    this.#handedOn.awaitNothing()
  }

  #move(phase: Phase): void {
    if (phase === this.#phase) return
    const moves: readonly Phase[] = MOVES[this.#phase]
    assert(moves.includes(phase), `I3: a pull chain does not go from ${this.#phase} to ${phase}`)
    this.#phase = phase
  }
}

function tooLargeAtAll(error: ClsConsumerError): ClsConsumerError {
  const cure = 'asking for less does not help: raise bodyBytesMax or responseBytesMax, or give the process more memory'
  const { message, what } = error
  return fromFailure({ ...toFailure(error, error.code), message: `${message}; ${cure}`, what: `${what}; ${cure}` })
}
