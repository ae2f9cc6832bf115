/**
 * The consumers that share one pool: the threads boot with the first, end with the last, and boot anew for a later one.
 *
 * In: consumers that join and leave; what the pool tells. Out: each hears of every thread's end and of its own messages.
 * Must never happen: one consumer's threads end while another uses them; a consumer that leaves with a hook or batch still
 * running, which would go on beside the others with nobody to answer for it: such a thread is terminated, as for any
 * other batch that does not end, and the others run theirs again.
 *
 *   nobody ──join──► booting ──► open ──last one leaves──► closing ──► nobody
 */
import { ClsConsumerError } from '../errors.ts'
import type { Harvest, LogFields, Logger, PulledBody, ThreadHandlers } from '../world.ts'
import { PoolClient } from './pool-client.ts'
import type { ScoutThread } from './scout.ts'
import { endFor } from './thread-end.ts'
import type { ThreadPool } from './thread-pool.ts'

export interface MemberLimits {
  readonly count: number
  /** Of each consumer. */
  readonly batchesPerThread: number
}

/** One life of the threads: from the first consumer to the last. */
interface Life {
  readonly pool: ThreadPool
  readonly scout: ScoutThread
  readonly booted: Promise<void>
  readonly members: Map<number, PoolClient>
}

export class PoolMembers {
  readonly limits: MemberLimits
  readonly #makePool: () => ThreadPool
  readonly #makeScout: () => ScoutThread
  #life: Life | undefined
  /** The end of the life before: no thread of the next boots earlier. */
  #ending: Promise<void> | undefined
  readonly #left = new WeakSet<PoolClient>()
  #lastClient = -1

  constructor(limits: MemberLimits, makePool: () => ThreadPool, makeScout: () => ScoutThread) {
    this.limits = limits
    this.#makePool = makePool
    this.#makeScout = makeScout
  }

  /** A consumer to be, and where it hears of what concerns all. Nothing boots before it does. */
  client(log: Pick<Logger, 'warn'>): PoolClient {
    this.#lastClient += 1
    return new PoolClient(this, this.#lastClient, log)
  }

  /** To the log of every consumer that uses the threads now. */
  warn(message: string, fields?: LogFields): void {
    for (const { log } of this.#life?.members.values() ?? []) log.warn(message, fields)
  }

  /** Resolves when the threads have booted; one may be being replaced since. @throws ClsConsumerError POOL_BROKEN */
  async join(client: PoolClient): Promise<ThreadPool> {
    while (this.#ending !== undefined) await this.#ending
    // It gave up while the threads of those before it ended: nobody would end what it booted.
    if (this.#left.has(client)) throw new ClsConsumerError('POOL_BROKEN', 'the consumer left before its threads booted')
    this.#life ??= this.#begin()
    const { pool, booted, members } = this.#life
    members.set(client.client, client)
    await booted
    return pool
  }

  /** Resolves when nothing of the consumer runs any more. @throws ClsConsumerError THREAD_STUCK */
  async leave(client: PoolClient): Promise<void> {
    const life = this.#life
    this.#left.add(client)
    if (life?.members.get(client.client) !== client) return
    if (life.members.size > 1) {
      life.members.delete(client.client)
      await Promise.all(client.busyThreads.map(thread => life.pool.kill(thread)))
      return
    }
    // It stays among the members, and hears of every exit.
    this.#life = undefined
    const closed = endAll(life)
    this.#ending = closed
      .catch(() => undefined)
      .then(() => {
        this.#ending = undefined
      })
    await closed
  }

  async scout(body: PulledBody, responseBytesMax: number): Promise<bigint | undefined> {
    return await this.#life?.scout.nextOffset(body, responseBytesMax)
  }

  /** @throws ClsConsumerError see `ScoutThread`. */
  async harvest(body: PulledBody, responseBytesMax: number): Promise<Harvest> {
    if (this.#life === undefined) throw new ClsConsumerError('POOL_BROKEN', 'no consumer has its threads')
    return await this.#life.scout.harvest(body, responseBytesMax)
  }

  #begin(): Life {
    const pool = this.#makePool()
    const members = new Map<number, PoolClient>()
    const tellAll = (tell: (handlers: ThreadHandlers, client: number) => void): void => {
      for (const member of [...members.values()]) member.notice(handlers => tell(handlers, member.client))
    }
    const booted = pool.boot({
      onMessage: (thread, message) => members.get(message.client)?.hear(thread, message),
      onExit: (thread, end) => tellAll((handlers, client) => handlers.onExit(thread, endFor(client, end))),
      onKilled: thread => tellAll(handlers => handlers.onKilled(thread)),
      onFailing: thread => tellAll(handlers => handlers.onFailing(thread)),
      onReplaced: thread => tellAll(handlers => handlers.onReplaced(thread)),
      onBroken: (error: ClsConsumerError) => tellAll(handlers => handlers.onBroken(error))
    })
    // Whoever joins waits for it; nobody may, where the first has left again.
    booted.catch(() => undefined)
    return { pool, scout: this.#makeScout(), booted, members }
  }
}

/** Both, though one of them does not end in time. */
async function endAll({ pool, scout }: Life): Promise<void> {
  const ends = await Promise.allSettled([pool.close(), scout.close()])
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}
