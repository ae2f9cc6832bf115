/**
 * From an answer to a value or one typed error.
 *
 * In: status, headers and body of whatever answered, be it the service, a proxy or a broken connection's rest. Out:
 * the `Response` object of a success, or a `ClsConsumerError` with code, message, HTTP status, request id and place.
 * Pure. Must never happen: an error read as a success or as "nothing there" (I6), and a secret that a server echoes
 * going on into a message (I9).
 */
import { ClsConsumerError, type ErrorCode, type ErrorPlace, fromFailure } from '../errors.ts'
import { MASK } from '../secrets.ts'
import { isRecord, type Json, parseJson } from './json.ts'

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
}

export interface Asked {
  readonly place: ErrorPlace
  /** Hidden wherever a server's own words are repeated. */
  readonly secrets: readonly string[]
}

/**
 * The service's words are repeated up to this length. No shorter than what is read in a small response: of those the
 * secrets are masked later, and to cut before would leave half of one.
 */
const QUOTE_CHARACTERS_MAX = 1024
/** A message with its place. */
const MESSAGE_CHARACTERS_MAX = 2048
/** Of a body that is not JSON, this much is shown. */
const EXCERPT_CHARACTERS_MAX = 120

/** Service codes whose meaning is known, first match first. What is not here goes by HTTP status. */
const CODES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/InvalidOffset/i, 'API_INVALID_OFFSET'],
  [/^(RequestLimitExceeded|SpeedQuotaExceed)/, 'API_THROTTLED'],
  [/^AuthFailure\.SignatureExpire/, 'API_CLOCK_SKEWED'],
  [/^AuthFailure\.TokenFailure/, 'API_TOKEN_EXPIRED'],
  [/^(AuthFailure|UnauthorizedOperation)(\.|$)/, 'API_UNAUTHORIZED'],
  [/^(InvalidAuthorization|Unauthorized|NotAllowed)$/, 'API_UNAUTHORIZED'],
  [/^(InternalError|FailedOperation\.Timeout)(\.|$)/, 'API_UNAVAILABLE'],
  [/^ResourceNotFound(\.|$)/, 'API_NOT_FOUND'],
  [/(^|\.)TopicClosed$/, 'API_TOPIC_CLOSED']
]

const STATUSES: ReadonlyMap<number, ErrorCode> = new Map([
  [401, 'API_UNAUTHORIZED'],
  [403, 'API_UNAUTHORIZED'],
  [404, 'API_NOT_FOUND'],
  [408, 'API_TIMEOUT'],
  [429, 'API_THROTTLED']
])

/** Our code for a service's code and an HTTP status. */
export function errorCodeOf(serviceCode: string | undefined, status: number): ErrorCode {
  const known = serviceCode === undefined ? undefined : CODES.find(([pattern]) => pattern.test(serviceCode))
  if (known !== undefined) return known[1]
  if (status >= 500) return 'API_UNAVAILABLE'
  return STATUSES.get(status) ?? 'API_REFUSED'
}

/**
 * Whether a refusal may be due to credentials that have expired. surely: it says so. maybe: the same is said of bad
 * ones; the data plane has no other words for it, and the API says it of temporary ones whose key is forgotten.
 * `undefined`: it is about something else. What a valid identity may not do (NotAllowed, HTTP 403,
 * …UnauthorizedOperation) stays forbidden with fresh credentials.
 */
export function saysExpired(error: ClsConsumerError, isTemporary: boolean): 'surely' | 'maybe' | undefined {
  if (error.code === 'API_TOKEN_EXPIRED') return 'surely'
  if (error.code !== 'API_UNAUTHORIZED') return undefined
  const { serviceCode, httpStatus } = error.place
  if (serviceCode === undefined) return httpStatus === 401 ? 'maybe' : undefined
  if (/^(Unauthorized|InvalidAuthorization)$/.test(serviceCode)) return 'maybe'
  const isOfKey = /^AuthFailure(\.|$)/.test(serviceCode) && !/\.UnauthorizedOperation/.test(serviceCode)
  return isOfKey && isTemporary ? 'maybe' : undefined
}

/**
 * An error of the service that stood inside a response and was read where neither codes nor secrets are known: under
 * the code that its `serviceCode` has, and masked. Any other error is left as it is.
 */
export function retyped(error: ClsConsumerError, { place: asked, secrets }: Asked): ClsConsumerError {
  const { serviceCode } = error.place
  if (serviceCode === undefined) return error
  const { requestId } = error.place
  const message = quote(error.message, MESSAGE_CHARACTERS_MAX, secrets)
  const place = {
    ...asked,
    ...error.place,
    serviceCode: quote(serviceCode, QUOTE_CHARACTERS_MAX, secrets),
    ...(requestId === undefined ? {} : { requestId: mask(requestId, secrets) })
  }
  // The stack begins with the message as it was.
  return fromFailure({ code: errorCodeOf(serviceCode, 200), message, stack: message, place })
}

/** The `Response` object of a success, and `asked` with status and request id, for errors in what it says. */
export interface Success {
  readonly response: Readonly<Record<string, Json>>
  readonly asked: Asked
}

/** Reads a management-plane answer. @throws ClsConsumerError API_… */
export function readControlAnswer(answer: Answer, asked: Asked): Success {
  const reading = read(answer.body)
  if (reading.kind !== 'response' || answer.status !== 200) throw toError(reading, answer, asked)
  const { response } = reading
  return { response, asked: { ...asked, place: placeOf(reading, answer, asked) } }
}

/** The error in a data-plane answer whose status is not 200. */
export function readDataError(answer: Answer, asked: Asked): ClsConsumerError {
  return toError(read(answer.body), answer, asked)
}

/** The error that an uncompressed body of status 200 may hold; `undefined` where it holds none. */
export function findDataError(answer: Answer, asked: Asked): ClsConsumerError | undefined {
  const reading = read(answer.body)
  return reading.kind === 'refusal' ? toError(reading, answer, asked) : undefined
}

/** An answer of the right form with the wrong content. */
export function malformed(what: string, asked: Asked): ClsConsumerError {
  return new ClsConsumerError('API_MALFORMED', `the service's answer has ${mask(what, asked.secrets)}`, asked.place)
}

type Reading =
  | { readonly kind: 'response'; readonly response: Readonly<Record<string, Json>> }
  | { readonly kind: 'refusal'; readonly code: string; readonly message: string; readonly requestId?: string }
  | { readonly kind: 'unreadable'; readonly why: string; readonly excerpt: string; readonly requestId?: string }

function read(body: Uint8Array): Reading {
  const text = new TextDecoder().decode(body)
  if (text.trim() === '') return { kind: 'unreadable', why: 'the body is empty', excerpt: '' }
  let parsed: Json
  try {
    parsed = parseJson(text)
  } catch {
    return { kind: 'unreadable', why: 'the body is not JSON, or not all of it', excerpt: text }
  }
  if (!isRecord(parsed)) return { kind: 'unreadable', why: 'the body is not a JSON object', excerpt: text }
  const { Response: response, errorcode, errormessage } = parsed
  if (isRecord(response)) return readResponse(response, text)
  if (typeof errorcode === 'string' && errorcode !== '') {
    return { kind: 'refusal', code: errorcode, message: typeof errormessage === 'string' ? errormessage : '' }
  }
  return { kind: 'unreadable', why: 'the body has neither Response nor errorcode', excerpt: text }
}

function readResponse(response: Readonly<Record<string, Json>>, text: string): Reading {
  const { Error: error, RequestId: id } = response
  const requestId = typeof id === 'string' ? { requestId: id } : {}
  if (error === undefined || error === null) return { kind: 'response', response }
  const { Code: code, Message: message } = isRecord(error) ? error : {}
  if (typeof code !== 'string' || code === '') {
    return { kind: 'unreadable', why: 'the body has an Error without a Code', excerpt: text, ...requestId }
  }
  return { kind: 'refusal', code, message: typeof message === 'string' ? message : '', ...requestId }
}

function placeOf(reading: Reading, { status, headers }: Answer, { place, secrets }: Asked): ErrorPlace {
  const inBody = reading.kind === 'response' ? reading.response.RequestId : reading.requestId
  const inHeaders = headers.get('x-cls-requestid') ?? headers.get('x-tc-requestid')
  const requestId = typeof inBody === 'string' ? inBody : inHeaders
  return { ...place, httpStatus: status, ...(requestId === undefined ? {} : { requestId: mask(requestId, secrets) }) }
}

function toError(reading: Reading, answer: Answer, asked: Asked): ClsConsumerError {
  const { secrets } = asked
  const where = placeOf(reading, answer, asked)
  const { status } = answer
  switch (reading.kind) {
    case 'refusal': {
      const words = quote(reading.message, QUOTE_CHARACTERS_MAX, secrets)
      const code = errorCodeOf(reading.code, status)
      const message = words === '' ? 'the service refused the request' : `the service refused the request: ${words}`
      const serviceCode = quote(reading.code, QUOTE_CHARACTERS_MAX, secrets)
      return new ClsConsumerError(code, message, { ...where, serviceCode })
    }
    case 'response':
      return new ClsConsumerError(
        unreadableCodeOf(status),
        `the service answered with HTTP ${status} and no error`,
        where
      )
    case 'unreadable': {
      const excerpt = quote(reading.excerpt, EXCERPT_CHARACTERS_MAX, secrets)
      const shown = excerpt === '' ? '' : `: ${JSON.stringify(excerpt)}`
      const message = `what answered is not the service as documented: ${reading.why}${shown}`
      return new ClsConsumerError(unreadableCodeOf(status), message, where)
    }
  }
}

/** 2xx and 3xx without a readable word of the service are nobody's refusal: ask again. */
function unreadableCodeOf(status: number): ErrorCode {
  return status < 400 ? 'API_MALFORMED' : errorCodeOf(undefined, status)
}

function quote(words: string, charactersMax: number, secrets: readonly string[]): string {
  const masked = mask(words, secrets) // before cutting, or half a secret would pass
  return masked.length > charactersMax ? `${masked.slice(0, charactersMax)}…` : masked
}

function mask(words: string, secrets: readonly string[]): string {
  return secrets.reduce((text, secret) => (secret === '' ? text : text.replaceAll(secret, MASK)), words)
}
