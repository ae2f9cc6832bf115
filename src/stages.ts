/**
 * The stages of a consumer, and what connects them.
 *
 *   group ──epochs──► fetch ──batches──► dispatch ──answers──► commit
 *     ▲                                                          │
 *     └────────────────────── releases ──────────────────────────┘
 *
 * In: settings, a world. Out: every stage, wired to the others, none of which knows them; `fail` with what ends the consumer.
 * `consumer.ts` starts and stops them. Must never happen: something is taken away (a topic, the group, partitions) and
 * nobody is told.
 */
import type { EventEmitter } from 'node:events'
import type { Epoch } from './batch.ts'
import { BoundedRun } from './bounded-run.ts'
import type { RealWorld } from './build-world.ts'
import { Committer } from './commit/committer.ts'
import type { ConsumerEvents } from './consumer-events.ts'
import { ConsumerReports } from './consumer-reports.ts'
import { Dispatcher } from './dispatch/dispatcher.ts'
import type { PartitionId } from './dispatch/messages.ts'
import { ClsConsumerError, toClsError } from './errors.ts'
import { backoffDelayMs, retryDelayMs } from './failure/retry-policy.ts'
import { SetAside } from './failure/set-aside.ts'
import { ByteBudget } from './fetch/budget.ts'
import { GroupMaker } from './group/group-maker.ts'
import { Holdings } from './group/holdings.ts'
import { Lease } from './group/lease.ts'
import { Membership } from './group/membership.ts'
import { OtherGroup } from './group/own-positions.ts'
import { LastResort } from './last-resort.ts'
import type { Settings } from './options.ts'
import { findProcessor } from './processor-source.ts'
import { RunEnd } from './run-end.ts'
import { type StalledEvent, StallWatch } from './stall-watch.ts'
import { Starts } from './starts.ts'
import { Tenures } from './tenures.ts'
import { isTopicTrouble, TopicTroubles, type TopicUse } from './topic-troubles.ts'

export interface StagesHooks {
  isRunning(): boolean
  /** Stops the consumer, in order, on the error. */
  fail(error: ClsConsumerError): void
  /** Everything that there is to do is done. */
  stop(): void
}

export interface StagesParts {
  readonly world: RealWorld
  readonly settings: Settings
  /** Its name in the group. */
  readonly consumer: string
  readonly events: EventEmitter<ConsumerEvents>
  /** Aborted when the consumer stops. */
  readonly signal: AbortSignal
  readonly hooks: StagesHooks
}

export class Stages {
  readonly reports: ConsumerReports
  readonly holdings: Holdings
  readonly membership: Membership
  readonly budget: ByteBudget
  readonly dispatcher: Dispatcher
  readonly committer: Committer
  readonly otherGroup: OtherGroup
  readonly boundedRun: BoundedRun
  readonly groupMaker: GroupMaker
  readonly starts: Starts
  readonly setAside: SetAside
  readonly tenures: Tenures
  readonly stallWatch: StallWatch
  readonly runEnd: RunEnd
  readonly #lease: Lease
  readonly #lastResort: LastResort
  readonly #troubles: TopicTroubles
  readonly #world: RealWorld
  readonly #settings: Settings
  readonly #consumer: string
  readonly #signal: AbortSignal
  readonly #hooks: StagesHooks

  /** @throws ClsConsumerError PROCESSOR_NOT_FOUND */
  constructor({ world, settings, consumer, events, signal, hooks }: StagesParts) {
    this.#world = world
    this.#settings = settings
    this.#consumer = consumer
    this.#signal = signal
    this.#hooks = hooks
    this.reports = new ConsumerReports({
      world,
      group: settings.group,
      consumer,
      events,
      gauges: () => ({
        heldBytes: this.budget.heldBytes,
        heldBytesMax: settings.heldBytesMax,
        partitionCount: this.tenures.count
      })
    })
    this.#lease = new Lease(2 * settings.heartbeatIntervalMs)
    this.holdings = new Holdings(settings.topicIds)
    this.budget = new ByteBudget(settings.heldBytesMax)
    this.membership = this.#buildMembership()
    this.dispatcher = this.#buildDispatcher()
    this.committer = this.#buildCommitter()
    this.otherGroup = new OtherGroup(world)
    this.boundedRun = this.#buildBoundedRun()
    this.groupMaker = new GroupMaker(world, settings, signal, {
      made: () => this.membership.groupMade(),
      failed: error => hooks.fail(error)
    })
    this.#troubles = new TopicTroubles(settings.topicIds)
    this.starts = new Starts({
      world,
      settings,
      otherGroup: this.otherGroup,
      signal,
      handlers: {
        acknowledged: topicId => this.committer.acknowledged(topicId),
        groupMadeAgain: () => {
          this.reports.offsetsLost()
          this.committer.repeatAll()
        }
      }
    })
    this.setAside = new SetAside({ world, settings, consumer })
    this.#lastResort = this.#buildLastResort()
    this.tenures = this.#buildTenures()
    this.stallWatch = this.#buildStallWatch()
    this.runEnd = this.#buildRunEnd()
  }

  #buildMembership(): Membership {
    return new Membership({
      world: this.#world,
      settings: this.#settings,
      consumer: this.#consumer,
      holdings: this.holdings,
      lease: this.#lease,
      handlers: {
        assigned: epochs => {
          this.runEnd.stop()
          this.tenures.open(epochs)
        },
        revoked: epochs => this.#revoke(epochs),
        lost: (epochs, reason) => this.#lose(epochs, reason),
        unknown: error => this.#regroup(error),
        failed: error => this.#hooks.fail(error)
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
        mayStart: batch => this.tenures.ownerOf(batch)?.mayStart() === true,
        tryOpen: decodedBytes => this.budget.tryOpen(decodedBytes),
        close: decodedBytes => this.budget.close(decodedBytes),
        nextOffset: (batch, nextOffset, messageCount) =>
          this.tenures.ownerOf(batch)?.outlined(batch, { nextOffset, messageCount }),
        answered: async (batch, answer, attempt) => await this.tenures.ownerOf(batch)?.answered(batch, answer, attempt),
        dropped: batch => this.tenures.ownerOf(batch)?.dropped(batch),
        rewindFault: (batch, offset) => this.tenures.rewindFault(batch, offset),
        policy: onFailure => this.#lastResort.override(onFailure),
        saved: epoch => this.tenures.find(epoch)?.save(),
        stateLost: epoch => {
          const tenure = this.tenures.find(epoch)
          if (tenure !== undefined) this.tenures.repositioner.stateLost(tenure)
        },
        retryDelayMs: failureCount =>
          retryDelayMs({ ...this.#settings, attempt: failureCount, chance: this.#world.random.next() }),
        retried: ({ topicId, partition, startOffset: offset }, error, waitMs, attempt) =>
          this.reports.retried(error, { topicId, partition, offset }, waitMs, {
            attempt,
            of: this.#settings.attempts
          }),
        broken: error => this.#hooks.fail(error)
      }
    })
  }

  #buildCommitter(): Committer {
    const [world, reports] = [this.#world, this.reports]
    return new Committer({
      world,
      settings: this.#settings,
      consumer: this.#consumer,
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
          if (this.holdings.lose(epoch)) this.#lose([epoch], 'its commit was refused')
        },
        broken: error => this.#hooks.fail(error),
        leaseRemainingMs: () => this.#lease.remainingMs(world.clock.monotonic())
      }
    })
  }

  #buildBoundedRun(): BoundedRun {
    return new BoundedRun(this.#world, this.#settings, this.otherGroup, {
      hold: () => {
        for (const tenure of this.tenures) tenure.supply.hold()
      },
      known: () => {
        this.tenures.boundAll().catch(thrown => {
          if (!this.#signal.aborted) this.#hooks.fail(toClsError(thrown))
        })
      }
    })
  }

  #buildTenures(): Tenures {
    const reports = this.reports
    return new Tenures({
      world: this.#world,
      settings: this.#settings,
      holdings: this.holdings,
      membership: this.membership,
      budget: this.budget,
      dispatcher: this.dispatcher,
      committer: this.committer,
      boundedRun: this.boundedRun,
      starts: this.starts,
      lastResort: this.#lastResort,
      signal: this.#signal,
      handlers: {
        assigned: event => reports.assigned(event),
        released: (id, committedOffset, reason) => {
          reports.released(id, committedOffset, reason)
          this.runEnd.watchLoneliness()
          this.runEnd.check()
        },
        processed: (batch, answer, nextOffset, latencyMs) => reports.processed(batch, answer, nextOffset, latencyMs),
        retried: (error, place, waitMs, tries) => reports.retried(error, place, waitMs, tries),
        parked: (epoch, offset, error) => {
          reports.parked(epoch, offset, error)
          this.runEnd.check()
        },
        repositioned: ({ topicId, partition }, { from, to, reason }) =>
          reports.repositioned({ topicId, partition, fromOffset: from, toOffset: to, reason }),
        done: (id, nextOffset) => {
          reports.partitionDone(id, nextOffset)
          this.runEnd.check()
        },
        topicRefused: (topicId, use, error) => this.#refuseTopic(topicId, use, error),
        openDelayMs: topicId => {
          const attempt = this.#troubles.countOpening(topicId)
          const chance = this.#world.random.next()
          return attempt === 0 ? 0 : backoffDelayMs({ ...this.#settings, attempt, chance })
        },
        topicAnswered: (topicId, use) => this.#restoreTopic(topicId, use),
        failed: error => this.#hooks.fail(error)
      }
    })
  }

  #buildLastResort(): LastResort {
    return new LastResort({
      world: this.#world,
      policy: this.#settings.onFailure,
      setAside: this.setAside,
      handlers: {
        skipped: event => this.reports.skipped(event),
        deadLettered: event => this.reports.deadLettered(event),
        retried: (error, place, waitMs, attempt) =>
          this.reports.retried(error, place, waitMs, { attempt, of: this.#settings.attempts }),
        // Not by a pull, as a bounded run looks: it would bring the very body that cannot be read.
        hasLogsFrom: async (epoch, offset) => {
          const end = await this.starts.ownPosition(epoch, 'end', offset)
          return end === undefined ? undefined : end > offset
        }
      }
    })
  }

  #buildStallWatch(): StallWatch {
    return new StallWatch({
      world: this.#world,
      settings: this.#settings,
      tenures: this.tenures,
      waitOf: ({ epoch }) => this.dispatcher.waitOf(epoch),
      givenMs: ({ epoch }) => this.dispatcher.givenMs(epoch),
      stalled: event => this.#stalled(event)
    })
  }

  #buildRunEnd(): RunEnd {
    return new RunEnd({
      world: this.#world,
      settings: this.#settings,
      boundedRun: this.boundedRun,
      tenures: this.tenures,
      troubles: this.#troubles,
      signal: this.#signal,
      isRunning: () => this.#hooks.isRunning(),
      end: error => {
        if (error !== undefined) this.#hooks.fail(toClsError(error))
        this.#hooks.stop()
      }
    })
  }

  // ---- What the service takes away ----

  /** Which partitions there are now: what is made later starts at its beginning (I11). */
  async lookAtTopics(): Promise<void> {
    await this.starts.lookAtTopics((topicId, error) => this.#refuseTopic(topicId, 'positions', error))
  }

  /** The others go on, as long as there are any. */
  #refuseTopic(topicId: string, use: TopicUse, error: ClsConsumerError): void {
    if (!this.#troubles.refuse(topicId, use, error)) return
    this.reports.topicRefused(topicId, error)
    if (this.#troubles.isEveryTopicRefused) this.#hooks.fail(error)
    this.runEnd.check()
  }

  #restoreTopic(topicId: string, use: TopicUse): void {
    if (this.#troubles.restore(topicId, use)) this.reports.topicRestored(topicId)
  }

  /** The group was deleted under us: it is made again, and joined with the heartbeats that go on. */
  #regroup(error: ClsConsumerError): void {
    this.starts.groupMadeAgain()
    if (this.groupMaker.isAtWork) return
    this.reports.groupLost(error)
    this.groupMaker.makeAgain()
  }

  #revoke(epochs: readonly Epoch[]): void {
    for (const epoch of epochs) this.reports.revoked(epoch)
    this.tenures.revoke(epochs)
  }

  #lose(epochs: readonly Epoch[], reason: string): void {
    const partitions = epochs.map(({ topicId, partition }): PartitionId => ({ topicId, partition }))
    this.tenures.lose(epochs, reason)
    this.reports.leaseLost(partitions, reason)
  }

  #stalled(event: StalledEvent): void {
    const { topicId, partition, offset, stalledMs, reason } = event
    this.reports.stalled(event)
    if (this.#settings.onStall !== 'stop') return
    const message = `no progress for ${stalledMs} ms: ${reason}`
    const place = { topicId, partition, ...(offset === undefined ? {} : { offset }) }
    this.#hooks.fail(new ClsConsumerError('PARTITION_STALLED', message, place))
  }
}
