/**
 * What is given up, as dead letters.
 *
 * In: a batch, the attempt that gave it or parts of it up, and what there is of it: its messages, those that cannot be
 * decoded, logs and groups that a processor has singled out, or nothing but its body. Out: letters. Pure. Must never happen: a message
 * of the batch without a letter; a letter of a message that the batch does not have, being behind its end.
 */
import { type Batch, cutAtEnd } from '../batch.ts'
import type { PartitionId, PoisonMessage, ThreadLetter } from '../dispatch/messages.ts'
import { type ClsConsumerError, toFailure } from '../errors.ts'
import type { Harvest } from '../world.ts'
import type { DeadLetter, LetterError } from './dead-letter.ts'

/** The last attempt at a batch. */
export interface Attempt {
  readonly batch: Pick<Batch, 'topicId' | 'partition' | 'startOffset' | 'endOffset' | 'body'>
  /** 1 for the first. */
  readonly attempt: number
}

/** A whole batch that is given up, and why. */
export interface FailedAttempt extends Attempt {
  readonly error: ClsConsumerError
  /** Messages that are no good by themselves, where they are known. */
  readonly poison: readonly PoisonMessage[]
}

/** One letter a message, in order: of a poison one with its own reason, of the others with what the attempt failed of. */
export function messageLetters({ batch, attempt, error, poison }: FailedAttempt, harvest: Harvest): DeadLetter[] {
  const { nextOffset, messages } = harvestBeforeEnd(batch, harvest)
  const reasons = new Map(poison.map(one => [one.messageIndex, poisonReason(one)]))
  const failed = letterError(error)
  return messages.map((raw, messageIndex) => {
    const reason = reasons.get(messageIndex)
    const why = reason === undefined ? { reason: failedReason(error), error: failed } : { reason, error: undefined }
    return { kind: 'message', ...headOf({ batch, attempt }, nextOffset), messageIndex, ...why, raw }
  })
}

/** Of the messages alone that cannot be decoded: the others were processed. */
export function poisonLetters(
  attempt: Attempt,
  nextOffset: bigint | undefined,
  poison: readonly PoisonMessage[]
): DeadLetter[] {
  const head = headOf(attempt, nextOffset)
  return poison.map(one => {
    const { messageIndex, raw } = one
    return { kind: 'message', ...head, messageIndex, reason: poisonReason(one), error: undefined, raw }
  })
}

/** Of the logs and groups that a processor has given to `context.deadLetter`. */
export function processorLetters(
  attempt: Attempt,
  nextOffset: bigint | undefined,
  letters: readonly ThreadLetter[]
): DeadLetter[] {
  const head = headOf(attempt, nextOffset)
  return letters.map(letter => ({ ...head, ...letter, error: undefined }))
}

/**
 * Of a response that cannot be taken apart, as `unreadable` says. A copy: a write that hangs is not waited for, and may
 * happen when the batch is out of every stage and the body's memory has gone to another one.
 */
export function bodyLetter({ batch, attempt, error }: FailedAttempt, unreadable: ClsConsumerError): DeadLetter {
  const { bytes, byteCount, compression } = batch.body
  const head = headOf({ batch, attempt }, undefined)
  const whole = error === unreadable ? '' : `; set aside as a whole: ${unreadable.message}`
  return {
    kind: 'body',
    compression,
    ...head,
    reason: `${failedReason(error)}${whole}`,
    error: letterError(error),
    raw: new Uint8Array(bytes, 0, byteCount).slice()
  }
}

/** What of a response the batch has: in a bounded run the rest was never tried. */
export function harvestBeforeEnd(batch: Attempt['batch'], { nextOffset, messages }: Harvest): Harvest {
  const kept = cutAtEnd(batch, { nextOffset, messageCount: messages.length })
  return { nextOffset: kept.nextOffset, messages: messages.slice(0, kept.messageCount) }
}

interface Head extends PartitionId {
  readonly startOffset: bigint
  readonly nextOffset: bigint | undefined
  readonly attempt: number
}

function headOf({ batch, attempt }: Attempt, nextOffset: bigint | undefined): Head {
  const { topicId, partition, startOffset } = batch
  return { topicId, partition, startOffset, nextOffset, attempt }
}

/** A list of letters shows the reason alone. */
function failedReason({ code, message }: ClsConsumerError): string {
  return `${code}: ${message}`
}

function poisonReason({ reason, bytePosition }: PoisonMessage): string {
  return `MESSAGE_CORRUPT: ${reason}${bytePosition === undefined ? '' : ` at byte ${bytePosition}`}`
}

/** Nothing else of an error: the place stands in the letter itself. */
function letterError(error: ClsConsumerError): LetterError {
  const { code, message, stack } = toFailure(error, error.code)
  return { code, message, stack }
}
