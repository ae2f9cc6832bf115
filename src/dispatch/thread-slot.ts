/**
 * One numbered place of the pool, and the thread that has it.
 *
 * In: what the pool sees of a Worker. Out: the slot's phase, and how its thread ended. A slot has at most one thread at
 * a time; one that fails keeps its slot until its exit, so that two threads never run under one number (I2).
 */
import type { MessagePort, Worker } from 'node:worker_threads'
import { assert, type Failure, toFailure } from '../errors.ts'
import type { ThreadWork, Timer, Timers } from '../world.ts'
import type { AnyTask } from './messages.ts'
import { describeEnd, isIdleEnd, type PoolEnd } from './thread-end.ts'

/** Why a thread ended, as the end of a sentence: `ended with exit code 1 …`. */
type Ending = string

/** A thread while it has a slot. */
export class Tenant {
  readonly worker: Worker
  /** Kept, since the Worker's own turns to -1 at its exit. */
  readonly id: number
  readonly port: MessagePort
  readonly exited: Promise<Ending>
  #reportExit: ((ending: Ending) => void) | undefined
  /** What came first: somebody ended it, or it failed. */
  #cause: PoolEnd['cause'] | undefined
  #error: Failure | undefined
  /** Consumers whose code has run here. */
  readonly #users = new Set<number>()
  /** Their tasks that are here, as far as they answer for its end. */
  readonly #work = new Set<AnyTask>()
  #waiting: Promise<void> | undefined

  constructor(worker: Worker, port: MessagePort) {
    this.worker = worker
    this.id = worker.threadId
    this.port = port
    this.exited = new Promise(resolve => {
      this.#reportExit = resolve
    })
  }

  /**
   * It has the task. Not every task answers for its end: `revoke` and `stop` do not run again on a replacement, so that an
   * end under one of them would be nobody's loss, although code of a batch that counts as done may have been the cause.
   */
  given(task: AnyTask): void {
    if (!('client' in task)) return
    this.#users.add(task.client)
    if (task.kind !== 'revoke' && task.kind !== 'stop') this.#work.add(task)
  }

  /** It has answered. */
  returned(task: AnyTask): void {
    this.#work.delete(task)
  }

  /** Its end is ours, unless it has failed before. */
  terminate(): void {
    this.#cause ??= 'terminated'
  }

  /** What the Worker died of, which may be anything; its exit follows. */
  fail(thrown: unknown): void {
    this.#cause ??= 'by-itself'
    this.#error ??= toFailure(thrown, 'THREAD_LOST')
  }

  ending(exitCode: number): Ending {
    return `ended with ${describeEnd({ exitCode, error: this.#error })}`
  }

  /** All that is known, at its exit. */
  end(exitCode: number): Omit<PoolEnd, 'idleCount'> {
    const atWork = new Set([...this.#work].flatMap(task => ('client' in task ? [task.client] : [])))
    return { cause: this.#cause ?? 'by-itself', exitCode, error: this.#error, atWork, users: this.#users }
  }

  exit(exitCode: number): void {
    this.port.close()
    this.#reportExit?.(this.ending(exitCode))
  }

  /** The one wait for its exit that all who wait share. */
  awaitExit(wait: (exited: Promise<Ending>) => Promise<void>): Promise<void> {
    this.#waiting ??= wait(this.exited)
    return this.#waiting
  }
}

type Phase = 'empty' | 'booting' | 'live' | 'ending'
const MOVES = {
  empty: ['booting'],
  booting: ['live', 'empty'],
  live: ['ending', 'empty'],
  ending: ['empty']
} as const satisfies Record<Phase, readonly Phase[]>

export class Slot {
  readonly thread: number
  readonly #timers: Timers
  #phase: Phase = 'empty'
  #tenant: Tenant | undefined
  #bootTimer: Timer | undefined
  /** See `ThreadEnd`. */
  #idleCount = 0
  #batchMs = 0
  /** Of its thread, as far as was looked, and of those before it. */
  #busyMs = 0
  #busyBeforeMs = 0

  constructor(thread: number, timers: Timers) {
    this.thread = thread
    this.#timers = timers
  }

  get phase(): Phase {
    return this.#phase
  }

  get tenant(): Tenant | undefined {
    return this.#tenant
  }

  /** From now until `live`, a thread is due. */
  expect(bootMs: number, overdue: () => void): void {
    this.#bootTimer = this.#timers.after(bootMs, overdue)
  }

  expectNone(): void {
    this.#bootTimer?.cancel()
  }

  bind(worker: Worker, port: MessagePort): Tenant {
    this.#move('booting')
    this.#tenant = new Tenant(worker, port)
    return this.#tenant
  }

  live(): void {
    this.#move('live')
    this.expectNone()
  }

  /** Takes no more tasks. */
  end(): void {
    if (this.#phase === 'live') this.#move('ending')
  }

  /** A batch was processed: its threads are of use. */
  prove(): void {
    this.#idleCount = 0
  }

  /** A batch was processed, and took so long. */
  took(batchMs: number): void {
    this.#batchMs += batchMs
  }

  /** `busyMs`: of its thread alone; one that has exited, and was not told of yet, may say less than before. */
  work(busyMs: number): ThreadWork {
    this.#busyMs = Math.max(this.#busyMs, busyMs)
    return { busyMs: this.#busyBeforeMs + this.#busyMs, batchMs: this.#batchMs }
  }

  /** Its thread has exited. */
  vacate(tenant: Tenant, exitCode: number): PoolEnd {
    assert(this.#tenant === tenant, `I2: the thread that leaves slot ${this.thread} has it`)
    this.#move('empty')
    this.#tenant = undefined
    this.#busyBeforeMs += this.#busyMs
    this.#busyMs = 0
    this.expectNone()
    const end = tenant.end(exitCode)
    if (isIdleEnd(end)) this.#idleCount += 1
    return { ...end, idleCount: this.#idleCount }
  }

  #move(to: Phase): void {
    const allowed: readonly Phase[] = MOVES[this.#phase]
    assert(allowed.includes(to), `I2: slot ${this.thread} does not go from ${this.#phase} to ${to}`)
    this.#phase = to
  }
}
