import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BenchResult, comparisonsOf } from '../../../bench/end-to-end/bench.ts'
import { rowOf } from '../../../bench/end-to-end/cases.ts'
import type { Run } from '../../../bench/end-to-end/figures.ts'
import { printResult } from '../../../bench/end-to-end/report.ts'
import { CONTENDER_NAMES, type Contender } from '../../../bench/end-to-end/workload.ts'
import { run, scene } from './made-up.ts'

const WIDE_CPU = { total: 12.34, main: 1.234, threads: 12.34, collections: 1.234 }

function resultOf(change: Partial<Run> = {}, isQuick = false): BenchResult {
  const of = (contender: Contender) =>
    run({
      contender,
      cpuPerGb: WIDE_CPU,
      bodyMbPerSecond: 1234,
      responseMbPerSecond: 5678,
      logsPerSecond: 12_345_000,
      rssPeakBytes: 1.234e9,
      ...change
    })
  const filter = { ...scene('filter', CONTENDER_NAMES.map(of)), contenders: CONTENDER_NAMES }
  return {
    ratios: { filterCpu: 1, objectsCpu: null, throughput: null },
    overDecodeMs: null,
    coresPerTopic: null,
    isQuick,
    context: { machine: 'M', node: 'v20', date: 'D', commit: 'C', command: 'cls-consumer bench', loadBefore: 0 },
    rows: [rowOf('filterCpu', [filter])],
    scenes: [{ ...filter, comparisons: comparisonsOf(filter) }]
  }
}

test('it fits a terminal of 80 columns, with every contender in it', () => {
  const text = printResult(resultOf(), 'text')
  for (const line of text.split('\n')) assert.ok(line.length <= 80, `${line.length}: ${line}`)
  for (const name of ['cls-consumer', 'whole response', 'by message'])
    assert.match(text, new RegExp(`^${name} +12.3 `, 'm'))
  assert.match(text, /^filterCpu +1 +≥ 9 +≥ 12 +missed$/m)
  assert.match(text, /^by message: 1 × our CPU per GB/m)
})

test('it says where the server was the limit, and only there', () => {
  assert.match(printResult(resultOf({ limit: 'server' }), 'text'), /^THE SERVER WAS THE LIMIT in 3 of 3 runs/m)
  assert.match(printResult(resultOf({ limit: 'host' }), 'text'), /^all cores were busy in 3 of 3 runs/m)
  assert.doesNotMatch(printResult(resultOf(), 'text'), /LIMIT|all cores/)
})

test('it says how much the main thread could take, where its time is known', () => {
  // 1.234 s for each 1,000 MB.
  assert.match(printResult(resultOf(), 'text'), /^our main thread would be full at about 810 MB\/s of JSON$/m)
  const unknown = { ...WIDE_CPU, main: undefined }
  assert.doesNotMatch(printResult(resultOf({ cpuPerGb: unknown }), 'text'), /main thread/)
})

test('a quick run says that its figures tell nothing', () => {
  assert.match(printResult(resultOf({}, true), 'text'), /^QUICK: .*tell nothing$/m)
  assert.doesNotMatch(printResult(resultOf(), 'text'), /QUICK/)
})

test('latency shows with its four percentiles, to the processor and to the commit', () => {
  const percentiles = { count: 9, p50Ms: 1, p99Ms: 2, p999Ms: 3, maxMs: 4 }
  const latency = { processed: percentiles, committed: { ...percentiles, maxMs: 400 } }
  const text = printResult(resultOf({ latency }), 'text')
  assert.match(text, /^due to processed: p50 1, p99 2, p99.9 3, max 4 ms$/m)
  assert.match(text, /^due to committed: p50 1, p99 2, p99.9 3, max 400 ms$/m)
})

test('a stored result, where what is not a number is null, becomes Markdown', () => {
  const nowhere = { total: Number.NaN, main: undefined, threads: undefined, collections: undefined }
  const stored: BenchResult = JSON.parse(JSON.stringify(resultOf({ cpuPerGb: nowhere })))
  const text = printResult(stored, 'markdown')
  assert.match(text, /^\| filterCpu \| – \| ≥ 9 \| ≥ 12 \| missed \|$/m)
  assert.match(text, /^\| by message \| – \| – \| – \|/m)
})
