/**
 * The judge: whether every log was processed, once, in order, and by one owner at a time.
 *
 * In: evidence. Out: what is wrong with it, by log identity. Pure. Never counts: a lost log and a repeated one would
 * cancel each other out.
 */
import { type Entry, type Evidence, type Interruption, samePartition, samePlace } from './evidence.ts'

export interface Repeat {
  readonly id: string
  readonly first: Entry
  readonly second: Entry
}

export interface Verdict {
  /** Expected, and in no entry. */
  readonly lost: readonly string[]
  /** Processed, and neither expected nor permitted. */
  readonly unknown: readonly string[]
  /** Processed again although nothing had interrupted its first tenure before it was committed. */
  readonly repeats: readonly Repeat[]
  readonly explained: readonly Repeat[]
  /** Out of order, two owners at once, outside of a tenure, past a lease. */
  readonly faults: readonly string[]
}

export function judge(evidence: Evidence): Verdict {
  const { expected, permitted, entries, interruptions } = evidence
  const seen = new Map<string, Entry[]>()
  const unknown: string[] = []
  const repeats: Repeat[] = []
  const explained: Repeat[] = []
  for (const entry of entries) {
    for (const id of entry.ids) {
      const earlier = seen.get(id) ?? []
      // All of them: that the first was cut off does not excuse a third time after a second that was not.
      const culprit = earlier.find(first => !isExplained(first, entry, interruptions))
      if (culprit !== undefined) repeats.push({ id, first: culprit, second: entry })
      else if (earlier[0] !== undefined) explained.push({ id, first: earlier[0], second: entry })
      earlier.push(entry)
      seen.set(id, earlier)
      if (!expected.has(id) && !permitted.has(id)) unknown.push(id)
    }
  }
  const lost = [...expected.keys()].filter(id => !seen.has(id))
  const faults = [...findStrays(evidence), ...findDisorder(evidence), ...findOverlaps(evidence)]
  return { lost, unknown, repeats, explained, faults }
}

/** The verdict as lines of text; none where all is well. */
export function complaints({ lost, unknown, repeats, faults }: Verdict): string[] {
  const ids = (list: readonly string[]): string => `${list.slice(0, 5).join(', ')}${list.length > 5 ? ', …' : ''}`
  return [
    ...(lost.length > 0 ? [`${lost.length} lost: ${ids(lost)}`] : []),
    ...(unknown.length > 0 ? [`${unknown.length} not to be processed: ${ids(unknown)}`] : []),
    ...repeats
      .slice(0, 5)
      .map(({ id, first, second }) => `${id} repeated: ${describe(first)}, then ${describe(second)}`),
    ...(repeats.length > 5 ? [`${repeats.length} repeats in all`] : []),
    ...faults.slice(0, 10)
  ]
}

/** It lies between the committed offset and the last processed one when its tenure was interrupted. */
function isExplained(first: Entry, second: Entry, interruptions: readonly Interruption[]): boolean {
  if (first === second) return false
  return interruptions.some(
    interruption =>
      samePlace(interruption, first) &&
      samePartition(first, second) &&
      (interruption.kind !== 'shared' || interruption.other === second.process) &&
      first.startMs <= interruption.atMs &&
      first.startOffset >= interruption.committedOffset
  )
}

/** I12, I4: a batch belongs to a tenure, ends before its release, and none starts past the lease. */
function findStrays({ entries, unfinished, tenures, interruptions }: Evidence): string[] {
  return [...entries, ...unfinished].flatMap(entry => {
    const tenure = tenures.find(candidate => samePlace(candidate, entry) && candidate.epoch === entry.epoch)
    if (tenure === undefined) return [`${describe(entry)} was processed without being assigned`]
    if (entry.endMs > tenure.untilMs) return [`${describe(entry)} was in a processor after its release`]
    const lost = interruptions.find(
      ({ kind, atMs, ...place }) =>
        kind === 'lease-lost' && samePlace(place, entry) && tenure.fromMs < atMs && atMs < entry.startMs
    )
    return lost === undefined ? [] : [`${describe(entry)} started ${entry.startMs - lost.atMs} ms past the lease`]
  })
}

/** I2: the batches of a tenure in offset order, and the logs of a lane in the order in which they were sent. */
function findDisorder({ entries, expected, interruptions }: Evidence): string[] {
  const faults: string[] = []
  const lastEntry = new Map<string, Entry>()
  const lastSequence = new Map<string, number>()
  for (const entry of entries) {
    const tenure = `${entry.process}/${entry.topicId}/${entry.partition}/${entry.epoch}`
    const before = lastEntry.get(tenure)
    const isRedone = before !== undefined && isExplained(before, entry, interruptions)
    if (before !== undefined && !isRedone && entry.startOffset < (before.nextOffset ?? before.startOffset)) {
      faults.push(`${describe(entry)} came after ${describe(before)}`)
    }
    lastEntry.set(tenure, entry)
    for (const id of entry.ids) {
      const sent = expected.get(id)
      if (sent === undefined) continue
      const lane = `${tenure}/${sent.lane}`
      const last = lastSequence.get(lane)
      if (last !== undefined && !isRedone && sent.sequence < last) {
        faults.push(`${id} came after number ${last} of its lane in ${describe(entry)}`)
      }
      lastSequence.set(lane, sent.sequence)
    }
  }
  return faults
}

/** I2: one batch of a partition in a processor at a time, whoever owns it. A lost lease ends before its last batch. */
function findOverlaps({ entries, unfinished, interruptions }: Evidence): string[] {
  const faults: string[] = []
  const intervals = [...entries, ...unfinished]
    .map(entry => ({ entry, endMs: Math.min(entry.endMs, ...cuts(entry, interruptions)) }))
    .sort((a, b) => a.entry.startMs - b.entry.startMs)
  const last = new Map<string, { readonly entry: Entry; readonly endMs: number }>()
  for (const interval of intervals) {
    const key = `${interval.entry.topicId}/${interval.entry.partition}`
    const before = last.get(key)
    const isApart = before === undefined || interval.entry.startMs >= before.endMs
    if (!isApart && !isShared(before.entry, interval.entry, interruptions)) {
      faults.push(`${describe(interval.entry)} started while ${describe(before.entry)} was in a processor`)
    }
    if (before === undefined || interval.endMs > before.endMs) last.set(key, interval)
  }
  return faults
}

/** The server gave the partition to the second while the first still had it: that both work on it is its doing. */
function isShared(first: Entry, second: Entry, interruptions: readonly Interruption[]): boolean {
  return interruptions.some(
    ({ kind, other, atMs, ...place }) =>
      kind === 'shared' && samePlace(place, first) && other === second.process && second.startMs <= atMs
  )
}

/** Where the work of another process no longer excludes its successor: a process that is gone, or was stopped. */
function cuts(entry: Entry, interruptions: readonly Interruption[]): number[] {
  return interruptions
    .filter(({ kind }) => kind === 'killed' || kind === 'lease-lost')
    .filter(interruption => samePlace(interruption, entry) && interruption.atMs >= entry.startMs)
    .map(({ atMs }) => atMs)
}

function describe({ process, topicId, partition, epoch, startOffset, nextOffset }: Entry): string {
  const range = `[${startOffset}, ${nextOffset ?? 'end'})`
  return `${range} of ${topicId.slice(-4)}/${partition} in ${process}, epoch ${epoch ?? 'none'}`
}
