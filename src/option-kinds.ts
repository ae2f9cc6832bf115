/**
 * The kinds of option: what each accepts, from code, from the text of a flag or variable, and from a config file.
 *
 * In: one untrusted value. Out: the value as the stages use it, or `Wrong` with what it should have been. A row's
 * `schema` says the same as `parseWritten`, for editors. Nothing here knows which options there are, or throws.
 */

/** A wrong value: what it should be. The name and the value are added by the caller. */
export class Wrong {
  readonly expected: string
  constructor(expected: string) {
    this.expected = expected
  }
}

export type Kind = 'text' | 'integer' | 'flag' | 'choice' | 'list' | 'position' | 'value'

/** JSON Schema (2020-12), as far as options need it. */
export interface ValueSchema {
  readonly type?: 'string' | 'integer' | 'boolean' | 'array'
  readonly enum?: readonly string[]
  readonly minLength?: number
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly multipleOf?: number
  readonly items?: ValueSchema
  readonly minItems?: number
  readonly uniqueItems?: boolean
  readonly anyOf?: readonly ValueSchema[]
}

export interface OptionRow<T> {
  readonly kind: Kind
  /** What it may be, in a few words, for help texts and the README. */
  readonly type: string
  readonly default: T | undefined
  /** The default in words, where the value alone would not tell. */
  readonly defaultText?: string
  readonly required: boolean
  /** Environment variable; absent for what cannot be written as text. */
  readonly env?: string
  /** Command-line flag without dashes; absent for secrets and functions. */
  readonly flag?: string
  /** The service's name for it. */
  readonly service?: string
  readonly help: string
  readonly choices?: readonly string[]
  /** Of the value in a config file; absent for what cannot be written. */
  readonly schema?: ValueSchema
  /** From the user's value, or from text of a flag or variable. */
  readonly parse: (input: unknown) => T | Wrong
  /**
   * First of all for what a flag or variable gave, where `parse` could not tell its text from a value: from code a text
   * may be meant as the text it is.
   */
  readonly fromText?: (given: unknown) => T | Wrong
}

interface Words {
  readonly help: string
  readonly env?: string
  readonly flag?: string
  readonly service?: string
  readonly defaultText?: string
}

/** No default: absent unless given, or (`required`) refused when absent. */
export function row<T>(kind: Kind, type: string, words: Words, parse: (input: unknown) => T | Wrong): OptionRow<T> {
  return { kind, type, default: undefined, required: false, parse, ...words }
}

export function text(words: Words & { pattern?: RegExp; expected?: string }): OptionRow<string> {
  const { pattern, expected = 'a text that is not empty', ...rest } = words
  const accepts = (input: string) => (pattern === undefined ? input !== '' : pattern.test(input))
  return {
    ...row('text', 'text', rest, input => (typeof input === 'string' && accepts(input) ? input : new Wrong(expected))),
    schema: { type: 'string', ...(pattern === undefined ? { minLength: 1 } : { pattern: pattern.source }) }
  }
}

/** `unit`: of what it is a number; absent for numbers that count nothing. */
export function integer(words: Words & { min: number; max: number; step?: number; unit?: string }): OptionRow<number> {
  const { min, max, step = 1, unit, ...rest } = words
  const counted = unit === undefined ? '' : ` of ${unit}`
  const expected = `a whole number${counted} from ${min} to ${max}${step === 1 ? '' : `, a multiple of ${step}`}`
  const type = `${unit === undefined ? '' : `${unit}, `}${min} – ${max}${step === 1 ? '' : `, multiple of ${step}`}`
  return {
    ...row('integer', type, rest, input => {
      const value = isDigits(input) ? Number(input) : input
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) return new Wrong(expected)
      return value >= min && value <= max && value % step === 0 ? value : new Wrong(expected)
    }),
    schema: { type: 'integer', minimum: min, maximum: max, ...(step === 1 ? {} : { multipleOf: step }) }
  }
}

function isDigits(input: unknown): input is string {
  return typeof input === 'string' && /^\d+$/.test(input)
}

export function flag(words: Words): OptionRow<boolean> {
  return {
    ...row('flag', 'true or false', words, input => {
      if (typeof input === 'boolean') return input
      if (input === 'true' || input === '1') return true
      if (input === 'false' || input === '0') return false
      return new Wrong('true or false')
    }),
    schema: { type: 'boolean' }
  }
}

export function choice<const T extends string>(choices: readonly T[], words: Words): OptionRow<T> {
  const type = choices.map(name => `\`${name}\``).join(', ')
  return {
    ...row('choice', type, words, input => choices.find(name => name === input) ?? new Wrong(choices.join(' or '))),
    choices,
    schema: { enum: choices }
  }
}

export function list(words: Words & { item: string }): OptionRow<readonly string[]> {
  const { item, ...rest } = words
  const parse = (input: unknown) => {
    const items = typeof input === 'string' ? input.split(',').map(part => part.trim()) : input
    if (!Array.isArray(items) || items.length === 0) return new Wrong(`a list of at least one ${item}`)
    const texts = items.filter(part => typeof part === 'string' && part !== '')
    if (texts.length !== items.length) return new Wrong(`a list of ${item}s, each a text that is not empty`)
    if (new Set(texts).size !== texts.length) return new Wrong(`a list of different ${item}s`)
    return texts
  }
  return {
    ...row<readonly string[]>('list', `list of ${item}s`, rest, parse),
    schema: { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, uniqueItems: true }
  }
}

const ISO_TIME =
  /^(19[7-9]\d|[2-9]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)?)?$/

/** Past year 9999 it is milliseconds by mistake. */
const SECONDS_MAX = 253_402_300_799

/** The log's ends, Unix seconds, a Date, or an ISO 8601 time (of a fraction of a second, the second it lies in). */
export function position<const T extends string>(names: readonly T[], words: Words): OptionRow<T | number> {
  const expected = `${[...names, 'Unix seconds'].join(', ')}, or a time such as 2026-01-31T08:00:00Z`
  const type = [...names.map(name => `\`${name}\``), 'Unix seconds', 'ISO time'].join(', ')
  const parse = (input: unknown) => {
    const name = names.find(candidate => candidate === input)
    if (name !== undefined) return name
    let seconds = Number.NaN
    if (typeof input === 'number') seconds = input
    else if (input instanceof Date) seconds = Math.floor(input.getTime() / 1000)
    else if (isDigits(input)) seconds = Number(input)
    else if (typeof input === 'string' && isTime(input)) seconds = Math.floor(Date.parse(input) / 1000)
    return Number.isInteger(seconds) && seconds >= 0 && seconds <= SECONDS_MAX ? seconds : new Wrong(expected)
  }
  return {
    ...row<T | number>('position', type, words, parse),
    schema: {
      anyOf: [
        { enum: names },
        { type: 'integer', minimum: 0, maximum: SECONDS_MAX },
        // Its days are not counted by month: the 30th of February is refused by `parse` alone.
        { type: 'string', pattern: ISO_TIME.source }
      ]
    }
  }
}

/** `Date.parse` takes the 30th of February for the 2nd of March. */
function isTime(text: string): boolean {
  if (!ISO_TIME.test(text)) return false
  const day = text.slice(0, 10)
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)
}

/** Any value from code, as it is; JSON from a flag or variable. */
export function anyValue(words: Words): OptionRow<unknown> {
  const option = row<unknown>('value', 'any cloneable value; JSON in a flag or variable', words, input => input)
  return { ...option, fromText: parseUserJson, schema: {} }
}

/** Plain `JSON.parse`: these are the user's own values, and a processor expects ordinary numbers. */
function parseUserJson(given: unknown): unknown {
  try {
    if (typeof given === 'string') return JSON.parse(given)
  } catch {
    // `Wrong` says what it should have been.
  }
  return new Wrong('JSON')
}

/** Where text of a flag or variable stands for something else, which a file writes as what it is. */
const WRITTEN_AS: Partial<Record<Kind, string>> = {
  integer: 'a number without quotes',
  flag: 'true or false without quotes',
  list: 'a list, such as [a, b]',
  position: 'Unix seconds without quotes'
}

/** A value of a config file, which has numbers, truth values and lists of its own: their texts are refused. */
export function parseWritten<T>(option: OptionRow<T>, value: unknown): T | Wrong {
  const parsed = option.parse(value)
  if (parsed instanceof Wrong || typeof value !== 'string') return parsed
  const expected = WRITTEN_AS[option.kind]
  if (expected === undefined || (option.kind === 'position' && !isDigits(value))) return parsed
  return new Wrong(expected)
}

export function required<T>(option: OptionRow<T>): OptionRow<T> & { readonly required: true } {
  return { ...option, required: true }
}

export function withDefault<T>(value: T, option: OptionRow<T>): OptionRow<T> & { readonly default: T } {
  return { ...option, default: value }
}
