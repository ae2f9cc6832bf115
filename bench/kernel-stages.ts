/**
 * The decode kernel, stage by stage, each beside what does the same without it.
 *
 * In: `--json FILE`, optional. Out: a table in ms per response, medians of `RUN_COUNT` runs after warm-up: CPU time with
 * garbage collection, and wall time. The response: 10,000 access logs, one in 20 with a Chinese value. All contenders
 * take turns in one process. Runs by hand: `npm run bench -- kernel-stages`.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import * as lz4 from 'lz4-napi'
import protobuf from 'protobufjs'
import snappy from 'snappy'
import { lineGenerator } from '../src/cli/generate.ts'
import { lineToLog } from '../src/cli/logs.ts'
import { compress } from '../src/cls/compression.ts'
import { encodeLogGroup, encodeMessage } from '../src/cls/log-group.ts'
import { decompressInto } from '../workers/kernel/decompress.ts'
import { indexLogGroup } from '../workers/kernel/log-group-index.ts'
import { align, KernelMemory, type Span } from '../workers/kernel/memory.ts'
import { decodeMessageText, payloadOf } from '../workers/kernel/message.ts'
import { messageText, type ScannedResponse, scanResponse } from '../workers/kernel/scan.ts'

const LOG_COUNT = 10_000
const LOGS_PER_GROUP = 1000
const RUN_COUNT = 30
const WARM_UP_COUNT = 10
const SEED = 7
const BEGIN_MS = 1_700_000_000_000
const BYTES_MAX = 2 ** 26
const MESSAGE_HEADER_BYTES = 96

interface Row {
  readonly stage: string
  readonly contender: string
  readonly cpuMs: number
  readonly wallMs: number
}

interface Case {
  readonly stage: string
  readonly contender: string
  readonly work: () => void
}

const text = Buffer.from(responseText())
const bodies = { snappy: compress(text, 'snappy'), lz4: compress(text, 'lz4') }
const messages: string[] = JSON.parse(text.toString()).Response.Message
const decoded = messages.map(message => Buffer.from(message, 'base64'))
const proto = fileURLToPath(new URL('../../proto/cls.proto', import.meta.url))
const LogGroup = new protobuf.Root().loadSync(proto).lookupType('cls.LogGroup')

report(measure(cases()))

function cases(): Case[] {
  const whole = new KernelMemory()
  const memory = new KernelMemory()
  const plain = decompressInto(memory, bodies.snappy, 'snappy', BYTES_MAX)
  const scanned = scan(memory, plain)
  const texts = messages.map((_, index) => messageText(memory, scanned, index))
  // Beside the texts, so that they can be decoded again and again: in use they are decoded in their own place.
  const outputs = place(align(scanned.table.end), texts)
  const payloads = outputs.map(output => {
    const { start } = output
    return { start: start + MESSAGE_HEADER_BYTES, end: start + MESSAGE_HEADER_BYTES }
  })
  memory.reserve((outputs.at(-1)?.end ?? 0) + 16)
  const decodeTexts = () => {
    for (const [index, { start, end }] of texts.entries()) {
      const output = outputs[index]?.start ?? 0
      const byteCount = memory.kernel.decodeBase64(start, end, output)
      const payload = payloads[index]
      if (byteCount < 0 || payload === undefined) throw new Error('base64')
      payload.end = output + byteCount
    }
  }
  decodeTexts()
  const table = align(outputs.at(-1)?.end ?? 0)
  return [
    { stage: 'snappy', contender: 'npm snappy', work: () => void snappy.uncompressSync(bodies.snappy) },
    {
      stage: 'snappy',
      contender: 'kernel',
      work: () => void decompressInto(whole, bodies.snappy, 'snappy', BYTES_MAX)
    },
    { stage: 'lz4', contender: 'lz4-napi', work: () => void uncompressLz4() },
    { stage: 'lz4', contender: 'kernel', work: () => void decompressInto(whole, bodies.lz4, 'lz4', BYTES_MAX) },
    { stage: 'JSON scan', contender: 'JSON.parse', work: () => void JSON.parse(text.toString('latin1')) },
    { stage: 'JSON scan', contender: 'kernel', work: () => void scan(memory, plain) },
    { stage: 'base64', contender: 'Buffer.from', work: () => void messages.map(each => Buffer.from(each, 'base64')) },
    { stage: 'base64', contender: 'latin1, write base64', work: () => decodeThroughStrings(memory, texts, outputs) },
    { stage: 'base64', contender: 'kernel', work: decodeTexts },
    { stage: 'protobuf', contender: 'protobufjs', work: decodeAll },
    { stage: 'protobuf', contender: 'kernel: index', work: () => indexAll(memory, payloads, table) },
    { stage: 'whole', contender: 'rival: all of the above', work: rival },
    { stage: 'whole', contender: 'kernel: body to index', work: () => void bodyToIndex(whole) }
  ]
}

function scan(memory: KernelMemory, plain: Span): ScannedResponse {
  const scanned = scanResponse(memory, plain)
  if (scanned === undefined) throw new Error('the response was not read')
  return scanned
}

function place(start: number, texts: readonly Span[]): Span[] {
  let at = start
  return texts.map(({ start, end }) => {
    const output = { start: at, end: at + ((end - start) / 4) * 3 }
    at = align(output.end)
    return output
  })
}

function decodeThroughStrings({ bytes }: KernelMemory, texts: readonly Span[], outputs: readonly Span[]): void {
  for (const [index, { start, end }] of texts.entries()) {
    bytes.write(bytes.toString('latin1', start, end), outputs[index]?.start ?? 0, 'base64')
  }
}

function decodeAll(): void {
  for (const message of decoded) LogGroup.decode(message.subarray(MESSAGE_HEADER_BYTES))
}

function indexAll(memory: KernelMemory, payloads: readonly Span[], table: number): void {
  let at = table
  for (const payload of payloads) {
    const end = indexLogGroup(memory, payload, at)
    if (typeof end !== 'number') throw new Error(end.reason)
    at = end
  }
}

function uncompressLz4(): Buffer {
  const prefixed = Buffer.allocUnsafe(4 + bodies.lz4.length)
  prefixed.writeUInt32LE(text.length)
  prefixed.set(bodies.lz4, 4)
  return lz4.uncompressSync(prefixed)
}

function rival(): void {
  const { Response } = JSON.parse(snappy.uncompressSync(bodies.snappy).toString())
  Response.Message.map((message: string) =>
    LogGroup.decode(Buffer.from(message, 'base64').subarray(MESSAGE_HEADER_BYTES))
  )
}

function bodyToIndex(memory: KernelMemory): void {
  const scanned = scan(memory, decompressInto(memory, bodies.snappy, 'snappy', BYTES_MAX))
  let table = align(scanned.table.end)
  for (let index = 0; index < scanned.messageCount; index++) {
    const message = decodeMessageText(memory, messageText(memory, scanned, index))
    if ('reason' in message) throw new Error(message.reason)
    const payload = payloadOf(memory, message)
    if ('reason' in payload) throw new Error(payload.reason)
    const end = indexLogGroup(memory, payload, table)
    if (typeof end !== 'number') throw new Error(end.reason)
    table = end
  }
}

/** In turns, so that all meet the same moods of the machine. */
function measure(all: readonly Case[]): Row[] {
  const samples = all.map(() => ({ cpuMs: [] as number[], wallMs: [] as number[] }))
  for (let run = -WARM_UP_COUNT; run < RUN_COUNT; run++) {
    for (const [index, { work }] of all.entries()) {
      const cpuBefore = process.cpuUsage()
      const beganMs = performance.now()
      work()
      const wallMs = performance.now() - beganMs
      const { user, system } = process.cpuUsage(cpuBefore)
      if (run < 0) continue
      samples[index]?.cpuMs.push((user + system) / 1000)
      samples[index]?.wallMs.push(wallMs)
    }
  }
  return all.map(({ stage, contender }, index) => {
    const { cpuMs = [], wallMs = [] } = samples[index] ?? {}
    return { stage, contender, cpuMs: median(cpuMs), wallMs: median(wallMs) }
  })
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0
}

function responseText(): string {
  const nextLine = lineGenerator(SEED)
  const header = { timestamp: BigInt(BEGIN_MS), accountUin: 1n, logsetId: 'logset', topicId: 'topic' }
  let made = 0
  const nextMessage = () => {
    const logs = Array.from({ length: LOGS_PER_GROUP }, () => lineToLog(nextLine(BEGIN_MS + made), BEGIN_MS, made++))
    return encodeMessage(header, encodeLogGroup({ logs, logTags: [] })).toString('base64')
  }
  const all = Array.from({ length: LOG_COUNT / LOGS_PER_GROUP }, nextMessage)
  return JSON.stringify({ Response: { NextOffset: 1010, Message: all, RequestId: 'bench' } })
}

function report(rows: readonly Row[]): void {
  const place = {
    cpu: cpus()[0]?.model ?? 'unknown',
    node: process.version,
    date: new Date().toISOString(),
    logCount: LOG_COUNT,
    jsonBytes: text.length,
    protobufBytes: decoded.reduce((sum, { length }) => sum + length, 0),
    snappyBytes: bodies.snappy.length,
    runCount: RUN_COUNT
  }
  const lines = rows.map(({ stage, contender, cpuMs, wallMs }) =>
    [stage.padEnd(10), contender.padEnd(26), cpuMs.toFixed(2).padStart(8), wallMs.toFixed(2).padStart(8)].join(' ')
  )
  const head = `${'stage'.padEnd(10)} ${'contender'.padEnd(26)}   CPU ms  wall ms`
  process.stdout.write(`${JSON.stringify(place)}\n${[head, ...lines].join('\n')}\n`)
  const file = process.argv[process.argv.indexOf('--json') + 1]
  if (process.argv.includes('--json') && file !== undefined) {
    writeFileSync(file, `${JSON.stringify({ ...place, rows }, null, 2)}\n`)
  }
}
