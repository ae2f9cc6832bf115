/**
 * JSON with exact integers.
 *
 * In: JSON text. Out: values in which an integer that a `number` cannot hold exactly is a `bigint`; and back to text.
 * Must never happen: an int64 offset rounded on its way through a double (I10).
 *
 * Node 20's `JSON.parse` gives no source text to a reviver. `lossless-json` appends strings character by character:
 * 450 ms for a response of 4 MB. This scanner leaves strings to `JSON.parse` and takes a few ms, so it is ours.
 */

export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json }

/** What can be printed: `Json`, read-only or not. Members that are `undefined` are left out. */
export type Printable =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Printable[]
  | { readonly [key: string]: Printable | undefined }

/** Deeper nesting than any answer of the service has; keeps hostile text from exhausting the stack. */
const DEPTH_MAX = 200
/** Longer integers are refused: converting them takes more than linear time. */
const INTEGER_DIGITS_MAX = 1000

/** Text that is no JSON. */
export class JsonError extends SyntaxError {
  /** Where that shows: a character of the text, from 0. */
  readonly position: number

  constructor(what: string, position: number) {
    super(`${what}, at position ${position}`)
    this.position = position
  }
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/**
 * Parses one JSON text. Integers written without fraction and exponent are exact, as `bigint` where not a safe integer.
 * @throws JsonError
 */
export function parseJson(text: string): Json {
  const cursor: Cursor = { text, at: 0 }
  skipSpace(cursor)
  const value = parseValue(cursor, 0)
  if (cursor.at < text.length) throw unexpected(cursor, 'the end')
  return value
}

/**
 * Prints compact JSON; a `bigint` becomes plain digits.
 * @throws TypeError for NaN and infinities, which JSON cannot say.
 */
export function printJson(value: Printable): string {
  switch (typeof value) {
    case 'bigint':
      return value.toString()
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} cannot be written as JSON`)
      return String(value)
    case 'string':
      return JSON.stringify(value)
    case 'boolean':
      return String(value)
  }
  if (value === null) return 'null'
  if (isList(value)) return `[${value.map(printJson).join(',')}]`
  const members = Object.entries(value).flatMap(([key, member]) =>
    member === undefined ? [] : [`${JSON.stringify(key)}:${printJson(member)}`]
  )
  return `{${members.join(',')}}`
}

/** The value as an exact int64: from a safe integer, a bigint or a decimal string; else `undefined`. */
export function int64(value: Json | undefined): bigint | undefined {
  const wide = wideInteger(value)
  return wide === undefined || wide < INT64_MIN || wide > INT64_MAX ? undefined : wide
}

export function isRecord(value: unknown): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wideInteger(value: Json | undefined): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  if (typeof value === 'string') return /^-?\d{1,19}$/.test(value) ? BigInt(value) : undefined
  return undefined
}

function isList(value: object): value is readonly Printable[] {
  return Array.isArray(value)
}

interface Cursor {
  readonly text: string
  at: number
}

function parseValue(cursor: Cursor, depth: number): Json {
  if (depth > DEPTH_MAX) throw new JsonError(`JSON is nested deeper than ${DEPTH_MAX}`, cursor.at)
  switch (cursor.text[cursor.at]) {
    case '{':
      return parseObject(cursor, depth)
    case '[':
      return parseList(cursor, depth)
    case '"':
      return parseString(cursor)
    case 't':
      return parseWord(cursor, 'true', true)
    case 'f':
      return parseWord(cursor, 'false', false)
    case 'n':
      return parseWord(cursor, 'null', null)
    default:
      return parseNumber(cursor)
  }
}

function parseObject(cursor: Cursor, depth: number): Json {
  const object: { [key: string]: Json } = {}
  step(cursor)
  if (take(cursor, '}')) return object
  for (;;) {
    if (cursor.text[cursor.at] !== '"') throw unexpected(cursor, 'a key')
    const key = parseString(cursor)
    if (!take(cursor, ':')) throw unexpected(cursor, "':'")
    const value = parseValue(cursor, depth + 1)
    // Plain assignment would set the prototype. Of equal keys the last one counts, as with JSON.parse.
    if (key === '__proto__') {
      Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
    } else object[key] = value
    if (take(cursor, '}')) return object
    if (!take(cursor, ',')) throw unexpected(cursor, "',' or '}'")
  }
}

function parseList(cursor: Cursor, depth: number): Json {
  const list: Json[] = []
  step(cursor)
  if (take(cursor, ']')) return list
  for (;;) {
    list.push(parseValue(cursor, depth + 1))
    if (take(cursor, ']')) return list
    if (!take(cursor, ',')) throw unexpected(cursor, "',' or ']'")
  }
}

/** Finds the closing quote by `indexOf` and leaves escapes and control characters to `JSON.parse`. */
function parseString(cursor: Cursor): string {
  const { text, at: start } = cursor
  let end = text.indexOf('"', start + 1)
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  if (end === -1) throw new JsonError('JSON has a string that does not end', start)
  cursor.at = end + 1
  skipSpace(cursor)
  try {
    const value: string = JSON.parse(text.slice(start, end + 1))
    return value
  } catch {
    // JSON.parse counts from the string's beginning, and says so in words alone.
    cursor.at = findFault(text, start + 1)
    throw unexpected(cursor, 'a character of a string')
  }
}

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/** The first control character or unknown escape of a string that has one. */
function findFault(text: string, start: number): number {
  let at = start
  while (text.charCodeAt(at) >= 0x20) {
    if (text[at] === '\\') {
      ESCAPE.lastIndex = at
      if (!ESCAPE.test(text)) return at
      at = ESCAPE.lastIndex
    } else at++
  }
  return at
}

/** Whether the quote at `quote` has an odd number of backslashes before it. */
function isEscaped(text: string, quote: number): boolean {
  let first = quote
  while (text[first - 1] === '\\') first--
  return (quote - first) % 2 === 1
}

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y

function parseNumber(cursor: Cursor): number | bigint {
  NUMBER.lastIndex = cursor.at
  const match = NUMBER.exec(cursor.text)
  if (match === null) throw unexpected(cursor, 'a value')
  const [source, fraction, exponent] = match
  const double = Number(source)
  const exact = fraction !== undefined || exponent !== undefined || Number.isSafeInteger(double)
  if (!exact && source.length > INTEGER_DIGITS_MAX) throw unexpected(cursor, 'a shorter integer')
  cursor.at += source.length
  skipSpace(cursor)
  return exact ? double : BigInt(source)
}

function parseWord<T extends Json>(cursor: Cursor, word: string, value: T): T {
  if (!cursor.text.startsWith(word, cursor.at)) throw unexpected(cursor, 'a value')
  cursor.at += word.length
  skipSpace(cursor)
  return value
}

function take(cursor: Cursor, character: string): boolean {
  if (cursor.text[cursor.at] !== character) return false
  step(cursor)
  return true
}

function step(cursor: Cursor): void {
  cursor.at++
  skipSpace(cursor)
}

function skipSpace(cursor: Cursor): void {
  for (;;) {
    const code = cursor.text.charCodeAt(cursor.at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
    cursor.at++
  }
}

function unexpected({ text, at }: Cursor, expected: string): JsonError {
  const found = at < text.length ? JSON.stringify(text[at]) : 'the end'
  return new JsonError(`JSON has ${found} where ${expected} was expected`, at)
}
