/**
 * A response as a plan, and from the plan its body, layer by layer.
 *
 * In: a plan; where wanted, an edit of one layer's bytes, of which the layers around it take no notice: they wrap what
 * came of it as if it were right, so that it gets as far as its decoder. Out: the batch task. Texts of JSON are binary:
 * one character a byte.
 */
import { compress } from '../../src/cls/compression.ts'
import type { BatchTask } from '../../src/dispatch/messages.ts'
import type { Compression } from '../../src/world.ts'
import { encodeFields, type Field } from './wire.ts'

export const LAYERS = ['compressed', 'json', 'base64', 'header', 'protobuf'] as const
export type Layer = (typeof LAYERS)[number]

export interface ResponsePlan {
  readonly compression: Compression
  readonly startOffset: bigint
  readonly endOffset: bigint | undefined
  /** White space, between all parts of the outer objects. */
  readonly gap: string
  readonly before: readonly Member[]
  readonly members: readonly Member[]
  readonly behind: readonly Member[]
  /** What follows the JSON. */
  readonly rest: string
}

export interface Member {
  /** JSON, with its quotes. */
  readonly key: string
  /** JSON, or the list of messages. */
  readonly value: string | readonly (MessagePlan | string)[]
}

export interface MessagePlan {
  readonly version: number
  readonly timestamp: bigint
  /** What the header says of the payload's length; `undefined`: the truth. */
  readonly declaredBytes: number | undefined
  readonly fields: readonly Field[]
  /** What follows the payload. */
  readonly tail: Buffer
  /** The message ends here, where it would be longer. */
  readonly cutAt: number | undefined
  readonly flaw: Base64Flaw
  readonly escaping: Escaping
}

export type Base64Flaw =
  | 'none'
  | 'unpadded'
  | 'overpadded'
  | 'padded inside'
  | 'space'
  | 'url'
  | 'stranger'
  | 'wide'
  | 'spare bits'
  | 'short'
/** Which characters are written as JSON escapes, beside those that must be. */
export type Escaping = 'none' | 'slashes' | 'some' | 'all'

/** Changes the bytes of one layer; of the message that `of` names where the layer is within a message. */
export interface Tampering {
  readonly layer: Layer
  readonly of: MessagePlan | undefined
  edit(bytes: Buffer): Buffer
}

const UNTOUCHED: Tampering = { layer: 'json', of: undefined, edit: bytes => bytes }
const HEADER_BYTES = 96
const AT_TIMESTAMP = 4
const AT_IDS = 20
const AT_PAYLOAD_BYTES = 92
const [SPACE, QUOTE, SLASH, BACKSLASH] = [0x20, 0x22, 0x2f, 0x5c] as const
const TOPIC_ID = '5cd3a17e-0000-4000-8000-0123456789ab'

export function buildTask(plan: ResponsePlan, tampering: Tampering = UNTOUCHED): BatchTask {
  const plain = edited(Buffer.from(printPlan(plan, tampering), 'latin1'), 'json', tampering)
  const compressed = edited(compress(plain, plan.compression), 'compressed', tampering)
  // Larger than the body, as a buffer that grew by doubling is: only `byteCount` of it counts.
  const body = new SharedArrayBuffer(compressed.length + 64)
  new Uint8Array(body).fill(0x7d).set(compressed)
  const { compression, startOffset, endOffset } = plan
  return {
    kind: 'batch',
    batchId: 1,
    topicId: TOPIC_ID,
    partition: 3,
    epoch: 1,
    startOffset,
    endOffset,
    body,
    byteCount: compressed.length,
    compression,
    attempt: 1
  }
}

function printPlan({ gap, before, members, behind, rest }: ResponsePlan, tampering: Tampering): string {
  const print = (all: readonly Member[]): string[] =>
    all.map(({ key, value }) => {
      const json = typeof value === 'string' ? value : printMessages(value, gap, tampering)
      return `${key}${gap}:${gap}${json}`
    })
  const response = `"Response"${gap}:${gap}${printObject(print(members), gap)}`
  return `${gap}${printObject([...print(before), response, ...print(behind)], gap)}${gap}${rest}`
}

function printObject(members: readonly string[], gap: string): string {
  return `{${gap}${members.join(`${gap},${gap}`)}${gap}}`
}

function printMessages(messages: readonly (MessagePlan | string)[], gap: string, tampering: Tampering): string {
  const texts = messages.map(message => (typeof message === 'string' ? message : printMessage(message, tampering)))
  return `[${gap}${texts.join(`${gap},${gap}`)}${gap}]`
}

function printMessage(plan: MessagePlan, tampering: Tampering): string {
  const mine = tampering.of === plan ? tampering : UNTOUCHED
  const payload = edited(encodeFields(plan.fields), 'protobuf', mine)
  const message = edited(wrapPayload(plan, payload), 'header', mine)
  const text = flawed(message.subarray(0, plan.cutAt).toString('base64'), plan.flaw)
  return quote(edited(Buffer.from(text, 'latin1'), 'base64', mine).toString('latin1'), plan.escaping)
}

function edited(bytes: Buffer, layer: Layer, tampering: Tampering): Buffer {
  return tampering.layer === layer ? tampering.edit(bytes) : bytes
}

function wrapPayload({ version, timestamp, declaredBytes, tail }: MessagePlan, payload: Buffer): Buffer {
  const message = Buffer.alloc(HEADER_BYTES + payload.length + tail.length)
  message.writeInt32BE(version)
  message.writeBigInt64BE(timestamp, AT_TIMESTAMP)
  message.write('logset', AT_IDS)
  message.writeInt32BE(declaredBytes ?? payload.length, AT_PAYLOAD_BYTES)
  message.set(payload, HEADER_BYTES)
  message.set(tail, HEADER_BYTES + payload.length)
  return message
}

function flawed(text: string, flaw: Base64Flaw): string {
  const middle = text.length >> 1
  switch (flaw) {
    case 'none':
      return text
    case 'unpadded':
      return text.replace(/=+$/, '')
    case 'overpadded':
      return `${text}=`
    case 'padded inside':
      return `${text.slice(0, middle)}=${text.slice(middle + 1)}`
    case 'space':
      return `${text.slice(0, middle)}\n${text.slice(middle)}`
    case 'url':
      return text.replaceAll('+', '-').replaceAll('/', '_')
    case 'stranger':
      return `${text.slice(0, middle)}*${text.slice(middle + 1)}`
    case 'wide':
      return `${text.slice(0, middle)}\xc1${text.slice(middle + 1)}`
    case 'spare bits':
      return text.replace(/[AQgw](==?)$/, 'B$1')
    case 'short':
      return text.slice(0, -1)
  }
}

/** A JSON text. */
function quote(text: string, escaping: Escaping): string {
  // As nearly all are: without a look at each character.
  if (escaping === 'none' && /^[\w+/=-]*$/.test(text)) return `"${text}"`
  let json = '"'
  for (let at = 0; at < text.length; at++) json += printCharacter(text.charCodeAt(at), at, escaping)
  return `${json}"`
}

function printCharacter(code: number, at: number, escaping: Escaping): string {
  const isChosen = escaping === 'all' || (escaping === 'some' && (at * 31 + code) % 7 === 0)
  if (code === SLASH && (escaping === 'slashes' || (isChosen && at % 2 === 0))) return '\\/'
  if (code >= SPACE && code !== QUOTE && code !== BACKSLASH && !isChosen) return String.fromCharCode(code)
  const hex = code.toString(16).padStart(4, '0')
  return `\\u${at % 2 === 0 ? hex : hex.toUpperCase()}`
}
