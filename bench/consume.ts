/**
 * What it costs to consume: CPU-seconds per GB of response JSON, ours against the obvious pipeline, side by side.
 *
 * In: `--json FILE`, optional. Out: a table, and JSON with every run and the ratio of the medians. Both read the same
 * logs from the same emulator, which has a process of its own, and count the logs whose `status` is 500. Ours is a whole
 * consumer: group, heartbeats, threads, commits, start and stop included. The rival only pulls, one pull at a time, and
 * decodes on the main thread: `JSON.parse` of the decompressed text, then protobufjs, message by message. CPU time is
 * this process's, all threads and garbage collection included. Runs by hand: `npm run bench -- consume`.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import snappy from 'snappy'
import { lineGenerator } from '../src/cli/generate.ts'
import { lineToLog } from '../src/cli/logs.ts'
import { createService } from '../src/cls/service.ts'
import { Consumer } from '../src/consumer.ts'
import { type EmulatorHandle, startEmulator } from '../src/emulator/start.ts'
import { createLogger } from '../src/observe/logger.ts'
import { realClock, realRandom, realTimers } from '../src/real-world.ts'
import { median } from './statistics.ts'

const LOG_COUNT = 400_000
const LOGS_PER_GROUP = 1000
const GROUPS_PER_UPLOAD = 5
const PARTITION_COUNT = 8
const THREADS = 2
const RUN_COUNT = 5
const SEED = 7
const MESSAGE_HEADER_BYTES = 96
const BEGIN_MS = 1_700_000_000_000

interface Run {
  readonly name: 'ours' | 'rival'
  readonly hitCount: number
  readonly responseBytes: number
  readonly cpuSecondsPerGb: number
  readonly megabytesPerSecond: number
}

const emulator = await startEmulator({ process: 'child', topicCount: 1, partitionCount: PARTITION_COUNT })
const settings = {
  endpoint: emulator.endpoint,
  region: emulator.region,
  network: 'public' as const,
  credentials: { secretId: emulator.secretId, secretKey: emulator.secretKey },
  logsetId: emulator.logsetId,
  bodyBytesMax: 2 ** 25,
  requestTimeoutMs: 10_000,
  callTimeoutMs: 60_000
}
const log = createLogger({ level: 'error' })
const service = createService(settings, { clock: realClock, timers: realTimers, random: realRandom, log })
try {
  await upload(emulator)
  const runs: Run[] = []
  // In turns, so that both meet the same moods of the machine; the first of each warms up, and does not count.
  for (let index = 0; index <= RUN_COUNT; index++) {
    const pair = [
      await measure('ours', () => consume(emulator, `g${index}`)),
      await measure('rival', () => pullAll(emulator))
    ]
    if (index > 0) runs.push(...pair)
  }
  report(runs)
} finally {
  await service.close()
  await emulator.stop()
}

async function upload({ topicIds }: EmulatorHandle): Promise<void> {
  const nextLine = lineGenerator(SEED)
  let made = 0
  const nextGroup = () => {
    const logs = Array.from({ length: LOGS_PER_GROUP }, () => lineToLog(nextLine(BEGIN_MS + made), BEGIN_MS, made++))
    return { logs, logTags: [] }
  }
  while (made < LOG_COUNT) {
    const groups = Array.from({ length: GROUPS_PER_UPLOAD }, nextGroup)
    await service.upload.upload({ topicId: topicIds[0] ?? '', groups })
  }
}

interface Outcome {
  readonly hitCount: number
  readonly responseBytes: number
}

async function measure(name: Run['name'], work: () => Promise<Outcome>): Promise<Run> {
  const cpuBefore = process.cpuUsage()
  const beganMs = performance.now()
  const { hitCount, responseBytes } = await work()
  const { user, system } = process.cpuUsage(cpuBefore)
  const gigabytes = responseBytes / 1e9
  const megabytesPerSecond = responseBytes / 1000 / (performance.now() - beganMs)
  return { name, hitCount, responseBytes, cpuSecondsPerGb: (user + system) / 1e6 / gigabytes, megabytesPerSecond }
}

async function consume({ topicIds }: EmulatorHandle, group: string): Promise<Outcome> {
  let hitCount = 0
  const consumer = new Consumer({
    endpoint: settings.endpoint,
    credentials: settings.credentials,
    logsetId: settings.logsetId,
    topicIds,
    group,
    processor: fileURLToPath(new URL('consume-processor.js', import.meta.url)),
    startFrom: 'begin',
    stopAt: 'now',
    heartbeatIntervalMs: 1000,
    threads: THREADS,
    logLevel: 'error',
    onResult: result => {
      if (typeof result === 'number') hitCount += result
    }
  })
  await consumer.start()
  await consumer.finished
  return { hitCount, responseBytes: consumer.snapshot().responseBytes }
}

async function pullAll({ topicIds }: EmulatorHandle): Promise<Outcome> {
  const [topicId = ''] = topicIds
  const proto = fileURLToPath(new URL('../../proto/cls.proto', import.meta.url))
  const LogGroup = new protobuf.Root().loadSync(proto).lookupType('cls.LogGroup')
  const { signal } = new AbortController()
  let [hitCount, responseBytes] = [0, 0]
  for (let partition = 0; partition < PARTITION_COUNT; partition++) {
    for (let startOffset = 0n; ; ) {
      const pulled = await service.data.pull({ topicId, partition, startOffset, sizeBytes: 2 ** 21 }, { signal })
      const text = snappy.uncompressSync(Buffer.from(pulled.bytes)).toString()
      const { NextOffset, Message } = JSON.parse(text).Response
      if (Message.length === 0) break
      for (const message of Message) {
        const group = LogGroup.toObject(LogGroup.decode(Buffer.from(message, 'base64').subarray(MESSAGE_HEADER_BYTES)))
        for (const { contents } of group.logs) {
          for (const { key, value } of contents) if (key === 'status' && value === '500') hitCount++
        }
      }
      responseBytes += text.length
      startOffset = BigInt(NextOffset)
    }
  }
  return { hitCount, responseBytes }
}

function report(runs: readonly Run[]): void {
  const of = (name: Run['name']) => runs.filter(run => run.name === name)
  const [ours, rival] = [of('ours'), of('rival')]
  if (new Set(runs.map(({ hitCount }) => hitCount)).size !== 1) throw new Error('ours and the rival count differently')
  const cpu = (list: readonly Run[]) => list.map(({ cpuSecondsPerGb }) => cpuSecondsPerGb)
  const wall = (list: readonly Run[]) => list.map(({ megabytesPerSecond }) => megabytesPerSecond)
  const ratios = {
    filterCpu: median(cpu(rival)) / median(cpu(ours)),
    throughput: median(wall(ours)) / median(wall(rival))
  }
  const line = (name: string, list: readonly Run[]) =>
    `${name.padEnd(8)}${spread(cpu(list)).padStart(24)}${spread(wall(list)).padStart(24)}\n`
  const gigabytes = ((ours[0]?.responseBytes ?? 0) / 1e9).toFixed(2)
  const context = {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`,
    payload: `${LOG_COUNT} access logs, ${gigabytes} GB of JSON, ${PARTITION_COUNT} partitions, ${THREADS} threads, ${RUN_COUNT} runs each`
  }
  process.stdout.write(`${Object.values(context).join('\n')}\n\n`)
  process.stdout.write(`${''.padEnd(8)}${'CPU-s per GB of JSON'.padStart(24)}${'MB/s of JSON'.padStart(24)}\n`)
  process.stdout.write(line('ours', ours) + line('rival', rival))
  process.stdout.write(
    `rival ÷ ours, CPU: ${ratios.filterCpu.toFixed(2)}; ours ÷ rival, MB/s: ${ratios.throughput.toFixed(2)}\n`
  )
  const file = process.argv[process.argv.indexOf('--json') + 1]
  if (process.argv.includes('--json') && file !== undefined) {
    writeFileSync(file, `${JSON.stringify({ ratios, context, runs }, undefined, 2)}\n`)
  }
}

function spread(values: readonly number[]): string {
  return `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)} – ${Math.max(...values).toFixed(1)})`
}
