/**
 * The consumer: what a user holds. It starts the stages, and stops them in order.
 *
 * In: options. Out: events, results to `onResult`, one promise that tells how it ended. `stages.ts` connects the stages,
 * `tenures.ts` holds what happens to one partition. Must never happen: heartbeats stop before the last release (I4); a wait
 * without a deadline.
 */
import { EventEmitter } from 'node:events'
import { byPartition } from './batch.ts'
import { buildWorld, type RealWorld } from './build-world.ts'
import type { ConsumerEvents, ConsumerPhase, ConsumerSnapshot } from './consumer-events.ts'
import { chooseName, warnOfName } from './consumer-name.ts'
import type { PartitionId } from './dispatch/messages.ts'
import { ClsConsumerError, toClsError } from './errors.ts'
import { ensureGroup } from './group/ensure-group.ts'
import type { ConsumerOptions, Settings } from './options.ts'
import { checkPosition } from './positions.ts'
import { resolveOptions } from './resolve-options.ts'
import { Stages } from './stages.ts'
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
  readonly #stages: Stages
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

    this.#stages = new Stages({
      world,
      settings,
      consumer: this.name,
      events: this,
      signal: this.#stopSignal.signal,
      hooks: {
        isRunning: () => this.#phase === 'running',
        fail: error => this.#fail(error),
        stop: () => void this.stop()
      }
    })
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
    const { tenures, dispatcher } = this.#stages
    const tenure = [...tenures].find(({ epoch }) => epoch.topicId === topicId && epoch.partition === partition)
    return tenure !== undefined && (await dispatcher.move(tenure.epoch, thread))
  }

  /**
   * Pulls and opens nothing more of a partition, until `resume`; it stays held, and gives its bytes back. An open batch
   * still counts. False where it is not held. Ends with its release: another consumer, or this one later, reads on.
   */
  pause(topicId: string, partition: number): boolean {
    const isPaused = this.#stages.tenures.repositioner.pause({ topicId, partition })
    if (isPaused) this.#stages.reports.paused({ topicId, partition })
    return isPaused
  }

  /**
   * Goes on with what was paused, or parked by the policy: with a partition, those of a topic, or all. Resolves to how many
   * go on.
   */
  async resume(topicId?: string, partition?: number): Promise<number> {
    const { tenures } = this.#stages
    const wanted = [...tenures]
      .map(({ epoch }) => epoch)
      .filter(epoch => topicId === undefined || epoch.topicId === topicId)
      .filter(epoch => partition === undefined || epoch.partition === partition)
    const resumed = await Promise.all(wanted.map(epoch => tenures.repositioner.resume(epoch)))
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
    return await this.#stages.tenures.repositioner.seek({ topicId, partition }, checkPosition(position))
  }

  snapshot(): ConsumerSnapshot {
    const { tenures, holdings, committer, dispatcher, budget, reports } = this.#stages
    const partitions = [...tenures].map(({ epoch, phase: state, startOffset, nextOffset }) => ({
      ...epoch,
      phase: holdings.phaseOf(epoch),
      state,
      startOffset,
      nextOffset,
      committedOffset: committer.committedOffset(epoch)
    }))
    return {
      phase: this.#phase,
      partitions: partitions.sort(byPartition),
      ...reports.totals,
      moveCount: dispatcher.moveCount,
      heldBytes: budget.heldBytes,
      heldBytesMax: this.#settings.heldBytesMax
    }
  }

  // ---- Starting and stopping ----

  async #begin(signal: AbortSignal): Promise<void> {
    const { log, threads } = this.#world
    const { group, topicIds, heartbeatIntervalMs } = this.#settings
    const { membership, dispatcher, committer, boundedRun, tenures, reports } = this.#stages
    warnOfName(log, 'group', group)
    warnOfName(log, 'consumer', this.name)
    await this.#stages.setAside.prepare()
    await ensureGroup(this.#world, this.#settings, signal)
    await this.#stages.lookAtTopics()
    signal.throwIfAborted()
    await dispatcher.start(signal)
    signal.throwIfAborted()
    committer.start()
    boundedRun.start()
    reports.start()
    this.#stages.stallWatch.start()
    this.#stages.runEnd.watchLoneliness()
    await membership.join(signal)
    signal.throwIfAborted()
    this.#phase = 'running'
    reports.joined({ topics: topicIds.length, threads: threads.count })
    if (tenures.count === 0) reports.noPartitionsYet(2 * heartbeatIntervalMs)
  }

  /** The one way to end, whatever the reason. */
  async #stop(): Promise<void> {
    const { membership, dispatcher, committer, boundedRun, tenures, reports } = this.#stages
    this.#phase = 'stopping'
    // 1. Nothing more is taken or pulled. What is being looked up is given up.
    this.#stopSignal.abort(new ClsConsumerError('CONSUMER_STATE', 'the consumer is stopping'))
    membership.takeNoMore()
    boundedRun.stop()
    reports.stop()
    this.#stages.stallWatch.stop()
    this.#stages.runEnd.stop()
    await this.#stages.groupMaker.rest()
    await this.#beginning?.catch(() => undefined)
    // 2. – 4. Each partition: its open batch ends, `revoke` runs, it is committed, it is released.
    await tenures.closeAll()
    // 5. Heartbeats stop last.
    await membership.leave()
    await committer.stop()
    await this.#stages.otherGroup.rest()
    // 6. `stop` runs on every thread; threads and connections are closed.
    // Threads that do not exit must not keep the connections open.
    await dispatcher.stop().catch(thrown => this.#fail(toClsError(thrown)))
    await this.#stages.setAside.close().catch(thrown => this.#fail(toClsError(thrown)))
    await this.#world.close().catch(thrown => this.#fail(toClsError(thrown)))
    this.#phase = 'stopped'
    this.#finish(this.#error)
    reports.stopped()
  }

  /** The first error stops the consumer, in order. Later ones are only logged. */
  #fail(error: ClsConsumerError): void {
    const isFirst = this.#error === undefined
    this.#error ??= error
    this.#stages.reports.failed(error, isFirst)
    void this.stop()
  }
}
