/**
 * The index of an open batch, as its views read it.
 *
 * In: the indexed groups. Out: where logs, groups and the values of keys stand, and what is there. A place is an index of
 * words. Must never happen: anything that outlives the batch: a reader is dropped whole when it closes.
 */

import { BatchTexts } from './batch-texts.ts'
import type { LogGroup } from './batch-view.ts'
import { GROUP, GROUP_WORDS, type IndexedGroups, LOG, LOG_WORDS, PAIR, PAIR_WORDS } from './kernel/log-group-index.ts'
import type { KernelMemory } from './kernel/memory.ts'
import { KeyShape, readKeys, ShapeCache, toRecord } from './key-shapes.ts'
import { toNumber, toUnixMs } from './log-time.ts'
import { RepeatedTexts } from './repeated-texts.ts'
import { equalsText, startsWithText } from './text-match.ts'

/** No text stands there. */
export const NOWHERE = 0
/** What the word for a log's shape says besides its number. */
const NOT_MATCHED = 0
const SHAPELESS = -1
/** What `assembly/shapes.ts` says of each shape: the address of the first log that has it. */
const SHAPE_WORDS = 2
const SHAPE = { log: 0, digest: 1 } as const

const CACHED_SHAPES_MAX = 256
const CACHED_CHARACTERS_MAX = 16_384
/** Of this thread. */
const cache = new ShapeCache(CACHED_SHAPES_MAX, CACHED_CHARACTERS_MAX)

/** Number 0, which no log has. */
const NO_SHAPE = new KeyShape([])

/** A key of a shape. */
interface FoundKey {
  /** Of the first value, from the log on. */
  readonly place: number
  readonly texts: RepeatedTexts
}

export class BatchReader {
  readonly firstGroup: number
  readonly groupCount: number
  readonly texts: BatchTexts
  /** By place, so that the views of a group are one. */
  readonly groups = new Map<number, LogGroup>()
  readonly #memory: KernelMemory
  readonly #words: Int32Array
  readonly #times: BigInt64Array
  /** By number. */
  readonly #shapes = [NO_SHAPE]
  /** By the shape's number: the keys that were sought. */
  readonly #found: Map<string, FoundKey>[] = [new Map()]
  // What was sought last: mostly the same key in a log of the same shape.
  #soughtKey = ''
  #soughtShape = SHAPELESS
  #sought: FoundKey | undefined

  constructor({ memory, firstGroup, groupCount }: IndexedGroups) {
    this.firstGroup = placeAt(firstGroup)
    this.groupCount = groupCount
    this.texts = new BatchTexts(memory.bytes)
    this.#memory = memory
    this.#words = memory.words
    this.#times = memory.times
  }

  word(place: number): number {
    return this.#words[place] ?? 0
  }

  logCount(group: number): number {
    return this.word(group + GROUP.logCount)
  }

  firstLog(group: number): number {
    return group + GROUP_WORDS
  }

  logAfter(log: number): number {
    return log + LOG_WORDS + this.word(log + LOG.contentCount) * PAIR_WORDS
  }

  groupAfter(group: number): number {
    return placeAt(this.word(group + GROUP.end))
  }

  groupOf(log: number): number {
    return placeAt(this.word(log + LOG.group))
  }

  time(log: number): number {
    return toNumber(this.word(log + LOG.time), this.word(log + LOG.time + 1))
  }

  timeMs(log: number): number {
    return toUnixMs(this.word(log + LOG.time), this.word(log + LOG.time + 1))
  }

  timeRaw(log: number): bigint {
    return this.#times[(log + LOG.time) / 2] ?? 0n
  }

  /** The value of a log's first pair with this key, or `NOWHERE`. */
  find(log: number, key: string): number {
    const shape = this.#shapeNumber(log)
    if (shape === SHAPELESS) return this.#search(log, key)
    const found = this.#seek(shape, key)
    return found === undefined ? NOWHERE : log + found.place
  }

  /** The same, as a string. */
  get(log: number, key: string): string | undefined {
    const shape = this.#shapeNumber(log)
    if (shape === SHAPELESS) return this.#searchText(log, key)
    const found = this.#seek(shape, key)
    if (found === undefined) return undefined
    const value = log + found.place
    return found.texts.read(this.word(value), this.word(value + 1))
  }

  #seek(shape: number, key: string): FoundKey | undefined {
    if (shape !== this.#soughtShape || key !== this.#soughtKey) {
      this.#soughtKey = key
      this.#soughtShape = shape
      this.#sought = this.#found[shape]?.get(key) ?? this.#seekAnew(shape, key)
    }
    return this.#sought
  }

  #seekAnew(shape: number, key: string): FoundKey | undefined {
    const place = this.#shape(shape).placeOf(key)
    if (place === undefined) return undefined
    const found = { place, texts: new RepeatedTexts(this.texts) }
    this.#found[shape]?.set(key, found)
    return found
  }

  #searchText(log: number, key: string): string | undefined {
    const value = this.#search(log, key)
    return value === NOWHERE ? undefined : this.text(value)
  }

  #search(log: number, key: string): number {
    const end = this.logAfter(log)
    for (let pair = log + LOG_WORDS; pair < end; pair += PAIR_WORDS) {
      if (equalsText(this.texts.bytes, this.word(pair + PAIR.key), this.word(pair + PAIR.key + 1), key)) {
        return pair + PAIR.value
      }
    }
    return NOWHERE
  }

  text(value: number): string {
    return this.texts.read(this.word(value), this.word(value + 1))
  }

  equals(value: number, text: string): boolean {
    return equalsText(this.texts.bytes, this.word(value), this.word(value + 1), text)
  }

  startsWith(value: number, text: string): boolean {
    return startsWithText(this.texts.bytes, this.word(value), this.word(value + 1), text)
  }

  keys(log: number): string[] {
    const shape = this.#shapeNumber(log)
    return shape === SHAPELESS ? [...new Set(this.#readKeys(log))] : this.#shape(shape).uniqueKeys()
  }

  entries(log: number): [key: string, value: string][] {
    const shape = this.#shapeNumber(log)
    const keys = shape === SHAPELESS ? this.#readKeys(log) : this.#shape(shape).keys
    return keys.map((key, index) => [key, this.text(log + LOG_WORDS + index * PAIR_WORDS + PAIR.value)])
  }

  object(log: number): Record<string, string> {
    const shape = this.#shapeNumber(log)
    return shape === SHAPELESS ? toRecord(this.entries(log)) : this.#shape(shape).toObject(this.texts, this.#words, log)
  }

  /** Every log's. */
  objects(): Record<string, string>[] {
    const objects: Record<string, string>[] = []
    let group = this.firstGroup
    for (let groupsLeft = this.groupCount; groupsLeft > 0; groupsLeft--) {
      let log = this.firstLog(group)
      for (let logsLeft = this.logCount(group); logsLeft > 0; logsLeft--) {
        objects.push(this.object(log))
        log = this.logAfter(log)
      }
      group = this.groupAfter(group)
    }
    return objects
  }

  tags(group: number): Record<string, string> {
    const first = placeAt(this.word(group + GROUP.tagsAt))
    const places = Array.from({ length: this.word(group + GROUP.tagCount) }, (_, index) => first + index * PAIR_WORDS)
    return toRecord(places.map(pair => [this.#readApart(pair + PAIR.key), this.#readApart(pair + PAIR.value)]))
  }

  /** A text of a group's head; `undefined` where the wire has none. */
  groupText(group: number, field: 'source' | 'filename' | 'hostname' | 'contextFlow'): string | undefined {
    const place = group + GROUP[field]
    return this.word(place) === NOWHERE ? undefined : this.#readApart(place)
  }

  #readApart(place: number): string {
    return this.texts.readApart(this.word(place), this.word(place + 1))
  }

  #readKeys(log: number): string[] {
    return readKeys(log, this.#words, this.texts)
  }

  #shape(number: number): KeyShape {
    return this.#shapes[number] ?? NO_SHAPE
  }

  #shapeNumber(log: number): number {
    const number = this.word(log + LOG.shape)
    return number === NOT_MATCHED ? this.#match(log) : number
  }

  /** Of all logs of the group: the first that is asked for a key pays for them. */
  #match(log: number): number {
    const { kernel } = this.#memory
    const count = kernel.matchShapes(this.word(log + LOG.group), this.#shapes.length - 1)
    while (this.#shapes.length <= count) {
      const entry = placeAt(kernel.SHAPES.value) + this.#shapes.length * SHAPE_WORDS
      const first = placeAt(this.word(entry + SHAPE.log))
      this.#found.push(new Map())
      this.#shapes.push(cache.shapeOf(first, this.#words, this.texts, this.word(entry + SHAPE.digest)))
    }
    return this.word(log + LOG.shape)
  }
}

function placeAt(address: number): number {
  return address >> 2
}
