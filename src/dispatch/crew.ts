/**
 * The threads as one consumer sees them: which are down, which run its `start`, which can take its batches.
 *
 * In: what the pool tells. Out: threads that are up, that have exited, and trouble. Must never happen: two `start`s of
 * this consumer on one thread; a batch or hook for a thread on which `start` has not returned; a thread that ends by
 * itself again and again, or for which nobody answers.
 *
 *   down ──► bare ──► starting ──► up      down: from a thread's failure or end until its replacement is there
 *     ▲────────┴─────────┴─────────┘       bare: it is there, and may have to rest before `start` runs
 */
import type { ClsConsumerError } from '../errors.ts'
import type { ThreadEnd, Timer, World } from '../world.ts'
import { type Hooks, toPoolError } from './hooks.ts'
import type { FromThread, StartTask } from './messages.ts'
import { describeEnd, leftoverError, ownerlessError } from './thread-end.ts'

export interface CrewHandlers {
  message(message: FromThread): void
  /** Nothing of the thread runs any more. */
  exited(thread: number): void
  /** `start` has returned on it. */
  up(thread: number): void
  /** How long until what has failed so often is tried again; `undefined`: it is not. */
  retryDelayMs(lossCount: number): number | undefined
  broken(error: ClsConsumerError): void
}

type ThreadPhase = 'down' | 'bare' | 'starting' | 'up'
type Phase = 'new' | 'working' | 'stopping'

interface Member {
  phase: ThreadPhase
  /**
   * terminated: somebody had it killed. What ran on it is not to blame for its end.
   * given-up: `start` has failed there for good, or code of the processor has ended it: a replacement would fare no better.
   */
  end: 'none' | 'terminated' | 'given-up'
  /** Threads in a row that died by themselves while `start` ran. */
  lossCount: number
  /** Until then its replacement is left alone. */
  rest: Timer | undefined
  /** Resolves when the `start` that runs there has ended, however. */
  starting: Promise<void>
  /** Told when `start` has returned there for the first time, or never will. */
  settle: ((error: ClsConsumerError | undefined) => void) | undefined
}

export class Crew {
  readonly #world: Pick<World, 'timers' | 'threads' | 'log'>
  readonly #hooks: Hooks
  readonly #startTask: StartTask
  readonly #handlers: CrewHandlers
  readonly #members: readonly Member[]
  #phase: Phase = 'new'

  constructor(parts: {
    readonly world: Pick<World, 'timers' | 'threads' | 'log'>
    readonly hooks: Hooks
    readonly startTask: StartTask
    readonly handlers: CrewHandlers
  }) {
    this.#world = parts.world
    this.#hooks = parts.hooks
    this.#startTask = parts.startTask
    this.#handlers = parts.handlers
    this.#members = Array.from(
      { length: parts.world.threads.count },
      (): Member => ({
        phase: 'down',
        end: 'none',
        lossCount: 0,
        rest: undefined,
        starting: Promise.resolve(),
        settle: undefined
      })
    )
  }

  get threads(): readonly number[] {
    return [...this.#members.keys()]
  }

  isUp(thread: number): boolean {
    return this.#members[thread]?.phase === 'up'
  }

  /** Whether the thread, or its predecessor whose replacement is still to come, was terminated. */
  wasKilled(thread: number): boolean {
    return this.#members[thread]?.end === 'terminated'
  }

  /**
   * Boots the threads and runs `start` on each. Rejects with the first error, and only once `start` has ended everywhere:
   * where it succeeded `stop` is still to run, on a thread that others may share.
   */
  async start(): Promise<void> {
    this.#phase = 'working'
    await this.#world.threads.boot({
      onMessage: (_thread, message) => this.#handlers.message(message),
      onKilled: thread => this.#onKilled(thread),
      onFailing: thread => this.#onFailing(thread),
      onExit: (thread, end) => this.#onExit(thread, end),
      onReplaced: thread => this.#onReplaced(thread),
      onBroken: error => this.#onBroken(toPoolError(error))
    })
    const errors = await Promise.all(this.#members.map((member, thread) => this.#begin(member, thread)))
    const error = errors.find(found => found !== undefined)
    if (error !== undefined) throw error
  }

  /** Terminates a thread; resolves after its exit. Two that meet here share one termination. */
  async kill(thread: number): Promise<void> {
    await this.#world.threads.kill(thread)
  }

  /** Runs `stop` on every thread that has run `start`, then leaves the threads. Partitions were drained before. */
  async stop(): Promise<void> {
    const { threads, log } = this.#world
    this.#phase = 'stopping'
    for (const member of this.#members) endRest(member)
    // On a replacement `start` may still run; each has its limit.
    await Promise.all(this.#members.map(({ starting }) => starting))
    const up = this.threads.filter(thread => this.isUp(thread))
    await Promise.all(
      up.map(async thread => {
        const error = await this.#hooks.run(thread, { kind: 'stop' })
        if (error !== undefined) log.warn('processor stop failed', { thread, error: error.message })
      })
    )
    // Where a hook of ours has not returned, this ends the thread: nobody can say what runs there.
    await threads.close()
  }

  #begin(member: Member, thread: number): Promise<ClsConsumerError | undefined> {
    return new Promise(resolve => {
      member.settle = resolve
      // A replacement that came up in this very turn may have begun before.
      if (member.phase === 'up') return this.#settle(member, undefined)
      if (member.phase === 'down') member.phase = 'bare'
      this.#startOn(member, thread)
    })
  }

  #startOn(member: Member, thread: number): void {
    if (member.phase !== 'bare' || member.rest !== undefined || this.#phase !== 'working') return
    member.phase = 'starting'
    member.end = 'none'
    member.starting = this.#runStart(member, thread)
  }

  async #runStart(member: Member, thread: number): Promise<void> {
    const error = await this.#hooks.run(thread, this.#startTask)
    if (error === undefined) {
      // Its end may have been noticed between the answer and here.
      if (member.phase !== 'starting') return
      member.phase = 'up'
      member.lossCount = 0
      this.#settle(member, undefined)
      this.#handlers.up(thread)
    } else if (error.code === 'THREAD_LOST' && this.#mayTryAgain(member, thread)) {
      // A replacement will come, or word that none does.
      member.phase = 'down'
    } else {
      this.#giveUp(member, this.#hooks.blame(this.#startTask, error))
    }
  }

  /** A thread that another consumer had terminated proves nothing; one that dies under `start` is tried so often. */
  #mayTryAgain(member: Member, thread: number): boolean {
    if (this.wasKilled(thread)) return true
    member.lossCount += 1
    return this.#handlers.retryDelayMs(member.lossCount) !== undefined
  }

  #giveUp(member: Member, error: ClsConsumerError): void {
    member.end = 'given-up'
    this.#settle(member, error)
  }

  #settle(member: Member, error: ClsConsumerError | undefined): void {
    const { settle } = member
    member.settle = undefined
    if (settle !== undefined) settle(error)
    else if (error !== undefined) this.#handlers.broken(error)
  }

  #onKilled(thread: number): void {
    const member = this.#members[thread]
    if (member === undefined || member.end === 'given-up') return
    member.end = 'terminated'
    if (member.phase === 'up') member.phase = 'down'
  }

  #onFailing(thread: number): void {
    const member = this.#members[thread]
    if (member?.phase === 'up') member.phase = 'down'
  }

  #onExit(thread: number, end: ThreadEnd): void {
    const member = this.#members[thread]
    if (member === undefined) return
    member.phase = 'down'
    this.#handlers.exited(thread)
    if (member.end !== 'given-up') this.#answerFor(member, thread, end)
  }

  /** What was with the thread hears of its end by itself; this is about what nobody waits for. */
  #answerFor(member: Member, thread: number, end: ThreadEnd): void {
    const { file } = this.#startTask.processor
    const fields = { thread, error: describeEnd(end) }
    switch (end.fault) {
      case 'none':
      case 'work':
        return
      case 'others':
        this.#world.log.error('a shared thread ended by itself, with work of another consumer on it', fields)
        return
      case 'own':
        this.#giveUp(member, leftoverError(end, file))
        return
      case 'unknown': {
        const waitMs = this.#handlers.retryDelayMs(end.idleCount)
        if (waitMs === undefined) {
          this.#giveUp(member, ownerlessError(end, thread, file))
          return
        }
        const message = 'a shared thread ended by itself, of code that a processor had started and not awaited'
        this.#world.log.error(message, { ...fields, ends: end.idleCount, waitMs })
        this.#rest(member, thread, waitMs)
      }
    }
  }

  /** What a thread has died of would most likely end its replacement too, as soon as `start` has run there. */
  #rest(member: Member, thread: number, waitMs: number): void {
    endRest(member)
    if (this.#phase !== 'working') return
    member.rest = this.#world.timers.after(waitMs, () => {
      member.rest = undefined
      this.#startOn(member, thread)
    })
  }

  #onReplaced(thread: number): void {
    const member = this.#members[thread]
    if (member === undefined || member.end === 'given-up') return
    member.phase = 'bare'
    this.#startOn(member, thread)
  }

  #onBroken(error: ClsConsumerError): void {
    for (const member of this.#members) if (member.settle !== undefined) this.#settle(member, error)
    this.#handlers.broken(error)
  }
}

function endRest(member: Member): void {
  member.rest?.cancel()
  member.rest = undefined
}
