/**
 * The end of a bounded run (`stopAt`): what must be processed, and nothing else.
 *
 * In: `stopAt` and the clock. Out: for each partition the offset at which it ends, and the `EndTime` of its pulls. A time
 * that lies ahead is waited for: no pull leaves from one guard before it until one guard after it, when the end offset
 * is looked up; so no pull brings what was stored at or past it, as long as the clocks differ by less than the guard.
 */
import type { PartitionId } from './dispatch/messages.ts'
import { ClsConsumerError } from './errors.ts'
import { hasLogsFrom } from './fetch/has-logs-from.ts'
import type { PullBound } from './fetch/pull-chain.ts'
import { askOwnPositions, type Offsets, type OtherGroup, type Question } from './group/own-positions.ts'
import type { Settings } from './options.ts'
import type { Position, Timer, World } from './world.ts'

const GUARD_MS = 2000

/** `EndTime` of pulls that end at the `end` of now: the offset decides, so this only has to lie past every clock error. */
const END_TIME_MARGIN_S = 600

/** Longer timers are set anew: the platform's end at 2^31 ms. */
const TIMER_MS_MAX = 3_600_000

/** The end of a partition that was never written: where it begins, whatever its first offset will be. */
const UNWRITTEN = -1n

type BoundedWorld = Pick<World, 'clock' | 'timers' | 'control' | 'data' | 'scout'>

/** none: not bounded. ahead → holding → known, as the time comes. */
type Phase = 'none' | 'ahead' | 'holding' | 'known'

export interface BoundHandlers {
  /** No pull may leave until `known`. */
  hold(): void
  /** The ends can be looked up now. */
  known(): void
}

export class BoundedRun {
  readonly #world: BoundedWorld
  readonly #settings: Pick<Settings, 'stopAt' | 'group'>
  readonly #otherGroup: OtherGroup
  readonly #handlers: BoundHandlers
  /** Of each topic, as first looked up. */
  readonly #ends = new Map<string, Offsets>()
  /** The site tells no positions of the log beside committed ones: another group is asked. */
  #asksOtherGroup = false
  #phase: Phase
  #timer: Timer | undefined

  constructor(
    world: BoundedWorld,
    settings: Pick<Settings, 'stopAt' | 'group'>,
    otherGroup: OtherGroup,
    handlers: BoundHandlers
  ) {
    this.#world = world
    this.#otherGroup = otherGroup
    this.#settings = settings
    this.#handlers = handlers
    const { stopAt } = settings
    if (stopAt === undefined) this.#phase = 'none'
    else this.#phase = typeof stopAt === 'number' && this.#untilMs(stopAt) > 0 ? 'ahead' : 'known'
  }

  get phase(): Phase {
    return this.#phase
  }

  start(): void {
    const { stopAt } = this.#settings
    if (this.#phase === 'ahead' && typeof stopAt === 'number') this.#watch(stopAt)
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** The end of each of a topic's partitions. A partition that was never written ends where it begins. */
  async lookUp(topicId: string, partitions: readonly number[], signal: AbortSignal): Promise<Map<number, PullBound>> {
    const { stopAt = 'end' } = this.#settings
    const endTime = typeof stopAt === 'number' ? stopAt : Math.floor(this.#world.clock.now() / 1000) + END_TIME_MARGIN_S
    const ends = await this.#lookUpEnds(topicId, partitions, signal)
    for (const partition of partitions.filter(id => !ends.has(id)))
      await this.#assertUnwritten({ topicId, partition }, signal)
    return new Map(partitions.map(partition => [partition, { endOffset: ends.get(partition) ?? UNWRITTEN, endTime }]))
  }

  /** "No position" is said of what was never written, and by a site that tells none: then there is no end to stop at (I6). */
  async #assertUnwritten(id: PartitionId, signal: AbortSignal): Promise<void> {
    if (!(await hasLogsFrom(this.#world, id, UNWRITTEN, signal))) return
    const message = 'the service names no end position of a partition that has logs, so that stopAt cannot be kept'
    throw new ClsConsumerError('API_REFUSED', message, { ...id })
  }

  /**
   * Partitions of the group that are not at their end yet, as far as commits tell. Their ends are those of our first look,
   * so that `now` is one moment however long others take.
   */
  async lookUpBehind(topicIds: readonly string[], signal: AbortSignal): Promise<PartitionId[]> {
    const { group } = this.#settings
    const behind: PartitionId[] = []
    for (const topicId of topicIds) {
      const ends = this.#ends.get(topicId) ?? (await this.#lookUpEnds(topicId, [], signal))
      const committed = await this.#world.control.describeConsumerOffsets({ group, topicId, from: 'begin' }, { signal })
      for (const [partition, offset] of committed) {
        if (offset < (ends.get(partition) ?? UNWRITTEN)) behind.push({ topicId, partition })
      }
    }
    return behind
  }

  /** Of all partitions that are known; `partitions` are those it must be certain of, all where none is named. */
  async #lookUpEnds(topicId: string, partitions: readonly number[], signal: AbortSignal): Promise<Offsets> {
    const { stopAt = 'end' } = this.#settings
    const question = (from: Position) => ({ topicId, from, signal })
    // A time past the last log has no position of its own: the end, not "nothing to read" (I6).
    const wanted: readonly Position[] = typeof stopAt === 'number' ? ['end', stopAt] : ['end']
    const own = this.#asksOtherGroup ? undefined : await this.#askOwnEnds(wanted, partitions, question)
    const answers = own ?? (await this.#otherGroup.ask(wanted.map(question)))
    this.#asksOtherGroup = own === undefined
    const ends = new Map(answers.flatMap(offsets => [...offsets]))
    if (!this.#ends.has(topicId)) this.#ends.set(topicId, ends)
    return ends
  }

  /**
   * The log's own positions; undefined where the site does not tell them. Where it ignores the question, the committed
   * offset comes, whatever is asked for: begin and end are equal then, as they are of an empty log, and a pull tells the
   * two apart. Begin is asked between two ends: a late commit of the former owner may move what is answered once.
   */
  async #askOwnEnds(
    wanted: readonly Position[],
    partitions: readonly number[],
    question: (from: Position) => Question
  ): Promise<Offsets[] | undefined> {
    const world = this.#world
    const answers: Offsets[] = []
    for (const from of [...wanted, 'begin', 'end'] as const) {
      const offsets = await askOwnPositions(world, this.#settings, question(from))
      if (offsets === undefined) return undefined
      answers.push(offsets)
    }
    const [before, begin, after] = [answers[0], answers.at(-2), answers.at(-1)]
    const { topicId, signal } = question('begin')
    for (const [partition, offset] of begin ?? []) {
      const isAsked = partitions.length === 0 || partitions.includes(partition)
      const isSuspect = offset === before?.get(partition) || offset === after?.get(partition)
      if (isAsked && isSuspect && (await hasLogsFrom(world, { topicId, partition }, offset, signal))) return undefined
    }
    return answers.slice(0, wanted.length)
  }

  /** Until one guard past the time. */
  #untilMs(stopAt: number): number {
    return stopAt * 1000 + GUARD_MS - this.#world.clock.now()
  }

  #watch(stopAt: number): void {
    const untilMs = this.#untilMs(stopAt)
    if (untilMs <= 0) {
      this.#phase = 'known'
      this.#handlers.known()
      return
    }
    if (untilMs <= 2 * GUARD_MS && this.#phase === 'ahead') {
      this.#phase = 'holding'
      this.#handlers.hold()
    }
    const delayMs = this.#phase === 'ahead' ? untilMs - 2 * GUARD_MS : untilMs
    this.#timer = this.#world.timers.after(Math.min(delayMs, TIMER_MS_MAX), () => this.#watch(stopAt))
  }
}
