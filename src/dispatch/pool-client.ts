/**
 * What one consumer sees of a pool that it may share: its own tasks, its own messages, and what happens to the threads.
 *
 * In: a dispatcher's tasks; what the pool says of all. Out: `Threads` of world.ts. Must never happen: a task or message of
 * one consumer that reaches another; something of a consumer that runs on after it has left.
 */
import { assert } from '../errors.ts'
import type { Logger, ThreadHandlers, Threads, ThreadWork } from '../world.ts'
import type { FromClient, ThreadAnswer, ThreadTask, ToThread } from './messages.ts'
import type { PoolMembers } from './pool-members.ts'
import type { ThreadPool } from './thread-pool.ts'

const NOTHING_DONE: ThreadWork = { busyMs: 0, batchMs: 0 }

export class PoolClient implements Threads {
  /** Its number in the pool, never used twice. */
  readonly client: number
  readonly count: number
  readonly batchesPerThread: number
  readonly firstThread: number
  readonly log: Pick<Logger, 'warn'>
  readonly #members: PoolMembers
  /** Tasks that a thread has and has not answered, by thread. */
  readonly #pendingCounts = new Map<number, number>()
  #handlers: ThreadHandlers | undefined
  #pool: ThreadPool | undefined
  #closed: Promise<void> | undefined

  constructor(members: PoolMembers, client: number, log: Pick<Logger, 'warn'>) {
    const { count, batchesPerThread } = members.limits
    this.#members = members
    this.client = client
    this.log = log
    this.count = count
    this.batchesPerThread = batchesPerThread
    this.firstThread = client % count
  }

  async boot(handlers: ThreadHandlers): Promise<void> {
    assert(this.#handlers === undefined, 'a consumer joins its threads once')
    this.#handlers = handlers
    const pool = await this.#members.join(this)
    // A thread may be lost to another consumer at any time: `start` on it would fail for nothing. Nothing comes between the
    // last look and `#pool`, from where on its end is told.
    while (!pool.isSettled) await pool.settled()
    this.#pool = pool
  }

  async run(thread: number, task: ThreadTask): Promise<ThreadAnswer> {
    assert(this.#pool !== undefined, 'a task runs on threads that are booted')
    this.#pend(thread, 1)
    try {
      const answer = await this.#pool.run(thread, { ...task, client: this.client })
      const isScouts = answer.kind === 'scouted' || answer.kind === 'harvested'
      assert(!isScouts, `a ${task.kind} is not answered as a scout is`)
      return answer
    } finally {
      this.#pend(thread, -1)
    }
  }

  work(thread: number): ThreadWork {
    return this.#pool?.work(thread) ?? NOTHING_DONE
  }

  post(thread: number, message: ToThread): void {
    this.#pool?.post(thread, { ...message, client: this.client })
  }

  async kill(thread: number): Promise<void> {
    await this.#pool?.kill(thread)
  }

  close(): Promise<void> {
    this.#closed ??= this.#members.leave(this)
    return this.#closed
  }

  /** Threads on which something of this consumer has not returned. */
  get busyThreads(): readonly number[] {
    return [...this.#pendingCounts.keys()]
  }

  hear(thread: number, message: FromClient): void {
    this.#handlers?.onMessage(thread, message)
  }

  /**
   * What the pool tells all: `tell` calls one of the handlers. While this consumer still boots there is nothing to tell: it
   * has nothing on any thread, can give none a task, and hears of a broken pool by the end of its `boot`.
   */
  notice(tell: (handlers: ThreadHandlers) => void): void {
    if (this.#handlers !== undefined && this.#pool !== undefined) tell(this.#handlers)
  }

  #pend(thread: number, change: 1 | -1): void {
    const count = (this.#pendingCounts.get(thread) ?? 0) + change
    if (count === 0) this.#pendingCounts.delete(thread)
    else this.#pendingCounts.set(thread, count)
  }
}
