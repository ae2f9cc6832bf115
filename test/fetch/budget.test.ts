import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ByteBudget } from '../../src/fetch/budget.ts'

const KIB = 1024

describe('the byte budget: pulls', () => {
  test('a pull is reserved before it is sent, and its bytes count until they are given back', () => {
    const budget = new ByteBudget(1024 * KIB)
    assert.equal(budget.tryPull(100 * KIB, 0, 1), true)
    assert.equal(budget.heldBytes, 100 * KIB)
    budget.resize(100 * KIB, 30 * KIB)
    assert.equal(budget.heldBytes, 30 * KIB)
    budget.resize(30 * KIB, 0)
    assert.equal(budget.heldBytes, 0)
  })

  test('I5: five eighths are for pulls, a quarter for open batches: full pulls never stop the processors, and an eighth is left', () => {
    const budget = new ByteBudget(1000)
    assert.equal(budget.tryPull(400, 0, 1), true)
    assert.equal(budget.tryPull(226, 400, 1), false)
    assert.equal(budget.tryPull(225, 400, 1), true)
    assert.equal(budget.tryOpen(200), true)
    assert.equal(budget.tryOpen(50), true)
    assert.equal(budget.tryOpen(1), false)
    assert.equal(budget.heldBytes, 875)
  })

  test('I5: a partition that holds nothing may always pull, however full the budget', () => {
    const budget = new ByteBudget(1000)
    assert.equal(budget.tryPull(625, 0, 1), true)
    assert.equal(budget.tryPull(700, 0, 2), true)
    assert.equal(budget.heldBytes, 1325)
    assert.equal(budget.tryPull(1, 1, 2), false)
  })

  test('a partition that holds something gets no more than its equal share', () => {
    const budget = new ByteBudget(1000)
    assert.equal(budget.tryPull(100, 0, 3), true)
    assert.equal(budget.tryPull(100, 100, 3), true)
    assert.equal(budget.tryPull(9, 200, 3), false, 'the share is 208')
    assert.equal(budget.tryPull(8, 200, 3), true)
    assert.equal(budget.tryPull(400, 208, 1), true, 'alone it may have all')
  })

  test('I5: no byte is given back twice, and no batch closed twice', () => {
    const budget = new ByteBudget(1000)
    budget.tryPull(100, 0, 1)
    budget.resize(100, 0)
    assert.throws(() => budget.resize(1, 0), { code: 'INVARIANT_BROKEN' })
    const other = new ByteBudget(1000)
    other.tryOpen(10)
    other.close(10)
    assert.throws(() => other.close(0), { code: 'INVARIANT_BROKEN' })
  })
})

describe('the byte budget: open batches', () => {
  test('one batch may always open, the next only within the quarter', () => {
    const budget = new ByteBudget(1000)
    assert.equal(budget.tryOpen(9000), true)
    assert.equal(budget.tryOpen(1), false)
    budget.close(9000)
    assert.equal(budget.tryOpen(250), true)
    assert.equal(budget.tryOpen(0), true)
    assert.equal(budget.tryOpen(1), false)
  })
})

test('I5: under any schedule the budget is exceeded only by larger responses, a first pull of a partition, one open batch', () => {
  const PULL = 100
  const act = fc.record({
    kind: fc.constantFrom('pull' as const, 'arrive' as const, 'free' as const, 'open' as const, 'close' as const),
    partition: fc.nat(3),
    bytes: fc.nat(400)
  })
  const refusals = { pull: 0, open: 0 }
  fc.assert(
    fc.property(fc.integer({ min: 2 * PULL, max: 2000 }), fc.array(act, { maxLength: 120 }), (max, acts) => {
      const budget = new ByteBudget(max)
      const partitions = Array.from({ length: 4 }, () => ({ flying: 0, bodies: [] as number[] }))
      const open: number[] = []
      const sum = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0)
      const heldOf = (p: (typeof partitions)[number]): number => p.flying * PULL + sum(p.bodies)
      for (const { kind, partition, bytes } of acts) {
        const p = partitions[partition]
        if (p === undefined) continue
        const pulledBefore = sum(partitions.map(heldOf))
        if (kind === 'pull') {
          const may = budget.tryPull(PULL, heldOf(p), 4)
          if (heldOf(p) === 0) assert.ok(may, 'a partition that holds nothing may pull')
          else if (may) assert.ok(pulledBefore + PULL <= max * 0.625 && heldOf(p) + PULL <= (max * 0.625) / 3.9)
          else refusals.pull += 1
          if (may) p.flying += 1
        } else if (kind === 'arrive' && p.flying > 0) {
          budget.resize(PULL, bytes)
          p.flying -= 1
          p.bodies.push(bytes)
        } else if (kind === 'free') {
          const body = p.bodies.shift()
          if (body !== undefined) budget.resize(body, 0)
        } else if (kind === 'open') {
          const may = budget.tryOpen(bytes)
          if (open.length === 0) assert.ok(may, 'one batch may open')
          else if (may) assert.ok(sum(open) + bytes <= max * 0.25)
          else refusals.open += 1
          if (may) open.push(bytes)
        } else if (kind === 'close') {
          const closed = open.shift()
          if (closed !== undefined) budget.close(closed)
        }
        assert.equal(budget.heldBytes, sum(partitions.map(heldOf)) + sum(open))
        const excess =
          // What responses are larger than their reservation, one pull a partition, one batch.
          sum(partitions.flatMap(each => each.bodies.map(body => Math.max(0, body - PULL)))) +
          4 * PULL +
          Math.max(0, ...open)
        assert.ok(budget.heldBytes <= max + excess)
      }
    }),
    { numRuns: 300 }
  )
  assert.ok(refusals.pull > 0 && refusals.open > 0, 'the schedules reach the limits')
})

test('I5: with many partitions a pull asks for half a share, so that the next one fits beside what it brought', () => {
  const MIB = 1024 * 1024
  const budget = new ByteBudget(256 * MIB)
  const partitionCount = 50
  const pullBytes = budget.pullBytes(2 * MIB, partitionCount)
  assert.ok(pullBytes < 2 * MIB)
  for (let partition = 0; partition < partitionCount; partition++) {
    assert.ok(budget.tryPull(pullBytes, 0, partitionCount))
    assert.ok(budget.tryPull(pullBytes, pullBytes, partitionCount), `partition ${partition} reads ahead`)
  }
  assert.equal(budget.pullBytes(2 * MIB, 4), 2 * MIB)
})
