/**
 * The dispatcher: hands batches to threads, one of a partition at a time, and answers back to the consumer.
 *
 * In: partitions to assign, move and drain, batches in offset order. Out: `handlers`. `Lanes` decides; the pool acts. Must
 * never happen: a batch starts for an epoch that has ended; a partition's next batch starts before its last one was
 * answered and its answer dealt with (I2); a thread counts as dead before its exit.
 *
 *   Crew      which threads are up            Runs          batches on their way: opened, answered, run again
 *   Hooks     the user's hooks, bounded       OpenBatches   the end of an open batch, awaited or brought about
 *   Seating   assign, move, drain: a          ProcessLimit  the time that `process` may take
 *             partition's place              Balancer      which partition moves, where one thread idles
 */
import type { Batch, Epoch } from '../batch.ts'
import { ClsConsumerError, fromFailure } from '../errors.ts'
import { KEPT_SHARE, type Settings } from '../options.ts'
import type { World } from '../world.ts'
import { Balancer } from './balancer.ts'
import { Crew } from './crew.ts'
import { Hooks, toPoolError } from './hooks.ts'
import { Lanes, type Seat } from './lanes.ts'
import type { BatchAnswer, FailurePolicy, FromThread, NextOffsetMessage, ProcessorSource } from './messages.ts'
import { OpenBatches } from './open-batches.ts'
import { ProcessLimit } from './process-limit.ts'
import { type DispatchWait, type RunHandlers, Runs } from './runs.ts'
import { Seating } from './seating.ts'

export interface DispatchHandlers extends RunHandlers {
  /** The thread has decoded the next offset and is about to process. */
  nextOffset(batch: Batch, nextOffset: bigint | undefined, messageCount: number): void
  /** The processor's own word on what becomes of failed batches. */
  policy(onFailure: FailurePolicy): void
  /** `context.save()` in `revoke`. */
  saved(epoch: Epoch): void
  /** What the processor kept for the partition is gone: its thread has ended, or the partition has left it. */
  stateLost(epoch: Epoch): void
}

type DispatchSettings = Pick<
  Settings,
  | 'abortGraceMs'
  | 'threadExitMs'
  | 'hookTimeoutMs'
  | 'processTimeoutMs'
  | 'balanceIntervalMs'
  | 'responseBytesMax'
  | 'heldBytesMax'
  | 'commitMode'
  | 'deadLetterDirectory'
  | 'onResult'
  | 'resultsMax'
>

export interface DispatcherParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'threads' | 'log'>
  readonly settings: DispatchSettings
  readonly processor: ProcessorSource
  readonly leaseEndMs: SharedArrayBuffer
  readonly handlers: DispatchHandlers
}

export class Dispatcher {
  readonly #world: Pick<World, 'timers' | 'threads' | 'log'>
  readonly #handlers: DispatchHandlers
  readonly #lanes: Lanes
  readonly #crew: Crew
  readonly #openBatches: OpenBatches
  readonly #processLimit: ProcessLimit
  readonly #seating: Seating
  readonly #runs: Runs
  readonly #balancer: Balancer
  #moveCount = 0

  constructor({ world, settings, processor, leaseEndMs, handlers }: DispatcherParts) {
    this.#world = world
    this.#handlers = handlers
    const { threads, log } = world
    const { responseBytesMax, heldBytesMax, hookTimeoutMs } = settings
    const keptBytesMax = Math.floor((heldBytesMax * KEPT_SHARE) / threads.count)
    this.#lanes = new Lanes(threads.count, threads.batchesPerThread, threads.firstThread)
    const hooks = new Hooks(world, hookTimeoutMs, processor.file)
    this.#crew = new Crew({
      world,
      abortGraceMs: settings.abortGraceMs,
      hooks,
      startTask: {
        kind: 'start',
        processor,
        limits: { responseBytesMax, keptBytesMax },
        commitMode: settings.commitMode,
        deadLetters: settings.deadLetterDirectory === undefined ? 'off' : 'written',
        leaseEndMs
      },
      handlers: {
        message: message => this.#onMessage(message),
        exited: thread => {
          this.#balancer.exited(thread)
          this.#runs.exited(thread)
          this.#seating.exited(thread)
        },
        up: thread => this.#seating.up(thread),
        retryDelayMs: lossCount => handlers.retryDelayMs(lossCount),
        broken: error => handlers.broken(error)
      }
    })
    this.#openBatches = new OpenBatches(world, settings, this.#crew)
    this.#processLimit = new ProcessLimit({
      world,
      settings,
      file: processor.file,
      crew: this.#crew,
      openBatches: this.#openBatches,
      broken: error => handlers.broken(toPoolError(error))
    })
    this.#seating = new Seating({
      log,
      lanes: this.#lanes,
      crew: this.#crew,
      hooks,
      openBatches: this.#openBatches,
      handlers: {
        dropQueued: seat => this.#runs.dropQueued(seat),
        pump: thread => this.#runs.pump(thread),
        pumpAll: () => this.#runs.pumpAll(),
        stateLost: ({ id, epoch }) => handlers.stateLost({ ...id, epoch }),
        retryDelayMs: lossCount => handlers.retryDelayMs(lossCount),
        broken: error => handlers.broken(error)
      }
    })
    this.#runs = new Runs({
      world,
      file: processor.file,
      lanes: this.#lanes,
      crew: this.#crew,
      openBatches: this.#openBatches,
      processLimit: this.#processLimit,
      seating: this.#seating,
      resultsMax: settings.onResult === undefined ? Number.POSITIVE_INFINITY : settings.resultsMax,
      handlers: { ...handlers, answered: (batch, answer, attempt) => this.#answered(batch, answer, attempt) }
    })
    this.#balancer = new Balancer({
      world,
      intervalMs: settings.balanceIntervalMs,
      mode: settings.commitMode === 'auto' ? 'moves' : 'measures',
      lanes: this.#lanes,
      crew: this.#crew,
      goesOn: seat => this.#goesOn(seat),
      move: (seat, thread) => this.#move(seat, thread)
    })
  }

  /**
   * Boots the threads and runs the processor's `start` on each. Rejects where a thread or the processor cannot, or as soon
   * as `signal` aborts: `stop` ends what still runs then.
   */
  async start(signal?: AbortSignal): Promise<void> {
    await this.#crew.start(signal)
    this.#balancer.start()
  }

  /** Seats the partition on a lane and runs `assign` there. Its batches may be enqueued at once. */
  assign(epoch: Epoch): void {
    this.#seating.assign(this.#lanes.add(epoch, this.#balancer.shares))
  }

  enqueue(batch: Batch): void {
    const seat = this.#lanes.find(batch)
    if (seat === undefined || this.#seating.isDraining(seat)) {
      this.#handlers.dropped(batch)
      return
    }
    this.#lanes.enqueue(seat, batch)
    this.#runs.pump(seat.thread)
  }

  /** Drops what waits of this epoch. The open batch goes on. */
  dropQueued(epoch: Epoch): void {
    const seat = this.#lanes.find(epoch)
    if (seat !== undefined) this.#runs.dropQueued(seat)
  }

  /**
   * The partition goes on in a new epoch, on the same lane. Waiting batches are dropped, an open one is aborted. `isNewTry`:
   * somebody has decided where, and failed attempts are forgotten.
   */
  renew(epoch: Epoch, next: Epoch, isNewTry: boolean): void {
    const seat = this.#lanes.find(epoch)
    if (seat === undefined) return
    this.#runs.dropQueued(seat)
    this.#openBatches.abort(seat, 'the partition is repositioned')
    this.#lanes.renew(seat, next, isNewTry)
  }

  /** Resolves when no batch of the partition is open. */
  async rest(epoch: Epoch): Promise<void> {
    const seat = this.#lanes.find(epoch)
    if (seat !== undefined) await this.#openBatches.rest(seat)
  }

  /** How often a partition has gone to another thread. */
  get moveCount(): number {
    return this.#moveCount
  }

  /** What the partition's next batch waits for here, for a report. */
  waitOf(epoch: Epoch): DispatchWait | undefined {
    const seat = this.#lanes.find(epoch)
    return seat === undefined ? undefined : this.#runs.waitOf(seat)
  }

  /** Since when a thread has the partition's open batch, ms on the monotonic clock; undefined where none has one. */
  givenMs(epoch: Epoch): number | undefined {
    const seat = this.#lanes.find(epoch)
    return seat === undefined ? undefined : this.#runs.givenMs(seat)
  }

  /**
   * Moves the partition to another thread, in order: waits until none of its batches is open or being answered, runs
   * `revoke` there and `assign` here, then goes on with what queued meanwhile. Resolves to whether it has; not where it
   * is draining, moving or there already, or was drained or renewed before its last batch there had ended.
   * @throws ClsConsumerError OPTIONS_INVALID (no such thread), THREAD_STUCK (it stays where it was, and held)
   */
  async move(epoch: Epoch, thread: number): Promise<boolean> {
    if (!this.#crew.threads.includes(thread)) {
      const message = `there is no thread ${thread} to move to: they are 0 to ${this.#crew.threads.length - 1}`
      throw new ClsConsumerError('OPTIONS_INVALID', message, { topicId: epoch.topicId, partition: epoch.partition })
    }
    const seat = this.#lanes.find(epoch)
    return seat !== undefined && (await this.#move(seat, thread))
  }

  /**
   * Ends the partition's work and unseats it: ends the open batch, then `revoke`. Called again while it drains, it aborts
   * the open batch at once and waits for the same end.
   * @throws ClsConsumerError THREAD_STUCK, DRAIN_TIMEOUT: work of the partition may still run; it must stay held (I4).
   */
  async drain(epoch: Epoch, patienceMs: number, reason: string): Promise<void> {
    const seat = this.#lanes.find(epoch)
    if (seat !== undefined) await this.#seating.drain(seat, patienceMs, reason)
  }

  /**
   * Runs the processor's `stop` on every thread where `start` has returned, or does so within `abortGraceMs`; then leaves
   * the threads. Partitions were drained before.
   */
  async stop(): Promise<void> {
    this.#balancer.stop()
    await this.#crew.stop()
  }

  async #move(seat: Seat, thread: number): Promise<boolean> {
    const hasMoved = await this.#seating.move(seat, thread)
    if (hasMoved) {
      this.#moveCount += 1
      this.#balancer.moved(seat)
    }
    return hasMoved
  }

  /** Not paused, parked, drained or lost. */
  #goesOn(seat: Seat): boolean {
    const batch = seat.open ?? seat.queue[0]
    return batch !== undefined && !this.#seating.isDraining(seat) && this.#handlers.mayStart(batch)
  }

  async #answered(batch: Batch, answer: BatchAnswer, attempt: number): Promise<void> {
    const seat = this.#lanes.find(batch)
    if (seat !== undefined) this.#balancer.answered(seat, answer)
    await this.#handlers.answered(batch, answer, attempt)
  }

  #onMessage(message: FromThread): void {
    switch (message.kind) {
      case 'log':
        this.#world.log[message.level](message.message, message.fields)
        return
      case 'broken':
        this.#handlers.broken(fromFailure(message.failure))
        return
      case 'policy':
        this.#handlers.policy(message.onFailure)
        return
      case 'saved': {
        const { topicId, partition, epoch } = message
        this.#handlers.saved({ topicId, partition, epoch })
        return
      }
      case 'next-offset':
        this.#onNextOffset(message)
    }
  }

  #onNextOffset({ batchId, nextOffset, messageCount }: NextOffsetMessage): void {
    const batch = this.#lanes.openBatch(batchId)
    if (batch === undefined) return
    this.#processLimit.begun(batch)
    try {
      this.#handlers.nextOffset(batch, nextOffset, messageCount)
    } catch (error) {
      this.#handlers.broken(toPoolError(error))
    }
  }
}
