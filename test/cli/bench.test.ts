/** `cls-consumer bench`, as a command and its plan alone. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { BenchResult } from '../../bench/end-to-end/bench.ts'
import { CASE_NAMES } from '../../bench/end-to-end/cases.ts'
import { benchFlags, benchPlan } from '../../src/cli/bench-plan.ts'
import { startCli } from './command.ts'

const BOUNDED = { timeout: 90_000 }

let folder = ''
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'cls-consumer-bench-'))
})
after(() => rmSync(folder, { recursive: true }))

function planOf(args: Record<string, unknown>) {
  return benchPlan(args, { cwd: folder })
}

test('a processor of the user’s own is measured on the user’s own logs, with its options', BOUNDED, async t => {
  writeFileSync(
    join(folder, 'own.mjs'),
    `export default class {
      constructor (options) { this.wanted = options.wanted }
      process (batch, { options }) {
        for (const log of batch) {
          if (log.get('colour') !== this.wanted || options.wanted !== this.wanted) throw new Error('not my logs')
        }
      }
    }`
  )
  const lines = Array.from({ length: 20 }, (_, index) => JSON.stringify({ colour: 'red', index: String(index) }))
  writeFileSync(join(folder, 'own.ndjson'), `${lines.join('\n')}\n`)
  const flags = ['--processor', './own.mjs', '--processor-options', '{"wanted":"red"}', '--file', 'own.ndjson']
  const small = ['--response-kb', '50', '--partitions', '3', '--threads', '1', '--rate', '200']
  const cli = startCli(['bench', '--quick', ...flags, ...small, '--json', 'result.json'], {
    signal: t.signal,
    cwd: folder
  })
  const { code } = await cli.ended
  assert.equal(code, 0, cli.err())
  assert.match(cli.out(), /^module, 3 partitions, 1 thread, responses of 0\.05 MB$/m)
  assert.match(cli.out(), /^due to committed: p50 /m)
  const result: BenchResult = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'))
  const [workload, latency] = result.scenes
  assert.deepEqual(
    workload?.runs.map(({ contender, logCount }) => [contender, logCount > 0]),
    [
      ['ours', true],
      ['whole', true],
      ['message', true]
    ]
  )
  assert.deepEqual(
    workload?.comparisons.map(({ rival, cpu, throughput }) => [rival, cpu > 0, throughput > 0]),
    [
      ['whole', true, true],
      ['message', true, true]
    ]
  )
  assert.deepEqual([latency?.runs.length, result.rows.length, result.ratios.filterCpu], [1, 0, null])
})

test('a processor that fails ends the bench with its own error, and no result', BOUNDED, async t => {
  writeFileSync(join(folder, 'broken.mjs'), `export default () => { throw new Error('no sink here') }`)
  const cli = startCli(['bench', '--quick', '--processor', './broken.mjs'], { signal: t.signal, cwd: folder })
  const { code } = await cli.ended
  assert.deepEqual([code, cli.out()], [1, ''])
  assert.match(cli.err(), /^PROCESSOR_FAILED: .*no sink here/m)
})

test('its help names every flag and every case', BOUNDED, async t => {
  const cli = startCli(['bench', '--help'], { signal: t.signal })
  assert.equal((await cli.ended).code, 0)
  const words = cli.out().replace(/\s+/g, ' ')
  for (const name of [...Object.keys(benchFlags).map(flag => `--${flag} `), ...CASE_NAMES])
    assert.ok(words.includes(name), name)
})

test('a signal ends it and everything it started, and there is no result', BOUNDED, async t => {
  const cli = startCli(['bench', '--seconds', '600', '--response-kb', '20'], { signal: t.signal, cwd: folder })
  await cli.seen(/cls-consumer, run 1 of 5/)
  cli.child.kill('SIGINT')
  const { code } = await cli.ended
  assert.deepEqual([code, cli.out()], [0, ''])
  assert.match(cli.err(), /interrupted before the end: there is no result/)
})

test('--case takes several names behind it, with commas or one flag each', BOUNDED, async t => {
  const forms = [
    ['--case', 'latencies', 'cpu'],
    ['--case', 'latencies,cpu'],
    ['--case', 'latencies', '--case', 'cpu']
  ]
  const told = forms.map(async form => {
    const cli = startCli(['bench', ...form], { signal: t.signal })
    assert.equal((await cli.ended).code, 2)
    return cli.err()
  })
  for (const error of await Promise.all(told)) {
    assert.match(error, /2 invalid options:\n.*there is no latencies;.*\n.*there is no cpu;/)
  }
})

test('a workload is made of its flags', () => {
  const { plan, jsonFile } = planOf({
    generate: 'wide',
    seed: '9',
    'response-kb': '100',
    fields: '5',
    'random-percent': '50',
    partitions: '4',
    'pull-latency-ms': '20',
    threads: '3',
    processor: 'filter',
    filter: 'level=a=b',
    rate: '0',
    runs: '2',
    seconds: '3',
    json: 'r.json'
  })
  assert.ok(plan.kind === 'workload')
  const { workload, timing, logsPerSecond } = plan
  const { from, responseBytes, fieldCount, randomShare } = workload.data
  assert.deepEqual([from, responseBytes, fieldCount, randomShare], [{ kind: 'wide', seed: 9 }, 100_000, 5, 0.5])
  assert.deepEqual([workload.partitionCount, workload.pullLatencyMs, workload.threads], [4, 20, 3])
  assert.deepEqual(workload.processor, { kind: 'filter', key: 'level', text: 'a=b' })
  assert.deepEqual([timing.runCount, timing.measureMs, logsPerSecond], [2, 3000, 0])
  assert.equal(jsonFile, join(folder, 'r.json'))
})

test("a file's logs stay as they are unless text by chance is asked for", () => {
  const shareOf = (args: Record<string, unknown>) => {
    const { plan } = planOf(args)
    return plan.kind === 'workload' ? plan.workload.data.randomShare : undefined
  }
  assert.deepEqual(
    [shareOf({ file: 'a.log' }), shareOf({ file: 'a.log', 'random-percent': '20' }), shareOf({})],
    [0, 0.2, 0.1]
  )
})

test('each case can be run alone, and all of them by one name', () => {
  const casesOf = (names: readonly string[]) => {
    const { plan } = planOf({ case: names })
    return plan.kind === 'table' ? plan.cases : undefined
  }
  for (const name of CASE_NAMES) assert.deepEqual(casesOf([name]), [name])
  assert.deepEqual(casesOf(['latency', 'filterCpu']), ['filterCpu', 'latency'])
  assert.deepEqual(casesOf(['all']), CASE_NAMES)
})

test('all that is wrong is told at once, before anything runs', () => {
  const args = {
    case: ['latency', 'latencies'],
    threads: '2',
    'busy-ms': '0',
    file: 'a.log',
    generate: 'app',
    json: 'no/such/folder/r.json'
  }
  assert.throws(
    () => planOf(args),
    error => {
      assert.ok(error instanceof Error)
      assert.match(error.message, /--case: there is no latencies; there are all, filterCpu,/)
      assert.match(error.message, /--case has workloads of its own: .*--file, --generate, --threads do not go with it/)
      assert.match(error.message, /--file and --generate contradict each other/)
      assert.match(error.message, /--busy-ms/)
      assert.match(error.message, /--json: nothing can be written to .*no\/such\/folder/)
      return true
    }
  )
  assert.throws(() => planOf({ processor: './nowhere.js' }), { code: 'PROCESSOR_NOT_FOUND' })
})
