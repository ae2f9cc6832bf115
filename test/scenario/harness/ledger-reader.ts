/**
 * Reads a ledger while it is written.
 *
 * In: a file that only grows. Out: its lines so far; each byte is read and parsed once, since scenarios look often. Must
 * never happen: a line taken for whole whose end is not written yet.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { type Line, parseLines } from './lines.ts'

const CHUNK_BYTES = 64 * 1024
const LINE_FEED = 0x0a

export class LedgerReader {
  readonly #file: string
  readonly #lines: Line[] = []
  readonly #chunk = Buffer.alloc(CHUNK_BYTES)
  #readBytes = 0
  /** Of a line that was cut by the end of what was there. */
  #rest: Uint8Array = new Uint8Array()

  constructor(file: string) {
    this.#file = file
  }

  read(): readonly Line[] {
    if (!existsSync(this.#file)) return this.#lines
    const file = openSync(this.#file, 'r')
    try {
      for (;;) {
        const byteCount = readSync(file, this.#chunk, 0, CHUNK_BYTES, this.#readBytes)
        if (byteCount === 0) return this.#lines
        this.#readBytes += byteCount
        this.#take(Buffer.concat([this.#rest, this.#chunk.subarray(0, byteCount)]))
      }
    } finally {
      closeSync(file)
    }
  }

  #take(bytes: Buffer): void {
    const end = bytes.lastIndexOf(LINE_FEED) + 1
    this.#lines.push(...parseLines(bytes.toString('utf8', 0, end)))
    this.#rest = bytes.subarray(end)
  }
}
