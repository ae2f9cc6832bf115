/**
 * What one seed plays: how large everything is, how the service reads the protocol, what goes wrong and how often.
 *
 * In: a seed. Out: a scenario, as data. Not everything goes wrong in every run: a fault that is always there hides what
 * would happen without it, and runs without any trouble must not even repeat a log.
 */
import { type CommitMode, FAILURE_POLICIES, type FailurePolicy } from '../../src/dispatch/messages.ts'
import type { Quirks } from '../../src/emulator/quirks.ts'
import { Dice, mixSeeds } from '../fuzz/dice.ts'
import type { Mood } from './mood.ts'

export interface Scenario {
  readonly seed: number
  /** Nothing goes wrong: consumers come and go in order, partitions split and merge. */
  readonly isCalm: boolean
  readonly topicIds: readonly [string, ...string[]]
  readonly partitionCount: number
  readonly consumerCount: number
  /** How long logs come, and things go wrong. */
  readonly stormMs: number
  readonly burstCount: number
  readonly startOffset: bigint
  readonly gapEvery: number
  /** One pull in so many that meets a gap is told of it alone, without the logs behind. */
  readonly gapOneIn: number
  /** Infinite where nothing expires. */
  readonly retentionMs: number
  readonly quirks: Partial<Quirks>
  readonly options: ScenarioOptions
  readonly hasResults: boolean
  readonly mood: Mood
  /** One request in so many fares badly. */
  readonly badOneIn: number
  /** One call of `onResult` in so many fails. */
  readonly resultFailsOneIn: number
  readonly diskFailsOneIn: number
  /** One message in so many cannot be decoded; one log in so many makes its processor fail, until that is mended. */
  readonly poisonOneIn: number
  readonly cursedOneIn: number
  /** One thing in so many meets a busy process. */
  readonly busyOneIn: number
  readonly incidents: readonly Incident[]
  /** The service may give away what its owner holds: then two may work on one partition, and nothing is said of it. */
  readonly isRobbing: boolean
  /** The service tells where a log ends. Where it never does, whoever goes past the end is believed, and gets stuck there. */
  readonly tellsEnds: boolean
}

/** What differs from run to run of the consumers' options. */
export interface ScenarioOptions {
  readonly startFrom: 'begin' | 'end'
  readonly onInvalidOffset: 'stop' | 'begin' | 'end'
  readonly threads: number
  readonly batchesPerThread: number
  readonly balanceIntervalMs: number
  readonly heartbeatIntervalMs: number
  readonly commitIntervalMs: number
  readonly pollIntervalMs: number
  readonly pullBytes: number
  readonly attempts: number
  readonly onFailure: FailurePolicy
  readonly commitMode: CommitMode
  readonly processTimeoutMs: number
  readonly resultsMax: number
  readonly drainTimeoutMs: number
  readonly abortGraceMs: number
}

export interface Incident {
  readonly kind: IncidentKind
  readonly atMs: number
}

export const INCIDENTS = [
  'join',
  'leave',
  'crash',
  'stop-process',
  'split',
  'merge',
  'service-restart',
  'delete-group',
  'move',
  'pause',
  'resume',
  'seek',
  'full-disk'
] as const
export type IncidentKind = (typeof INCIDENTS)[number]

/** Of `processTimeoutMs`, beyond what is merely slow. */
const PATIENCE_MS = 500

const BALANCE_DICE = 7919
const HEAVY_DICE = 7907
const GROUP_LETTER_DICE = 7901
const REFUSED_DICE = 7883

const QUIET: Mood = {
  slowOneIn: 10,
  throwsOneIn: Number.POSITIVE_INFINITY,
  hangsOneIn: Number.POSITIVE_INFINITY,
  blocksOneIn: Number.POSITIVE_INFINITY,
  diesOneIn: Number.POSITIVE_INFINITY,
  rewindsOneIn: Number.POSITIVE_INFINITY,
  beyondOneIn: Number.POSITIVE_INFINITY,
  letterOneIn: Number.POSITIVE_INFINITY,
  groupLetterOneIn: Number.POSITIVE_INFINITY,
  savesOneIn: 1,
  revokeSavesOneIn: 1,
  slowMsMax: 300,
  code: 'broken'
}

export function drawScenario(seed: number): Scenario {
  const scenario = drawOrdinary(seed)
  if (new Dice(mixSeeds(seed, HEAVY_DICE)).oneIn(12)) return heavy(scenario)
  const refusing = new Dice(mixSeeds(seed, REFUSED_DICE))
  return !scenario.isCalm && refusing.oneIn(12) ? refused(scenario, refusing) : scenario
}

/** The sink refuses every other result, and processes stand still: leases end while results wait for their next attempt. */
function refused(scenario: Scenario, dice: Dice): Scenario {
  const stops = dice.list(8, () => ({ kind: 'stop-process' as const, atMs: dice.below(scenario.stormMs) }))
  return {
    ...scenario,
    hasResults: true,
    resultFailsOneIn: 2,
    options: { ...scenario.options, attempts: 5 },
    incidents: [...scenario.incidents, ...stops]
  }
}

/** So much for one consumer that its threads fall behind, one of them more than another: partitions move by themselves. */
function heavy(scenario: Scenario): Scenario {
  const options = {
    threads: 2,
    batchesPerThread: 2,
    balanceIntervalMs: 100,
    pullBytes: 1025,
    commitMode: 'auto'
  } as const
  const size = { consumerCount: 1, partitionCount: 5, burstCount: 90 }
  return { ...scenario, ...size, options: { ...scenario.options, ...options } }
}

function drawOrdinary(seed: number): Scenario {
  const dice = new Dice(seed)
  const isCalm = dice.oneIn(8)
  const kinds = INCIDENTS.filter(kind => (isCalm ? !isRough(kind) && dice.oneIn(2) : dice.oneIn(3)))
  const startFrom = dice.oneIn(4) && !kinds.includes('delete-group') ? 'end' : 'begin'
  const retentionMs =
    !isCalm && startFrom === 'begin' && dice.oneIn(8) ? 2000 + dice.below(6000) : Number.POSITIVE_INFINITY
  const stormMs = 3000 + dice.below(8000)
  const quirks = drawQuirks(dice, isCalm, retentionMs)
  const slowMsMax = dice.pick([100, 800, 4000])
  // By dice of its own, so that the rest of a seed's scenario is as it was.
  const balanceIntervalMs = new Dice(mixSeeds(seed, BALANCE_DICE)).pick([0, 50, 150, 1000])
  const options = drawOptions(dice, { startFrom, retentionMs, slowMsMax, balanceIntervalMs })
  const tellsEnds = quirks.noOffset === undefined
  const passes = options.onFailure === 'dead-letter' || options.onFailure === 'skip'
  const often = (oneIn: number): number => (isCalm || dice.oneIn(2) ? Number.POSITIVE_INFINITY : oneIn)
  return {
    seed,
    isCalm,
    topicIds: dice.oneIn(3) ? ['topic-a', 'topic-b'] : ['topic-a'],
    partitionCount: 1 + dice.below(4),
    consumerCount: 1 + dice.below(3),
    stormMs,
    burstCount: 5 + dice.below(25),
    startOffset: dice.pick([0n, 0n, 1n, 1000n, 2n ** 53n - 3n, 2n ** 60n]),
    gapEvery: dice.pick([0, 0, 1, 3]),
    gapOneIn: dice.pick([Number.POSITIVE_INFINITY, 2]),
    retentionMs,
    quirks,
    options,
    hasResults: dice.oneIn(2),
    mood: {
      ...QUIET,
      slowOneIn: dice.pick([2, 5, 20]),
      slowMsMax,
      throwsOneIn: often(60),
      hangsOneIn: often(25),
      blocksOneIn: often(30),
      diesOneIn: often(25),
      rewindsOneIn: often(40),
      beyondOneIn: tellsEnds ? 3 : Number.POSITIVE_INFINITY,
      letterOneIn: dice.pick([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 8]),
      groupLetterOneIn: new Dice(mixSeeds(seed, GROUP_LETTER_DICE)).pick([Number.POSITIVE_INFINITY, 8]),
      savesOneIn: dice.pick([1, 3, 10]),
      revokeSavesOneIn: dice.pick([1, 2])
    },
    badOneIn: isCalm ? Number.POSITIVE_INFINITY : dice.pick([Number.POSITIVE_INFINITY, 40, 12, 5]),
    resultFailsOneIn: often(dice.pick([20, 3])),
    diskFailsOneIn: often(15),
    // Nobody mends what cannot be decoded: it needs a policy that passes it.
    poisonOneIn: passes ? often(12) : Number.POSITIVE_INFINITY,
    cursedOneIn: often(30),
    busyOneIn: dice.pick([Number.POSITIVE_INFINITY, 50, 8]),
    incidents: kinds.flatMap(kind => dice.list(1 + dice.below(3), () => ({ kind, atMs: dice.below(stormMs) }))),
    isRobbing: quirks.handOver === 'at-once',
    tellsEnds
  }
}

/** Whether it is more than the ordinary life of a group. */
function isRough(kind: IncidentKind): boolean {
  return (
    kind === 'crash' ||
    kind === 'stop-process' ||
    kind === 'service-restart' ||
    kind === 'delete-group' ||
    kind === 'full-disk'
  )
}

interface Given {
  readonly startFrom: 'begin' | 'end'
  readonly retentionMs: number
  readonly slowMsMax: number
  readonly balanceIntervalMs: number
}

function drawOptions(dice: Dice, given: Given): ScenarioOptions {
  const { startFrom, retentionMs, slowMsMax } = given
  return {
    startFrom,
    onInvalidOffset: retentionMs === Number.POSITIVE_INFINITY ? 'stop' : dice.pick(['begin', 'end']),
    threads: 1 + dice.below(3),
    batchesPerThread: 1 + dice.below(3),
    balanceIntervalMs: given.balanceIntervalMs,
    heartbeatIntervalMs: dice.pick([1000, 1000, 2500]),
    commitIntervalMs: dice.pick([50, 400, 3000]),
    pollIntervalMs: dice.pick([500, 3000, 3000]),
    pullBytes: dice.pick([1025, 1025, 2048, 1024 * 1024]),
    attempts: dice.pick([1, 2, 5]),
    onFailure: dice.pick(FAILURE_POLICIES),
    commitMode: dice.oneIn(4) ? 'manual' : 'auto',
    // Longer than what is merely slow.
    processTimeoutMs: dice.oneIn(2) ? 600_000 : slowMsMax + PATIENCE_MS,
    resultsMax: dice.pick([1000, 1000, 1, 3]),
    drainTimeoutMs: dice.pick([0, 500, 3000]),
    abortGraceMs: dice.pick([0, 300])
  }
}

/** Each reading of the protocol that the client has to bear; most runs have only some of them. */
function drawQuirks(dice: Dice, isCalm: boolean, retentionMs: number): Partial<Quirks> {
  const some = <T>(other: T): T | undefined => (dice.oneIn(4) ? other : undefined)
  const drawn = {
    foreignCommit: isCalm ? undefined : some(dice.pick(['accept', 'ignore'] as const)),
    refusedCommit: some('rest-kept' as const),
    handOver: !isCalm && dice.oneIn(12) ? ('at-once' as const) : undefined,
    lastBeat: some('leaves' as const),
    noOffset:
      retentionMs === Number.POSITIVE_INFINITY ? some(dice.pick(['absent', 'null', 'minus-one'] as const)) : undefined,
    offsetType: some(dice.pick(['ignored', 'refused'] as const)),
    size: some('log-groups' as const),
    nothingNew: some(dice.pick(['minus-one', 'zero', 'absent'] as const)),
    nextOffset: some(dice.pick(['last', 'lying'] as const)),
    extraKeys: some('nested' as const),
    emptyMessages: some(dice.pick(['null', 'absent'] as const)),
    emptyLists: some('null' as const),
    compression: some(dice.pick(['lz4', 'none'] as const))
  }
  return Object.fromEntries(Object.entries(drawn).filter(([, value]) => value !== undefined))
}
