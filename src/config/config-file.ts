/**
 * The config file: options that neither a flag nor a variable gives.
 *
 * In: a path. Out: the options in it by name, each with its line, and every problem of the file with the file's name, the
 * line and the cure. Values are judged later, by the rows they belong to. Must never happen: a secret taken from a file,
 * or shown in a problem (I9).
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import { type Candidate, didYouMean, nearest } from '../nearest.ts'
import { printable } from '../observe/logger.ts'
import { type OptionRow, text } from '../option-kinds.ts'
import { OPTIONS } from '../options.ts'
import { holdsMask, looksSecret, MASK } from '../secrets.ts'
import { type ConfigFormat, readConfigText, type WrittenValue } from './config-text.ts'

export interface ConfigFile {
  /** As the user wrote it. */
  readonly name: string
  /** Absolute. Relative paths in the file are relative to it. */
  readonly folder: string
  /** By option name. */
  readonly entries: ReadonlyMap<string, WrittenValue>
  readonly problems: readonly string[]
  /** Options that are given, but so that they are among the problems. */
  readonly refused: ReadonlySet<string>
  /** False where it could not be read or parsed: nobody knows then what it gives. */
  readonly isParsed: boolean
}

/** The row of a command that takes a config file. */
export const CONFIG = {
  config: text({
    flag: 'config',
    env: 'CLS_CONFIG',
    help: 'Config file, YAML or JSON, with options by their names in code; flags and variables outweigh it'
  })
}

/** The rows that can be written down, by name: neither functions nor secrets. */
export const WRITABLE: readonly (readonly [string, OptionRow<unknown>])[] = Object.entries(OPTIONS).filter(
  ([, { schema, flag, env }]: readonly [string, OptionRow<unknown>]) =>
    schema !== undefined && (flag !== undefined || env !== undefined)
)

/** Whether the option of this name can be written down. */
export function isWritable(name: string): boolean {
  return WRITABLE.some(([writable]) => writable === name)
}

/** Editors find the schema of a JSON file by it. */
export const SCHEMA_KEY = '$schema'

const BYTES_MAX = 256 * 1024
const PROBLEMS_SHOWN_MAX = 20
const KEY_SHOWN_MAX = 80

const FORMATS: Readonly<Record<string, ConfigFormat>> = { '.yaml': 'yaml', '.yml': 'yaml', '.json': 'json' }

/** Never throws for what is wrong with the file: its problems are told with all others. `namedBy`: who gave the path. */
export function readConfigFile(name: string, cwd: string, namedBy: string): ConfigFile {
  const path = resolve(cwd, name)
  const folder = dirname(path)
  const broken = (problem: string): ConfigFile => ({
    name,
    folder,
    entries: new Map(),
    problems: [`file ${name} (${namedBy}): ${problem}`],
    refused: new Set(),
    isParsed: false
  })
  const format = FORMATS[extname(path).toLowerCase()]
  if (format === undefined) return broken('is named neither .yaml, .yml nor .json, which tells how it is written')
  const content = readText(path)
  return 'problem' in content ? broken(content.problem) : { name, folder, ...readEntries(content.text, format, name) }
}

function readText(path: string): { text: string } | { problem: string } {
  try {
    const found = statSync(path)
    if (!found.isFile()) return { problem: `is ${found.isDirectory() ? 'a folder' : 'not a plain file'}` }
    if (found.size > BYTES_MAX) return { problem: `has ${found.size} bytes, and may have ${BYTES_MAX}` }
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path)) }
  } catch (error) {
    if (error instanceof TypeError) return { problem: 'is not UTF-8' }
    return { problem: `cannot be read: ${error instanceof Error ? error.message : String(error)}` }
  }
}

type Entries = Pick<ConfigFile, 'entries' | 'problems' | 'refused' | 'isParsed'>

/** Apart from the disk. */
export function readEntries(content: string, format: ConfigFormat, name: string): Entries {
  const { values, problems: found, isParsed } = readConfigText(content, format)
  const problems = found.map(({ what, line, column }) => `${placeIn(name, line, column)}: ${what}`)
  const entries = new Map<string, WrittenValue>()
  const refused = new Set<string>()
  for (const entry of values) {
    if (entry.key === SCHEMA_KEY) continue
    const problem = problemOf(entry)
    if (problem !== undefined) problems.push(`${placeIn(name, entry.line)}: ${problem}`)
    if (problem === undefined && !entry.isRepeated) entries.set(entry.key, entry)
    else refused.add(entry.key)
  }
  const restCount = problems.length - PROBLEMS_SHOWN_MAX
  if (restCount > 0) problems.splice(PROBLEMS_SHOWN_MAX, restCount, `file ${name}: ${restCount} more problems`)
  return { entries, problems, refused, isParsed }
}

function placeIn(name: string, line?: number, column?: number): string {
  if (line === undefined) return `file ${name}`
  return `file ${name} line ${line}${column === undefined ? '' : ` column ${column}`}`
}

/** What is wrong with a key, or with a value whatever it may be. */
function problemOf({ key, value }: WrittenValue): string | undefined {
  const writable = WRITABLE.find(([name]) => name === key)
  if (writable === undefined) {
    const shown = printable(key.length > KEY_SHOWN_MAX ? `${key.slice(0, KEY_SHOWN_MAX)}…` : key)
    if (looksSecret(key)) {
      return `${shown} is not taken from a file: set CLS_SECRET_ID, CLS_SECRET_KEY and, for temporary credentials, CLS_TOKEN in the environment`
    }
    if (Object.hasOwn(OPTIONS, key)) return `${key} cannot be written in a file: give it in code`
    return `unknown option ${shown}${didYouMean(nearest(key, CANDIDATES))}`
  }
  if (holdsMask(value)) return `${key} holds ${MASK}, which was put in place of a secret: write what it stands for`
  const [, { kind }] = writable
  // Read as "not set", it would silently become the default.
  if (value === null && kind !== 'value') return `${key} has no value: write one, or leave the line out`
  return undefined
}

const CANDIDATES: readonly Candidate[] = WRITABLE.map(([name, { flag, env, service }]) => ({
  name,
  alsoCalled: [flag, env, service]
}))
