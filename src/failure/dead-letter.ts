/**
 * What is set aside of the log instead of being processed: the value, and how one is told from another.
 *
 * In: what a failed attempt, or a processor, gives up. Out: a letter that holds all that is needed to process it later,
 * and its id. Pure; nothing here writes.
 *
 * A letter may be on disk twice: the process dies between the letter's sync and the commit, or a full disk fails the
 * second half of a write, and the batch runs again. Both have one id, so that a reader tells a repeat from a second letter.
 */
import type { PartitionId } from '../dispatch/messages.ts'
import type { ErrorCode } from '../errors.ts'
import type { Compression } from '../world.ts'

/**
 * What of a response it is, and so what its bytes are:
 * - body: a response that cannot be read. The compressed body, as it was received.
 * - message: one entry of the response's `Message`, as it stands in the JSON: a text of base64 with its quotes, as a rule.
 * - group: a decoded message's payload, the protobuf `LogGroup`.
 * - log: one log, as a `LogGroup` from which the other logs are cut out. A log alone has no bytes of its own that tell
 *   all: source, file name and tags stand with its group. Every byte that is left is as it was received.
 */
export type LetterContent =
  | { readonly kind: 'body'; readonly compression: Compression }
  | { readonly kind: 'message'; readonly messageIndex: number }
  | { readonly kind: 'group'; readonly messageIndex: number }
  | { readonly kind: 'log'; readonly messageIndex: number; readonly logIndex: number }

export type LetterKind = LetterContent['kind']

/** What an attempt failed of. */
export interface LetterError {
  readonly code: ErrorCode
  readonly message: string
  readonly stack: string
}

export type LetterHead = PartitionId &
  LetterContent & {
    /** Where the response was pulled from. Messages have no offsets of their own. */
    readonly startOffset: bigint
    /** `undefined` where the response could not tell. */
    readonly nextOffset: bigint | undefined
    /** 1 for the first. */
    readonly attempt: number
    /** In a few words; of the processor, or of the policy. */
    readonly reason: string
    readonly error: LetterError | undefined
  }

export type DeadLetter = LetterHead & {
  /** Exactly as received. Must not change before the letter is written. */
  readonly raw: Uint8Array
}

/**
 * `topic/partition/offset`, and behind it the message and the log, as far as the letter is about one: equal for what was
 * pulled from one offset by equal pulls. Pulled with another size or query, the same message may have another id.
 */
export function letterId(letter: PartitionId & LetterContent & { readonly startOffset: bigint }): string {
  const response = `${letter.topicId}/${letter.partition}/${letter.startOffset}`
  switch (letter.kind) {
    case 'body':
      return response
    case 'message':
    case 'group':
      return `${response}/${letter.messageIndex}`
    case 'log':
      return `${response}/${letter.messageIndex}/${letter.logIndex}`
  }
}
