/**
 * What the bytes of a dead letter say.
 *
 * In: a letter of any kind. Out: lines: its logs, exact to the digit, with what their group says of them; or, where they do
 * not decode, why not, and the first of the bytes at which decoding stopped. Pure. Never throws for whatever bytes.
 */
import { decompress } from '../cls/compression.ts'
import {
  type Content,
  decodeLogGroup,
  decodeMessageHeader,
  type LogGroup,
  MESSAGE_HEADER_BYTES
} from '../cls/log-group.ts'
import { ClsConsumerError } from '../errors.ts'
import type { StoredLetter } from '../failure/dead-letter-record.ts'
import { count } from './format.ts'

/** A body that claims to hold more is left as it is. */
const BODY_BYTES_MAX = 256 * 1024 * 1024
const EXCERPT_BYTES = 2000
const DUMP_BYTES = 256
const DUMP_ROW_BYTES = 16

export function contentLines(letter: StoredLetter): string[] {
  const raw = letter.readRaw()
  switch (letter.kind) {
    case 'body':
      return decoded(raw, () => bodyLines(decompress(raw, letter.compression, BODY_BYTES_MAX)))
    case 'message':
      return messageLines(raw)
    case 'group':
    case 'log':
      return decoded(raw, () => groupLines(decodeLogGroup(raw)))
  }
}

function bodyLines(plain: Buffer): string[] {
  const more = plain.length > EXCERPT_BYTES ? '…' : ''
  return [`decompressed to ${count(plain.length)} bytes:`, `${plain.toString('utf8', 0, EXCERPT_BYTES)}${more}`]
}

/** As it stands in the response's JSON: a text of base64, if all is well with it. */
function messageLines(raw: Buffer): string[] {
  const text = parseText(raw)
  if (text === undefined) return undecoded('it is no text of JSON', raw)
  const message = Buffer.from(text, 'base64')
  // The decoder leaves out what is no base64.
  if (message.toString('base64') !== text) return undecoded('its text is not base64', raw)
  return decoded(message, () => {
    const { payloadBytes } = decodeMessageHeader(message)
    return groupLines(decodeLogGroup(message.subarray(MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + payloadBytes)))
  })
}

function parseText(raw: Buffer): string | undefined {
  try {
    const parsed: unknown = JSON.parse(raw.toString())
    return typeof parsed === 'string' ? parsed : undefined
  } catch {
    return undefined
  }
}

function groupLines({ logs, logTags, source, filename, hostname, contextFlow }: LogGroup): string[] {
  const about = {
    source,
    filename,
    hostname,
    contextFlow,
    tags: logTags.length === 0 ? undefined : printPairs(logTags)
  }
  return [
    `${count(logs.length)} ${logs.length === 1 ? 'log' : 'logs'}`,
    ...Object.entries(about).flatMap(([name, value]) => (value === undefined ? [] : [`  ${name} ${value}`])),
    ...logs.map(({ time, contents }) => `  ${time}  ${printPairs(contents)}`)
  ]
}

/** A key may be there twice, and is then printed so. */
function printPairs(pairs: readonly Content[]): string {
  return `{${pairs.map(({ key, value }) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`
}

/** What `decode` makes of the bytes; `bytes` are shown where it cannot. */
function decoded(bytes: Buffer, decode: () => string[]): string[] {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof ClsConsumerError)) throw error
    const { bytePosition } = error.place
    return undecoded(`${error.what}${bytePosition === undefined ? '' : `, at byte ${bytePosition}`}`, bytes)
  }
}

function undecoded(why: string, bytes: Buffer): string[] {
  const more = bytes.length > DUMP_BYTES ? [`… and ${count(bytes.length - DUMP_BYTES)} bytes more`] : []
  return [`not decoded: ${why}`, ...dump(bytes.subarray(0, DUMP_BYTES)), ...more]
}

/** Position, bytes in hexadecimal, and those that are ASCII as characters. */
function dump(bytes: Buffer): string[] {
  const rows: string[] = []
  for (let at = 0; at < bytes.length; at += DUMP_ROW_BYTES) {
    const row = bytes.subarray(at, at + DUMP_ROW_BYTES)
    const digits = row
      .toString('hex')
      .replace(/../g, '$& ')
      .padEnd(DUMP_ROW_BYTES * 3)
    const characters = row.toString('latin1').replace(/[^ -~]/g, '.')
    rows.push(`${String(at).padStart(5)}  ${digits} ${characters}`)
  }
  return rows
}
