/**
 * When a bounded run is over.
 *
 * In: that a partition is done or released, or a topic refused. Out: one call of `end`. A run waits for the partitions that
 * others of the group hold and that are behind, one hand-over at most; and it ends where nothing is ever assigned to it.
 * Must never happen: a run that ends as if well while a topic of it could not be read, or a partition is parked.
 */
import { keyOf } from './batch.ts'
import type { BoundedRun } from './bounded-run.ts'
import type { PartitionId } from './dispatch/messages.ts'
import { ClsConsumerError, toClsError } from './errors.ts'
import { errorFields } from './observe/error-fields.ts'
import type { Settings } from './options.ts'
import type { Tenures } from './tenures.ts'
import type { TopicTroubles } from './topic-troubles.ts'
import type { Timer, World } from './world.ts'

/** A partition changes hands within this many heartbeats, and its former owner's drain. */
const HAND_OVER_BEATS = 4

export interface RunEndParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'log'>
  readonly settings: Pick<Settings, 'stopAt' | 'topicIds' | 'heartbeatIntervalMs' | 'drainTimeoutMs'>
  readonly boundedRun: BoundedRun
  readonly tenures: Tenures
  readonly troubles: TopicTroubles
  /** Aborted when the consumer stops. */
  readonly signal: AbortSignal
  isRunning(): boolean
  /** Everything is read; `error` where some topic could not be. */
  end(error?: unknown): void
}

export class RunEnd {
  readonly #parts: RunEndParts
  #lonelyTimer: Timer | undefined
  #waitingForOthers: Promise<void> | undefined

  constructor(parts: RunEndParts) {
    this.#parts = parts
  }

  /** Called whenever a partition is done or gone, or a topic refused. */
  check(): void {
    if (!this.#isDone() || this.#waitingForOthers !== undefined) return
    this.#waitingForOthers = this.#awaitOthers()
      .catch(thrown => {
        if (!this.#parts.signal.aborted) this.#parts.end(thrown)
      })
      .finally(() => {
        this.#waitingForOthers = undefined
        // The last partition may have been done between its last look and this.
        this.check()
      })
  }

  /** A bounded run that is given no partition for longer than any hand-over takes has nothing to do. */
  watchLoneliness(): void {
    const { settings, tenures, world, signal } = this.#parts
    if (settings.stopAt === undefined || tenures.count > 0 || signal.aborted) return
    this.stop()
    this.#lonelyTimer = world.timers.after(this.#handOverMs(), () => {
      if (tenures.count === 0) this.#end()
    })
  }

  /** Nothing is watched any more: a partition has come, or the consumer stops. */
  stop(): void {
    this.#lonelyTimer?.cancel()
  }

  #isDone(): boolean {
    const { isRunning, settings, tenures, troubles } = this.#parts
    if (settings.stopAt === undefined || !isRunning() || tenures.count === 0) return false
    return [...tenures].every(
      ({ phase, epoch }) => phase === 'done' || phase === 'parked' || troubles.isRefused(epoch.topicId)
    )
  }

  /** Ours are done. A member of the group may have died before its own were: those come to us after its timeout. */
  async #awaitOthers(): Promise<void> {
    const { world, settings, tenures, troubles, signal } = this.#parts
    const { clock, timers, log } = world
    const topicIds = settings.topicIds.filter(topicId => !troubles.isRefused(topicId))
    const untilMs = clock.monotonic() + this.#handOverMs()
    for (;;) {
      const held = new Set([...tenures].map(({ epoch }) => keyOf(epoch)))
      const behind = (await this.#lookUpBehind(topicIds))?.filter(id => !held.has(keyOf(id)))
      // Something came to us while we asked: its end asks again.
      if (!this.#isDone()) return
      if (behind?.length === 0 || clock.monotonic() >= untilMs) {
        for (const id of behind ?? [])
          log.warn('ending although a partition that others hold is not at its end', { ...id })
        this.#end()
        return
      }
      await timers.sleep(settings.heartbeatIntervalMs, signal)
    }
  }

  /** Undefined where the service does not tell now: it is asked again. */
  async #lookUpBehind(topicIds: readonly string[]): Promise<PartitionId[] | undefined> {
    const { world, boundedRun, signal } = this.#parts
    try {
      return await boundedRun.lookUpBehind(topicIds, signal)
    } catch (thrown) {
      const error = toClsError(thrown)
      if (error.remedy !== 'retry') throw error
      world.log.warn('it is not known yet whether partitions that others hold are at their end', errorFields(error))
      return undefined
    }
  }

  #end(): void {
    this.#parts.end(this.#parts.troubles.firstError ?? this.#parkedError())
  }

  /** What stands still was not read to its end. */
  #parkedError(): ClsConsumerError | undefined {
    const parked = [...this.#parts.tenures].filter(({ phase }) => phase === 'parked')
    const [first] = parked
    if (first === undefined) return undefined
    const { topicId, partition } = first.epoch
    const place = { topicId, partition, ...(first.nextOffset === undefined ? {} : { offset: first.nextOffset }) }
    const partitions = parked.length === 1 ? 'a partition' : `${parked.length} partitions`
    const message = `the run has ended with ${partitions} parked; the first stands here`
    return new ClsConsumerError('PARTITION_PARKED', message, place)
  }

  #handOverMs(): number {
    const { heartbeatIntervalMs, drainTimeoutMs } = this.#parts.settings
    return HAND_OVER_BEATS * heartbeatIntervalMs + drainTimeoutMs
  }
}
