/**
 * The values of one key that come again and again: a status, a method, a level.
 *
 * In: where a value stands. Out: its string, the one of the last time where it was asked for lately. That makes nothing,
 * moves no window, and a program that keeps the string keeps only that alive. Must never happen: another value than the
 * one that stands there; a key whose values are all different that costs more for it.
 */
import type { BatchTexts } from './batch-texts.ts'
import { equalsText } from './text-match.ts'

const SLOT_COUNT = 32
const LENGTH_MAX = 24
/** What a string of its own for a new value costs, measured by what each string gains that need not be made. */
const MISS_COST = 4
const CREDIT_MAX = 200

export class RepeatedTexts {
  readonly #texts: BatchTexts
  /** By a digest of the value. */
  readonly #strings: string[] = []
  /** Gained by strings found, lost by strings made. Once it is used up, the values are taken for all different. */
  #credit = CREDIT_MAX

  constructor(texts: BatchTexts) {
    this.#texts = texts
  }

  /** The text from `start` to `end`, which may be flagged. */
  read(start: number, end: number): string {
    const length = end - start
    if (length <= 0 || length > LENGTH_MAX || this.#credit < 0) return this.#texts.read(start, end)
    const { bytes } = this.#texts
    const middle = bytes[start + (length >> 1)] ?? 0
    const slot = (length + (bytes[start] ?? 0) * 3 + middle * 5 + (bytes[end - 1] ?? 0) * 7) % SLOT_COUNT
    const known = this.#strings[slot] ?? ''
    if (!equalsText(bytes, start, end, known)) return this.#make(slot, start, end)
    if (this.#credit < CREDIT_MAX) this.#credit++
    return known
  }

  #make(slot: number, start: number, end: number): string {
    this.#credit -= MISS_COST
    const made = this.#texts.readApart(start, end)
    this.#strings[slot] = made
    return made
  }
}
