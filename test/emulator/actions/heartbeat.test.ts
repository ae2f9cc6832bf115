import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bench, listAt, refusal } from '../support.ts'

test('the answer lists partitions by topic, and no topic without any', () => {
  const bench = new Bench({ topicIds: ['t', 'u', 'v'], partitionCount: 2 })
  bench.createGroup('g', 10, ['t', 'u'])
  const answer = bench.control('SendConsumerHeartbeat', {
    ConsumerGroup: 'g',
    Consumer: 'A',
    TopicPartitionsInfo: null
  })
  assert.deepEqual(answer, {
    ConsumerGroup: 'g',
    TopicPartitionsInfo: [
      { TopicID: 't', Partitions: [0, 1] },
      { TopicID: 'u', Partitions: [0, 1] }
    ]
  })
  const other = bench.control('SendConsumerHeartbeat', { ConsumerGroup: 'g', Consumer: 'B' })
  assert.deepEqual(listAt(other, 'TopicPartitionsInfo'), [])
})

test('what a consumer lists is not given to another before it leaves it out', () => {
  const bench = new Bench({ partitionCount: 2 })
  bench.createGroup()
  bench.beat('A', [])
  assert.deepEqual(bench.beat('B', []), [])
  const [kept] = bench.beat('A', [0, 1])
  assert.deepEqual(bench.beat('B', []), [], 'A lists both')
  bench.beat('A', [kept ?? -1])
  assert.deepEqual(bench.beat('B', []), [kept === 0 ? 1 : 0], 'A lists one')
})

test('topics and partitions that the group does not read are ignored where a consumer lists them', () => {
  const bench = new Bench({ partitionCount: 1 })
  bench.createGroup()
  const held = [
    { TopicID: 'gone', Partitions: [0] },
    { TopicID: 't', Partitions: [0, 99] }
  ]
  const answer = bench.control('SendConsumerHeartbeat', {
    ConsumerGroup: 'g',
    Consumer: 'A',
    TopicPartitionsInfo: held
  })
  assert.deepEqual(listAt(answer, 'TopicPartitionsInfo'), [{ TopicID: 't', Partitions: [0] }])
})

test('partitions of a split are assigned, the read-only parent too', () => {
  const bench = new Bench({ partitionCount: 2 })
  bench.createGroup()
  assert.deepEqual(bench.beat('A', []), [0, 1])
  bench.control('SplitPartition', { TopicId: 't', PartitionId: 1 })
  assert.deepEqual(bench.beat('A', [0, 1]), [0, 1, 2, 3])
})

test('a heartbeat without a consumer is refused', () => {
  const bench = new Bench()
  bench.createGroup()
  const call = () => bench.control('SendConsumerHeartbeat', { ConsumerGroup: 'g' })
  assert.throws(call, refusal('MissingParameter', /Consumer/))
})
