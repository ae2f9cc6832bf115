/**
 * The upload API, for tests and tools.
 *
 * In: log groups. Out: they are stored, or one error. Must never happen: a request that breaks the service's documented
 * limits sent at all (OPTIONS_INVALID says which limit), or logs stored twice without the caller having chosen that.
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import type { CallOptions, Compression, Logger } from '../world.ts'
import { type Asked, findDataError, readDataError } from './answer.ts'
import { compress } from './compression.ts'
import { dataHeaders } from './data-api.ts'
import type { Endpoints } from './endpoints.ts'
import type { Http } from './http.ts'
import { encodeLogGroupList, type LogGroup } from './log-group.ts'
import { isUnsure, type RetryWorld, retry } from './retry.ts'
import { percentEncode } from './sign-q.ts'
import { type Signing, trySigned } from './signing.ts'

export interface UploadRequest {
  readonly topicId: string
  readonly groups: readonly LogGroup[]
  /** 32 hex digits: goes to the partition whose key range covers it. Absent: the service chooses. */
  readonly hashKey?: string
  /** Default `lz4`. */
  readonly compression?: Exclude<Compression, 'snappy'>
  /**
   * What to do where it is not known whether the logs were stored (no answer in time, a broken connection, 5xx, an
   * answer that is not the service's): `retry` may store them twice, `fail` leaves the question to the caller.
   * Default `retry`.
   */
  readonly whenUnsure?: 'retry' | 'fail'
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

/** Limits of one request, as the service documents them. */
export const UPLOAD_LIMITS = {
  groupsPerBody: 10,
  logsPerGroup: 10_000,
  valueBytes: 1024 * 1024,
  valueBytesPerGroup: 5 * 1024 * 1024,
  bodyBytes: 6 * 1024 * 1024
} as const

const PATH = '/structuredlog'
const CONTENT_TYPE = 'application/x-protobuf'
const ANSWER_BYTES_MAX = 64 * 1024

export function createUploadApi(options: UploadApiOptions): UploadApi {
  const { endpoints, signing, http, log, callTimeoutMs } = options
  const origin = endpoints.dataOrigin
  return {
    async upload({ topicId, groups, hashKey, compression = 'lz4', whenUnsure = 'retry' }, how = {}) {
      const place: ErrorPlace = { action: 'structuredlog', topicId }
      checkHashKey(hashKey, place)
      checkGroups(groups, place)
      const plain = encodeLogGroupList(groups)
      checkLimit('bytes in the body, uncompressed', plain.length, UPLOAD_LIMITS.bodyBytes, place)
      const body = compress(plain, compression)

      const attempt = (signal: AbortSignal) =>
        trySigned(signing, async identity => {
          const headers = {
            ...dataHeaders(identity, { origin, path: PATH, topicId, contentType: CONTENT_TYPE }),
            ...(compression === 'none' ? {} : { 'x-cls-compress-type': compression }),
            ...(hashKey === undefined ? {} : { 'x-cls-hashkey': hashKey })
          }
          const path = `${PATH}?topic_id=${percentEncode(topicId)}`
          const answer = await http.request({
            origin,
            path,
            headers,
            body,
            signal,
            place,
            bodyBytesMax: ANSWER_BYTES_MAX
          })
          signing.serviceClock.observe(answer.headers.get('date'))
          const asked: Asked = { place, secrets: identity.secrets }
          const error = answer.status === 200 ? findDataError(answer, asked) : readDataError(answer, asked)
          if (error !== undefined) throw error
          return { requestId: answer.headers.get('x-cls-requestid') }
        })

      const isRetried = (error: ClsConsumerError) => whenUnsure === 'retry' || !isUnsure(error)
      const onRetry = (error: ClsConsumerError, waitMs: number) =>
        log.warn('retried', { ...place, code: error.code, waitMs: Math.round(waitMs), reason: error.message })
      const deadlineMs = how.deadlineMs ?? callTimeoutMs
      return retry(attempt, { deadlineMs, signal: how.signal, place, isRetried, onRetry }, options)
    }
  }
}

function checkHashKey(hashKey: string | undefined, place: ErrorPlace): void {
  if (hashKey === undefined || /^[0-9a-f]{32}$/i.test(hashKey)) return
  throw new ClsConsumerError('OPTIONS_INVALID', `hashKey ${JSON.stringify(hashKey)} is not 32 hex digits`, place)
}

function checkGroups(groups: readonly LogGroup[], place: ErrorPlace): void {
  checkLimit('log groups in one body', groups.length, UPLOAD_LIMITS.groupsPerBody, place)
  for (const { logs } of groups) {
    checkLimit('logs in one group', logs.length, UPLOAD_LIMITS.logsPerGroup, place)
    let groupBytes = 0
    for (const { contents } of logs) {
      for (const { value } of contents) {
        const valueBytes = Buffer.byteLength(value)
        checkLimit('bytes in one value', valueBytes, UPLOAD_LIMITS.valueBytes, place)
        groupBytes += valueBytes
      }
    }
    checkLimit('bytes of values in one group', groupBytes, UPLOAD_LIMITS.valueBytesPerGroup, place)
  }
}

function checkLimit(what: string, found: number, max: number, place: ErrorPlace): void {
  if (found <= max) return
  throw new ClsConsumerError(
    'OPTIONS_INVALID',
    `${found} ${what} are more than the ${max} that the service takes`,
    place
  )
}
