/**
 * The lines of a file, one at a time.
 *
 * In: a path, or `-` for standard input. Out: its lines without line ends; empty ones are left out, bytes that are not
 * UTF-8 become U+FFFD. A file is never held whole, and a line beyond `LINE_BYTES_MAX` is an error that names its place,
 * not a reason to run out of memory.
 */
import { createReadStream } from 'node:fs'
import { addAbortSignal } from 'node:stream'
import { ClsConsumerError } from '../errors.ts'

/** The service takes 1 MB per value. */
export const LINE_BYTES_MAX = 1_000_000

/** @throws ClsConsumerError FILE_UNREADABLE; ends early and quietly once `stop` aborts. */
export async function* readLines(path: string, stop: AbortSignal): AsyncGenerator<string, void, undefined> {
  const bytes = addAbortSignal(stop, path === '-' ? process.stdin : createReadStream(path))
  try {
    yield* splitLines(bytes, path, LINE_BYTES_MAX)
  } catch (error) {
    if (stop.aborted) return
    if (error instanceof ClsConsumerError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new ClsConsumerError('FILE_UNREADABLE', `cannot read the file: ${reason}`, { file: path, cause: error })
  }
}

const LINE_FEED = 0x0a

export async function* splitLines(
  chunks: AsyncIterable<unknown>,
  file: string,
  lineBytesMax: number
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let lineNumber = 1
  let open: Uint8Array[] = [] // the parts of a line that chunks have cut
  let openBytes = 0
  const take = (part: Uint8Array) => {
    openBytes += part.byteLength
    if (openBytes > lineBytesMax) {
      const message = `line ${lineNumber} is longer than ${lineBytesMax} bytes, the most that the service takes as one value`
      throw new ClsConsumerError('FILE_UNREADABLE', message, { file })
    }
    open.push(part)
  }
  const close = (): string => {
    const [only] = open
    const line = decoder.decode(open.length === 1 && only !== undefined ? only : Buffer.concat(open))
    open = []
    openBytes = 0
    lineNumber++
    return line.endsWith('\r') ? line.slice(0, -1) : line
  }
  for await (const chunk of chunks) {
    const bytes = chunk instanceof Uint8Array ? chunk : Buffer.from(String(chunk))
    let from = 0
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      take(bytes.subarray(from, end))
      from = end + 1
      const line = close()
      if (line !== '') yield line
    }
    if (from < bytes.byteLength) take(bytes.subarray(from))
  }
  const last = close()
  if (last !== '') yield last
}
