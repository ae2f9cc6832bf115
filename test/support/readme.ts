/**
 * The parts of the README that are made from the source: `node dist/test/support/readme.js --write` puts them in place,
 * and a test checks that they are.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OptionRow } from '../../src/option-kinds.ts'
import { OPTIONS, type OptionName } from '../../src/options.ts'
import { withEnvExample } from './env-example.ts'
import { withQuirkTable } from './quirk-table.ts'
import { ROOT } from './source.ts'

const README = join(ROOT, 'README.md')
const BEGIN = '<!-- options: made from src/options.ts by `npm run readme` -->'
const END = '<!-- /options -->'

export function readReadme(): string {
  return readFileSync(README, 'utf8')
}

/** The README with its option table as the source has it. */
export function withOptionTable(readme: string): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`README.md lacks the lines ${BEGIN} … ${END}`)
  return `${readme.slice(0, begin)}${BEGIN}\n${optionTable()}\n${readme.slice(end)}`
}

function optionTable(): string {
  const rows = Object.entries(OPTIONS).map(([name, option]) => toRow(name as OptionName, option))
  return [
    '| option | what it is | default | flag, variable | the service’s name |',
    '|---|---|---|---|---|',
    ...rows
  ].join('\n')
}

function toRow(name: string, option: OptionRow<unknown>): string {
  const fallback = option.required
    ? 'required'
    : (option.defaultText ?? (option.default === undefined ? '–' : `\`${option.default}\``))
  const flag = option.flag === undefined ? [] : [`\`--${option.flag}\``]
  const env = option.env === undefined ? [] : [`\`${option.env}\``]
  const given = [...flag, ...env].join('<br>') || '–'
  const service = option.service === undefined ? '–' : `\`${option.service}\``
  return `| \`${name}\` | ${option.help}. ${capital(option.type)} | ${fallback} | ${given} | ${service} |`
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** A fenced block of the README whose first line names a file: ```js // handler.mjs */
export interface Example {
  readonly language: string
  readonly file: string
  readonly code: string
}

export function readExamples(readme: string): Example[] {
  return [...readme.matchAll(/^```(\w+)\n(?:\/\/|#) ([\w.-]+)\n([\s\S]*?)^```$/gm)].map(match => ({
    language: match[1] ?? '',
    file: match[2] ?? '',
    code: match[3] ?? ''
  }))
}

if (process.argv.includes('--write'))
  writeFileSync(README, withQuirkTable(withEnvExample(withOptionTable(readReadme()))))
