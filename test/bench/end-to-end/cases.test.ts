import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CASE_NAMES, type CaseName, judge, rowOf, scenesOf } from '../../../bench/end-to-end/cases.ts'
import type { Run } from '../../../bench/end-to-end/figures.ts'
import { run, scene } from './made-up.ts'

test('a value reaches its marks from its own side, and at the mark', () => {
  const demand = { what: '', unit: 'ratio', atLeast: 9, aimFor: 12 } as const
  const more = { ...demand, better: 'more' } as const
  assert.deepEqual(
    [8.9, 9, 11.9, 12].map(value => judge(more, value).verdict),
    ['missed', 'reached', 'reached', 'aim reached']
  )
  const less = { ...demand, better: 'less', atLeast: 2.5, aimFor: 1.5 } as const
  assert.deepEqual(
    [2.6, 2.5, 1.5].map(value => judge(less, value).verdict),
    ['missed', 'reached', 'aim reached']
  )
  assert.equal(judge(less, Number.NaN).verdict, 'missed', 'what could not be measured was not reached')
})

test('ratios are of medians, the rival of whole responses over ours', () => {
  const cpu = (contender: Run['contender'], total: number) =>
    run({ contender, cpuPerGb: { total, main: undefined, threads: undefined, collections: undefined } })
  const ours = [1, 2, 100].map(total => cpu('ours', total))
  const others = [cpu('whole', 20), cpu('whole', 22), cpu('whole', 1), cpu('message', 7)]
  assert.equal(rowOf('filterCpu', [scene('filter', [...ours, ...others])]).value, 10)
  assert.equal(rowOf('objectsCpu', [scene('objects', [...ours, ...others])]).value, 10)
})

test('throughput is ours over the rival of whole responses', () => {
  const at = (contender: Run['contender'], responseMbPerSecond: number) => run({ contender, responseMbPerSecond })
  assert.equal(rowOf('throughput', [scene('filter', [at('ours', 600), at('whole', 50), at('message', 90)])]).value, 12)
})

test('what is spent beyond decoding is told per response of 1.26 MB, however large those measured were', () => {
  // 10 MB in 2 s on half a core: 100 ms per MB. Decoding alone: 98 ms per MB.
  const runs = [run({ consumerCores: 0.5, seconds: 2, bodyBytes: 10e6 })]
  const decoded = [{ cpuMs: 490, responseCount: 5, hitCount: 1, bodyBytes: 5e6 }]
  const { value } = rowOf('overDecodeMs', [scene('filter', runs, { decoded })])
  assert.ok(Math.abs(value - 2 * 1.26) < 1e-9)
})

test('cores for a topic are those for 250 MB/s, compressed', () => {
  const runs = [run({ consumerCores: 0.8, bodyMbPerSecond: 200 })]
  assert.equal(rowOf('coresPerTopic', [scene('filter', runs)]).value, 1)
})

test('the bound of a chain of 50 ms is 20 responses a second', () => {
  const runs = [run({ batchesPerSecond: 19 })]
  assert.ok(Math.abs(rowOf('pullChain', [scene('chain', runs)]).value - 0.95) < 1e-9)
})

test('neighbours of a slow processor may be delayed by no more than they differ without it', () => {
  const pulls = (...pullsPerSecond: number[]) => run({ pullsPerSecond })
  const even = scene('even', [pulls(20, 20, 20), pulls(20, 19, 19)])
  // What partition 0 does is its own matter.
  const fine = rowOf('neighbours', [even, scene('one slow', [pulls(2, 19.5, 19.5)])])
  assert.equal(fine.verdict, 'aim reached')
  assert.ok(Math.abs(fine.atLeast - (1000 / 19 - 50)) < 1e-9)
  assert.equal(rowOf('neighbours', [even, scene('one slow', [pulls(2, 15, 15)])]).verdict, 'missed')
})

test('one late heartbeat in any run is one too many', () => {
  const runs = [run(), run({ lateHeartbeatCount: 1, heartbeatCount: 8 }), run()]
  const row = rowOf('heartbeats', [scene('load', runs)])
  assert.deepEqual([row.value, row.verdict], [1, 'missed'])
})

test('every case has a value from its scenes alone, and no scene is measured twice', () => {
  const runs = [run({ pullsPerSecond: [1, 1] }), run({ contender: 'whole' })]
  for (const name of CASE_NAMES) {
    const scenes = scenesOf([name]).map(each =>
      scene(each, runs, { decoded: [{ cpuMs: 1, responseCount: 1, hitCount: 0, bodyBytes: 1 }] })
    )
    assert.equal(typeof rowOf(name, scenes).value, 'number', name)
    assert.throws(() => rowOf(name, []), /was not measured/)
  }
  const shared: CaseName[] = ['filterCpu', 'coresPerTopic', 'throughput', 'overDecodeMs']
  assert.deepEqual(scenesOf(shared), ['filter'])
})
