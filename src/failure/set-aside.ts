/**
 * Sees to it that what is given up is on disk before anybody goes on without it.
 *
 * In: letters, or a whole batch that has failed for good. Out: a promise that resolves once every letter is written and
 * synced (I1), and rejects where that is not sure: then the offset stays. Must never happen: a resolved promise with a
 * letter missing; a batch that is stuck because it cannot be taken apart: its body is one letter then; a wait without end.
 *
 * A write that takes too long cannot be taken back, and may still happen. So the next try waits for that same write, rather
 * than have the letters written twice; only one that has failed is begun anew. A letter that is on disk twice all the same
 * has the same id.
 *
 * Batches are taken apart one at a time over all partitions: what each holds decompressed stands beside the byte budget.
 */
import { resolve } from 'node:path'
import { ClsConsumerError, type ErrorCode, toClsError } from '../errors.ts'
import type { Settings } from '../options.ts'
import { within } from '../within.ts'
import type { Harvest, World } from '../world.ts'
import type { DeadLetter } from './dead-letter.ts'
import { DeadLetterWriter } from './dead-letter-writer.ts'
import { bodyLetter, type FailedAttempt, harvestBeforeEnd, messageLetters } from './letters.ts'
import { retryDelayMs } from './retry-policy.ts'

/** For the letters of one attempt, with those of others that are written together with them; and for opening or closing. */
const WRITE_MS_MAX = 30_000
/** A thread that is lost may have been lost to something else. Twice with one body: it is the body's doing. */
const HARVEST_TRIES_MAX = 2

export interface SetAsideParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'random' | 'files' | 'scout'>
  readonly settings: Pick<
    Settings,
    'group' | 'deadLetterDirectory' | 'deadLetterFileBytesMax' | 'attempts' | 'backoffMs' | 'backoffMaxMs'
  >
  /** Its name in the group. */
  readonly consumer: string
}

export interface WriteHooks {
  /** Ends further tries, and the waiting before them and for others; a write under way is waited for. */
  readonly signal: AbortSignal
  /** Before each wait. `attempt`: how many have failed. */
  retried(error: ClsConsumerError, waitMs: number, attempt: number): void
}

/** What became of a batch. */
export interface BatchSetAside {
  readonly letterCount: number
  /** What the response itself says, or the end of a bounded run; `undefined` where it says nothing, or cannot be read. */
  readonly nextOffset: bigint | undefined
}

export class SetAside {
  readonly #world: SetAsideParts['world']
  readonly #settings: SetAsideParts['settings']
  /** Absolute. With it there is a writer. */
  readonly #directory: string | undefined
  readonly #writer: DeadLetterWriter | undefined
  /** The batch that is being taken apart and written, and those before ours. Never rejects. */
  #before: Promise<unknown> = Promise.resolve()

  /** A relative directory is one of the working folder that the process has now. */
  constructor({ world, settings, consumer }: SetAsideParts) {
    const { group, deadLetterDirectory, deadLetterFileBytesMax } = settings
    this.#world = world
    this.#settings = settings
    if (deadLetterDirectory === undefined) return
    const directory = resolve(deadLetterDirectory)
    this.#directory = directory
    this.#writer = new DeadLetterWriter({ directory, group, consumer, deadLetterFileBytesMax }, world)
  }

  /**
   * Whether letters could be written: better known at the start than with the first one.
   * @throws ClsConsumerError DEAD_LETTER_DIRECTORY, DEAD_LETTER_WRITE
   */
  async prepare(): Promise<void> {
    if (this.#writer === undefined) return
    await within(this.#world.timers, this.#writer.prepare(), WRITE_MS_MAX, () => {
      throw this.#tooSlow('DEAD_LETTER_WRITE', 'no file could be made in the directory of dead letters')
    })
  }

  /**
   * Resolves once all letters are on disk.
   * @throws the signal's reason; ClsConsumerError DEAD_LETTER_… of the last try
   */
  async write(letters: readonly DeadLetter[], { signal, retried }: WriteHooks): Promise<void> {
    if (letters.length === 0) return
    const writer = this.#writer ?? noDirectory()
    let written: Promise<ClsConsumerError | undefined> | undefined
    for (let attempt = 1; ; attempt++) {
      // Also where the partition is closing: it has time to, and what is not written repeats.
      written ??= writer.append(letters).then(() => undefined, toClsError)
      const ending = await within(this.#world.timers, written, WRITE_MS_MAX, () => 'late' as const)
      if (ending === undefined) return
      if (ending !== 'late') written = undefined
      const error = ending === 'late' ? this.#tooSlow('DEAD_LETTER_WRITE', 'dead letters were not written') : ending
      const waitMs = isWorthAnother(error)
        ? retryDelayMs({ ...this.#settings, attempt, chance: this.#world.random.next() })
        : undefined
      if (waitMs === undefined) throw error
      signal.throwIfAborted()
      retried(error, waitMs, attempt)
      await this.#world.timers.sleep(waitMs, signal)
    }
  }

  /**
   * All messages of a batch that has failed for good, or its body where they cannot be read.
   * @throws the signal's reason; ClsConsumerError DEAD_LETTER_…
   */
  async harvestAndWrite(failed: FailedAttempt, hooks: WriteHooks): Promise<BatchSetAside> {
    if (this.#writer === undefined) noDirectory()
    const before = this.#before
    const ours = before.then(() => this.#harvestAndWrite(failed, hooks))
    this.#before = ours.catch(() => undefined)
    await unlessAborted(before, hooks.signal)
    return await ours
  }

  /** Once what is being written is on disk, or has failed. @throws ClsConsumerError DRAIN_TIMEOUT */
  async close(): Promise<void> {
    if (this.#writer === undefined) return
    await within(this.#world.timers, this.#writer.close(), WRITE_MS_MAX, () => {
      throw this.#tooSlow('DRAIN_TIMEOUT', 'the file of dead letters was not closed')
    })
  }

  async #harvestAndWrite(failed: FailedAttempt, hooks: WriteHooks): Promise<BatchSetAside> {
    hooks.signal.throwIfAborted()
    const harvested = await unlessAborted(this.#harvest(failed), hooks.signal)
    const isWhole = harvested instanceof ClsConsumerError
    const letters = isWhole ? [bodyLetter(failed, harvested)] : messageLetters(failed, harvested)
    await this.write(letters, hooks)
    const nextOffset = isWhole ? undefined : harvestBeforeEnd(failed.batch, harvested).nextOffset
    return { letterCount: letters.length, nextOffset }
  }

  /** Its messages, or why there are none to be had. */
  async #harvest({ batch }: FailedAttempt): Promise<Harvest | ClsConsumerError> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#world.scout.harvest(batch.body)
      } catch (thrown) {
        const error = toClsError(thrown)
        if (error.code === 'INVARIANT_BROKEN') throw error
        if (error.code !== 'THREAD_LOST' || tries === HARVEST_TRIES_MAX) return error
      }
    }
  }

  #tooSlow(code: ErrorCode, what: string): ClsConsumerError {
    const place = this.#directory === undefined ? {} : { file: this.#directory }
    return new ClsConsumerError(code, `${what} within ${WRITE_MS_MAX} ms: does the disk answer?`, place)
  }
}

/** Space may be freed, and a directory be made writable, while the consumer waits. */
function isWorthAnother({ code }: ClsConsumerError): boolean {
  return code === 'DEAD_LETTER_WRITE' || code === 'DEAD_LETTER_DIRECTORY'
}

function noDirectory(): never {
  const message = 'dead letters have nowhere to go: set the option deadLetterDirectory'
  throw new ClsConsumerError('DEAD_LETTER_DIRECTORY', message)
}

/** Rejects with the signal's reason where it aborts first. What is awaited goes on, and its rejection is heard of here. */
async function unlessAborted<T>(awaited: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let onAbort = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
  })
  try {
    return await Promise.race([awaited, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
