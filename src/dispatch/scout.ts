/**
 * The scout: a thread of its own that reads whole bodies: for `NextOffset` where it does not stand at the front, and for
 * their messages where they are given up.
 *
 * In: bodies as they were pulled. Out: their next offset, or that it is not known: then the partition's worker finds it,
 * only later; their messages, or an error that says why not: dead letters may not be missing without a word. Must never
 * happen: a caller that waits for longer than its limit; a lane or the end of the process that waits for it.
 *
 * It boots when first needed. A body that kills or blocks it costs that thread, and rest for a while: hostile bodies
 * cannot have threads booted without end. One body is unpacked at a time, so that it needs memory for one.
 */
import { setMaxListeners } from 'node:events'
import { assert, ClsConsumerError, fromFailure, toFailure } from '../errors.ts'
import { errorFields } from '../observe/error-fields.ts'
import { unlessAborted, within } from '../within.ts'
import type { Clock, Harvest, Logger, PulledBody, Timers } from '../world.ts'
import type { AnyAnswer, HarvestTask, ScoutTask } from './messages.ts'
import type { ThreadPool } from './thread-pool.ts'

/** For one next offset, and for a caller who wants one, with all bodies before its own. */
const SCOUT_MS_MAX = 5000
/** Callers that wait for a next offset; further ones go without. */
const SCOUT_WAITING_MAX = 256
/** For the messages of one body: every one is copied. */
const HARVEST_MS_MAX = 30_000
/** For a caller who wants them, with the bodies before its own, rest, and the boot of a thread. */
const HARVEST_CALL_MS_MAX = 120_000
/** Between the end of a scout's thread and the next use of its replacement. */
const SCOUT_REST_MS = 10_000

/** The thread of a scout, without lanes. */
export type ScoutPool = Pick<ThreadPool, 'boot' | 'settled' | 'run' | 'kill' | 'close'>

export interface ScoutWorld {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly timers: Timers
  readonly log: Pick<Logger, 'warn'>
}

/** broken: its thread did not come up, or does not go. */
type Phase = 'usable' | 'broken' | 'closed'

export class ScoutThread {
  readonly #world: ScoutWorld
  readonly #makePool: () => ScoutPool
  #phase: Phase = 'usable'
  #pool: ScoutPool | undefined
  #restUntilMs = Number.NEGATIVE_INFINITY
  #waitingCount = 0
  /** The body that is with the thread, and those before ours. Never rejects. */
  #before: Promise<unknown> = Promise.resolve()
  /** Ends a rest, and every wait for a turn. */
  readonly #closing = new AbortController()

  constructor(world: ScoutWorld, makePool: () => ScoutPool) {
    this.#world = world
    this.#makePool = makePool
    setMaxListeners(0, this.#closing.signal) // one for each caller that waits
  }

  async nextOffset(body: PulledBody, responseBytesMax: number): Promise<bigint | undefined> {
    if (this.#waitingCount >= SCOUT_WAITING_MAX || !this.#isUsable()) return undefined
    this.#waitingCount += 1
    let isWanted = true
    const answer = this.#inTurn(() => (isWanted ? this.#findNextOffset(body, responseBytesMax) : undefined))
    try {
      return await within(this.#world.timers, answer, SCOUT_MS_MAX, () => undefined)
    } finally {
      isWanted = false
      this.#waitingCount -= 1
    }
  }

  /**
   * Its messages. Whoever calls has one body at a time, and so needs no further limit on how many wait.
   * @throws ClsConsumerError what makes it unreadable; THREAD_LOST (it may be to blame), POOL_BROKEN, THREAD_STUCK
   */
  async harvest(body: PulledBody, responseBytesMax: number): Promise<Harvest> {
    let isWanted = true
    const answer = this.#inTurn(async () => {
      const pool = await this.#rested()
      return isWanted ? await this.#takeApart(pool, body, responseBytesMax) : undefined
    })
    try {
      const harvest = await within(this.#world.timers, answer, HARVEST_CALL_MS_MAX, () => undefined)
      if (harvest !== undefined) return harvest
      if (this.#phase === 'closed') throw closedError()
      throw new ClsConsumerError('THREAD_LOST', `the scout thread was not free within ${HARVEST_CALL_MS_MAX} ms`)
    } finally {
      isWanted = false
    }
  }

  async close(): Promise<void> {
    this.#phase = 'closed'
    this.#closing.abort(closedError())
    await this.#pool?.close()
  }

  /** `undefined` as soon as it is closed: whoever waits here would outlive the consumer, with his limit's timer. */
  #inTurn<T>(act: () => T | Promise<T>): Promise<T | undefined> {
    const turn = this.#before.then(act)
    this.#before = turn.catch(() => undefined)
    return unlessAborted(turn, this.#closing.signal)
  }

  #isUsable(): boolean {
    return this.#phase === 'usable' && this.#restMs() <= 0
  }

  #restMs(): number {
    return this.#restUntilMs - this.#world.clock.monotonic()
  }

  /** Never rejects, and ends within two limits: that of the boot, and that of one body. */
  async #findNextOffset(body: PulledBody, responseBytesMax: number): Promise<bigint | undefined> {
    if (!this.#isUsable()) return undefined
    try {
      const pool = await this.#up()
      const answer = await this.#run(pool, toTask('scout', body, responseBytesMax), SCOUT_MS_MAX)
      return answer?.kind === 'scouted' ? answer.nextOffset : undefined
    } catch {
      // Its thread has died, which `onExit` has noted; or did not come up, which is told by `#broke`.
      return undefined
    }
  }

  /** Its caller keeps its turn meanwhile: nobody behind it would be served before. */
  async #rested(): Promise<ScoutPool> {
    const restMs = this.#restMs()
    if (this.#phase === 'usable' && restMs > 0) await this.#world.timers.sleep(restMs, this.#closing.signal)
    if (this.#phase === 'closed') throw closedError()
    if (this.#phase === 'broken') {
      throw new ClsConsumerError('POOL_BROKEN', 'there is no scout thread: it did not come up, or does not go')
    }
    const pool = await this.#up()
    // After a rest its replacement may still be booting.
    await pool.settled()
    return pool
  }

  async #takeApart(pool: ScoutPool, body: PulledBody, responseBytesMax: number): Promise<Harvest> {
    const answer = await this.#run(pool, toTask('harvest', body, responseBytesMax), HARVEST_MS_MAX)
    if (answer === undefined) {
      throw new ClsConsumerError('THREAD_LOST', `the scout thread was not done with a body within ${HARVEST_MS_MAX} ms`)
    }
    if (answer.kind === 'failed') throw fromFailure(answer.failure)
    assert(answer.kind === 'harvested', `a harvest is answered with harvested, not ${answer.kind}`)
    return { nextOffset: answer.nextOffset, messages: answer.messages }
  }

  /** `undefined` where it takes longer; nothing of it runs any more then. */
  async #run(pool: ScoutPool, task: ScoutTask | HarvestTask, limitMs: number): Promise<AnyAnswer | undefined> {
    let isAnswered = false
    const answer = pool.run(0, task).finally(() => {
      isAnswered = true
    })
    const found = await within(this.#world.timers, answer, limitMs, () => undefined)
    // Not an unreadable body, which is answered too: the thread is stuck in it.
    if (!isAnswered) await pool.kill(0)
    return found
  }

  async #up(): Promise<ScoutPool> {
    if (this.#pool !== undefined) return this.#pool
    const pool = this.#makePool()
    this.#pool = pool
    try {
      await pool.boot({
        onMessage: () => undefined,
        onKilled: () => undefined,
        onFailing: () => undefined,
        onExit: () => this.#rest(),
        onReplaced: () => undefined,
        onBroken: error => this.#broke(error)
      })
    } catch (error) {
      this.#broke(error)
      throw error
    }
    return pool
  }

  #rest(): void {
    if (this.#phase === 'closed') return
    this.#restUntilMs = this.#world.clock.monotonic() + SCOUT_REST_MS
    this.#world.log.warn('the scout thread has ended on a body: resting it', { restMs: SCOUT_REST_MS })
  }

  /** Without it pulls wait for their workers, and nothing else changes. */
  #broke(error: unknown): void {
    if (this.#phase === 'closed') return
    this.#phase = 'broken'
    this.#world.log.warn('going on without the scout thread', errorFields(fromFailure(toFailure(error, 'POOL_BROKEN'))))
  }
}

function toTask<const K extends 'scout' | 'harvest'>(
  kind: K,
  { bytes, byteCount, compression }: PulledBody,
  responseBytesMax: number
) {
  return { kind, body: bytes, byteCount, compression, responseBytesMax }
}

function closedError(): ClsConsumerError {
  return new ClsConsumerError('POOL_BROKEN', 'the scout thread was closed')
}
