/** What a pool of threads needs of the library that makes them: types, so that its books can be kept without it. */
import type { MessagePort, Worker } from 'node:worker_threads'
import type { ClsConsumerError } from '../errors.ts'
import type { ThreadHandlers, Timers } from '../world.ts'
import type { AnyAnswer, AnyTask, FromClient } from './messages.ts'
import type { PoolEnd } from './thread-end.ts'
import type { Tenant } from './thread-slot.ts'

/** What makes Workers, keeps their number, and carries tasks to them. */
export interface Engine {
  /** Runs a task on one thread, at once. Rejects when the thread fails, which may be before its exit. */
  run(tenant: Tenant, task: AnyTask, transferList: MessagePort[]): Promise<AnyAnswer>
  workers(): Worker[]
  /** How long its event loop has been busy since it booted, ms; 0 once it has exited. */
  busyMs(worker: Worker): number
  /** Ends all Workers; may resolve before they have exited. */
  destroy(): Promise<void>
}

export interface EngineHooks {
  /** A Worker can take tasks. */
  onReady(worker: Worker): void
  /** A Worker has ended, and no other will take its place. */
  onNotReplaced(): void
}

export interface ThreadPoolLimits {
  readonly count: number
  readonly threadExitMs: number
  readonly threadBootMs: number
  readonly timers: Timers
}

/** What the pool tells: whose message it is, and all that it knows of an end. */
export interface PoolHandlers extends Omit<ThreadHandlers, 'onMessage' | 'onExit' | 'onBroken'> {
  onMessage(thread: number, message: FromClient): void
  onExit(thread: number, end: PoolEnd): void
  onBroken(error: ClsConsumerError): void
}
