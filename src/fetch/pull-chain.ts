/**
 * The pull chain of one partition in one epoch: each response's next offset starts the next pull, ahead of processing.
 *
 * In: a start offset; what pulls bring; the worker's word on offsets that could not be peeked, or were peeked wrong.
 * Out, in offset order: batches, and advances over ranges without logs. Must never happen: a response is handed on
 * before the ones in front of it; two pulls from the same offset are both handed on; anything is handed on after `stop`.
 *
 *   #pulls    [ head … tip ]   under way or waiting for the head; dropped from any index on, never from the middle
 *   #next     start of the pull after the tip; undefined while nobody knows it
 */
import type { Batch, Epoch } from '../batch.ts'
import { assert, ClsConsumerError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { PulledBody, PullProgress, Timer, World } from '../world.ts'
import type { ByteBudget } from './budget.ts'
import { Pace } from './pace.ts'
import { declaredBytes, peek } from './peek.ts'
import { readSmallResponse } from './small-response.ts'

export interface PullHandlers {
  batch(batch: Batch): void
  /** The range holds no log. `to` is greater than `from`. */
  advanced(from: bigint, to: bigint): void
  /** A bounded run has nothing more to pull. Batches handed on before may still be open. */
  ended(): void
  retried(error: ClsConsumerError, offset: bigint, waitMs: number): void
  /** No further pull helps. The chain has stopped at `offset`; what it handed on before is valid. */
  failed(error: ClsConsumerError, offset: bigint): void
}

/** The end of a bounded run. */
export interface PullBound {
  readonly endOffset: bigint
  /** Unix seconds, exclusive. */
  readonly endTime: number
}

interface Pull {
  readonly startOffset: bigint
  /** What it was sent with: -1 is the end of a bounded pull alone, and "nothing now" to one sent before the bound. */
  readonly bound: PullBound | undefined
  readonly abort: AbortController
  /** What it counts in the budget: its reservation, then its body. */
  byteCount: number
  peekedOffset: bigint | undefined
  body: PulledBody | undefined
}

/** held: sends nothing until `setBound`. */
type Phase = 'pulling' | 'held' | 'ended' | 'failed' | 'stopped'

/** A batch while open: the decompressed response, and the logs made of it. Measured on access logs; an upper estimate. */
const DECODED_FACTOR = 2

/** What a batch costs beside its bytes, in this process and its threads. Bounds their number, too (I8). */
const BATCH_OVERHEAD_BYTES = 8 * 1024

/** Compressed bytes become at most this many times more where the body declares no size. */
const UNDECLARED_FACTOR = 8

export class PullChain {
  readonly #world: Pick<World, 'timers' | 'random' | 'data'>
  readonly #settings: Pick<Settings, 'pullBytes' | 'responseBytesMax' | 'pollIntervalMs' | 'query'>
  readonly #epoch: Epoch
  #bound: PullBound | undefined
  readonly #budget: ByteBudget
  readonly #partitionCount: () => number
  readonly #nextBatchId: () => number
  readonly #handlers: PullHandlers
  readonly #pace: Pace
  #phase: Phase = 'pulling'
  #pulls: Pull[] = []
  #next: bigint | undefined
  #wait: Timer | undefined
  /** The batch whose next offset only the worker can tell. */
  #awaitedBatchId: number | undefined
  #confirmedBatchId = -1
  /** Held by this partition: under way, waiting here, and handed on but not freed. */
  #heldBytes = 0

  constructor(parts: {
    readonly world: Pick<World, 'timers' | 'random' | 'data'>
    readonly settings: Pick<Settings, 'pullBytes' | 'responseBytesMax' | 'pollIntervalMs' | 'query'>
    readonly epoch: Epoch
    readonly startOffset: bigint
    readonly bound: PullBound | undefined
    readonly budget: ByteBudget
    /** How many partitions share the budget. */
    readonly partitionCount: () => number
    readonly nextBatchId: () => number
    readonly handlers: PullHandlers
  }) {
    this.#world = parts.world
    this.#settings = parts.settings
    this.#epoch = parts.epoch
    this.#bound = parts.bound
    this.#budget = parts.budget
    this.#partitionCount = parts.partitionCount
    this.#nextBatchId = parts.nextBatchId
    this.#handlers = parts.handlers
    this.#pace = new Pace(parts.settings.pollIntervalMs)
    this.#next = parts.startOffset
  }

  /** Everything up to the end of the bounded run has been pulled. */
  get hasEnded(): boolean {
    return this.#phase === 'ended'
  }

  /** Pulls under way, or complete and behind one that is. */
  get pendingCount(): number {
    return this.#pulls.length
  }

  /** Sends the next pull if its start is known and the budget allows. Called again whenever bytes were freed. */
  pump(): void {
    if (this.#phase !== 'pulling' || this.#wait !== undefined || this.#next === undefined) return
    if (this.#bound !== undefined && this.#next >= this.#bound.endOffset) {
      if (this.#pulls.length === 0) this.#end()
      return
    }
    const partitionCount = this.#partitionCount()
    const pullBytes = this.#budget.pullBytes(this.#settings.pullBytes, partitionCount)
    if (!this.#budget.tryPull(pullBytes, this.#heldBytes, partitionCount)) return
    this.#heldBytes += pullBytes
    const startOffset = this.#next
    this.#next = undefined
    this.#send(startOffset, pullBytes)
  }

  /**
   * The worker decoded the next offset of a batch. True: it is what the pulls behind were based on. False: it is not;
   * the chain has gone back to it, and batches handed on after this one must be dropped.
   */
  confirm(batch: Batch, nextOffset: bigint | undefined): boolean {
    // The worker tells twice, early and with its answer, and again with each further attempt.
    if (batch.batchId <= this.#confirmedBatchId) return true
    this.#confirmedBatchId = batch.batchId
    const isAwaited = this.#awaitedBatchId === batch.batchId
    if (!isAwaited && nextOffset === batch.peekedOffset) return true
    if (this.#phase === 'stopped') return isAwaited
    if (nextOffset === -1n && batch.endOffset !== undefined) {
      this.restart(batch.endOffset)
    } else if (advances(batch.startOffset, nextOffset)) {
      this.#pace.advanced()
      this.restart(nextOffset)
    } else {
      // No logs and no advance, in a response too large to see that here; with logs the worker fails the batch.
      this.restart(batch.startOffset, this.#pace.idleMs())
    }
    return isAwaited
  }

  /** Drops every pull and goes on from `offset`, after `delayMs`. */
  restart(offset: bigint, delayMs = 0): void {
    if (this.#phase === 'stopped') return
    if (this.#phase !== 'held') this.#phase = 'pulling'
    this.#awaitedBatchId = undefined
    this.#dropFrom(0)
    this.#next = offset
    // Whatever it waited for belonged to where it has left.
    this.#wait?.cancel()
    this.#wait = undefined
    if (delayMs > 0) this.#waitThenPump(delayMs)
    else this.pump()
  }

  /** Sends nothing more until `setBound`; what is under way goes on. */
  hold(): void {
    if (this.#phase === 'pulling') this.#phase = 'held'
  }

  /** From here on the run is bounded. */
  setBound(bound: PullBound): void {
    this.#bound = bound
    if (this.#phase === 'held') this.#phase = 'pulling'
    this.pump()
  }

  /** A batch that was handed on is done or dropped: its bytes are free. */
  free(batch: Batch): void {
    const byteCount = batch.body.bytes.byteLength + BATCH_OVERHEAD_BYTES
    this.#budget.resize(byteCount, 0)
    this.#heldBytes -= byteCount
    assert(this.#heldBytes >= 0, 'I5: a batch is freed once')
  }

  /** Ends pulling for good. What was handed on stays valid. */
  stop(): void {
    this.#phase = 'stopped'
    this.#dropFrom(0)
    this.#wait?.cancel()
    this.#wait = undefined
  }

  #send(startOffset: bigint, pullBytes: number): void {
    const { topicId, partition } = this.#epoch
    const { query } = this.#settings
    const pull: Pull = {
      startOffset,
      bound: this.#bound,
      abort: new AbortController(),
      byteCount: pullBytes,
      peekedOffset: undefined,
      body: undefined
    }
    this.#pulls.push(pull)
    const request = {
      topicId,
      partition,
      startOffset,
      sizeBytes: pullBytes,
      ...(this.#bound === undefined ? {} : { endTime: this.#bound.endTime }),
      ...(query === undefined ? {} : { query })
    }
    const hooks = {
      signal: pull.abort.signal,
      onProgress: (progress: PullProgress) => this.#progressed(pull, progress)
    }
    // A dropped pull still settles here; it is no longer in #pulls then, and ignored.
    this.#world.data
      .pull(request, hooks)
      .then(
        body => this.#arrived(pull, body),
        error => this.#broke(pull, toPullError(error))
      )
      // An invariant that broke in there: the consumer stops in order, on the error, instead of the process crashing.
      .catch(error => {
        this.#dropFrom(0)
        this.#giveUp(toPullError(error), startOffset)
      })
  }

  /** The next pull leaves while this body is still arriving. */
  #progressed(pull: Pull, progress: PullProgress): void {
    // The peek is made anew with each chunk until it finds the offset, which is in the first one as a rule.
    if (pull.peekedOffset !== undefined || !this.#pulls.includes(pull)) return
    const found = peek(progress, false)
    if (found.kind === 'offset') this.#peeked(pull, found.nextOffset)
  }

  #peeked(pull: Pull, nextOffset: bigint): void {
    if (pull.peekedOffset !== undefined || !advances(pull.startOffset, nextOffset)) return
    pull.peekedOffset = nextOffset
    assert(pull === this.#pulls.at(-1), 'I2: only the last pull of a chain is peeked')
    this.#next = nextOffset
    this.pump()
  }

  #arrived(pull: Pull, body: PulledBody): void {
    if (!this.#pulls.includes(pull)) return
    this.#resize(pull, body.bytes.byteLength + BATCH_OVERHEAD_BYTES)
    pull.body = body
    while (this.#pulls[0]?.body !== undefined && this.#phase !== 'stopped') this.#handOnHead()
    // The body is smaller than its reservation, as a rule: what did not fit before may fit now.
    this.pump()
  }

  /** The head is complete: hands it on, or deals with a response that holds no log. */
  #handOnHead(): void {
    const pull = this.#pulls[0]
    const body = pull?.body
    if (pull === undefined || body === undefined) return
    const received = new Uint8Array(body.bytes, 0, body.byteCount)
    const progress = { received, compression: body.compression }
    const found = peek(progress, true)
    if (found.kind === 'whole') {
      const place = { topicId: this.#epoch.topicId, partition: this.#epoch.partition, offset: pull.startOffset }
      const small = readSmallResponse(found.text, place)
      if (small.kind === 'error') {
        this.#broke(pull, small.error)
        return
      }
      // A front that says other than the whole led the pulls behind astray: the worker has the last word on that.
      const isAgreed = pull.peekedOffset === undefined || pull.peekedOffset === small.nextOffset
      if (small.kind === 'empty' && isAgreed) {
        this.#skipEmpty(pull, small.nextOffset)
        return
      }
      if (small.nextOffset !== undefined) this.#peeked(pull, small.nextOffset)
    }
    if (found.kind === 'offset') this.#peeked(pull, found.nextOffset)
    this.#pulls.shift()
    // Where only the worker can tell whether anything came, `confirm` sets the pace.
    if (pull.peekedOffset !== undefined) this.#pace.advanced()
    const batch = this.#toBatch(pull, body, progress)
    if (pull.peekedOffset === undefined) this.#awaitedBatchId = batch.batchId
    this.#handlers.batch(batch)
  }

  #toBatch(pull: Pull, body: PulledBody, progress: PullProgress): Batch {
    // What a body declares is bounded before it is believed; the worker refuses what is larger.
    const declared = declaredBytes(progress) ?? body.byteCount * UNDECLARED_FACTOR
    const plainBytes = Math.min(declared, this.#settings.responseBytesMax)
    return {
      ...this.#epoch,
      batchId: this.#nextBatchId(),
      startOffset: pull.startOffset,
      endOffset: pull.bound?.endOffset,
      peekedOffset: pull.peekedOffset,
      body,
      decodedBytes: plainBytes * DECODED_FACTOR
    }
  }

  #skipEmpty(pull: Pull, nextOffset: bigint | undefined): void {
    const { startOffset } = pull
    if (advances(startOffset, nextOffset)) {
      this.#drop(pull)
      if (pull.peekedOffset === undefined) this.#next = nextOffset
      this.#pace.advanced()
      this.#handlers.advanced(startOffset, nextOffset)
      this.pump()
    } else if (nextOffset === -1n && pull.bound !== undefined) {
      this.#dropFrom(0)
      this.#handlers.advanced(startOffset, pull.bound.endOffset)
      this.#end()
    } else if (nextOffset === undefined || nextOffset === 0n || nextOffset === -1n || nextOffset === startOffset) {
      this.#dropFrom(0)
      this.#next = startOffset
      this.#waitThenPump(this.#pace.idleMs())
    } else {
      const message = `the next offset ${nextOffset} lies before the one pulled from`
      this.#broke(pull, new ClsConsumerError('NEXT_OFFSET_STUCK', message, { ...this.#epoch, offset: startOffset }))
    }
  }

  /** A pull failed: it and everything based on it are dropped, and the chain goes on from its start. */
  #broke(pull: Pull, error: ClsConsumerError): void {
    const index = this.#pulls.indexOf(pull)
    if (index < 0) return
    this.#dropFrom(index)
    if (error.remedy !== 'retry') {
      this.#giveUp(error, pull.startOffset)
      return
    }
    // A pull behind this one may have failed for good: that was based on this one, and will show again.
    if (this.#phase === 'failed') this.#phase = 'pulling'
    const waitMs = this.#pace.backoffMs(this.#world.random.next())
    this.#next = pull.startOffset
    this.#handlers.retried(error, pull.startOffset, waitMs)
    this.#waitThenPump(waitMs)
  }

  #giveUp(error: ClsConsumerError, offset: bigint): void {
    this.#phase = 'failed'
    this.#handlers.failed(error, offset)
  }

  #waitThenPump(delayMs: number): void {
    if (this.#phase !== 'pulling' && this.#phase !== 'held') return
    this.#wait?.cancel()
    this.#wait = this.#world.timers.after(delayMs, () => {
      this.#wait = undefined
      this.pump()
    })
  }

  #end(): void {
    this.#phase = 'ended'
    this.#handlers.ended()
  }

  #dropFrom(index: number): void {
    for (const pull of this.#pulls.slice(index)) this.#drop(pull)
  }

  #drop(pull: Pull): void {
    this.#pulls = this.#pulls.filter(candidate => candidate !== pull)
    this.#resize(pull, 0)
    pull.abort.abort()
  }

  #resize(pull: Pull, byteCount: number): void {
    this.#budget.resize(pull.byteCount, byteCount)
    this.#heldBytes += byteCount - pull.byteCount
    pull.byteCount = byteCount
  }
}

/** Whether a `NextOffset` leads on: it is greater than 0, by the protocol of `pull_log`, and than where it was pulled. */
function advances(startOffset: bigint, nextOffset: bigint | undefined): nextOffset is bigint {
  return nextOffset !== undefined && nextOffset > 0n && nextOffset > startOffset
}

function toPullError(error: unknown): ClsConsumerError {
  if (error instanceof ClsConsumerError) return error
  return new ClsConsumerError('INVARIANT_BROKEN', `a pull threw ${String(error)}`, { cause: error })
}
