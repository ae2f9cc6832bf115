/**
 * What explains a repeat in a run where everything fails: read from the ledgers, and from when a process was killed.
 *
 * In: the lines of each consumer. Out: interruptions for the judge. Pure. Must never happen: an excuse for work that its
 * consumer had been told is committed, or for a batch that its consumer had told to be done.
 *
 * killed: nothing is known of what the process did last. lease-lost: the consumer says so, and from then on works no more
 * for what it held; meanwhile the server may have given it to others. thread-lost: a batch had come out of the processor,
 * and its thread ended, or `process` failed, before the main thread knew.
 */
import {
  type Entry,
  type Interruption,
  readEntries,
  readTenures,
  samePlace,
  type Tenure
} from '../scenario/harness/evidence.ts'
import type { EventLine, Line, Place } from '../scenario/harness/lines.ts'
import { endsThread, parseDoom } from './doom.ts'

/** One process of a consumer, from its start to its end. */
export interface Life {
  readonly process: string
  readonly lines: readonly Line[]
  /** When the process was gone, by kill -9. */
  readonly killedMs?: number
}

/**
 * A batch that has passed the check of the lease may be held up by a busy machine before its first line is written; no
 * more than one on each thread.
 */
const START_GRACE_MS = 250

export function readExcuses(lives: readonly Life[]): Interruption[] {
  const tenures = lives.flatMap(({ lines }) => readTenures(lines))
  return lives.flatMap(life => [...readKill(life), ...readLeases(life, tenures), ...readDooms(life)])
}

function readKill({ lines, killedMs }: Life): Interruption[] {
  if (killedMs === undefined) return []
  return lastTenures(readTenures(lines)).map(({ process, topicId, partition, ...tenure }) => ({
    kind: 'killed',
    process,
    topicId,
    partition,
    atMs: killedMs,
    committedOffset: committedBy(lines, { process, topicId, partition, ...tenure }, killedMs)
  }))
}

function readLeases({ lines }: Life, everybody: readonly Tenure[]): Interruption[] {
  const own = readTenures(lines)
  return lines.filter(isPlacedEvent).flatMap((lost): Interruption[] => {
    if (lost.name !== 'leaseLost') return []
    const tenure = own.findLast(candidate => samePlace(candidate, lost) && candidate.fromMs <= lost.atMs)
    if (tenure === undefined) return []
    const { process, topicId, partition } = tenure
    const next = own.find(candidate => samePlace(candidate, lost) && candidate.fromMs > lost.atMs)
    const atMs = Math.min(lost.atMs + START_GRACE_MS, next?.fromMs ?? Number.POSITIVE_INFINITY)
    const committedOffset = committedBy(lines, tenure, lost.atMs)
    const excuse = { process, topicId, partition, atMs, committedOffset }
    return [{ ...excuse, kind: 'lease-lost' }, ...sharedWith(tenure, excuse, everybody)]
  })
}

/** The lease ends for the server before a process that stands still can know: until it does, both work. */
function sharedWith(tenure: Tenure, excuse: Omit<Interruption, 'kind'>, everybody: readonly Tenure[]): Interruption[] {
  const { process, topicId, partition, atMs } = excuse
  const successors = everybody.filter(
    other =>
      other.process !== process &&
      other.topicId === topicId &&
      other.partition === partition &&
      other.fromMs > tenure.fromMs &&
      other.fromMs <= atMs
  )
  return successors.flatMap((successor): Interruption[] => [
    { ...excuse, kind: 'shared', other: successor.process },
    { ...excuse, kind: 'shared', process: successor.process, other: process, committedOffset: successor.startOffset }
  ])
}

function readDooms({ lines }: Life): Interruption[] {
  const dooms = lines.filter(isPlacedEvent).filter(({ name }) => name === 'doomed')
  if (dooms.length === 0) return []
  const told = lines.filter(isPlacedEvent).filter(({ name }) => name === 'batch')
  const assigned = lines.filter(isPlacedEvent).filter(({ name }) => name === 'assigned')
  const { entries, unfinished } = readEntries(lines)
  const begun = [...entries, ...unfinished].sort((a, b) => a.startMs - b.startMs)
  return entries.flatMap((entry): Interruption[] => {
    const again = begun.find(other => isSameBatch(other, entry) && other.startMs >= entry.endMs && other !== entry)
    const againMs = again?.startMs ?? Number.POSITIVE_INFINITY
    const doom = dooms.find(
      candidate =>
        candidate.thread === entry.thread &&
        candidate.atMs >= entry.startMs &&
        candidate.atMs <= againMs &&
        strikes(candidate, entry)
    )
    if (doom === undefined) return []
    // A later tenure may tell of a batch from the same offset: that one is another.
    const next = assigned.find(event => samePlace(event, entry) && event.atMs > entry.endMs)
    const done = told.find(event => isOf(event, entry) && event.atMs >= entry.endMs)
    if (done !== undefined && done.atMs <= Math.min(againMs, next?.atMs ?? Number.POSITIVE_INFINITY)) return []
    const { process, topicId, partition, startMs, startOffset } = entry
    // So narrow that it explains this batch, and no other.
    return [{ kind: 'thread-lost', process, topicId, partition, atMs: startMs, committedOffset: startOffset }]
  })
}

/** A thread takes all that is on it with it; a batch that fails, nothing else. */
function strikes(doom: EventLine & Place, entry: Entry): boolean {
  const parsed = parseDoom(doom.text ?? '')
  return parsed !== undefined && (endsThread(parsed) || isOf(doom, entry))
}

/** What the consumer was told, by then, to be committed in this tenure: its start, where nothing was. */
function committedBy(lines: readonly Line[], tenure: Tenure, atMs: number): bigint {
  const last = lines
    .filter(isPlacedEvent)
    .findLast(
      event =>
        event.name === 'committed' && samePlace(event, tenure) && event.atMs >= tenure.fromMs && event.atMs <= atMs
    )
  return last?.offset ?? tenure.startOffset
}

/** The last one of each partition: those before it have ended in order, or have their own excuse. */
function lastTenures(tenures: readonly Tenure[]): Tenure[] {
  return tenures.filter((tenure, index) => !tenures.slice(index + 1).some(later => samePlace(later, tenure)))
}

function isOf(event: EventLine & Place, entry: Entry): boolean {
  return samePlace(event, entry) && event.offset === entry.startOffset
}

function isSameBatch(a: Entry, b: Entry): boolean {
  return samePlace(a, b) && a.epoch === b.epoch && a.startOffset === b.startOffset
}

function isPlacedEvent(line: Line): line is EventLine & Place {
  return line.kind === 'event' && line.topicId !== undefined && line.partition !== undefined
}
