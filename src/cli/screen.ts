/**
 * Lines that stay and one status line that moves.
 *
 * In: text. Out: on a terminal the status is redrawn below the lines; where there is none, lines alone. Whatever else is
 * written while a status shows (the log) must go through `line`, or the two would mix. A status never outlives `close`.
 */
import type { Sink } from './command-world.ts'
import { fit } from './format.ts'

export interface Screen {
  /** One line that stays. */
  line(text: string): void
  /** Lines of another stream (the log on standard error), written without disturbing the status. */
  aside(write: () => void): void
  /** Replaces the status line; nothing where there is no terminal. */
  status(text: string): void
  readonly live: boolean
  close(): void
}

const CLEAR_LINE = '\r\x1b[2K'

const COLUMNS_UNKNOWN = 80

/** Some terminals (serial lines, those of build servers) say 0: they do not know. */
export function columnCount({ columns = 0 }: Sink, unknown = COLUMNS_UNKNOWN): number {
  return columns > 0 ? columns : unknown
}

export function createScreen(output: Sink): Screen {
  const live = output.isTTY === true
  let status = ''
  const around = (write: () => void) => {
    if (status !== '') output.write(CLEAR_LINE)
    write()
    if (status !== '') output.write(status)
  }
  return {
    live,
    line: text => around(() => output.write(`${text}\n`)),
    aside: write => around(write),
    status: text => {
      if (!live) return
      // One cell is left free: a full last column makes some terminals wrap, and the line could not be cleared.
      status = fit(text, columnCount(output) - 1)
      output.write(CLEAR_LINE + status)
    },
    close: () => {
      if (status !== '') output.write(CLEAR_LINE)
      status = ''
    }
  }
}
