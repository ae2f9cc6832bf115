/**
 * The `.env` example of the README, made from the option table: every variable, what is required first and open, the rest
 * commented out with its default.
 */
import { CONFIG } from '../../src/config/config-file.ts'
import type { OptionRow } from '../../src/option-kinds.ts'
import { OPTIONS } from '../../src/options.ts'

export const ENV_BEGIN = '<!-- .env: made from src/options.ts by `npm run readme` -->'
export const ENV_END = '<!-- /.env -->'

/** Ends with a line feed. */
export function envExample(): string {
  const rows: OptionRow<unknown>[] = [...Object.values(CONFIG), ...Object.values(OPTIONS)]
  const [open, closed] = [rows.filter(isOpen), rows.filter(row => !isOpen(row))]
  return [
    '# The access key. It is taken from the environment alone.',
    'CLS_SECRET_ID=',
    'CLS_SECRET_KEY=',
    '# Of temporary credentials:',
    '# CLS_TOKEN=',
    '',
    ...open.flatMap(row => linesOf(row, '')),
    '',
    '# The rest may stay as it is.',
    ...closed.flatMap(row => linesOf(row, '# ')),
    ''
  ].join('\n')
}

/** What has to be filled in: what is required, and the region, which stands for it against the service. */
function isOpen({ required, env }: OptionRow<unknown>): boolean {
  return required || env === OPTIONS.region.env
}

function linesOf({ env, help, kind, type, defaultText, default: value }: OptionRow<unknown>, prefix: string): string[] {
  if (env === undefined) return []
  const range = kind === 'text' || kind === 'list' ? '' : ` (${type.replaceAll('`', '')})`
  const separated = kind === 'list' ? ', with commas between them' : ''
  const fallback = defaultText === undefined ? '' : `. Default: ${defaultText}`
  const shown = value === undefined || defaultText !== undefined ? '' : String(value)
  return [`# ${help.replaceAll('`', '')}${separated}${range}${fallback}`, `${prefix}${env}=${shown}`]
}

/** The README with its `.env` example as the source has it. */
export function withEnvExample(readme: string): string {
  const begin = readme.indexOf(ENV_BEGIN)
  const end = readme.indexOf(ENV_END)
  if (begin < 0 || end < begin) throw new Error(`README.md lacks the lines ${ENV_BEGIN} … ${ENV_END}`)
  return `${readme.slice(0, begin)}${ENV_BEGIN}\n\`\`\`sh\n${envExample()}\`\`\`\n${readme.slice(end)}`
}
