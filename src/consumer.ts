/**
 * The consumer: builds the stages, connects them, starts and stops them.
 *
 *   group ──epochs──► fetch ──batches──► dispatch ──answers──► commit
 *     ▲                                                          │
 *     └────────────────────── releases ──────────────────────────┘
 *
 * In: options. Out: events, results to `onResult`, one promise that tells how it ended. `tenures.ts` holds what happens
 * to one partition. Must never happen: heartbeats stop before the last release (I4); a wait without a deadline.
 */
import { EventEmitter } from 'node:events'
import { byPartition, type Epoch } from './batch.ts'
import { BoundedRun } from './bounded-run.ts'
import { buildWorld, type RealWorld } from './build-world.ts'
import { Committer } from './commit/committer.ts'
import type { ConsumerEvents, ConsumerPhase, ConsumerSnapshot } from './consumer-events.ts'
import { chooseName, warnOfName } from './consumer-name.ts'
import { ConsumerReports } from './consumer-reports.ts'
import { Dispatcher } from './dispatch/dispatcher.ts'
import type { PartitionId } from './dispatch/messages.ts'
import { ClsConsumerError, toClsError } from './errors.ts'
import { backoffDelayMs, retryDelayMs } from './failure/retry-policy.ts'
import { SetAside } from './failure/set-aside.ts'
import { ByteBudget } from './fetch/budget.ts'
import { ensureGroup } from './group/ensure-group.ts'
import { GroupMaker } from './group/group-maker.ts'
import { Holdings } from './group/holdings.ts'
import { Lease } from './group/lease.ts'
import { Membership } from './group/membership.ts'
import { OtherGroup } from './group/own-positions.ts'
import { LastResort } from './last-resort.ts'
import type { ConsumerOptions, Settings } from './options.ts'
import { checkPosition } from './positions.ts'
import { findProcessor } from './processor-source.ts'
import { resolveOptions } from './resolve-options.ts'
import { RunEnd } from './run-end.ts'
import { type StalledEvent, StallWatch } from './stall-watch.ts'
import { Starts } from './starts.ts'
import { Tenures } from './tenures.ts'
import { isTopicTrouble, TopicTroubles, type TopicUse } from './topic-troubles.ts'
import type { Logger, Position } from './world.ts'

export interface ConsumerOverrides {
  /** Takes the lines that would go to standard error. */
  readonly log?: Logger
  /** Another world than the real one, for tests and simulations. */
  readonly world?: RealWorld
}

/**
 * A consumer of a consumer group, on its own threads. One instance runs once: `start()`, then `stop()`, or until
 * `finished` settles. Progress is told by events (`ConsumerEvents`).
 */
export class Consumer extends EventEmitter<ConsumerEvents> {
  /** The name that the group knows it by. */
  readonly name: string
  /** Resolves when the consumer has stopped; rejects with the error that stopped it. */
  readonly finished: Promise<void>
  readonly #settings: Settings
  readonly #world: RealWorld
  readonly #reports: ConsumerReports
  readonly #lease: Lease
  readonly #holdings: Holdings
  readonly #membership: Membership
  readonly #budget: ByteBudget
  readonly #dispatcher: Dispatcher
  readonly #committer: Committer
  readonly #boundedRun: BoundedRun
  readonly #groupMaker: GroupMaker
  readonly #otherGroup: OtherGroup
  readonly #troubles: TopicTroubles
  readonly #starts: Starts
  readonly #setAside: SetAside
  readonly #lastResort: LastResort
  readonly #tenures: Tenures
  readonly #stallWatch: StallWatch
  readonly #runEnd: RunEnd
  readonly #stopSignal = new AbortController()
  #finish: (error: ClsConsumerError | undefined) => void = () => undefined
  #phase: ConsumerPhase = 'idle'
  #beginning: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #error: ClsConsumerError | undefined

  /** @throws ClsConsumerError OPTIONS_INVALID that lists everything wrong with the options; PROCESSOR_NOT_FOUND. */
  constructor(options: ConsumerOptions, overrides: ConsumerOverrides = {}) {
    super()
    const settings = resolveOptions(options)
    const world = overrides.world ?? buildWorld(settings, overrides.log)
    this.#settings = settings
    this.#world = world
    this.name = settings.consumer ?? chooseName(world.random)
    this.finished = new Promise((resolve, reject) => {
      this.#finish = error => (error === undefined ? resolve() : reject(error))
    })
    // Whoever does not look at `finished` hears of the error by the event and the log.
    this.finished.catch(() => undefined)

    this.#reports = new ConsumerReports({
      world,
      group: settings.group,
      consumer: this.name,
      events: this,
      gauges: () => ({ heldBytes: this.#budget.heldBytes, partitionCount: this.#tenures.count })
    })
    this.#lease = new Lease(2 * settings.heartbeatIntervalMs)
    this.#holdings = new Holdings(settings.topicIds)
    this.#budget = new ByteBudget(settings.heldBytesMax)
    this.#membership = this.#buildMembership()
    this.#dispatcher = this.#buildDispatcher()
    this.#committer = this.#buildCommitter()
    this.#otherGroup = new OtherGroup(world)
    this.#boundedRun = this.#buildBoundedRun()
    this.#groupMaker = new GroupMaker(world, settings, this.#stopSignal.signal, {
      made: () => this.#membership.groupMade(),
      failed: error => this.#fail(error)
    })
    this.#troubles = new TopicTroubles(settings.topicIds)
    this.#starts = new Starts({
      world,
      settings,
      otherGroup: this.#otherGroup,
      signal: this.#stopSignal.signal,
      handlers: {
        acknowledged: topicId => this.#committer.acknowledged(topicId),
        groupMadeAgain: () => {
          this.#reports.offsetsLost()
          this.#committer.repeatAll()
        }
      }
    })
    this.#setAside = new SetAside({ world, settings, consumer: this.name })
    this.#lastResort = this.#buildLastResort()
    this.#tenures = this.#buildTenures()
    this.#stallWatch = this.#buildStallWatch()
    this.#runEnd = this.#buildRunEnd()
  }

  /**
   * Makes the group, boots the threads, joins. Resolves once joined (partitions follow, as `assigned` events), or once
   * stopped where `stop()` came first.
   * @throws ClsConsumerError what kept it from joining; everything begun is ended again then.
   */
  async start(): Promise<void> {
    if (this.#phase !== 'idle') {
      throw new ClsConsumerError('CONSUMER_STATE', `start() on a consumer that is ${this.#phase}: make a new one`)
    }
    this.#phase = 'starting'
    this.#beginning = this.#begin(this.#stopSignal.signal)
    try {
      await this.#beginning
    } catch (thrown) {
      if (!this.#stopSignal.signal.aborted) this.#fail(toClsError(thrown))
      await this.stop()
      if (this.#error !== undefined) throw this.#error
    }
  }

  /** Ends in order; every step has its deadline. May be called at any time, more than once. Never rejects. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /**
   * Moves a partition to another of this consumer's threads, without losing its order: its open batch ends, `revoke` runs
   * there, `assign` here. Resolves to whether it has moved; not where it is not held, or is being moved or given up.
   * @param thread 0 … threads - 1
   * @throws ClsConsumerError OPTIONS_INVALID (no such thread), THREAD_STUCK
   */
  async moveToThread({ topicId, partition }: PartitionId, thread: number): Promise<boolean> {
    const tenure = [...this.#tenures].find(({ epoch }) => epoch.topicId === topicId && epoch.partition === partition)
    return tenure !== undefined && (await this.#dispatcher.move(tenure.epoch, thread))
  }

  /**
   * Pulls and opens nothing more of a partition, until `resume`; it stays held, and gives its bytes back. An open batch
   * still counts. False where it is not held. Ends with its release: another consumer, or this one later, reads on.
   */
  pause(topicId: string, partition: number): boolean {
    const isPaused = this.#tenures.repositioner.pause({ topicId, partition })
    if (isPaused) this.#reports.paused({ topicId, partition })
    return isPaused
  }

  /**
   * Goes on with what was paused, or parked by the policy: with a partition, those of a topic, or all. Resolves to how many
   * go on.
   */
  async resume(topicId?: string, partition?: number): Promise<number> {
    const wanted = [...this.#tenures]
      .map(({ epoch }) => epoch)
      .filter(epoch => topicId === undefined || epoch.topicId === topicId)
      .filter(epoch => partition === undefined || epoch.partition === partition)
    const resumed = await Promise.all(wanted.map(epoch => this.#tenures.repositioner.resume(epoch)))
    return resumed.filter(isResumed => isResumed).length
  }

  /**
   * Repositions a partition, in a new epoch: an open batch is aborted and does not count. The position is committed before
   * anything is pulled, so that the next commit may go back. One that has expired is for `onInvalidOffset`.
   * @param position an offset; the log's `begin` or `end`; or a time, as Unix seconds or a Date
   * @returns the offset; undefined where the partition is not held, or is being opened or given up. While an `assigned`
   * listener is called it is being opened.
   * @throws ClsConsumerError OPTIONS_INVALID (no such position, or beyond the end of the log: nothing has changed then), API_…
   * (the service does not tell where it is)
   */
  async seek(topicId: string, partition: number, position: bigint | Position | Date): Promise<bigint | undefined> {
    return await this.#tenures.repositioner.seek({ topicId, partition }, checkPosition(position))
  }

  snapshot(): ConsumerSnapshot {
    const partitions = [...this.#tenures].map(({ epoch, phase: state, startOffset, nextOffset }) => ({
      ...epoch,
      phase: this.#holdings.phaseOf(epoch),
      state,
      startOffset,
      nextOffset,
      committedOffset: this.#committer.committedOffset(epoch)
    }))
    return {
      phase: this.#phase,
      partitions: partitions.sort(byPartition),
      ...this.#reports.totals,
      moveCount: this.#dispatcher.moveCount,
      heldBytes: this.#budget.heldBytes
    }
  }

  // ---- Starting and stopping ----

  async #begin(signal: AbortSignal): Promise<void> {
    const { log, threads } = this.#world
    const { group, topicIds, heartbeatIntervalMs } = this.#settings
    warnOfName(log, 'group', group)
    warnOfName(log, 'consumer', this.name)
    await this.#setAside.prepare()
    await ensureGroup(this.#world, this.#settings, signal)
    await this.#starts.lookAtTopics((topicId, error) => this.#refuseTopic(topicId, 'positions', error))
    signal.throwIfAborted()
    await this.#dispatcher.start(signal)
    signal.throwIfAborted()
    this.#committer.start()
    this.#boundedRun.start()
    this.#reports.start()
    this.#stallWatch.start()
    this.#runEnd.watchLoneliness()
    await this.#membership.join(signal)
    signal.throwIfAborted()
    this.#phase = 'running'
    this.#reports.joined({ topics: topicIds.length, threads: threads.count })
    if (this.#tenures.count === 0) this.#reports.noPartitionsYet(2 * heartbeatIntervalMs)
  }

  /** The one way to end, whatever the reason. */
  async #stop(): Promise<void> {
    this.#phase = 'stopping'
    // 1. Nothing more is taken or pulled. What is being looked up is given up.
    this.#stopSignal.abort(new ClsConsumerError('CONSUMER_STATE', 'the consumer is stopping'))
    this.#membership.takeNoMore()
    this.#boundedRun.stop()
    this.#reports.stop()
    this.#stallWatch.stop()
    this.#runEnd.stop()
    await this.#groupMaker.rest()
    await this.#beginning?.catch(() => undefined)
    // 2. – 4. Each partition: its open batch ends, `revoke` runs, it is committed, it is released.
    await this.#tenures.closeAll()
    // 5. Heartbeats stop last.
    await this.#membership.leave()
    await this.#committer.stop()
    await this.#otherGroup.rest()
    // 6. `stop` runs on every thread; threads and connections are closed.
    // Threads that do not exit must not keep the connections open.
    await this.#dispatcher.stop().catch(thrown => this.#fail(toClsError(thrown)))
    await this.#setAside.close().catch(thrown => this.#fail(toClsError(thrown)))
    await this.#world.close().catch(thrown => this.#fail(toClsError(thrown)))
    this.#phase = 'stopped'
    this.#finish(this.#error)
    this.#reports.stopped()
  }

  /** The first error stops the consumer, in order. Later ones are only logged. */
  #fail(error: ClsConsumerError): void {
    const isFirst = this.#error === undefined
    this.#error ??= error
    this.#reports.failed(error, isFirst)
    void this.stop()
  }

  // ---- The stages, and what connects them ----

  #buildMembership(): Membership {
    return new Membership({
      world: this.#world,
      settings: this.#settings,
      consumer: this.name,
      holdings: this.#holdings,
      lease: this.#lease,
      handlers: {
        assigned: epochs => {
          this.#runEnd.stop()
          this.#tenures.open(epochs)
        },
        revoked: epochs => this.#revoke(epochs),
        lost: (epochs, reason) => this.#lose(epochs, reason),
        unknown: error => this.#regroup(error),
        failed: error => this.#fail(error)
      }
    })
  }

  #buildDispatcher(): Dispatcher {
    const { processor, processorOptions } = this.#settings
    const { file, warning } = findProcessor(processor, process.cwd())
    if (warning !== undefined) this.#world.log.warn(warning)
    return new Dispatcher({
      world: this.#world,
      settings: this.#settings,
      processor: { file, options: processorOptions },
      leaseEndMs: this.#lease.shared,
      handlers: {
        mayStart: batch => this.#tenures.ownerOf(batch)?.mayStart() === true,
        tryOpen: decodedBytes => this.#budget.tryOpen(decodedBytes),
        close: decodedBytes => this.#budget.close(decodedBytes),
        nextOffset: (batch, nextOffset, messageCount) =>
          this.#tenures.ownerOf(batch)?.outlined(batch, { nextOffset, messageCount }),
        answered: async (batch, answer, attempt) =>
          await this.#tenures.ownerOf(batch)?.answered(batch, answer, attempt),
        dropped: batch => this.#tenures.ownerOf(batch)?.dropped(batch),
        rewindFault: (batch, offset) => this.#tenures.rewindFault(batch, offset),
        policy: onFailure => this.#lastResort.override(onFailure),
        saved: epoch => this.#tenures.find(epoch)?.save(),
        stateLost: epoch => {
          const tenure = this.#tenures.find(epoch)
          if (tenure !== undefined) this.#tenures.repositioner.stateLost(tenure)
        },
        retryDelayMs: failureCount =>
          retryDelayMs({ ...this.#settings, attempt: failureCount, chance: this.#world.random.next() }),
        retried: ({ topicId, partition, startOffset: offset }, error, waitMs, attempt) =>
          this.#reports.retried(error, { topicId, partition, offset }, waitMs, {
            attempt,
            of: this.#settings.attempts
          }),
        broken: error => this.#fail(error)
      }
    })
  }

  #buildCommitter(): Committer {
    const [world, reports] = [this.#world, this.#reports]
    return new Committer({
      world,
      settings: this.#settings,
      consumer: this.name,
      handlers: {
        committed: (epoch, offset) => {
          this.#restoreTopic(epoch.topicId, 'commit')
          reports.committed(epoch, offset)
        },
        wentBack: (epoch, from, to) => reports.wentBack(epoch, from, to),
        failed: (error, partitionCount) => reports.commitFailed(error, partitionCount),
        refused: (epoch, error) => {
          reports.commitRefused(epoch, error)
          // Not found is the group, as a rule: the heartbeat that follows this loss tells.
          if (isTopicTrouble(error) && error.code !== 'API_NOT_FOUND') this.#refuseTopic(epoch.topicId, 'commit', error)
          if (this.#holdings.lose(epoch)) this.#lose([epoch], 'its commit was refused')
        },
        broken: error => this.#fail(error),
        leaseRemainingMs: () => this.#lease.remainingMs(world.clock.monotonic())
      }
    })
  }

  #buildBoundedRun(): BoundedRun {
    return new BoundedRun(this.#world, this.#settings, this.#otherGroup, {
      hold: () => {
        for (const tenure of this.#tenures) tenure.supply.hold()
      },
      known: () => {
        this.#tenures.boundAll().catch(thrown => {
          if (!this.#stopSignal.signal.aborted) this.#fail(toClsError(thrown))
        })
      }
    })
  }

  #buildTenures(): Tenures {
    const reports = this.#reports
    return new Tenures({
      world: this.#world,
      settings: this.#settings,
      holdings: this.#holdings,
      membership: this.#membership,
      budget: this.#budget,
      dispatcher: this.#dispatcher,
      committer: this.#committer,
      boundedRun: this.#boundedRun,
      starts: this.#starts,
      lastResort: this.#lastResort,
      signal: this.#stopSignal.signal,
      handlers: {
        assigned: event => reports.assigned(event),
        released: (id, committedOffset, reason) => {
          reports.released(id, committedOffset, reason)
          this.#runEnd.watchLoneliness()
          this.#runEnd.check()
        },
        processed: (batch, answer, nextOffset, latencyMs) => reports.processed(batch, answer, nextOffset, latencyMs),
        retried: (error, place, waitMs, tries) => reports.retried(error, place, waitMs, tries),
        parked: (epoch, offset, error) => {
          reports.parked(epoch, offset, error)
          this.#runEnd.check()
        },
        repositioned: ({ topicId, partition }, { from, to, reason }) =>
          reports.repositioned({ topicId, partition, fromOffset: from, toOffset: to, reason }),
        done: (id, nextOffset) => {
          reports.partitionDone(id, nextOffset)
          this.#runEnd.check()
        },
        topicRefused: (topicId, use, error) => this.#refuseTopic(topicId, use, error),
        openDelayMs: topicId => {
          const attempt = this.#troubles.countOpening(topicId)
          const chance = this.#world.random.next()
          return attempt === 0 ? 0 : backoffDelayMs({ ...this.#settings, attempt, chance })
        },
        topicAnswered: (topicId, use) => this.#restoreTopic(topicId, use),
        failed: error => this.#fail(error)
      }
    })
  }

  #buildLastResort(): LastResort {
    return new LastResort({
      world: this.#world,
      policy: this.#settings.onFailure,
      setAside: this.#setAside,
      handlers: {
        skipped: event => this.#reports.skipped(event),
        deadLettered: event => this.#reports.deadLettered(event),
        retried: (error, place, waitMs, attempt) =>
          this.#reports.retried(error, place, waitMs, { attempt, of: this.#settings.attempts }),
        // Not by a pull, as a bounded run looks: it would bring the very body that cannot be read.
        hasLogsFrom: async (epoch, offset) => {
          const end = await this.#starts.ownPosition(epoch, 'end', offset)
          return end === undefined ? undefined : end > offset
        }
      }
    })
  }

  #buildStallWatch(): StallWatch {
    return new StallWatch({
      world: this.#world,
      settings: this.#settings,
      tenures: this.#tenures,
      waitOf: ({ epoch }) => this.#dispatcher.waitOf(epoch),
      givenMs: ({ epoch }) => this.#dispatcher.givenMs(epoch),
      stalled: event => this.#stalled(event)
    })
  }

  #buildRunEnd(): RunEnd {
    return new RunEnd({
      world: this.#world,
      settings: this.#settings,
      boundedRun: this.#boundedRun,
      tenures: this.#tenures,
      troubles: this.#troubles,
      signal: this.#stopSignal.signal,
      isRunning: () => this.#phase === 'running',
      end: error => {
        if (error !== undefined) this.#fail(toClsError(error))
        void this.stop()
      }
    })
  }

  // ---- What the service takes away ----

  /** The others go on, as long as there are any. */
  #refuseTopic(topicId: string, use: TopicUse, error: ClsConsumerError): void {
    if (!this.#troubles.refuse(topicId, use, error)) return
    this.#reports.topicRefused(topicId, error)
    if (this.#troubles.isEveryTopicRefused) this.#fail(error)
    this.#runEnd.check()
  }

  #restoreTopic(topicId: string, use: TopicUse): void {
    if (this.#troubles.restore(topicId, use)) this.#reports.topicRestored(topicId)
  }

  /** The group was deleted under us: it is made again, and joined with the heartbeats that go on. */
  #regroup(error: ClsConsumerError): void {
    this.#starts.groupMadeAgain()
    if (this.#groupMaker.isAtWork) return
    this.#reports.groupLost(error)
    this.#groupMaker.makeAgain()
  }

  #revoke(epochs: readonly Epoch[]): void {
    for (const epoch of epochs) this.#reports.revoked(epoch)
    this.#tenures.revoke(epochs)
  }

  #lose(epochs: readonly Epoch[], reason: string): void {
    const partitions = epochs.map(({ topicId, partition }): PartitionId => ({ topicId, partition }))
    this.#tenures.lose(epochs, reason)
    this.#reports.leaseLost(partitions, reason)
  }

  #stalled(event: StalledEvent): void {
    const { topicId, partition, offset, stalledMs, reason } = event
    this.#reports.stalled(event)
    if (this.#settings.onStall !== 'stop') return
    const message = `no progress for ${stalledMs} ms: ${reason}`
    const place = { topicId, partition, ...(offset === undefined ? {} : { offset }) }
    this.#fail(new ClsConsumerError('PARTITION_STALLED', message, place))
  }
}
