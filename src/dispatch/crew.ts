/**
 * The threads as one consumer sees them: which are down, which run its `start`, which can take its batches.
 *
 * In: what the pool tells. Out: threads that are up, that have exited, and trouble. Must never happen: two `start`s of
 * this consumer on one thread; a batch or hook for a thread on which `start` has not returned; a thread that ends by
 * itself again and again, or for which nobody answers. `crew-member.ts` has the phases of one thread.
 */
import { ClsConsumerError } from '../errors.ts'
import { errorFields } from '../observe/error-fields.ts'
import { within } from '../within.ts'
import type { ThreadEnd, World } from '../world.ts'
import { CrewMember } from './crew-member.ts'
import { type Hooks, toPoolError } from './hooks.ts'
import type { FromThread, StartTask } from './messages.ts'
import { describeEnd, leftoverError, ownerlessError } from './thread-end.ts'

/** What becomes of losses that repeat. */
export interface LossHandlers {
  /** How long until what has failed so often is tried again; `undefined`: it is not. */
  retryDelayMs(lossCount: number): number | undefined
  /** Nothing more can be processed. */
  broken(error: ClsConsumerError): void
}

export interface CrewHandlers extends LossHandlers {
  message(message: FromThread): void
  /** Nothing of the thread runs any more. */
  exited(thread: number): void
  /** `start` has returned on it. */
  up(thread: number): void
}

export interface CrewParts {
  readonly world: Pick<World, 'timers' | 'threads' | 'log'>
  readonly abortGraceMs: number
  readonly hooks: Hooks
  readonly startTask: StartTask
  readonly handlers: CrewHandlers
}

type Phase = 'new' | 'working' | 'stopping'

export class Crew {
  readonly #world: CrewParts['world']
  readonly #abortGraceMs: number
  readonly #hooks: Hooks
  readonly #startTask: StartTask
  readonly #handlers: CrewHandlers
  readonly #members: readonly CrewMember[]
  #phase: Phase = 'new'

  constructor({ world, abortGraceMs, hooks, startTask, handlers }: CrewParts) {
    this.#world = world
    this.#abortGraceMs = abortGraceMs
    this.#hooks = hooks
    this.#startTask = startTask
    this.#handlers = handlers
    this.#members = Array.from({ length: world.threads.count }, (_, thread) => new CrewMember(thread))
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
   * where it succeeded `stop` is still to run, on a thread that others may share. Once `signal` aborts it waits for no
   * `start` any more: nothing is assigned yet, and `stop` sees to those that still run.
   */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#phase = 'working'
    const interrupt = (): void => this.#interrupt(toPoolError(signal?.reason))
    signal?.addEventListener('abort', interrupt, { once: true })
    const firstStarts = this.#members.map(member => member.firstStart())
    try {
      await this.#boot()
      for (const member of this.#members) this.#begin(member)
      const error = (await Promise.all(firstStarts)).find(found => found !== undefined)
      if (error !== undefined) throw error
    } finally {
      signal?.removeEventListener('abort', interrupt)
    }
  }

  /** Terminates a thread; resolves after its exit. Two that meet here share one termination. */
  async kill(thread: number): Promise<void> {
    await this.#world.threads.kill(thread)
  }

  /** Runs `stop` on every thread that has run `start`, then leaves the threads. Partitions were drained before. */
  async stop(): Promise<void> {
    const { threads, log } = this.#world
    this.#interrupt(new ClsConsumerError('CONSUMER_STATE', 'the consumer stops before its threads have started'))
    for (const member of this.#members) member.endRest()
    await Promise.all(this.#members.map(member => this.#endStart(member)))
    const up = this.threads.filter(thread => this.isUp(thread))
    await Promise.all(
      up.map(async thread => {
        const error = await this.#hooks.run(thread, { kind: 'stop' })
        if (error !== undefined) log.warn('processor stop failed', errorFields(error, { thread }))
      })
    )
    // Where a hook of ours has not returned, this ends the thread: nobody can say what runs there.
    await threads.close()
  }

  async #boot(): Promise<void> {
    await this.#world.threads.boot({
      onMessage: (_thread, message) => this.#handlers.message(message),
      onKilled: thread => this.#onKilled(thread),
      onFailing: thread => this.#members[thread]?.takeNoMore(),
      onExit: (thread, end) => this.#onExit(thread, end),
      onReplaced: thread => this.#onReplaced(thread),
      onBroken: error => this.#onBroken(toPoolError(error))
    })
  }

  /** One that was lost since it booted begins with its replacement, or not at all where it was given up. */
  #begin(member: CrewMember): void {
    if (member.phase !== 'down' || member.end !== 'none') return
    member.turn('bare')
    this.#startOn(member)
  }

  /** Whoever waits for `start` waits no longer. */
  #interrupt(error: ClsConsumerError): void {
    this.#phase = 'stopping'
    this.#settleAll(error)
  }

  /**
   * `start` may still run, here or on a replacement. What it opens is closed by `stop`, if it returns soon. If not, its
   * thread goes now: were it to return later, on a thread that others share, what it opened would stay behind there.
   */
  async #endStart({ starting, thread }: CrewMember): Promise<void> {
    const { timers, log } = this.#world
    await within(timers, starting, this.#abortGraceMs, async () => {
      log.warn('terminating a thread whose start does not return', { thread })
      // `close` tells of one that does not exit.
      await this.kill(thread).catch(() => undefined)
    })
  }

  #startOn(member: CrewMember): void {
    if (member.phase !== 'bare' || member.isResting || this.#phase !== 'working') return
    member.turn('starting')
    member.end = 'none'
    member.starting = this.#runStart(member)
  }

  async #runStart(member: CrewMember): Promise<void> {
    const { thread } = member
    const error = await this.#hooks.run(thread, this.#startTask)
    if (error === undefined) {
      // Its end may have been noticed between the answer and here.
      if (member.phase !== 'starting') return
      member.turn('up')
      member.lossCount = 0
      member.settle(undefined)
      this.#handlers.up(thread)
    } else if (error.code === 'THREAD_LOST' && this.#mayTryAgain(member)) {
      // A replacement will come, or word that none does.
      member.fall()
    } else if (this.#phase === 'stopping') {
      // Nobody waits for it any more, and nothing was processed there.
      member.end = 'given-up'
      this.#world.log.warn('processor start failed', errorFields(error, { thread }))
    } else {
      this.#giveUp(member, this.#hooks.blame(this.#startTask, error))
    }
  }

  /** A thread that another consumer had terminated proves nothing; one that dies under `start` is tried so often. */
  #mayTryAgain(member: CrewMember): boolean {
    if (this.wasKilled(member.thread)) return true
    member.lossCount += 1
    return this.#handlers.retryDelayMs(member.lossCount) !== undefined
  }

  #giveUp(member: CrewMember, error: ClsConsumerError): void {
    member.end = 'given-up'
    if (member.isAwaited) member.settle(error)
    else this.#handlers.broken(error)
  }

  #settleAll(error: ClsConsumerError): void {
    for (const member of this.#members) member.settle(error)
  }

  #onKilled(thread: number): void {
    const member = this.#members[thread]
    if (member === undefined || member.end === 'given-up') return
    member.end = 'terminated'
    member.takeNoMore()
  }

  #onExit(thread: number, end: ThreadEnd): void {
    const member = this.#members[thread]
    if (member === undefined) return
    member.fall()
    this.#handlers.exited(thread)
    if (member.end !== 'given-up') this.#answerFor(member, end)
  }

  /** What was with the thread hears of its end by itself; this is about what nobody waits for. */
  #answerFor(member: CrewMember, end: ThreadEnd): void {
    const { thread } = member
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
        this.#rest(member, waitMs)
      }
    }
  }

  /** What a thread has died of would most likely end its replacement too, as soon as `start` has run there. */
  #rest(member: CrewMember, waitMs: number): void {
    member.endRest()
    if (this.#phase !== 'working') return
    const timer = this.#world.timers.after(waitMs, () => {
      member.endRest()
      this.#startOn(member)
    })
    member.rest(timer)
  }

  #onReplaced(thread: number): void {
    const member = this.#members[thread]
    if (member === undefined || member.end === 'given-up') return
    member.turn('bare')
    this.#startOn(member)
  }

  #onBroken(error: ClsConsumerError): void {
    this.#settleAll(error)
    this.#handlers.broken(error)
  }
}
