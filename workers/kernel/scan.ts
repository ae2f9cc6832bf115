/**
 * Second stage: from the response's text to its next offset and where its messages stand.
 *
 * In the kernel: JavaScript would find the quotes as fast (`indexOf`), but not the escapes and control characters between.
 *
 * In: JSON, untrusted. Out: those, or `undefined` for what only the full parser (`workers/response.ts`) may judge: an
 * error, what is no pull response, no JSON, or merely rare. Must never happen: a response taken that the full parser
 * reads otherwise.
 */
import { align, END_FLAG, END_MASK, type KernelMemory, type Span } from './memory.ts'

/** Eight bytes a message: start, end; the end's flag says that the text has escapes. */
export interface ScannedResponse {
  readonly nextOffset: bigint | undefined
  readonly messageCount: number
  /** Where the table of the messages is. */
  readonly table: Span
}

const SPAN_BYTES = 8
const ODD = 1
const NO_ROOM = 2
const REPORT_MESSAGE_COUNT = 8
const REPORT_HAS_NEXT = 12
const REPORT_NEXT = 16

const TABLE_BYTES_MIN = 8192
/** Of text, the least that a message has: its quotes and a comma. */
const MESSAGE_BYTES_MIN = 3

/** The table is put behind the text; what was there before is gone. */
export function scanResponse(memory: KernelMemory, text: Span): ScannedResponse | undefined {
  const start = align(text.end)
  const tableBytesMax = Math.ceil((text.end - text.start) / MESSAGE_BYTES_MIN) * SPAN_BYTES
  for (let tableBytes = TABLE_BYTES_MIN; ; tableBytes *= 4) {
    const tableEnd = start + Math.min(tableBytes, tableBytesMax)
    memory.reserve(tableEnd)
    const verdict = memory.kernel.scanResponse(text.start, text.end, start, tableEnd)
    if (verdict === ODD) return undefined
    if (verdict === NO_ROOM) continue
    const messageCount = memory.report(REPORT_MESSAGE_COUNT)
    return {
      nextOffset: memory.report(REPORT_HAS_NEXT) === 0 ? undefined : memory.reportInt64(REPORT_NEXT),
      messageCount,
      table: { start, end: start + messageCount * SPAN_BYTES }
    }
  }
}

/** A message as the response has it, quotes and escapes included: as long as its text was not asked for. */
export function messageJson({ words }: KernelMemory, { table }: ScannedResponse, messageIndex: number): Span {
  const at = (table.start + messageIndex * SPAN_BYTES) / 4
  return { start: (words[at] ?? 0) - 1, end: ((words[at + 1] ?? 0) & END_MASK) + 1 }
}

/** A message's base64, without the quotes. Where it had escapes, they are undone, once, in its own place. */
export function messageText(memory: KernelMemory, { table }: ScannedResponse, messageIndex: number): Span {
  const at = (table.start + messageIndex * SPAN_BYTES) / 4
  const { words } = memory
  const start = words[at] ?? 0
  const flagged = words[at + 1] ?? 0
  const end = flagged & END_MASK
  if ((flagged & END_FLAG) === 0) return { start, end }
  const plainEnd = memory.kernel.unescapeText(start, end)
  words[at + 1] = plainEnd
  return { start, end: plainEnd }
}
