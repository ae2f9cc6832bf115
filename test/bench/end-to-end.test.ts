import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { BenchResult } from '../../bench/end-to-end/bench.ts'

const RUN = resolve(import.meta.dirname, '../../bench/run.js')

function bench(...words: readonly string[]) {
  return spawnSync(process.execPath, [RUN, ...words], { encoding: 'utf8', timeout: 100_000 })
}

describe('npm run bench -- end-to-end', { timeout: 120_000 }, () => {
  let folder: string
  let file: string
  let told: ReturnType<typeof bench>
  let result: BenchResult
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'end-to-end-'))
    file = join(folder, 'result.json')
    const cases = ['filterCpu', 'overDecodeMs', 'coresPerTopic', 'throughput', 'mainThread', 'latency']
    told = bench('end-to-end', '--quick', '--case', cases.join(','), '--json', file)
    assert.equal(told.status, 0, told.stderr)
    result = JSON.parse(readFileSync(file, 'utf8'))
  })
  after(() => rmSync(folder, { recursive: true }))

  test('has at its top what is compared from release to release; null is what was not measured', () => {
    assert.deepEqual(Object.keys(result).slice(0, 3), ['ratios', 'overDecodeMs', 'coresPerTopic'])
    assert.deepEqual(Object.keys(result.ratios), ['filterCpu', 'objectsCpu', 'throughput'])
    const { ratios, overDecodeMs, coresPerTopic } = result
    for (const value of [ratios.filterCpu, ratios.throughput, coresPerTopic]) assert.ok(value !== null && value > 0)
    assert.ok(Number.isFinite(overDecodeMs))
    assert.equal(ratios.objectsCpu, null)
  })

  test('has a row for each case, in the order of the table, and is printed with its verdict', () => {
    assert.deepEqual(
      result.rows.map(row => row.case),
      ['filterCpu', 'overDecodeMs', 'coresPerTopic', 'throughput', 'mainThread', 'latency']
    )
    for (const { case: name, value, verdict } of result.rows) {
      assert.ok(Number.isFinite(value), name)
      assert.match(told.stdout, new RegExp(`^${name} .* ${verdict}$`, 'm'))
    }
    assert.match(told.stdout, /^QUICK/m)
    for (const line of told.stdout.split('\n').slice(1)) assert.ok(line.length <= 80, line)
  })

  test('every run has costs that add up, and the server tells its own', () => {
    assert.deepEqual(
      result.scenes.map(({ name }) => name),
      ['filter', 'load', 'trickle']
    )
    const runs = result.scenes.flatMap(scene => scene.runs)
    assert.deepEqual(
      runs.map(({ contender }) => contender),
      ['ours', 'whole', 'message', 'ours', 'ours']
    )
    for (const { cpuPerGb, serverCores, logCount, rssPeakBytes, bodyBytes, responseBytes } of runs) {
      const { total, main, threads, collections } = cpuPerGb
      assert.ok(total > 0 && logCount > 0 && bodyBytes < responseBytes && rssPeakBytes > 2e7)
      assert.ok(serverCores > 0 && serverCores < 2)
      if (main === undefined || threads === undefined || collections === undefined) continue
      assert.ok(Math.abs(main + threads + collections - total) <= total * 1e-6)
    }
    const [ours] = runs
    if (ours?.cpuPerGb.threads !== undefined) assert.ok(ours.cpuPerGb.threads > 0, 'threads do the decoding')
  })

  test('latency is told of every log that was due, to the processor and to the commit', () => {
    const latency = result.scenes.at(-1)?.runs[0]?.latency ?? assert.fail('no latency')
    const { processed, committed } = latency
    assert.ok(processed.count >= 900, String(processed.count))
    assert.equal(committed.count, processed.count)
    for (const { p50Ms, p99Ms, p999Ms, maxMs } of [processed, committed])
      assert.ok(0 < p50Ms && p50Ms <= p99Ms && p99Ms <= p999Ms && p999Ms <= maxMs)
    assert.ok(committed.p50Ms > processed.p50Ms)
  })

  test('a stored result becomes Markdown', () => {
    const { status, stdout } = bench('report', file)
    assert.equal(status, 0)
    for (const { case: name } of result.rows) assert.ok(stdout.includes(`| ${name} |`), name)
    assert.ok(stdout.includes(result.context.date))
  })
})
