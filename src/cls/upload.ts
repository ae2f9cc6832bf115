/**
 * The upload API, for tests and tools.
 *
 * In: log groups. Out: they are stored, or one error. Must never happen: a request that breaks the service's documented
 * limits sent at all (OPTIONS_INVALID says which limit), logs stored twice without the caller having chosen that and
 * being told, or a page of something on the way taken for the service's word that they are stored.
 *
 * An upload has no name by which the service could tell that it got it before: after a try whose answer is lost, nobody
 * can find out whether to send again. Such a try is *unsure*. All others are certain: what was never sent (no name, no
 * connection, no TLS), and what the service refused (4xx, its own error codes).
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import { errorFields } from '../observe/error-fields.ts'
import type { CallOptions, Compression, Logger } from '../world.ts'
import { type Answer, type Asked, findDataError, readDataError } from './answer.ts'
import { compress } from './compression.ts'
import { dataHeaders } from './data-api.ts'
import type { Endpoints } from './endpoints.ts'
import type { Http } from './http.ts'
import { encodeLogGroupList, type LogGroup } from './log-group.ts'
import { isUnsure, type RetryWorld, retry } from './retry.ts'
import { percentEncode } from './sign-q.ts'
import { type Identity, type Signing, trySigned } from './signing.ts'
import { checkBody, checkGroups } from './upload-limits.ts'

export interface UploadRequest {
  readonly topicId: string
  readonly groups: readonly LogGroup[]
  /** 32 hex digits: goes to the partition whose key range covers it. Absent: the service chooses. */
  readonly hashKey?: string
  /** Default `lz4`. */
  readonly compression?: Exclude<Compression, 'snappy'>
  /**
   * What to do after an unsure try (no answer in time, a connection that broke after the first byte, 5xx, an answer that
   * is not the service's): `retry` may store the logs twice, `fail` leaves the question to the caller. Default `retry`.
   */
  readonly whenUnsure?: 'retry' | 'fail'
  /** Before each further try. */
  readonly onRetry?: () => void
  /**
   * Once for each unsure try, always before the call settles. So, with n calls of it: resolved, the logs are stored once
   * and up to n times more; rejected, up to n times, and for n = 0 not at all.
   */
  readonly onUnsure?: () => void
}

export interface UploadApi {
  /**
   * One request, with retries by remedy.
   * @throws ClsConsumerError OPTIONS_INVALID (over a limit), `API_…`, CREDENTIALS_UNAVAILABLE
   */
  upload(request: UploadRequest, call?: CallOptions): Promise<{ readonly requestId: string | undefined }>
}

export interface UploadApiOptions extends RetryWorld {
  readonly endpoints: Endpoints
  readonly signing: Signing
  readonly http: Http
  readonly log: Logger
  readonly callTimeoutMs: number
}

const PATH = '/structuredlog'
const CONTENT_TYPE = 'application/x-protobuf'
const ANSWER_BYTES_MAX = 64 * 1024

export function createUploadApi(options: UploadApiOptions): UploadApi {
  const { signing, log, callTimeoutMs } = options
  return {
    async upload(request, how = {}) {
      const { topicId, whenUnsure = 'retry', onRetry, onUnsure } = request
      const place: ErrorPlace = { action: 'structuredlog', topicId }
      const body = bodyOf(request, place)
      const fate = new Fate(onUnsure)
      const attempt = (signal: AbortSignal) =>
        fate.of(onSent =>
          trySigned(signing, place, identity => send({ request, body, place, signal, onSent }, identity, options))
        )
      const waiting = (error: ClsConsumerError, waitMs: number) => {
        log.warn('retried', { ...errorFields(error, { ...place }), waitMs: Math.round(waitMs) })
        onRetry?.()
      }
      const limits = { deadlineMs: how.deadlineMs ?? callTimeoutMs, signal: how.signal, place }
      const isRetried = () => whenUnsure === 'retry' || fate.last !== 'unsure'
      try {
        return await retry(attempt, { ...limits, isRetried, onRetry: waiting }, options)
      } catch (error) {
        // The deadline passed, or the caller left; the try under way hears of it later than we do.
        fate.left()
        throw error
      }
    }
  }
}

/** Of one try. `sent`: bytes have left, and nothing has come back yet. */
type TryState = 'unsent' | 'sent' | 'unsure' | 'certain'

/** What became of the tries of one call, as far as it is known. */
class Fate {
  /** Of the try under way, or the last one. */
  #state: TryState = 'unsent'
  readonly #onUnsure: (() => void) | undefined

  constructor(onUnsure: (() => void) | undefined) {
    this.#onUnsure = onUnsure
  }

  get last(): TryState {
    return this.#state
  }

  async of<T>(attempt: (onSent: () => void) => Promise<T>): Promise<T> {
    this.#move('unsent')
    try {
      const value = await attempt(() => this.#move('sent'))
      this.#move('certain')
      return value
    } catch (error) {
      if (isRefusal(error)) this.#move('certain')
      this.left()
      throw error
    }
  }

  /** Nobody waits for the try's answer any more. Both ends of a call say so, in either order: it counts once. */
  left(): void {
    if (this.#state !== 'sent') return
    this.#move('unsure')
    this.#onUnsure?.()
  }

  #move(to: TryState): void {
    this.#state = to
  }
}

/** The service's own word that the logs are not stored. A body too large is no word at all. */
function isRefusal(error: unknown): boolean {
  return error instanceof ClsConsumerError && error.code.startsWith('API_') && !isUnsure(error)
}

interface Try {
  readonly request: UploadRequest
  readonly body: Uint8Array
  readonly place: ErrorPlace
  readonly signal: AbortSignal
  readonly onSent: () => void
}

async function send(
  { request, body, place, signal, onSent }: Try,
  identity: Identity,
  { endpoints, http, signing }: UploadApiOptions
): Promise<{ readonly requestId: string | undefined }> {
  const { topicId, hashKey, compression = 'lz4' } = request
  const origin = endpoints.dataOrigin
  const headers = {
    ...dataHeaders(identity, { origin, path: PATH, topicId, contentType: CONTENT_TYPE }),
    ...(compression === 'none' ? {} : { 'x-cls-compress-type': compression }),
    ...(hashKey === undefined ? {} : { 'x-cls-hashkey': hashKey })
  }
  const path = `${PATH}?topic_id=${percentEncode(topicId)}`
  const bodyBytesMax = ANSWER_BYTES_MAX
  const answer = await http.request({ origin, path, headers, body, signal, onSend: onSent, place, bodyBytesMax })
  signing.serviceClock.observe(answer.headers.get('date'))
  const error = errorIn(answer, { place, secrets: identity.secrets })
  if (error !== undefined) throw error
  return { requestId: answer.headers.get('x-cls-requestid') }
}

function errorIn(answer: Answer, asked: Asked): ClsConsumerError | undefined {
  if (answer.status !== 200 || !isEmptyOrJson(answer.body)) return readDataError(answer, asked)
  return findDataError(answer, asked)
}

/** The service says nothing, or JSON. A page with status 200 comes from something on the way. */
function isEmptyOrJson(body: Uint8Array): boolean {
  const text = new TextDecoder().decode(body)
  if (text.trim() === '') return true
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** @throws ClsConsumerError OPTIONS_INVALID */
function bodyOf({ groups, hashKey, compression = 'lz4' }: UploadRequest, place: ErrorPlace): Buffer {
  if (hashKey !== undefined && !/^[0-9a-f]{32}$/i.test(hashKey)) {
    throw new ClsConsumerError('OPTIONS_INVALID', `hashKey ${JSON.stringify(hashKey)} is not 32 hex digits`, place)
  }
  checkGroups(groups, place)
  const plain = encodeLogGroupList(groups)
  checkBody(plain, place)
  return compress(plain, compression)
}
