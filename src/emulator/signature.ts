/**
 * Who sent a request, by both of the service's signatures.
 *
 * In: a request, the one key there is, with its token, and the emulator's moment. Out: nothing, or a `Refusal`. This is
 * code of its own on purpose: were it the client's signer, a fault of the signer would find itself right. The secret is
 * compared with, and never part of a message.
 *
 * A verifier cannot know what exactly a client has signed: which form of the host, which form of the content type,
 * which encoding of a space. It tries what clients in the field do, the likeliest first.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { WireRequest } from './plane.ts'
import { Refusal } from './refusal.ts'

export interface AccessKey {
  readonly secretId: string
  readonly secretKey: string
  /** Of temporary credentials; `null` or absent where none is asked for. */
  readonly token?: string | null
}

const SKEW_MAX_SECONDS = 300
const TC3 = /^TC3-HMAC-SHA256 Credential=(.+)\/([^/]+)\/([^/]+)\/tc3_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)$/

/**
 * Checks the control plane's TC3-HMAC-SHA256 signature.
 * @throws Refusal AuthFailure.… with the service's codes.
 */
export function verifyTc3(request: WireRequest, key: AccessKey, nowMs: number): void {
  const [, secretId, date, service, headerList, signature] = TC3.exec(request.headers.authorization ?? '') ?? []
  if (secretId === undefined || date === undefined || service === undefined || headerList === undefined) {
    throw new Refusal('AuthFailure.InvalidAuthorization', 'the header Authorization is missing or malformed')
  }
  const timestamp = request.headers['x-tc-timestamp'] ?? ''
  if (!/^\d{1,12}$/.test(timestamp)) throw new Refusal('MissingParameter', 'the header X-TC-Timestamp is missing')
  const skewSeconds = Math.abs(Number(timestamp) - nowMs / 1000)
  if (skewSeconds > SKEW_MAX_SECONDS) {
    const message = `the timestamp ${timestamp} differs from the server's clock by more than 5 minutes`
    throw new Refusal('AuthFailure.SignatureExpire', message)
  }
  // Before the key: temporary credentials expire as a whole, and that is what a client has to learn. The log SDKs send
  // the data plane's header here, too.
  if (!hasToken(request.headers['x-tc-token'] ?? request.headers['x-cls-token'], key)) {
    throw new Refusal('AuthFailure.TokenFailure', 'the token is missing, or not valid any more')
  }
  if (secretId !== key.secretId) {
    throw new Refusal('AuthFailure.SecretIdNotFound', `the secret id ${secretId} does not exist`)
  }
  const host = request.headers.host ?? ''
  const names = headerList.split(';')
  const isScopeRight = date === utcDate(Number(timestamp)) && serviceLabels(host).includes(service)
  if (!isScopeRight || !names.includes('host') || !names.includes('content-type')) {
    throw new Refusal('AuthFailure.InvalidAuthorization', 'the scope or the signed headers of Authorization are wrong')
  }
  const scope = `${date}/${service}/tc3_request`
  const signingKey = [date, service, 'tc3_request'].reduce<string | Buffer>(hmac256, `TC3${key.secretKey}`)
  const bodyHash = sha256(request.body)
  const isSigned = headerForms(names, request).some(headers => {
    const lines = headers.map(([name, value]) => `${name}:${value}\n`).join('')
    const canonical = [request.method, request.path, request.query, lines, headerList, bodyHash].join('\n')
    const toSign = ['TC3-HMAC-SHA256', timestamp, scope, sha256(canonical)].join('\n')
    return isEqual(hmac256(signingKey, toSign).toString('hex'), signature ?? '')
  })
  if (!isSigned) {
    throw new Refusal('AuthFailure.SignatureFailure', 'the signature does not fit the request: check secret and host')
  }
}

/**
 * Checks the data plane's q-sign signature.
 * @throws Refusal MissingAuthorization, InvalidAuthorization (400), Unauthorized (401).
 */
export function verifyQSign(request: WireRequest, key: AccessKey, nowMs: number): void {
  const authorization = request.headers.authorization
  if (authorization === undefined) throw new Refusal('MissingAuthorization', 'the header Authorization is missing')
  const parts = new Map(authorization.split('&').map(splitPair))
  const signTime = parts.get('q-sign-time') ?? ''
  const [, start, end] = /^(\d{1,12});(\d{1,12})$/.exec(signTime) ?? []
  const signature = parts.get('q-signature')
  if (parts.get('q-sign-algorithm') !== 'sha1' || start === undefined || end === undefined || signature === undefined) {
    throw new Refusal('InvalidAuthorization', 'the header Authorization is malformed')
  }
  const nowSeconds = nowMs / 1000
  // The start bears the same difference of clocks as the control plane; the end is the client's own word.
  if (nowSeconds < Number(start) - SKEW_MAX_SECONDS || nowSeconds > Number(end)) {
    throw unauthorized(`the signature is not valid at the server's time: it is from ${start} to ${end}`)
  }
  if (!hasToken(request.headers['x-cls-token'], key)) throw unauthorized('the token is missing, or not valid any more')
  if (parts.get('q-ak') !== key.secretId) throw unauthorized(`the secret id ${parts.get('q-ak') ?? ''} does not exist`)
  const names = listed(parts.get('q-header-list'))
  if (!names.includes('host') || !names.includes('content-type')) {
    throw new Refusal('InvalidAuthorization', 'q-header-list lacks host or content-type')
  }
  const query = signedQuery(request.query, listed(parts.get('q-url-param-list')))
  const signingKey = hmac1(key.secretKey, signTime)
  const isSigned = headerForms(names, request).some(headers =>
    ['+', '%20'].some(space => {
      const canonical = [request.method.toLowerCase(), request.path, pairs(query, space), pairs(headers, space), '']
      const toSign = `sha1\n${signTime}\n${sha1(canonical.join('\n'))}\n`
      return isEqual(hmac1(signingKey, toSign), signature)
    })
  )
  if (!isSigned) throw unauthorized('the signature does not fit the request')
}

function hasToken(given: string | undefined, { token }: AccessKey): boolean {
  return token === null || token === undefined || isEqual(token, given ?? '')
}

type Pair = readonly [name: string, value: string]

/**
 * The signed headers in each form a client may have signed: the host as sent, or without its port; values as sent, in
 * lower case (as the TC3 rules say), or the content type without its parameters.
 */
function headerForms(names: readonly string[], request: WireRequest): Pair[][] {
  const host = request.headers.host ?? ''
  const hosts = [...new Set([host, host.replace(/:\d+$/, '')])]
  const forms: readonly ((name: string, value: string) => string)[] = [
    (_, value) => value,
    (_, value) => value.toLowerCase(),
    (name, value) => (name === 'content-type' ? (value.split(';')[0]?.trim() ?? '') : value)
  ]
  const read = (name: string): string => (request.headers[name] ?? '').trim()
  return forms.flatMap(form =>
    hosts.map(signedHost => names.map((name): Pair => [name, name === 'host' ? signedHost : form(name, read(name))]))
  )
}

/** The name in the scope: the service's, or, from some SDKs, the first label of the endpoint they were given. */
function serviceLabels(host: string): string[] {
  const label = host.split('.')[0] ?? ''
  return ['cls', label, label.replace(/:\d+$/, '')]
}

function signedQuery(query: string, names: readonly string[]): Pair[] {
  const given = query.split('&').map(splitPair)
  const decoded = given.map(([name, value]): Pair => [decodeForm(name).toLowerCase(), decodeForm(value)])
  return decoded.filter(([name]) => names.includes(name)).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Percent-decoded, with `+` for a space; text that is not well encoded stays as it is. */
export function decodeForm(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'))
  } catch {
    return text
  }
}

export function splitPair(text: string): [name: string, value: string] {
  const at = text.indexOf('=')
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function listed(list: string | undefined): string[] {
  return (list ?? '').split(';').filter(name => name !== '')
}

function pairs(list: readonly Pair[], space: string): string {
  return list.map(([name, value]) => `${encode(name, space)}=${encode(value, space)}`).join('&')
}

/** Everything but `A-Za-z0-9_.-~` by percent, a space as the client does it. */
function encode(text: string, space: string): string {
  const strict = encodeURIComponent(text).replace(
    /[!'()*]/g,
    char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`
  )
  return strict.replaceAll('%20', space)
}

function unauthorized(message: string): Refusal {
  return new Refusal('Unauthorized', message, 401)
}

function utcDate(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().slice(0, 10)
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

function hmac256(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}

function hmac1(key: string, text: string): string {
  return createHmac('sha1', key).update(text).digest('hex')
}

function isEqual(expected: string, given: string): boolean {
  const [left, right] = [Buffer.from(expected), Buffer.from(given)]
  return left.length === right.length && timingSafeEqual(left, right)
}
