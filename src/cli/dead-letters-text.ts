/**
 * Dead letters as text and as JSON.
 *
 * In: a letter with its place, the width of a terminal. Out: one line, or all of it, with its logs where its bytes decode.
 * Pure. What came from logs, errors or files cannot break a line or command the terminal. In JSON the names are those of the
 * file, offsets too are texts as there.
 */
import { printJson } from '../cls/json.ts'
import type { StoredLetter } from '../failure/dead-letter-record.ts'
import { printable } from '../observe/logger.ts'
import { contentLines } from './dead-letter-contents.ts'
import { type Selected, shortLetterId } from './dead-letters-selection.ts'
import { count, fit } from './format.ts'

/** From here on the time is shown down to the second, with its year. */
const WIDE_COLUMNS = 100
/** A short id with an offset of ten digits; a longer one moves its reason to the right. */
const SHORT_ID_CELLS = 33

/** `columns`: of the terminal, to whose width the line is cut; undefined where it goes elsewhere, and is whole. */
export function listHeading(columns: number | undefined): string {
  const id = columns === undefined ? 'topic/partition/offset[/message[/log]]' : 'topic/partition/offset/…'
  return printRow(['written', 'kind', id, 'reason', 'file:line'], columns)
}

export function listLine({ id, letter, file, line, isRepeat }: Selected, columns: number | undefined): string {
  const shownId = columns === undefined ? id : shortLetterId(id)
  const place = `${isRepeat ? '(repeated)  ' : ''}${file}:${line}`
  return printRow([listTime(letter, columns), letter.kind, shownId, letter.reason, place], columns)
}

/** 2026-11-23T18:40:24.000Z; on a terminal 2026-11-23T18:40:24Z, or where that is narrow 11-23 18:40. */
function listTime(letter: StoredLetter, columns: number | undefined): string {
  const time = timeOf(letter)
  if (columns === undefined) return time
  return columns >= WIDE_COLUMNS ? `${time.slice(0, 19)}Z` : time.slice(5, 16).replace('T', ' ')
}

type ListRow = readonly [written: string, kind: string, id: string, reason: string, place: string]

function printRow([written, kind, id, reason, place]: ListRow, columns: number | undefined): string {
  const kindCell = kind.padEnd(7)
  if (columns === undefined) return printable([written.padEnd(24), kindCell, id, reason, place].join('  '))
  const cells = [written.padEnd(columns >= WIDE_COLUMNS ? 20 : 11), kindCell, id.padEnd(SHORT_ID_CELLS), reason, place]
  // One cell is left free: a full last column makes some terminals wrap.
  return fit(cells.join('  '), columns - 1)
}

/** Without the bytes: they are in the file. */
export function listJson({ id, letter, file, line, bytePosition, byteCount, isRepeat }: Selected): string {
  const { readRaw: _, timeMs: __, startOffset, nextOffset, error, ...rest } = letter
  return printJson({
    id,
    ...rest,
    startOffset: String(startOffset),
    nextOffset: nextOffset === undefined ? undefined : String(nextOffset),
    time: timeOf(letter),
    error: error === undefined ? undefined : { ...error },
    isRepeat,
    file,
    line,
    bytePosition,
    byteCount
  })
}

export function letterLines({ id, letter, file, line, bytePosition, isRepeat }: Selected): string[] {
  const { kind, topicId, partition, startOffset, nextOffset, error } = letter
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['kind', kind],
    ['topic', topicId],
    ['partition', String(partition)],
    ['offset', `${startOffset}${nextOffset === undefined ? '' : `, the next one ${nextOffset}`}`],
    ['message', kind === 'body' ? undefined : String(letter.messageIndex)],
    ['log', kind === 'log' ? String(letter.logIndex) : undefined],
    ['compression', kind === 'body' ? letter.compression : undefined],
    ['written', `${timeOf(letter)}${isRepeat ? ', a repeat' : ''}`],
    ['group', letter.group],
    ['consumer', letter.consumer],
    ['attempt', String(letter.attempt)],
    ['reason', letter.reason],
    ['file', `${file}:${line}, byte ${bytePosition}`],
    ['bytes', count(letter.rawBytes)],
    ['error', error === undefined ? undefined : `${error.code}: ${error.message}`]
  ]
  return [
    printable(`dead letter ${id}`),
    ...rows.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(11)}  ${printable(value)}`])),
    ...(error === undefined ? [] : indented(stackOf(error))),
    '',
    ...indented(contentLines(letter))
  ]
}

/** The frames: what stands above them is the message. */
function stackOf({ stack }: NonNullable<StoredLetter['error']>): string[] {
  return stack.split('\n').filter(line => /^\s+at /.test(line))
}

function indented(lines: readonly string[]): string[] {
  return lines.map(line => `  ${printable(line)}`)
}

function timeOf({ timeMs }: StoredLetter): string {
  return new Date(timeMs).toISOString()
}
