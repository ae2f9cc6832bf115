/**
 * What is known of all logs with the same keys: where each key's value stands, and how to make an object of one.
 *
 * In: the keys of a log, as written. Out: positions, and plain objects. Shapes outlive their batch: a thread sees the same
 * few again and again, and compiled code pays only when it is used often. Must never happen: a key that is taken for
 * code, or a thread's memory that grows with the keys it has seen.
 */
import type { BatchTexts } from './batch-texts.ts'
import { LOG, LOG_WORDS, PAIR, PAIR_WORDS } from './kernel/log-group-index.ts'
import { END_MASK } from './kernel/memory.ts'
import { equalsText } from './text-match.ts'

/** In words, as a log's own place. */
type Place = number

/** All values that are ASCII are in the window, which begins at `windowStart`. */
type MakeObject = (
  texts: BatchTexts,
  words: Int32Array,
  log: Place,
  window: string,
  windowStart: number
) => Record<string, string>

/** Compiling takes as long as a hundred objects made key by key; a shape that came so often will come again. */
const COMPILE_AFTER_COUNT = 200
/** From there on V8 makes a dictionary of a literal too, and it gains nothing. */
const LITERAL_KEYS_MAX = 120

export class KeyShape {
  /** As written, repeated ones included. */
  readonly keys: readonly string[]
  /** Where the value of each key's first pair stands, from the log on. */
  readonly #places: ReadonlyMap<string, Place>
  #objectCount = 0
  #literal: MakeObject | undefined

  constructor(keys: readonly string[]) {
    this.keys = keys
    const places = new Map<string, Place>()
    for (const [index, key] of keys.entries()) {
      if (!places.has(key)) places.set(key, LOG_WORDS + index * PAIR_WORDS + PAIR.value)
    }
    this.#places = places
  }

  /** Whether a log has exactly these keys, in this order. */
  isOf(log: Place, words: Int32Array, bytes: Buffer): boolean {
    if (words[log + LOG.contentCount] !== this.keys.length) return false
    let pair = log + LOG_WORDS
    for (const key of this.keys) {
      if (!equalsText(bytes, words[pair + PAIR.key] ?? 0, words[pair + PAIR.key + 1] ?? 0, key)) return false
      pair += PAIR_WORDS
    }
    return true
  }

  /** Each once. */
  uniqueKeys(): string[] {
    return [...this.#places.keys()]
  }

  /** Where the value of a key stands, from the log on; `undefined` where there is no such key. */
  placeOf(key: string): Place | undefined {
    return this.#places.get(key)
  }

  /** A log's contents; of a repeated key the first value. */
  toObject(texts: BatchTexts, words: Int32Array, log: Place): Record<string, string> {
    if (this.#literal !== undefined) {
      // Contents stand in the payload as they do here, one after the other.
      const start = words[log + LOG_WORDS + PAIR.value] ?? 0
      const end = words[log + LOG_WORDS + this.keys.length * PAIR_WORDS - 1] ?? 0
      if (texts.cover(start, end & END_MASK)) {
        return this.#literal(texts, words, log, texts.window, texts.windowStart)
      }
    }
    this.#objectCount++
    if (this.#objectCount === COMPILE_AFTER_COUNT) this.#literal = compileLiteral(this.#places)
    const object: Record<string, string> = {}
    for (const [key, place] of this.#places) {
      setMember(object, key, texts.read(words[log + place] ?? 0, words[log + place + 1] ?? 0))
    }
    return object
  }
}

/**
 * The shapes of a thread. Keys that were met before are compared as bytes: strings of them, made for each batch, took
 * longer than all else of a tiny response (bench: decode, `tiny`).
 */
export class ShapeCache {
  /** By a digest of their keys, which others may have too; the digest that was least recently used first. */
  readonly #alike = new Map<number, KeyShape[]>()
  readonly #shapesMax: number
  readonly #charactersMax: number
  #size = 0

  /** `charactersMax`: of all keys of a shape, and one more for each; a shape with more is not kept. */
  constructor(shapesMax: number, charactersMax: number) {
    this.#shapesMax = shapesMax
    this.#charactersMax = charactersMax
  }

  get size(): number {
    return this.#size
  }

  /** `digest`: of the log's keys; the same for the same bytes. */
  shapeOf(log: Place, words: Int32Array, texts: BatchTexts, digest: number): KeyShape {
    const alike = this.#alike.get(digest)
    const known = alike?.find(shape => shape.isOf(log, words, texts.bytes))
    if (alike === undefined || known === undefined) return this.#add(readKeys(log, words, texts), digest)
    this.#alike.delete(digest)
    this.#alike.set(digest, alike)
    return known
  }

  #add(keys: readonly string[], digest: number): KeyShape {
    const shape = new KeyShape(keys)
    if (keys.reduce((sum, key) => sum + key.length + 1, 0) > this.#charactersMax) return shape
    const alike = this.#alike.get(digest) ?? []
    alike.push(shape)
    this.#alike.delete(digest)
    this.#alike.set(digest, alike)
    this.#size++
    if (this.#size > this.#shapesMax) this.#dropOldest()
    return shape
  }

  #dropOldest(): void {
    for (const [digest, { length }] of this.#alike) {
      this.#alike.delete(digest)
      this.#size -= length
      return
    }
  }
}

/** A log's, as written. */
export function readKeys(log: Place, words: Int32Array, texts: BatchTexts): string[] {
  return Array.from({ length: words[log + LOG.contentCount] ?? 0 }, (_, index) => {
    const key = log + LOG_WORDS + index * PAIR_WORDS + PAIR.key
    return texts.readApart(words[key] ?? 0, words[key + 1] ?? 0)
  })
}

/** A plain object of pairs; of a repeated key the first value. */
export function toRecord(pairs: Iterable<readonly [key: string, value: string]>): Record<string, string> {
  const record: Record<string, string> = {}
  for (const [key, value] of pairs) if (!Object.hasOwn(record, key)) setMember(record, key, value)
  return record
}

function setMember(object: Record<string, string>, key: string, value: string): void {
  if (key !== '__proto__') object[key] = value
  // Assigning would set the prototype and lose the value.
  else Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

/**
 * A function that makes the object by one literal: V8 lays it out once, where an object made key by key changes its
 * layout with each. `undefined` where Node may not make code of strings (`--disallow-code-generation-from-strings`).
 *
 * A key gets into the code as a JSON string, which is a string of JavaScript, whatever is in it.
 */
function compileLiteral(places: ReadonlyMap<string, Place>): MakeObject | undefined {
  if (places.size === 0 || places.size > LITERAL_KEYS_MAX) return undefined
  const members = [...places].map(([key, place]) => {
    // `"__proto__": …` would set the prototype; a computed name is a name.
    const name = key === '__proto__' ? '["__proto__"]' : JSON.stringify(key)
    const start = `words[log + ${place}]`
    // A flagged end is negative.
    return `${name}: (end = words[log + ${place + 1}]) < 0
      ? texts.read(${start}, end)
      : window.substring(${start} - windowStart, end - windowStart)`
  })
  const code = `return (texts, words, log, window, windowStart) => { let end; return { ${members.join(', ')} } }`
  try {
    return new Function(code)()
  } catch (error) {
    if (error instanceof EvalError) return undefined
    throw error
  }
}
