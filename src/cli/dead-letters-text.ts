/**
 * Dead letters as text and as JSON.
 *
 * In: a letter with its place. Out: one line, or all of it, with its logs where its bytes decode. Pure. What came from logs,
 * errors or files cannot break a line or command the terminal. In JSON the names are those of the file, offsets too are
 * texts as there.
 */
import { printJson } from '../cls/json.ts'
import type { StoredLetter } from '../failure/dead-letter-record.ts'
import { printable } from '../observe/logger.ts'
import { contentLines } from './dead-letter-contents.ts'
import type { Selected } from './dead-letters-selection.ts'
import { count } from './format.ts'

export const LIST_HEADING =
  'written                   kind     topic/partition/offset[/message[/log]]  file:line  reason'

export function listLine({ id, letter, file, line, isRepeat }: Selected): string {
  const repeat = isRepeat ? '  (repeated)' : ''
  return printable(`${timeOf(letter)}  ${letter.kind.padEnd(7)}  ${id}  ${file}:${line}${repeat}  ${letter.reason}`)
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
