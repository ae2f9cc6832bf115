/**
 * The process of the server: the emulator's groups, offsets and signatures, and pulls answered out of prepared bodies.
 *
 * In: calls of the bench, and HTTP. Out: answers, and what was asked and when. A pull costs it little more than the
 * writing of its bytes: no signature is checked there, nothing compressed, nothing stored. All else is the emulator's own.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerRequest } from '../../src/emulator/answer.ts'
import { resolveEmulatorOptions } from '../../src/emulator/settings.ts'
import { createState, type EmulatorState } from '../../src/emulator/state.ts'
import { realClock } from '../../src/real-world.ts'
import { makeBodies, openSource } from './bodies.ts'
import { makeEndless } from './endless-log.ts'
import { type AnswerPull, BASE_OFFSET, type BodyCounts, idleFeed, rateFeed, repeatFeed } from './feeds.ts'
import { answerCalls } from './remote.ts'
import type { Workload } from './workload.ts'

export interface ServerAccess {
  readonly endpoint: string
  readonly secretId: string
  readonly secretKey: string
  readonly logsetId: string
  readonly topicId: string
  readonly partitionCount: number
  /** Of one pull, so that each body fits. */
  readonly pullBytes: number
  /** In the order in which a partition has them. */
  readonly bodies: readonly BodyCounts[]
}

export interface ServerReading {
  readonly atMs: number
  readonly cpuMs: number
  /** By partition, since `begin`. */
  readonly pullCounts: readonly number[]
  /** When each call came, since `begin`, ms on the host's monotonic clock. */
  readonly heartbeatsAtMs: readonly number[]
  readonly commitsAtMs: readonly number[]
  /** When the first log was due; of a feed with a rate. */
  readonly beganMs: number
}

export type ServerCalls = typeof calls

const KEEP_ALIVE_MS = 120_000
const PULL_BYTES_MAX = 10 * 2 ** 20

let workload: Workload | undefined
let state: EmulatorState | undefined
let answerPull: AnswerPull = idleFeed()
let beganMs = 0
let endsAtMs = Number.POSITIVE_INFINITY
let pullCounts: number[] = []
let heartbeatsAtMs: number[] = []
let commitsAtMs: number[] = []

const calls = {
  async start(plan: Workload): Promise<ServerAccess> {
    workload = plan
    const settings = resolveEmulatorOptions({
      topicCount: 1,
      partitionCount: plan.partitionCount,
      startOffset: BigInt(BASE_OFFSET),
      partitionCountMax: Math.max(50, plan.partitionCount)
    })
    state = createState(settings, realClock.now())
    // Where nothing ever comes, the end is where it begins, and a consumer knows that.
    if (plan.feed.kind !== 'idle') for (const topic of state.topics.values()) makeEndless(topic)
    const bodies = plan.feed.kind === 'repeat' ? await makeBodies(plan.data, plan.processor) : []
    if (plan.feed.kind === 'repeat') answerPull = repeatFeed(bodies)
    const http = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, serve)
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    const { secretId, secretKey, logsetId, topicIds, partitionCount } = settings
    return {
      endpoint: `http://127.0.0.1:${portOf(http.address())}`,
      secretId,
      secretKey,
      logsetId,
      topicId: topicIds[0] ?? '',
      partitionCount,
      pullBytes: Math.min(PULL_BYTES_MAX, Math.max(2 ** 21, ...bodies.map(({ storedBytes }) => storedBytes))),
      bodies: bodies.map(({ messageCount, logCount, hitCount }) => ({ messageCount, logCount, hitCount }))
    }
  },

  /** What was counted is forgotten; of a rate, the first log is due now. */
  async begin(): Promise<void> {
    const { feed, data, partitionCount } = workload ?? raise('start comes first')
    pullCounts = Array.from({ length: partitionCount }, () => 0)
    heartbeatsAtMs = []
    commitsAtMs = []
    beganMs = realClock.monotonic()
    endsAtMs = Number.POSITIVE_INFINITY
    if (feed.kind !== 'rate') return
    const plan = { logsPerSecond: feed.logsPerSecond, partitionCount, beganMs }
    answerPull = rateFeed(await openSource(data), plan, () => endsAtMs)
  },

  /** No further log becomes due. Resolves to the moment from which that holds. */
  endFeed(): number {
    endsAtMs = realClock.monotonic()
    return endsAtMs
  },

  read(): ServerReading {
    const { user, system } = process.cpuUsage()
    const atMs = realClock.monotonic()
    return { atMs, cpuMs: (user + system) / 1000, pullCounts, heartbeatsAtMs, commitsAtMs, beganMs }
  }
}

answerCalls(calls)

function serve(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Uint8Array[] = []
  request.on('data', (chunk: Uint8Array) => chunks.push(chunk))
  request.on('end', () => answer(request, Buffer.concat(chunks), response))
  request.on('error', () => response.destroy())
}

function answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
  const url = request.url ?? '/'
  if (url.startsWith('/pull_log')) {
    const latencyMs = workload?.pullLatencyMs ?? 0
    const { PartitionId: partition, StartOffset: startOffset } = JSON.parse(body.toString())
    pullCounts[partition] = (pullCounts[partition] ?? 0) + 1
    if (latencyMs === 0) sendPull(partition, startOffset, response)
    else setTimeout(() => sendPull(partition, startOffset, response), latencyMs)
    return
  }
  note(request)
  const [path = '/', query = ''] = url.split('?')
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  const wire = { method: request.method ?? 'GET', path, query, headers, body, requestId: randomUUID() }
  const answered = answerRequest(wire, state ?? raise('start comes first'), realClock.now())
  response.writeHead(answered.status, { ...answered.headers, 'content-length': answered.body.length })
  response.end(answered.body)
}

function sendPull(partition: number, startOffset: number, response: ServerResponse): void {
  const { head, tail } = answerPull({ partition, startOffset }, realClock.monotonic())
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': head.length + tail.length
  })
  response.write(head)
  response.end(tail)
}

function note({ headers }: IncomingMessage): void {
  const action = headers['x-tc-action']
  if (action === 'SendConsumerHeartbeat') heartbeatsAtMs.push(realClock.monotonic())
  if (action === 'CommitConsumerOffsets') commitsAtMs.push(realClock.monotonic())
}

function portOf(address: string | AddressInfo | null): number {
  return typeof address === 'object' && address !== null ? address.port : raise('the server has no port')
}

function raise(message: string): never {
  throw new Error(message)
}
