/**
 * A result as text: for a terminal with every case, for documents in short.
 *
 * In: a result, as measured or as stored. Out: text. Pure: a stored result gives the same text on every machine.
 */
import { figure, percent, printMarkdown, printText, type Table } from '../table.ts'
import { CONTENDERS, type ContenderId, PACES, type Pace } from './contenders.ts'
import type { Case, DecodeResult } from './result.ts'
import { caseOf, type Demand, type Target } from './targets.ts'

interface Section {
  readonly title: string
  readonly table: Table
}

/** Of fewer runs a median says little. */
const RUNS_LEAST = 30

export function printReport(result: DecodeResult, style: 'text' | 'markdown'): string {
  const print = style === 'text' ? printText : printMarkdown
  const sections = style === 'text' ? [...detail(result), ...summary(result)] : summary(result)
  return [...contextLines(result), ...sections.map(({ title, table }) => `${title}\n\n${print(table)}`)].join('\n')
}

function contextLines(result: DecodeResult): string[] {
  const { context, skipped, ratiosOf, closedCheck, cases, freshSnappy } = result
  const { machine, node, date, commit, command, runCount, warmUpCount, runMs, responsesMin, loadBefore } = context
  const of = (id: ContenderId) => caseOf(cases, ratiosOf, id, 'back to back')
  const youngGeneration = (id: ContenderId) => `${of(id).youngGenerationMb ?? 'unknown'} MB`
  const alone = of('npm-snappy-alone').cpuMs.median / of('kernel-snappy-alone').cpuMs.median
  const lines = [
    `${machine}, Node ${node}, ${date.slice(0, 10)}, commit ${commit}, load before ${figure(loadBefore)}: \`${command}\`.`,
    `Medians of ${runCount} runs of about ${runMs} ms, but at least ${responsesMin} responses, after ${warmUpCount} to warm up; all in turns, each in a thread of its own.`,
    'Back to back: one response after the other. With turns: a turn of the event loop after each, as between two pulls. The rivals gain much by turns: in them the buffers of npm snappy are given back, and the engine collects when the objects of a response are dead.',
    'CPU time is that of the whole process, garbage collection and its helper threads included. GC: the pauses that perf_hooks tells, as a share of the time that the runs took.',
    'Heap: what process.memoryUsage().heapUsed grows by between two forced collections, with no line of --trace-gc between theirs.',
    `Young generation: ours ${youngGeneration('ours-equals')}, as the consumer's threads have; the others ${youngGeneration('rival-filter')}, as Node gives it.`,
    `Snappy: npm's makes a buffer for each body. Where every one of them is of fresh pages, as in a loop that never comes back to the event loop, a body takes ${figure(freshSnappy.npmMs.median)} ms, ours ${figure(freshSnappy.kernelMs.median)}: that is what is demanded. Where its allocator has pages left from the buffer before, the ratio is ${figure(alone)}; on the way from body to answer it is that of the cases.`,
    `The demands are of the payload \`${ratiosOf}\`, back to back. The check that a batch is open is ${percent(closedCheck.share)} of the bare loop over an index that is there; two such loops that are the same differ by ${percent(closedCheck.noiseShare)}.`
  ]
  if (runCount < RUNS_LEAST) lines.push(`ONLY ${runCount} RUNS: no figures to be told further.`)
  if (skipped.length > 0)
    lines.push(`Skipped, since this machine lacks what they are made from: ${skipped.join(', ')}.`)
  return lines.map(line => `${line}\n`)
}

function detail(result: DecodeResult): Section[] {
  return [
    { title: 'Payloads', table: payloadTable(result) },
    { title: 'Cases, ms per response: median (least – most)', table: caseTable(result) },
    { title: 'JavaScript heap per response, warm, no collection in between', table: heapTable(result) }
  ]
}

function summary(result: DecodeResult): Section[] {
  return [
    ...PACES.map(pace => ({ title: `CPU ms per response, ${pace}`, table: summaryTable(result, pace) })),
    { title: 'Young generation of a thread that makes an object of every log', table: youngTable(result) },
    { title: 'What is demanded', table: targetTable(result) }
  ]
}

function payloadTable({ payloads }: DecodeResult): Table {
  return {
    textColumns: 2,
    columns: ['payload', 'name', 'logs', 'messages', 'not ASCII', 'JSON KB', 'protobuf KB', 'snappy KB'],
    rows: payloads.map(
      ({ what, name, logCount, messageCount, nonAsciiLogCount, jsonBytes, protobufBytes, snappyBytes }) => [
        what,
        name,
        ...[logCount, messageCount, nonAsciiLogCount].map(String),
        ...[jsonBytes, protobufBytes, snappyBytes].map(bytes => figure(bytes / 1000))
      ]
    )
  }
}

function caseTable({ cases }: DecodeResult): Table {
  return {
    textColumns: 4,
    columns: ['payload', 'pace', 'workload', 'contender', 'CPU', '', 'wall', '', 'GC', 'per run'],
    rows: cases.map(each => {
      const { workload, what } = CONTENDERS[each.contender]
      const { cpuMs, wallMs, gcShare, responsesPerRun } = each
      const spread = ({ least, most }: Case['cpuMs']) => `(${figure(least)} – ${figure(most)})`
      const times = [cpuMs, wallMs].flatMap(time => [figure(time.median), spread(time)])
      return [each.payload, each.pace, workload, what, ...times, percent(gcShare), String(responsesPerRun)]
    })
  }
}

function heapTable({ heap }: DecodeResult): Table {
  return {
    textColumns: 1,
    columns: ['', 'bytes', 'collections'],
    rows: heap.map(({ contender, bytesPerResponse, collections }) => [
      CONTENDERS[contender].what,
      String(bytesPerResponse),
      String(collections)
    ])
  }
}

function summaryTable({ payloads, cases }: DecodeResult, pace: Pace): Table {
  return {
    textColumns: 1,
    columns: [
      'payload',
      'JSON MB',
      ...['filter: obvious', 'by message', 'ours', 'ratio'],
      ...['objects: obvious', 'by message', 'ours', 'ratio']
    ],
    rows: payloads.map(({ name, what, jsonBytes }) => {
      const cpuMs = (id: ContenderId) => caseOf(cases, name, id, pace).cpuMs.median
      const compared = (rival: ContenderId, byMessage: ContenderId, ours: ContenderId) => [
        ...[rival, byMessage, ours].map(id => figure(cpuMs(id))),
        figure(cpuMs(rival) / cpuMs(ours))
      ]
      return [
        what,
        figure(jsonBytes / 1e6),
        ...compared('rival-filter', 'rival-filter-by-message', 'ours-equals'),
        ...compared('rival-objects', 'rival-objects-by-message', 'ours-objects')
      ]
    })
  }
}

function youngTable({ youngGeneration }: DecodeResult): Table {
  return {
    textColumns: 0,
    columns: ['MB', 'CPU ms per response', 'GC', 'RSS of the process, MB'],
    rows: youngGeneration.map(({ youngGenerationMb, cpuMs, gcShare, rssMb }) => [
      String(youngGenerationMb ?? 'unknown'),
      figure(cpuMs.median),
      percent(gcShare),
      String(rssMb)
    ])
  }
}

function targetTable({ targets }: DecodeResult): Table {
  return {
    textColumns: 1,
    columns: ['measure', 'value', 'at least', 'aim for', '', 'with turns'],
    rows: targets.map(target => {
      const { measure, value, withTurns, where, atLeast, aimFor, verdict } = target
      const what = where === undefined ? measure : `${measure} (${where})`
      return [
        what,
        amount(target, value),
        mark(target, atLeast),
        aimFor === undefined ? '' : mark(target, aimFor),
        verdict,
        withTurns === undefined ? '' : amount(target, withTurns)
      ]
    })
  }
}

function mark(demand: Demand, value: number): string {
  return demand.better === 'less' ? `< ${amount(demand, value)}` : amount(demand, value)
}

function amount({ unit }: Pick<Target, 'unit'>, value: number): string {
  switch (unit) {
    case 'ratio':
      return figure(value)
    case 'share':
      return percent(value)
    case 'bytes':
      return `${figure(value / 1024)} KiB`
  }
}
