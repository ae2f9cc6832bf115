import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { resolveEmulatorOptions } from '../../src/emulator/settings.ts'
import { KEY_MAX, Topic } from '../../src/emulator/topic.ts'

const RULES = resolveEmulatorOptions({})

test('writes without a key take turns over the writable partitions', () => {
  const topic = new Topic('t', 3, RULES, 0)
  assert.deepEqual(
    Array.from({ length: 6 }, () => topic.route(undefined).id),
    [0, 1, 2, 0, 1, 2]
  )
})

test('a key goes to the partition whose range holds it, the largest key too', () => {
  const topic = new Topic('t', 2, RULES, 0)
  const half = topic.partitions[1]?.beginKey ?? 0n
  assert.deepEqual(
    [0n, half - 1n, half, KEY_MAX - 1n, KEY_MAX].map(key => topic.route(key).id),
    [0, 0, 1, 1, 1]
  )
})

test('after any splits and merges the writable ranges cover all keys, each once', { timeout: 30_000 }, () => {
  const step = fc.record({
    at: fc.nat(20),
    parts: fc.integer({ min: 1, max: 5 }),
    share: fc.integer({ min: 1, max: 99 })
  })
  const steps = fc.array(step, { maxLength: 12 })
  fc.assert(
    fc.property(steps, changes => {
      const topic = new Topic('t', 2, RULES, 0)
      for (const { at, parts, share } of changes) {
        const writable = topic.writable()
        const [left, right] = [writable[at % writable.length], writable[(at % writable.length) + 1]]
        if (left === undefined) continue
        const key = left.beginKey + ((left.endKey - left.beginKey) * BigInt(share)) / 100n
        if (parts === 5) topic.splitAt(left, key, 0)
        else if (parts > 1) topic.split(left, parts, 0)
        else if (right !== undefined) topic.merge(left, right, 0)
      }
      let covered = 0n
      for (const { beginKey, endKey } of topic.writable()) {
        assert.equal(beginKey, covered)
        covered = endKey
      }
      assert.equal(covered, KEY_MAX)
      assert.deepEqual(
        topic.partitions.map(partition => partition.id),
        topic.partitions.map((_, index) => index)
      )
    }),
    { numRuns: 300 }
  )
})

test('a partition that was split gets no more writes', () => {
  const topic = new Topic('t', 1, RULES, 0)
  const [parent] = topic.partitions
  assert.ok(parent !== undefined)
  topic.split(parent, 2, 0)
  assert.deepEqual([topic.route(0n).id, topic.route(KEY_MAX).id, topic.route(undefined).id], [1, 2, 1])
})
