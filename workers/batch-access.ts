/**
 * The way from a view to its open batch.
 *
 * In: the use of a view. Out: the batch's reader; or BATCH_CLOSED, from when `process` has settled. Must never happen: a
 * view that reads then: the memory goes to other batches.
 */
import { ClsConsumerError, type ErrorPlace } from '../src/errors.ts'
import type { BatchReader } from './batch-reader.ts'
import { placeInStack } from './user-failure.ts'

export class BatchAccess {
  /** Gone with the close, so that views which are kept keep nothing of the batch alive. */
  #reader: BatchReader | undefined
  #tellLateUse: ((error: ClsConsumerError) => void) | undefined
  readonly #place: ErrorPlace

  constructor(reader: BatchReader, place: ErrorPlace) {
    this.#reader = reader
    this.#place = place
  }

  /** At every use of every view, and never kept: all that a closed batch costs an open one is one comparison. */
  open(): BatchReader {
    const reader = this.#reader
    if (reader === undefined) this.#refuse()
    return reader
  }

  close(): void {
    this.#reader = undefined
  }

  /** Whom to tell, once, of a use after the close. */
  onLateUse(tell: (error: ClsConsumerError) => void): void {
    this.#tellLateUse = tell
  }

  #refuse(): never {
    const at = placeInStack(new Error().stack ?? '')
    const what = `a log, group or batch was used${at === undefined ? '' : ` at ${at}`} after its process had settled`
    const cure = 'await everything that process starts, or keep toObject()'
    const error = new ClsConsumerError('BATCH_CLOSED', `${what}: ${cure}`, this.#place)
    this.#tellLateUse?.(error)
    this.#tellLateUse = undefined
    throw error
  }
}
