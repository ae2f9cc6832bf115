/**
 * The lines of a file, one at a time, numbered.
 *
 * In: a path, or `-` for standard input. Out: its lines without line ends; empty ones are left out (but count), bytes
 * that are not UTF-8 become U+FFFD. A file is never held whole, and a line beyond `lineBytesMax` is an error that names
 * its number, not a reason to run out of memory, or to cut it.
 */
import { createReadStream } from 'node:fs'
import { addAbortSignal } from 'node:stream'
import { ClsConsumerError } from '../errors.ts'

export interface Line {
  /** From 1. */
  readonly number: number
  readonly text: string
}

/** @throws ClsConsumerError FILE_UNREADABLE; ends early and quietly once `stop` aborts. */
export async function* readLines(
  path: string,
  stop: AbortSignal,
  lineBytesMax: number
): AsyncGenerator<Line, void, undefined> {
  if (stop.aborted) return
  const bytes = addAbortSignal(stop, path === '-' ? process.stdin : createReadStream(path))
  try {
    yield* splitLines(bytes, path, lineBytesMax)
  } catch (error) {
    if (stop.aborted) return
    if (error instanceof ClsConsumerError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new ClsConsumerError('FILE_UNREADABLE', `cannot read the file: ${reason}`, { file: path, cause: error })
  }
}

const LINE_FEED = 0x0a
const BYTE_ORDER_MARK = '\ufeff'

export async function* splitLines(
  chunks: AsyncIterable<unknown>,
  file: string,
  lineBytesMax: number
): AsyncGenerator<Line, void, undefined> {
  // The decoder would take the mark away from every line; it is one on the first only.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let number = 0
  let open: Uint8Array[] = [] // the parts of a line that chunks have cut
  let openBytes = 0
  const take = (part: Uint8Array) => {
    openBytes += part.byteLength
    if (openBytes > lineBytesMax) {
      const message = `line ${number + 1} is longer than ${lineBytesMax} bytes, more than the service takes`
      throw new ClsConsumerError('FILE_UNREADABLE', message, { file })
    }
    open.push(part)
  }
  const close = (): Line => {
    const [only] = open
    let text = decoder.decode(open.length === 1 && only !== undefined ? only : Buffer.concat(open))
    open = []
    openBytes = 0
    number++
    if (number === 1 && text.startsWith(BYTE_ORDER_MARK)) text = text.slice(1)
    return { number, text: text.endsWith('\r') ? text.slice(0, -1) : text }
  }
  for await (const chunk of chunks) {
    const bytes = chunk instanceof Uint8Array ? chunk : Buffer.from(String(chunk))
    let from = 0
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      take(bytes.subarray(from, end))
      from = end + 1
      const line = close()
      if (line.text !== '') yield line
    }
    if (from < bytes.byteLength) take(bytes.subarray(from))
  }
  const last = close()
  if (last.text !== '') yield last
}
