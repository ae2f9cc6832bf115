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
import { resolve } from 'node:path'
import { type Batch, byPartition, type Epoch, keyOf } from './batch.ts'
import { BoundedRun } from './bounded-run.ts'
import { buildWorld, type RealWorld } from './build-world.ts'
import { Committer } from './commit/committer.ts'
import type { AssignedEvent, ConsumerEvents, ConsumerPhase, ConsumerSnapshot } from './consumer-events.ts'
import { chooseName, warnOfName } from './consumer-name.ts'
import { Dispatcher } from './dispatch/dispatcher.ts'
import type { PartitionId, ProcessedAnswer } from './dispatch/messages.ts'
import { ClsConsumerError, type ErrorPlace, toClsError, toFailure } from './errors.ts'
import { ByteBudget } from './fetch/budget.ts'
import { ensureGroup } from './group/ensure-group.ts'
import { Holdings } from './group/holdings.ts'
import { Lease } from './group/lease.ts'
import { Membership } from './group/membership.ts'
import { describeTopics } from './group/start-position.ts'
import { LatencyRecorder } from './observe/latency.ts'
import { type Counts, rateBetween, rateFields } from './observe/rate.ts'
import type { ConsumerOptions, Settings } from './options.ts'
import { resolveOptions } from './resolve-options.ts'
import { Tenures } from './tenures.ts'
import type { Logger, Timer } from './world.ts'

const RATE_INTERVAL_MS = 10_000

/** A partition changes hands within this many heartbeats, and its former owner's drain. */
const HAND_OVER_BEATS = 4

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
  readonly #lease: Lease
  readonly #holdings: Holdings
  readonly #membership: Membership
  readonly #budget: ByteBudget
  readonly #dispatcher: Dispatcher
  readonly #committer: Committer
  readonly #boundedRun: BoundedRun
  readonly #tenures: Tenures
  readonly #stopSignal = new AbortController()
  #finish: (error: ClsConsumerError | undefined) => void = () => undefined
  #phase: ConsumerPhase = 'idle'
  #beginning: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #error: ClsConsumerError | undefined
  readonly #latency = new LatencyRecorder()
  #counts: Counts
  #rateTimer: Timer | undefined
  #lonelyTimer: Timer | undefined
  #waitingForOthers: Promise<void> | undefined

  /** @throws ClsConsumerError OPTIONS_INVALID that lists everything wrong with the options. */
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

    this.#counts = { atMs: world.clock.monotonic(), batchCount: 0, logCount: 0, bodyBytes: 0, responseBytes: 0 }
    this.#lease = new Lease(2 * settings.heartbeatIntervalMs)
    this.#holdings = new Holdings(settings.topicIds)
    this.#budget = new ByteBudget(settings.heldBytesMax)
    this.#membership = this.#buildMembership()
    this.#dispatcher = this.#buildDispatcher()
    this.#committer = this.#buildCommitter()
    this.#boundedRun = this.#buildBoundedRun()
    this.#tenures = this.#buildTenures()
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

  snapshot(): ConsumerSnapshot {
    const partitions = [...this.#tenures].map(({ epoch, startOffset, nextOffset }) => ({
      ...epoch,
      phase: this.#holdings.phaseOf(epoch),
      startOffset,
      nextOffset,
      committedOffset: this.#committer.committedOffset(epoch)
    }))
    const { batchCount, logCount, bodyBytes, responseBytes } = this.#counts
    const heldBytes = this.#budget.heldBytes
    return {
      phase: this.#phase,
      partitions: partitions.sort(byPartition),
      batchCount,
      logCount,
      bodyBytes,
      responseBytes,
      heldBytes
    }
  }

  // ---- Starting and stopping ----

  async #begin(signal: AbortSignal): Promise<void> {
    const { log } = this.#world
    const { group, topicIds, threads } = this.#settings
    warnOfName(log, 'group', group)
    warnOfName(log, 'consumer', this.name)
    await ensureGroup(this.#world, this.#settings, signal)
    this.#tenures.partitionsAtJoin = await describeTopics(this.#world, topicIds, signal)
    signal.throwIfAborted()
    await this.#dispatcher.start()
    signal.throwIfAborted()
    this.#committer.start()
    this.#boundedRun.start()
    this.#watchRate()
    this.#watchLoneliness()
    await this.#membership.join(signal)
    signal.throwIfAborted()
    this.#phase = 'running'
    log.info('joined', { group, consumer: this.name, topics: topicIds.length, threads })
    this.#tell(() => this.emit('joined', { group, consumer: this.name }))
  }

  /** The one way to end, whatever the reason. */
  async #stop(): Promise<void> {
    const { log } = this.#world
    this.#phase = 'stopping'
    // 1. Nothing more is taken or pulled. What is being looked up is given up.
    this.#stopSignal.abort(new ClsConsumerError('CONSUMER_STATE', 'the consumer is stopping'))
    this.#membership.takeNoMore()
    this.#boundedRun.stop()
    this.#rateTimer?.cancel()
    this.#lonelyTimer?.cancel()
    await this.#beginning?.catch(() => undefined)
    // 2. – 4. Each partition: its open batch ends, `revoke` runs, it is committed, it is released.
    await this.#tenures.closeAll()
    // 5. Heartbeats stop last.
    await this.#membership.leave()
    await this.#committer.stop()
    // 6. `stop` runs on every thread; threads and connections are closed.
    // Threads that do not exit must not keep the connections open.
    await this.#dispatcher.stop().catch(thrown => this.#fail(toClsError(thrown)))
    await this.#world.close().catch(thrown => this.#fail(toClsError(thrown)))
    this.#phase = 'stopped'
    log.info('stopped', { consumer: this.name, batches: this.#counts.batchCount, logs: this.#counts.logCount })
    this.#finish(this.#error)
    this.#tell(() => this.emit('stopped'))
  }

  /** The first error stops the consumer, in order. Later ones are only logged. */
  #fail(error: ClsConsumerError): void {
    const isFirst = this.#error === undefined
    this.#error ??= error
    const { code, message } = error
    this.#world.log.error(isFirst ? 'stopping on an error' : 'another error while stopping', { code, error: message })
    if (isFirst) this.#tell(() => this.emit('failed', error))
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
          this.#lonelyTimer?.cancel()
          this.#tenures.open(epochs)
        },
        revoked: epochs => this.#revoke(epochs),
        lost: epochs => this.#lose(epochs, 'the lease has ended'),
        failed: error => this.#fail(error)
      }
    })
  }

  #buildDispatcher(): Dispatcher {
    const { processor, processorOptions } = this.#settings
    return new Dispatcher({
      world: this.#world,
      settings: this.#settings,
      processor: { file: processor.startsWith('file:') ? processor : resolve(processor), options: processorOptions },
      leaseEndMs: this.#lease.shared,
      handlers: {
        mayStart: batch => this.#tenures.ownerOf(batch)?.mayStart() === true,
        tryOpen: decodedBytes => this.#budget.tryOpen(decodedBytes),
        close: decodedBytes => this.#budget.close(decodedBytes),
        nextOffset: (batch, nextOffset) => this.#tenures.ownerOf(batch)?.confirm(batch, nextOffset),
        answered: async (batch, answer) => await this.#tenures.ownerOf(batch)?.answered(batch, answer),
        dropped: batch => this.#tenures.ownerOf(batch)?.dropped(batch),
        broken: error => this.#fail(error)
      }
    })
  }

  #buildCommitter(): Committer {
    const { clock, log } = this.#world
    return new Committer({
      world: this.#world,
      settings: this.#settings,
      consumer: this.name,
      handlers: {
        committed: ({ topicId, partition }, offset) =>
          this.#tell(() => this.emit('committed', { topicId, partition, offset })),
        failed: (error, partitionCount) => {
          log.warn('commit failed', { partitions: partitionCount, error: error.message })
          this.#tell(() => this.emit('commitFailed', { error, partitionCount }))
        },
        refused: (epoch, error) => {
          log.warn('commit refused', { topicId: epoch.topicId, partition: epoch.partition, error: error.message })
          if (this.#holdings.lose(epoch)) this.#lose([epoch], 'its commit was refused')
        },
        broken: error => this.#fail(error),
        leaseRemainingMs: () => this.#lease.remainingMs(clock.monotonic())
      }
    })
  }

  #buildBoundedRun(): BoundedRun {
    return new BoundedRun(this.#world, this.#settings, {
      hold: () => {
        for (const tenure of this.#tenures) tenure.hold()
      },
      known: () => {
        this.#tenures.boundAll().catch(thrown => {
          if (!this.#stopSignal.signal.aborted) this.#fail(toClsError(thrown))
        })
      }
    })
  }

  #buildTenures(): Tenures {
    const { log } = this.#world
    return new Tenures({
      world: this.#world,
      settings: this.#settings,
      holdings: this.#holdings,
      membership: this.#membership,
      budget: this.#budget,
      dispatcher: this.#dispatcher,
      committer: this.#committer,
      boundedRun: this.#boundedRun,
      signal: this.#stopSignal.signal,
      handlers: {
        assigned: event => this.#assigned(event),
        released: ({ topicId, partition }, committedOffset, reason) => {
          log.info('released', { topicId, partition, committedOffset, reason })
          this.#tell(() => this.emit('released', { topicId, partition, committedOffset }))
          this.#watchLoneliness()
          this.#checkDone()
        },
        processed: (batch, answer, nextOffset, latencyMs) => {
          this.#latency.record(latencyMs)
          this.#count(batch, answer, nextOffset)
        },
        retried: (error, place, waitMs) => this.#retried(error, place, waitMs),
        done: ({ topicId, partition }, nextOffset) => {
          log.info('partition done', { topicId, partition, nextOffset })
          this.#tell(() => this.emit('partitionDone', { topicId, partition, nextOffset }))
          this.#checkDone()
        },
        failed: error => this.#fail(error)
      }
    })
  }

  // ---- What happens is visible ----

  #assigned(event: AssignedEvent): void {
    const { topicId, partition, startOffset, reason } = event
    this.#world.log.info('assigned', { topicId, partition, startOffset, reason })
    this.#tell(() => this.emit('assigned', event))
  }

  #revoke(epochs: readonly Epoch[]): void {
    for (const { topicId, partition } of epochs) {
      this.#world.log.info('revoked', { topicId, partition })
      this.#tell(() => this.emit('revoked', { topicId, partition }))
    }
    this.#tenures.revoke(epochs)
  }

  #lose(epochs: readonly Epoch[], reason: string): void {
    const partitions = epochs.map(({ topicId, partition }): PartitionId => ({ topicId, partition }))
    this.#world.log.warn('lease lost', { partitions: partitions.length, reason })
    this.#tenures.lose(epochs, reason)
    this.#tell(() => this.emit('leaseLost', { partitions }))
  }

  #retried(error: ClsConsumerError, place: ErrorPlace, waitMs: number): void {
    const { topicId, partition, offset } = place
    this.#world.log.warn('retried', { topicId, partition, offset, code: error.code, error: error.message, waitMs })
    this.#tell(() => this.emit('retried', { error, place, waitMs }))
  }

  #count(batch: Batch, { logCount, responseBytes }: ProcessedAnswer, nextOffset: bigint): void {
    const { topicId, partition, startOffset, body } = batch
    const bodyBytes = body.byteCount
    const counts = this.#counts
    this.#counts = {
      atMs: counts.atMs,
      batchCount: counts.batchCount + 1,
      logCount: counts.logCount + logCount,
      bodyBytes: counts.bodyBytes + bodyBytes,
      responseBytes: counts.responseBytes + responseBytes
    }
    this.#tell(() =>
      this.emit('batch', { topicId, partition, startOffset, nextOffset, logCount, bodyBytes, responseBytes })
    )
  }

  #watchRate(before: Counts = { ...this.#counts, atMs: this.#world.clock.monotonic() }): void {
    this.#rateTimer = this.#world.timers.after(RATE_INTERVAL_MS, () => {
      const after = { ...this.#counts, atMs: this.#world.clock.monotonic() }
      const rate = rateBetween(before, after, {
        heldBytes: this.#budget.heldBytes,
        partitionCount: this.#tenures.count,
        latency: this.#latency.take()
      })
      this.#world.log.info('rate', rateFields(rate))
      this.#tell(() => this.emit('rate', rate))
      this.#watchRate(after)
    })
  }

  /** A listener that throws is its author's fault, and must not end a stage half-way. */
  #tell(emit: () => void): void {
    try {
      emit()
    } catch (error) {
      this.#world.log.error('a listener threw', { error: toFailure(error, 'INVARIANT_BROKEN').message })
    }
  }

  // ---- The end of a bounded run ----

  #checkDone(): void {
    if (!this.#isDone() || this.#waitingForOthers !== undefined) return
    this.#waitingForOthers = this.#awaitOthers()
      .catch(thrown => {
        if (!this.#stopSignal.signal.aborted) this.#fail(toClsError(thrown))
      })
      .finally(() => {
        this.#waitingForOthers = undefined
        // The last partition may have been done between its last look and this.
        this.#checkDone()
      })
  }

  #isDone(): boolean {
    return (
      this.#phase === 'running' && this.#tenures.count > 0 && [...this.#tenures].every(({ phase }) => phase === 'done')
    )
  }

  /** Ours are done. A member of the group may have died before its own were: those come to us after its timeout. */
  async #awaitOthers(): Promise<void> {
    const { clock, timers, log } = this.#world
    const { signal } = this.#stopSignal
    const { topicIds, heartbeatIntervalMs } = this.#settings
    const untilMs = clock.monotonic() + this.#handOverMs()
    for (;;) {
      const held = new Set([...this.#tenures].map(({ epoch }) => keyOf(epoch)))
      const behind = (await this.#boundedRun.lookUpBehind(topicIds, signal)).filter(id => !held.has(keyOf(id)))
      // Something came to us while we asked: its end asks again.
      if (!this.#isDone()) return
      if (behind.length === 0 || clock.monotonic() >= untilMs) {
        for (const id of behind) log.warn('ending although a partition that others hold is not at its end', { ...id })
        void this.stop()
        return
      }
      await timers.sleep(heartbeatIntervalMs, signal)
    }
  }

  /** A partition changes hands within this, as a rule. */
  #handOverMs(): number {
    return HAND_OVER_BEATS * this.#settings.heartbeatIntervalMs + this.#settings.drainTimeoutMs
  }

  /** A bounded run that is given no partition for longer than any hand-over takes has nothing to do. */
  #watchLoneliness(): void {
    if (this.#settings.stopAt === undefined || this.#tenures.count > 0 || this.#phase === 'stopping') return
    this.#lonelyTimer?.cancel()
    this.#lonelyTimer = this.#world.timers.after(this.#handOverMs(), () => {
      if (this.#tenures.count === 0) void this.stop()
    })
  }
}
