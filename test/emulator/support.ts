/**
 * What the emulator's tests share: an emulator without HTTP, a small signer, and a small HTTP client.
 *
 * The signer is written after the protocol, and apart from both the client's and the emulator's code.
 */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { decompress } from '../../src/cls/compression.ts'
import { isRecord, type Json, parseJson, printJson } from '../../src/cls/json.ts'
import {
  decodeLogGroup,
  decodeMessageHeader,
  encodeLogGroupList,
  MESSAGE_HEADER_BYTES
} from '../../src/cls/log-group.ts'
import { pullLog } from '../../src/emulator/actions/pull-log.ts'
import { uploadLogs } from '../../src/emulator/actions/upload-logs.ts'
import { CONTROL_ACTIONS } from '../../src/emulator/control-plane.ts'
import type { ControlFields, WireAnswer } from '../../src/emulator/plane.ts'
import { CONTROL_CODES, FieldReader, Refusal } from '../../src/emulator/refusal.ts'
import { type EmulatorOptions, resolveEmulatorOptions } from '../../src/emulator/settings.ts'
import { createState, type EmulatorState } from '../../src/emulator/state.ts'

export const T0 = 1_700_000_000_000
export const LOGSET = 'logset'

/** An emulator with one topic `t` of `partitionCount` partitions, at a moment that tests turn by hand. */
export class Bench {
  nowMs = T0
  readonly state: EmulatorState

  constructor(options: EmulatorOptions = {}) {
    this.state = createState(resolveEmulatorOptions({ logsetId: LOGSET, topicIds: ['t'], ...options }), this.nowMs)
  }

  /** An action of the control plane, as the wire would give it: through JSON, both ways. */
  control(name: string, fields: ControlFields): Json {
    const action = CONTROL_ACTIONS.get(name)
    assert.ok(action !== undefined, `no action ${name}`)
    const request = parseJson(printJson({ LogsetId: LOGSET, ...fields }))
    assert.ok(isRecord(request))
    return parseJson(printJson(action(new FieldReader(request, CONTROL_CODES), this.state, this.nowMs)))
  }

  createGroup(group = 'g', timeoutSeconds = 10, topicIds: readonly string[] = ['t']): void {
    this.control('CreateConsumerGroup', { ConsumerGroup: group, Timeout: timeoutSeconds, Topics: topicIds })
  }

  /** Partitions of topic `t` that the heartbeat's answer names. */
  beat(consumer: string, held: readonly number[], group = 'g'): number[] {
    const answer = this.control('SendConsumerHeartbeat', {
      ConsumerGroup: group,
      Consumer: consumer,
      TopicPartitionsInfo: [{ TopicID: 't', Partitions: held }],
      PartitionStrategy: 2
    })
    const [first] = listAt(answer, 'TopicPartitionsInfo')
    return first === undefined ? [] : listAt(first, 'Partitions').map(Number)
  }

  commit(consumer: string, partition: number, offset: bigint): void {
    this.control('CommitConsumerOffsets', {
      ConsumerGroup: 'g',
      Consumer: consumer,
      TopicPartitionOffsetsInfo: [{ TopicID: 't', PartitionOffsets: [{ PartitionId: partition, Offset: offset }] }]
    })
  }

  /** Offsets by partition. */
  offsets(fields: ControlFields): Map<number, Json> {
    const answer = this.control('DescribeConsumerOffsets', { ConsumerGroup: 'g', TopicId: 't', ...fields })
    const [topic] = listAt(answer, 'TopicPartitionOffsetsInfo')
    return new Map(
      listAt(topic, 'PartitionOffsets').map(entry => [Number(at(entry, 'PartitionId')), at(entry, 'Offset')])
    )
  }

  upload(body: Uint8Array, headers: Readonly<Record<string, string>> = {}): void {
    const typed = { 'content-type': 'application/x-protobuf', ...headers }
    uploadLogs({ topicId: 't', headers: typed, body, requestId: 'r' }, this.state, this.nowMs)
  }

  /** Stores one log group with one log `{ id }` per id, in the partition of the key where one is given. */
  put(ids: readonly string[], hashKey?: string): void {
    for (const id of ids) this.upload(uploadBody([id]), hashKey === undefined ? {} : { 'x-cls-hashkey': hashKey })
  }

  pull(fields: ControlFields): Pulled {
    return readPull(this.pullAnswer(fields).body, 'snappy')
  }

  /** As the wire would carry it. */
  pullAnswer(fields: ControlFields): WireAnswer {
    const body = Buffer.from(printJson({ PartitionId: 0, StartOffset: -1, CompressType: 'snappy', ...fields }))
    return pullLog({ topicId: 't', headers: {}, body, requestId: 'r' }, this.state, this.nowMs)
  }
}

/** A `LogGroupList` with one group, which has a log for each id. */
export function uploadBody(ids: readonly string[]): Uint8Array {
  const logs = ids.map(id => ({ time: 1n, contents: [{ key: 'id', value: id }] }))
  return encodeLogGroupList([{ logs, logTags: [] }])
}

export interface Pulled {
  readonly nextOffset: bigint
  readonly ids: string[]
  readonly messages: Buffer[]
  readonly text: string
}

export function readPull(body: Uint8Array, compression: 'snappy' | 'lz4' | 'none'): Pulled {
  const text = decompress(body, compression, 64 * 1024 * 1024).toString()
  const response = at(parseJson(text), 'Response')
  const messages = listAt(response, 'Message').map(message => Buffer.from(String(message), 'base64'))
  const ids = messages.flatMap(message => {
    const { payloadBytes } = decodeMessageHeader(message)
    const payload = message.subarray(MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + payloadBytes)
    return decodeLogGroup(payload).logs.map(log => log.contents[0]?.value ?? '')
  })
  return { nextOffset: BigInt(String(at(response, 'NextOffset'))), ids, messages, text }
}

export function at(value: Json | undefined, name: string): Json {
  assert.ok(isRecord(value), `no object with ${name}`)
  const found = value[name]
  assert.ok(found !== undefined, `no ${name} in ${printJson(value)}`)
  return found
}

export function listAt(value: Json | undefined, name: string): Json[] {
  const list = at(value, name)
  assert.ok(Array.isArray(list), `${name} is no list`)
  return list
}

/** For `assert.throws`. */
export function refusal(code: string, message = /./): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof Refusal, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }
}

export interface Key {
  readonly secretId: string
  readonly secretKey: string
}

export interface Tc3Input extends Key {
  readonly host: string
  readonly body: string
  readonly unixSeconds: number
  readonly contentType?: string
  readonly service?: string
}

export function signTc3(input: Tc3Input): string {
  const { secretId, secretKey, host, body, unixSeconds, contentType = 'application/json', service = 'cls' } = input
  const date = new Date(unixSeconds * 1000).toISOString().slice(0, 10)
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const canonical = `POST\n/\n\ncontent-type:${contentType}\nhost:${host}\n\ncontent-type;host\n${sha256(body)}`
  const scope = `${date}/${service}/tc3_request`
  const toSign = `TC3-HMAC-SHA256\n${unixSeconds}\n${scope}\n${sha256(canonical)}`
  const key = hmac(hmac(hmac(`TC3${secretKey}`, date), service), 'tc3_request')
  const signature = hmac(key, toSign).toString('hex')
  return `TC3-HMAC-SHA256 Credential=${secretId}/${scope}, SignedHeaders=content-type;host, Signature=${signature}`
}

export interface QSignInput extends Key {
  readonly path: string
  readonly topicId: string
  readonly host: string
  readonly contentType: string
  readonly unixSeconds: number
}

/** For topic ids and hosts that need no percent-encoding but for the colon of a port and the slash of a type. */
export function signQ({ secretId, secretKey, path, topicId, host, contentType, unixSeconds }: QSignInput): string {
  const hmac = (key: string, text: string): string => createHmac('sha1', key).update(text).digest('hex')
  const signTime = `${unixSeconds - 60};${unixSeconds + 300}`
  const headers = `content-type=${encodeURIComponent(contentType)}&host=${encodeURIComponent(host)}`
  const format = `post\n${path}\ntopic_id=${topicId}\n${headers}\n`
  const toSign = `sha1\n${signTime}\n${createHash('sha1').update(format).digest('hex')}\n`
  return [
    'q-sign-algorithm=sha1',
    `q-ak=${secretId}`,
    `q-sign-time=${signTime}`,
    `q-key-time=${signTime}`,
    'q-header-list=content-type;host',
    'q-url-param-list=topic_id',
    `q-signature=${hmac(hmac(secretKey, signTime), toSign)}`
  ].join('&')
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** One request on a connection of its own. */
export function post(
  endpoint: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array,
  method = 'POST'
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${endpoint}${path}`, { method, headers, agent: false, timeout: 10_000 }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) })
      })
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', reject)
    request.end(body)
  })
}

export interface Target extends Key {
  readonly endpoint: string
}

export interface Signed {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

export interface ControlOverride {
  readonly headers?: Readonly<Record<string, string>>
  readonly sign?: Partial<Tc3Input>
}

/** `override` replaces headers or the signer's input. */
export function controlRequest(
  target: Target,
  action: string,
  fields: ControlFields,
  override: ControlOverride = {}
): Signed {
  const body = printJson(fields)
  const unixSeconds = override.sign?.unixSeconds ?? Math.floor(Date.now() / 1000)
  const { host } = new URL(target.endpoint)
  const { secretId, secretKey } = target
  const headers = {
    host,
    'content-type': 'application/json',
    'x-tc-action': action,
    'x-tc-version': '2020-10-16',
    'x-tc-timestamp': String(unixSeconds),
    authorization: signTc3({ secretId, secretKey, host, body, unixSeconds, ...override.sign }),
    ...override.headers
  }
  return { path: '/', headers, body }
}

/** A signed call of the control plane. */
export async function callControl(
  target: Target,
  action: string,
  fields: ControlFields,
  override: ControlOverride = {}
): Promise<{ readonly response: Json; readonly answer: HttpAnswer }> {
  const { path, headers, body } = controlRequest(target, action, fields, override)
  const answer = await post(target.endpoint, path, headers, body)
  return { response: at(parseJson(answer.body.toString()), 'Response'), answer }
}

export interface DataOverride {
  readonly headers?: Readonly<Record<string, string>>
  readonly sign?: Partial<QSignInput>
}

export function dataRequest(
  target: Target,
  path: '/pull_log' | '/structuredlog',
  topicId: string,
  body: string | Uint8Array,
  override: DataOverride = {}
): Signed {
  const contentType = path === '/pull_log' ? 'application/json' : 'application/x-protobuf'
  const unixSeconds = Math.floor(Date.now() / 1000)
  const { host } = new URL(target.endpoint)
  const { secretId, secretKey } = target
  const headers = {
    host,
    'content-type': contentType,
    authorization: signQ({ secretId, secretKey, path, topicId, host, contentType, unixSeconds, ...override.sign }),
    ...override.headers
  }
  return { path: `${path}?topic_id=${topicId}`, headers, body }
}

/** A signed call of the data plane. */
export function callData(
  target: Target,
  path: '/pull_log' | '/structuredlog',
  topicId: string,
  body: string | Uint8Array,
  override: DataOverride = {}
): Promise<HttpAnswer> {
  const signed = dataRequest(target, path, topicId, body, override)
  return post(target.endpoint, signed.path, signed.headers, signed.body)
}

/** What a client sees of an answer, byte by byte. */
export interface Observed {
  /** Undefined where not even the headers came. */
  readonly status: number | undefined
  readonly headers: HttpAnswer['headers']
  readonly body: Buffer
  /** All the bytes that the headers announced came. */
  readonly isWhole: boolean
}

/** One request on a connection of its own, whatever becomes of it. */
export function observe(endpoint: string, { path, headers, body }: Signed, method = 'POST'): Promise<Observed> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const request = httpRequest(`${endpoint}${path}`, { method, headers, agent: false, timeout: 10_000 })
    request.on('response', response => {
      const seen = (isWhole: boolean): void =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks), isWhole })
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => seen(true))
      response.on('error', () => seen(false))
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET')
        resolve({ status: undefined, headers: {}, body: Buffer.alloc(0), isWhole: false })
      else reject(error)
    })
    request.end(body)
  })
}
