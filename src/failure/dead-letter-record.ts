/**
 * A dead letter as a record of a file: one line of JSON with a checksum.
 *
 *     {"deadLetter":1,"kind":"message","topicId":…,"raw":"<base64>","crc32":"1a2b3c4d"}
 *
 * In: a letter, or bytes of a file. Out: the other of the two, or what is wrong with the bytes. Pure. Must never happen: a
 * byte that changed on disk read as what was written, an offset that lost digits (I10), a throw for whatever bytes.
 *
 * Any tool that knows JSON lines reads it. `MARKER` begins each record, and stands nowhere else in one, since JSON escapes
 * the quotes in texts: so a reader finds the next record behind any damage, also where the line feed between two is gone.
 * Offsets are texts: many tools read numbers as doubles. `raw` is the last member but the checksum, which is of all bytes
 * before it: so a letter is judged and listed without a string made of its contents.
 */
import { crc32 } from 'node:zlib'
import { int64, isRecord, type Json, parseJson } from '../cls/json.ts'
import { type ErrorCode, REMEDIES } from '../errors.ts'
import type { Compression } from '../world.ts'
import type { DeadLetter, LetterContent, LetterError, LetterHead } from './dead-letter.ts'

const VERSION = 1

export const MARKER = Buffer.from('{"deadLetter":')

/** Of a letter: in base64 it is one string yet. */
export const RAW_BYTES_MAX = 256 * 1024 * 1024
/** Reason, message and stack of an error are cut to so many characters each. */
const TEXT_CHARACTERS_MAX = 64 * 1024
/** A character may take six bytes in JSON; names of topic, group and consumer are short beside this. */
const HEAD_BYTES_MAX = 2 * 1024 * 1024
/** Of a whole record; what is longer is none. */
export const RECORD_BYTES_MAX = HEAD_BYTES_MAX + Math.ceil(RAW_BYTES_MAX / 3) * 4

const RAW_MEMBER = ',"raw":"'
const TAIL_BEGIN = '","crc32":"'
const TAIL_END = '"}'
const CRC_DIGITS = 8
const TAIL_BYTES = TAIL_BEGIN.length + CRC_DIGITS + TAIL_END.length

const QUOTE = 0x22
const EQUALS = 0x3d

/** What the writer knows of every letter. */
export interface LetterStamp {
  /** Unix milliseconds. */
  readonly timeMs: number
  readonly group: string
  readonly consumer: string
}

/** A letter as a file has it. */
export type StoredLetter = LetterHead &
  LetterStamp & {
    readonly rawBytes: number
    /** Decodes the bytes, each time. */
    readonly readRaw: () => Buffer
  }

/** One line, with its line feed. */
export function encodeRecord(letter: DeadLetter, stamp: LetterStamp): Buffer {
  const head = `${JSON.stringify(headOf(letter, stamp)).slice(0, -1)}${RAW_MEMBER}`
  const { raw } = letter
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('base64')
  const headBytes = Buffer.byteLength(head)
  const line = Buffer.allocUnsafe(headBytes + text.length + TAIL_BYTES + 1)
  line.write(head)
  line.write(text, headBytes, 'latin1')
  const rawEnd = headBytes + text.length
  line.write(`${TAIL_BEGIN}${checksum(line.subarray(0, rawEnd))}${TAIL_END}\n`, rawEnd, 'latin1')
  return line
}

function headOf(letter: DeadLetter, { timeMs, group, consumer }: LetterStamp) {
  const { kind, topicId, partition, startOffset, nextOffset, attempt, reason, error } = letter
  return {
    deadLetter: VERSION,
    kind,
    topicId,
    partition,
    startOffset: String(startOffset),
    nextOffset: nextOffset === undefined ? undefined : String(nextOffset),
    messageIndex: kind === 'body' ? undefined : letter.messageIndex,
    logIndex: kind === 'log' ? letter.logIndex : undefined,
    compression: kind === 'body' ? letter.compression : undefined,
    time: new Date(timeMs).toISOString(),
    attempt,
    group,
    consumer,
    reason: cut(reason),
    error: error === undefined ? undefined : { ...error, message: cut(error.message), stack: cut(error.stack) }
  }
}

function cut(text: string): string {
  return text.length > TEXT_CHARACTERS_MAX ? `${text.slice(0, TEXT_CHARACTERS_MAX)}…` : text
}

/** Eight digits, as they stand in the record. The letter-case counts: a digit that changed is damage. */
function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(CRC_DIGITS, '0')
}

export type RecordReading =
  | { readonly kind: 'letter'; readonly letter: StoredLetter }
  | { readonly kind: 'damage'; readonly what: string }

/** Of one line without its line feed, that begins with the marker. The letter is a view on `bytes`. */
export function decodeRecord(bytes: Buffer): RecordReading {
  const rawEnd = bytes.length - TAIL_BYTES
  const tail = bytes.toString('latin1', Math.max(0, rawEnd))
  const found = tail.slice(TAIL_BEGIN.length, -TAIL_END.length)
  if (!tail.startsWith(TAIL_BEGIN) || !tail.endsWith(TAIL_END)) return damage(CUT_OFF)
  const expected = checksum(bytes.subarray(0, rawEnd))
  if (found !== expected) {
    return damage(`its checksum does not match: ${JSON.stringify(found)} is written, its bytes have "${expected}"`)
  }
  // Whatever passes here was written so: by this version, or by one that this one does not know.
  const rawStart = bytes.lastIndexOf(QUOTE, rawEnd - 1) + 1
  const headEnd = rawStart - RAW_MEMBER.length
  if (headEnd < 0 || bytes.toString('latin1', headEnd, rawStart) !== RAW_MEMBER) return damage(UNKNOWN_FORM)
  const head = readHead(bytes.toString('utf8', 0, headEnd))
  if (typeof head === 'string') return damage(head)
  const rawText = bytes.subarray(rawStart, rawEnd)
  const readRaw = () => Buffer.from(rawText.toString('latin1'), 'base64')
  return { kind: 'letter', letter: { ...head, rawBytes: decodedBytes(rawText), readRaw } }
}

const CUT_OFF = 'it breaks off: a crash or a full disk cut it off, or it is being written right now'
const UNKNOWN_FORM = 'its checksum matches, but it has not the form of a dead letter'

function damage(what: string): RecordReading {
  return { kind: 'damage', what }
}

/** How many bytes a whole text of base64 stands for. */
function decodedBytes(text: Buffer): number {
  const padding = text.at(-2) === EQUALS ? 2 : text.at(-1) === EQUALS ? 1 : 0
  return (text.length / 4) * 3 - padding
}

/** All but the bytes; or what is wrong. */
function readHead(text: string): (LetterHead & LetterStamp) | string {
  const head = parseHead(`${text}}`)
  if (head === undefined) return UNKNOWN_FORM
  if (head.deadLetter !== VERSION) {
    return `it is of version ${String(head.deadLetter)}, and this cls-consumer knows version ${VERSION} alone`
  }
  const { topicId, partition, time, attempt, group, consumer, reason } = head
  const startOffset = int64(head.startOffset)
  const nextOffset = int64(head.nextOffset)
  const content = readContent(head)
  const timeMs = typeof time === 'string' ? Date.parse(time) : Number.NaN
  if (content === undefined || startOffset === undefined || Number.isNaN(timeMs)) return UNKNOWN_FORM
  if (!isText(topicId) || !isText(group) || !isText(consumer) || !isText(reason)) return UNKNOWN_FORM
  if (!isCount(partition) || !isCount(attempt)) return UNKNOWN_FORM
  const error = readError(head.error)
  return { ...content, topicId, partition, startOffset, nextOffset, attempt, reason, error, timeMs, group, consumer }
}

function parseHead(text: string): Record<string, Json> | undefined {
  try {
    const parsed = parseJson(text)
    return isRecord(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function readContent({ kind, messageIndex, logIndex, compression }: Record<string, Json>): LetterContent | undefined {
  if (kind === 'body') return isCompression(compression) ? { kind, compression } : undefined
  if (!isCount(messageIndex)) return undefined
  if (kind === 'message' || kind === 'group') return { kind, messageIndex }
  return kind === 'log' && isCount(logIndex) ? { kind, messageIndex, logIndex } : undefined
}

function readError(value: Json | undefined): LetterError | undefined {
  if (!isRecord(value)) return undefined
  const { code, message, stack } = value
  return isErrorCode(code) && isText(message) && isText(stack) ? { code, message, stack } : undefined
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string'
}

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isCompression(value: Json | undefined): value is Compression {
  return value === 'snappy' || value === 'lz4' || value === 'none'
}

function isErrorCode(value: Json | undefined): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(REMEDIES, value)
}
