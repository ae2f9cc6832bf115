/**
 * `cls-consumer emulator`: a CLS on this host, in memory, until stopped.
 *
 * In: flags, also for the faults and quirks that it starts with. Out: where it is and how to get in, as a table and as
 * `export` lines that the other commands understand. The key it prints is the emulator's own, made up or given by the
 * user for it: never one that opens anything else.
 */
import type { Options } from 'yargs'
import { OptionCheck } from '../config/option-check.ts'
import type { Args, Env } from '../config/option-sources.ts'
import { ACTION_NAMES } from '../emulator/action-names.ts'
import {
  changedQuirks,
  DEFAULT_QUIRKS,
  isQuirkChange,
  QUIRKS,
  quirkContradictions,
  quirkProblems
} from '../emulator/quirks.ts'
import {
  type EmulatorHandle,
  type EmulatorOptions,
  type FaultRule,
  type Quirks,
  startEmulator
} from '../emulator/start.ts'
import { flag, integer, list, row, text, Wrong, withDefault } from '../option-kinds.ts'
import { FAULT_EXAMPLES, parseFaultFlag, shortForms } from './fault-flag.ts'
import { flagsOf } from './option-flags.ts'

const MIB = 1024 * 1024

const OWN = {
  port: withDefault(
    9320,
    integer({ flag: 'port', help: 'Port on 127.0.0.1; 0 for any free one', min: 0, max: 65_535 })
  ),
  topicCount: withDefault(2, integer({ flag: 'topics', help: 'How many topics', min: 1, max: 1000, unit: 'topics' })),
  partitionCount: withDefault(
    4,
    integer({ flag: 'partitions', help: 'Partitions of each topic', min: 1, max: 50, unit: 'partitions' })
  ),
  secretId: text({
    flag: 'secret-id',
    help: 'Id of the key it accepts',
    defaultText: 'made up',
    pattern: /^[^&\s]+$/,
    expected: 'a text without spaces and &'
  }),
  secretKey: text({ flag: 'secret-key', help: 'Secret of the key it accepts', defaultText: 'made up' }),
  logsetId: text({ flag: 'logset', help: 'Id of its logset', defaultText: 'made up' }),
  topicIds: list({ flag: 'topic', item: 'topic id', help: 'Id of a topic, once for each; instead of --topics' }),
  startOffset: int64Row(
    {
      flag: 'start-offset',
      help: 'Offset of the first message of every partition',
      defaultText: '0'
    },
    0n,
    2n ** 62n - 1n
  ),
  clockSkewMs: int64Row(
    { flag: 'clock-skew-ms', help: "How far its clock is ahead of this host's; negative for behind", defaultText: '0' },
    -(10n ** 14n),
    10n ** 14n
  ),
  retentionMib: integer({
    flag: 'retention-mib',
    help: 'Messages kept of each partition, in MiB; older ones go first',
    defaultText: 'all',
    min: 1,
    max: 1024 * 1024,
    unit: 'MiB'
  }),
  retentionSeconds: integer({
    flag: 'retention-seconds',
    help: 'How long messages are kept',
    defaultText: 'for ever',
    min: 1,
    max: 1e9,
    unit: 'seconds'
  }),
  rateLimits: flag({
    flag: 'rate-limits',
    help: "Refuse what is over the service's limits: 20 requests/s of each action, 200 pulls/s of each partition"
  }),
  faults: repeated({ flag: 'fault', help: 'A fault to play, in short or as JSON; see below' }),
  quirks: repeated({ flag: 'quirk', help: 'A reading of the protocol, as name=value; see below' })
}

const OWN_FLAGS = flagsOf(OWN)

export const emulatorOptions: Record<string, Options> = {
  ...OWN_FLAGS,
  fault: { ...OWN_FLAGS.fault, array: true },
  quirk: { ...OWN_FLAGS.quirk, array: true }
}

/** For the end of the command's help. */
export const emulatorEpilogue = [
  'Quirks and their values, the first being the default:',
  ...Object.entries(QUIRKS).flatMap(([name, { values, help }]) => [
    `  ${name}=${values.join('|')}`,
    `      ${help.replaceAll('`', '')}`
  ]),
  '',
  'Faults are ACTION:KIND, with * for any action, or a whole rule as JSON. Kinds:',
  ...shortForms().map(form => `  ${form}`),
  'Behind that may stand, each after a comma, the other parts of a rule:',
  '  partition=N, topicId=ID, consumer=NAME: strikes only requests about these',
  '  after=N: lets the first N that match pass',
  '  every=N: strikes each Nth that matches',
  '  times=N: strikes no more than N',
  'Examples:',
  ...FAULT_EXAMPLES.map(example => `  --fault '${example}'`),
  `Actions: ${ACTION_NAMES.join(', ')}`,
  '',
  'Exit codes: 0 stopped by SIGINT or SIGTERM; 1 failed, for instance because the port is in use; 2 a flag must be mended first; 130 or 143 ended at once by a second SIGINT or SIGTERM.'
].join('\n')

export interface EmulatorCommandWorld {
  /** Aborts when it is time to end. */
  readonly stop: AbortSignal
  readonly print: (line: string) => void
}

/** @throws ClsConsumerError OPTIONS_INVALID, EMULATOR_NOT_STARTED. */
export async function runEmulator(args: Args, { stop, print }: EmulatorCommandWorld): Promise<void> {
  const options = readOptions(args)
  const emulator = await startEmulator(options)
  try {
    const partitionCount = options.partitionCount ?? OWN.partitionCount.default
    for (const line of introduction(emulator, partitionCount)) print(line)
    if (!stop.aborted)
      await new Promise<void>(resolve => stop.addEventListener('abort', () => resolve(), { once: true }))
  } finally {
    await emulator.stop()
  }
}

const NO_ENV: Env = {}

/** Flags alone: the variables of the consumer name the service it reads, not one to be made. */
function readOptions(args: Args): EmulatorOptions {
  const check = new OptionCheck(args, NO_ENV, OWN)
  const clockSkewMs = check.take(OWN.clockSkewMs)
  const retentionMib = check.take(OWN.retentionMib)
  const retentionSeconds = check.take(OWN.retentionSeconds)
  const topicIds = check.take(OWN.topicIds)
  if (topicIds !== undefined && args.topics !== undefined) {
    check.problems.push('--topic and --topics contradict each other: the ids given are the topics')
  }
  const faults = readFaults(args.fault, check.problems)
  const quirks = readQuirks(args.quirk, check.problems)
  const options: EmulatorOptions = {
    port: check.take(OWN.port),
    topicCount: check.take(OWN.topicCount),
    partitionCount: check.take(OWN.partitionCount),
    secretId: check.take(OWN.secretId),
    secretKey: check.take(OWN.secretKey),
    logsetId: check.take(OWN.logsetId),
    topicIds,
    startOffset: check.take(OWN.startOffset),
    clockSkewMs: clockSkewMs === undefined ? undefined : Number(clockSkewMs),
    retentionBytes: retentionMib === undefined ? undefined : retentionMib * MIB,
    retentionMs: retentionSeconds === undefined ? undefined : retentionSeconds * 1000,
    rateLimits: check.take(OWN.rateLimits) === true ? 'service' : 'none',
    faults,
    quirks
  }
  check.finish()
  return options
}

/** Each problem is told with the rule that has it. */
function readFaults(given: unknown, problems: string[]): FaultRule[] {
  return listOf(given).flatMap(text => {
    const parsed = parseFaultFlag(text)
    if (parsed.kind === 'rule') return [parsed.rule]
    problems.push(...parsed.problems.map(problem => `--fault ${JSON.stringify(text)}: ${problem}`))
    return []
  })
}

function readQuirks(given: unknown, problems: string[]): Partial<Quirks> {
  const pairs = listOf(given).map(text => {
    const at = text.indexOf('=')
    return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
  })
  const quirks = Object.fromEntries(pairs)
  if (!isQuirkChange(quirks)) {
    problems.push(...quirkProblems(quirks).map(problem => `--quirk: ${problem}`))
    return {}
  }
  problems.push(...quirkContradictions(changedQuirks(DEFAULT_QUIRKS, quirks)).map(problem => `--quirk: ${problem}`))
  return quirks
}

function listOf(given: unknown): string[] {
  return Array.isArray(given) ? given.map(String) : given === undefined ? [] : [String(given)]
}

/** Read by the command itself: every one of them is a value, and commas part nothing. */
function repeated(words: { flag: string; help: string }) {
  return row<unknown>('text', 'text', words, input => input)
}

/** The row `integer` is for numbers; an offset may be larger than those can hold, and a skew negative. */
function int64Row(words: { flag: string; help: string; defaultText: string }, min: bigint, max: bigint) {
  return row<bigint>('integer', `${min} – ${max}`, words, input => {
    const value = typeof input === 'string' && /^-?\d{1,19}$/.test(input) ? BigInt(input) : undefined
    return value !== undefined && value >= min && value <= max ? value : new Wrong(`an integer from ${min} to ${max}`)
  })
}

function introduction(emulator: EmulatorHandle, partitionCount: number): string[] {
  const { endpoint, region, secretId, secretKey, logsetId, topicIds } = emulator
  const rows: readonly (readonly [string, string])[] = [
    ['endpoint', endpoint],
    ['region', region],
    ['secret id', secretId],
    ['secret key', secretKey],
    ['logset', logsetId],
    ...topicIds.map((id, index): readonly [string, string] => [
      `topic ${index + 1}`,
      `${id}, ${partitionCount} partitions`
    ])
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return [
    ...rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    '',
    ...[
      ['CLS_ENDPOINT', endpoint],
      ['CLS_SECRET_ID', secretId],
      ['CLS_SECRET_KEY', secretKey],
      ['CLS_LOGSET_ID', logsetId],
      ['CLS_TOPIC_IDS', topicIds.join(',')]
    ].map(([name, value]) => `export ${name}=${shellQuoted(value ?? '')}`),
    '',
    `To change it: PUT faults, PATCH settings at ${endpoint}/emulator/`,
    'The emulator is ready; all it holds is in memory. Ctrl-C stops it.'
  ]
}

function shellQuoted(value: string): string {
  return /^[A-Za-z0-9_./:,@%+=-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`
}
