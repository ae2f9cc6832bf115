/**
 * The quirks of the emulator as the README lists them, made from their table: every name, its values with the default
 * first, and what it is about.
 */
import { QUIRKS } from '../../src/emulator/quirks.ts'

const BEGIN = '<!-- quirks: made from src/emulator/quirks.ts by `npm run readme` -->'
const END = '<!-- /quirks -->'

/** The README with its quirks as the source has them. */
export function withQuirkTable(readme: string): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`README.md lacks the lines ${BEGIN} … ${END}`)
  return `${readme.slice(0, begin)}${BEGIN}\n${quirkTable()}\n${readme.slice(end)}`
}

function quirkTable(): string {
  const rows = Object.entries(QUIRKS).map(
    ([name, { values, help }]) => `| \`${name}\` | ${values.map(value => `\`${value}\``).join(', ')} | ${help} |`
  )
  return ['| quirk | values, the default first | what it is about |', '|---|---|---|', ...rows].join('\n')
}
