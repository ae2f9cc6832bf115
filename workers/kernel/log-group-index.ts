/**
 * Fourth stage: from a payload to the index of its log group.
 *
 * In: where the payload stands, and where the table goes on. Out: a block of that table, or what is wrong with the group.
 *
 * A block, in words of four bytes. Ends have a flag: the text has a byte over 127, so that latin1 does not read it. A
 * text that the wire lacked has the start 0, where no text can be.
 *
 *     group (16)  log count, tag count, tags' address, payload's start, end,
 *                 contextFlow, filename, source, hostname: start, end each; the block's end; the message's place in
 *                 its response, which whoever took the payload out of that adds; one of nothing
 *     log (8)     content count, whether there is a collect time, time (int64), collect time (int64), number of the
 *                 shape of its keys (0: not matched yet; see `assembly/shapes.ts`), address of its group's block
 *     content (4) key: start, end; value: start, end. A log's contents follow it, and then the next log.
 *     tag (4)     as a content. Behind the logs.
 */
import type { KernelMemory, Span } from './memory.ts'
import type { MessageFault } from './message.ts'

export const GROUP_WORDS = 16
export const GROUP = {
  logCount: 0,
  tagCount: 1,
  tagsAt: 2,
  payload: 3,
  contextFlow: 5,
  filename: 7,
  source: 9,
  hostname: 11,
  end: 13,
  messageIndex: 14
} as const
export const LOG_WORDS = 8
export const LOG = { contentCount: 0, hasCollectTime: 1, time: 2, collectTime: 4, shape: 6, group: 7 } as const
export const PAIR_WORDS = 4
export const PAIR = { key: 0, value: 2 } as const

/** The reasons of `assembly/log-group.ts`, by number. */
const REASONS = [
  '',
  'the bytes end within a field',
  'a tag is longer than five bytes',
  'a length is longer than 31 bits',
  'an int64 is longer than ten bytes',
  'a field has the number 0',
  'a field has a wire type that does not exist',
  'a group ends that was not begun',
  'groups are nested deeper than 100',
  'a log has no time',
  'a log or tag has no key',
  'a log or tag has no value',
  ''
] as const
const NO_ROOM = REASONS.length - 1
const REPORT_REASON = 0
const REPORT_AT = 4

/** Room to begin with, for each byte of payload: access logs take half of it. Six bytes are the least a content has. */
const TABLE_RATIO = 1
const TABLE_BYTES_MIN = 4096

/**
 * The groups of a response, in the memory of its batch. Their blocks follow each other: where one ends the next begins.
 * As long as the batch is open nothing reserves memory, and its views stay attached.
 */
export interface IndexedGroups {
  readonly memory: KernelMemory
  /** The address of the first block. */
  readonly firstGroup: number
  readonly groupCount: number
  readonly logCount: number
}

/** @returns Where the block ends and the next may begin; the block begins at `table`, a multiple of eight. */
export function indexLogGroup(memory: KernelMemory, payload: Span, table: number): number | MessageFault {
  const payloadBytes = payload.end - payload.start
  for (let tableBytes = payloadBytes * TABLE_RATIO + TABLE_BYTES_MIN; ; tableBytes *= 2) {
    memory.reserve(table + tableBytes)
    const end = memory.kernel.indexLogGroup(payload.start, payload.end, table, memory.byteCount)
    if (end !== 0) return end
    const reason = memory.report(REPORT_REASON)
    if (reason === NO_ROOM) continue
    return {
      reason: `${payloadBytes} bytes are not a LogGroup: ${REASONS[reason] ?? 'unknown'}`,
      bytePosition: memory.report(REPORT_AT)
    }
  }
}
