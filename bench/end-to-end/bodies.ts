/**
 * The logs of a workload, and the responses made of them.
 *
 * In: a plan. Out: bodies to repeat, or single logs for those that become due one by one. The same plan gives the same
 * logs, but for the times of those from a file. Must never happen: a log that is counted and not in its body, since
 * every run is checked against these counts.
 */
import { generators, lineGenerator } from '../../src/cli/generate.ts'
import { type SourceTally, sourceLogs } from '../../src/cli/log-source.ts'
import { lineToLog } from '../../src/cli/logs.ts'
import { type SeededRandom, seededRandom } from '../../src/cli/random.ts'
import { encodeLogGroup, encodeMessage, type Log } from '../../src/cls/log-group.ts'
import { realClock } from '../../src/real-world.ts'
import { type RepeatableBody, repeatableBody } from './repeatable-body.ts'
import type { DataPlan, ProcessorPlan } from './workload.ts'

const BEGIN_MS = 1_700_000_000_000
/** As `bench decode` has it. Smaller responses have smaller groups, so that each has several messages. */
const LOGS_PER_GROUP_MAX = 1000
const MESSAGES_PER_BODY_MIN = 4
/** Enough to tell how large the logs are. */
const SAMPLE_COUNT = 500
const BASE64_GROWTH = 4 / 3
/** Of a file, no more is read: it would repeat itself no later for the consumer's caches. */
const FILE_LOGS_MAX = 200_000

/** The next log, without end. */
export type LogSource = () => Log

export async function openSource(data: DataPlan): Promise<LogSource> {
  const nextLog = 'file' in data.from ? await fileSource(data.from.file) : generatedSource(data.from)
  const random = seededRandom('seed' in data.from ? data.from.seed : 0)
  return () => shaped(nextLog(), data, random)
}

export async function makeBodies(data: DataPlan, processor: ProcessorPlan): Promise<RepeatableBody[]> {
  const nextLog = await openSource(data)
  const sample = Array.from({ length: SAMPLE_COUNT }, nextLog)
  const bytesPerLog = (encodeLogGroup({ logs: sample, logTags: [] }).length / SAMPLE_COUNT) * BASE64_GROWTH
  const logsPerBody = Math.max(1, Math.round(data.responseBytes / bytesPerLog))
  const again = await openSource(data)
  return Array.from({ length: data.bodyCount }, () => {
    const logs = Array.from({ length: logsPerBody }, again)
    return repeatableBody(messagesOf(logs), { logCount: logs.length, hitCount: hitCountOf(logs, processor) })
  })
}

export function messageOf(logs: readonly Log[]): Buffer {
  const group = { logs: [...logs], source: '10.0.0.1', filename: '/var/log/app.log', logTags: [] }
  const header = { timestamp: logs[0]?.time ?? 0n, accountUin: 1n, logsetId: 'logset', topicId: 'topic' }
  return encodeMessage(header, encodeLogGroup(group))
}

function messagesOf(logs: readonly Log[]): Buffer[] {
  const perGroup = Math.min(LOGS_PER_GROUP_MAX, Math.ceil(logs.length / MESSAGES_PER_BODY_MIN))
  const groups = Array.from({ length: Math.ceil(logs.length / perGroup) }, (_, index) =>
    logs.slice(index * perGroup, (index + 1) * perGroup)
  )
  return groups.map(messageOf)
}

/** What the processor counts: see `processors/built-in.ts`. */
export function hitCountOf(logs: readonly Log[], processor: ProcessorPlan): number {
  if (processor.kind !== 'filter') return logs.length
  const { key, text } = processor
  return logs.filter(({ contents }) => contents.find(content => content.key === key)?.value === text).length
}

function generatedSource({ kind, seed }: Extract<DataPlan['from'], { kind: unknown }>): LogSource {
  let made = 0
  // As in `bench decode`: they have a number.
  const nextLine = lineGenerator(seed)
  if (kind === 'access') return () => lineToLog(nextLine(BEGIN_MS + made), BEGIN_MS, made++)
  const nextLog = generators[kind](seededRandom(seed))
  return () => nextLog(BEGIN_MS + made++)
}

/** From the beginning again once all were read. */
async function fileSource(path: string): Promise<LogSource> {
  const plan = {
    from: { path, format: 'auto', onBadLine: 'keep', timeField: undefined, timeUnit: undefined },
    countMax: FILE_LOGS_MAX,
    key: undefined
  } as const
  const tally: SourceTally = { badLineCount: 0, noTimeCount: 0, noKeyCount: 0 }
  const world = { clock: realClock, ended: new AbortController().signal, tally, say: () => undefined }
  const logs: Log[] = []
  for await (const { log } of sourceLogs(plan, world)) logs.push(log)
  let read = 0
  return () => {
    const log = logs[read++ % logs.length]
    if (log === undefined) throw new Error(`${path} holds no log`)
    return log
  }
}

function shaped(log: Log, { fieldCount, randomShare }: DataPlan, random: SeededRandom): Log {
  let contents = log.contents
  if (fieldCount !== undefined) {
    const missing = Math.max(0, fieldCount - contents.length)
    const made = Array.from({ length: missing }, (_, index) => ({
      key: `field${contents.length + index + 1}`,
      value: String(Math.floor(random() * 1e6))
    }))
    // What the filter looks for stays, whatever else has to go.
    const kept = contents.filter(({ key }) => key === 'status')
    const rest = contents.filter(({ key }) => key !== 'status')
    contents = [...kept, ...rest, ...made].slice(0, fieldCount)
  }
  if (randomShare > 0) {
    const bytes = contents.reduce((total, { key, value }) => total + key.length + value.length, 0)
    contents = [
      ...contents,
      { key: 'noise', value: noise(Math.round((bytes * randomShare) / (1 - randomShare)), random) }
    ]
  }
  return { ...log, contents }
}

const NOISE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

function noise(length: number, random: SeededRandom): string {
  let text = ''
  for (let made = 0; made < length; made++) text += NOISE[Math.floor(random() * NOISE.length)] ?? ''
  return text
}
