/**
 * One line of NDJSON (JSON Lines) as the contents of a log.
 *
 * In: a line of text. Out: the object's fields in their order, or why it is none. A string becomes what it says;
 * everything else stays as it is written: every digit of a number, a nested object with its spaces. A key that repeats
 * is kept as often, as the log model allows. Pure. Must never happen: a digit lost on the way through a double.
 */
import type { Content } from '../cls/log-group.ts'

export type JsonLine =
  | { readonly kind: 'object'; readonly contents: readonly Content[] }
  | { readonly kind: 'other'; readonly why: string }

export function parseJsonLine(line: string): JsonLine {
  let parsed: unknown
  try {
    // Judged by the platform's parser; its value is not used, since it has rounded the numbers.
    parsed = JSON.parse(line)
  } catch (error) {
    return { kind: 'other', why: error instanceof Error ? error.message : String(error) }
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
    return { kind: 'object', contents: members(line) }
  }
  return { kind: 'other', why: `it is ${nameOf(parsed)}, not an object` }
}

function nameOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}

/** Of text that is known to be one JSON object: so nothing here looks for errors. */
function members(text: string): Content[] {
  const contents: Content[] = []
  let at = skip(text, text.indexOf('{') + 1)
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at)
    const valueAt = skip(text, text.indexOf(':', keyEnd) + 1)
    const valueEnd = endOfValue(text, valueAt)
    const value = text.slice(valueAt, valueEnd)
    contents.push({ key: readString(text.slice(at, keyEnd)), value: value[0] === '"' ? readString(value) : value })
    at = skip(text, valueEnd) // at the comma, or the closing brace
    if (text[at] === ',') at = skip(text, at + 1)
  }
  return contents
}

function readString(source: string): string {
  const value: string = JSON.parse(source)
  return value
}

function endOfValue(text: string, at: number): number {
  switch (text[at]) {
    case '"':
      return endOfString(text, at)
    case '{':
    case '[':
      return endOfNested(text, at)
    default:
      SCALAR.lastIndex = at
      SCALAR.test(text)
      return SCALAR.lastIndex
  }
}

/** A number, `true`, `false` or `null`. */
const SCALAR = /[^\s,}]+/y

/** From the opening quote to behind the closing one. */
function endOfString(text: string, start: number): number {
  let quote = text.indexOf('"', start + 1)
  while (isEscaped(text, quote)) quote = text.indexOf('"', quote + 1)
  return quote + 1
}

/** Whether the quote at `quote` has an odd number of backslashes before it. */
function isEscaped(text: string, quote: number): boolean {
  let first = quote
  while (text[first - 1] === '\\') first--
  return (quote - first) % 2 === 1
}

/** From the opening bracket to behind the one that closes it; brackets within strings do not count. */
function endOfNested(text: string, start: number): number {
  let depth = 0
  let at = start
  do {
    const character = text[at]
    if (character === '"') {
      at = endOfString(text, at)
      continue
    }
    if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    at++
  } while (depth > 0)
  return at
}

function skip(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\t' || text[at] === '\r' || text[at] === '\n') at++
  return at
}
