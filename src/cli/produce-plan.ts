/**
 * What `produce` was asked for.
 *
 * In: flags, environment. Out: a plan, or one error with all that is wrong, also with what contradicts itself. Pure but
 * for the seed that nobody chose.
 */
import { hostname } from 'node:os'
import { basename, resolve } from 'node:path'
import type { Options } from 'yargs'
import { CONFIG } from '../config/config-file.ts'
import { credentialsFrom } from '../config/env-credentials.ts'
import { OptionCheck } from '../config/option-check.ts'
import type { Args } from '../config/option-sources.ts'
import { choice, integer, text, withDefault } from '../option-kinds.ts'
import { OPTIONS, type OptionName, type Settings } from '../options.ts'
import { invalidOptions } from '../resolve-options.ts'
import type { CommandWorld } from './command-world.ts'
import { count } from './format.ts'
import { GENERATED_KINDS } from './generate.ts'
import type { FilePlan, GeneratorPlan, SourcePlan } from './log-source.ts'
import { flagsOf } from './option-flags.ts'
import { TIME_UNITS } from './time-field.ts'
import { chunkSize, type UploadPlan } from './upload-logs.ts'

const GENERATED_DEFAULT = 100_000
/** No log of a slow source, or of a rare key, waits longer for others to go with it. */
const LINGER_MS = 1000

const { endpoint, region, network, requestTimeoutMs, callTimeoutMs, logLevel } = OPTIONS
const topicIds = {
  ...OPTIONS.topicIds,
  help: 'Topics to upload to: logs take them in turn, those of one key stay in one'
}
const SERVICE = { endpoint, region, network, topicIds, requestTimeoutMs, callTimeoutMs, logLevel }
/** `credentials` come from the environment alone; `bodyBytesMax`, of pulls, keeps its default. */
const NEEDED = [
  'endpoint',
  'region',
  'network',
  'credentials',
  'topicIds',
  'bodyBytesMax',
  'requestTimeoutMs',
  'callTimeoutMs',
  'logLevel'
] as const satisfies OptionName[]

export const SEED = integer({
  flag: 'seed',
  help: 'Seed of the made-up logs: the same seed gives the same logs, but for their times',
  defaultText: 'by chance, and printed',
  min: 0,
  max: 2 ** 32 - 1
})

const OWN = {
  ...CONFIG,
  file: text({ flag: 'file', help: 'File with one log a line, or - for standard input' }),
  format: choice(['auto', 'lines', 'ndjson'], {
    flag: 'format',
    help: 'Of the file: text, where access-log lines get fields, or a JSON object a line, whose fields are the log’s',
    defaultText: 'auto: by name (.ndjson, .jsonl, .json) or first line'
  }),
  onBadLine: choice(['keep', 'stop'], {
    flag: 'on-bad-line',
    help: 'What to do with a line of NDJSON that is not an object: keep it as message, or stop',
    defaultText: 'keep'
  }),
  timeField: text({
    flag: 'time-field',
    help: 'Field of the file that tells the time: Unix time, ISO 8601 or as in access logs; else the time of now',
    defaultText: 'the time in access-log lines; else now'
  }),
  timeUnit: choice(TIME_UNITS, {
    flag: 'time-unit',
    help: 'Unit of numbers in the time field',
    defaultText: 'by their magnitude'
  }),
  generate: choice(GENERATED_KINDS, {
    flag: 'generate',
    help: 'Logs to make up: of a web server, of an application with stack traces, or with 60 fields',
    defaultText: 'access, where there is no --file'
  }),
  seed: SEED,
  count: integer({
    flag: 'count',
    help: 'How many logs at most',
    defaultText: `the whole file; else ${count(GENERATED_DEFAULT)}, or without end where --rate is given`,
    min: 1,
    max: 1e12,
    unit: 'logs'
  }),
  rate: integer({
    flag: 'rate',
    help: 'Logs per second over all topics, on average',
    defaultText: 'as fast as the service takes them',
    min: 1,
    max: 10_000_000,
    unit: 'logs per second'
  }),
  keyField: text({
    flag: 'key-field',
    help: 'Field that is the key of a log: logs of one key go to one partition, in order',
    defaultText: 'no key: the service chooses'
  }),
  key: text({ flag: 'key', help: 'Key of all logs: they go to one partition, in order' }),
  onUnsure: withDefault(
    'retry',
    choice(['retry', 'stop'], {
      flag: 'on-unsure',
      help: 'After an upload whose answer is lost: send it again, which may store it twice, or stop'
    })
  )
}

export const produceFlags: Record<string, Options> = { ...flagsOf(SERVICE), ...flagsOf(OWN) }

export interface ProducePlan {
  readonly settings: Pick<Settings, (typeof NEEDED)[number]>
  readonly source: SourcePlan
  readonly upload: UploadPlan
  readonly whenUnsure: 'retry' | 'fail'
}

/** @throws ClsConsumerError OPTIONS_INVALID with all that is wrong. */
export function producePlan(args: Args, world: Pick<CommandWorld, 'env' | 'cwd' | 'random'>): ProducePlan {
  const check = new OptionCheck(args, world.env, { ...SERVICE, ...OWN })
  check.readConfig(world.cwd)
  const file = filePlan(check, world.cwd)
  const generator = generatorPlan(check, file !== undefined, world)
  const logsPerSecond = check.take(OWN.rate)
  const madeCount = file === undefined && logsPerSecond === undefined ? GENERATED_DEFAULT : Number.POSITIVE_INFINITY
  const countMax = check.take(OWN.count) ?? madeCount
  const key = keyPlan(check)
  const whenUnsure = check.take(OWN.onUnsure) === 'stop' ? 'fail' : 'retry'
  const settings = check.finishWith(NEEDED, { ...check.given(SERVICE), credentials: credentialsFrom(world.env) })
  const { topicIds } = settings
  if (key !== undefined && 'text' in key && topicIds.length > 1) {
    throw invalidOptions(['--key sends all logs to one partition of one topic, so it goes with one --topic only'])
  }
  const filename = file === undefined ? 'generated' : file.path === '-' ? 'stdin' : basename(file.path)
  return {
    settings,
    source: { from: file ?? generator, countMax, key },
    upload: {
      topicIds,
      chunkLogCount: chunkSize(logsPerSecond, topicIds.length),
      lingerMs: LINGER_MS,
      ...(logsPerSecond === undefined ? {} : { logsPerSecond }),
      group: { hostname: hostname(), filename, source: hostname(), logTags: [] }
    },
    whenUnsure
  }
}

function filePlan(check: OptionCheck, cwd: string): FilePlan | undefined {
  const file = check.take(OWN.file)
  const [format, onBadLine] = [check.take(OWN.format), check.take(OWN.onBadLine)]
  const [timeField, timeUnit] = [check.take(OWN.timeField), check.take(OWN.timeUnit)]
  const { problems } = check
  const given = { format, 'on-bad-line': onBadLine, 'time-field': timeField, 'time-unit': timeUnit }
  for (const [flag, value] of Object.entries(given)) {
    if (value !== undefined && file === undefined) problems.push(`--${flag} is about a file: say which by --file`)
  }
  if (format === 'lines' && onBadLine !== undefined) problems.push('--on-bad-line is about NDJSON, not --format lines')
  if (timeUnit !== undefined && timeField === undefined) problems.push('--time-unit needs --time-field')
  if (file === undefined) return undefined
  const path = file === '-' ? '-' : resolve(cwd, file)
  return { path, format: format ?? 'auto', onBadLine: onBadLine ?? 'keep', timeField, timeUnit }
}

function generatorPlan(check: OptionCheck, isFile: boolean, { random }: Pick<CommandWorld, 'random'>): GeneratorPlan {
  const [kind, seed] = [check.take(OWN.generate), check.take(OWN.seed)]
  if (isFile && seed !== undefined) check.problems.push('--file and --seed contradict each other')
  if (isFile && kind !== undefined) check.problems.push('--file and --generate contradict each other')
  return { kind: kind ?? 'access', seed: seed ?? chooseSeed({ random }) }
}

function keyPlan(check: OptionCheck): SourcePlan['key'] {
  const [field, given] = [check.take(OWN.keyField), check.take(OWN.key)]
  if (field !== undefined && given !== undefined) check.problems.push('--key and --key-field contradict each other')
  if (field !== undefined) return { field }
  return given === undefined ? undefined : { text: given }
}

export function chooseSeed({ random }: Pick<CommandWorld, 'random'>): number {
  return Math.floor(random.next() * 2 ** 32)
}
