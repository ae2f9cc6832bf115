/**
 * Requests and answers between the client's form of them and the emulator's.
 *
 * In: what `cls/http.ts` would send, what the emulator answers. Out: the same in the other's form; and answers that
 * neither of them has given. Pure.
 */
import type { HttpRequest, SharedAnswer } from '../../src/cls/http.ts'
import { isRecord, parseJson, printJson } from '../../src/cls/json.ts'
import type { WireAnswer, WireRequest } from '../../src/emulator/plane.ts'
import type { Asked } from './asked.ts'

/** A request as the emulator takes it. */
export function toWire({ origin, path, headers, body }: HttpRequest, requestId: string): WireRequest {
  const [name = '', query = ''] = path.split('?')
  const lower = Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value])
  return {
    method: 'POST',
    path: name,
    query,
    headers: { host: new URL(origin).host, ...Object.fromEntries(lower) },
    body: Buffer.from(body),
    requestId
  }
}

/** An answer as `http.ts` gives it. */
export function toShared({ status, body }: WireAnswer, headers: ReadonlyMap<string, string>): SharedAnswer {
  const bytes = new SharedArrayBuffer(status === 200 ? body.length : 0)
  if (status === 200) new Uint8Array(bytes).set(body)
  return { status, headers, body: status === 200 ? new Uint8Array() : body, bytes, byteCount: bytes.byteLength }
}

/** Of a heartbeat: it counts. */
export function isGranted({ status, headers, body }: WireAnswer): boolean {
  if (status !== 200 || headers['content-type'] !== 'application/json') return false
  const answer = parseJson(Buffer.from(body).toString())
  return isRecord(answer) && isRecord(answer.Response) && answer.Response.Error === undefined
}

/** The service has no time. */
export function refusal(asked: Asked, serviceCode: string): WireAnswer {
  const text = 'not now'
  if (asked.kind === 'pull') {
    return json(429, { errorcode: 'SpeedQuotaExceed', errormessage: text })
  }
  return json(200, { Response: { Error: { Code: serviceCode, Message: text }, RequestId: 'busy' } })
}

/** Of something on the way. */
export function page(status: number): WireAnswer {
  return {
    status,
    headers: { 'content-type': 'text/html' },
    body: Buffer.from('<html><body>Bad gateway</body></html>')
  }
}

function json(status: number, value: Parameters<typeof printJson>[0]): WireAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(printJson(value)) }
}
