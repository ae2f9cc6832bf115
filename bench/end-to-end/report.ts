/**
 * The end-to-end benchmark's result, for a terminal of 80 columns or as Markdown. Pure.
 *
 * In: a result, measured or stored. Out: what it must be read with, the table of cases, then each scene with everyone in
 * it. Says where the server, or the whole host, was what the runs had to wait for.
 */
import { median, spreadOf } from '../statistics.ts'
import { figure, printMarkdown, printText, type Table } from '../table.ts'
import type { BenchResult, ComparedScene } from './bench.ts'
import { type CaseRow, runsOf } from './cases.ts'
import type { CpuSplit, Run } from './figures.ts'
import type { Percentiles } from './latency.ts'
import { CONTENDERS, type Contender, type Workload } from './workload.ts'

export type Style = 'text' | 'markdown'

export function printResult({ context, rows, scenes, isQuick }: BenchResult, style: Style): string {
  const { machine, node, date, commit, command, loadBefore } = context
  const head = [
    command,
    `${machine}, Node ${node}`,
    `${date}, commit ${commit}, load before ${loadBefore.toFixed(2)}`,
    ...(isQuick ? ['QUICK: shows that everything works; the figures tell nothing'] : [])
  ]
  const parts = [
    `${head.join('\n')}\n`,
    ...(rows.length === 0 ? [] : printRows(rows, style)),
    ...scenes.flatMap(scene => printScene(scene, style))
  ]
  return parts.join('\n')
}

function print(table: Table, style: Style): string {
  return style === 'text' ? printText(table) : printMarkdown(table)
}

function printRows(rows: readonly CaseRow[], style: Style): string[] {
  const marks = {
    textColumns: 1,
    columns: ['case', 'value', 'at least', 'aim for', 'verdict'],
    rows: rows.map(({ case: name, value, unit, better, atLeast, aimFor, verdict }) => {
      const mark = (of: number) => `${better === 'more' ? '≥' : '≤'} ${shown(of, unit)}`
      return [name, shown(value, unit), mark(atLeast), aimFor === undefined ? '' : mark(aimFor), verdict]
    })
  }
  const meaning = { textColumns: 2, columns: ['case', 'what it is'], rows: rows.map(row => [row.case, row.what]) }
  return [print(marks, style), print(meaning, style)]
}

function shown(value: number, unit: CaseRow['unit']): string {
  if (!Number.isFinite(value)) return '–'
  if (unit === 'share') return `${figure(value * 100)} %`
  return unit === 'count' || unit === 'ratio' ? figure(value) : `${figure(value)} ${unit}`
}

function printScene(scene: ComparedScene, style: Style): string[] {
  const { name, workload, contenders, timing } = scene
  const head = [
    `${style === 'text' ? '──' : '###'} ${name}`,
    describe(workload),
    `medians of ${timing.runCount} × ${figure(timing.measureMs / 1000)} s, after ${figure(timing.warmUpMs / 1000)} s`
  ]
  const table = {
    textColumns: 1,
    columns: ['CPU-s/GB of JSON', 'all', '±', 'main', 'threads', 'GC', 'MB/s', 'JSON', 'klogs/s', 'RSS MB'],
    rows: contenders.map(contender => contenderRow(contender, runsOf(scene, contender)))
  }
  return [`${head.join('\n')}\n`, print(table, style), `${sentences(scene).join('\n')}\n`]
}

function describe({ partitionCount, threads, processor, pullLatencyMs, feed, data }: Workload): string {
  const fed = {
    repeat: `responses of ${figure(data.responseBytes / 1e6)} MB`,
    idle: 'nothing new',
    rate: feed.kind === 'rate' ? `${feed.logsPerSecond} logs/s` : ''
  }[feed.kind]
  const latency = pullLatencyMs === 0 ? [] : [`${pullLatencyMs} ms a pull`]
  return [processor.kind, plural(partitionCount, 'partition'), plural(threads, 'thread'), fed, ...latency].join(', ')
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function contenderRow(contender: Contender, runs: readonly Run[]): string[] {
  // Where no byte came it is NaN, which is stored as null.
  const all = spreadOf(runs.map(({ cpuPerGb }) => cpuPerGb.total ?? Number.NaN))
  const part = (name: keyof CpuSplit) => known(medianOf(runs, ({ cpuPerGb }) => cpuPerGb[name] ?? Number.NaN))
  return [
    CONTENDERS[contender],
    part('total'),
    known((all.most - all.least) / 2),
    part('main'),
    part('threads'),
    part('collections'),
    known(medianOf(runs, run => run.bodyMbPerSecond)),
    known(medianOf(runs, run => run.responseMbPerSecond)),
    known(medianOf(runs, run => run.logsPerSecond / 1000)),
    known(medianOf(runs, run => run.rssPeakBytes / 1e6))
  ]
}

/** Of runs without a byte nothing can be said per byte. */
function known(value: number): string {
  return Number.isFinite(value) ? figure(value) : '–'
}

function medianOf(runs: readonly Run[], value: (run: Run) => number): number {
  return median(runs.map(value))
}

function sentences(scene: ComparedScene): string[] {
  const ours = runsOf(scene, 'ours')
  const compared = scene.comparisons.map(
    ({ rival, cpu, throughput }) =>
      `${CONTENDERS[rival]}: ${known(cpu)} × our CPU per GB; ours: ${known(throughput)} × its MB/s`
  )
  const [oursCores, serverCores] = [medianOf(ours, run => run.consumerCores), medianOf(ours, run => run.serverCores)]
  const cores = `cores: ours ${known(oursCores)}, server meanwhile ${known(serverCores)}`
  return [...compared, ...latencyLines(ours), cores, ...mainThreadLine(scene, ours), ...limitLines(scene.runs)]
}

/** However many threads there are: past that, only another process in the group takes more. */
function mainThreadLine({ workload }: ComparedScene, runs: readonly Run[]): string[] {
  const secondsPerGb = medianOf(runs, ({ cpuPerGb }) => cpuPerGb.main ?? Number.NaN)
  if (workload.feed.kind !== 'repeat' || !(secondsPerGb > 0)) return []
  return [`our main thread would be full at about ${figure(1000 / secondsPerGb)} MB/s of JSON`]
}

function latencyLines(runs: readonly Run[]): string[] {
  const summaries = runs.flatMap(({ latency }) => latency ?? [])
  if (summaries.length === 0) return []
  const line = (what: string, of: readonly Percentiles[]) => {
    const at = (name: keyof Percentiles) => figure(median(of.map(each => each[name])))
    return `due to ${what}: p50 ${at('p50Ms')}, p99 ${at('p99Ms')}, p99.9 ${at('p999Ms')}, max ${at('maxMs')} ms`
  }
  const [processed, committed] = [summaries.map(each => each.processed), summaries.map(each => each.committed)]
  return [line('processed', processed), line('committed', committed)]
}

function limitLines(runs: readonly Run[]): string[] {
  const count = (limit: Run['limit']) => runs.filter(run => run.limit === limit).length
  const [server, host] = [count('server'), count('host')]
  return [
    ...(server === 0 ? [] : [`THE SERVER WAS THE LIMIT in ${server} of ${runs.length} runs: they could be faster`]),
    ...(host === 0 ? [] : [`all cores were busy in ${host} of ${runs.length} runs, the server's work included`])
  ]
}
