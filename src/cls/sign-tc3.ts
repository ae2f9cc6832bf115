/**
 * TC3-HMAC-SHA256, the signature of the management plane.
 *
 * In: a request and the time at which it is signed. Out: the value of its `Authorization` header. Pure. Source: the
 * service's API reference, "signature method v3". Must never happen: a secret in what comes out (I9); it leaves only
 * as the key of an HMAC.
 */
import { createHash, createHmac } from 'node:crypto'

export interface Tc3Request {
  readonly secretId: string
  readonly secretKey: string
  /** As the `Host` header says it: with the port, unless it is the scheme's own. */
  readonly host: string
  readonly contentType: string
  readonly body: string | Uint8Array
  /** Unix seconds; the same as in the header `X-TC-Timestamp`. */
  readonly nowSeconds: number
}

const ALGORITHM = 'TC3-HMAC-SHA256'
const SERVICE = 'cls'
const TERMINATOR = 'tc3_request'
const SIGNED_HEADERS = 'content-type;host'

/** Signs a `POST /` without a query, the only form that the service's actions have. */
export function signTc3({ secretId, secretKey, host, contentType, body, nowSeconds }: Tc3Request): string {
  const headers = `content-type:${contentType}\nhost:${host}\n`
  const canonical = `POST\n/\n\n${headers}\n${SIGNED_HEADERS}\n${sha256(body)}`
  const date = new Date(nowSeconds * 1000).toISOString().slice(0, 10)
  const scope = `${date}/${SERVICE}/${TERMINATOR}`
  const toSign = `${ALGORITHM}\n${nowSeconds}\n${scope}\n${sha256(canonical)}`

  const key = [date, SERVICE, TERMINATOR].reduce<string | Buffer>(hmac, `TC3${secretKey}`)
  const signature = hmac(key, toSign).toString('hex')
  return `${ALGORITHM} Credential=${secretId}/${scope}, SignedHeaders=${SIGNED_HEADERS}, Signature=${signature}`
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

function hmac(key: string | Buffer, content: string): Buffer {
  return createHmac('sha256', key).update(content).digest()
}
