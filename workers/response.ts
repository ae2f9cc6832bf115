/**
 * The JSON of a pull response.
 *
 * In: decompressed bytes, untrusted. Out: the next offset and the messages, still base64; or an error: BODY_CORRUPT
 * with the byte position, or API_REFUSED with the service's own code for its error inside a 200: the main thread, which
 * has the credentials and the clock that it may be about, knows what that code means. Must never happen: an error, or a
 * shape that is not the documented one, read as "no offset" or "no messages" (I6), or an offset that lost digits (I10).
 */
import { constants } from 'node:buffer'
import { int64, isRecord, type Json, JsonError, parseJson } from '../src/cls/json.ts'
import { ClsConsumerError, type ErrorPlace } from '../src/errors.ts'

export interface PullResponse {
  /** `undefined` where the response names none. */
  readonly nextOffset: bigint | undefined
  /** Base64 texts; anything else in here is a poisoned message. */
  readonly messages: readonly Json[]
}

/**
 * An error is a sentence, and a book is cut. Not sooner: the main thread masks secrets, and would not know half of one.
 */
const TEXT_CHARACTERS_MAX = 64 * 1024

/** @throws ClsConsumerError BODY_CORRUPT, BODY_TOO_LARGE (for one text), API_REFUSED */
export function readResponse(plain: Buffer, place: ErrorPlace): PullResponse {
  if (plain.length > constants.MAX_STRING_LENGTH) {
    const what = `a response of ${plain.length} bytes is to be parsed as one text, which holds ${constants.MAX_STRING_LENGTH}`
    throw new ClsConsumerError('BODY_TOO_LARGE', what, place)
  }
  // One character a byte: positions in errors are byte positions, and base64 is ASCII anyway. A byte over 127 inside a
  // message poisons that message in either reading; the text of an error is decoded again.
  const body = parse(plain.toString('latin1'), place)
  const response = isRecord(body) && isRecord(body.Response) ? body.Response : undefined
  // The data plane's flat form, `{"errorcode","errormessage"}`, is documented for 4xx, but costs nothing to know here.
  const flatCode = isRecord(body) && response === undefined ? textOf(body.errorcode) : ''
  if (isRecord(body) && flatCode !== '') throw refusal(flatCode, body.errormessage, undefined, place)
  if (response === undefined) throw corrupt('it has no Response', place)
  const { Error: error } = response
  if (error !== undefined && error !== null) {
    const code = isRecord(error) ? textOf(error.Code) : ''
    // Not the documented form, but an error all the same: never "no messages" (I6).
    if (!isRecord(error) || code === '') throw corrupt('it has an Error without a Code', place)
    throw refusal(code, error.Message, response.RequestId, place)
  }

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
    if (!(error instanceof JsonError)) throw error
    throw corrupt(`${text.length} bytes are not JSON: ${error.message}`, { ...place, bytePosition: error.position })
  }
}

function refusal(
  serviceCode: string,
  message: Json | undefined,
  id: Json | undefined,
  place: ErrorPlace
): ClsConsumerError {
  const words = textOf(message) || '(no message)'
  const requestId = textOf(id)
  return new ClsConsumerError('API_REFUSED', `the service answered a pull with an error: ${words}`, {
    ...place,
    serviceCode,
    ...(requestId === '' ? {} : { requestId })
  })
}

/** Of an error. Undoes the reading of bytes as characters. */
function textOf(value: Json | undefined): string {
  if (typeof value !== 'string') return ''
  return Buffer.from(value.slice(0, TEXT_CHARACTERS_MAX), 'latin1').toString('utf8')
}

function corrupt(why: string, place: ErrorPlace): ClsConsumerError {
  return new ClsConsumerError('BODY_CORRUPT', `a response is not that of a pull: ${why}`, place)
}
