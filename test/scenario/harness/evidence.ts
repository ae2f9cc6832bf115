/**
 * What the judge is given: who was sent, what was processed where, and what interrupted it.
 *
 * In: the lines of all ledgers. Out: processed batches, each with the tenure it belongs to; tenures. Pure.
 */
import type { BatchLine, EventLine, Line, Place } from './lines.ts'

/** A log that the server has acknowledged. Logs of one lane are in one order, in which each partition has them. */
export interface Sent {
  readonly id: string
  readonly topicId: string
  readonly lane: string
  readonly sequence: number
}

/** A batch that was processed: ids, partition, offsets, epoch, process. */
export interface Entry extends Place {
  readonly thread: number
  /** Undefined where the consumer had not said that the partition was assigned to it. */
  readonly epoch: number | undefined
  readonly startOffset: bigint
  readonly nextOffset: bigint | undefined
  readonly ids: readonly string[]
  readonly startMs: number
  readonly endMs: number
}

/** From the `assigned` event to the `released` one. */
export interface Tenure extends Place {
  readonly epoch: number
  readonly startOffset: bigint
  readonly fromMs: number
  /** Infinite where it was never released. */
  readonly untilMs: number
}

/**
 * What ended a partition's work out of order: what its process had processed and not committed may be processed again.
 * lease-lost: nothing of it may start after `atMs`. thread-lost: the same tenure goes on, on another thread. unclean:
 * the processor, or `onResult`, or the body failed: the batch does not count although its logs were seen. shared: the
 * server gave the partition to `other` before this process had released it: until `atMs` both work on it, and one may
 * repeat what the other has done. rewound: somebody has ordered the partition to be read again, from `committedOffset`.
 */
export interface Interruption extends Place {
  readonly kind: 'killed' | 'lease-lost' | 'thread-lost' | 'unclean' | 'shared' | 'rewound'
  readonly atMs: number
  /** What the server had as committed then. */
  readonly committedOffset: bigint
  /** Of `shared` alone. */
  readonly other?: string
}

export interface Evidence {
  /** Acknowledged, and due: each must have been processed. */
  readonly expected: ReadonlyMap<string, Sent>
  /** May have been processed or not. */
  readonly permitted: ReadonlySet<string>
  readonly entries: readonly Entry[]
  /** Batches that went into a processor and did not come out of it: until they were last seen there. */
  readonly unfinished: readonly Entry[]
  readonly tenures: readonly Tenure[]
  readonly interruptions: readonly Interruption[]
}

export function readTenures(lines: readonly Line[]): Tenure[] {
  const events = lines.filter(isPlacedEvent)
  return events.flatMap(event => {
    if (event.name !== 'assigned') return []
    const { process, topicId, partition, atMs, epoch = -1, offset = -1n } = event
    const end = events.find(other => other.name === 'released' && samePlace(other, event) && other.atMs >= atMs)
    const untilMs = end?.atMs ?? Number.POSITIVE_INFINITY
    return [{ process, topicId, partition, epoch, startOffset: offset, fromMs: atMs, untilMs }]
  })
}

/** Two owners at a time, as only a server brings about that gives away what is still held. Both directions of each pair. */
export function readShared(tenures: readonly Tenure[]): Interruption[] {
  return tenures.flatMap(former => {
    const successors = tenures.filter(
      tenure =>
        samePartition(tenure, former) &&
        tenure.process !== former.process &&
        tenure.fromMs > former.fromMs &&
        tenure.fromMs < former.untilMs
    )
    return successors.flatMap((successor): Interruption[] => {
      const { topicId, partition } = former
      const shared = { kind: 'shared', topicId, partition, atMs: former.untilMs } as const
      const committedOffset = successor.startOffset
      return [
        { ...shared, committedOffset, process: former.process, other: successor.process },
        { ...shared, committedOffset, process: successor.process, other: former.process }
      ]
    })
  })
}

/** Batches that came out of the processor, and those that did not. */
export function readEntries(lines: readonly Line[]): { entries: Entry[]; unfinished: Entry[] } {
  const tenures = readTenures(lines)
  const open = new Map<string, { readonly begin: BatchLine; lastMs: number }>()
  const entries: Entry[] = []
  const unfinished: Entry[] = []
  for (const line of lines) {
    if (line.kind === 'event') continue
    const key = `${line.process}/${line.thread}/${line.topicId}/${line.partition}/${line.startOffset}`
    const seen = open.get(key)
    if (line.kind === 'begin') {
      // Begun again: the first time it failed, or its thread ended.
      if (seen !== undefined) unfinished.push(toEntry(seen.begin, seen.begin.atMs, seen.lastMs, tenures))
      open.set(key, { begin: line, lastMs: line.atMs })
    } else if (seen === undefined) throw new Error(`a batch that never began: ${key}`)
    else if (line.kind === 'alive') seen.lastMs = line.atMs
    else {
      entries.push(toEntry(line, seen.begin.atMs, line.atMs, tenures))
      open.delete(key)
    }
  }
  for (const { begin, lastMs } of open.values()) unfinished.push(toEntry(begin, begin.atMs, lastMs, tenures))
  return { entries: entries.sort((a, b) => a.startMs - b.startMs), unfinished }
}

export function samePlace(a: Place, b: Place): boolean {
  return a.process === b.process && samePartition(a, b)
}

export function samePartition(
  a: { readonly topicId: string; readonly partition: number },
  b: { readonly topicId: string; readonly partition: number }
): boolean {
  return a.topicId === b.topicId && a.partition === b.partition
}

function toEntry(line: BatchLine, startMs: number, endMs: number, tenures: readonly Tenure[]): Entry {
  const { process, topicId, partition, thread, startOffset, nextOffset, ids } = line
  // The one begun last: the partition may have come to this process more than once.
  const tenure = tenures.findLast(({ fromMs, ...place }) => samePlace(place, line) && fromMs <= startMs)
  const epoch = tenure?.epoch
  return { process, topicId, partition, thread, epoch, startOffset, nextOffset, ids, startMs, endMs }
}

function isPlacedEvent(line: Line): line is EventLine & Place {
  return line.kind === 'event' && line.topicId !== undefined && line.partition !== undefined
}
