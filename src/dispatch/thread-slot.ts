/**
 * One numbered place of the pool, and the thread that has it.
 *
 * In: what the pool sees of a Worker. Out: the slot's phase, and how its thread ended. A slot has at most one thread at
 * a time; one that fails keeps its slot until its exit, so that two threads never run under one number (I2).
 */
import type { MessagePort, Worker } from 'node:worker_threads'
import { assert } from '../errors.ts'
import type { Timer, Timers } from '../world.ts'

/** Why a thread ended, as the end of a sentence: `ended with code 1 …`. */
type Ending = string

/** A thread while it has a slot. */
export class Tenant {
  readonly worker: Worker
  /** Kept, since the Worker's own turns to -1 at its exit. */
  readonly id: number
  readonly port: MessagePort
  readonly exited: Promise<Ending>
  #reportExit: ((ending: Ending) => void) | undefined
  #error: Error | undefined
  #waiting: Promise<void> | undefined

  constructor(worker: Worker, port: MessagePort) {
    this.worker = worker
    this.id = worker.threadId
    this.port = port
    this.exited = new Promise(resolve => {
      this.#reportExit = resolve
    })
  }

  /** What the Worker died of; its exit follows. */
  fail(error: Error): void {
    this.#error = error
  }

  ending(exitCode: number): Ending {
    const why = this.#error === undefined ? '' : `, of ${this.#error.name}: ${this.#error.message}`
    return `ended with exit code ${exitCode}${why}`
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

  vacate(): void {
    this.#move('empty')
    this.#tenant = undefined
    this.expectNone()
  }

  #move(to: Phase): void {
    const allowed: readonly Phase[] = MOVES[this.#phase]
    assert(allowed.includes(to), `I2: slot ${this.thread} does not go from ${this.#phase} to ${to}`)
    this.#phase = to
  }
}
