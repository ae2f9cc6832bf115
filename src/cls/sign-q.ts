/**
 * `q-sign-algorithm=sha1`, the signature of the data plane.
 *
 * In: method, path, query, the headers to sign, and the time. Out: the value of the `Authorization` header. Pure.
 * Must never happen: a secret in what comes out (I9); `URLSearchParams` in place of the encoding below, which differs
 * in `*` and `~`.
 */
import { createHash, createHmac } from 'node:crypto'

export interface QRequest {
  readonly secretId: string
  readonly secretKey: string
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Those to sign: content-type and host at least. */
  readonly headers: Readonly<Record<string, string>>
  /** Unix seconds. */
  readonly nowSeconds: number
  /** How long the signature is good for, from `nowSeconds`. */
  readonly expireSeconds: number
  /** How a space is written where it is signed: `form` is `+` (as the Python and Go SDKs), `percent` is `%20`. */
  readonly encoding?: 'form' | 'percent'
}

/** Signatures begin this much before now, for servers whose clock is behind ours. */
const BACKDATED_SECONDS = 60

export function signQ(request: QRequest): string {
  const { secretId, secretKey, method, path, nowSeconds, expireSeconds, encoding = 'form' } = request
  const query = sorted(request.query, encoding)
  const headers = sorted(request.headers, encoding)
  const time = `${nowSeconds - BACKDATED_SECONDS};${nowSeconds + expireSeconds}`

  const format = `${method.toLowerCase()}\n${path}\n${query.pairs}\n${headers.pairs}\n`
  const toSign = `sha1\n${time}\n${createHash('sha1').update(format).digest('hex')}\n`
  const signature = hmac(hmac(secretKey, time), toSign)
  return [
    'q-sign-algorithm=sha1',
    `q-ak=${secretId}`,
    `q-sign-time=${time}`,
    `q-key-time=${time}`,
    `q-header-list=${headers.names}`,
    `q-url-param-list=${query.names}`,
    `q-signature=${signature}`
  ].join('&')
}

/** Percent-encodes all but `A-Za-z0-9_.-~`. */
export function percentEncode(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )
}

function sorted(given: Readonly<Record<string, string>>, encoding: 'form' | 'percent') {
  const space = encoding === 'form' ? '+' : '%20'
  const entries = Object.entries(given)
    .map(([key, value]) => [key.toLowerCase(), percentEncode(value).replaceAll('%20', space)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    names: entries.map(([key]) => key).join(';'),
    pairs: entries.map(([key, value]) => `${key}=${value}`).join('&')
  }
}

function hmac(key: string, content: string): string {
  return createHmac('sha1', key).update(content).digest('hex')
}
