/**
 * Text for terminals: numbers, bars, tables.
 *
 * In: values. Out: text without line feeds at its ends. Pure; nothing here writes. What came from a log or a file is
 * made printable first, so that it can neither break a row nor command the terminal.
 */
import { printable } from '../observe/logger.ts'

/** 1234567 → `1,234,567`. */
export function count(value: number | bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

/** `1 log`, `1,234 logs`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** Both ends of an id: ids of one maker are often alike at one of them. */
export function shortId(id: string): string {
  return id.length <= 16 ? id : `${id.slice(0, 8)}…${id.slice(-6)}`
}

/** A byte count in MB (10^6), as network and disk tools print it. */
export function megabytes(byteCount: number): string {
  return `${(byteCount / 1e6).toFixed(byteCount < 10e6 ? 2 : 1)} MB`
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
}

/** `fraction` of `width` cells, in eighths of a cell. Outside 0 … 1 it is cut; NaN is 0. */
export function bar(fraction: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction || 0)) * width * 8)
  const full = Math.floor(eighths / 8)
  const rest = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8] ?? ''
  return `${'█'.repeat(full)}${rest}`.padEnd(width, '·')
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u
const NO_WIDTH = /\p{Mark}|[\u200b-\u200f\u2060\ufeff]/u

/** Cells that a text takes on a terminal: East Asian wide characters take two, combining marks none. */
export function cellCount(text: string): number {
  let cells = 0
  for (const character of text) cells += NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1
  return cells
}

/** The text, cut to at most `cells` with an ellipsis where it is longer. */
export function fit(text: string, cells: number): string {
  const clean = printable(text)
  if (cellCount(clean) <= cells) return clean
  let kept = ''
  for (const character of clean) {
    if (cellCount(kept + character) > cells - 1) break
    kept += character
  }
  return `${kept}…`
}

export interface Column {
  readonly title: string
  readonly align: 'left' | 'right'
}

/** One line a row under a line of titles; columns two cells apart, as wide as their widest cell. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const all = [columns.map(column => column.title), ...rows.map(row => row.map(printable))]
  const widths = columns.map((_, index) => Math.max(...all.map(row => cellCount(row[index] ?? ''))))
  return all.map(row =>
    columns
      .map(({ align }, index) => {
        const cell = row[index] ?? ''
        const space = ' '.repeat((widths[index] ?? 0) - cellCount(cell))
        return align === 'left' ? cell + space : space + cell
      })
      .join('  ')
      .trimEnd()
  )
}
