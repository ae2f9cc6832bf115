/**
 * The one error class and the closed table of its codes.
 *
 * In: what went wrong, with the values and the place. Out: an error whose `remedy` says what a caller does next, as
 * data. Nobody branches on message text. Across a thread boundary an error travels as a `Failure` and is rebuilt.
 */

import { inspect } from 'node:util'

/**
 * What the one who catches an error does next:
 * - `retry`: the same call may succeed later (transport faults, throttling, 5xx).
 * - `rejoin`: membership is gone; end the epochs and join the group anew.
 * - `stop`: neither time nor the user's input in this run mends it; stop in order.
 * - `fix-input`: an option, a processor module or a file is wrong; say which value and what would be right.
 */
export type Remedy = 'retry' | 'rejoin' | 'stop' | 'fix-input'

/** Every code, with its remedy. Closed: an error that fits none gets a row of its own. */
export const REMEDIES = {
  // The user's input.
  OPTIONS_INVALID: 'fix-input',
  USAGE: 'fix-input',
  FILE_UNREADABLE: 'fix-input',
  PROCESSOR_NOT_FOUND: 'fix-input',
  PROCESSOR_NOT_LOADED: 'fix-input',
  PROCESSOR_SHAPE: 'fix-input',
  GROUP_TOPICS: 'fix-input',

  // The service's answers. `serviceCode`, `httpStatus` and `requestId` carry what it said.
  API_UNREACHABLE: 'retry', // no connection, or it broke before a whole answer
  API_TIMEOUT: 'retry', // no answer in time: a write may still take effect later
  API_THROTTLED: 'retry', // RequestLimitExceeded…, SpeedQuotaExceed, HTTP 429
  API_UNAVAILABLE: 'retry', // HTTP 5xx, InternalError, FailedOperation.Timeout
  API_MALFORMED: 'retry', // HTML, empty, truncated, not JSON, or not the documented shape
  API_CLOCK_SKEWED: 'retry', // signed anew with the measured skew
  API_TOKEN_EXPIRED: 'retry', // signed anew with fresh credentials
  API_UNAUTHORIZED: 'stop', // AuthFailure.…, UnauthorizedOperation, HTTP 401/403
  API_NOT_FOUND: 'stop', // ResourceNotFound, HTTP 404
  API_TOPIC_CLOSED: 'stop', // TopicClosed: nothing is read from the topic until it is opened again
  API_INVALID_OFFSET: 'stop', // …InvalidOffset: expired, or beyond the end; `onInvalidOffset` decides
  API_REFUSED: 'stop', // any other final refusal
  CREDENTIALS_UNAVAILABLE: 'retry', // the credentials provider failed
  CALL_WITHDRAWN: 'retry', // not sent: its caller has something else to say by now

  // Bytes.
  BODY_TOO_LARGE: 'stop', // more than bodyBytesMax compressed, responseBytesMax decompressed, or memory to decode it
  BODY_CORRUPT: 'retry', // not a snappy/lz4 block, not JSON, not a pull response
  NEXT_OFFSET_STUCK: 'retry', // messages, but an offset that does not advance
  MESSAGE_CORRUPT: 'stop', // one message that cannot be decoded
  BATCH_CLOSED: 'fix-input', // a view used after its batch was done

  // Dead letters. What could not be written keeps its offset from passing.
  DEAD_LETTER_DIRECTORY: 'fix-input', // the directory cannot be made, or not be written to
  DEAD_LETTER_WRITE: 'stop', // not written and synced: the disk is full, or failed
  DEAD_LETTER_TOO_LARGE: 'stop', // more bytes than one may have
  DEAD_LETTERS_DAMAGED: 'stop', // found while reading them

  // User code and threads.
  PROCESSOR_START_FAILED: 'stop',
  PROCESSOR_FAILED: 'stop',
  PROCESSOR_TIMEOUT: 'stop', // `process` did not return within processTimeoutMs
  PROCESSOR_STUCK: 'stop', // `start`, `assign`, `revoke` or `stop` did not return
  RESULT_NOT_CLONEABLE: 'fix-input', // what `process` returned cannot cross to the main thread
  ON_RESULT_FAILED: 'stop',
  THREAD_LOST: 'retry', // a thread ended with work on it
  THREAD_STUCK: 'stop', // a terminated thread did not exit within threadExitMs
  POOL_BROKEN: 'stop', // a thread could not be replaced

  // The consumer itself.
  CONSUMER_STATE: 'fix-input', // start() twice, or after stop()
  LEASE_LOST: 'rejoin',
  PARTITION_PARKED: 'stop', // a bounded run cannot end well while a partition is parked
  PARTITION_STALLED: 'stop', // no progress for stallMs, and `onStall` is `stop`
  DRAIN_TIMEOUT: 'stop', // a step of stop() ran past its deadline
  INVARIANT_BROKEN: 'stop',

  // Tools around it.
  EMULATOR_NOT_STARTED: 'stop',
  DEMO_FAILED: 'stop',
  BENCH_FAILED: 'stop' // a process of it ended, or a consumer was fast by not doing its work
} as const satisfies Record<string, Remedy>

export type ErrorCode = keyof typeof REMEDIES

/** Where it happened. Only what is known is present. Never holds a secret (I9). */
export interface ErrorPlace {
  readonly topicId?: string
  readonly partition?: number
  /** Offset in the partition; int64, as a bigint. */
  readonly offset?: bigint
  /** Within what was being decoded, from 0. */
  readonly bytePosition?: number
  readonly file?: string
  readonly action?: string
  readonly requestId?: string
  readonly httpStatus?: number
  /** The service's own error code, such as `FailedOperation`. */
  readonly serviceCode?: string
}

export interface ErrorExtras extends ErrorPlace {
  readonly cause?: unknown
}

/** An error of this library. `message` is complete by itself: what happened, with the values and the place. */
export class ClsConsumerError extends Error {
  override readonly name = 'ClsConsumerError'
  readonly code: ErrorCode
  /** The message without the place. */
  readonly what: string
  readonly place: ErrorPlace

  constructor(code: ErrorCode, what: string, extras: ErrorExtras = {}) {
    const { cause, ...place } = extras
    super(`${what}${describePlace(place)}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.what = what
    this.place = place
  }

  get remedy(): Remedy {
    return REMEDIES[this.code]
  }
}

/** An error as plain data: what crosses a thread boundary, where class and own fields of an Error are lost. */
export interface Failure {
  readonly code: ErrorCode
  readonly message: string
  /** The message without the place, where it has one. */
  readonly what?: string
  readonly stack: string
  readonly place: ErrorPlace
}

/** Any thrown value as data. `fallback` is the code of what was not ours. */
export function toFailure(thrown: unknown, fallback: ErrorCode, place: ErrorPlace = {}): Failure {
  if (thrown instanceof ClsConsumerError) {
    const { code, message, what } = thrown
    return { code, message, what, stack: thrown.stack ?? message, place: { ...place, ...thrown.place } }
  }
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `thrown: ${words(thrown)}`
  const stack = thrown instanceof Error && thrown.stack !== undefined ? thrown.stack : message
  return { code: fallback, message, stack, place }
}

/** What a value that is no Error says of itself; not every object can. */
function words(thrown: unknown): string {
  try {
    return String(thrown)
  } catch {
    return inspect(thrown)
  }
}

/** The error that a `Failure` describes; its stack is the one of the other side. */
export function fromFailure(failure: Failure): ClsConsumerError {
  const error = new ClsConsumerError(failure.code, failure.message)
  Object.assign(error, { place: failure.place, what: failure.what ?? failure.message })
  error.stack = failure.stack
  return error
}

/** Any thrown value as an error of ours; what was not ours is a broken invariant. */
export function toClsError(thrown: unknown, place: ErrorPlace = {}): ClsConsumerError {
  return thrown instanceof ClsConsumerError ? thrown : fromFailure(toFailure(thrown, 'INVARIANT_BROKEN', place))
}

/** Checks an invariant of design.md; `claim` starts with its number. Runs in production: a broken one stops us. */
export function assert(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new ClsConsumerError('INVARIANT_BROKEN', claim)
}

const PLACE_LABELS: readonly (readonly [keyof ErrorPlace, string])[] = [
  ['action', 'action'],
  ['topicId', 'topic'],
  ['partition', 'partition'],
  ['offset', 'offset'],
  ['bytePosition', 'byte'],
  ['file', 'file'],
  ['httpStatus', 'HTTP'],
  ['serviceCode', 'code'],
  ['requestId', 'request']
]

function describePlace(place: ErrorPlace): string {
  const parts = PLACE_LABELS.flatMap(([key, label]) => (place[key] === undefined ? [] : [`${label} ${place[key]}`]))
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}
