/**
 * The JSON of a pull response.
 *
 * In: decompressed bytes, untrusted. Out: the next offset and the messages, still base64; or an error: BODY_CORRUPT with
 * the byte position, or what the service's own error inside a 200 means. Must never happen: an error, or a shape that is
 * not the documented one, read as "no offset" or "no messages" (I6), or an offset that lost digits (I10).
 */
import { int64, isRecord, type Json, parseJson } from '../src/cls/json.ts'
import { ClsConsumerError, type ErrorCode, type ErrorPlace } from '../src/errors.ts'
import { describeThrown } from './user-failure.ts'

export interface PullResponse {
  /** `undefined` where the response names none. */
  readonly nextOffset: bigint | undefined
  /** Base64 texts; anything else in here is a poisoned message. */
  readonly messages: readonly Json[]
}

/** First match wins. What an expired offset means must be tested before any other code. */
const MEANINGS: readonly (readonly [pattern: RegExp, code: ErrorCode])[] = [
  [/InvalidOffset/i, 'API_INVALID_OFFSET'],
  [/RequestLimit|SpeedQuota/i, 'API_THROTTLED'],
  [/^InternalError|^FailedOperation\.Timeout/i, 'API_UNAVAILABLE'],
  [/^AuthFailure|Unauthori[sz]ed|^InvalidAuthorization|^NotAllowed/i, 'API_UNAUTHORIZED'],
  [/^ResourceNotFound/i, 'API_NOT_FOUND']
]

/** @throws ClsConsumerError BODY_CORRUPT, API_INVALID_OFFSET, API_THROTTLED, … , API_REFUSED */
export function readResponse(plain: Buffer, place: ErrorPlace): PullResponse {
  // One character a byte: positions in errors are byte positions, and base64 is ASCII anyway. A byte over 127 inside a
  // message poisons that message in either reading; the text of an error is decoded again.
  const body = parse(plain.toString('latin1'), place)
  const response = isRecord(body) && isRecord(body.Response) ? body.Response : undefined
  // The data plane's flat form, `{"errorcode","errormessage"}`, is documented for 4xx, but costs nothing to know here.
  const error = response === undefined ? body : response.Error
  if (isRecord(error) && (response !== undefined || 'errorcode' in error)) throw refusal(error, response, place)
  if (response === undefined) throw corrupt('it has no Response', place)
  if (error !== undefined && error !== null) throw corrupt('its Error is not an object', place)

  const { NextOffset: next, Message: messages } = response
  const nextOffset = int64(next)
  if (nextOffset === undefined && next !== undefined && next !== null) {
    throw corrupt('its NextOffset is not an int64', place)
  }
  if (messages === undefined || messages === null) return { nextOffset, messages: [] }
  if (!Array.isArray(messages)) throw corrupt('its Message is not a list', place)
  return { nextOffset, messages }
}

function parse(text: string, place: ErrorPlace): Json {
  try {
    return parseJson(text)
  } catch (error) {
    throw corrupt(`${text.length} bytes are not JSON: ${describeThrown(error).message}`, place)
  }
}

function refusal(
  error: Record<string, Json>,
  response: Record<string, Json> | undefined,
  place: ErrorPlace
): ClsConsumerError {
  const serviceCode = textOf(error.Code ?? error.errorcode)
  const message = textOf(error.Message ?? error.errormessage)
  const requestId = textOf(response?.RequestId)
  const code = MEANINGS.find(([pattern]) => pattern.test(serviceCode))?.[1] ?? 'API_REFUSED'
  return new ClsConsumerError(code, `the service answered a pull with an error: ${message || '(no message)'}`, {
    ...place,
    ...(serviceCode === '' ? {} : { serviceCode }),
    ...(requestId === '' ? {} : { requestId })
  })
}

/** Undoes the reading of bytes as characters. */
function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? Buffer.from(value, 'latin1').toString('utf8') : ''
}

function corrupt(why: string, place: ErrorPlace): ClsConsumerError {
  return new ClsConsumerError('BODY_CORRUPT', `a response is not that of a pull: ${why}`, place)
}
