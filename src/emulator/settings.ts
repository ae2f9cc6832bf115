/**
 * What can be set about an emulator, and what holds where nothing is said.
 *
 * In: options as a user gives them. Out: complete settings, or one OPTIONS_INVALID that lists every fault. Nothing here
 * is random: two emulators started alike have the same ids, so that a failure can be run again.
 */
import { ClsConsumerError } from '../errors.ts'

/** Where the protocol is not certain about the live service, the reading to follow. */
export interface Quirks {
  /**
   * How the last messages of a bounded pull come: with the position after them, so that the next pull answers -1, or
   * with -1 at once.
   */
  readonly boundedEnd: 'after-messages' | 'with-messages'
  /** What becomes of a commit by a consumer that does not own a partition it names. */
  readonly foreignCommit: 'refuse' | 'accept' | 'ignore'
}

export interface EmulatorSettings {
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  readonly region: string
  readonly secretId: string
  readonly secretKey: string
  readonly accountUin: bigint
  readonly logsetId: string
  readonly topicIds: readonly string[]
  /** Partitions of each topic at the start. */
  readonly partitionCount: number
  /** As many partitions a topic may have, read-only ones not counted. The service's default is 50. */
  readonly partitionCountMax: number
  /** Offset of the first message of every partition. */
  readonly startOffset: bigint
  /** Each so-many-th message of a partition leaves a gap before it; 0 for none. */
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
  readonly quirks: Quirks
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

const DEFAULTS: Omit<EmulatorSettings, 'topicIds'> & { readonly topicCount: number } = {
  host: '127.0.0.1',
  port: 0,
  region: 'ap-guangzhou',
  secretId: 'AKIDemulator0000000000000000000000',
  secretKey: 'emulatorSecretKey000000000000000',
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
  quirks: { boundedEnd: 'after-messages', foreignCommit: 'refuse' }
}

/** @throws ClsConsumerError OPTIONS_INVALID that lists every fault. */
export function resolveEmulatorOptions(options: EmulatorOptions): EmulatorSettings {
  const { topicCount = DEFAULTS.topicCount, topicIds, quirks, ...rest } = options
  const settings: EmulatorSettings = {
    ...DEFAULTS,
    ...present(rest),
    topicIds: topicIds !== undefined && topicIds.length > 0 ? topicIds : madeUpTopicIds(topicCount),
    quirks: { ...DEFAULTS.quirks, ...quirks }
  }
  const problems = [...faults(settings), ...(isCount(topicCount, 1, 1000) ? [] : ['topicCount is not 1 to 1000'])]
  if (problems.length > 0) {
    const lines = problems.map(line => `  - ${line}`).join('\n')
    throw new ClsConsumerError('OPTIONS_INVALID', `the emulator cannot be started so:\n${lines}`)
  }
  return settings
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

function faults(settings: EmulatorSettings): string[] {
  const { port, partitionCount, partitionCountMax, startOffset, gapEvery, gapOffsets, topicIds } = settings
  const checks: readonly (readonly [boolean, string])[] = [
    [isCount(port, 0, 65_535), 'port is not 0 to 65535'],
    [settings.host !== '', 'host is empty'],
    [settings.secretId !== '' && !settings.secretId.includes('&'), 'secretId is empty or holds an &'],
    [settings.secretKey !== '', 'secretKey is empty'],
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
    [Number.isSafeInteger(settings.clockSkewMs), 'clockSkewMs is not a number of milliseconds'],
    [settings.cacheBytesMax >= 0, 'cacheBytesMax is negative']
  ]
  return checks.flatMap(([holds, problem]) => (holds ? [] : [problem]))
}

function isCount(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max
}
