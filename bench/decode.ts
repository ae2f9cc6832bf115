/**
 * What it costs to decode a response, ours against the obvious pipeline, over all that responses are like in practice.
 *
 * In: `--json FILE`, and for trials `--runs N`, `--warm-up N`, `--run-ms MS`, `--responses N`, `--payload NAME` (again for more). Out: a
 * table, and JSON. Must never happen: a figure of a contender whose answer is wrong. All contenders of a payload sit in
 * threads of this process and take turns; only what is told of a whole process (its memory, its collections) has
 * processes of its own. Runs by hand: `npm run bench -- decode`, on a machine that does nothing else.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { YOUNG_GENERATION_MB } from '../src/dispatch/pool.ts'
import { readContext } from './context.ts'
import { makePayload, type Question } from './corpus.ts'
import { measureClosedCheck } from './decode/closed-check.ts'
import { CONTENDER_IDS, isOurs, PACES, type Pace } from './decode/contenders.ts'
import { measureFreshSnappy } from './decode/fresh-snappy.ts'
import { measureHeap } from './decode/heap.ts'
import { printReport } from './decode/report.ts'
import type { Case, DecodeResult } from './decode/result.ts'
import { takeSeat } from './decode/seat.ts'
import { demandedRatiosOf, ratiosOf, targetsOf } from './decode/targets.ts'
import { measureInTurns, type Plan } from './decode/turns.ts'
import { measureYoungGenerations } from './decode/young-generation.ts'
import { isPayloadName, PAYLOAD_NAMES, PAYLOADS, type PayloadName } from './payloads.ts'

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: 'string' },
    runs: { type: 'string', default: '30' },
    'warm-up': { type: 'string', default: '3' },
    'run-ms': { type: 'string', default: '100' },
    responses: { type: 'string', default: '8' },
    payload: { type: 'string', multiple: true, default: [...PAYLOAD_NAMES] }
  }
})
const result = await bench(values.payload.map(toPayloadName), {
  runCount: toCount('runs', values.runs),
  warmUpCount: toCount('warm-up', values['warm-up']),
  runMs: toCount('run-ms', values['run-ms']),
  responsesMin: toCount('responses', values.responses)
})
process.stdout.write(printReport(result, 'text'))
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, undefined, 2)}\n`)

async function bench(names: readonly PayloadName[], plan: Plan): Promise<DecodeResult> {
  // Before anything here loads the machine.
  const context = readContext(['npm run bench -- decode', ...process.argv.slice(3)].join(' '))
  const payloads = names.flatMap(name => makePayload(name) ?? [])
  const [main] = payloads
  if (main === undefined) throw new Error(`this machine lacks what ${names.join(', ')} is made from`)
  const cases: Case[] = []
  for (const payload of payloads) {
    for (const pace of PACES) cases.push(...(await measurePayload(payload, pace, plan)))
  }
  tell('heap')
  const toIndex = measureHeap(main.name, 'ours-index')
  const toAnswer = measureHeap(main.name, 'ours-equals')
  tell('snappy')
  const freshSnappy = measureFreshSnappy(main.name, plan.runCount)
  tell('the check that a batch is open')
  const closedCheck = await measureClosedCheck(main, YOUNG_GENERATION_MB, plan)
  tell('young generation')
  const youngGeneration = await measureYoungGenerations(main, plan)
  const apart = {
    heapBytes: toIndex.bytesPerResponse,
    closedCheckMs: closedCheck.checkedCpuMs - closedCheck.uncheckedCpuMs,
    freshSnappy
  }
  return {
    ratios: demandedRatiosOf(cases, main.name, freshSnappy),
    heapBytesPerResponse: toIndex.bytesPerResponse,
    ratiosWithTurns: ratiosOf(cases, main.name, 'with turns'),
    ratiosOf: main.name,
    targets: targetsOf(cases, main.name, apart),
    context: { ...context, ...plan },
    payloads: payloads.map(({ name, size }) => ({ name, ...PAYLOADS[name], ...size })),
    skipped: names.filter(name => payloads.every(payload => payload.name !== name)),
    cases,
    heap: [toIndex, toAnswer],
    freshSnappy,
    youngGeneration,
    closedCheck
  }
}

/** All contenders, each in a thread of its own: ours with the limits of the consumer's threads, rivals with Node's. */
async function measurePayload(question: Question, pace: Pace, plan: Plan): Promise<Case[]> {
  const { name: payload } = question
  tell(`${payload}: ${PAYLOADS[payload].what}, ${pace}`)
  const contenders = CONTENDER_IDS.map(contender => {
    return { contender, question, pace, youngGenerationMb: isOurs(contender) ? YOUNG_GENERATION_MB : undefined }
  })
  const measured = await measureInTurns(contenders, takeSeat, plan)
  return measured.map(figures => ({ payload, ...figures }))
}

function toPayloadName(name: string): PayloadName {
  if (isPayloadName(name)) return name
  throw new Error(`no payload has the name ${name}: it is one of ${PAYLOAD_NAMES.join(', ')}`)
}

function toCount(flag: string, text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Error(`--${flag} takes a count, not ${text}`)
}

/** What goes on, where nobody reads results. */
function tell(what: string): void {
  process.stderr.write(`${what}\n`)
}
