/**
 * Where the bytes of a body go as they arrive. Byte-level.
 *
 * In: chunks, whose memory is the HTTP parser's and is reused. Out: one body. Must never happen: a body of more than
 * `bytesMax` bytes, or an error page refused for its length: it is cut, since its status says enough.
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import { type BodyMemory, slabBytes } from './slabs.ts'

/** Takes a body; `full` says that no more of it is wanted. */
export interface BodySink {
  write(chunk: Uint8Array): 'more' | 'full'
}

/** Of an answer that is not a 200, this much is read. */
const ERROR_BODY_BYTES_MAX = 64 * 1024
/** First piece for a body of unknown length; doubled as needed. */
const GROWING_BYTES = 64 * 1024
/** Of its memory; a body that leaves more of it empty goes to a smaller one. */
const FULL_SHARE_MIN = 0.5

/** An error page, in ordinary memory. */
export class ErrorBody implements BodySink {
  readonly #chunks: Buffer[] = []
  #byteCount = 0

  write(chunk: Uint8Array): 'more' | 'full' {
    const wanted = chunk.subarray(0, ERROR_BODY_BYTES_MAX - this.#byteCount)
    this.#chunks.push(Buffer.from(wanted))
    this.#byteCount += wanted.length
    return this.#byteCount < ERROR_BODY_BYTES_MAX ? 'more' : 'full'
  }

  take(): Uint8Array {
    return Buffer.concat(this.#chunks)
  }
}

/** The body of a 200, written once, straight into memory that every thread can read. */
export class SharedBody implements BodySink {
  readonly #memory: BodyMemory
  readonly #bytesMax: number
  readonly #place: ErrorPlace
  #bytes: SharedArrayBuffer
  #view: Uint8Array
  #byteCount = 0

  /**
   * @param contentLength where the answer names it: no more is taken than it needs.
   * @throws ClsConsumerError BODY_TOO_LARGE
   */
  constructor(memory: BodyMemory, contentLength: number | undefined, bytesMax: number, place: ErrorPlace) {
    this.#memory = memory
    this.#bytesMax = bytesMax
    this.#place = place
    if (contentLength !== undefined && contentLength > bytesMax) throw this.#tooLarge(`${contentLength}`)
    this.#bytes = memory.take(contentLength ?? Math.min(GROWING_BYTES, bytesMax))
    this.#view = new Uint8Array(this.#bytes)
  }

  get byteCount(): number {
    return this.#byteCount
  }

  /** What has arrived, from the first byte. A later write may move it: do not keep the view. */
  get received(): Uint8Array {
    return this.#view.subarray(0, this.#byteCount)
  }

  /** @throws ClsConsumerError BODY_TOO_LARGE */
  write(chunk: Uint8Array): 'more' {
    const byteCount = this.#byteCount + chunk.length
    if (byteCount > this.#bytesMax) throw this.#tooLarge(`at least ${byteCount}`)
    if (byteCount > this.#bytes.byteLength) {
      let capacity = this.#bytes.byteLength
      while (capacity < byteCount) capacity = Math.max(1, 2 * capacity)
      this.#move(Math.min(capacity, this.#bytesMax))
    }
    this.#view.set(chunk, this.#byteCount)
    this.#byteCount = byteCount
    return 'more'
  }

  /** The body; its memory is the caller's from here on. What is held is about what the byte budget counts: the memory. */
  take(): { readonly bytes: SharedArrayBuffer; readonly byteCount: number } {
    if (slabBytes(this.#byteCount) < this.#bytes.byteLength * FULL_SHARE_MIN) this.#move(this.#byteCount)
    return { bytes: this.#bytes, byteCount: this.#byteCount }
  }

  /** Nobody wants it. */
  drop(): void {
    this.#memory.give(this.#bytes)
  }

  #move(byteCount: number): void {
    const { received } = this
    const outgrown = this.#bytes
    this.#bytes = this.#memory.take(byteCount)
    this.#view = new Uint8Array(this.#bytes)
    this.#view.set(received)
    this.#memory.give(outgrown)
  }

  #tooLarge(byteCount: string): ClsConsumerError {
    const message = `a response body of ${byteCount} bytes is more than the ${this.#bytesMax} accepted`
    return new ClsConsumerError('BODY_TOO_LARGE', message, this.#place)
  }
}
