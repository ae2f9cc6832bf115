import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lease } from '../../src/group/lease.ts'

test('I12: before the first acknowledged heartbeat there is no lease', () => {
  const lease = new Lease(40_000)
  assert.equal(lease.holds(-1e15), false)
  assert.equal(lease.remainingMs(0), 0)
})

test('I12: the lease ends one timeout after the sending of the acknowledged heartbeat, to the millisecond', () => {
  const lease = new Lease(40_000)
  lease.acknowledge(1000)
  assert.equal(lease.endMs, 41_000)
  assert.equal(lease.holds(40_999.9), true)
  assert.equal(lease.holds(41_000), false)
  assert.deepEqual([lease.remainingMs(40_000), lease.remainingMs(41_000), lease.remainingMs(99_000)], [1000, 0, 0])
})

test('I12: an acknowledgement of an older heartbeat never shortens the lease', () => {
  const lease = new Lease(40_000)
  lease.acknowledge(5000)
  lease.acknowledge(1000)
  assert.equal(lease.endMs, 45_000)
})

test('I12: threads read the same end from shared memory', () => {
  const lease = new Lease(2000)
  const cell = new Float64Array(lease.shared)
  assert.equal(cell[0], Number.NEGATIVE_INFINITY)
  lease.acknowledge(1234.5)
  assert.equal(cell[0], 3234.5)
})
