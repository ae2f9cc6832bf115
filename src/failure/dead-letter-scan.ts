/**
 * Finds the records in the bytes of a dead-letter file, whatever happened to it.
 *
 * In: the file's bytes, in chunks cut anywhere. Out: pieces: each begins at a marker or behind a line feed, and ends before
 * the next of either. Pure. Must never happen: damage that hides the record behind it, or makes this hold more than a
 * record may have: what begins with no marker is counted, not held.
 *
 * A crash leaves half a record, and a file system may fill it up with zeros; the next record then begins in the middle of
 * that line. Hence the marker as a boundary of its own.
 */
import { MARKER } from './dead-letter-record.ts'

/** Where something is in a file. */
export interface Extent {
  /** From 1. */
  readonly line: number
  /** From 0. */
  readonly bytePosition: number
  readonly byteCount: number
}

/** stray: begins with no marker. too-long: with one, but goes on past what a record may have. */
export type Piece = Extent &
  ({ readonly kind: 'record'; readonly bytes: Buffer } | { readonly kind: 'stray' } | { readonly kind: 'too-long' })

const LINE_FEED = 0x0a
const NOTHING = Buffer.alloc(0)

export class RecordScanner {
  readonly #recordBytesMax: number
  /** The end of the last chunk: a marker may begin in it. */
  #undecided = NOTHING
  /** Of the open record: at most `#recordBytesMax` in all. */
  #parts: Buffer[] = []
  #kind: Piece['kind'] = 'stray'
  #byteCount = 0
  #bytePosition = 0
  #line = 1

  constructor(recordBytesMax: number) {
    this.#recordBytesMax = recordBytesMax
  }

  /** What is in memory now, in bytes. */
  get heldBytes(): number {
    return this.#parts.reduce((sum, part) => sum + part.length, this.#undecided.length)
  }

  /** Where the next piece begins. */
  get position(): Omit<Extent, 'byteCount'> {
    return { line: this.#line, bytePosition: this.#bytePosition }
  }

  /** The chunk's memory may be used again afterwards. */
  *push(chunk: Uint8Array): Generator<Piece, void, undefined> {
    const bytes = Buffer.concat([this.#undecided, chunk])
    const decided = Math.max(0, bytes.length - MARKER.length + 1)
    yield* this.#scan(bytes, decided)
    this.#undecided = bytes.subarray(decided)
  }

  /** The file is at its end. */
  *end(): Generator<Piece, void, undefined> {
    yield* this.#scan(this.#undecided, this.#undecided.length)
    this.#undecided = NOTHING
    yield* this.#close()
  }

  /** Up to `end`; behind it stands no more than a part of a marker. Each boundary is looked for once, not once a piece. */
  *#scan(bytes: Buffer, end: number): Generator<Piece, void, undefined> {
    let marker = positionOf(bytes.indexOf(MARKER), end)
    let lineFeed = positionOf(bytes.indexOf(LINE_FEED), end)
    let from = 0
    while (from < end) {
      if (marker === from) {
        yield* this.#close()
        this.#kind = 'record'
        marker = positionOf(bytes.indexOf(MARKER, from + 1), end)
      }
      const to = Math.min(marker, lineFeed)
      this.#take(bytes.subarray(from, to))
      from = to
      if (to !== lineFeed || to === end) continue
      yield* this.#close()
      this.#bytePosition++
      this.#line++
      from++
      lineFeed = positionOf(bytes.indexOf(LINE_FEED, from), end)
    }
  }

  #take(part: Buffer): void {
    this.#byteCount += part.length
    if (this.#kind === 'record' && this.#byteCount > this.#recordBytesMax) {
      this.#kind = 'too-long'
      this.#parts = []
    }
    if (this.#kind === 'record' && part.length > 0) this.#parts.push(part)
  }

  *#close(): Generator<Piece, void, undefined> {
    const extent = { line: this.#line, bytePosition: this.#bytePosition, byteCount: this.#byteCount }
    const [first, ...others] = this.#parts
    const kind = this.#kind
    this.#bytePosition += this.#byteCount
    this.#byteCount = 0
    this.#parts = []
    this.#kind = 'stray'
    if (extent.byteCount === 0) return
    if (kind !== 'record') yield { kind, ...extent }
    else if (first !== undefined) {
      yield { kind, ...extent, bytes: others.length === 0 ? first : Buffer.concat([first, ...others]) }
    }
  }
}

function positionOf(index: number, end: number): number {
  return index === -1 || index > end ? end : index
}
