/**
 * The scout: a thread of its own that finds `NextOffset` where it does not stand at the front of a body.
 *
 * In: bodies as they were pulled. Out: their next offset, or that it is not known: then the partition's worker finds it,
 * only later. Must never happen: an error; a caller that waits for longer than `SCOUT_MS_MAX`; a lane or the end of the
 * process that waits for it.
 *
 * It boots when first needed. A body that kills or blocks it costs that thread, and rest for a while: hostile bodies
 * cannot have threads booted without end. One body is unpacked at a time, so that it needs memory for one.
 */
import { toFailure } from '../errors.ts'
import { within } from '../within.ts'
import type { Clock, Logger, PulledBody, Timers } from '../world.ts'
import type { PoolTask } from './messages.ts'
import type { ThreadPool } from './thread-pool.ts'

/** For one body, and for a caller with all bodies before its own. */
const SCOUT_MS_MAX = 5000
/** Callers that wait; further ones go without. */
const SCOUT_WAITING_MAX = 256
/** Between the end of a scout's thread and the next use of its replacement. */
const SCOUT_REST_MS = 10_000

/** The thread of a scout, without lanes. */
export type ScoutPool = Pick<ThreadPool, 'boot' | 'run' | 'kill' | 'close'>

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
  /** The body that is with the thread, and those before ours. */
  #before: Promise<unknown> = Promise.resolve()

  constructor(world: ScoutWorld, makePool: () => ScoutPool) {
    this.#world = world
    this.#makePool = makePool
  }

  async nextOffset(body: PulledBody, responseBytesMax: number): Promise<bigint | undefined> {
    if (this.#waitingCount >= SCOUT_WAITING_MAX || !this.#isUsable()) return undefined
    this.#waitingCount += 1
    let isWanted = true
    const answer = this.#before.then(() => (isWanted ? this.#ask(body, responseBytesMax) : undefined))
    this.#before = answer
    try {
      return await this.#inTime(answer)
    } finally {
      isWanted = false
      this.#waitingCount -= 1
    }
  }

  async close(): Promise<void> {
    this.#phase = 'closed'
    await this.#pool?.close()
  }

  #isUsable(): boolean {
    const isResting = this.#world.clock.monotonic() < this.#restUntilMs
    return this.#phase === 'usable' && !isResting
  }

  /** Never rejects, and ends within two limits: that of the boot, and that of one body. */
  async #ask({ bytes, byteCount, compression }: PulledBody, responseBytesMax: number): Promise<bigint | undefined> {
    if (!this.#isUsable()) return undefined
    const task: PoolTask = { kind: 'scout', body: bytes, byteCount, compression, responseBytesMax }
    try {
      const pool = await this.#up()
      let isAnswered = false
      const answer = pool.run(0, task).finally(() => {
        isAnswered = true
      })
      const found = await this.#inTime(answer)
      // Not an unreadable body, which is answered too: the thread is stuck in it.
      if (!isAnswered) await pool.kill(0)
      return found?.kind === 'scouted' ? found.nextOffset : undefined
    } catch {
      // Its thread has died, which `onExit` has noted; or did not come up, which is told by `#broke`.
      return undefined
    }
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
    this.#world.log.warn('going on without the scout thread', { error: toFailure(error, 'POOL_BROKEN').message })
  }

  /** `undefined` where it takes longer. */
  #inTime<T>(answer: Promise<T>): Promise<T | undefined> {
    return within(this.#world.timers, answer, SCOUT_MS_MAX, () => undefined)
  }
}
