import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { changeSettings } from '../../src/emulator/changes.ts'
import { RateLimits } from '../../src/emulator/rate-limits.ts'
import { Bench, listAt, refusal } from './support.ts'

test('no second holds more than the limit, and whoever stays below it is never refused', { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(700), { maxLength: 60 }), (perSecond, waits) => {
      const rates = new RateLimits()
      const passed: number[] = []
      let nowMs = 0
      for (const wait of waits) {
        nowMs += wait
        const inSecond = passed.filter(atMs => nowMs - atMs < 1000).length
        const allowed = rates.allows('k', perSecond, nowMs)
        assert.equal(allowed, inSecond < perSecond)
        if (allowed) passed.push(nowMs)
      }
    })
  )
})

test('each key has a limit of its own', () => {
  const rates = new RateLimits()
  assert.deepEqual([rates.allows('a', 1, 0), rates.allows('a', 1, 0), rates.allows('b', 1, 0)], [true, false, true])
})

test('200 pulls of a partition pass in a second, the next is SpeedQuotaExceed, and other partitions go on', () => {
  const bench = new Bench({ partitionCount: 2, rateLimits: 'service' })
  bench.put(['a', 'b'])
  for (let count = 0; count < 200; count++) assert.deepEqual(bench.pull({ PartitionId: 0 }).ids, ['a'])
  assert.throws(() => bench.pull({ PartitionId: 0 }), refusal('SpeedQuotaExceed', /200 pulls of partition 0/))
  assert.throws(() => bench.pull({ PartitionId: 0 }), { httpStatus: 429 })
  assert.deepEqual(bench.pull({ PartitionId: 1 }).ids, ['b'])
  bench.nowMs += 1000
  assert.deepEqual(bench.pull({ PartitionId: 0 }).ids, ['a'])
})

test('without the limits nothing is counted', () => {
  const bench = new Bench({ partitionCount: 1 })
  for (let count = 0; count < 300; count++)
    assert.equal(listAt(bench.control('DescribePartitions', { TopicId: 't' }), 'Partitions').length, 1)
  for (let count = 0; count < 300; count++) bench.pull({})
})

test('set while it runs, the limits hold from then on, until they are taken back', () => {
  const bench = new Bench({ partitionCount: 1 })
  for (let count = 0; count < 300; count++) bench.pull({})
  assert.deepEqual(changeSettings(bench.state, { rateLimits: 'service' }), [])
  for (let count = 0; count < 200; count++) bench.pull({})
  assert.throws(() => bench.pull({}), refusal('SpeedQuotaExceed'))
  assert.deepEqual(changeSettings(bench.state, { rateLimits: 'none' }), [])
  for (let count = 0; count < 300; count++) bench.pull({})
})
