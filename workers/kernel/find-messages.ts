/**
 * Where the messages of a response stand: by the scan, or by the full parser where the scan leaves it to that.
 *
 * In: a response's text in the kernel's memory, untrusted. Out: its next offset, and each message's text, in the memory.
 * Must never happen: a response read otherwise than the full parser reads it; text taken for base64 that only becomes it
 * by the loss of bits.
 */
import { isRecord, type Json, printJson } from '../../src/cls/json.ts'
import type { ErrorPlace } from '../../src/errors.ts'
import { readResponse } from '../response.ts'
import { align, type KernelMemory, type Span } from './memory.ts'
import { messageJson, messageText, type ScannedResponse, scanResponse } from './scan.ts'

export interface FoundMessages {
  readonly nextOffset: bigint | undefined
  readonly messageCount: number
  /** The first address behind the texts. */
  readonly end: number
  /** To be asked once for each message; `undefined` where it is not a text. */
  text(index: number): Span | undefined
  /** A copy of the message's JSON, with quotes and escapes, where `text` was not asked for. */
  raw(index: number): Uint8Array
}

/** @throws ClsConsumerError BODY_CORRUPT, API_… */
export function findMessages(memory: KernelMemory, plain: Span, place: ErrorPlace): FoundMessages {
  const scanned = scanResponse(memory, plain)
  return scanned === undefined ? parseMessages(memory, plain, place) : scannedMessages(memory, scanned)
}

function scannedMessages(memory: KernelMemory, scanned: ScannedResponse): FoundMessages {
  const { nextOffset, messageCount, table } = scanned
  return {
    nextOffset,
    messageCount,
    end: table.end,
    text: index => messageText(memory, scanned, index),
    raw(index) {
      const { start, end } = messageJson(memory, scanned, index)
      return new Uint8Array(memory.bytes.subarray(start, end))
    }
  }
}

/** Each text goes behind the one before, as UTF-8: what is not ASCII stays not base64. */
function parseMessages(memory: KernelMemory, plain: Span, place: ErrorPlace): FoundMessages {
  const { nextOffset, messages } = readResponse(memory.bytes.subarray(plain.start, plain.end), place)
  let end = align(plain.end)
  const spans = messages.map(message => {
    if (typeof message !== 'string') return undefined
    const start = end
    end += Buffer.byteLength(message)
    memory.reserve(end)
    memory.bytes.write(message, start)
    return { start, end }
  })
  return {
    nextOffset,
    messageCount: messages.length,
    end,
    text: index => spans[index],
    raw: index => toJsonBytes(messages[index] ?? null)
  }
}

/** The parser read one character a byte; what has more bits came from an escape, and becomes one again. */
function toJsonBytes(message: Json): Uint8Array {
  const json = printJson(printable(message)).replace(
    /[^\0-\xff]/g,
    unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
  return new Uint8Array(Buffer.from(json, 'latin1'))
}

/** A number past all doubles, `1e999`, was read as infinity, which JSON has no word for. */
function printable(value: Json): Json {
  if (typeof value === 'number' && !Number.isFinite(value)) return null
  if (Array.isArray(value)) return value.map(printable)
  if (!isRecord(value)) return value
  // `fromEntries` defines; assigning would take `__proto__` for the prototype.
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, printable(member)]))
}
