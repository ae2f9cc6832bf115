/**
 * What becomes of that which cannot be processed: the user's policy, applied.
 *
 * In: a batch after its last attempt, messages or bodies that cannot be read, logs that a processor sets aside. Out: whether
 * their partition may pass them, and where it goes on; or that it stops, parks, or has gone meanwhile. Must never happen: a
 * partition that passes what is neither on disk nor skipped on the user's order (I1); a skip that nobody is told of (I6).
 *
 *   policy        whole batch            messages of it         body that cannot be read
 *   stop          stop                   stop                   stop
 *   park          park                   park                   park
 *   skip          passed, told           passed, told           one offset further, told
 *   dead-letter   its messages written   those written          body written, one offset further
 *
 * What cannot be written parks its partition: a full disk is mended, and then nothing is lost.
 */
import { type Batch, cutAtEnd, type Epoch, type Outline } from './batch.ts'
import type { FailurePolicy, PartitionId, PoisonMessage, ThreadLetter } from './dispatch/messages.ts'
import { type ClsConsumerError, type ErrorPlace, toClsError } from './errors.ts'
import type { DeadLetter } from './failure/dead-letter.ts'
import { bodyLetter, poisonLetters, processorLetters } from './failure/letters.ts'
import type { SetAside, WriteHooks } from './failure/set-aside.ts'
import { batchEnd } from './fetch/next-offset.ts'
import type { World } from './world.ts'

/** body: a response that cannot be read. messages: single ones; the others of their response are processed. */
export type SkippedKind = 'batch' | 'body' | 'messages'

export interface SkippedEvent extends PartitionId {
  readonly kind: SkippedKind
  readonly startOffset: bigint
  /** Where the partition goes on. */
  readonly nextOffset: bigint
  /** Messages that are passed; undefined where nobody could tell how many there are. */
  readonly messageCount: number | undefined
  /** Of single ones: the place of the first in its response. */
  readonly firstMessage?: number
  readonly error: ClsConsumerError
}

export interface DeadLetteredEvent extends PartitionId {
  readonly startOffset: bigint
  readonly nextOffset: bigint | undefined
  readonly letterCount: number
  /** What an attempt failed of; absent where the processor sets logs aside. */
  readonly error: ClsConsumerError | undefined
}

export interface LastResortHandlers {
  skipped(event: SkippedEvent): void
  deadLettered(event: DeadLetteredEvent): void
  /** Letters could not be written, and are tried again. */
  retried(error: ClsConsumerError, place: ErrorPlace, waitMs: number, attempt: number): void
  /** Whether the log has anything from there on; undefined where the service does not tell. @throws ClsConsumerError API_… */
  hasLogsFrom(epoch: Epoch, offset: bigint): Promise<boolean | undefined>
}

export interface LastResortParts {
  readonly world: Pick<World, 'scout'>
  readonly policy: FailurePolicy
  readonly setAside: SetAside
  readonly handlers: LastResortHandlers
}

/** A try to process a batch that has come to nothing, or to less than all of it. */
export interface Attempt {
  readonly batch: Batch
  /** 1 for the first. */
  readonly attempt: number
  /** Of its response, as far as a thread has told. */
  readonly outline: Outline | undefined
  /** Ends the tries to write letters: the partition closes. */
  readonly signal: AbortSignal
}

/** nothing-there: no log stands behind the body that cannot be read, so nothing is there to pass. left: the signal aborted. */
export type PolicyOutcome =
  | { readonly kind: 'passed'; readonly nextOffset: bigint }
  | { readonly kind: 'stop' | 'park'; readonly error: ClsConsumerError }
  | { readonly kind: 'nothing-there' }
  | { readonly kind: 'left' }

/** An outline, of which the number of messages may not be known: at least one then. */
interface Told extends Pick<Outline, 'nextOffset'> {
  readonly messageCount: number | undefined
}

export class LastResort {
  readonly #parts: LastResortParts
  #policy: FailurePolicy

  constructor(parts: LastResortParts) {
    this.#parts = parts
    this.#policy = parts.policy
  }

  /** The processor's own word goes before the option. */
  override(policy: FailurePolicy): void {
    this.#policy = policy
  }

  /** A batch after its last attempt. */
  async giveUpBatch(attempt: Attempt, error: ClsConsumerError): Promise<PolicyOutcome> {
    switch (this.#policy) {
      case 'stop':
      case 'park':
        return { kind: this.#policy, error }
      case 'skip':
        return await this.#skipBatch(attempt, error)
      case 'dead-letter':
        return await this.#orPark(attempt, () => this.#setBatchAside(attempt, error))
    }
  }

  /** Messages of a batch that was processed but for these. */
  async giveUpMessages(
    attempt: Attempt,
    poison: readonly PoisonMessage[],
    nextOffset: bigint,
    error: ClsConsumerError
  ): Promise<PolicyOutcome> {
    switch (this.#policy) {
      case 'stop':
      case 'park':
        return { kind: this.#policy, error }
      case 'skip': {
        const { topicId, partition, startOffset } = attempt.batch
        const messages = { messageCount: poison.length, firstMessage: poison[0]?.messageIndex ?? 0 }
        this.#parts.handlers.skipped({
          kind: 'messages',
          topicId,
          partition,
          startOffset,
          nextOffset,
          ...messages,
          error
        })
        return { kind: 'passed', nextOffset }
      }
      case 'dead-letter':
        return await this.#write(attempt, poisonLetters(attempt, nextOffset, poison), nextOffset, error)
    }
  }

  /** Logs and groups that the processor has set aside; written whatever the policy is. */
  async setLogsAside(attempt: Attempt, letters: readonly ThreadLetter[], nextOffset: bigint): Promise<PolicyOutcome> {
    return await this.#write(attempt, processorLetters(attempt, nextOffset, letters), nextOffset, undefined)
  }

  /**
   * A body that cannot be read does not tell where it ends, so the partition goes on one offset further: the rest of what it
   * held is pulled again. Only where the log has something there: at its end, that would pass a log that is still to come.
   */
  async giveUpBody(attempt: Attempt, error: ClsConsumerError): Promise<PolicyOutcome> {
    if (this.#policy === 'stop' || this.#policy === 'park') return { kind: this.#policy, error }
    const { topicId, partition, startOffset } = attempt.batch
    let hasLogs: boolean | undefined
    try {
      hasLogs = await this.#parts.handlers.hasLogsFrom(attempt.batch, startOffset)
    } catch (thrown) {
      if (attempt.signal.aborted) return { kind: 'left' }
      return toClsError(thrown).remedy === 'retry' ? { kind: 'nothing-there' } : { kind: 'stop', error }
    }
    if (attempt.signal.aborted) return { kind: 'left' }
    if (hasLogs === undefined) return { kind: 'stop', error }
    if (!hasLogs) return { kind: 'nothing-there' }
    const nextOffset = startOffset + 1n
    if (this.#policy === 'dead-letter') {
      return await this.#write(attempt, [bodyLetter({ ...attempt, error, poison: [] }, error)], nextOffset, error)
    }
    const passed = { topicId, partition, startOffset, nextOffset, messageCount: undefined }
    this.#parts.handlers.skipped({ kind: 'body', ...passed, error })
    return { kind: 'passed', nextOffset }
  }

  async #skipBatch({ batch, outline, signal }: Attempt, error: ClsConsumerError): Promise<PolicyOutcome> {
    const { topicId, partition, startOffset } = batch
    let told: Told | undefined = outline
    if (told === undefined) {
      // Its thread died before it could tell: the body is read once more, elsewhere.
      told = await this.#outlineOf(batch)
      if (signal.aborted) return { kind: 'left' }
    }
    const isCounted = told.messageCount !== undefined
    const whole = { nextOffset: told.nextOffset, messageCount: told.messageCount ?? 1 }
    const nextOffset = batchEnd(batch, whole)
    if (nextOffset === undefined) return { kind: 'stop', error }
    const messageCount = isCounted ? cutAtEnd(batch, whole).messageCount : undefined
    this.#parts.handlers.skipped({ kind: 'batch', topicId, partition, startOffset, nextOffset, messageCount, error })
    return { kind: 'passed', nextOffset }
  }

  /** How many messages it has matters only at the end of a bounded run; a harvest waits for a scout that rests. */
  async #outlineOf({ body, endOffset }: Batch): Promise<Told> {
    const { scout } = this.#parts.world
    const nextOffset = endOffset === undefined ? await scout.nextOffset(body) : undefined
    if (nextOffset !== undefined) return { nextOffset, messageCount: undefined }
    const harvest = await scout.harvest(body).catch(() => undefined)
    return { nextOffset: harvest?.nextOffset, messageCount: harvest?.messages.length }
  }

  async #setBatchAside(attempt: Attempt, error: ClsConsumerError): Promise<PolicyOutcome> {
    const { topicId, partition, startOffset } = attempt.batch
    const failed = { ...attempt, error, poison: [] }
    const aside = await this.#parts.setAside.harvestAndWrite(failed, this.#hooks(attempt))
    const { letterCount } = aside
    const told = attempt.outline ?? { nextOffset: aside.nextOffset, messageCount: letterCount }
    const nextOffset = batchEnd(attempt.batch, told)
    if (nextOffset === undefined) return { kind: 'stop', error }
    this.#parts.handlers.deadLettered({ topicId, partition, startOffset, nextOffset, letterCount, error })
    return { kind: 'passed', nextOffset }
  }

  async #write(
    attempt: Attempt,
    letters: readonly DeadLetter[],
    nextOffset: bigint,
    error: ClsConsumerError | undefined
  ): Promise<PolicyOutcome> {
    const { topicId, partition, startOffset } = attempt.batch
    return await this.#orPark(attempt, async () => {
      await this.#parts.setAside.write(letters, this.#hooks(attempt))
      const letterCount = letters.length
      this.#parts.handlers.deadLettered({ topicId, partition, startOffset, nextOffset, letterCount, error })
      return { kind: 'passed', nextOffset }
    })
  }

  #hooks({ batch, signal }: Attempt): WriteHooks {
    const { topicId, partition, startOffset } = batch
    const place = { topicId, partition, offset: startOffset }
    const { retried } = this.#parts.handlers
    return { signal, retried: (error, waitMs, attempt) => retried(error, place, waitMs, attempt) }
  }

  async #orPark({ signal }: Attempt, write: () => Promise<PolicyOutcome>): Promise<PolicyOutcome> {
    try {
      return await write()
    } catch (thrown) {
      return signal.aborted ? { kind: 'left' } : { kind: 'park', error: toClsError(thrown) }
    }
  }
}
