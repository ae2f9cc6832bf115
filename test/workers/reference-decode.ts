/**
 * The obvious way from a response to its logs, as the reference that the kernel is held against.
 *
 * In: the plain bytes of a response, or its messages. Out: log groups as plain objects, and a note on each message that
 * is none. `JSON.parse`'s reading of the text, Node's base64 made strict, protobufjs.
 */
import { isRecord, type Json, parseJson } from '../../src/cls/json.ts'
import { decodeLogGroup, decodeMessageHeader, type LogGroup, MESSAGE_HEADER_BYTES } from '../../src/cls/log-group.ts'
import { ClsConsumerError } from '../../src/errors.ts'

export interface ReferencePoison {
  readonly messageIndex: number
  readonly bytePosition: number | undefined
  readonly reason: string
}

export interface ReferenceMessages {
  readonly groups: readonly LogGroup[]
  readonly logCount: number
  readonly poison: readonly ReferencePoison[]
}

export const NOT_TEXT = 'the message is not a text'
export const NOT_BASE64 = 'the message is not base64'

/** The messages of a response's text; `undefined` where it is none. */
export function referenceMessages(plain: Buffer): readonly Json[] | undefined {
  try {
    const body = parseJson(plain.toString('latin1'))
    const response = isRecord(body) && isRecord(body.Response) ? body.Response : undefined
    const messages = response?.Message ?? []
    return response !== undefined && Array.isArray(messages) ? messages : undefined
  } catch {
    return undefined
  }
}

/** Each by itself: base64, header, protobuf. */
export function decodeMessages(messages: readonly Json[]): ReferenceMessages {
  const groups: LogGroup[] = []
  const poison: ReferencePoison[] = []
  let logCount = 0
  for (const [messageIndex, message] of messages.entries()) {
    const decoded = decodeMessage(message)
    if ('reason' in decoded) poison.push({ messageIndex, ...decoded })
    else {
      groups.push(decoded)
      logCount += decoded.logs.length
    }
  }
  return { groups, logCount, poison }
}

type Reason = Omit<ReferencePoison, 'messageIndex'>

function decodeMessage(message: Json): LogGroup | Reason {
  if (typeof message !== 'string') return { bytePosition: undefined, reason: NOT_TEXT }
  const bytes = decodeBase64(message)
  if (bytes === undefined) return { bytePosition: undefined, reason: NOT_BASE64 }
  let layerAt = 0
  try {
    const { payloadBytes } = decodeMessageHeader(bytes)
    layerAt = MESSAGE_HEADER_BYTES
    return decodeLogGroup(bytes.subarray(layerAt, layerAt + payloadBytes))
  } catch (error) {
    if (!(error instanceof ClsConsumerError)) throw error
    const { bytePosition } = error.place
    return { reason: error.what, bytePosition: bytePosition === undefined ? undefined : layerAt + bytePosition }
  }
}

/**
 * Strict where `Buffer.from` is not: that skips what is no base64, takes `-` and `_`, and uses the low eight bits of
 * other characters. Skipping shows in the length.
 */
function decodeBase64(text: string): Buffer | undefined {
  const ascii = Buffer.byteLength(text, 'utf8') === text.length
  if (!ascii || text.includes('-') || text.includes('_')) return undefined
  const padCount = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = Buffer.from(text, 'base64')
  // A length that is no multiple of four leaves a fraction, which equals no length.
  return bytes.length === (text.length / 4) * 3 - padCount ? bytes : undefined
}
