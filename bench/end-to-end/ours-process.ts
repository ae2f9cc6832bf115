/**
 * The process of a whole consumer: group, heartbeats, threads, commits.
 *
 * In: calls of the bench. Out: readings while it runs, and at the end what went through it. It does nothing but consume.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { Consumer } from '../../src/consumer.ts'
import type { ClsConsumerError } from '../../src/errors.ts'
import type { OnResult } from '../../src/options.ts'
import { realClock } from '../../src/real-world.ts'
import { cpuMsOfThreads, ThreadGauges, watchCollections } from './gauges.ts'
import { LatencyBook, type Timed } from './latency.ts'
import type { MeasuredOptions } from './processors/measured.ts'
import type { Outcome, Reading, StartConsuming } from './readings.ts'
import { answerCalls } from './remote.ts'
import type { Workload } from './workload.ts'

export type ConsumerCalls = typeof calls

const LOOP_RESOLUTION_MS = 1

const gauges = new ThreadGauges()
const book = new LatencyBook()
const positions = new Map<number, number>()
const nextOffsets = new Map<number, bigint>()
let breakCount = 0
let mainGcMs = 0
let isTimed = false
let loop: ReturnType<typeof monitorEventLoopDelay> | undefined
let consumer: Consumer | undefined
let failure: ClsConsumerError | undefined

const calls = {
  async start({ access, workload, group }: StartConsuming): Promise<void> {
    watchCollections(ms => {
      mainGcMs += ms
    })
    isTimed = workload.feed.kind === 'rate'
    const { endpoint, secretId, secretKey, logsetId, topicId, pullBytes } = access
    const { threads, pollIntervalMs, commitIntervalMs, heartbeatIntervalMs } = workload
    consumer = new Consumer({
      endpoint,
      credentials: { secretId, secretKey },
      logsetId,
      topicIds: [topicId],
      group,
      processor: fileURLToPath(new URL('./processors/measured.js', import.meta.url)),
      processorOptions: measuredOptions(workload),
      startFrom: 'begin',
      logLevel: 'error',
      threads,
      pullBytes,
      pollIntervalMs,
      commitIntervalMs,
      heartbeatIntervalMs,
      ...(isTimed ? { onResult } : {})
    })
    follow(consumer)
    if (workload.watchesLoop) loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
    await consumer.start()
  },

  /** What counts since then begins now: latencies, the event loop's delay. */
  openWindow(): void {
    book.openWindow(realClock.monotonic())
    loop?.enable()
    loop?.reset()
  },

  read(): Reading {
    if (failure !== undefined) throw failure
    const { user, system } = process.cpuUsage()
    const { batchCount = 0, logCount = 0, bodyBytes = 0, responseBytes = 0 } = consumer?.snapshot() ?? {}
    return {
      atMs: realClock.monotonic(),
      cpuMs: (user + system) / 1000,
      mainCpuMs: cpuMsOfThreads([process.pid]),
      threadsCpuMs: cpuMsOfThreads(gauges.all('threadId')),
      mainGcMs,
      threadsGcMs: sum(gauges.all('gcMs')),
      batchCount,
      logCount,
      bodyBytes,
      responseBytes,
      rssBytes: process.memoryUsage.rss(),
      rssPeakBytes: process.resourceUsage().maxRSS * 1024,
      loopDelayP99Ms: loop === undefined ? undefined : loop.percentile(99) / 1e6
    }
  },

  async stop(): Promise<Outcome> {
    await consumer?.stop()
    await consumer?.finished
    return {
      positions: [...positions].map(([partition, offset]) => ({ partition, offset })),
      processedLogCount: sum(gauges.all('logCount')),
      hitCount: sum(gauges.all('hitCount')),
      settledLogCount: consumer?.snapshot().logCount ?? 0,
      breakCount,
      latency: isTimed ? book.summary() : undefined
    }
  }
}

answerCalls(calls)

function follow(each: Consumer): void {
  each.on('batch', ({ partition, startOffset, nextOffset }) => {
    const expected = nextOffsets.get(partition)
    if (expected !== undefined && expected !== startOffset) breakCount++
    nextOffsets.set(partition, nextOffset)
  })
  each.on('failed', error => {
    failure = error
  })
  each.on('released', ({ partition, committedOffset }) => {
    if (committedOffset !== undefined) positions.set(partition, Number(committedOffset))
  })
  if (isTimed) each.on('committed', ({ partition, offset }) => book.committed(partition, offset, realClock.monotonic()))
}

const onResult: OnResult = (result, { partition, nextOffset }) => {
  if (isTimes(result)) book.processed(partition, nextOffset, result)
}

function isTimes(result: unknown): result is Timed {
  return typeof result === 'object' && result !== null && 'dueMs' in result && 'begunMs' in result
}

function measuredOptions({ processor, feed }: Workload): MeasuredOptions {
  const shared = { gauges: gauges.shared, isTimed: feed.kind === 'rate' }
  if (processor.kind === 'module') return { ...shared, file: processor.file, options: processor.options }
  const file = fileURLToPath(new URL('./processors/built-in.js', import.meta.url))
  return { ...shared, file, options: processor }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
