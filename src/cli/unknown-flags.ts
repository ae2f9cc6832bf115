/**
 * Flags that a command does not have.
 *
 * In: parsed flags, the rows that the command knows. Out: one line for each flag that is none of them, with the flag that
 * was probably meant. Pure. Never the value: who mistypes may have written a secret (I9).
 */
import type { OptionRow } from '../option-kinds.ts'

/** What yargs takes by itself, and where it keeps what is no flag. */
const ALWAYS_KNOWN = ['_', '$0', 'help', 'h', 'version', 'v']

export function unknownFlags(
  args: Readonly<Record<string, unknown>>,
  rows: Readonly<Record<string, OptionRow<unknown>>>
): string[] {
  const flags = Object.values(rows).flatMap(({ flag }) => flag ?? [])
  const known = new Set([...ALWAYS_KNOWN, ...flags, ...flags.map(camelCase)])
  const lines = new Map<string, string>()
  for (const [name, value] of Object.entries(args)) {
    // The parser adds `noSuchFlag` to `no-such-flag`, after it.
    if (known.has(name) || value === undefined || lines.has(simplify(name))) continue
    lines.set(simplify(name), `unknown flag ${written(name, value)}${didYouMean(name, rows)}`)
  }
  return [...lines.values()]
}

/** As the user wrote it; `--no-flag` is the only way to `false` for a flag that is not known. */
function written(name: string, value: unknown): string {
  if (value === false) return `--no-${name}`
  return name.length === 1 ? `-${name}` : `--${name}`
}

function didYouMean(name: string, rows: Readonly<Record<string, OptionRow<unknown>>>): string {
  const typed = simplify(name)
  let close: string | undefined
  // One slip in three letters, and two at most: more would suggest what is only short.
  let editsMax = Math.min(2, Math.floor(typed.length / 3))
  for (const [option, { flag }] of Object.entries(rows)) {
    if (flag === undefined) continue
    // Also by the option's name in code: `--topic-ids` means `--topic`.
    const edits = Math.min(editCount(typed, simplify(flag)), editCount(typed, simplify(option)))
    if (edits > editsMax || (edits === editsMax && close !== undefined)) continue
    close = flag
    editsMax = edits
  }
  return close === undefined ? '' : ` (did you mean --${close}?)`
}

/** Letters added, left out, changed or swapped with their neighbour between the two. */
function editCount(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = cell(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(
        Math.min(
          changed,
          cell(last, j) + 1,
          cell(row, j - 1) + 1,
          swapped ? cell(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY
        )
      )
    }
    beforeLast = last
    last = row
  }
  return cell(last, b.length)
}

function cell(row: readonly number[], at: number): number {
  return row[at] ?? Number.POSITIVE_INFINITY
}

function camelCase(flag: string): string {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

function simplify(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}
