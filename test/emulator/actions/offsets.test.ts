import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EmulatorOptions } from '../../../src/emulator/settings.ts'
import { Bench, refusal, T0 } from '../support.ts'

const BIG = 2n ** 53n + 1n

/** One partition with three messages, a second apart. */
function threeMessages(options: EmulatorOptions = {}): Bench {
  const bench = new Bench({ partitionCount: 1, ...options })
  bench.createGroup()
  for (const id of ['a', 'b', 'c']) {
    bench.put([id])
    bench.nowMs += 1000
  }
  bench.beat('A', [])
  return bench
}

test('without a committed offset the answer is the position that From names', () => {
  const bench = threeMessages()
  const at = (from: string) => bench.offsets({ From: from, PartitionId: '0' }).get(0)
  const t0 = T0 / 1000
  assert.deepEqual(['begin', 'end'].map(at), [0, 3])
  assert.deepEqual(
    [t0 - 5, t0, t0 + 1, t0 + 2, t0 + 3].map(seconds => at(String(seconds))),
    [0, 0, 1, 2, 3]
  )
})

test('a committed offset is answered whatever From says, unless the own position is asked for', () => {
  const bench = threeMessages()
  bench.commit('A', 0, 2n)
  assert.equal(bench.offsets({ From: 'begin' }).get(0), 2)
  assert.equal(bench.offsets({ From: 'end', OffsetType: 0 }).get(0), 2)
  assert.equal(bench.offsets({ From: 'end', OffsetType: 1 }).get(0), 3)
  assert.equal(bench.offsets({ From: 'begin', OffsetType: 1 }).get(0), 0)
})

test('offsets above 2^53 come back exactly as they were committed', () => {
  const bench = threeMessages({ startOffset: BIG - 1n })
  bench.commit('A', 0, BIG)
  assert.equal(bench.offsets({ From: 'begin' }).get(0), BIG)
  assert.equal(bench.offsets({ From: 'end', OffsetType: 1 }).get(0), BIG + 2n)
})

test('offset 0 is a committed offset like any other', () => {
  const bench = threeMessages()
  bench.commit('A', 0, 0n)
  assert.equal(bench.offsets({ From: 'end' }).get(0), 0)
})

test('without PartitionId all partitions are answered, and a number is borne for a string', () => {
  const bench = new Bench({ partitionCount: 3 })
  bench.createGroup()
  assert.deepEqual([...bench.offsets({ From: 'begin' }).keys()], [0, 1, 2])
  assert.deepEqual([...bench.offsets({ From: 'begin', PartitionId: 1 }).keys()], [1])
})

test('without TopicId every topic of the group is answered, with the name of the group', () => {
  const bench = new Bench({ topicIds: ['t', 'u', 'v'], partitionCount: 1, startOffset: 5n })
  bench.createGroup('g', 10, ['t', 'u'])
  const answer = bench.control('DescribeConsumerOffsets', { ConsumerGroup: 'g', From: 'begin' })
  const partitions = [{ PartitionId: 0, Offset: 5 }]
  assert.deepEqual(answer, {
    ConsumerGroup: 'g',
    TopicPartitionOffsetsInfo: [
      { TopicID: 't', PartitionOffsets: partitions },
      { TopicID: 'u', PartitionOffsets: partitions }
    ]
  })
  const inNoTopic = { ConsumerGroup: 'g', From: 'begin', PartitionId: '0' }
  assert.throws(() => bench.control('DescribeConsumerOffsets', inNoTopic), refusal('MissingParameter', /TopicId/))
})

test('what is missing or wrong in a question is refused', () => {
  const bench = new Bench({ topicIds: ['t', 'u'] })
  bench.createGroup('g', 10, ['t'])
  assert.throws(() => bench.offsets({}), refusal('MissingParameter', /From/))
  assert.throws(() => bench.offsets({ From: 'start' }), refusal('InvalidParameter', /From/))
  assert.throws(() => bench.offsets({ From: 'end', OffsetType: 2 }), refusal('InvalidParameter', /OffsetType/))
  assert.throws(() => bench.offsets({ From: 'end', PartitionId: '9' }), refusal('InvalidParameter', /9/))
  assert.throws(() => bench.offsets({ From: 'end', TopicId: 'u' }), refusal('InvalidParameter', /TopicId/))
  assert.throws(() => bench.offsets({ From: 'end', TopicId: 'x' }), refusal('ResourceNotFound.TopicNotExist'))
  assert.throws(() => bench.offsets({ From: 'end', ConsumerGroup: 'x' }), refusal('ResourceNotFound'))
})

test('a commit by a consumer that does not own one of its partitions is refused, and changes none of them', () => {
  const bench = new Bench({ partitionCount: 2 })
  bench.createGroup()
  bench.put(['a', 'b'])
  bench.beat('A', [])
  bench.beat('B', [])
  const [, given] = bench.beat('A', [0, 1])
  assert.equal(given, undefined)
  bench.beat('A', [0])
  assert.deepEqual(bench.beat('B', []), [1])
  const both = [0, 1].map(partition => ({ PartitionId: partition, Offset: 1 }))
  const fields = { ConsumerGroup: 'g', TopicPartitionOffsetsInfo: [{ TopicID: 't', PartitionOffsets: both }] }
  assert.throws(
    () => bench.control('CommitConsumerOffsets', { ...fields, Consumer: 'A' }),
    refusal('OperationDenied', /partition 1 of topic t/)
  )
  assert.deepEqual([...bench.offsets({ From: 'begin' }).values()], [0, 0])
  bench.commit('A', 0, 1n)
  bench.commit('B', 1, 1n)
  assert.deepEqual([...bench.offsets({ From: 'begin' }).values()], [1, 1])
})

test('a consumer that fell silent for longer than the timeout cannot commit any more', () => {
  const bench = threeMessages()
  bench.commit('A', 0, 1n)
  bench.nowMs += 10_001
  assert.throws(() => bench.commit('A', 0, 2n), refusal('OperationDenied'))
})

test('the other readings of a foreign commit: accepted, or ignored', () => {
  for (const [foreignCommit, expected] of [
    ['accept', 2],
    ['ignore', 0]
  ] as const) {
    const bench = threeMessages({ quirks: { foreignCommit } })
    bench.commit('stranger', 0, 2n)
    assert.equal(bench.offsets({ From: 'begin' }).get(0), expected)
  }
})

test('a smaller offset than before is taken, and one beyond the end or below zero is not', () => {
  const bench = threeMessages()
  bench.commit('A', 0, 3n)
  bench.commit('A', 0, 1n)
  for (const offset of [4n, -1n]) {
    assert.throws(() => bench.commit('A', 0, offset), refusal('InvalidParameter', /Offset/))
  }
  assert.equal(bench.offsets({ From: 'begin' }).get(0), 1)
})
