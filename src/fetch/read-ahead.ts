/**
 * Sends the pulls of a chain, each as soon as its start is known, and takes what they bring.
 *
 * In: where to go on; bytes. Out: complete pulls in offset order, and those that failed. Must never happen: a pull
 * beyond the bound, over the byte budget (I5) or the service's rate; two pulls from one place; a pull while the gate is
 * held.
 *
 *   #pulls   [ head … tip ]   see `pull-list.ts`
 *   #next    start of the pull after the tip; undefined while nobody knows it
 */
import type { Epoch } from '../batch.ts'
import { assert, type ClsConsumerError, toClsError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { PulledBody, PullProgress, PullRequest, Timer, World } from '../world.ts'
import type { ByteBudget } from './budget.ts'
import { advances, type PullBound } from './next-offset.ts'
import { peek } from './peek.ts'
import { type Pull, PullList } from './pull-list.ts'
import { PullRate } from './pull-rate.ts'
import { PullSize } from './pull-size.ts'

/**
 * answer: a pull is on its way. offset: nobody knows where the next one starts. bound: nor where the run ends. bytes: of the
 * budget. pace: the next one is due later.
 */
export type PullWait = 'answer' | 'offset' | 'bound' | 'bytes' | 'pace'

export interface ReadAheadHandlers {
  /** The head is complete. It must have left the list when this returns. */
  complete(pull: Pull, body: PulledBody): void
  /** A pull failed; it and all that were based on it have been dropped. */
  broke(pull: Pull, error: ClsConsumerError): void
  /** The bound is reached, and nothing is under way. */
  reachedBound(): void
  /** An invariant broke in one of these calls: nothing is under way any more. */
  brokeDown(error: ClsConsumerError, offset: bigint): void
}

export interface ReadAheadParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'data'>
  readonly settings: Pick<Settings, 'pullBytes' | 'query'>
  readonly epoch: Epoch
  readonly startOffset: bigint
  readonly bound: PullBound | undefined
  readonly budget: ByteBudget
  /** How many partitions share the budget. */
  readonly partitionCount: () => number
  readonly handlers: ReadAheadHandlers
}

export class ReadAhead {
  readonly pulls: PullList
  readonly size: PullSize
  readonly #parts: ReadAheadParts
  readonly #rate = new PullRate()
  /** held: sends nothing until `setBound`. */
  #gate: 'open' | 'held' = 'open'
  #bound: PullBound | undefined
  #next: bigint | undefined
  /** Of the pull from there. */
  #front: 'sought' | 'ignored' = 'sought'
  #wait: Timer | undefined

  constructor(parts: ReadAheadParts) {
    this.#parts = parts
    this.pulls = new PullList(parts.budget, parts.world.data)
    this.size = new PullSize(parts.settings.pullBytes)
    this.#bound = parts.bound
    this.#next = parts.startOffset
  }

  /** Why no further pull is sent now. */
  waitsFor(): PullWait {
    if (this.pulls.count > 0) return 'answer'
    if (this.#next === undefined) return 'offset'
    if (this.#gate === 'held') return 'bound'
    return this.#wait === undefined ? 'bytes' : 'pace'
  }

  /** Sends the next pull if its start is known, and bound, rate and budget allow. */
  pump(): void {
    const startOffset = this.#next
    if (startOffset === undefined || this.#gate === 'held' || this.#wait !== undefined) return
    const bound = this.#bound
    if (bound !== undefined && startOffset >= bound.endOffset) {
      if (this.pulls.count > 0) return
      this.#next = undefined
      this.#parts.handlers.reachedBound()
      return
    }
    const { world, settings, budget, partitionCount } = this.#parts
    const nowMs = world.clock.monotonic()
    const waitMs = this.#rate.waitMs(nowMs)
    if (waitMs > 0) {
      this.#pumpAfter(waitMs)
      return
    }
    // Reserved is what a pull brings as a rule, also where less is asked for: who knows what the service counts.
    const reservedBytes = budget.pullBytes(settings.pullBytes, partitionCount())
    const askedSize = Math.min(reservedBytes, this.size.size)
    const pull = this.pulls.tryAdd(
      { startOffset, bound, askedSize, front: this.#front },
      reservedBytes,
      partitionCount()
    )
    if (pull === undefined) return
    this.#rate.sent(nowMs)
    this.#next = undefined
    this.#send(pull)
  }

  /**
   * Nothing is sent before `delayMs`. With the front ignored, nothing is sent behind that pull, either. kept: as with the
   * pull before, which is tried again.
   */
  goOnFrom(offset: bigint, delayMs = 0, front: 'sought' | 'ignored' | 'kept' = 'sought'): void {
    this.#next = offset
    if (front !== 'kept') this.#front = front
    if (delayMs > 0) this.#pumpAfter(delayMs)
    else this.pump()
  }

  /** What the front of a pull's body says comes next. Provisional. The first word counts. */
  peeked(pull: Pull, nextOffset: bigint): void {
    if (pull.front === 'told' || pull.front === 'ignored') return
    pull.front = 'told'
    if (!advances(pull.startOffset, nextOffset)) return
    pull.peekedOffset = nextOffset
    assert(pull === this.pulls.tip, 'I2: only the last pull of a chain is peeked')
    this.goOnFrom(nextOffset)
  }

  /** Sends nothing more until `setBound`; what is under way goes on. */
  hold(): void {
    this.#gate = 'held'
  }

  /** From here on the run is bounded. */
  setBound(bound: PullBound): void {
    this.#bound = bound
    this.#gate = 'open'
    this.pump()
  }

  /** Drops a pull and all that are based on it; nothing is sent until `goOnFrom`. */
  dropFrom(pull: Pull): void {
    this.pulls.dropFrom(pull)
    this.#next = undefined
  }

  /** Drops what is under way or waited for; nothing is sent until `goOnFrom`. */
  clear(): void {
    this.pulls.dropAll()
    this.#next = undefined
    this.#wait?.cancel()
    this.#wait = undefined
  }

  #send(pull: Pull): void {
    const { world, settings, epoch, handlers } = this.#parts
    const hooks = {
      signal: pull.abort.signal,
      onProgress: (progress: PullProgress) => this.#progressed(pull, progress)
    }
    // A dropped pull still settles here; it is no longer in the list then, and ignored.
    world.data
      .pull(requestOf(pull, epoch, settings.query), hooks)
      .then(
        body => this.#arrived(pull, body),
        error => this.#broke(pull, toClsError(error))
      )
      .catch(error => {
        this.clear()
        handlers.brokeDown(toClsError(error), pull.startOffset)
      })
  }

  /** The next pull leaves while this body is still arriving. */
  #progressed(pull: Pull, progress: PullProgress): void {
    // The peek is made anew with each chunk until it finds the offset, which is in the first one as a rule.
    if (pull.front !== 'sought' || !this.pulls.has(pull)) return
    const found = peek(progress, false)
    if (found.kind === 'offset') this.peeked(pull, found.nextOffset)
    else if (found.kind === 'not-at-front') pull.front = 'silent'
  }

  #arrived(pull: Pull, body: PulledBody): void {
    if (!this.pulls.has(pull)) {
      this.#parts.world.data.free(body)
      return
    }
    this.pulls.complete(pull, body)
    for (let head = this.pulls.head; head?.body !== undefined; head = this.pulls.head) {
      this.#parts.handlers.complete(head, head.body)
      assert(head !== this.pulls.head, 'I2: a pull is handed on once')
    }
    // The body is smaller than its reservation, as a rule: what did not fit before may fit now.
    this.pump()
  }

  #broke(pull: Pull, error: ClsConsumerError): void {
    if (!this.pulls.has(pull)) return
    this.dropFrom(pull)
    this.#parts.handlers.broke(pull, error)
  }

  #pumpAfter(delayMs: number): void {
    this.#wait?.cancel()
    this.#wait = this.#parts.world.timers.after(delayMs, () => {
      this.#wait = undefined
      this.pump()
    })
  }
}

function requestOf(pull: Pull, { topicId, partition }: Epoch, query: string | undefined): PullRequest {
  const { startOffset, bound, askedSize } = pull
  return {
    topicId,
    partition,
    startOffset,
    sizeBytes: askedSize,
    ...(bound === undefined ? {} : { endTime: bound.endTime }),
    ...(query === undefined ? {} : { query })
  }
}
