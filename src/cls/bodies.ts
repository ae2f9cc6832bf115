/**
 * Where the bytes of a body go as they arrive. Byte-level.
 *
 * In: chunks, whose memory is the HTTP parser's and is reused. Out: one body. Must never happen: a body of more than
 * `bytesMax` bytes held, or an error page refused for its length: it is cut, since its status says enough.
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'

/** Takes a body; `full` says that no more of it is wanted. */
export interface BodySink {
  write(chunk: Uint8Array): 'more' | 'full'
}

/** Of an answer that is not a 200, this much is read. */
const ERROR_BODY_BYTES_MAX = 64 * 1024
/** First piece for a body of unknown length; doubled as needed. */
const GROWING_BYTES = 64 * 1024

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
  #bytes: SharedArrayBuffer
  #view: Uint8Array
  #byteCount = 0
  readonly #bytesMax: number
  readonly #place: ErrorPlace

  /**
   * @param contentLength where the answer names it: exactly that much is allocated.
   * @throws ClsConsumerError BODY_TOO_LARGE
   */
  constructor(contentLength: number | undefined, bytesMax: number, place: ErrorPlace) {
    this.#bytesMax = bytesMax
    this.#place = place
    if (contentLength !== undefined && contentLength > bytesMax) throw this.#tooLarge(`${contentLength}`)
    this.#bytes = new SharedArrayBuffer(contentLength ?? Math.min(GROWING_BYTES, bytesMax))
    this.#view = new Uint8Array(this.#bytes)
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

  /** The body, in memory of exactly its size: what is held is what the byte budget counts. */
  take(): SharedArrayBuffer {
    if (this.#byteCount < this.#bytes.byteLength) this.#move(this.#byteCount)
    return this.#bytes
  }

  #move(byteCount: number): void {
    const received = this.received
    this.#bytes = new SharedArrayBuffer(byteCount)
    this.#view = new Uint8Array(this.#bytes)
    this.#view.set(received)
  }

  #tooLarge(byteCount: string): ClsConsumerError {
    const message = `a response body of ${byteCount} bytes is more than the ${this.#bytesMax} accepted`
    return new ClsConsumerError('BODY_TOO_LARGE', message, this.#place)
  }
}
