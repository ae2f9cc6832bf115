/**
 * What `bench` was asked for.
 *
 * In: flags. Out: a plan, or one error with all that is wrong, also with what contradicts itself.
 */
import { accessSync, constants } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Options } from 'yargs'
import type { BenchPlan } from '../../bench/end-to-end/bench.ts'
import { CASE_NAMES, type CaseName, isCaseName } from '../../bench/end-to-end/cases.ts'
import type { Timing } from '../../bench/end-to-end/run.ts'
import { QUICK, sizedFor, TIMING } from '../../bench/end-to-end/scenes.ts'
import {
  DEFAULT_WORKLOAD,
  FILTER,
  PROCESSOR_KINDS,
  type ProcessorPlan,
  type Workload
} from '../../bench/end-to-end/workload.ts'
import { OptionCheck } from '../config/option-check.ts'
import type { Args, Env, Rows } from '../config/option-sources.ts'
import { anyValue, choice, flag, integer, list, text, withDefault } from '../option-kinds.ts'
import { OPTIONS } from '../options.ts'
import { findProcessor } from '../processor-source.ts'
import type { CommandWorld } from './command-world.ts'
import { GENERATED_KINDS } from './generate.ts'
import { flagsOf } from './option-flags.ts'

const ALL_CASES = 'all'
const { data } = DEFAULT_WORKLOAD
const KILOBYTE = 1000

/** What a workload is made of: these do not go with `--case`, which has workloads of its own. */
const WORKLOAD = {
  processor: withDefault(
    FILTER.kind,
    text({
      flag: 'processor',
      help: `Your processor's module; or ${PROCESSOR_KINDS.join(', ')} of the bench`,
      defaultText: FILTER.kind
    })
  ),
  processorOptions: anyValue({ flag: 'processor-options', help: "Your processor's `context.options`" }),
  filter: withDefault(
    `${FILTER.key}=${FILTER.text}`,
    text({ flag: 'filter', help: 'What filter compares', pattern: /^[^=]+=/, expected: 'key=text' })
  ),
  busyMs: withDefault(
    10,
    integer({ flag: 'busy-ms', help: 'How long burn and sleep take with a batch', min: 1, max: 60_000, unit: 'ms' })
  ),
  file: text({ flag: 'file', help: 'Your logs, one a line, text or NDJSON; instead of made-up ones' }),
  generate: choice(GENERATED_KINDS, {
    flag: 'generate',
    help: 'Logs to make up: of a web server, of an application with stack traces, or with 60 fields',
    defaultText: 'access'
  }),
  seed: withDefault(7, integer({ flag: 'seed', help: 'Of the made-up logs', min: 0, max: 2 ** 32 - 1 })),
  fields: integer({
    flag: 'fields',
    help: 'Fields of a log',
    defaultText: 'as they come',
    min: 1,
    max: 1000,
    unit: 'fields'
  }),
  randomPercent: integer({
    flag: 'random-percent',
    help: 'Of each log, text by chance, which does not compress',
    defaultText: `${data.randomShare * 100}, as well as real logs do; of --file 0`,
    min: 0,
    max: 95,
    unit: 'percent'
  }),
  responseKb: withDefault(
    data.responseBytes / KILOBYTE,
    integer({ flag: 'response-kb', help: 'Size of a response as JSON, about', min: 1, max: 10_000, unit: 'kB' })
  ),
  partitions: withDefault(
    DEFAULT_WORKLOAD.partitionCount,
    integer({ flag: 'partitions', help: 'Partitions of the topic', min: 1, max: 1000, unit: 'partitions' })
  ),
  pullLatencyMs: withDefault(
    0,
    integer({
      flag: 'pull-latency-ms',
      help: 'How long the server waits with each answer',
      min: 0,
      max: 9000,
      unit: 'ms'
    })
  ),
  threads: withDefault(
    OPTIONS.threads.default,
    integer({
      flag: 'threads',
      help: 'Worker threads of our consumer',
      defaultText: 'one a core',
      min: 1,
      max: 256,
      unit: 'threads'
    })
  ),
  rate: withDefault(
    1000,
    integer({
      flag: 'rate',
      help: 'Offered while latency is measured; 0 for no such measurement',
      min: 0,
      max: 1_000_000,
      unit: 'logs per second'
    })
  )
} as const satisfies Rows

const OWN = {
  ...WORKLOAD,
  case: list({
    flag: 'case',
    item: 'case',
    help: `Instead of a workload, cases that this package is held to: ${ALL_CASES}, or some of ${CASE_NAMES.join(', ')}`
  }),
  runs: integer({
    flag: 'runs',
    help: 'Runs of each, in turns',
    defaultText: '5; fewer in some cases',
    min: 1,
    max: 1000,
    unit: 'runs'
  }),
  seconds: integer({
    flag: 'seconds',
    help: 'Length of a run',
    defaultText: '8; longer in some cases',
    min: 1,
    max: 3600,
    unit: 'seconds'
  }),
  quick: withDefault(
    false,
    flag({ flag: 'quick', help: 'Only show that it works: one second, one run, small responses' })
  ),
  json: text({ flag: 'json', help: 'File for the result as JSON' })
} as const satisfies Rows

const FLAGS = flagsOf(OWN)

/** `--case a b` too: nothing else stands on this command's line that could be taken for a case. */
export const benchFlags: Record<string, Options> = { ...FLAGS, case: { ...FLAGS.case, nargs: undefined } }

/** @throws ClsConsumerError OPTIONS_INVALID with all that is wrong; PROCESSOR_NOT_FOUND. */
export function benchPlan(
  args: Args,
  { cwd }: Pick<CommandWorld, 'cwd'>
): { readonly plan: BenchPlan; readonly jsonFile: string | undefined } {
  // Not from the environment: a variable meant for `run` should not change what is measured.
  const check = new OptionCheck(args, NO_ENV, OWN)
  const [runCount, seconds] = [check.take(OWN.runs), check.take(OWN.seconds)]
  const isQuick = check.take(OWN.quick)
  const timing: Partial<Timing> = {
    ...(runCount === undefined ? {} : { runCount }),
    ...(seconds === undefined ? {} : { measureMs: seconds * 1000 })
  }
  const names = check.take(OWN.case)
  const workload = workloadOf(check, cwd, isQuick)
  const logsPerSecond = check.take(OWN.rate)
  const cases = names === undefined ? undefined : casesOf(names, args, check.problems)
  const jsonFile = jsonFileOf(check.take(OWN.json), cwd, check.problems)
  check.finish()
  const shared = { isQuick, command: commandOf(args) }
  if (cases !== undefined) return { jsonFile, plan: { ...shared, kind: 'table', cases, timing } }
  const whole = { ...(isQuick ? QUICK : TIMING), ...timing }
  return { jsonFile, plan: { ...shared, kind: 'workload', workload, logsPerSecond, timing: whole } }
}

const NO_ENV: Env = {}

function workloadOf(check: OptionCheck, cwd: string, isQuick: boolean): Workload {
  const file = check.take(OWN.file)
  const randomPercent = check.take(OWN.randomPercent)
  const [kind, seed] = [check.take(OWN.generate), check.take(OWN.seed)]
  if (file !== undefined && kind !== undefined) check.problems.push('--file and --generate contradict each other')
  return {
    ...DEFAULT_WORKLOAD,
    data: sizedFor(isQuick, {
      ...data,
      from: file === undefined ? { kind: kind ?? 'access', seed } : { file: resolve(cwd, file) },
      responseBytes: check.take(OWN.responseKb) * KILOBYTE,
      fieldCount: check.take(OWN.fields),
      randomShare: randomPercent === undefined ? (file === undefined ? data.randomShare : 0) : randomPercent / 100
    }),
    partitionCount: check.take(OWN.partitions),
    pullLatencyMs: check.take(OWN.pullLatencyMs),
    threads: check.take(OWN.threads),
    processor: processorOf(check, cwd)
  }
}

function processorOf(check: OptionCheck, cwd: string): ProcessorPlan {
  const given = check.take(OWN.processor)
  const [key = '', ...texts] = check.take(OWN.filter).split('=')
  const ms = check.take(OWN.busyMs)
  const options = check.given({ processorOptions: OWN.processorOptions }).processorOptions
  switch (PROCESSOR_KINDS.find(kind => kind === given)) {
    case undefined:
      return { kind: 'module', file: findProcessor(given, cwd).file, options }
    case 'filter':
      return { kind: 'filter', key, text: texts.join('=') }
    case 'burn':
      return { kind: 'burn', ms }
    case 'sleep':
      return { kind: 'sleep', ms }
    case 'count':
      return { kind: 'count' }
    case 'objects':
      return { kind: 'objects' }
  }
}

function casesOf(names: readonly string[], args: Args, problems: string[]): readonly CaseName[] {
  const besides = givenFlags(args, WORKLOAD)
  if (besides.length > 0) {
    const flags = besides.map(name => `--${name}`).join(', ')
    problems.push(`--case has workloads of its own: ${flags} ${besides.length === 1 ? 'does' : 'do'} not go with it`)
  }
  if (names.includes(ALL_CASES)) return CASE_NAMES
  const unknown = names.filter(name => !isCaseName(name))
  problems.push(...unknown.map(name => `--case: there is no ${name}; there are ${ALL_CASES}, ${CASE_NAMES.join(', ')}`))
  return CASE_NAMES.filter(name => names.includes(name))
}

/** Told before the first run, not after the last. */
function jsonFileOf(given: string | undefined, cwd: string, problems: string[]): string | undefined {
  if (given === undefined) return undefined
  const file = resolve(cwd, given)
  try {
    accessSync(dirname(file), constants.W_OK)
  } catch {
    problems.push(`--json: nothing can be written to ${dirname(file)}`)
  }
  return file
}

/** What was given, as flags: a result names the command that made it. */
function commandOf(args: Args): string {
  const flags = givenFlags(args, OWN).map(name => {
    const value = args[name]
    return value === true ? `--${name}` : `--${name} ${Array.isArray(value) ? value.join(',') : String(value)}`
  })
  return ['cls-consumer bench', ...flags].join(' ')
}

function givenFlags(args: Args, rows: Rows): string[] {
  return Object.values(rows).flatMap(({ flag: name }) => (name === undefined || args[name] === undefined ? [] : [name]))
}
