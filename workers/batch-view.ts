/**
 * What a processor sees of a response: `LogBatch`, `LogGroup` and `Log`, as views.
 *
 * In: an indexed response and its place. Out: views that read it on demand. Must never be readable once `process` has
 * settled: the memory behind them goes to other batches. What was read before (strings, `toObject()`) stays good.
 *
 * A key may repeat within a log. `get`, `equals`, `startsWith` and `toObject` all take its first value; `entries` has
 * every pair. A text that is not valid UTF-8 has U+FFFD where a `TextDecoder` puts it.
 *
 * A string that is kept may keep up to 8 KiB of its neighbours alive. Those that keep nothing but themselves: values
 * that are longer or not ASCII, short values that repeat, keys, tags and what is said of a group. Who keeps many strings
 * for long copies them: `Buffer.from(text).toString()`.
 */
import { inspect } from 'node:util'
import type { ClsConsumerError, ErrorPlace } from '../src/errors.ts'
import { BatchAccess } from './batch-access.ts'
import { BatchReader, NOWHERE } from './batch-reader.ts'
import type { IndexedGroups } from './kernel/log-group-index.ts'

export interface BatchHead {
  readonly topicId: string
  readonly partition: number
  readonly startOffset: bigint
  readonly nextOffset: bigint | undefined
  readonly messageCount: number
}

/** Logs of one partition, in offset order. Valid until `process` settles; later use throws `BATCH_CLOSED`. */
export class LogBatch implements Iterable<Log> {
  readonly #access: BatchAccess
  readonly #head: BatchHead
  readonly #logCount: number

  constructor(access: BatchAccess, head: BatchHead, logCount: number) {
    this.#access = access
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
    this.#access.open()
    return this.#logCount
  }

  /** The log groups in order. */
  get groups(): IterableIterator<LogGroup> {
    this.#access.open()
    return eachGroup(this.#access)
  }

  /** The logs in order, a fresh `Log` each. */
  [Symbol.iterator](): IterableIterator<Log> {
    const { firstGroup, groupCount } = this.#access.open()
    return new LogIterator(this.#access, firstGroup, groupCount)
  }

  /** Every log's contents as a plain object, in order; see `Log.toObject`. */
  toObjects(): Record<string, string>[] {
    return this.#access.open().objects()
  }

  /** So that `JSON.stringify(batch)` is that of its logs. */
  toJSON(): Record<string, string>[] {
    return this.toObjects()
  }

  #openHead(): BatchHead {
    this.#access.open()
    return this.#head
  }
}

/** Logs that were written together, with what is said of all of them. */
export class LogGroup implements Iterable<Log> {
  readonly #access: BatchAccess
  readonly #place: number
  // What was read already: a loop may ask with every log.
  readonly #texts = new Map<GroupField, string | undefined>()
  #tags: Record<string, string> | undefined

  constructor(access: BatchAccess, place: number) {
    this.#access = access
    this.#place = place
  }

  /** Where the writer said the logs are from; `undefined`, as the three below, where it said nothing. */
  get source(): string | undefined {
    return this.#text('source')
  }

  get filename(): string | undefined {
    return this.#text('filename')
  }

  get hostname(): string | undefined {
    return this.#text('hostname')
  }

  get contextFlow(): string | undefined {
    return this.#text('contextFlow')
  }

  /** Tags by key, a fresh object; of a repeated key the first. */
  get tags(): Record<string, string> {
    const reader = this.#access.open()
    this.#tags ??= reader.tags(this.#place)
    return { ...this.#tags }
  }

  get logCount(): number {
    return this.#access.open().logCount(this.#place)
  }

  [Symbol.iterator](): IterableIterator<Log> {
    this.#access.open()
    return new LogIterator(this.#access, this.#place, 1)
  }

  /** So that `JSON.stringify(group)` says what is said of the group, and its logs. */
  toJSON(): object {
    const { source, filename, hostname, contextFlow, tags } = this
    return { source, filename, hostname, contextFlow, tags, logs: [...this] }
  }

  /** Of this library's own: where a value stands as a group of that batch; `undefined` where it is none of its groups. */
  static placeIn(access: BatchAccess, value: unknown): number | undefined {
    const isGroup = typeof value === 'object' && value !== null && #access in value
    return isGroup && value.#access === access ? value.#place : undefined
  }

  #text(field: GroupField): string | undefined {
    const reader = this.#access.open()
    if (!this.#texts.has(field)) this.#texts.set(field, reader.groupText(this.#place, field))
    return this.#texts.get(field)
  }
}

/** One log. */
export class Log {
  readonly #access: BatchAccess
  readonly #place: number

  constructor(access: BatchAccess, place: number) {
    this.#access = access
    this.#place = place
  }

  /**
   * The value of a key, or `undefined`; of a repeated key the first. It stays good after `process`; kept for long, it may
   * keep up to 8 KiB of the batch's other texts alive.
   */
  get(key: string): string | undefined {
    return this.#access.open().get(this.#place, key)
  }

  /** Whether the key is there, with whatever value. */
  has(key: string): boolean {
    return this.#access.open().find(this.#place, key) !== NOWHERE
  }

  /** Whether the key is there and its value is exactly `text`. Makes no string, unless `text` has a U+FFFD in it. */
  equals(key: string, text: string): boolean {
    const reader = this.#access.open()
    if (typeof text !== 'string') throw noText('equals', key, text)
    const value = reader.find(this.#place, key)
    return value !== NOWHERE && reader.equals(value, text)
  }

  /** Whether the key is there and its value begins with `text`. Makes no string, as `equals`. */
  startsWith(key: string, text: string): boolean {
    const reader = this.#access.open()
    if (typeof text !== 'string') throw noText('startsWith', key, text)
    const value = reader.find(this.#place, key)
    return value !== NOWHERE && reader.startsWith(value, text)
  }

  /** The keys as written, each once. */
  keys(): string[] {
    return this.#access.open().keys(this.#place)
  }

  /** Every key with its value as written, repeated keys included. */
  entries(): [key: string, value: string][] {
    return this.#access.open().entries(this.#place)
  }

  /** The contents as a plain object, which stays good; of a repeated key the first value. Time is not part of it. */
  toObject(): Record<string, string> {
    return this.#access.open().object(this.#place)
  }

  /** So that `JSON.stringify(log)` is that of its contents. */
  toJSON(): Record<string, string> {
    return this.toObject()
  }

  /** Time as written; the writer chose the unit. Past 2^53 a number is not exact: use `timeRaw`. */
  get time(): number {
    return this.#access.open().time(this.#place)
  }

  /** Time as written, exact. */
  get timeRaw(): bigint {
    return this.#access.open().timeRaw(this.#place)
  }

  /**
   * Time in Unix milliseconds, rounded down. The unit is inferred from the magnitude: below 10^11 seconds, below 10^14
   * milliseconds, below 10^17 microseconds, from there on nanoseconds. Right for times from March 1973 (below that,
   * seconds are assumed) to November 5138.
   */
  get timeMs(): number {
    return this.#access.open().timeMs(this.#place)
  }

  /** What it was written with. */
  get group(): LogGroup {
    return groupAt(this.#access, this.#access.open().groupOf(this.#place))
  }

  /** Of this library's own: where a value stands as a log of that batch; `undefined` where it is none of its logs. */
  static placeIn(access: BatchAccess, value: unknown): number | undefined {
    const isLog = typeof value === 'object' && value !== null && #access in value
    return isLog && value.#access === access ? value.#place : undefined
  }
}

export interface OpenBatch {
  readonly batch: LogBatch
  readonly access: BatchAccess
  /** Closes the batch and all its views. */
  readonly close: () => void
  /** Whom to tell, once, if a view is used from now on. */
  readonly onLateUse: (tell: (error: ClsConsumerError) => void) => void
}

/** An open batch; `file` is the processor's, for errors. The memory of `indexed` is the batch's own until it is closed. */
export function openBatch(head: BatchHead, indexed: IndexedGroups, file?: string): OpenBatch {
  const { topicId, partition, startOffset } = head
  const place: ErrorPlace = { topicId, partition, offset: startOffset }
  const access = new BatchAccess(new BatchReader(indexed), file === undefined ? place : { ...place, file })
  return {
    batch: new LogBatch(access, head, indexed.logCount),
    access,
    close: () => access.close(),
    onLateUse: tell => access.onLateUse(tell)
  }
}

/** Not every processor is checked by TypeScript: a number would be found in no ASCII value, and break at the first other. */
function noText(method: string, key: string, text: unknown): TypeError {
  return new TypeError(`log.${method}(${JSON.stringify(key)}, …) compares with a text, not with ${inspect(text)}`)
}

type GroupField = 'source' | 'filename' | 'hostname' | 'contextFlow'

/** Written out, because a generator costs twice as much as all else that comparing a field of each log takes. */
class LogIterator implements IterableIterator<Log, undefined> {
  readonly #access: BatchAccess
  #nextLog = NOWHERE
  #logsLeft = 0
  #nextGroup: number
  #groupsLeft: number

  constructor(access: BatchAccess, firstGroup: number, groupCount: number) {
    this.#access = access
    this.#nextGroup = firstGroup
    this.#groupsLeft = groupCount
  }

  /** Asks for the batch each time: it may have closed while the loop's body awaited. */
  next(): IteratorResult<Log, undefined> {
    const reader = this.#access.open()
    while (this.#logsLeft === 0) {
      if (this.#groupsLeft === 0) return { done: true, value: undefined }
      this.#enterGroup(reader)
    }
    const log = this.#nextLog
    this.#logsLeft--
    this.#nextLog = reader.logAfter(log)
    return { done: false, value: new Log(this.#access, log) }
  }

  return(): IteratorResult<Log, undefined> {
    this.#logsLeft = 0
    this.#groupsLeft = 0
    return { done: true, value: undefined }
  }

  [Symbol.iterator](): this {
    return this
  }

  #enterGroup(reader: BatchReader): void {
    this.#nextLog = reader.firstLog(this.#nextGroup)
    this.#logsLeft = reader.logCount(this.#nextGroup)
    this.#nextGroup = reader.groupAfter(this.#nextGroup)
    this.#groupsLeft--
  }
}

function* eachGroup(access: BatchAccess): Generator<LogGroup, void, undefined> {
  const { firstGroup, groupCount } = access.open()
  let group = firstGroup
  for (let groupsLeft = groupCount; groupsLeft > 0; groupsLeft--) {
    // Anew each time: the batch may have closed while the loop's body awaited.
    yield groupAt(access, group)
    group = access.open().groupAfter(group)
  }
}

function groupAt(access: BatchAccess, place: number): LogGroup {
  const { groups } = access.open()
  const known = groups.get(place)
  if (known !== undefined) return known
  const group = new LogGroup(access, place)
  groups.set(place, group)
  return group
}
