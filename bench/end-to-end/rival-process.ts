/**
 * The process of the obvious consumer: pulls, decodes, processes, all on the main thread, one pull at a time.
 *
 * In: calls of the bench. Out: as our own consumer's. No group, no heartbeat, no commit: what those cost is in the rivals'
 * favour. npm snappy, `JSON.parse`, Node's base64, protobufjs, as in `bench decode`. `whole` decodes the response and
 * then loops; `message` decodes and loops message by message. A user's own processor cannot run here: the logs are made
 * into the objects it would be given, and no more.
 */
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import snappy from 'snappy'
import { signQ } from '../../src/cls/sign-q.ts'
import { realClock } from '../../src/real-world.ts'
import { addObjects, countGroup, decodeMessage, type Group, readResponse } from '../rivals.ts'
import { BASE_OFFSET } from './feeds.ts'
import { cpuMsOfThreads, watchCollections } from './gauges.ts'
import { burn } from './processors/built-in.ts'
import type { Outcome, Reading, StartConsuming } from './readings.ts'
import { answerCalls } from './remote.ts'
import type { ServerAccess } from './server-process.ts'
import type { ProcessorPlan } from './workload.ts'

export type RivalCalls = typeof calls

const SIGNATURE_SECONDS = 300

const agent = new Agent({ keepAlive: true })
const offsets: number[] = []
let [batchCount, logCount, hitCount, bodyBytes, responseBytes, mainGcMs] = [0, 0, 0, 0, 0, 0]
let isStopping = false
let consuming: Promise<void> = Promise.resolve()
let failure: unknown

const calls = {
  start(plan: StartConsuming): void {
    watchCollections(ms => {
      mainGcMs += ms
    })
    consuming = consume(plan).catch(error => {
      failure = error
    })
  },

  openWindow(): void {},

  read(): Reading {
    if (failure !== undefined) throw failure
    const { user, system } = process.cpuUsage()
    return {
      atMs: realClock.monotonic(),
      cpuMs: (user + system) / 1000,
      mainCpuMs: cpuMsOfThreads([process.pid]),
      threadsCpuMs: 0,
      mainGcMs,
      threadsGcMs: 0,
      batchCount,
      logCount,
      bodyBytes,
      responseBytes,
      rssBytes: process.memoryUsage.rss(),
      rssPeakBytes: process.resourceUsage().maxRSS * 1024,
      loopDelayP99Ms: undefined
    }
  },

  async stop(): Promise<Outcome> {
    isStopping = true
    await consuming
    agent.destroy()
    if (failure !== undefined) throw failure
    const positions = offsets.map((offset, partition) => ({ partition, offset }))
    const counts = { processedLogCount: logCount, settledLogCount: logCount, hitCount }
    return { positions, ...counts, breakCount: 0, latency: undefined }
  }
}

answerCalls(calls)

async function consume({ contender, access, workload }: StartConsuming): Promise<void> {
  for (let partition = 0; partition < access.partitionCount; partition++) offsets.push(BASE_OFFSET)
  for (let turn = 0; !isStopping; turn++) {
    const partition = turn % offsets.length
    const body = await pull(access, partition, offsets[partition] ?? BASE_OFFSET)
    const plain = snappy.uncompressSync(body)
    const { NextOffset, Message } = readResponse(plain)
    const work = new Work(workload.processor)
    if (contender === 'message') for (const message of Message) work.take(decodeMessage(message))
    else for (const group of Message.map(decodeMessage)) work.take(group)
    await work.end(partition)
    offsets[partition] = NextOffset
    batchCount++
    logCount += work.logCount
    hitCount += work.hitCount
    bodyBytes += body.length
    responseBytes += plain.length
    // Of nothing new it would pull again at once, and never let the bench speak.
    if (Message.length === 0) await sleep(workload.pollIntervalMs / offsets.length)
  }
}

/** What is done with the logs of one response. */
class Work {
  readonly #plan: ProcessorPlan
  readonly #objects: object[] = []
  logCount = 0
  hitCount = 0

  constructor(plan: ProcessorPlan) {
    this.#plan = plan
  }

  take(group: Group): void {
    const plan = this.#plan
    this.logCount += group.logs.length
    if (plan.kind === 'filter') this.hitCount += countGroup(group, plan)
    else if (plan.kind === 'objects' || plan.kind === 'module') addObjects(group, this.#objects)
  }

  async end(partition: number): Promise<void> {
    const plan = this.#plan
    if (plan.kind === 'burn') burn(plan.ms)
    if (plan.kind === 'sleep' && (plan.partition ?? partition) === partition) await sleep(plan.ms)
    if (plan.kind === 'objects') this.hitCount = this.#objects.length
    else if (plan.kind !== 'filter' && plan.kind !== 'module') this.hitCount = this.logCount
  }
}

async function pull(access: ServerAccess, partition: number, startOffset: number): Promise<Buffer> {
  const { endpoint, secretId, secretKey, topicId, pullBytes } = access
  const asked = { StartOffset: startOffset, Size: pullBytes, CompressType: 'snappy', PartitionId: partition }
  const body = JSON.stringify(asked)
  const path = '/pull_log'
  const query = { topic_id: topicId }
  const headers = { 'content-type': 'application/json', host: new URL(endpoint).host }
  const nowSeconds = Math.floor(realClock.now() / 1000)
  const signed = { method: 'POST', path, query, headers, nowSeconds, expireSeconds: SIGNATURE_SECONDS }
  const call = request(`${endpoint}${path}?topic_id=${topicId}`, {
    method: 'POST',
    agent,
    headers: {
      ...headers,
      'content-length': body.length,
      authorization: signQ({ secretId, secretKey, ...signed })
    }
  })
  call.end(body)
  const response: IncomingMessage = (await once(call, 'response'))[0]
  const chunks: Buffer[] = []
  response.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(response, 'end')
  if (response.statusCode !== 200) throw new Error(`a pull was answered ${response.statusCode}`)
  return Buffer.concat(chunks)
}
