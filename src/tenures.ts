/**
 * The tenures of a consumer: how each partition's tenure begins, moves on, and closes. `opener.ts` finds where they begin.
 *
 * In: what membership grants, revokes and loses; what the service says of offsets. Out: running tenures; releases. Must
 * never happen: two endings of one tenure at a time; a release while anything of the partition may run (I4); a pull from
 * a start that is not committed (I11).
 */
import { type Batch, type Epoch, keyOf } from './batch.ts'
import type { BoundedRun } from './bounded-run.ts'
import type { Committer } from './commit/committer.ts'
import type { AssignedEvent } from './consumer-events.ts'
import type { Dispatcher } from './dispatch/dispatcher.ts'
import type { PartitionId, ProcessedAnswer } from './dispatch/messages.ts'
import { assert, type ClsConsumerError, type ErrorPlace, toClsError } from './errors.ts'
import { deliver, resultError } from './failure/deliver.ts'
import { backoffDelayMs } from './failure/retry-policy.ts'
import type { ByteBudget } from './fetch/budget.ts'
import { type PullBound, PullChain, type PullHandlers } from './fetch/pull-chain.ts'
import type { Holdings } from './group/holdings.ts'
import type { Membership } from './group/membership.ts'
import type { Start } from './group/start-position.ts'
import { OPEN_RETRY_MS, Opener } from './opener.ts'
import type { ResultPlace, Settings } from './options.ts'
import type { Starts } from './starts.ts'
import { Tenure } from './tenure.ts'
import { isTopicTrouble, type TopicUse } from './topic-troubles.ts'
import { within } from './within.ts'
import type { World } from './world.ts'

/** A partition is released without its last commit after this: its uncommitted work repeats elsewhere. */
const LAST_COMMIT_MS = 15_000

/** A partition that is taken back while it opens is given up after this. */
const OPENING_WAIT_MS = 1000

export interface TenuresHandlers {
  assigned(event: AssignedEvent): void
  released(id: PartitionId, committedOffset: bigint | undefined, reason: string): void
  processed(batch: Batch, answer: ProcessedAnswer, nextOffset: bigint, latencyMs: number): void
  retried(error: ClsConsumerError, place: ErrorPlace, waitMs: number): void
  /** A bounded run has nothing left to do in this partition. */
  done(id: PartitionId, nextOffset: bigint): void
  /** The service refuses a use of this topic; it is tried again, less and less often. */
  topicRefused(topicId: string, use: TopicUse, error: ClsConsumerError): void
  /** How long partitions of the topic that are granted anew wait before they open. */
  openDelayMs(topicId: string): number
  /** That use of the topic has succeeded. */
  topicAnswered(topicId: string, use: TopicUse): void
  failed(error: ClsConsumerError): void
}

export interface TenuresParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'random' | 'control' | 'data' | 'scout' | 'log'>
  readonly settings: Settings
  readonly holdings: Holdings
  readonly membership: Membership
  readonly budget: ByteBudget
  readonly dispatcher: Dispatcher
  readonly committer: Committer
  readonly boundedRun: BoundedRun
  readonly starts: Starts
  /** Aborted when the consumer stops. */
  readonly signal: AbortSignal
  readonly handlers: TenuresHandlers
}

export class Tenures implements Iterable<Tenure> {
  readonly #parts: TenuresParts
  /** By partition: the one that holds it. */
  readonly #tenures = new Map<string, Tenure>()
  /** By batch, since an answer may come after its partition went on in a new epoch. */
  readonly #owners = new WeakMap<Batch, Tenure>()
  readonly #opening = new WeakMap<Tenure, Promise<void>>()
  readonly #closing = new WeakMap<Tenure, Promise<void>>()
  readonly #opener: Opener
  #lastBatchId = 0

  constructor(parts: TenuresParts) {
    this.#parts = parts
    this.#opener = new Opener(parts, (tenure, start, bound) => this.#run(tenure, start, bound))
  }

  [Symbol.iterator](): Iterator<Tenure> {
    return this.#tenures.values()
  }

  get count(): number {
    return this.#tenures.size
  }

  ownerOf(batch: Batch): Tenure | undefined {
    return this.#owners.get(batch)
  }

  /** Memory was freed, or the wait is over: every chain may go on. */
  pump(): void {
    for (const tenure of this) tenure.pump()
  }

  open(epochs: readonly Epoch[]): void {
    for (const topicId of topicsOf(epochs)) {
      const tenures = epochs.filter(epoch => epoch.topicId === topicId).map(epoch => this.#add(epoch))
      const opening = this.#opener.open(topicId, tenures).catch(error => this.#parts.handlers.failed(toClsError(error)))
      for (const tenure of tenures) this.#opening.set(tenure, opening)
    }
  }

  revoke(epochs: readonly Epoch[]): void {
    for (const epoch of epochs) {
      const tenure = this.#find(epoch)
      if (tenure !== undefined) void this.#close(tenure, 'revoked')
    }
  }

  /** Epochs that are not ours any more, whatever still runs (I3, I12). They stay held until that has ended (I4). */
  lose(epochs: readonly Epoch[], reason: string): void {
    const { committer, dispatcher } = this.#parts
    for (const epoch of epochs) {
      committer.forget(epoch)
      const tenure = this.#find(epoch)
      if (tenure === undefined) continue
      tenure.end()
      // It may be draining patiently already: that becomes an abort. The closing tells of an error.
      void dispatcher.drain(epoch, 0, reason).catch(() => undefined)
      void this.#close(tenure, reason)
    }
  }

  /** Ends every tenure in order. Each has its deadlines; those that cannot be released are told as failed. */
  async closeAll(): Promise<void> {
    for (const tenure of this) tenure.close()
    await Promise.all([...this].map(tenure => this.#close(tenure, 'stopping')))
  }

  /** The end of the bounded run has come while partitions were being read. */
  async boundAll(): Promise<void> {
    const running = [...this].filter(tenure => tenure.phase === 'running')
    const topicIds = topicsOf(running.map(({ epoch }) => epoch))
    await Promise.all([...topicIds].map(topicId => this.#bound(topicId, running)))
  }

  async #bound(topicId: string, running: readonly Tenure[]): Promise<void> {
    const wanted = (): readonly Tenure[] =>
      running.filter(({ epoch, phase }) => epoch.topicId === topicId && phase === 'running')
    await this.#opener.insist(
      topicId,
      () => wanted().length > 0,
      async () => {
        const asked = wanted()
        const bounds = await this.#opener.lookUpBounds(topicId, asked)
        for (const tenure of asked) {
          const bound = bounds?.get(tenure.epoch.partition)
          if (bound !== undefined && tenure.phase === 'running') tenure.setBound(bound)
        }
        return true
      }
    )
  }

  // ---- Opening ----

  #run(tenure: Tenure, { offset: startOffset, reason, mustCommit }: Start, bound: PullBound | undefined): void {
    const { holdings, committer, dispatcher, handlers } = this.#parts
    const { epoch } = tenure
    assert(!mustCommit || committer.isClean([epoch]), `I11: the start of ${keyOf(epoch)} is committed first`)
    holdings.activate(epoch)
    handlers.assigned({ ...epoch, startOffset, reason })
    dispatcher.assign(epoch)
    this.#startPulling(tenure, startOffset, bound)
  }

  #startPulling(tenure: Tenure, startOffset: bigint, bound: PullBound | undefined): void {
    const { world, settings, budget, boundedRun } = this.#parts
    tenure.run(startOffset, (handlers: PullHandlers) => {
      const chain = new PullChain({
        world,
        settings,
        epoch: tenure.epoch,
        startOffset,
        bound,
        budget,
        partitionCount: () => this.count,
        nextBatchId: () => {
          this.#lastBatchId += 1
          return this.#lastBatchId
        },
        handlers
      })
      if (boundedRun.phase === 'holding') chain.hold()
      return chain
    })
  }

  #add(epoch: Epoch): Tenure {
    const { world, membership, committer, dispatcher, settings, handlers } = this.#parts
    const { onResult } = settings
    const tenure = new Tenure(epoch, dispatcher, {
      nowMs: () => world.clock.monotonic(),
      checkLease: () => membership.checkLease(),
      dispatched: batch => void this.#owners.set(batch, tenure),
      progressed: offset => committer.track(epoch, offset),
      deliver:
        onResult === undefined
          ? undefined
          : (result, place, signal) =>
              deliver(() => onResult(result, place), world, settings, {
                mayOffer: () => membership.checkLease(),
                signal,
                retried: (error, waitMs) =>
                  handlers.retried(resultError(error, resultPlace(place)), resultPlace(place), waitMs),
                gaveUp: error => {
                  const { message } = resultError(error, resultPlace(place))
                  world.log.warn('a result was not taken while its partition closes: its batch repeats', {
                    error: message
                  })
                }
              }),
      processed: (batch, answer, nextOffset, latencyMs) => handlers.processed(batch, answer, nextOffset, latencyMs),
      retried: (error, place, waitMs) => handlers.retried(error, place, waitMs),
      answered: wasRefused => this.#answered(epoch.topicId, wasRefused),
      stuck: (error, offset) => this.#moveOnOrFail(tenure, error, offset),
      failed: error => handlers.failed(error),
      done: nextOffset => handlers.done(epoch, nextOffset),
      freed: () => this.pump()
    })
    this.#tenures.set(keyOf(epoch), tenure)
    return tenure
  }

  // ---- Moving on from where pulls are refused ----

  #moveOnOrFail(tenure: Tenure, error: ClsConsumerError, offset: bigint): void {
    const { settings, handlers, signal } = this.#parts
    if (isTopicTrouble(error)) {
      this.#retryLater(tenure, error, offset)
      return
    }
    if (error.code !== 'API_INVALID_OFFSET' || settings.onInvalidOffset === 'stop') {
      handlers.failed(error)
      return
    }
    this.#moveOn(tenure, settings.onInvalidOffset, error, offset).catch(thrown => {
      if (!signal.aborted) handlers.failed(toClsError(thrown))
    })
  }

  /**
   * Partition 1 is refused; partition 0 is answered, to a pull that had left before → the topic is not permitted again.
   * Only who was refused can tell, or anybody once no such partition is left.
   */
  #answered(topicId: string, wasRefused: boolean): void {
    const isRefused = ({ epoch, isRefused }: Tenure): boolean => epoch.topicId === topicId && isRefused
    if (wasRefused || ![...this].some(isRefused)) this.#parts.handlers.topicAnswered(topicId, 'pull')
  }

  /** The topic is refused: this partition stays ours, and is tried again by itself. */
  #retryLater(tenure: Tenure, error: ClsConsumerError, offset: bigint): void {
    const { world, settings, handlers } = this.#parts
    const { topicId } = tenure.epoch
    handlers.topicRefused(topicId, 'pull', error)
    const waitMs = backoffDelayMs({ ...settings, attempt: tenure.refused(), chance: world.random.next() })
    world.timers.sleep(waitMs, tenure.closed).then(
      () => tenure.retry(offset),
      () => undefined
    )
  }

  /** The user's word decides where to go on: in a new epoch, and never silently (I6). */
  async #moveOn(tenure: Tenure, from: 'begin' | 'end', error: ClsConsumerError, offset: bigint): Promise<void> {
    const { world, settings, starts, holdings, dispatcher, committer, signal } = this.#parts
    const { topicId, partition } = tenure.epoch
    let startOffset: bigint | undefined
    await this.#opener.insist(
      topicId,
      () => tenure.phase === 'running',
      async () => {
        startOffset = await starts.ownPosition(tenure.epoch, from, offset)
        return true
      }
    )
    // Revoked or lost while we asked.
    if (tenure.phase !== 'running' || holdings.phaseOf(tenure.epoch) !== 'active') return
    // Nowhere to go.
    if (startOffset === undefined || startOffset === offset) throw error

    const epoch = holdings.renew(tenure.epoch)
    world.log.warn('an offset is gone: going on elsewhere', {
      topicId,
      partition,
      offset,
      startOffset,
      onInvalidOffset: from
    })
    tenure.end()
    committer.forget(tenure.epoch)
    dispatcher.renew(tenure.epoch, epoch)
    const next = this.#add(epoch)
    committer.track(epoch, startOffset)
    while (next.phase === 'opening' && !(await committer.flush([epoch], settings.callTimeoutMs))) {
      world.log.warn('the new start is not committed yet', { topicId, partition, startOffset })
      // Past the lease a flush ends at once, and only a timer tells that the lease has ended.
      await world.timers.sleep(OPEN_RETRY_MS, signal)
    }
    let bounds: ReadonlyMap<number, PullBound> | undefined
    await this.#opener.insist(
      topicId,
      () => next.phase === 'opening',
      async () => {
        bounds = await this.#opener.lookUpBounds(topicId, [next])
        return true
      }
    )
    if (next.phase !== 'opening') return
    this.#parts.handlers.assigned({
      ...epoch,
      startOffset,
      reason: `offset ${offset} is gone, onInvalidOffset ${from}`
    })
    this.#startPulling(next, startOffset, bounds?.get(partition))
  }

  // ---- Closing ----

  /** Ends one tenure, once. Resolves after its release, or when it cannot be released. */
  #close(tenure: Tenure, reason: string): Promise<void> {
    const running = this.#closing.get(tenure)
    if (running !== undefined) return running
    const closing = this.#release(tenure, reason).catch(error => this.#parts.handlers.failed(toClsError(error)))
    this.#closing.set(tenure, closing)
    return closing
  }

  /** Its open batch ends, `revoke` runs, it is committed, it is released. */
  async #release(tenure: Tenure, reason: string): Promise<void> {
    const { world, settings, starts, holdings, membership, dispatcher, committer, handlers } = this.#parts
    const { epoch } = tenure
    const { topicId, partition } = epoch
    tenure.close()
    const phase = holdings.phaseOf(epoch)
    if (phase === 'starting' || phase === 'active') holdings.drain(epoch)
    if (tenure.startOffset === undefined) await this.#giveUpOpening(tenure)
    const patienceMs = holdings.phaseOf(epoch) === 'lost' ? 0 : settings.drainTimeoutMs
    await dispatcher.drain(epoch, patienceMs, reason)
    committer.repeat(epoch)
    if (holdings.phaseOf(epoch) === 'draining' && !(await committer.flush([epoch], LAST_COMMIT_MS))) {
      world.log.warn('released without its last commit: uncommitted work repeats', { topicId, partition })
    }
    const committedOffset = committer.committedOffset(epoch)
    const isCommitted = committer.acknowledged(topicId).includes(partition)
    if (tenure.nextOffset !== undefined && tenure.nextOffset >= 0n) starts.left(epoch, tenure.nextOffset, isCommitted)
    tenure.end()
    committer.forget(epoch)
    this.#tenures.delete(keyOf(epoch))
    membership.release(epoch)
    handlers.released({ topicId, partition }, committedOffset, reason)
  }

  /**
   * Nothing of it was pulled. Its start may be on its way to be committed, and must not arrive after a successor's
   * progress. The other partitions of the topic, which open with it, may wait for much longer: it does not.
   */
  async #giveUpOpening(tenure: Tenure): Promise<void> {
    const { world, committer } = this.#parts
    committer.forget(tenure.epoch)
    await within(world.timers, this.#opening.get(tenure) ?? Promise.resolve(), OPENING_WAIT_MS, () => undefined)
    await committer.rest()
  }

  #find(epoch: Epoch): Tenure | undefined {
    const tenure = this.#tenures.get(keyOf(epoch))
    return tenure?.epoch.epoch === epoch.epoch ? tenure : undefined
  }
}

function resultPlace({ topicId, partition, startOffset }: ResultPlace): ErrorPlace {
  return { topicId, partition, offset: startOffset }
}

function topicsOf(epochs: readonly Epoch[]): Set<string> {
  return new Set(epochs.map(({ topicId }) => topicId))
}
