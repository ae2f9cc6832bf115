/**
 * The texts of an open batch, as strings.
 *
 * In: where a text stands. Out: the string that `new TextDecoder('utf-8', { ignoreBOM: true })` makes of it: invalid bytes
 * become U+FFFD. Must never happen: a kept string that keeps much more alive than itself.
 *
 * ASCII is cut out of a window, a string of many texts: one call into Node for hundreds of them. A string cut out may
 * keep its window alive, so a window has `WINDOW_BYTES` at most, unless it is one longer text alone. Who reads on near
 * the window gets the next one twice as large; who jumps gets one of the text that was asked for.
 */
import { END_MASK } from './kernel/memory.ts'

export const WINDOW_BYTES = 8192
/** A call into Node takes as long as copying about so much. */
const WINDOW_BYTES_MIN = 1024
/** How far beside the window a text may be. */
const NEAR_BYTES = 2048

export class BatchTexts {
  readonly bytes: Buffer
  #window = ''
  #start: number
  #end: number
  /** That of the window, or of the last one that was not of one text alone; 0 after a jump. */
  #size = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
    // Nothing, and nothing is near it.
    this.#start = -NEAR_BYTES
    this.#end = -NEAR_BYTES
  }

  /** The string of many texts, of which each byte is a character. */
  get window(): string {
    return this.#window
  }

  /** Where the window begins. */
  get windowStart(): number {
    return this.#start
  }

  /** Whether the window is now over all from `start` to `end`, which have no flags: over no more than a window may be. */
  cover(start: number, end: number): boolean {
    if (end - start > WINDOW_BYTES) return false
    if (start < this.#start || end > this.#end) this.#move(start, end)
    return true
  }

  /** The text from `start` to `end`, which may be flagged. */
  read(start: number, end: number): string {
    if (end < 0) return this.bytes.toString('utf8', start, end & END_MASK)
    if (start < this.#start || end > this.#end) this.#move(start, end)
    return this.#window.substring(start - this.#start, end - this.#start)
  }

  /** The same, for texts apart from the logs' values: leaves the window where it is, and keeps nothing else alive. */
  readApart(start: number, end: number): string {
    return this.bytes.toString(end < 0 ? 'utf8' : 'latin1', start, end & END_MASK)
  }

  #move(start: number, end: number): void {
    const isNear = start >= this.#start - NEAR_BYTES && end <= this.#end + NEAR_BYTES
    this.#size = isNear ? Math.min(Math.max(2 * this.#size, WINDOW_BYTES_MIN), WINDOW_BYTES) : 0
    // A part of it lies before the text: a log's keys are asked for in any order.
    const before = this.#size / 8
    const isAlone = end - start > this.#size - before
    this.#start = isAlone ? start : Math.max(start - before, 0)
    this.#end = isAlone ? end : Math.min(this.#start + this.#size, this.bytes.length)
    this.#window = this.bytes.toString('latin1', this.#start, this.#end)
  }
}
