import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { byPartition, cutAtEnd, keyOf } from '../src/batch.ts'
import { cutAtEnd as cutOnThread } from '../workers/decode.ts'

test('the key of a partition is its own', () => {
  const ids = ['a', 'a/1', 'b'].flatMap(topicId => [0, 1, 10, 11].map(partition => ({ topicId, partition })))
  assert.equal(new Set(ids.map(keyOf)).size, ids.length)
})

test('partitions are ordered by topic, then by number', () => {
  const sorted = [
    { topicId: 'a', partition: 2 },
    { topicId: 'a', partition: 10 },
    { topicId: 'b', partition: 0 }
  ]
  assert.deepEqual([...sorted].reverse().sort(byPartition), sorted)
})

test('I1: the main thread cuts a response at the end of its run where the batch’s thread does', () => {
  const near = fc.bigInt({ min: -2n, max: 9n })
  const maybe = fc.option(near, { nil: undefined })
  let cutCount = 0
  fc.assert(
    fc.property(
      fc.constantFrom(0n, 100n, 2n ** 62n),
      maybe,
      maybe,
      fc.nat({ max: 8 }),
      (startOffset, next, end, count) => {
        const at = (by: bigint | undefined): bigint | undefined => (by === undefined ? undefined : startOffset + by)
        const [endOffset, outline] = [at(end), { nextOffset: at(next), messageCount: count }]
        const cut = cutAtEnd({ startOffset, endOffset }, outline)
        assert.deepEqual(cut, cutOnThread(outline, startOffset, endOffset))
        if (cut.messageCount < count) cutCount += 1
      }
    ),
    { numRuns: 2000 }
  )
  assert.ok(cutCount > 20, `${cutCount} were cut`)
})
