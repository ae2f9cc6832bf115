/**
 * What a processor sees of a response: `LogBatch`, `LogGroup` and `Log`, as views.
 *
 * In: decoded log groups and their place. Out: views that read them on demand. Must never be readable once `process`
 * has settled: the memory behind them goes to other batches. What was read before (strings, `toObject()`) stays good.
 *
 * A key may repeat within a log. `get`, `equals`, `startsWith` and `toObject` all take its first value; `entries` has
 * every pair.
 */
import type { LogGroup as RawGroup, Log as RawLog } from '../src/cls/log-group.ts'
import { ClsConsumerError, type ErrorPlace } from '../src/errors.ts'
import { toUnixMs } from './log-time.ts'

export interface BatchHead {
  readonly topicId: string
  readonly partition: number
  readonly startOffset: bigint
  readonly nextOffset: bigint | undefined
  readonly messageCount: number
}

/** The decoded groups of one open batch. Every view asks it before it reads. */
class BatchMemory {
  #groups: readonly RawGroup[] | undefined
  #tellLateUse: ((error: ClsConsumerError) => void) | undefined
  readonly #place: ErrorPlace

  constructor(groups: readonly RawGroup[], place: ErrorPlace) {
    this.#groups = groups
    this.#place = place
  }

  /** @throws ClsConsumerError BATCH_CLOSED */
  groups(): readonly RawGroup[] {
    if (this.#groups !== undefined) return this.#groups
    const error = new ClsConsumerError(
      'BATCH_CLOSED',
      'a batch was used after its process had settled: await everything that process starts, or keep toObject()',
      this.#place
    )
    this.#tellLateUse?.(error)
    this.#tellLateUse = undefined
    throw error
  }

  close(): void {
    this.#groups = undefined
  }

  onLateUse(tell: (error: ClsConsumerError) => void): void {
    this.#tellLateUse = tell
  }
}

/** Logs of one partition, in offset order. Valid until `process` settles; later use throws `BATCH_CLOSED`. */
export class LogBatch implements Iterable<Log> {
  readonly #memory: BatchMemory
  readonly #head: BatchHead
  readonly #logCount: number

  constructor(memory: BatchMemory, head: BatchHead, logCount: number) {
    this.#memory = memory
    this.#head = head
    this.#logCount = logCount
  }

  get topicId(): string {
    return this.#openHead().topicId
  }

  get partition(): number {
    return this.#openHead().partition
  }

  /** Offset that the response was asked from; that of its first message may be larger. */
  get startOffset(): bigint {
    return this.#openHead().startOffset
  }

  /** Offset that follows the batch; `undefined` where the service names none, as at the end of a bounded run. */
  get nextOffset(): bigint | undefined {
    return this.#openHead().nextOffset
  }

  /** Stored messages, each of one log group. */
  get messageCount(): number {
    return this.#openHead().messageCount
  }

  get logCount(): number {
    this.#memory.groups()
    return this.#logCount
  }

  /** The log groups in order. */
  get groups(): IterableIterator<LogGroup> {
    return eachGroup(this.#memory)
  }

  /** The logs in order, a fresh `Log` each. */
  *[Symbol.iterator](): Generator<Log, void, undefined> {
    for (const group of eachGroup(this.#memory)) yield* group
  }

  /** Every log's contents as a plain object, in order; see `Log.toObject`. */
  toObjects(): Record<string, string>[] {
    return this.#memory.groups().flatMap(group => group.logs.map(log => toRecord(log.contents)))
  }

  #openHead(): BatchHead {
    this.#memory.groups()
    return this.#head
  }
}

/** Logs that were written together, with what is said of all of them. */
export class LogGroup implements Iterable<Log> {
  readonly #memory: BatchMemory
  readonly #raw: RawGroup

  constructor(memory: BatchMemory, raw: RawGroup) {
    this.#memory = memory
    this.#raw = raw
  }

  get source(): string | undefined {
    return this.#open().source
  }

  get filename(): string | undefined {
    return this.#open().filename
  }

  get hostname(): string | undefined {
    return this.#open().hostname
  }

  get contextFlow(): string | undefined {
    return this.#open().contextFlow
  }

  /** Tags by key, a fresh object; of a repeated key the first. */
  get tags(): Record<string, string> {
    return toRecord(this.#open().logTags)
  }

  get logCount(): number {
    return this.#open().logs.length
  }

  *[Symbol.iterator](): Generator<Log, void, undefined> {
    for (const log of this.#open().logs) {
      this.#memory.groups() // the batch may have closed while the loop's body awaited
      yield new Log(this.#memory, log, this)
    }
  }

  #open(): RawGroup {
    this.#memory.groups()
    return this.#raw
  }
}

/** One log. */
export class Log {
  readonly #memory: BatchMemory
  readonly #raw: RawLog
  readonly #group: LogGroup

  constructor(memory: BatchMemory, raw: RawLog, group: LogGroup) {
    this.#memory = memory
    this.#raw = raw
    this.#group = group
  }

  /** The value of a key, or `undefined`; of a repeated key the first. */
  get(key: string): string | undefined {
    return this.#open().contents.find(content => content.key === key)?.value
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** Whether the key is there and its value is exactly `text`. */
  equals(key: string, text: string): boolean {
    return this.get(key) === text
  }

  /** Whether the key is there and its value begins with `text`. */
  startsWith(key: string, text: string): boolean {
    return this.get(key)?.startsWith(text) ?? false
  }

  /** The keys as written, each once. */
  keys(): string[] {
    return [...new Set(this.#open().contents.map(content => content.key))]
  }

  /** Every key with its value as written, repeated keys included. */
  entries(): [key: string, value: string][] {
    return this.#open().contents.map(({ key, value }) => [key, value])
  }

  /** The contents as a plain object, which stays good; of a repeated key the first value. Time is not part of it. */
  toObject(): Record<string, string> {
    return toRecord(this.#open().contents)
  }

  /** Time as written; the writer chose the unit. Past 2^53 a number is not exact: use `timeRaw`. */
  get time(): number {
    return Number(this.#open().time)
  }

  /** Time as written, exact. */
  get timeRaw(): bigint {
    return this.#open().time
  }

  /**
   * Time in Unix milliseconds, rounded down. The unit is inferred from the magnitude: below 10^11 seconds, below 10^14
   * milliseconds, below 10^17 microseconds, from there on nanoseconds. Right for times from March 1973 (below that,
   * seconds are assumed) to November 5138.
   */
  get timeMs(): number {
    return toUnixMs(this.#open().time)
  }

  get group(): LogGroup {
    this.#open()
    return this.#group
  }

  #open(): RawLog {
    this.#memory.groups()
    return this.#raw
  }
}

export interface OpenBatch {
  readonly batch: LogBatch
  /** Closes the batch and all its views. */
  readonly close: () => void
  /** Whom to tell, once, if a view is used from now on. */
  readonly onLateUse: (tell: (error: ClsConsumerError) => void) => void
}

/** An open batch; `file` is the processor's, for errors. */
export function openBatch(head: BatchHead, groups: readonly RawGroup[], file?: string): OpenBatch {
  const { topicId, partition, startOffset } = head
  const place: ErrorPlace = { topicId, partition, offset: startOffset }
  const memory = new BatchMemory(groups, file === undefined ? place : { ...place, file })
  const logCount = groups.reduce((sum, group) => sum + group.logs.length, 0)
  return {
    batch: new LogBatch(memory, head, logCount),
    close: () => memory.close(),
    onLateUse: tell => memory.onLateUse(tell)
  }
}

function* eachGroup(memory: BatchMemory): Generator<LogGroup, void, undefined> {
  for (const group of memory.groups()) {
    memory.groups()
    yield new LogGroup(memory, group)
  }
}

function toRecord(pairs: readonly { readonly key: string; readonly value: string }[]): Record<string, string> {
  const record: Record<string, string> = {}
  for (const { key, value } of pairs) {
    if (Object.hasOwn(record, key)) continue
    // Assigning to `__proto__` would set the prototype and lose the value.
    if (key === '__proto__') Object.defineProperty(record, key, { value, enumerable: true, configurable: true })
    else record[key] = value
  }
  return record
}
