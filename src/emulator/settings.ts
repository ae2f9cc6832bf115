/**
 * What can be set about an emulator, and what holds where nothing is said.
 *
 * In: options as a user gives them. Out: complete settings, or one OPTIONS_INVALID that lists every fault. Nothing here
 * is random: two emulators started alike have the same ids, so that a failure can be run again.
 */
import { ClsConsumerError } from '../errors.ts'
import { type FaultRule, faultRuleProblems } from './fault-rules.ts'
import {
  changedQuirks,
  DEFAULT_QUIRKS,
  isQuirkChange,
  type Quirks,
  quirkContradictions,
  quirkProblems
} from './quirks.ts'

export interface EmulatorSettings {
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  readonly region: string
  readonly secretId: string
  readonly secretKey: string
  /** Of temporary credentials: where it is set, requests must carry it. */
  readonly token: string | null
  readonly accountUin: bigint
  readonly logsetId: string
  readonly topicIds: readonly string[]
  /** Partitions of each topic at the start. */
  readonly partitionCount: number
  /** As many partitions a topic may have, read-only ones not counted. The service's default is 50. */
  readonly partitionCountMax: number
  /** Offset of the first message of every partition. */
  readonly startOffset: bigint
  /** Every Nth message of a partition leaves a gap before it; 0 for none. */
  readonly gapEvery: number
  /** How many offsets a gap skips. */
  readonly gapOffsets: bigint
  /** Bytes of messages kept per partition; older ones go first. */
  readonly retentionBytes: number
  readonly retentionMs: number
  /** How far the emulator's clock is ahead of the host's; negative for behind. */
  readonly clockSkewMs: number
  /** Compressed responses kept for the next one who asks for the same. */
  readonly cacheBytesMax: number
  /** `service`: 20 requests/s of each action, 200 pulls/s of each partition; more are refused. */
  readonly rateLimits: 'none' | 'service'
  readonly quirks: Quirks
  /** In force at the start. */
  readonly faults: readonly FaultRule[]
}

/** What is absent or undefined has its default. */
export type EmulatorOptions = {
  readonly [K in Exclude<keyof EmulatorSettings, 'quirks'>]?: EmulatorSettings[K] | undefined
} & {
  /** How many topics to make up ids for, where `topicIds` does not name them. */
  readonly topicCount?: number | undefined
  readonly quirks?: Partial<Quirks> | undefined
}

const MIB = 1024 * 1024
/** About three thousand years: moments stay such as a Date can hold. */
const SKEW_MS_MAX = 10 ** 14

const DEFAULTS: Omit<EmulatorSettings, 'topicIds'> & { readonly topicCount: number } = {
  host: '127.0.0.1',
  port: 0,
  region: 'ap-guangzhou',
  secretId: 'AKIDemulator0000000000000000000000',
  secretKey: 'emulatorSecretKey000000000000000',
  token: null,
  accountUin: 100_000_000_001n,
  logsetId: 'e0e0e0e0-0000-4000-8000-000000000000',
  topicCount: 2,
  partitionCount: 4,
  partitionCountMax: 50,
  startOffset: 0n,
  gapEvery: 0,
  gapOffsets: 1n,
  retentionBytes: Number.POSITIVE_INFINITY,
  retentionMs: Number.POSITIVE_INFINITY,
  clockSkewMs: 0,
  cacheBytesMax: 256 * MIB,
  rateLimits: 'none',
  quirks: DEFAULT_QUIRKS,
  faults: []
}

/** @throws ClsConsumerError OPTIONS_INVALID that lists every problem. */
export function resolveEmulatorOptions(options: EmulatorOptions): EmulatorSettings {
  const { topicCount = DEFAULTS.topicCount, topicIds, quirks = {}, ...rest } = options
  const settings: EmulatorSettings = {
    ...DEFAULTS,
    ...present(rest),
    topicIds: topicIds !== undefined && topicIds.length > 0 ? topicIds : madeUpTopicIds(topicCount),
    quirks: isQuirkChange(quirks) ? changedQuirks(DEFAULT_QUIRKS, quirks) : DEFAULT_QUIRKS
  }
  refuseProblems('the emulator cannot be started with these options', [
    ...settingProblems(settings),
    ...(isCount(topicCount, 1, 1000) ? [] : ['topicCount is not 1 to 1000']),
    ...quirkProblems(quirks),
    ...quirkContradictions(settings.quirks),
    ...faultRuleProblems(settings.faults)
  ])
  return settings
}

/** @throws ClsConsumerError OPTIONS_INVALID that lists the problems, where there are any. */
export function refuseProblems(head: string, problems: readonly string[]): void {
  if (problems.length === 0) return
  throw new ClsConsumerError('OPTIONS_INVALID', [`${head}:`, ...problems.map(line => `  - ${line}`)].join('\n'))
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** An option given as `undefined` is an option not given: it must not hide the default. */
function present<T extends object>(options: T): Present<T> {
  const kept = { ...options }
  for (const name in kept) if (kept[name] === undefined) delete kept[name]
  return isPresent(kept) ? kept : {}
}

function isPresent<T extends object>(options: T): options is T & Present<T> {
  return !Object.values(options).includes(undefined)
}

/** Ids look like the service's own, so that clients which look at their shape are content. */
function madeUpTopicIds(count: number): string[] {
  const safeCount = isCount(count, 1, 1000) ? count : 0
  return Array.from({ length: safeCount }, (_, index) => `e0e0e0e0-0000-4000-8000-${hex12(index + 1)}`)
}

function hex12(value: number): string {
  return value.toString(16).padStart(12, '0')
}

/** What can be said of one setting by itself. */
export function settingProblems(settings: EmulatorSettings): string[] {
  const { port, partitionCount, partitionCountMax, startOffset, gapEvery, gapOffsets, topicIds } = settings
  const checks: readonly (readonly [boolean, string])[] = [
    [isCount(port, 0, 65_535), 'port is not 0 to 65535'],
    [settings.host !== '', 'host is empty'],
    [isText(settings.secretId) && !settings.secretId.includes('&'), 'secretId is empty or holds an &'],
    [isText(settings.secretKey), 'secretKey is empty'],
    [settings.token === null || isText(settings.token), 'token is empty: leave it out, or set null'],
    [settings.logsetId !== '', 'logsetId is empty'],
    [topicIds.every(id => id !== ''), 'a topic id is empty'],
    [new Set(topicIds).size === topicIds.length, 'a topic id is given twice'],
    [isCount(partitionCountMax, 1, 10_000), 'partitionCountMax is not 1 to 10000'],
    [isCount(partitionCount, 1, partitionCountMax), 'partitionCount is not 1 to partitionCountMax'],
    [startOffset >= 0n && startOffset < 2n ** 62n, 'startOffset is not 0 to 2^62'],
    [isCount(gapEvery, 0, Number.MAX_SAFE_INTEGER), 'gapEvery is not a count'],
    [gapOffsets >= 1n && gapOffsets < 2n ** 32n, 'gapOffsets is not 1 to 2^32'],
    [settings.retentionBytes > 0, 'retentionBytes is not positive'],
    [settings.retentionMs > 0, 'retentionMs is not positive'],
    [isSkew(settings.clockSkewMs), `clockSkewMs is not a whole number from -${SKEW_MS_MAX} to ${SKEW_MS_MAX}`],
    [settings.cacheBytesMax >= 0, 'cacheBytesMax is negative'],
    [settings.rateLimits === 'none' || settings.rateLimits === 'service', 'rateLimits is not none or service']
  ]
  return checks.flatMap(([holds, problem]) => (holds ? [] : [problem]))
}

function isCount(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max
}

function isSkew(value: number): boolean {
  return Number.isSafeInteger(value) && Math.abs(value) <= SKEW_MS_MAX
}

/** Settings come from JSON, too. */
function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}
