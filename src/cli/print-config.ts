/**
 * `cls-consumer run --print-config`: what is in force, and where each value is from.
 *
 * In: settings, where each was given. Out: YAML with the origin of each value behind it, which is a config file too: read
 * again, it gives the same settings. Must never happen: a secret in it (I9), or a character that commands a terminal.
 */
import { isWritable } from '../config/config-file.ts'
import { writeYaml } from '../config/config-text.ts'
import { type Origin, originName } from '../config/option-sources.ts'
import { printable } from '../observe/logger.ts'
import type { OptionRow } from '../option-kinds.ts'
import { OPTIONS, type Settings } from '../options.ts'
import { holdsMask, MASK, maskSecrets } from '../secrets.ts'

export interface Sources {
  /** Undefined for a default. */
  readonly originOf: (name: string) => Origin | undefined
  /** The variables that the access key came from. */
  readonly credentials: readonly string[]
}

const HEADING = [
  '# What is in force, and where each value is from. Save it as a .yaml file, and',
  '# `cls-consumer run --config FILE` takes it; the access key stays in variables.'
]

/** Ends with a line feed. */
export function printConfig(settings: Settings, sources: Sources): string {
  const values = new Map(Object.entries(settings))
  const lines = Object.entries(OPTIONS).flatMap(([name, row]) => {
    if (name === 'credentials') return withComment(`# ${name}: ${MASK}`, sources.credentials.join(', '))
    return isWritable(name) ? linesOf(name, row, values.get(name), sources.originOf(name)) : []
  })
  return `${[...HEADING, '', ...lines].join('\n')}\n`
}

function linesOf(name: string, row: OptionRow<unknown>, value: unknown, origin: Origin | undefined): string[] {
  const from = origin === undefined ? fallback(row, value) : originName(origin)
  if (value === undefined || value === null) return withComment(`# ${name}:`, from)
  const shown = maskSecrets(value)
  const notes = [from, ...timeOf(row, value), ...(holdsMask(shown) ? [`${MASK} stands for a secret`] : [])]
  return withComment(yamlOf(name, shown), notes.join(', '))
}

function fallback({ defaultText }: OptionRow<unknown>, value: unknown): string {
  if (defaultText !== undefined) return `default: ${defaultText}`
  return value === undefined ? 'not set' : 'default'
}

/** Unix seconds are hard to read. */
function timeOf({ kind }: OptionRow<unknown>, value: unknown): string[] {
  if (kind !== 'position' || typeof value !== 'number') return []
  return [new Date(value * 1000).toISOString().replace('.000', '')]
}

/** Without a line feed at its end. */
function yamlOf(name: string, value: unknown): string {
  const block = writeYaml({ [name]: value }).trimEnd()
  const isPlain = block.split('\n').every(line => printable(line) === line)
  // JSON is YAML, and its strings have an escape for every character.
  return isPlain ? block : `${name}: ${printable(JSON.stringify(value))}`
}

const COMMENT_COLUMN = 34
const COLUMNS = 80

/** Behind the first line, in a column of its own where there is room; above it where the line would be too long. */
function withComment(block: string, comment: string): string[] {
  const [first = '', ...rest] = block.split('\n')
  const told = `# ${printable(comment)}`
  const line = `${first.padEnd(COMMENT_COLUMN)}  ${told}`
  return line.length > COLUMNS ? [told, first, ...rest] : [line, ...rest]
}
