/**
 * The data plane: `pull_log`.
 *
 * In: a partition and an offset. Out: the response's bytes as they came, in shared memory, with how they are
 * compressed. One try: pace and retries belong to the caller, but what a refusal shows about token and clock is put
 * right here, so that the caller's next try is signed right. Others read compressed bodies: they have a refusal found
 * inside heeded here, and tell where there is none. Must never happen: an error in the clear taken for a compressed body, an offset that went
 * through a double (I10), a secret in an error (I9).
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import type { Compression, DataApi, Pulled, PulledBody, PullRequest, Timers } from '../world.ts'
import { type Answer, type Asked, findDataError, readDataError, retyped } from './answer.ts'
import { type Endpoints, hostOf } from './endpoints.ts'
import type { Http, SharedAnswer } from './http.ts'
import { printJson } from './json.ts'
import { Recent } from './recent.ts'
import { withDeadline } from './retry.ts'
import { percentEncode, signQ } from './sign-q.ts'
import { type Identity, learn, type Signing, tellWorked, trySigned } from './signing.ts'

export interface DataApiOptions {
  readonly endpoints: Endpoints
  readonly signing: Signing
  readonly http: Http
  readonly timers: Timers
  /** Largest body accepted, compressed. */
  readonly bodyBytesMax: number
  /** A whole pull: a body that trickles in is given up after this. */
  readonly callTimeoutMs: number
}

const DATA_CONTENT_TYPE = 'application/json'
const PATH = '/pull_log'
const ACTION = 'pull_log'
const ASKED_COMPRESSION = 'snappy'
/** How long a signature is good for; the official SDKs' value. */
const SIGNATURE_EXPIRE_SECONDS = 300
/** An uncompressed body that is longer is no error: those are a sentence. */
const ERROR_BYTES_MAX = 64 * 1024
/** Whose signature is remembered, for refusals found later inside their bodies. Far more are never open. */
const PULLS_REMEMBERED_MAX = 4096
/** Whose latest headers are kept: more than a consumer has. */
const TOPICS_SIGNED_MAX = 256

export function createDataApi(options: DataApiOptions): DataApi {
  const { signing, http, timers, callTimeoutMs } = options
  const headersOf = keepHeaders(options)
  /** What the latest pull from each place was signed with. */
  const identities = new Recent<Identity>(PULLS_REMEMBERED_MAX)
  let lastIdentity: Identity | undefined
  return {
    heed(error) {
      const identity = identities.get(keyOf(error.place)) ?? lastIdentity
      const heeded = retyped(error, { place: { action: ACTION }, secrets: identity?.secrets ?? [] })
      return identity === undefined || heeded === error ? heeded : learn(heeded, identity, signing)
    },
    worked(pulled) {
      const place = placeOf(pulled)
      const identity = identities.get(keyOf(place))
      // Of one that is forgotten nobody knows what it was signed with; the next tells as much.
      if (identity !== undefined) tellWorked(place, identity, signing)
    },
    async pull(request, { signal, onProgress }) {
      const place = placeOf(request)
      const onDeadline = () =>
        new ClsConsumerError('API_TIMEOUT', `the response was not whole within ${callTimeoutMs} ms`, place)
      let arrived: PulledBody | undefined
      const attempt = async (limited: AbortSignal, identity: Identity) => {
        lastIdentity = identity
        identities.set(keyOf(place), identity)
        const asked: Asked = { place, secrets: identity.secrets }
        const headers = headersOf(request.topicId, identity)
        const sent = { ...describePull(request, options), headers, signal: limited, place }
        const answer = await http.pull(sent, (received, answered) =>
          onProgress?.({ received, compression: compressionOf(answered, received, asked) })
        )
        try {
          signing.serviceClock.observe(answer.headers.get('date'))
          limited.throwIfAborted()
          arrived = readAnswer(answer, asked)
          return arrived
        } catch (error) {
          http.free(answer.bytes)
          throw error
        }
      }
      const run = (limited: AbortSignal) => trySigned(signing, place, identity => attempt(limited, identity), 'content')
      try {
        return await withDeadline(run, { deadlineMs: callTimeoutMs, signal, onDeadline }, timers)
      } catch (error) {
        // Given up between its arrival and here.
        if (arrived !== undefined) http.free(arrived.bytes)
        throw error
      }
    },
    free: ({ bytes }) => http.free(bytes)
  }
}

function placeOf({ topicId, partition, startOffset }: Pulled): ErrorPlace {
  return { action: ACTION, topicId, partition, offset: startOffset }
}

function keyOf({ topicId, partition, offset }: ErrorPlace): string {
  return `${topicId}/${partition}/${offset}`
}

/** A signature says nothing of a pull but its topic and its second: those of one second are the same. */
function keepHeaders({ endpoints }: DataApiOptions): (topicId: string, identity: Identity) => Record<string, string> {
  const kept = new Recent<{ readonly identity: Identity; readonly headers: Record<string, string> }>(TOPICS_SIGNED_MAX)
  const to = { origin: endpoints.dataOrigin, path: PATH, contentType: DATA_CONTENT_TYPE }
  return (topicId, identity) => {
    const latest = kept.get(topicId)
    if (latest !== undefined && isSignedAlike(latest.identity, identity)) return latest.headers
    const headers = dataHeaders(identity, { ...to, topicId })
    kept.set(topicId, { identity, headers })
    return headers
  }
}

function isSignedAlike(a: Identity, b: Identity): boolean {
  return a.nowSeconds === b.nowSeconds && a.credentials === b.credentials
}

function describePull(request: PullRequest, { endpoints, bodyBytesMax }: DataApiOptions) {
  const { topicId, partition, startOffset, sizeBytes, endTime, query } = request
  const body = printJson({
    StartOffset: startOffset,
    StartTime: 0,
    Size: sizeBytes,
    CompressType: ASKED_COMPRESSION,
    PartitionId: partition,
    EndTime: endTime,
    Query: query
  })
  return { origin: endpoints.dataOrigin, path: `${PATH}?topic_id=${percentEncode(topicId)}`, body, bodyBytesMax }
}

/** Content type, token and signature of a data-plane request. */
export function dataHeaders(
  { credentials, nowSeconds }: Identity,
  to: { readonly origin: string; readonly path: string; readonly topicId: string; readonly contentType: string }
): Record<string, string> {
  const { secretId, secretKey, token } = credentials
  const authorization = signQ({
    secretId,
    secretKey,
    method: 'POST',
    path: to.path,
    query: { topic_id: to.topicId },
    headers: { 'content-type': to.contentType, host: hostOf(to.origin) },
    nowSeconds,
    expireSeconds: SIGNATURE_EXPIRE_SECONDS
  })
  return {
    'Content-Type': to.contentType,
    ...(token === undefined ? {} : { 'X-Cls-Token': token }),
    Authorization: authorization
  }
}

/** @throws ClsConsumerError what is no response. */
function readAnswer({ bytes, byteCount, ...answer }: SharedAnswer, asked: Asked): PulledBody {
  if (answer.status !== 200) throw readDataError(answer, asked)
  const { headers } = answer
  const body = new Uint8Array(bytes, 0, byteCount)
  const compression = compressionOf(headers, body, asked)
  const error = findError({ ...answer, body }, compression, asked)
  if (error !== undefined) throw error
  return { bytes, byteCount, compression, requestId: headers.get('x-cls-requestid') }
}

/** How a body is compressed: by its header, else as asked for, unless its first bytes show that it is plain JSON. */
function compressionOf(headers: ReadonlyMap<string, string>, body: Uint8Array, { place }: Asked): Compression {
  const named = headers.get('x-cls-compress-type')?.trim().toLowerCase() ?? ''
  switch (named) {
    case 'snappy':
    case 'lz4':
    case 'none':
      return named
    case '':
      return isPlainJson(body) ? 'none' : ASKED_COMPRESSION
    default: {
      const message = `the response is compressed by ${JSON.stringify(named.slice(0, 40))}, which was not asked for`
      throw new ClsConsumerError('API_MALFORMED', message, { ...place, httpStatus: 200 })
    }
  }
}

/**
 * Whether a body that says nothing of its compression is JSON in the clear: `{`, white space, then a key. No snappy
 * block of ours looks so: there `{` would be the plain size, 123; a quote, a tab or a line's end would be the tag of a
 * copy, which cannot come first; and a space, the tag of a literal, is followed by the plain text, which begins with
 * `{`.
 */
function isPlainJson(body: Uint8Array): boolean {
  if (body[0] !== 0x7b) return false
  let at = 1
  while (body[at] === 0x20 || body[at] === 0x09 || body[at] === 0x0a || body[at] === 0x0d) at++
  return body[at] === 0x22 || body[at] === 0x7d
}

/** What a 200 holds that is no response: nothing, a page of something on the way, or an uncompressed error. */
function findError(answer: Answer, compression: Compression, asked: Asked): ClsConsumerError | undefined {
  const isPage = answer.headers.get('content-type')?.startsWith('text/html') === true
  if (answer.body.length === 0 || isPage) {
    return readDataError({ ...answer, body: answer.body.subarray(0, ERROR_BYTES_MAX) }, asked)
  }
  if (compression !== 'none' || answer.body.length > ERROR_BYTES_MAX) return undefined
  return findDataError(answer, asked)
}
