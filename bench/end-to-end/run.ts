/**
 * Runs scenes: a server, and in turns the processes that consume from it.
 *
 * In: a workload, who consumes it, how long and how often. Out: figures of every run. Must never happen: a figure of a
 * consumer that lost, repeated or disordered a log, since it could be fast by that; a process that is left behind.
 */
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClsConsumerError } from '../../src/errors.ts'
import type { DecodeCalls, Decoded } from './decode-process.ts'
import { BASE_OFFSET, countsBefore, dueCountOf, type RatePlan } from './feeds.ts'
import { type Run, runOf, type Window } from './figures.ts'
import type { ConsumerCalls } from './ours-process.ts'
import type { Outcome, Reading, StartConsuming } from './readings.ts'
import { Remote } from './remote.ts'
import type { RivalCalls } from './rival-process.ts'
import type { ServerAccess, ServerCalls, ServerReading } from './server-process.ts'
import { CONTENDERS, type Contender, type Workload } from './workload.ts'

export interface Timing {
  readonly warmUpMs: number
  readonly measureMs: number
  readonly runCount: number
}

export interface Scene {
  readonly name: string
  readonly workload: Workload
  readonly contenders: readonly Contender[]
  /** The same decoding in process, besides. */
  readonly decodes: boolean
  readonly timing: Timing
}

export interface SceneResult extends Scene {
  /** In the order in which they ran. */
  readonly runs: readonly Run[]
  readonly decoded: readonly Decoded[]
}

export interface Progress {
  readonly tell: (text: string) => void
  /** Ends everything. */
  readonly stop: AbortSignal
}

export async function measureScene(scene: Scene, progress: Progress): Promise<SceneResult> {
  const { name, workload, contenders, decodes, timing } = scene
  const server = new Remote<ServerCalls>('server-process.js')
  const decoder = decodes ? new Remote<DecodeCalls>('decode-process.js') : undefined
  const runs: Run[] = []
  const decoded: Decoded[] = []
  try {
    progress.tell(`${name}: making responses`)
    const access = await server.call('start', workload)
    await decoder?.call('start', workload)
    await decoder?.call('run', timing.warmUpMs)
    // In turns, so that all meet the same moods of the machine.
    for (let index = 0; index < timing.runCount; index++) {
      for (const contender of contenders) {
        progress.tell(`${name}: ${CONTENDERS[contender]}, run ${index + 1} of ${timing.runCount}`)
        const plan = { contender, access, workload, group: `bench-${contender}-${index}` }
        runs.push(await measureRun(plan, server, timing, progress.stop))
      }
      if (decoder !== undefined) decoded.push(await decoder.call('run', timing.measureMs))
    }
  } finally {
    await Promise.all([server.end(), decoder?.end()])
  }
  return { ...scene, runs, decoded }
}

/** What all who consume have in common. */
interface Consuming {
  read(): Promise<Reading>
  openWindow(): Promise<void>
  stop(): Promise<Outcome>
  end(): Promise<void>
}

async function startConsuming(plan: StartConsuming): Promise<Consuming> {
  const remote =
    plan.contender === 'ours'
      ? new Remote<ConsumerCalls>('ours-process.js')
      : new Remote<RivalCalls>('rival-process.js')
  try {
    await remote.call('start', plan)
  } catch (error) {
    await remote.end()
    throw error
  }
  return {
    read: () => remote.call('read', undefined),
    openWindow: () => remote.call('openWindow', undefined),
    stop: () => remote.call('stop', undefined),
    end: () => remote.end()
  }
}

async function measureRun(
  plan: StartConsuming,
  server: Remote<ServerCalls>,
  { warmUpMs, measureMs }: Timing,
  stop: AbortSignal
): Promise<Run> {
  const { contender, access, workload } = plan
  await server.call('begin', undefined)
  const consuming = await startConsuming(plan)
  try {
    await sleep(warmUpMs, undefined, { signal: stop })
    if (workload.feed.kind !== 'idle') await until(consuming, ({ batchCount }) => batchCount > 0, stop)
    await consuming.openWindow()
    const [before, serverBefore] = await Promise.all([consuming.read(), server.call('read', undefined)])
    const rssSamples = await sampleRss(consuming, before, measureMs, stop)
    const [after, serverAfter] = await Promise.all([consuming.read(), server.call('read', undefined)])
    const window: Window = { before, after, serverBefore, serverAfter, rssSamples: [...rssSamples, after.rssBytes] }
    const due = await dueOf(workload, server, serverAfter)
    if (due !== undefined) await until(consuming, ({ logCount }) => logCount >= due.logCount, stop)
    const outcome = await consuming.stop()
    checkOutcome(contender, outcome, due?.positions ?? expectedOf(workload, access, outcome), workload)
    return runOf(contender, window, workload, outcome.latency, availableParallelism())
  } finally {
    await consuming.end()
  }
}

/** Longer without what is waited for, and something is wrong. */
const WAIT_MS_MAX = 60_000
const LOOK_MS = 50

async function until(consuming: Consuming, holds: (reading: Reading) => boolean, stop: AbortSignal): Promise<void> {
  for (let waitedMs = 0; !holds(await consuming.read()); waitedMs += LOOK_MS) {
    if (waitedMs > WAIT_MS_MAX) throw new ClsConsumerError('BENCH_FAILED', `no progress for ${WAIT_MS_MAX} ms`)
    await sleep(LOOK_MS, undefined, { signal: stop })
  }
}

const SAMPLES_MAX = 480
/** More often would show in what is measured. */
const SAMPLE_MS_MIN = 1000

async function sampleRss(
  consuming: Consuming,
  begin: Reading,
  measureMs: number,
  stop: AbortSignal
): Promise<number[]> {
  const samples = [begin.rssBytes]
  const everyMs = Math.max(SAMPLE_MS_MIN, measureMs / SAMPLES_MAX)
  for (let leftMs = measureMs; leftMs > 0; leftMs -= everyMs) {
    await sleep(Math.min(everyMs, leftMs), undefined, { signal: stop })
    if (leftMs > everyMs) samples.push((await consuming.read()).rssBytes)
  }
  return samples
}

/** What has to have come of each partition, in all. */
interface Expected {
  readonly partition: number
  readonly offset: number
  readonly logCount: number
  readonly hitCount: number
}

/** Of a feed with a rate: ends it. Everything that was due by then has to come. */
async function dueOf(
  { feed, partitionCount }: Workload,
  server: Remote<ServerCalls>,
  { beganMs }: ServerReading
): Promise<{ readonly logCount: number; readonly positions: readonly Expected[] } | undefined> {
  if (feed.kind !== 'rate') return undefined
  const endsAtMs = await server.call('endFeed', undefined)
  const plan: RatePlan = { logsPerSecond: feed.logsPerSecond, partitionCount, beganMs }
  const positions = Array.from({ length: partitionCount }, (_, partition) => {
    const logCount = dueCountOf(plan, partition, endsAtMs)
    return { partition, offset: BASE_OFFSET + logCount, logCount, hitCount: logCount }
  })
  return { positions, logCount: sumOf(positions, 'logCount') }
}

/** What lies before the offsets that the consumer says it has reached. */
function expectedOf({ feed }: Workload, { bodies }: ServerAccess, { positions }: Outcome): Expected[] {
  return positions.map(({ partition, offset }) => {
    const counts = feed.kind === 'repeat' ? countsBefore(bodies, offset) : { logCount: 0, hitCount: 0 }
    return { partition, offset, ...counts }
  })
}

/** All logs once, and in order; else there is nothing to compare. */
export function checkOutcome(
  contender: Contender,
  outcome: Outcome,
  expected: readonly Expected[],
  { processor, partitionCount, feed }: Pick<Workload, 'processor' | 'partitionCount' | 'feed'>
): void {
  const { positions, processedLogCount, settledLogCount, hitCount, breakCount } = outcome
  const [logs, hits] = [sumOf(expected, 'logCount'), sumOf(expected, 'hitCount')]
  const offsetOf = new Map(positions.map(({ partition, offset }) => [partition, offset]))
  const wrong = [
    ...(positions.length === partitionCount ? [] : [`${positions.length} of ${partitionCount} partitions have an end`]),
    ...expected
      .filter(({ partition, offset }) => offsetOf.get(partition) !== offset)
      .map(({ partition, offset }) => `partition ${partition} ends at ${offsetOf.get(partition)}, not at ${offset}`),
    ...(processedLogCount === logs ? [] : [`${processedLogCount} logs were processed, and there are ${logs}`]),
    ...(settledLogCount === logs ? [] : [`${settledLogCount} logs are settled, and there are ${logs}`]),
    // What a user's own processor counts, and the filter with logs that come one by one, nobody knows beforehand.
    ...(processor.kind === 'module' || feed.kind === 'rate' || hitCount === hits
      ? []
      : [`the processor counted ${hitCount}, and there are ${hits}`]),
    ...(breakCount === 0 ? [] : [`${breakCount} batches did not begin where the one before ended`])
  ]
  if (wrong.length === 0) return
  throw new ClsConsumerError('BENCH_FAILED', `${CONTENDERS[contender]} is not right: ${wrong.join('; ')}`)
}

function sumOf(expected: readonly Expected[], name: 'logCount' | 'hitCount'): number {
  return expected.reduce((total, each) => total + each[name], 0)
}
