/**
 * Makes a group again that somebody deleted under a running consumer.
 *
 * In: the word that it is gone, as often as heartbeats say so. Out: it is there again, or the error of a final refusal.
 * Whoever else makes it first is fine. Must never happen: two of these at work; an attempt after the consumer's stop.
 */
import { type ClsConsumerError, toClsError } from '../errors.ts'
import { errorFields } from '../observe/error-fields.ts'
import type { Settings } from '../options.ts'
import type { World } from '../world.ts'
import { ensureGroup } from './ensure-group.ts'

/** Between two attempts. */
const PAUSE_MS = 1000

export interface GroupMakerHandlers {
  made(): void
  failed(error: ClsConsumerError): void
}

export class GroupMaker {
  readonly #world: Pick<World, 'timers' | 'control' | 'log'>
  readonly #settings: Settings
  /** Aborted when the consumer stops. */
  readonly #signal: AbortSignal
  readonly #handlers: GroupMakerHandlers
  #atWork: Promise<void> | undefined

  constructor(
    world: Pick<World, 'timers' | 'control' | 'log'>,
    settings: Settings,
    signal: AbortSignal,
    handlers: GroupMakerHandlers
  ) {
    this.#world = world
    this.#settings = settings
    this.#signal = signal
    this.#handlers = handlers
  }

  get isAtWork(): boolean {
    return this.#atWork !== undefined
  }

  makeAgain(): void {
    this.#atWork ??= this.#make().finally(() => {
      this.#atWork = undefined
    })
  }

  /** Resolves when none is under way. */
  async rest(): Promise<void> {
    await this.#atWork
  }

  async #make(): Promise<void> {
    const { log, timers } = this.#world
    while (!this.#signal.aborted) {
      try {
        await ensureGroup(this.#world, this.#settings, this.#signal)
        this.#handlers.made()
        return
      } catch (thrown) {
        if (this.#signal.aborted) return
        const error = toClsError(thrown)
        if (error.remedy !== 'retry') {
          this.#handlers.failed(error)
          return
        }
        log.warn('the group could not be made again yet', errorFields(error, { group: this.#settings.group }))
        await timers.sleep(PAUSE_MS, this.#signal).catch(() => undefined)
      }
    }
  }
}
