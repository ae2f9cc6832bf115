/**
 * The kinds of option: what each accepts, from code and from the text of a flag or variable.
 *
 * In: one untrusted value. Out: the value as the stages use it, or `Wrong` with what it should have been. Nothing here
 * knows which options there are, or throws.
 */

/** A wrong value: what it should be. The name and the value are added by the caller. */
export class Wrong {
  readonly expected: string
  constructor(expected: string) {
    this.expected = expected
  }
}

export type Kind = 'text' | 'integer' | 'flag' | 'choice' | 'list' | 'position' | 'value'

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
  const { pattern = /./s, expected = 'a text that is not empty', ...rest } = words
  return row('text', 'text', rest, input =>
    typeof input === 'string' && pattern.test(input) ? input : new Wrong(expected)
  )
}

export function integer(words: Words & { min: number; max: number; step?: number; unit: string }): OptionRow<number> {
  const { min, max, step = 1, unit, ...rest } = words
  const expected = `a whole number of ${unit} from ${min} to ${max}${step === 1 ? '' : `, a multiple of ${step}`}`
  const type = `${unit}, ${min} – ${max}${step === 1 ? '' : `, multiple of ${step}`}`
  return row('integer', type, rest, input => {
    const value = typeof input === 'string' && /^\d+$/.test(input) ? Number(input) : input
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) return new Wrong(expected)
    return value >= min && value <= max && value % step === 0 ? value : new Wrong(expected)
  })
}

export function flag(words: Words): OptionRow<boolean> {
  return row('flag', 'true or false', words, input => {
    if (typeof input === 'boolean') return input
    if (input === 'true' || input === '1') return true
    if (input === 'false' || input === '0') return false
    return new Wrong('true or false')
  })
}

export function choice<const T extends string>(choices: readonly T[], words: Words): OptionRow<T> {
  const type = choices.map(name => `\`${name}\``).join(', ')
  return {
    ...row('choice', type, words, input => choices.find(name => name === input) ?? new Wrong(choices.join(' or '))),
    choices
  }
}

export function list(words: Words & { item: string }): OptionRow<readonly string[]> {
  const { item, ...rest } = words
  return row('list', `list of ${item}s`, rest, input => {
    const items = typeof input === 'string' ? input.split(',').map(part => part.trim()) : input
    if (!Array.isArray(items) || items.length === 0) return new Wrong(`a list of at least one ${item}`)
    const texts = items.filter(part => typeof part === 'string' && part !== '')
    if (texts.length !== items.length) return new Wrong(`a list of ${item}s, each a text that is not empty`)
    if (new Set(texts).size !== texts.length) return new Wrong(`a list of different ${item}s`)
    return texts
  })
}

const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/

/** The log's ends, Unix seconds, a Date, or an ISO 8601 time (of a fraction of a second, the second it lies in). */
export function position<const T extends string>(names: readonly T[], words: Words): OptionRow<T | number> {
  const expected = `${names.join(', ')}, Unix seconds, or a time such as 2026-01-31T08:00:00Z`
  return row('position', `${names.map(name => `\`${name}\``).join(', ')}, Unix seconds, ISO time`, words, input => {
    const name = names.find(candidate => candidate === input)
    if (name !== undefined) return name
    let seconds = Number.NaN
    if (typeof input === 'number') seconds = input
    else if (input instanceof Date) seconds = Math.floor(input.getTime() / 1000)
    else if (typeof input === 'string' && /^\d+$/.test(input)) seconds = Number(input)
    else if (typeof input === 'string' && ISO_TIME.test(input)) seconds = Math.floor(Date.parse(input) / 1000)
    // Past year 9999 it is milliseconds by mistake.
    return Number.isInteger(seconds) && seconds >= 0 && seconds < 253_402_300_800 ? seconds : new Wrong(expected)
  })
}

/** Any value from code, as it is; JSON from a flag or variable. */
export function anyValue(words: Words): OptionRow<unknown> {
  const option = row<unknown>('value', 'any cloneable value; JSON in a flag or variable', words, input => input)
  return { ...option, fromText: parseUserJson }
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

export function required<T>(option: OptionRow<T>): OptionRow<T> & { readonly required: true } {
  return { ...option, required: true }
}

export function withDefault<T>(value: T, option: OptionRow<T>): OptionRow<T> & { readonly default: T } {
  return { ...option, default: value }
}
