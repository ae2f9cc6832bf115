/**
 * `cls-consumer demo`: a consumer group at work, start to end, and the proof that nothing was lost.
 *
 * In: flags. Out: an emulator in a process of its own, access-log lines uploaded to it, two consumers that share its
 * partitions, progress, a report. Resolves only if each log was processed exactly once, the server says that everything is
 * committed, and both consumers took part; throws DEMO_FAILED with all that is not so. Nothing it started survives it.
 */
import { fileURLToPath } from 'node:url'
import type { Options } from 'yargs'
import { createService, type Service } from '../cls/service.ts'
import { OptionCheck } from '../config/option-check.ts'
import type { Args, Env } from '../config/option-sources.ts'
import { type EmulatorHandle, startEmulator } from '../emulator/start.ts'
import { ClsConsumerError } from '../errors.ts'
import { createLogger, wantsColour } from '../observe/logger.ts'
import { integer, text, withDefault } from '../option-kinds.ts'
import { OPTIONS } from '../options.ts'
import type { Logger, PartitionOffset } from '../world.ts'
import type { CommandWorld } from './command-world.ts'
import { DemoGroup, GROUP } from './demo-group.ts'
import { type DemoInput, demoChunkSize, demoLogs } from './demo-logs.ts'
import { readCommitted, readEnds } from './demo-offsets.ts'
import { progressTicker, STALL_MS, watch } from './demo-progress.ts'
import { type DemoOutcome, faultsOf, reportLines, successLines } from './demo-report.ts'
import { count } from './format.ts'
import { flagsOf } from './option-flags.ts'
import { chooseSeed, SEED } from './produce-plan.ts'
import { columnCount, createScreen, type Screen } from './screen.ts'
import { uploadLogs } from './upload-logs.ts'

const TOPIC_COUNT = 2
const PARTITIONS_PER_TOPIC = 4
const PARTITION_COUNT = TOPIC_COUNT * PARTITIONS_PER_TOPIC
/** Fewer could not reach every partition; more would fill the emulator's memory. */
const COUNT_MIN = 100
const COUNT_MAX = 5_000_000

const OWN = {
  count: withDefault(
    100_000,
    integer({ flag: 'count', help: 'How many lines to make up', min: COUNT_MIN, max: COUNT_MAX, unit: 'lines' })
  ),
  seed: SEED,
  file: text({ flag: 'file', help: 'Real access log to use instead of made-up lines' }),
  logLevel: withDefault('warn', OPTIONS.logLevel)
}

export const demoFlags: Record<string, Options> = flagsOf(OWN)

/** Seams for tests: what is planted must be found. */
export interface DemoSeams {
  /** Path of another processor. */
  readonly processor?: string
}

/** @throws ClsConsumerError DEMO_FAILED with everything that is not as promised; nothing if stopped by a signal. */
export async function demo(args: Args, world: CommandWorld, seams: DemoSeams = {}): Promise<void> {
  const { plan, logLevel } = demoPlan(args, world)
  const screen = createScreen(world.stdout)
  const log = createLogger({
    level: logLevel,
    write: line => screen.aside(() => world.stderr.write(line)),
    colour: wantsColour(world.stderr, world.env)
  })
  try {
    await show(plan, world, screen, log, seams)
  } catch (error) {
    if (!world.stop.aborted) throw error
    screen.line('interrupted before the end: nothing was checked')
  } finally {
    screen.close()
  }
}

function demoPlan(args: Args, world: CommandWorld) {
  // Not from the environment: a variable meant for `run` should not change what the demo shows.
  const check = new OptionCheck(args, NO_ENV, OWN)
  const lineCount = check.take(OWN.count)
  const seed = check.take(OWN.seed)
  const file = check.take(OWN.file)
  const logLevel = check.take(OWN.logLevel)
  if (file !== undefined && (args.count !== undefined || seed !== undefined)) {
    check.problems.push('--file takes every line of the file: --count and --seed do not go with it')
  }
  check.finish()
  return { plan: { lineCount, seed: seed ?? chooseSeed(world), file }, logLevel }
}

const NO_ENV: Env = {}

async function show(
  plan: DemoInput,
  world: CommandWorld,
  screen: Screen,
  log: Logger,
  seams: DemoSeams
): Promise<void> {
  const what = plan.file ?? `${count(plan.lineCount)} made-up access-log lines, seed ${plan.seed}`
  screen.line(`cls-consumer demo: ${what}`)
  const emulator = await startEmulator({
    process: 'child',
    topicCount: TOPIC_COUNT,
    partitionCount: PARTITIONS_PER_TOPIC
  })
  try {
    world.stop.throwIfAborted()
    screen.line(
      `emulator   ${emulator.endpoint}, a process of its own, ${TOPIC_COUNT} topics x ${PARTITIONS_PER_TOPIC} partitions`
    )
    const group = new DemoGroup(emulator, seams.processor ?? PROCESSOR, log)
    try {
      await joinAll(group, world, screen)
      const outcome = await uploadAndConsume(plan, group, emulator, world, screen, log)
      conclude(outcome, world, screen)
    } finally {
      await group.stop()
    }
  } finally {
    await emulator.stop()
  }
}

const PROCESSOR = fileURLToPath(new URL('./demo-processor.js', import.meta.url))

/** Both have their share before the first log exists: else the first to join might have eaten everything. */
async function joinAll(group: DemoGroup, world: CommandWorld, screen: Screen): Promise<void> {
  group.start()
  const share = PARTITION_COUNT / group.names.length
  const joined = await watch(world, {
    done: () => {
      group.throwIfFailed()
      return group.names.every(name => group.activeCount(name) === share)
    },
    moved: () => group.names.map(name => group.activeCount(name)).join(),
    tick: () => screen.status('waiting for the group to share the partitions')
  })
  if (!joined) {
    throw new ClsConsumerError('DEMO_FAILED', `the consumers did not share the partitions within ${STALL_MS / 1000} s`)
  }
  const shares = group.names.map(name => `${name} with ${group.activeCount(name)} partitions`)
  screen.status('')
  screen.line(`consumers  ${shares.join(', ')}, ${group.threadsEach} thread${group.threadsEach === 1 ? '' : 's'} each`)
}

async function uploadAndConsume(
  plan: DemoInput,
  group: DemoGroup,
  emulator: EmulatorHandle,
  world: CommandWorld,
  screen: Screen,
  log: Logger
): Promise<DemoOutcome> {
  const { clock, timers, random } = world
  const service = createService(group.settings, { clock, timers, random, log })
  try {
    const startedMs = clock.monotonic()
    const upload: Upload = { storedCount: 0, ends: undefined, failures: [] }
    const uploading = uploadAll(plan, emulator, service, world, upload).catch(error => void upload.failures.push(error))
    const consumed = await watch(world, {
      done: () => {
        group.throwIfFailed()
        if (upload.failures.length > 0) throw upload.failures[0]
        // By offsets, not by ids: where a log is lost, nobody would wait for it in vain.
        return upload.ends !== undefined && group.hasReached(upload.ends)
      },
      moved: () => `${upload.storedCount} ${group.processedCount}`,
      tick: progressTicker(plan.file === undefined ? plan.lineCount : undefined, world, screen, () => [
        upload.storedCount,
        group.processedCount
      ])
    }).finally(() => uploading)
    const ms = clock.monotonic() - startedMs
    screen.status('')
    // Everything is processed; stopping commits it. What the server says afterwards is the proof.
    await group.stop()
    const offsets = await readCommitted(service.control, { group: GROUP, topicIds: emulator.topicIds })
    const partitions = offsets.map(offset => ({ ...offset, consumers: group.consumersOf(offset) }))
    return { ...group.outcome(upload.storedCount), ms, partitions, stalledMs: consumed ? undefined : STALL_MS }
  } finally {
    await service.close()
  }
}

interface Upload {
  storedCount: number
  /** Known once all is stored. */
  ends: PartitionOffset[] | undefined
  readonly failures: unknown[]
}

async function uploadAll(
  plan: DemoInput,
  { topicIds }: EmulatorHandle,
  { upload, control }: Service,
  world: CommandWorld,
  progress: Upload
): Promise<void> {
  const { stop } = world
  const { failures } = await uploadLogs(
    ended => demoLogs(plan, { ...world, stop: ended }),
    {
      topicIds,
      chunkLogCount: await demoChunkSize(plan, world, PARTITION_COUNT),
      group: { source: 'demo', filename: 'access.log', logTags: [] }
    },
    {
      ...world,
      // A lost answer fails the demo: an upload sent again could be stored twice, and look like a repeat of ours.
      upload: request => upload.upload({ ...request, whenUnsure: 'fail' }, { signal: stop }),
      onProgress: ({ storedCount }) => {
        progress.storedCount = storedCount
      }
    }
  )
  if (failures.length > 0) throw failures[0]
  stop.throwIfAborted()
  progress.ends = await readEnds(control, { group: GROUP, topicIds })
}

function conclude(outcome: DemoOutcome, { stdout }: CommandWorld, screen: Screen): void {
  screen.line('')
  for (const line of reportLines(outcome, columnCount(stdout))) screen.line(line)
  const faults = faultsOf(outcome)
  if (faults.length > 0) {
    throw new ClsConsumerError('DEMO_FAILED', `not as promised:\n${faults.map(line => `  - ${line}`).join('\n')}`)
  }
  for (const line of successLines(outcome)) screen.line(line)
}
