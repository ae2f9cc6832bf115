/**
 * The decode kernel, stage by stage, each beside what does the same without it.
 *
 * In: `--json FILE`, optional. Out: a table in ms per response, medians of `RUN_COUNT` runs after warm-up: CPU time with
 * garbage collection, and wall time. The response: 10,000 access logs, one in 20 with a Chinese value. All contenders
 * take turns in one thread, one response a run. Runs by hand: `npm run bench -- kernel-stages`.
 */
import { writeFileSync } from 'node:fs'
import * as lz4 from 'lz4-napi'
import snappy from 'snappy'
import { compress } from '../src/cls/compression.ts'
import { decompressInto } from '../workers/kernel/decompress.ts'
import { indexLogGroup } from '../workers/kernel/log-group-index.ts'
import { align, KernelMemory, type Span } from '../workers/kernel/memory.ts'
import { messageText, type ScannedResponse, scanResponse } from '../workers/kernel/scan.ts'
import { readContext } from './context.ts'
import { accessLogs } from './corpus.ts'
import { encodeResponse } from './encode-response.ts'
import { makeOurs } from './ours.ts'
import { decodeWhole, LogGroup } from './rivals.ts'
import { median } from './statistics.ts'
import { figure, printText } from './table.ts'

const LOG_COUNT = 10_000
const LOGS_PER_GROUP = 1000
const RUN_COUNT = 30
const WARM_UP_COUNT = 10
const BYTES_MAX = 2 ** 26
const MESSAGE_HEADER_BYTES = 96

interface Case {
  readonly stage: string
  readonly contender: string
  readonly work: () => unknown
}

interface Row extends Omit<Case, 'work'> {
  readonly cpuMs: number
  readonly wallMs: number
}

const { text, messages } = encodeResponse(accessLogs(LOG_COUNT), LOGS_PER_GROUP)
const base64 = messages.map(message => message.toString('base64'))
const bodies = { snappy: compress(text, 'snappy'), lz4: compress(text, 'lz4') }

report(measure([...decompressing(), ...reading(), ...whole()]))

function decompressing(): Case[] {
  const memory = new KernelMemory()
  const kernel = (compression: keyof typeof bodies) => () =>
    decompressInto(memory, bodies[compression], compression, BYTES_MAX)
  return [
    { stage: 'snappy', contender: 'npm snappy', work: () => snappy.uncompressSync(bodies.snappy) },
    { stage: 'snappy', contender: 'kernel', work: kernel('snappy') },
    { stage: 'lz4', contender: 'lz4-napi', work: uncompressLz4 },
    { stage: 'lz4', contender: 'kernel', work: kernel('lz4') }
  ]
}

function reading(): Case[] {
  const memory = new KernelMemory()
  const plain = decompressInto(memory, bodies.snappy, 'snappy', BYTES_MAX)
  const scanned = scan(memory, plain)
  const texts = messages.map((_, index) => messageText(memory, scanned, index))
  // Behind the texts, so that they can be decoded again and again: in use they are decoded in their own place.
  const outputs = place(align(scanned.table.end), texts)
  const table = align(outputs.at(-1)?.end ?? 0)
  memory.reserve(table)
  const decode = () => decodeTexts(memory, texts, outputs)
  decode()
  const payloads = messages.map(({ length }, index) => {
    const start = outputs[index]?.start ?? 0
    return { start: start + MESSAGE_HEADER_BYTES, end: start + length }
  })
  return [
    { stage: 'JSON scan', contender: 'JSON.parse', work: () => JSON.parse(text.toString('latin1')) },
    { stage: 'JSON scan', contender: 'kernel', work: () => scan(memory, plain) },
    { stage: 'base64', contender: 'Buffer.from', work: () => base64.map(each => Buffer.from(each, 'base64')) },
    { stage: 'base64', contender: 'latin1, write base64', work: () => decodeThroughStrings(memory, texts, outputs) },
    { stage: 'base64', contender: 'kernel', work: decode },
    { stage: 'protobuf', contender: 'protobufjs', work: decodeAll },
    { stage: 'protobuf', contender: 'kernel: index', work: () => indexAll(memory, payloads, table) }
  ]
}

function whole(): Case[] {
  const ours = makeOurs('ours-index', { name: 'access-4mb', bytes: bodies.snappy })
  return [
    { stage: 'whole', contender: 'rival: all of the above', work: () => decodeWhole(bodies.snappy) },
    { stage: 'whole', contender: 'kernel: body to index', work: ours.once }
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

function decodeTexts({ kernel }: KernelMemory, texts: readonly Span[], outputs: readonly Span[]): void {
  for (const [index, { start, end }] of texts.entries()) {
    if (kernel.decodeBase64(start, end, outputs[index]?.start ?? 0) < 0) throw new Error('the text is not base64')
  }
}

function decodeThroughStrings({ bytes }: KernelMemory, texts: readonly Span[], outputs: readonly Span[]): void {
  for (const [index, { start, end }] of texts.entries()) {
    bytes.write(bytes.toString('latin1', start, end), outputs[index]?.start ?? 0, 'base64')
  }
}

function decodeAll(): void {
  for (const message of messages) LogGroup.decode(message.subarray(MESSAGE_HEADER_BYTES))
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

/** In turns, so that all meet the same moods of the machine. */
function measure(all: readonly Case[]): Row[] {
  const samples = all.map((): { cpuMs: number[]; wallMs: number[] } => ({ cpuMs: [], wallMs: [] }))
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

function report(rows: readonly Row[]): void {
  const context = {
    ...readContext('npm run bench -- kernel-stages'),
    logCount: LOG_COUNT,
    jsonBytes: text.length,
    protobufBytes: messages.reduce((sum, { length }) => sum + length, 0),
    snappyBytes: bodies.snappy.length,
    runCount: RUN_COUNT
  }
  const table = {
    textColumns: 2,
    columns: ['stage', 'contender', 'CPU ms', 'wall ms'],
    rows: rows.map(({ stage, contender, cpuMs, wallMs }) => [stage, contender, figure(cpuMs), figure(wallMs)])
  }
  process.stdout.write(`${JSON.stringify(context)}\n${printText(table)}`)
  const file = process.argv[process.argv.indexOf('--json') + 1]
  if (process.argv.includes('--json') && file !== undefined) {
    writeFileSync(file, `${JSON.stringify({ ...context, rows }, null, 2)}\n`)
  }
}
