/**
 * Puts dead letters on disk, for one consumer.
 *
 * In: the letters of an attempt, once they are decided. Out: a promise that resolves when all of them are on disk (I1), and
 * rejects where it is not sure of all: then the offset stays. Must never happen: that it resolves early.
 *
 * What comes while a write runs is written together after it: a sync costs milliseconds, whatever it is of. What waits is
 * held by its callers: a partition has one batch that is being settled. There is no deadline: a write that hangs cannot be
 * taken back, and might still happen; whoever waits decides how long.
 */
import { assert, ClsConsumerError } from '../errors.ts'
import type { DeadLetter } from './dead-letter.ts'
import { LetterFile, type LetterFileSettings, type LetterFileWorld } from './dead-letter-file.ts'
import { encodeRecord, RAW_BYTES_MAX } from './dead-letter-record.ts'

export interface DeadLetterSettings extends LetterFileSettings {
  readonly group: string
}

interface Waiting {
  readonly letters: readonly DeadLetter[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class DeadLetterWriter {
  readonly #settings: DeadLetterSettings
  readonly #clock: LetterFileWorld['clock']
  readonly #file: LetterFile
  #waiting: Waiting[] = []
  /** Runs while anything waits. */
  #work: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(settings: DeadLetterSettings, world: LetterFileWorld) {
    this.#settings = settings
    this.#clock = world.clock
    this.#file = new LetterFile(settings, world)
  }

  /**
   * Whether letters could be written at all: better known at the start than with the first one. Before any `append`.
   * @throws ClsConsumerError DEAD_LETTER_DIRECTORY, DEAD_LETTER_WRITE
   */
  prepare(): Promise<void> {
    return this.#file.prepare()
  }

  /**
   * All of an attempt, in order. Some may be on disk where it rejects: written again, they have the ids they had.
   * @throws ClsConsumerError DEAD_LETTER_DIRECTORY, DEAD_LETTER_WRITE, DEAD_LETTER_TOO_LARGE
   */
  async append(letters: readonly DeadLetter[]): Promise<void> {
    assert(this.#closing === undefined, 'I1: no letter comes after the end of its writer')
    refuseTooLarge(letters)
    if (letters.length === 0) return
    const written = new Promise<void>((resolve, reject) => this.#waiting.push({ letters, resolve, reject }))
    this.#work ??= this.#writeAll()
    await written
  }

  /** Once all that was given is written, or has failed. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#work
    await this.#file.close()
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const together = this.#waiting
      this.#waiting = []
      try {
        await this.#file.append(() => this.#records(together))
        for (const { resolve } of together) resolve()
      } catch (error) {
        for (const { reject } of together) reject(error)
      }
    }
    this.#work = undefined
  }

  /** Made one by one, as they are written: base64 is larger than what it is of. */
  *#records(together: readonly Waiting[]): Generator<Buffer, void, undefined> {
    const { group, consumer } = this.#settings
    const stamp = { timeMs: this.#clock.now(), group, consumer }
    for (const { letters } of together) {
      for (const letter of letters) yield encodeRecord(letter, stamp)
    }
  }
}

/** Before it waits with others: it would fail them too. */
function refuseTooLarge(letters: readonly DeadLetter[]): void {
  for (const { topicId, partition, startOffset, raw } of letters) {
    if (raw.byteLength <= RAW_BYTES_MAX) continue
    const message = `a dead letter of ${raw.byteLength} bytes is more than the ${RAW_BYTES_MAX} that one may have`
    throw new ClsConsumerError('DEAD_LETTER_TOO_LARGE', message, { topicId, partition, offset: startOffset })
  }
}
