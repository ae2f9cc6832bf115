/**
 * Option rows as flags and environment variables.
 *
 * In: rows (of the option table, or a command's own), parsed flags, the environment. Out: flags for yargs, and what the
 * user gave, flags winning. Values stay text here: each row judges its own, so that all problems are reported together.
 * Secrets have no flag: a process list shows flags to everyone.
 */
import type { Options } from 'yargs'
import { ClsConsumerError } from '../errors.ts'
import { type Kind, type OptionRow, Wrong } from '../option-kinds.ts'
import { OPTIONS, type OptionName, type Settings } from '../options.ts'
import { invalidOptions, resolveSome } from '../resolve-options.ts'
import { unknownFlags } from './unknown-flags.ts'

export type Rows = Readonly<Record<string, OptionRow<unknown>>>
export type Env = Readonly<Record<string, string | undefined>>
export type Args = Readonly<Record<string, unknown>>

/** yargs' description of each row that has a flag. No default is given to yargs: it could not be told from a flag. */
export function flagsOf(rows: Rows): Record<string, Options> {
  const flags: Record<string, Options> = {}
  for (const option of Object.values(rows)) {
    if (option.flag === undefined) continue
    const shown = option.defaultText ?? (option.default === undefined ? undefined : String(option.default))
    flags[option.flag] = {
      ...(option.kind === 'flag' ? { type: 'boolean' } : { type: 'string', nargs: 1 }),
      ...(option.kind === 'list' ? { array: true } : {}),
      ...(shown === undefined ? {} : { defaultDescription: shown }),
      description: describe(option)
    }
  }
  return flags
}

/** Where the flag's name and help do not tell what it may be. */
const TYPE_IN_HELP: readonly Kind[] = ['integer', 'position', 'value']

function describe({ kind, type, help, env, choices }: OptionRow<unknown>): string {
  const range = choices?.join(', ') ?? (TYPE_IN_HELP.includes(kind) ? type.replaceAll('`', '') : '')
  return `${help}${range === '' ? '' : ` (${range})`}${env === undefined ? '' : ` [${env}]`}`
}

/** What the user gave for one row: the flag, else the variable. An empty variable counts as not set. */
export function givenFor(row: OptionRow<unknown>, args: Args, env: Env): unknown {
  const flag = row.flag === undefined ? undefined : args[row.flag]
  if (flag !== undefined) return row.kind === 'list' ? splitItems(flag) : flag
  const variable = row.env === undefined ? undefined : env[row.env]
  return variable === '' ? undefined : variable
}

/** `--topic a --topic b,c` names three. */
function splitItems(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  return value.flatMap(item => (typeof item === 'string' ? item.split(',').map(part => part.trim()) : [item]))
}

/** What the user gave for all rows, as given, by option name; what was not given is absent. */
export function givenOptions(rows: Rows, args: Args, env: Env): Record<string, unknown> {
  const given: Record<string, unknown> = {}
  for (const [name, row] of Object.entries(rows)) {
    const value = givenFor(row, args, env)
    if (value !== undefined) given[name] = value
  }
  return given
}

/** The access key, from the environment alone; undefined unless both of its parts are set. */
export function credentialsFrom(env: Env): { secretId: string; secretKey: string; token?: string } | undefined {
  const { CLS_SECRET_ID: secretId = '', CLS_SECRET_KEY: secretKey = '', CLS_TOKEN: token = '' } = env
  if (secretId === '' || secretKey === '') return undefined
  return { secretId, secretKey, ...(token === '' ? {} : { token }) }
}

const SECRET_FLAG = /^--?(secret|token|credential|password|access-?key)/i

/** @throws ClsConsumerError USAGE, never with the value, where a flag looks like a secret. */
export function refuseSecretFlags(argv: readonly string[]): void {
  const found = argv.find(argument => SECRET_FLAG.test(argument))
  if (found === undefined) return
  const [flag] = found.split('=')
  throw new ClsConsumerError(
    'USAGE',
    `${flag} is not taken from the command line, where every user of this host can read it: set CLS_SECRET_ID, CLS_SECRET_KEY and, for temporary credentials, CLS_TOKEN in the environment`
  )
}

/** Judges what a command was given and keeps every problem, unknown flags first, for one error. */
export class OptionCheck {
  readonly problems: string[]
  readonly #args: Args
  readonly #env: Env

  /** `rows`: all that the command has flags for. Any other flag is a problem. */
  constructor(args: Args, env: Env, rows: Rows) {
    this.#args = args
    this.#env = env
    this.problems = unknownFlags(args, rows)
  }

  take<T>(row: OptionRow<T> & { readonly default: NonNullable<T> }): T
  take<T>(row: OptionRow<T>): T | undefined
  take<T>(row: OptionRow<T>): T | undefined {
    const given = givenFor(row, this.#args, this.#env)
    if (given === undefined) return row.default
    const value = row.parse(given)
    if (!(value instanceof Wrong)) return value
    this.#refuse(row, given, value)
    return row.default
  }

  /** What was given for rows of the option table, by option name, for `finishWith`. */
  given(rows: Rows): Record<string, unknown> {
    const given = givenOptions(rows, this.#args, this.#env)
    for (const [name, row] of Object.entries(rows)) {
      if (row.fromText === undefined || given[name] === undefined) continue
      const value = row.fromText(given[name])
      if (value instanceof Wrong) this.#refuse(row, given[name], value)
      given[name] = value instanceof Wrong ? undefined : value
    }
    return given
  }

  /** @throws ClsConsumerError OPTIONS_INVALID where anything was wrong. */
  finish(): void {
    if (this.problems.length > 0) throw invalidOptions(this.problems)
  }

  /**
   * Settings of the option table, for a command that has rows of its own besides.
   * @throws ClsConsumerError OPTIONS_INVALID with all problems of both, and the flags that mend them.
   */
  finishWith<const N extends OptionName>(
    names: readonly N[],
    given: Readonly<Record<string, unknown>>
  ): Pick<Settings, N> {
    try {
      return resolveSome(names, given, this.problems)
    } catch (error) {
      if (!(error instanceof ClsConsumerError)) throw error
      throw new ClsConsumerError('OPTIONS_INVALID', [error.message, ...whereToSet(names, given)].join('\n'))
    }
  }

  #refuse({ flag, env }: OptionRow<unknown>, given: unknown, { expected }: Wrong): void {
    const place = flag !== undefined && this.#args[flag] !== undefined ? `--${flag}` : env
    const shown = Array.isArray(given) ? 'given more than once' : JSON.stringify(given)
    this.problems.push(`${place} is ${shown}, expected ${expected}`)
  }
}

/** Errors of the table name options; users of the command line need to know flags and variables. */
function whereToSet(names: readonly OptionName[], given: Readonly<Record<string, unknown>>): string[] {
  const lines = names.flatMap(name => {
    const option: OptionRow<unknown> = OPTIONS[name]
    const value = given[name]
    if (value === undefined ? !option.required : !(option.parse(value) instanceof Wrong)) return []
    return [`  ${name}: ${placesOf(option).join(' or ')}`]
  })
  return lines.length === 0 ? [] : ['where to set them:', ...lines]
}

function placesOf({ flag, env }: OptionRow<unknown>): string[] {
  if (flag === undefined && env === undefined) return ['CLS_SECRET_ID and CLS_SECRET_KEY in the environment']
  return [flag === undefined ? '' : `--${flag}`, env ?? ''].filter(place => place !== '')
}
