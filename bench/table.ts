/** Tables of texts and figures, for a terminal and as Markdown. */

export interface Table {
  readonly columns: readonly string[]
  /** So many columns at the left are text, the others figures. */
  readonly textColumns: number
  readonly rows: readonly (readonly string[])[]
}

export function printText({ columns, rows, textColumns }: Table): string {
  const lines = [columns, ...rows]
  const widths = columns.map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)))
  const print = (line: readonly string[]) =>
    line.map((cell, column) =>
      column < textColumns ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
    )
  return lines.map(line => `${print(line).join('  ').trimEnd()}\n`).join('')
}

export function printMarkdown({ columns, rows, textColumns }: Table): string {
  const rule = columns.map((_, column) => (column < textColumns ? '---' : '---:'))
  return [columns, rule, ...rows].map(cells => `| ${cells.join(' | ')} |\n`).join('')
}

/** Three digits, or all of a whole number. */
export function figure(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}

export function percent(share: number): string {
  return `${figure(share * 100)} %`
}
