/**
 * Threads that several consumers of one process share: what a user makes and gives to each of them.
 *
 * In: how many threads, and their limits. Out: to each consumer its own view of them, and the scout. The threads boot with
 * the first consumer that starts, end with the last that stops, and boot anew if one starts later.
 *
 * Each consumer has its own processor, options, state and log on every thread; of a module that two of them use, what
 * stands at its top level is there once per thread. `batchesPerThread` counts per consumer, so that none waits for
 * another's batches: a thread may have so many open for each. Their memory is in each consumer's own `heldBytesMax`;
 * together they may hold the sum.
 */
import { resolveSome } from '../resolve-options.ts'
import type { Clock, Logger, Scout, Threads, Timers } from '../world.ts'
import { createMembers } from './pool.ts'
import type { PoolMembers } from './pool-members.ts'

export interface SharedThreadsOptions {
  /** Threads; one a core where absent. Takes the place of the consumers' own `threads`. */
  readonly threads?: number
  /** Batches of different partitions of one consumer open on one thread. Takes the place of the consumers' own. */
  readonly batchesPerThread?: number
  /** How long a terminated thread may take to exit. */
  readonly threadExitMs?: number
  /** JavaScript heap of one thread, in MiB; Node's own limit where absent. Takes the place of the consumers' own. */
  readonly threadHeapMb?: number
}

/** What a consumer brings along. */
export interface SharedThreadsUser {
  readonly log: Logger
  readonly clock: Clock
  readonly timers: Timers
  readonly env: Readonly<Record<string, string | undefined>>
  /** Decompressed bytes of one response: for the scout. */
  readonly responseBytesMax: number
}

export class SharedThreads {
  readonly #limits: {
    readonly threads: number
    readonly batchesPerThread: number
    readonly threadExitMs: number
    readonly threadHeapMb: number | undefined
  }
  #members: PoolMembers | undefined

  /** Boots nothing. @throws ClsConsumerError OPTIONS_INVALID */
  constructor(options: SharedThreadsOptions = {}) {
    this.#limits = resolveSome(['threads', 'batchesPerThread', 'threadExitMs', 'threadHeapMb'], { ...options })
  }

  /** For `Consumer`: its threads and its scout. Nothing boots before `boot`. */
  client({ log, clock, timers, env, responseBytesMax }: SharedThreadsUser): { threads: Threads; scout: Scout } {
    const { threads: count, ...limits } = this.#limits
    this.#members ??= createMembers({ count, ...limits, env, clock, timers })
    const members = this.#members
    return {
      threads: members.client(log),
      scout: {
        nextOffset: body => members.scout(body, responseBytesMax),
        harvest: body => members.harvest(body, responseBytesMax)
      }
    }
  }
}
