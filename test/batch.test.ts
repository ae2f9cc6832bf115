import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byPartition, keyOf } from '../src/batch.ts'

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
