/**
 * Option rows as flags.
 *
 * In: rows (of the option table, or a command's own), arguments. Out: flags for yargs; or an error where an argument is a
 * flag that looks like a secret. Those have no flag: a process list shows flags to everyone.
 */
import type { Options } from 'yargs'
import type { Rows } from '../config/option-sources.ts'
import { ClsConsumerError } from '../errors.ts'
import type { Kind, OptionRow } from '../option-kinds.ts'
import { looksSecret } from '../secrets.ts'

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

/** Its name alone: behind it stands the value, after an equals sign or, in one argument, whatever else. */
const FLAG_NAME = /^--?[\w.-]*/

/** @throws ClsConsumerError USAGE, never with the value, where a flag looks like a secret. */
export function refuseSecretFlags(argv: readonly string[]): void {
  const found = argv.map(argument => FLAG_NAME.exec(argument)?.[0] ?? '').find(looksSecret)
  if (found === undefined) return
  throw new ClsConsumerError(
    'USAGE',
    `${found} is not taken from the command line, where every user of this host can read it: set CLS_SECRET_ID, CLS_SECRET_KEY and, for temporary credentials, CLS_TOKEN in the environment`
  )
}
