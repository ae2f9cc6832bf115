/**
 * The dead letters of one batch, as its processor asks for them.
 *
 * In: logs and groups of the open batch, by their places, and why. Out: a letter for each: of a group its message's whole
 * payload, of a log all of that but the other logs, byte for byte. Must never happen: a letter that still points into the
 * batch's memory, which goes to other batches; two letters of one log or of one group, for a reader tells them apart by
 * message and log. A log and its group may have one each.
 *
 * Costs nothing until the first letter. A group is walked once, however many of its logs become letters.
 */
import type { ThreadLetter } from '../src/dispatch/messages.ts'
import { assert, ClsConsumerError } from '../src/errors.ts'
import type { BatchReader } from './batch-reader.ts'
import { findLogFields } from './kernel/log-fields.ts'
import { GROUP } from './kernel/log-group-index.ts'
import type { Span } from './kernel/memory.ts'

/**
 * Of all letters of a batch. The logs themselves, and the groups, add up to less than the batch, as each is here once; but
 * its group's tags and texts go with each log, so a large head over many logs could take any amount.
 */
const LETTERS_BYTES_MAX = 256 * 1024 * 1024
const REASON_CHARACTERS_MAX = 4096

interface LogField extends Span {
  readonly logIndex: number
  /** Bytes of the group's rest that stand before it. */
  readonly restBefore: number
}

interface GroupParts {
  readonly messageIndex: number
  /** All but the logs. */
  readonly rest: Uint8Array
  /** By the place of the log. */
  readonly logs: ReadonlyMap<number, LogField>
}

export class BatchLetters {
  /** By the place of the log or group: one table has both. */
  readonly #letters = new Map<number, ThreadLetter>()
  /** Whose logs are letters; by the place of the group. */
  readonly #groups = new Map<number, GroupParts>()
  readonly #bytesMax: number
  #byteCount = 0

  constructor(bytesMax = LETTERS_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  /** In the order in which they were asked for. */
  get all(): ThreadLetter[] {
    return [...this.#letters.values()]
  }

  /** The first reason stays. @throws ClsConsumerError DEAD_LETTER_TOO_LARGE */
  addLog(reader: BatchReader, log: number, reason: string): void {
    if (this.#letters.has(log)) return
    const { messageIndex, rest, logs } = this.#partsOf(reader, reader.groupOf(log))
    const field = logs.get(log)
    assert(field !== undefined, 'a log is one of its group')
    const said = shorten(reason)
    this.#take(rest.length + field.end - field.start + 2 * said.length)
    const raw = join(rest, reader.texts.bytes.subarray(field.start, field.end), field.restBefore)
    this.#letters.set(log, { kind: 'log', messageIndex, logIndex: field.logIndex, reason: said, raw })
  }

  /** Likewise. @throws ClsConsumerError DEAD_LETTER_TOO_LARGE */
  addGroup(reader: BatchReader, group: number, reason: string): void {
    if (this.#letters.has(group)) return
    const { start, end } = payloadOf(reader, group)
    const said = shorten(reason)
    this.#take(end - start + 2 * said.length)
    const raw = new Uint8Array(reader.texts.bytes.subarray(start, end))
    this.#letters.set(group, { kind: 'group', messageIndex: messageOf(reader, group), reason: said, raw })
  }

  #partsOf(reader: BatchReader, group: number): GroupParts {
    const known = this.#groups.get(group)
    if (known !== undefined) return known
    const parts = partsOf(reader, group)
    this.#groups.set(group, parts)
    return parts
  }

  #take(byteCount: number): void {
    if (this.#byteCount + byteCount > this.#bytesMax) {
      const what = `the dead letters of one batch come to more than ${this.#bytesMax} bytes, for each log takes what is said of its group along`
      throw new ClsConsumerError('DEAD_LETTER_TOO_LARGE', `${what}: let the batch fail as a whole`)
    }
    this.#byteCount += byteCount
  }
}

function partsOf(reader: BatchReader, group: number): GroupParts {
  const { bytes } = reader.texts
  const payload = payloadOf(reader, group)
  const fields = findLogFields(bytes, payload)
  assert(fields.length === reader.logCount(group), 'an indexed group has as many logs as its index')
  const logBytes = fields.reduce((sum, { start, end }) => sum + end - start, 0)
  const rest = new Uint8Array(payload.end - payload.start - logBytes)
  const logs = new Map<number, LogField>()
  let log = reader.firstLog(group)
  let restBefore = 0
  let from = payload.start
  for (const [logIndex, { start, end }] of fields.entries()) {
    rest.set(bytes.subarray(from, start), restBefore)
    restBefore += start - from
    from = end
    logs.set(log, { logIndex, start, end, restBefore })
    log = reader.logAfter(log)
  }
  rest.set(bytes.subarray(from, payload.end), restBefore)
  return { messageIndex: messageOf(reader, group), rest, logs }
}

function payloadOf(reader: BatchReader, group: number): Span {
  return { start: reader.word(group + GROUP.payload), end: reader.word(group + GROUP.payload + 1) }
}

function messageOf(reader: BatchReader, group: number): number {
  return reader.word(group + GROUP.messageIndex)
}

/** In memory of its own: of a piece of Node's pool, the clone that goes to the main thread would be the whole pool. */
function join(rest: Uint8Array, log: Uint8Array, restBefore: number): Uint8Array {
  const raw = new Uint8Array(rest.length + log.length)
  raw.set(rest.subarray(0, restBefore))
  raw.set(log, restBefore)
  raw.set(rest.subarray(restBefore), restBefore + log.length)
  return raw
}

function shorten(reason: string): string {
  return reason.length > REASON_CHARACTERS_MAX ? `${reason.slice(0, REASON_CHARACTERS_MAX)}…` : reason
}
