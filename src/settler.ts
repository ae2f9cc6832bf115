/**
 * What the answer to a batch means for its partition.
 *
 * In: a thread's answer. Out: a verdict, once everything that must come before it is done: letters on disk, the result taken.
 * It changes nothing of the partition itself; `tenure.ts` does. Must never happen: a result delivered past the lease, or of
 * an ended epoch (I3, I12); a verdict to pass a batch that is neither processed nor given up (I1).
 */
import type { Batch } from './batch.ts'
import type { BatchAnswer, FailedAnswer, ProcessedAnswer } from './dispatch/messages.ts'
import { ClsConsumerError, type ErrorPlace, fromFailure, toClsError } from './errors.ts'
import { resultError } from './failure/deliver.ts'
import { batchEnd } from './fetch/next-offset.ts'
import type { Attempt, LastResort, PolicyOutcome } from './last-resort.ts'
import type { ResultPlace } from './options.ts'

/**
 * processed: it counts. passed: it was given up, and so does that. passed-body: likewise, and where the chain goes on is
 * news to it. repull, refused: its response made no sense, or was a refusal. stop, park: the partition goes no further.
 * left: the epoch is over, or its partition is closing: nothing of it counts here.
 */
export type Verdict =
  | { readonly kind: 'processed'; readonly nextOffset: bigint; readonly answer: ProcessedAnswer }
  | { readonly kind: 'passed' | 'passed-body'; readonly nextOffset: bigint }
  | { readonly kind: 'repull'; readonly error: ClsConsumerError | undefined; readonly repulls: 'counted' | 'fresh' }
  | { readonly kind: 'refused'; readonly error: ClsConsumerError }
  | { readonly kind: 'rewound'; readonly offset: bigint }
  | { readonly kind: 'stop' | 'park'; readonly error: ClsConsumerError }
  | { readonly kind: 'left' }

export interface SettlerHandlers {
  /** Asked after every wait: only the clock tells whether this process was stopped meanwhile (I12). */
  hasEnded(): boolean
  /** Whether a response that makes no sense may be pulled once more. */
  mayRepull(): boolean
  /**
   * Gives the result to the user, again where that fails (`signal` ends the attempts, not the call under way). Resolves to
   * whether it was taken. Where there is nobody to give it to, undefined.
   */
  readonly deliver: ((result: unknown, place: ResultPlace, signal: AbortSignal) => Promise<boolean>) | undefined
}

const LEFT: Verdict = { kind: 'left' }

export class Settler {
  readonly #lastResort: LastResort
  readonly #handlers: SettlerHandlers

  constructor(lastResort: LastResort, handlers: SettlerHandlers) {
    this.#lastResort = lastResort
    this.#handlers = handlers
  }

  /** Never rejects. */
  async judge(attempt: Attempt, answer: BatchAnswer): Promise<Verdict> {
    try {
      // Also before: nothing is told as skipped, or written, that will not be passed.
      if (this.#handlers.hasEnded()) return LEFT
      const verdict = await this.#judge(attempt, answer)
      return this.#handlers.hasEnded() ? LEFT : verdict
    } catch (error) {
      return { kind: 'stop', error: toClsError(error, placeOf(attempt.batch)) }
    }
  }

  async #judge(attempt: Attempt, answer: BatchAnswer): Promise<Verdict> {
    switch (answer.kind) {
      case 'not-started':
        // Its lease had ended when its turn came, so the epoch ends here; or its partition is closing anyway.
        return { kind: 'repull', error: undefined, repulls: 'fresh' }
      case 'rewound':
        return { kind: 'rewound', offset: answer.offset }
      case 'failed':
        return await this.#judgeFailed(attempt, answer)
      case 'processed':
        return await this.#judgeProcessed(attempt, answer)
    }
  }

  async #judgeFailed(attempt: Attempt, { stage, failure }: FailedAnswer): Promise<Verdict> {
    const error = fromFailure(failure)
    switch (stage) {
      case 'decode':
        return await this.#judgeBody(attempt, error)
      case 'process':
        return verdictOf(await this.#lastResort.giveUpBatch(attempt, error))
      case 'lifecycle':
        return { kind: 'stop', error }
    }
  }

  async #judgeBody(attempt: Attempt, error: ClsConsumerError): Promise<Verdict> {
    if (isOfService(error)) return { kind: 'refused', error }
    if (error.remedy !== 'retry') return { kind: 'stop', error }
    if (this.#handlers.mayRepull()) return { kind: 'repull', error, repulls: 'counted' }
    const given = await this.#lastResort.giveUpBody(attempt, error)
    switch (given.kind) {
      case 'passed':
        return { kind: 'passed-body', nextOffset: given.nextOffset }
      case 'nothing-there':
        return { kind: 'repull', error, repulls: 'fresh' }
      default:
        return verdictOf(given)
    }
  }

  async #judgeProcessed(attempt: Attempt, answer: ProcessedAnswer): Promise<Verdict> {
    const { batch } = attempt
    const nextOffset = batchEnd(batch, answer)
    if (nextOffset === undefined) return await this.#judgeBody(attempt, stuckError(batch, answer))
    if (answer.poison.length > 0) {
      const error = poisonError(batch, answer)
      const given = await this.#lastResort.giveUpMessages(attempt, answer.poison, nextOffset, error)
      if (given.kind !== 'passed' || this.#handlers.hasEnded()) return verdictOf(given)
    }
    if (answer.letters.length > 0) {
      const given = await this.#lastResort.setLogsAside(attempt, answer.letters, nextOffset)
      if (given.kind !== 'passed' || this.#handlers.hasEnded()) return verdictOf(given)
    }
    return await this.#deliver(attempt, answer, nextOffset)
  }

  async #deliver(attempt: Attempt, answer: ProcessedAnswer, nextOffset: bigint): Promise<Verdict> {
    const { deliver, hasEnded } = this.#handlers
    const { batch, signal } = attempt
    if (deliver === undefined || answer.logCount === 0 || hasEnded()) return { kind: 'processed', nextOffset, answer }
    const { topicId, partition, startOffset } = batch
    const place = { topicId, partition, startOffset, nextOffset, logCount: answer.logCount }
    try {
      // Not taken: the partition closed before; its batch stays unsettled, and repeats elsewhere.
      return (await deliver(answer.result, place, signal)) ? { kind: 'processed', nextOffset, answer } : LEFT
    } catch (thrown) {
      if (hasEnded()) return LEFT
      return verdictOf(await this.#lastResort.giveUpBatch(attempt, resultError(thrown, placeOf(batch))))
    }
  }
}

function verdictOf(given: PolicyOutcome): Verdict {
  return given.kind === 'nothing-there' ? LEFT : given
}

/** The service's own word, or a response of a size that was not to be: what to do is as for a pull that brought none. */
function isOfService({ code }: ClsConsumerError): boolean {
  return code.startsWith('API_') || code === 'BODY_TOO_LARGE'
}

function placeOf({ topicId, partition, startOffset }: Batch): ErrorPlace {
  return { topicId, partition, offset: startOffset }
}

function stuckError(batch: Batch, { nextOffset, messageCount }: ProcessedAnswer): ClsConsumerError {
  const message = `the service sent ${messageCount} messages and no offset to go on from: NextOffset is ${nextOffset}`
  return new ClsConsumerError('NEXT_OFFSET_STUCK', message, placeOf(batch))
}

function poisonError(batch: Batch, { poison }: ProcessedAnswer): ClsConsumerError {
  const first = poison[0]
  const at = first?.bytePosition === undefined ? '' : ` at byte ${first.bytePosition}`
  const message = `${poison.length} undecodable messages; the first is message ${first?.messageIndex}: ${first?.reason}${at}`
  return new ClsConsumerError('MESSAGE_CORRUPT', message, placeOf(batch))
}
