/**
 * Options from flags, environment variables and a config file.
 *
 * In: rows (of the option table, or a command's own), parsed flags, the environment, a file. Out: what the user gave,
 * flags outweighing variables, and those the file; or one error with all problems of all sources, each with where it
 * stands. Reads the file alone: flags come parsed.
 */
import { type OptionRow, Wrong } from '../option-kinds.ts'
import { OPTIONS, type OptionName, type Settings } from '../options.ts'
import { invalidOptions, resolveSome } from '../resolve-options.ts'
import { CONFIG, type ConfigFile, isWritable, readConfigFile } from './config-file.ts'
import { unsetCredentials } from './env-credentials.ts'
import {
  type Args,
  allGiven,
  type Env,
  type Given,
  type Origin,
  originName,
  type Rows,
  wrongValue
} from './option-sources.ts'
import { unknownFlags } from './unknown-flags.ts'

/** Judges what a command was given and keeps every problem, unknown flags first, for one error. */
export class OptionCheck {
  readonly problems: string[]
  readonly #args: Args
  readonly #env: Env
  readonly #rows: Rows
  readonly #origins = new Map<string, Origin>()
  readonly #refused = new Set<string>()
  #file: ConfigFile | undefined

  /** `rows`: all that the command has flags for. Any other flag is a problem. */
  constructor(args: Args, env: Env, rows: Rows) {
    this.#args = args
    this.#env = env
    this.#rows = rows
    this.problems = unknownFlags(args, rows)
  }

  take<T>(row: OptionRow<T> & { readonly default: NonNullable<T> }): T
  take<T>(row: OptionRow<T>): T | undefined
  take<T>(row: OptionRow<T>): T | undefined {
    const all = allGiven('', row, this.#args, this.#env)
    for (const given of all) this.#tell('', row, given)
    const [first] = all
    if (first === undefined) return row.default
    const value = row.parse(first.value)
    return value instanceof Wrong ? row.default : value
  }

  /**
   * Takes in the config file, before `given`: the one that `--config` or CLS_CONFIG names, if any, or the one that code
   * names. For commands with the row `CONFIG`.
   */
  readConfig(cwd: string, fromCode?: string): void {
    const name = fromCode ?? this.take(CONFIG.config)
    if (name === undefined) return
    const namedBy = this.#args.config === undefined ? 'CLS_CONFIG' : '--config'
    this.#file = readConfigFile(name, cwd, fromCode === undefined ? namedBy : 'config')
    this.problems.push(...this.#file.problems)
    for (const refused of this.#file.refused) this.#refused.add(refused)
  }

  /**
   * What was given for rows of the option table, by option name, for `finishWith`. What is outweighed is judged too: a
   * mistake that hides today shows on the day the flag is left out.
   */
  given(rows: Rows): Record<string, unknown> {
    const taken: Record<string, unknown> = {}
    for (const [name, row] of Object.entries(rows)) {
      const all = allGiven(name, row, this.#args, this.#env, this.#file)
      for (const given of all) this.#tell(name, row, given)
      const [first] = all
      if (first === undefined) continue
      this.#origins.set(name, first.origin)
      if (first.parsed instanceof Wrong) this.#refused.add(name)
      else taken[name] = row.fromText === undefined ? first.value : first.parsed
    }
    return taken
  }

  /** Where the option that `given` returned was given; undefined for a default. */
  originOf(name: string): Origin | undefined {
    return this.#origins.get(name)
  }

  /** Of a relative path given for this option: the working folder, or for one in the config file, the folder of it. */
  folderOf(name: string, cwd: string): string {
    return this.#origins.get(name)?.kind === 'file' ? (this.#file?.folder ?? cwd) : cwd
  }

  /** @throws ClsConsumerError OPTIONS_INVALID where anything was wrong. */
  finish(): void {
    if (this.problems.length > 0) throw invalidOptions(this.problems)
  }

  /**
   * Settings of the option table, for a command that has rows of its own besides.
   * @throws ClsConsumerError OPTIONS_INVALID with all problems of both, each with where it stands or how to give it.
   */
  finishWith<const N extends OptionName>(
    names: readonly N[],
    given: Readonly<Record<string, unknown>>
  ): Pick<Settings, N> {
    return resolveSome(names, given, {
      problems: this.problems,
      refused: this.#refused,
      mayBeGiven: name => this.#file?.isParsed === false && isWritable(name),
      help: name => this.#rows[name]?.help ?? OPTIONS[name].help,
      place: name => {
        const origin = this.#origins.get(name)
        return origin === undefined ? '' : ` (${originName(origin)})`
      },
      cure: name => {
        const ways = this.#waysToGive(name)
        return ways.length === 0 ? '' : ` (${ways.join(', ')})`
      }
    })
  }

  #tell(name: string, row: OptionRow<unknown>, given: Given): void {
    if (given.parsed instanceof Wrong)
      this.problems.push(wrongValue(name, row, given, given.parsed.expected, this.#file))
  }

  /** For what is missing: by those of its flag, its variable and the file that this command takes. */
  #waysToGive(name: OptionName): string[] {
    if (name === 'credentials') return unsetCredentials(this.#env).map(variable => `${variable} is not set`)
    const { flag, env }: OptionRow<unknown> = OPTIONS[name]
    const rows = Object.values(this.#rows)
    const hasFlag = flag !== undefined && rows.some(row => row.flag === flag)
    const hasFile = rows.includes(CONFIG.config) && isWritable(name)
    return [hasFlag ? `--${flag}` : [], env ?? [], hasFile ? `${name} in a config file` : []].flat()
  }
}
