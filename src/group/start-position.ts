/**
 * Where a newly assigned partition starts (I6, I11).
 *
 * In: partitions of one topic. Out: for each an offset, the reason in words, and whether it must be committed before the
 * first pull. Must never happen: an error is read as "no offset"; a position is chosen without being told.
 *
 * Asking with `From: begin` and `From: end` tells a committed offset from none: the service answers both with the
 * committed one where there is one. Equal answers may also mean an empty partition, whose position no one has committed:
 * logs arrive, we die before a commit, the successor finds begin ≠ end and starts at the end → lost. Hence an equal
 * answer is committed too; for a committed offset that is a repetition without effect.
 */
import { ClsConsumerError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { PartitionDescription, Position, World } from '../world.ts'
import { askOwnPositions, type Offsets } from './own-positions.ts'

export interface Start {
  /** -1 where the service named no position at all: the beginning of a partition that was never written. */
  readonly offset: bigint
  readonly reason: string
  readonly mustCommit: boolean
}

/** What the service says of the positions of one topic. Absent from a map: the service named none. */
export interface Positions {
  readonly begin: ReadonlyMap<number, bigint>
  readonly end: ReadonlyMap<number, bigint>
  /** Answers for `startFrom`, where that is a time. */
  readonly atTime: ReadonlyMap<number, bigint>
  readonly partitions: readonly PartitionDescription[]
  /** The partitions that the topic had when this consumer joined. */
  readonly partitionsAtJoin: ReadonlySet<number>
  readonly past: Past
}

/**
 * What this consumer knows of its group's past. A committed offset never goes away by itself: where it is gone, the group
 * was deleted and made again, and `startFrom` is no word about that.
 */
export interface Past {
  /** Where this consumer's own epochs ended, by partition. */
  readonly leftAt: ReadonlyMap<number, bigint>
  readonly isGroupMadeAgain: boolean
}

/** Partitions whose commits this consumer saw acknowledged, and yet nothing is committed there: who made the group again? */
function isCommitGone(acknowledged: Iterable<number>, positions: Omit<Positions, 'past'>): boolean {
  return [...acknowledged].some(
    partition => positions.begin.get(partition) !== undefined && !mayBeCommitted(partition, positions)
  )
}

/** Whether the group may have committed an offset of this partition. False is certain. */
function mayBeCommitted(partition: number, { begin, end }: Pick<Positions, 'begin' | 'end'>): boolean {
  return begin.get(partition) !== undefined && begin.get(partition) === end.get(partition)
}

/** The decision for one partition. */
export function decideStart(partition: number, positions: Positions, startFrom: Position): Start {
  const begin = positions.begin.get(partition)
  const end = positions.end.get(partition)
  const described = positions.partitions.find(candidate => candidate.partition === partition)
  const start = chooseStart(partition, positions, startFrom)
  // A read-only partition at its end has nothing to lose, and nothing that could ever be pulled from it (I11).
  const isSpent = described?.status === 'readonly' && start.offset === end && begin !== undefined
  return { ...start, mustCommit: start.offset >= 0n && !isSpent }
}

function chooseStart(partition: number, positions: Positions, startFrom: Position): Omit<Start, 'mustCommit'> {
  const begin = positions.begin.get(partition)
  const end = positions.end.get(partition)
  if (begin === undefined || end === undefined) {
    return { offset: begin ?? -1n, reason: 'the service names no position: the beginning' }
  }
  if (mayBeCommitted(partition, positions)) return { offset: begin, reason: 'committed, or empty' }
  const { leftAt, isGroupMadeAgain } = positions.past
  const left = leftAt.get(partition)
  if (left !== undefined && left >= begin) {
    return { offset: left, reason: 'its committed offset is gone: where this consumer left it' }
  }
  if (isGroupMadeAgain) return { offset: begin, reason: 'the group was deleted and made again: the beginning' }
  if (!positions.partitionsAtJoin.has(partition)) {
    return { offset: begin, reason: 'created after this consumer joined: the beginning' }
  }
  const parent = readParent(partition, positions)
  if (parent !== undefined)
    return { offset: begin, reason: `child of partition ${parent}, which was read: the beginning` }
  if (startFrom === 'begin') return { offset: begin, reason: 'nothing committed, startFrom begin' }
  if (startFrom === 'end') return { offset: end, reason: 'nothing committed, startFrom end' }
  // A time past the last log has no position of its own: the end.
  return { offset: positions.atTime.get(partition) ?? end, reason: `nothing committed, startFrom ${startFrom}` }
}

/** A read-only partition that shares keys with this one and has a committed offset: it was split or merged into it. */
function readParent(partition: number, positions: Positions): number | undefined {
  const child = positions.partitions.find(candidate => candidate.partition === partition)
  if (child === undefined) return undefined
  return positions.partitions.find(
    candidate =>
      candidate.status === 'readonly' &&
      candidate.partition !== partition &&
      candidate.beginKey < child.endKey &&
      child.beginKey < candidate.endKey &&
      mayBeCommitted(candidate.partition, positions)
  )?.partition
}

/** Asks the service for one topic, in calls that each cover all its partitions. */
export async function lookUpStarts(
  world: Pick<World, 'control'>,
  settings: Pick<Settings, 'group' | 'startFrom'>,
  ask: {
    readonly topicId: string
    readonly partitions: readonly number[]
    /** The partitions that the topic had when this consumer joined. */
    readonly partitionsAtJoin: ReadonlySet<number>
    readonly past: Past
    /** Partitions of the topic whose commits were acknowledged to this consumer. */
    readonly acknowledged: ReadonlySet<number>
    readonly signal: AbortSignal
    /** Something that was acknowledged is not committed. */
    groupMadeAgain(): void
  }
): Promise<Map<number, Start>> {
  const { control } = world
  const { group, startFrom } = settings
  const { topicId, partitionsAtJoin, past, signal } = ask
  const offsets = (from: Position): Promise<Offsets> =>
    control.describeConsumerOffsets({ group, topicId, from }, { signal })
  // Where the site refuses the question, "none" stays none.
  const ownOffsets = async (from: Position): Promise<Offsets> =>
    (await askOwnPositions(world, settings, { topicId, from, signal })) ?? new Map()

  // First: p is empty, begin and end are answered with 0; logs come; p is split → a read-only partition that seems to be at
  // its end, whose start would not be committed. The end of one that is read-only now does not move any more.
  const partitions = await control.describePartitions(topicId, { signal })
  const named = await askBoth(offsets, topicId, ask.partitions)
  const lacksSome = ask.partitions.some(partition => !named.begin.has(partition) || !named.end.has(partition))
  // "None" for what `From` names: ask for the log's own position before taking the partition for an unwritten one.
  const own = lacksSome ? { begin: await ownOffsets('begin'), end: await ownOffsets('end') } : undefined
  const looked = {
    begin: own === undefined ? named.begin : new Map([...own.begin, ...named.begin]),
    end: own === undefined ? named.end : new Map([...own.end, ...named.end]),
    atTime: typeof startFrom === 'number' ? await offsets(startFrom) : new Map(),
    partitions,
    partitionsAtJoin
  }
  // Another consumer met the deleted group first, and made it again between two heartbeats of this one.
  const isNews = isCommitGone(ask.acknowledged, looked)
  if (isNews) ask.groupMadeAgain()
  const positions = { ...looked, past: { ...past, isGroupMadeAgain: past.isGroupMadeAgain || isNews } }
  return new Map(ask.partitions.map(partition => [partition, decideStart(partition, positions, startFrom)]))
}

/** Positions that keep moving are asked for this often before the caller waits and begins anew. */
const LOOKS_MAX = 10

/**
 * What `begin` and `end` name at one moment, for each partition of the topic.
 *
 * Begin is answered with the committed 100; a commit of the former owner, late by a timeout, is executed; end is answered
 * with 200 → they differ, a committed partition passes for one that is not, and `startFrom: end` loses logs. Hence, where
 * they differ, begin is asked again: the same answer means that nothing was committed between.
 */
async function askBoth(
  ask: (from: 'begin' | 'end') => Promise<Offsets>,
  topicId: string,
  partitions: readonly number[]
): Promise<{ readonly begin: Offsets; readonly end: Offsets }> {
  const settled = { begin: new Map<number, bigint>(), end: new Map<number, bigint>() }
  let before = await ask('begin')
  let open = [...new Set([...partitions, ...before.keys()])]
  for (let look = 1; look <= LOOKS_MAX; look++) {
    const end = await ask('end')
    const differs = (id: number, begin: Offsets): boolean => begin.get(id) !== end.get(id)
    const after = open.some(id => differs(id, before)) ? await ask('begin') : before
    const isSettled = (id: number): boolean => !differs(id, before) || before.get(id) === after.get(id)
    for (const id of open.filter(isSettled)) {
      copy(before, settled.begin, id)
      copy(end, settled.end, id)
    }
    open = open.filter(id => !isSettled(id))
    if (open.length === 0) return settled
    before = after
  }
  if (!open.some(id => partitions.includes(id))) {
    // Only looked at as possible parents: what moves is taken for committed, so that a child begins at its beginning.
    for (const id of open) for (const positions of [settled.begin, settled.end]) copy(before, positions, id)
    return settled
  }
  const message = `the positions of partitions ${open.join(', ')} changed between each two of ${LOOKS_MAX} looks`
  throw new ClsConsumerError('API_UNAVAILABLE', message, { topicId })
}

/** Absent stays absent: the service names no position. */
function copy(from: Offsets, to: Map<number, bigint>, id: number): void {
  const offset = from.get(id)
  if (offset !== undefined) to.set(id, offset)
}

/** The partitions of a topic at this moment: those that come later are read from their beginning (I11). */
export async function describeTopic(
  { control }: Pick<World, 'control'>,
  topicId: string,
  signal: AbortSignal
): Promise<ReadonlySet<number>> {
  const described = await control.describePartitions(topicId, { signal })
  return new Set(described.map(({ partition }) => partition))
}
