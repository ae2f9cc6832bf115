/**
 * The service's log model: protobuf `LogGroup`s, and the 96-byte envelope in which a pulled message carries one.
 * Byte-level.
 *
 * In: bytes or plain values. Out: the other of the two, times as exact int64. Must never happen: a message half read
 * and taken for whole. Everything that does not fit throws MESSAGE_CORRUPT with the byte at which it stopped fitting.
 * Invalid UTF-8 in a text becomes U+FFFD, as a TextDecoder does: the log is kept.
 */
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import { ClsConsumerError } from '../errors.ts'

export interface Content {
  readonly key: string
  readonly value: string
}

export interface Tag {
  readonly key: string
  readonly value: string
}

export interface Log {
  /** Seconds, milliseconds or microseconds, as the writer chose. */
  readonly time: bigint
  /** In the writer's order; a key may repeat. */
  readonly contents: readonly Content[]
  readonly collectTime?: bigint
}

export interface LogGroup {
  readonly logs: readonly Log[]
  readonly contextFlow?: string
  readonly filename?: string
  readonly source?: string
  readonly logTags: readonly Tag[]
  readonly hostname?: string
}

/** The envelope's fields. Topic and logset ids are informative: the service pads or cuts ids that are not 36 bytes. */
export interface MessageHeader {
  readonly timestamp: bigint
  readonly accountUin: bigint
  readonly logsetId: string
  readonly topicId: string
  readonly payloadBytes: number
}

export const MESSAGE_HEADER_BYTES = 96
const MESSAGE_VERSION = 130
const ID_BYTES = 36
/** Where the envelope's fields stand; big-endian. */
const AT = { version: 0, timestamp: 4, accountUin: 12, logsetId: 20, topicId: 56, payloadBytes: 92 } as const

const proto = fileURLToPath(new URL('../../../proto/cls.proto', import.meta.url))
const root = new protobuf.Root().loadSync(proto)
const LOG_GROUP = root.lookupType('cls.LogGroup')
const LOG_GROUP_LIST = root.lookupType('cls.LogGroupList')
/** Tag of `LogGroupList.logGroupList`: field 1, length-delimited. */
const LIST_ITEM_TAG = 0x0a

/** What protobufjs makes of an int64. */
interface Long {
  readonly low: number
  readonly high: number
  readonly unsigned: boolean
}

interface WireLog {
  readonly time: Long
  readonly contents: readonly Content[]
  readonly collectTime?: Long
}

type WireLogGroup = Omit<LogGroup, 'logs'> & { readonly logs: readonly WireLog[] }

export function encodeLogGroup(group: LogGroup): Uint8Array {
  return LOG_GROUP.encode(toWire(group)).finish()
}

/** @throws ClsConsumerError MESSAGE_CORRUPT */
export function decodeLogGroup(bytes: Uint8Array): LogGroup {
  return fromWire(read(LOG_GROUP, bytes) as unknown as WireLogGroup)
}

export function encodeLogGroupList(groups: readonly LogGroup[]): Uint8Array {
  return LOG_GROUP_LIST.encode({ logGroupList: groups.map(toWire) }).finish()
}

/** @throws ClsConsumerError MESSAGE_CORRUPT */
export function decodeLogGroupList(bytes: Uint8Array): LogGroup[] {
  const list = read(LOG_GROUP_LIST, bytes) as unknown as { readonly logGroupList: readonly WireLogGroup[] }
  return list.logGroupList.map(fromWire)
}

/**
 * The bytes of each `LogGroup` in a list, as views, each of them decodable.
 * @throws ClsConsumerError MESSAGE_CORRUPT
 */
export function splitLogGroupList(bytes: Uint8Array): Uint8Array[] {
  read(LOG_GROUP_LIST, bytes)
  const reader = protobuf.Reader.create(asBuffer(bytes))
  const groups: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === LIST_ITEM_TAG) {
      const groupBytes = reader.uint32()
      groups.push(bytes.subarray(reader.pos, reader.pos + groupBytes))
      reader.skip(groupBytes)
    } else {
      reader.skipType(tag & 7, 0, tag >>> 3)
    }
  }
  return groups
}

/** One message as `pull_log` gives it (before base64): envelope and payload. Ids are cut or padded to 36 bytes. */
export function encodeMessage(header: Omit<MessageHeader, 'payloadBytes'>, payload: Uint8Array): Buffer {
  const message = Buffer.alloc(MESSAGE_HEADER_BYTES + payload.length)
  message.writeInt32BE(MESSAGE_VERSION, AT.version)
  message.writeBigInt64BE(header.timestamp, AT.timestamp)
  message.writeBigInt64BE(header.accountUin, AT.accountUin)
  message.write(header.logsetId, AT.logsetId, ID_BYTES, 'utf8')
  message.write(header.topicId, AT.topicId, ID_BYTES, 'utf8')
  message.writeInt32BE(payload.length, AT.payloadBytes)
  message.set(payload, MESSAGE_HEADER_BYTES)
  return message
}

/**
 * The envelope of a message. The payload is `payloadBytes` from byte 96 on; what follows it is ignored.
 * @throws ClsConsumerError MESSAGE_CORRUPT: too short, another version, or a payload that is not all there.
 */
export function decodeMessageHeader(bytes: Uint8Array): MessageHeader {
  if (bytes.length < MESSAGE_HEADER_BYTES) {
    throw corrupt(`a message of ${bytes.length} bytes is shorter than its header`, bytes.length)
  }
  const message = asBuffer(bytes)
  const version = message.readInt32BE(AT.version)
  if (version !== MESSAGE_VERSION)
    throw corrupt(`version ${version} of a message is not ${MESSAGE_VERSION}`, AT.version)
  const payloadBytes = message.readInt32BE(AT.payloadBytes)
  if (payloadBytes < 0 || payloadBytes > bytes.length - MESSAGE_HEADER_BYTES) {
    const there = bytes.length - MESSAGE_HEADER_BYTES
    throw corrupt(`a message declares a payload of ${payloadBytes} bytes, but ${there} follow`, AT.payloadBytes)
  }
  return {
    timestamp: message.readBigInt64BE(AT.timestamp),
    accountUin: message.readBigInt64BE(AT.accountUin),
    logsetId: readId(message, AT.logsetId),
    topicId: readId(message, AT.topicId),
    payloadBytes
  }
}

function readId(message: Buffer, at: number): string {
  return message.toString('latin1', at, at + ID_BYTES).replace(/[\0 ]+$/, '')
}

/** Decodes all of `bytes`. protobufjs keeps nested messages within their lengths; its reader stops where it failed. */
function read(type: protobuf.Type, bytes: Uint8Array): protobuf.Message {
  const reader = protobuf.Reader.create(asBuffer(bytes))
  reader.discardUnknown = true
  try {
    return type.decode(reader)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw corrupt(`${bytes.length} bytes are not a ${type.name}: ${why}`, reader.pos, cause)
  }
}

function toWire(group: LogGroup): WireLogGroup {
  const logs = group.logs.map(log => ({
    time: toLong(log.time),
    contents: log.contents,
    ...(log.collectTime === undefined ? {} : { collectTime: toLong(log.collectTime) })
  }))
  return { ...group, logs }
}

/** Plain objects; an optional field that the wire lacked is absent. */
function fromWire(wire: WireLogGroup): LogGroup {
  const { contextFlow, filename, source, hostname } = own(wire)
  return {
    logs: wire.logs.map(logFromWire),
    logTags: wire.logTags.map(({ key, value }) => ({ key, value })),
    ...(contextFlow === undefined ? {} : { contextFlow }),
    ...(filename === undefined ? {} : { filename }),
    ...(source === undefined ? {} : { source }),
    ...(hostname === undefined ? {} : { hostname })
  }
}

function logFromWire(wire: WireLog): Log {
  const { collectTime } = own(wire)
  return {
    time: fromLong(wire.time),
    contents: wire.contents.map(({ key, value }) => ({ key, value })),
    ...(collectTime === undefined ? {} : { collectTime: fromLong(collectTime) })
  }
}

/** Without the prototype, where protobufjs keeps the defaults of fields that the wire lacked. */
function own<T extends object>(message: T): T {
  return { ...message }
}

function toLong(value: bigint): Long {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)), unsigned: false }
}

function fromLong({ low, high }: Long): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function corrupt(what: string, bytePosition: number, cause?: unknown): ClsConsumerError {
  return new ClsConsumerError('MESSAGE_CORRUPT', what, { bytePosition, cause })
}
