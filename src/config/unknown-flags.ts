/**
 * Flags that a command does not have.
 *
 * In: parsed flags, the rows that the command knows. Out: one line for each flag that is none of them, with the flag that
 * was probably meant. Pure. Never the value: who mistypes may have written a secret (I9).
 */
import { type Candidate, didYouMean, nearest, simplify } from '../nearest.ts'
import type { OptionRow } from '../option-kinds.ts'

/** What yargs takes by itself, and where it keeps what is no flag. */
const ALWAYS_KNOWN = ['_', '$0', 'help', 'h', 'version', 'v']

export function unknownFlags(
  args: Readonly<Record<string, unknown>>,
  rows: Readonly<Record<string, OptionRow<unknown>>>
): string[] {
  const flags = Object.values(rows).flatMap(({ flag }) => flag ?? [])
  const known = new Set([...ALWAYS_KNOWN, ...flags, ...flags.map(camelCase)])
  const candidates = candidatesOf(rows)
  const lines = new Map<string, string>()
  for (const [name, value] of Object.entries(args)) {
    // The parser adds `noSuchFlag` to `no-such-flag`, after it.
    if (known.has(name) || value === undefined || lines.has(simplify(name))) continue
    lines.set(simplify(name), `unknown flag ${written(name, value)}${didYouMean(nearest(name, candidates))}`)
  }
  return [...lines.values()]
}

/** Also by the option's name in code: `--topic-ids` means `--topic`. */
function candidatesOf(rows: Readonly<Record<string, OptionRow<unknown>>>): Candidate[] {
  return Object.entries(rows).flatMap(([option, { flag }]) =>
    flag === undefined ? [] : [{ name: `--${flag}`, alsoCalled: [option] }]
  )
}

/** As the user wrote it; `--no-flag` is the only way to `false` for a flag that is not known. */
function written(name: string, value: unknown): string {
  if (value === false) return `--no-${name}`
  return name.length === 1 ? `-${name}` : `--${name}`
}

function camelCase(flag: string): string {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}
