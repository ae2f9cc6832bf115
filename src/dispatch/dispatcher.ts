/**
 * The dispatcher: hands batches to threads, one of a partition at a time, and answers back to the consumer.
 *
 * In: partitions to assign and drain, batches in offset order. Out: `handlers`. `Lanes` decides; the pool acts. Must
 * never happen: a batch starts for an epoch that has ended; a partition's next batch starts before its last one was
 * answered and its answer dealt with (I2); a thread counts as dead before its exit.
 *
 * Ending the work of a partition, each step only where the one before did not suffice:
 *   wait `patienceMs` for the open batch → abort its signal, wait `abortGraceMs` → terminate its thread, wait for exit
 */
import { type Batch, type Epoch, keyOf } from '../batch.ts'
import { ClsConsumerError, type ErrorPlace, fromFailure, toFailure } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { World } from '../world.ts'
import { Lanes, type Seat } from './lanes.ts'
import type {
  AssignTask,
  BatchAnswer,
  FromThread,
  ProcessorSource,
  RevokeTask,
  StartTask,
  StopTask
} from './messages.ts'

export interface DispatchHandlers {
  /** Whether the batch may start now: its epoch is current and the lease holds (I3, I12). */
  mayStart(batch: Batch): boolean
  /** Reserves memory for the decoded batch; asked again after the next `close`. */
  tryOpen(decodedBytes: number): boolean
  close(decodedBytes: number): void
  /** The thread has decoded the next offset and is about to process. */
  nextOffset(batch: Batch, nextOffset: bigint | undefined): void
  /** The partition's next batch waits until this resolves; it never rejects. */
  answered(batch: Batch, answer: BatchAnswer): Promise<void>
  /** Never processed, or not to its end, and will not be: its bytes are free. */
  dropped(batch: Batch): void
  /** Nothing more can be processed. */
  broken(error: ClsConsumerError): void
}

/** The user's `start`, `assign`, `revoke` and `stop` each end within this. */
const HOOK_MS_MAX = 60_000

type ThreadPhase = 'down' | 'starting' | 'up'
type HookTask = StartTask | AssignTask | RevokeTask | StopTask

export class Dispatcher {
  readonly #world: Pick<World, 'timers' | 'threads' | 'log'>
  readonly #settings: Pick<Settings, 'batchesPerThread' | 'abortGraceMs' | 'threadExitMs' | 'responseBytesMax'>
  readonly #processor: ProcessorSource
  readonly #leaseEndMs: SharedArrayBuffer
  readonly #handlers: DispatchHandlers
  readonly #lanes: Lanes
  readonly #phases: ThreadPhase[]
  /** Terminated by us: their other batches are not to blame. */
  readonly #killed = new Set<number>()
  /** Resolves when the open batch of a seat has been answered and dealt with. */
  readonly #idle = new WeakMap<Seat, Promise<void>>()
  /** Resolves when `assign` of a seat has returned. */
  readonly #assigning = new WeakMap<Seat, Promise<void>>()
  readonly #draining = new WeakMap<Seat, Promise<void>>()
  /** Whose `assign` has returned on the thread as it is now: only there is something to `revoke`. */
  readonly #assigned = new WeakSet<Seat>()
  /** Threads whose next batch waits for memory, the longest first. Overtaken, a large batch would wait for ever. */
  #line: readonly number[] = []
  /** Batches that are with a thread: open ones less those whose answer is being dealt with. */
  readonly #running = new Set<number>()

  constructor(parts: {
    readonly world: Pick<World, 'timers' | 'threads' | 'log'>
    readonly settings: Pick<Settings, 'batchesPerThread' | 'abortGraceMs' | 'threadExitMs' | 'responseBytesMax'>
    readonly processor: ProcessorSource
    readonly leaseEndMs: SharedArrayBuffer
    readonly handlers: DispatchHandlers
  }) {
    this.#world = parts.world
    this.#settings = parts.settings
    this.#processor = parts.processor
    this.#leaseEndMs = parts.leaseEndMs
    this.#handlers = parts.handlers
    const { count } = parts.world.threads
    this.#lanes = new Lanes(count, parts.settings.batchesPerThread)
    this.#phases = Array.from({ length: count }, () => 'down')
  }

  /** Boots the threads and runs the processor's `start` on each. Rejects where a thread or the processor cannot. */
  async start(): Promise<void> {
    const { threads } = this.#world
    await threads.boot({
      onMessage: (_thread, message) => this.#onMessage(message),
      onExit: thread => {
        this.#phases[thread] = 'down'
        for (const seat of this.#lanes.seatsOf(thread)) this.#assigned.delete(seat)
      },
      onReplaced: thread => void this.#revive(thread),
      onBroken: error => this.#handlers.broken(toBroken(error))
    })
    await Promise.all(this.#phases.map((_, thread) => this.#startThread(thread)))
  }

  /** Seats the partition on a lane and runs `assign` there. Its batches may be enqueued at once. */
  assign(epoch: Epoch): void {
    this.#assignSeat(this.#lanes.add(epoch))
  }

  enqueue(batch: Batch): void {
    const seat = this.#lanes.find(batch)
    if (seat === undefined || this.#draining.has(seat)) {
      this.#handlers.dropped(batch)
      return
    }
    this.#lanes.enqueue(seat, batch)
    this.#pump(seat.thread)
  }

  /** Drops what waits of this epoch. The open batch goes on. */
  dropQueued(epoch: Epoch): void {
    const seat = this.#lanes.find(epoch)
    if (seat !== undefined) this.#dropQueued(seat)
  }

  /** The partition goes on in a new epoch, on the same lane. Waiting batches are dropped, an open one is aborted. */
  renew(epoch: Epoch, next: Epoch): void {
    const seat = this.#lanes.find(epoch)
    if (seat === undefined) return
    this.#dropQueued(seat)
    this.#abort(seat, 'the partition was rewound')
    seat.epoch = next.epoch
  }

  /**
   * Ends the partition's work and unseats it: as the header says, then `revoke`. Called again while it drains, it aborts
   * the open batch at once and waits for the same end.
   * @throws ClsConsumerError THREAD_STUCK, DRAIN_TIMEOUT: work of the partition may still run; it must stay held (I4).
   */
  async drain(epoch: Epoch, patienceMs: number, reason: string): Promise<void> {
    const seat = this.#lanes.find(epoch)
    if (seat === undefined) return
    const draining = this.#draining.get(seat)
    if (draining !== undefined) this.#abort(seat, reason)
    await (draining ?? this.#beginDrain(seat, patienceMs, reason))
  }

  #beginDrain(seat: Seat, patienceMs: number, reason: string): Promise<void> {
    const draining = this.#drainSeat(seat, patienceMs, reason)
    this.#draining.set(seat, draining)
    return draining
  }

  async #drainSeat(seat: Seat, patienceMs: number, reason: string): Promise<void> {
    this.#dropQueued(seat)
    // What was dropped may have stood in the way of others.
    this.#pumpAll()
    await this.#assigning.get(seat)
    seat.phase = 'draining'
    await this.#endOpenBatch(seat, patienceMs, reason)
    // On a thread that died meanwhile, or has replaced one that did, `revoke` does not run.
    if (this.#assigned.delete(seat)) {
      const revoked = this.#revoke(seat)
      // It has gone ahead of the batches that waited for their turn (`#awaitsRevoke`): now they may follow.
      this.#pump(seat.thread)
      await revoked
    }
    this.#lanes.remove(seat)
    this.#pumpAll()
  }

  /** Runs the processor's `stop` on every thread, then ends all threads. Partitions were drained before. */
  async stop(): Promise<void> {
    const { threads, log } = this.#world
    const upThreads = this.#phases.flatMap((phase, thread) => (phase === 'up' ? [thread] : []))
    await Promise.all(
      upThreads.map(async thread => {
        const error = await this.#runHook(thread, { kind: 'stop' }, {})
        if (error !== undefined) log.warn('processor stop failed', { thread, error: error.message })
      })
    )
    await threads.close()
  }

  #dropQueued(seat: Seat): void {
    for (const batch of this.#lanes.clear(seat)) this.#handlers.dropped(batch)
  }

  async #startThread(thread: number): Promise<void> {
    this.#phases[thread] = 'starting'
    const { responseBytesMax } = this.#settings
    const task: StartTask = {
      kind: 'start',
      processor: this.#processor,
      limits: { responseBytesMax },
      leaseEndMs: this.#leaseEndMs
    }
    const error = await this.#runHook(thread, task, { file: this.#processor.file })
    if (error !== undefined) throw error
    this.#phases[thread] = 'up'
  }

  /** A replacement is there: `start`, then `assign` for every partition of the lane, then its batches again. */
  async #revive(thread: number): Promise<void> {
    this.#killed.delete(thread)
    for (const seat of this.#lanes.seatsOf(thread)) if (seat.phase === 'ready') seat.phase = 'assigning'
    try {
      await this.#startThread(thread)
    } catch (error) {
      this.#handlers.broken(toBroken(error))
      return
    }
    for (const seat of this.#lanes.seatsOf(thread)) if (seat.phase === 'assigning') this.#assignSeat(seat)
  }

  #assignSeat(seat: Seat): void {
    this.#assigning.set(seat, this.#runAssign(seat))
  }

  async #runAssign(seat: Seat): Promise<void> {
    // The thread is being replaced: `#revive` assigns what it finds.
    if (this.#phases[seat.thread] !== 'up') return
    const error = await this.#runHook(seat.thread, { kind: 'assign', ...seat.id, epoch: seat.epoch }, seat.id)
    if (error?.code === 'THREAD_LOST') return
    if (error !== undefined) {
      this.#handlers.broken(error)
      // What never returned may still run: the partition is not released before its thread has exited (I4).
      if (error.code === 'PROCESSOR_STUCK')
        await this.#kill(seat.thread).catch(stuck => this.#handlers.broken(toBroken(stuck)))
      return
    }
    this.#assigned.add(seat)
    // Drained while `assign` ran: it takes no batch.
    if (seat.phase === 'assigning') seat.phase = 'ready'
    this.#pump(seat.thread)
  }

  async #revoke(seat: Seat): Promise<void> {
    const error = await this.#runHook(seat.thread, { kind: 'revoke', ...seat.id, epoch: seat.epoch }, seat.id)
    if (error === undefined) return
    this.#world.log.warn('processor revoke failed', { ...seat.id, error: error.message })
    // A hook that never returns would share the partition's state with nobody knows what: its thread goes.
    if (error.code === 'PROCESSOR_STUCK') await this.#kill(seat.thread)
  }

  /** Runs one of the user's hooks within its limit. Returns what went wrong. */
  async #runHook(thread: number, task: HookTask, place: ErrorPlace): Promise<ClsConsumerError | undefined> {
    const { threads, timers } = this.#world
    const limit = new AbortController()
    const expired = timers.sleep(HOOK_MS_MAX, limit.signal).then(
      () => new ClsConsumerError('PROCESSOR_STUCK', `${task.kind} did not return within ${HOOK_MS_MAX} ms`, place),
      () => undefined
    )
    const answered = threads.run(thread, task).then(
      answer => (answer.kind === 'failed' ? fromFailure(answer.failure) : undefined),
      error => (error instanceof ClsConsumerError ? error : fromFailure(toFailure(error, 'POOL_BROKEN', place)))
    )
    const error = await Promise.race([answered, expired])
    limit.abort(new Error('the hook returned'))
    return error
  }

  #pumpAll(): void {
    for (const thread of new Set([...this.#line, ...this.#phases.keys()])) this.#pump(thread)
  }

  #pump(thread: number): void {
    while (this.#phases[thread] === 'up' && !this.#awaitsRevoke(thread)) {
      const seat = this.#lanes.next(thread)
      const batch = seat?.queue[0]
      if (seat === undefined || batch === undefined) return
      if (!this.#handlers.mayStart(batch) || !this.#tryOpen(thread, batch)) return
      const run = this.#run(seat, this.#lanes.open(seat))
      this.#idle.set(
        seat,
        run.catch(error => this.#handlers.broken(toBroken(error)))
      )
    }
  }

  /** The last batch of a draining partition has left the thread, and its `revoke` is the next thing there. */
  #awaitsRevoke(thread: number): boolean {
    const isWithThread = ({ open }: Seat): boolean => open !== undefined && this.#running.has(open.batchId)
    return this.#lanes
      .seatsOf(thread)
      .some(seat => seat.phase === 'draining' && this.#assigned.has(seat) && !isWithThread(seat))
  }

  /**
   * Reserves memory in turn: the thread that has waited longest comes first. While it is refused, at least one batch is
   * open, whose end asks again. One whose thread was lost or whose batches were dropped leaves the line here.
   */
  #tryOpen(thread: number, batch: Batch): boolean {
    const line = this.#line.filter(other => this.#phases[other] === 'up' && this.#lanes.next(other) !== undefined)
    const isFirst = line.length === 0 || line[0] === thread
    const isOpened = isFirst && this.#handlers.tryOpen(batch.decodedBytes)
    if (isOpened) this.#line = line.filter(other => other !== thread)
    else this.#line = line.includes(thread) ? line : [...line, thread]
    return isOpened
  }

  async #run(seat: Seat, batch: Batch): Promise<void> {
    const { topicId, partition, epoch, batchId, startOffset, endOffset } = batch
    const { bytes, byteCount, compression } = batch.body
    const { thread, attempt } = seat
    const place = { topicId, partition, offset: startOffset }
    let answer: BatchAnswer
    this.#running.add(batchId)
    try {
      const task = {
        kind: 'batch',
        topicId,
        partition,
        epoch,
        batchId,
        startOffset,
        endOffset,
        body: bytes,
        byteCount,
        compression,
        attempt
      } as const
      const reply = await this.#world.threads.run(thread, task)
      answer = reply.kind === 'done' ? { kind: 'not-started', reason: 'aborted' } : reply
    } catch (error) {
      answer = { kind: 'failed', stage: 'process', failure: toFailure(error, 'POOL_BROKEN', place) }
    }
    this.#running.delete(batchId)
    this.#handlers.close(batch.decodedBytes)
    // Not only once the answer is dealt with: `onResult` may take its time, and the memory is free now.
    if (this.#line.length > 0) this.#pumpAll()
    if (answer.kind === 'failed' && answer.failure.code === 'THREAD_LOST' && this.#killed.has(thread)) {
      this.#returnLost(seat, batch)
    } else {
      await this.#handlers.answered(batch, answer)
      this.#lanes.close(seat)
    }
    this.#pumpAll()
  }

  /** The thread was terminated for another partition's sake, or for this one's: run again, or drop. */
  #returnLost(seat: Seat, batch: Batch): void {
    if (seat.phase === 'draining' || seat.epoch !== batch.epoch) {
      this.#lanes.close(seat)
      this.#handlers.dropped(batch)
    } else {
      this.#lanes.reopen(seat)
    }
  }

  async #endOpenBatch(seat: Seat, patienceMs: number, reason: string): Promise<void> {
    const { abortGraceMs, threadExitMs } = this.#settings
    if (await this.#isIdleWithin(seat, patienceMs)) return
    this.#abort(seat, reason)
    if (await this.#isIdleWithin(seat, abortGraceMs)) return
    // Where the thread has answered, what is left is our own `answered`, which waits for `onResult`.
    if (seat.open !== undefined && this.#running.has(seat.open.batchId)) {
      this.#world.log.warn('terminating the thread of a batch that does not end', {
        ...seat.id,
        thread: seat.thread,
        reason
      })
      await this.#kill(seat.thread)
    }
    if (await this.#isIdleWithin(seat, threadExitMs)) return
    throw new ClsConsumerError('DRAIN_TIMEOUT', `onResult did not return after ${keyOf(seat.id)} was to end`, seat.id)
  }

  async #isIdleWithin(seat: Seat, limitMs: number): Promise<boolean> {
    if (seat.open === undefined) return true
    if (limitMs === 0) return false
    const limit = new AbortController()
    const expired = this.#world.timers.sleep(limitMs, limit.signal).catch(() => undefined)
    await Promise.race([this.#idle.get(seat), expired])
    limit.abort(new Error('idle'))
    return seat.open === undefined
  }

  #abort(seat: Seat, reason: string): void {
    if (seat.open === undefined) return
    this.#world.threads.post(seat.thread, { kind: 'abort', batchId: seat.open.batchId, reason })
  }

  /** Terminates a thread; resolves after its exit. Two drains that meet here share one termination. */
  async #kill(thread: number): Promise<void> {
    this.#killed.add(thread)
    await this.#world.threads.kill(thread)
  }

  #onMessage(message: FromThread): void {
    if (message.kind === 'log') {
      this.#world.log[message.level](message.message, message.fields)
      return
    }
    const batch = this.#lanes.openBatch(message.batchId)
    try {
      if (batch !== undefined) this.#handlers.nextOffset(batch, message.nextOffset)
    } catch (error) {
      this.#handlers.broken(toBroken(error))
    }
  }
}

function toBroken(error: unknown): ClsConsumerError {
  return error instanceof ClsConsumerError ? error : fromFailure(toFailure(error, 'POOL_BROKEN'))
}
