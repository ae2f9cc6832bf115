/**
 * `cls-consumer produce`: logs from a file, or made up, into topics.
 *
 * In: flags, environment. Out: uploads, progress on standard error, and one closing line on standard output with the
 * number of logs stored, also where it was stopped or failed on the way.
 */
import { hostname } from 'node:os'
import { basename, resolve } from 'node:path'
import type { Options } from 'yargs'
import type { Log } from '../cls/log-group.ts'
import { createService } from '../cls/service.ts'
import { createLogger } from '../observe/logger.ts'
import { integer, text } from '../option-kinds.ts'
import { OPTIONS, type OptionName, type Settings } from '../options.ts'
import type { Timer, Timers } from '../world.ts'
import type { CommandWorld } from './command-world.ts'
import { bar, count, seconds } from './format.ts'
import { lineGenerator } from './generate.ts'
import { readLines } from './lines.ts'
import { lineToLog } from './logs.ts'
import { type Args, credentialsFrom, type Env, flagsOf, OptionCheck } from './option-flags.ts'
import { createScreen } from './screen.ts'
import { every } from './ticker.ts'
import { chunkSize, uploadLogs } from './upload-logs.ts'

const GENERATED_DEFAULT = 100_000

const { endpoint, region, network, topicIds, requestTimeoutMs, callTimeoutMs, logLevel } = OPTIONS
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
  help: 'Seed of the made-up lines: the same seed gives the same lines',
  defaultText: 'by chance, and printed',
  min: 0,
  max: 2 ** 32 - 1,
  unit: 'seeds'
})

const OWN = {
  file: text({ flag: 'file', help: 'File with one log a line, or - for standard input; access logs get fields' }),
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
    help: 'Logs per second over all topics',
    defaultText: 'as fast as the service takes them',
    min: 1,
    max: 10_000_000,
    unit: 'logs per second'
  }),
  seed: SEED
}

export const produceFlags: Record<string, Options> = { ...flagsOf(SERVICE), ...flagsOf(OWN) }

interface ProducePlan {
  readonly settings: Pick<Settings, (typeof NEEDED)[number]>
  readonly file: string | undefined
  readonly countMax: number | undefined
  readonly logsPerSecond: number | undefined
  readonly seed: number | undefined
}

/** @throws ClsConsumerError of the options, of the file, or the first upload that failed for good. */
export async function produce(args: Args, world: CommandWorld): Promise<void> {
  const plan = producePlan(args, world.env)
  const { clock, timers, random, stop } = world
  const screen = createScreen(world.stderr)
  const log = createLogger({
    level: plan.settings.logLevel,
    write: line => screen.aside(() => world.stderr.write(line))
  })
  // Uploads name topics alone.
  const service = createService({ ...plan.settings, logsetId: '' }, { clock, timers, random, log })
  const startedMs = clock.monotonic()
  let storedCount = 0
  const cut = cutAfter(stop, STOP_GRACE_MS, timers)
  const progress = showProgress(screen, world, plan.countMax, () => storedCount)
  try {
    await uploadLogs(
      logsOf(plan, world, screen.line),
      {
        topicIds: plan.settings.topicIds,
        chunkLogCount: chunkSize(plan.logsPerSecond, plan.settings.topicIds.length),
        ...(plan.logsPerSecond === undefined ? {} : { logsPerSecond: plan.logsPerSecond }),
        group: { hostname: hostname(), filename: fileLabel(plan.file), source: hostname(), logTags: [] }
      },
      {
        upload: request => service.upload.upload(request, { signal: cut.signal }),
        clock,
        timers,
        stop,
        onProgress: uploaded => {
          storedCount = uploaded
        }
      }
    )
  } catch (error) {
    if (!stop.aborted) throw error
    log.warn('an upload did not end in time, it may be stored', { error: String(error) })
  } finally {
    cut.release()
    progress.cancel()
    screen.close()
    await service.close()
    const topics = plan.settings.topicIds.length === 1 ? '1 topic' : `${plan.settings.topicIds.length} topics`
    const ending = stop.aborted ? 'stopped: ' : ''
    world.stdout.write(
      `${ending}${count(storedCount)} logs uploaded to ${topics} in ${seconds(clock.monotonic() - startedMs)}\n`
    )
  }
}

/** Uploads under way may end after a stop, so that what is stored is known; a server that is down must not hold us. */
const STOP_GRACE_MS = 3000

function cutAfter(stop: AbortSignal, graceMs: number, timers: Timers): { signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  let timer: Timer | undefined
  const arm = () => {
    timer = timers.after(graceMs, () => controller.abort(new Error(`not done ${graceMs} ms after the stop`)))
  }
  stop.addEventListener('abort', arm, { once: true })
  return {
    signal: controller.signal,
    release: () => {
      stop.removeEventListener('abort', arm)
      timer?.cancel()
    }
  }
}

/** All that is wrong in one error. */
function producePlan(args: Args, env: Env): ProducePlan {
  const check = new OptionCheck(args, env, { ...SERVICE, ...OWN })
  const file = check.take(OWN.file)
  const logsPerSecond = check.take(OWN.rate)
  const given = check.take(OWN.count)
  const seed = check.take(OWN.seed)
  if (file !== undefined && seed !== undefined) check.problems.push('--file and --seed contradict each other')
  const countMax = given ?? (file === undefined && logsPerSecond === undefined ? GENERATED_DEFAULT : undefined)
  const settings = check.finishWith(NEEDED, { ...check.given(SERVICE), credentials: credentialsFrom(env) })
  return { settings, file, countMax, logsPerSecond, seed }
}

async function* logsOf(
  plan: ProducePlan,
  world: CommandWorld,
  say: (line: string) => void
): AsyncGenerator<Log, void, undefined> {
  const { countMax = Number.POSITIVE_INFINITY } = plan
  let taken = 0
  if (plan.file !== undefined) {
    const path = plan.file === '-' ? '-' : resolve(world.cwd, plan.file)
    for await (const line of readLines(path, world.stop)) {
      if (taken++ >= countMax) return
      yield lineToLog(line, world.clock.now())
    }
    return
  }
  const seed = plan.seed ?? chooseSeed(world)
  say(`made-up access-log lines, seed ${seed}`)
  const nextLine = lineGenerator(seed)
  for (; taken < countMax; taken++) {
    const nowMs = world.clock.now()
    yield lineToLog(nextLine(nowMs), nowMs)
  }
}

export function chooseSeed({ random }: Pick<CommandWorld, 'random'>): number {
  return Math.floor(random.next() * 2 ** 32)
}

function fileLabel(file: string | undefined): string {
  if (file === undefined) return 'generated'
  return file === '-' ? 'stdin' : basename(file)
}

/** A line a second, or on a terminal a status that moves. */
function showProgress(
  screen: ReturnType<typeof createScreen>,
  { timers, clock }: CommandWorld,
  countMax: number | undefined,
  storedCount: () => number
) {
  const startedMs = clock.monotonic()
  return every(timers, screen.live ? 200 : 1000, () => {
    const stored = storedCount()
    const perSecond = Math.round((stored * 1000) / Math.max(1, clock.monotonic() - startedMs))
    const text = `${count(stored)} logs uploaded, ${count(perSecond)} logs/s`
    if (!screen.live) screen.line(text)
    else screen.status(countMax === undefined ? text : `${bar(stored / countMax, 30)} ${text}`)
  })
}
