import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { balance } from '../../src/emulator/balance.ts'

const MANY = { numRuns: 500 }

/** Partitions p0…, consumers c0…, and an assignment that may be incomplete, lopsided, or name consumers long gone. */
const situation = fc
  .record({ partitionCount: fc.nat(40), consumerCount: fc.integer({ min: 1, max: 9 }), picks: fc.array(fc.nat(12)) })
  .map(({ partitionCount, consumerCount, picks }) => {
    const partitions = Array.from({ length: partitionCount }, (_, index) => `p${index}`)
    const consumers = Array.from({ length: consumerCount }, (_, index) => `c${index}`)
    const current = new Map<string, string>()
    for (const [index, pick] of picks.entries()) if (pick > 0) current.set(`p${index}`, `c${pick - 1}`)
    return { partitions, consumers, current }
  })

function sizes(assignment: ReadonlyMap<string, string>, consumers: readonly string[]): number[] {
  return consumers.map(consumer => [...assignment.values()].filter(owner => owner === consumer).length)
}

test('every partition gets exactly one consumer of the group', { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(situation, ({ partitions, consumers, current }) => {
      const next = balance(partitions, consumers, current)
      assert.deepEqual([...next.keys()].sort(), [...partitions].sort())
      for (const owner of next.values()) assert.ok(consumers.includes(owner))
    }),
    MANY
  )
})

test('sizes differ by at most one', { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(situation, ({ partitions, consumers, current }) => {
      const counts = sizes(balance(partitions, consumers, current), consumers)
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join())
    }),
    MANY
  )
})

test('no balanced assignment keeps more partitions where they are', { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(situation, ({ partitions, consumers, current }) => {
      const next = balance(partitions, consumers, current)
      const kept = partitions.filter(partition => next.get(partition) === current.get(partition)).length
      assert.equal(kept, mostKept(partitions, consumers, current))
    }),
    MANY
  )
})

/** By trying every way to hand out the larger shares. */
function mostKept(
  partitions: readonly string[],
  consumers: readonly string[],
  current: ReadonlyMap<string, string>
): number {
  const base = Math.floor(partitions.length / consumers.length)
  const larger = partitions.length % consumers.length
  const has = consumers.map(consumer => partitions.filter(partition => current.get(partition) === consumer).length)
  let best = 0
  for (let choice = 0; choice < 2 ** consumers.length; choice++) {
    const quota = consumers.map((_, index) => base + ((choice >> index) & 1))
    if (quota.filter(count => count > base).length !== larger) continue
    best = Math.max(
      best,
      has.reduce((sum, count, index) => sum + Math.min(count, quota[index] ?? 0), 0)
    )
  }
  return best
}

test('a balanced assignment stays as it is', { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(situation, ({ partitions, consumers, current }) => {
      const next = balance(partitions, consumers, current)
      assert.deepEqual(balance(partitions, consumers, next), next)
    }),
    MANY
  )
})

test('without consumers nobody gets anything', () => {
  assert.equal(balance(['p0'], [], new Map([['p0', 'gone']])).size, 0)
})

test('the partitions of two topics are spread over two consumers that join at once', () => {
  const next = balance(['a0', 'a1', 'b0', 'b1'], ['x', 'y'], new Map())
  assert.notEqual(next.get('a0'), next.get('a1'))
  assert.notEqual(next.get('b0'), next.get('b1'))
})
