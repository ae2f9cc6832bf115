/**
 * The visible log: one line a record, on standard error.
 *
 * In: level, message, fields. Out: `time LEVEL message key=value …`. A record never becomes two lines, and nothing of it
 * can move a terminal's cursor: control characters are written as escapes. Nothing is redacted by guess here; callers
 * never hand over a secret (I9).
 */
import { realClock } from '../real-world.ts'
import type { Clock, LogFields, Logger } from '../world.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const RANK = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 } as const satisfies Record<LogLevel, number>
const COLOURS = { debug: 90, info: 36, warn: 33, error: 31 } as const
type Written = keyof typeof COLOURS

export interface LoggerSetup {
  /** Least level that is written. */
  readonly level: LogLevel
  /** Takes one line with its line feed; standard error where absent. */
  readonly write?: (line: string) => void
  readonly clock?: Pick<Clock, 'now'>
  /** Colour the level; where absent, only for standard error on a terminal that wants colour. */
  readonly colour?: boolean
}

export function createLogger({ level, write, clock = realClock, colour }: LoggerSetup): Logger {
  const put = write ?? (line => void process.stderr.write(line))
  const coloured = colour ?? (write === undefined && wantsColour(process.stderr, process.env))
  const at = (lineLevel: Written) => (message: string, fields?: LogFields) => {
    if (RANK[lineLevel] >= RANK[level]) put(formatLine(clock.now(), lineLevel, message, fields, coloured))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** https://no-color.org: any value that is not empty says no. */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>
): boolean {
  return stream.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
}

function formatLine(nowMs: number, level: Written, message: string, fields: LogFields = {}, coloured: boolean): string {
  const label = level.toUpperCase().padEnd(5)
  const parts = [new Date(nowMs).toISOString(), coloured ? `\x1b[${COLOURS[level]}m${label}\x1b[39m` : label]
  parts.push(printable(message))
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) parts.push(`${key}=${formatValue(String(value))}`)
  }
  return `${parts.join(' ')}\n`
}

/** Bare where a reader can tell its end, else a JSON string. */
function formatValue(text: string): string {
  return /^[^\s"=\\]+$/.test(text) && printable(text) === text ? text : printable(JSON.stringify(text))
}

// C0, DEL, C1 (some terminals take 0x9b for a start of a command), the line separators, and what turns text around.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** The text with every character that could end a line or command a terminal written as its JSON escape. */
export function printable(text: string): string {
  return text.replace(CONTROLS, control => {
    if (control === '\n') return '\\n'
    if (control === '\t') return '\\t'
    if (control === '\r') return '\\r'
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
