import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEMANDS, demandedRatiosOf, judge, ratiosOf, slowestOf, targetsOf } from '../../../bench/decode/targets.ts'
import { casesOf } from './cases.ts'

const spread = (median: number) => ({ median, least: median / 2, most: median * 2 })
const cpu = (cpuMs: number) => ({ cpuMs, wallMs: 1000 })

test('ratios are of CPU time: the whole-response rival ÷ ours, on the payload and at the pace that are asked for', () => {
  const times = {
    'rival-filter': cpu(60),
    'rival-filter-by-message': cpu(7),
    'ours-equals': cpu(4),
    'ours-get': cpu(5),
    'rival-objects': cpu(66),
    'ours-objects': cpu(6),
    'npm-snappy': cpu(9),
    'kernel-snappy': cpu(2),
    'npm-snappy-alone': cpu(3)
  }
  const cases = [
    ...casesOf('tiny', { 'rival-filter': cpu(1) }),
    ...casesOf('access-4mb', times),
    ...casesOf('access-4mb', { ...times, 'rival-filter': cpu(40) }, 'with turns')
  ]
  assert.deepEqual(ratiosOf(cases, 'access-4mb', 'back to back'), { filter: 15, objects: 11, snappy: 4.5 })
  assert.deepEqual(ratiosOf(cases, 'access-4mb', 'with turns'), { filter: 10, objects: 11, snappy: 4.5 })
})

test('the ratio of snappy that is demanded is that of fresh buffers', () => {
  const cases = casesOf('tiny', { 'rival-filter': cpu(30), 'npm-snappy': cpu(99) })
  const ratios = demandedRatiosOf(cases, 'tiny', { npmMs: spread(12), kernelMs: spread(3) })
  assert.deepEqual(ratios, { filter: 3, objects: 1, snappy: 4 })
})

test('the slowest case is found among all payloads, both rivals, both paces, CPU and wall time', () => {
  const places = [
    [{ 'rival-objects-by-message': { cpuMs: 5, wallMs: 10 } }, 'back to back', 0.5, 'batch.toObjects, CPU'],
    [{ 'ours-get': { cpuMs: 10, wallMs: 40 } }, 'with turns', 0.25, 'log.get, wall'],
    [{ 'rival-filter': { cpuMs: 8, wallMs: 10 } }, 'with turns', 0.8, 'log.equals, CPU']
  ] as const
  for (const [times, pace, ratio, where] of places) {
    const others = [...casesOf('access-4mb'), ...casesOf('wide', {}, 'back to back'), ...casesOf('tiny')]
    const slowest = slowestOf([...others, ...casesOf('wide', times, pace)])
    assert.deepEqual(slowest, { ratio, where: `wide ${pace}, ours: ${where}` })
  }
})

test('a case is held against rivals at the same pace only', () => {
  const slow = {
    'ours-equals': cpu(20),
    'ours-get': cpu(20),
    'rival-filter': cpu(20),
    'rival-filter-by-message': cpu(20)
  }
  const cases = [...casesOf('wide', {}, 'with turns'), ...casesOf('wide', slow, 'back to back')]
  assert.equal(slowestOf(cases).ratio, 1)
})

test('npm snappy alone is no rival of a case: it does less', () => {
  const fast = { cpuMs: 1, wallMs: 1 }
  assert.equal(slowestOf(casesOf('wide', { 'npm-snappy': fast, 'npm-snappy-alone': fast })).ratio, 1)
})

test('a demand is reached at its mark, where more is better, and below it, where less is', () => {
  const verdicts = (demand: Parameters<typeof judge>[0], ...values: number[]) =>
    values.map(value => judge(demand, value).verdict)
  assert.deepEqual(verdicts(DEMANDS.filter, 12.9, 13, 17.9, 18), ['missed', 'reached', 'reached', 'aim reached'])
  assert.deepEqual(verdicts(DEMANDS.gcShare, 0.03, 0.029, 0.01, 0.009), ['missed', 'reached', 'reached', 'aim reached'])
  assert.deepEqual(verdicts(DEMANDS.slowest, 0.99, 1), ['missed', 'aim reached'])
  assert.equal(judge(DEMANDS.objects, Number.NaN).verdict, 'missed')
})

test('each demand is judged by its own value back to back, and told with turns beside it', () => {
  const times = {
    'rival-filter': { cpuMs: 30, wallMs: 30 },
    'ours-equals': { cpuMs: 2, wallMs: 2 },
    'rival-objects': { cpuMs: 40, wallMs: 40 },
    'npm-snappy': { cpuMs: 44, wallMs: 44 }
  }
  const cases = [
    ...casesOf('tiny', times),
    ...casesOf('tiny', { 'rival-filter': { cpuMs: 70, wallMs: 70 } }, 'with turns')
  ]
  const freshSnappy = { npmMs: spread(50), kernelMs: spread(10) }
  const targets = targetsOf(cases, 'tiny', { heapBytes: 6, closedCheckMs: 16, freshSnappy })
  const { filter, objects, snappy, snappyToWhole, heapBytes, gcShare, slowest, closedCheck } = DEMANDS
  assert.deepEqual(
    targets.map(({ measure, value, withTurns }) => [measure, value, withTurns]),
    [
      [filter.measure, 15, 7],
      [objects.measure, 4, 1],
      [snappy.measure, 5, 1],
      [snappyToWhole.measure, 25, 1],
      [heapBytes.measure, 6, undefined],
      [gcShare.measure, 0.1, 0.1],
      [slowest.measure, 1, undefined],
      [closedCheck.measure, 8, undefined]
    ]
  )
  assert.match(targets.find(({ measure }) => measure === slowest.measure)?.where ?? '', /^tiny /)
})
