/**
 * The tenures of a consumer: how each partition's tenure begins and closes. `opener.ts` finds where they begin,
 * `repositioner.ts` has them go on from another position.
 *
 * In: what membership grants, revokes and loses; what the service says of offsets. Out: running tenures; releases. Must
 * never happen: two endings of one tenure at a time; a release while anything of the partition may run (I4); a pull from
 * a start that is not committed (I11).
 */
import { type Batch, type Epoch, keyOf } from './batch.ts'
import type { BoundedRun } from './bounded-run.ts'
import type { Committer } from './commit/committer.ts'
import { Saves } from './commit/saves.ts'
import type { AssignedEvent, Tries } from './consumer-events.ts'
import type { Dispatcher } from './dispatch/dispatcher.ts'
import type { PartitionId, ProcessedAnswer } from './dispatch/messages.ts'
import { assert, type ClsConsumerError, type ErrorPlace, toClsError } from './errors.ts'
import { deliver, resultError } from './failure/deliver.ts'
import { retryDelayMs } from './failure/retry-policy.ts'
import type { ByteBudget } from './fetch/budget.ts'
import { type PullBound, PullChain, type PullHandlers } from './fetch/pull-chain.ts'
import type { Holdings } from './group/holdings.ts'
import type { Membership } from './group/membership.ts'
import type { Start } from './group/start-position.ts'
import type { LastResort } from './last-resort.ts'
import { errorFields } from './observe/error-fields.ts'
import { Opener } from './opener.ts'
import type { ResultPlace, Settings } from './options.ts'
import type { Beginning } from './progress.ts'
import { Repositioner } from './repositioner.ts'
import type { Starts } from './starts.ts'
import { Tenure } from './tenure.ts'
import type { TopicUse } from './topic-troubles.ts'
import { within } from './within.ts'
import type { World } from './world.ts'

/** A partition is released without its last commit after this: its uncommitted work repeats elsewhere. */
const LAST_COMMIT_MS = 15_000

/** A response that makes no sense may be a fault of the transport: it is pulled again so often at least. */
const REPULLS_MIN = 3

/** A partition that is taken back while it opens is given up after this. */
const OPENING_WAIT_MS = 1000

export interface TenuresHandlers {
  assigned(event: AssignedEvent): void
  released(id: PartitionId, committedOffset: bigint | undefined, reason: string): void
  processed(batch: Batch, answer: ProcessedAnswer, nextOffset: bigint, latencyMs: number): void
  retried(error: ClsConsumerError, place: ErrorPlace, waitMs: number, tries: Tries): void
  /** The policy has stopped the partition at this offset. */
  parked(epoch: Epoch, offset: bigint, error: ClsConsumerError): void
  /** The partition goes on from another position, in this new epoch. */
  repositioned(
    epoch: Epoch,
    reposition: { readonly from: bigint | undefined; readonly to: bigint; readonly reason: string }
  ): void
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
  readonly lastResort: LastResort
  /** Aborted when the consumer stops. */
  readonly signal: AbortSignal
  readonly handlers: TenuresHandlers
}

export class Tenures implements Iterable<Tenure> {
  readonly repositioner: Repositioner
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
    this.repositioner = new Repositioner(parts, this.#opener, {
      add: epoch => this.#add(epoch),
      find: id => this.#tenures.get(keyOf(id)),
      startPulling: (tenure, beginning, bound) => this.#startPulling(tenure, beginning, bound)
    })
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

  /** The tenure of this very epoch. */
  find(epoch: Epoch): Tenure | undefined {
    const tenure = this.#tenures.get(keyOf(epoch))
    return tenure?.epoch.epoch === epoch.epoch ? tenure : undefined
  }

  /** Why the batch may not rewind to there: then it has failed. Never rejects. */
  async rewindFault(batch: Batch, offset: bigint): Promise<ClsConsumerError | undefined> {
    const tenure = this.ownerOf(batch)
    return tenure === undefined ? undefined : await this.repositioner.rewindFault(tenure, offset)
  }

  /** Memory was freed, or the wait is over: every chain may go on. */
  pump(): void {
    for (const tenure of this) tenure.supply.pump()
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
      const tenure = this.find(epoch)
      if (tenure !== undefined) void this.#close(tenure, 'revoked')
    }
  }

  /** Epochs that are not ours any more, whatever still runs (I3, I12). They stay held until that has ended (I4). */
  lose(epochs: readonly Epoch[], reason: string): void {
    const { committer, dispatcher } = this.#parts
    for (const epoch of epochs) {
      committer.forget(epoch)
      const tenure = this.find(epoch)
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
          if (bound !== undefined && tenure.phase === 'running') tenure.supply.setBound(bound)
        }
        return true
      }
    )
  }

  // ---- Opening ----

  #run(tenure: Tenure, { offset: startOffset, reason, mustCommit }: Start, bound: PullBound | undefined): void {
    const { settings, holdings, committer, dispatcher, handlers } = this.#parts
    const { epoch } = tenure
    assert(!mustCommit || committer.isClean([epoch]), `I11: the start of ${keyOf(epoch)} is committed first`)
    holdings.activate(epoch)
    handlers.assigned({ ...epoch, startOffset, reason })
    dispatcher.assign(epoch)
    const saves = settings.commitMode === 'manual' ? new Saves(startOffset) : undefined
    this.#startPulling(tenure, { startOffset, saves }, bound)
  }

  #startPulling(tenure: Tenure, beginning: Beginning, bound: PullBound | undefined): void {
    const { world, settings, budget, boundedRun } = this.#parts
    const { startOffset } = beginning
    const isPaused = this.repositioner.isPaused(tenure.epoch)
    tenure.run(beginning, (handlers: PullHandlers) => {
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
      if (boundedRun.phase === 'holding' || isPaused) chain.hold()
      return chain
    })
    if (isPaused) tenure.pause()
  }

  #add(epoch: Epoch): Tenure {
    const { world, membership, committer, dispatcher, settings, lastResort, handlers } = this.#parts
    const { onResult, attempts } = settings
    const repullAttempts = Math.max(attempts, REPULLS_MIN + 1)
    const tenure = new Tenure(epoch, dispatcher, lastResort, {
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
                retried: (thrown, waitMs, attempt) => {
                  const error = resultError(thrown, resultPlace(place))
                  handlers.retried(error, resultPlace(place), waitMs, { attempt, of: attempts })
                },
                gaveUp: thrown => {
                  const error = resultError(thrown, resultPlace(place))
                  world.log.warn(
                    'a result was not taken while its partition closes: its batch repeats',
                    errorFields(error)
                  )
                }
              }),
      processed: (batch, answer, nextOffset, latencyMs) => handlers.processed(batch, answer, nextOffset, latencyMs),
      retried: (error, place, waitMs, attempt) => handlers.retried(error, place, waitMs, { attempt, of: undefined }),
      repulled: (error, place, waitMs, attempt) => {
        const of = attempt === undefined ? undefined : repullAttempts
        handlers.retried(error, place, waitMs, { attempt, of })
      },
      repullDelayMs: attempt =>
        retryDelayMs({ ...settings, attempts: repullAttempts, attempt, chance: world.random.next() }),
      answered: wasRefused => this.#answered(epoch.topicId, wasRefused),
      stuck: (error, offset) => this.repositioner.stuck(tenure, error, offset),
      failed: error => handlers.failed(error),
      parked: error => handlers.parked(epoch, tenure.nextOffset ?? 0n, error),
      rewound: offset => this.repositioner.rewind(tenure, offset),
      done: nextOffset => handlers.done(epoch, nextOffset),
      freed: () => this.pump()
    })
    this.#tenures.set(keyOf(epoch), tenure)
    return tenure
  }

  /**
   * Partition 1 is refused; partition 0 is answered, to a pull that had left before → the topic is not permitted again.
   * Only who was refused can tell, or anybody once no such partition is left.
   */
  #answered(topicId: string, wasRefused: boolean): void {
    const isRefused = ({ epoch, isRefused }: Tenure): boolean => epoch.topicId === topicId && isRefused
    if (wasRefused || ![...this].some(isRefused)) this.#parts.handlers.topicAnswered(topicId, 'pull')
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
    const leftAt = tenure.committableOffset
    if (leftAt !== undefined && leftAt >= 0n) starts.left(epoch, leftAt, isCommitted)
    tenure.end()
    committer.forget(epoch)
    this.#tenures.delete(keyOf(epoch))
    this.repositioner.released(epoch)
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
}

function resultPlace({ topicId, partition, startOffset }: ResultPlace): ErrorPlace {
  return { topicId, partition, offset: startOffset }
}

function topicsOf(epochs: readonly Epoch[]): Set<string> {
  return new Set(epochs.map(({ topicId }) => topicId))
}
