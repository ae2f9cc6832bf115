/**
 * Where the value of an option was given.
 *
 * In: option rows, flags, environment, a config file. Out: what was given for a row, by every source, the weightiest
 * first: flag, variable, file; and the words for a source, in errors and where options are printed. Pure.
 */
import { type OptionRow, parseWritten, Wrong } from '../option-kinds.ts'
import { showValue } from '../resolve-options.ts'
import type { ConfigFile } from './config-file.ts'

export type Rows = Readonly<Record<string, OptionRow<unknown>>>
export type Env = Readonly<Record<string, string | undefined>>
export type Args = Readonly<Record<string, unknown>>

export type Origin =
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'variable'; readonly variable: string }
  | { readonly kind: 'file'; readonly file: string; readonly line: number }

export interface Given {
  readonly origin: Origin
  readonly value: unknown
  /** The value as the row takes it: a text that stands for something else is read. */
  readonly parsed: unknown
}

/** What each source gives for the row, the weightiest first. An empty variable is not set. */
export function allGiven(name: string, row: OptionRow<unknown>, args: Args, env: Env, file?: ConfigFile): Given[] {
  const all: Given[] = givenAsText(row, args, env).map(({ origin, value }) => {
    const parsed = row.fromText === undefined ? row.parse(value) : row.fromText(value)
    return { origin, value, parsed }
  })
  const entry = file?.entries.get(name)
  if (file === undefined || entry === undefined) return all
  const { value, line } = entry
  return [...all, { origin: { kind: 'file', file: file.name, line }, value, parsed: parseWritten(row, value) }]
}

function givenAsText(row: OptionRow<unknown>, args: Args, env: Env): { origin: Origin; value: unknown }[] {
  const given: { origin: Origin; value: unknown }[] = []
  const value = row.flag === undefined ? undefined : args[row.flag]
  if (row.flag !== undefined && value !== undefined) {
    given.push({ origin: { kind: 'flag', flag: row.flag }, value: row.kind === 'list' ? splitItems(value) : value })
  }
  const text = row.env === undefined ? undefined : env[row.env]
  if (row.env !== undefined && text !== undefined && text !== '') {
    given.push({ origin: { kind: 'variable', variable: row.env }, value: text })
  }
  return given
}

/** `--topic a --topic b,c` names three. */
function splitItems(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  return value.flatMap(item => (typeof item === 'string' ? item.split(',').map(part => part.trim()) : [item]))
}

/** `--threads`, `CLS_THREADS`, `consumer.yaml:7`. */
export function originName(origin: Origin): string {
  if (origin.kind === 'flag') return `--${origin.flag}`
  return origin.kind === 'variable' ? origin.variable : `${origin.file}:${origin.line}`
}

/** One line of an error: where the wrong value stands, what it is (where that may be shown), what it should be. */
export function wrongValue(name: string, row: OptionRow<unknown>, given: Given, expected: string, file?: ConfigFile) {
  const { origin, value } = given
  const { kind } = row
  if (origin.kind === 'file') {
    const unquoted = file?.entries.get(name)?.unquoted
    const isMeant = unquoted !== undefined && (kind === 'list' || !(row.parse(unquoted.text) instanceof Wrong))
    const cure = isMeant && (kind === 'list' || kind === 'text') ? `: write "${unquoted.text}", in quotes` : ''
    const line = cure === '' ? origin.line : unquoted?.line
    return `file ${origin.file} line ${line}: ${name} is ${showValue(name, value)}, expected ${expected}${cure}`
  }
  return `${originName(origin)} is ${showGiven(row, value)}, expected ${expected}`
}

function showGiven({ kind, fromText }: OptionRow<unknown>, value: unknown): string {
  if (Array.isArray(value)) return kind === 'list' ? showValue('', value.join(',')) : 'given more than once'
  // A value of the user's own making may hold a secret (I9).
  return fromText !== undefined && typeof value === 'string' ? `a text of length ${value.length}` : showValue('', value)
}
