import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '../../../src/cls/json.ts'
import { at, Bench, listAt, refusal } from '../support.ts'

const ZERO = '0'.repeat(32)
const HALF = `7${'f'.repeat(31)}`
const LAST = 'f'.repeat(32)

const describe = (bench: Bench): Json[] => listAt(bench.control('DescribePartitions', { TopicId: 't' }), 'Partitions')

function summary(partitions: readonly Json[]): string[] {
  const fields = ['PartitionId', 'Status', 'InclusiveBeginKey', 'ExclusiveEndKey']
  return partitions.map(partition => fields.map(name => String(at(partition, name))).join(' '))
}

test('partitions are described with state, key range, and times as the service writes them', () => {
  const bench = new Bench({ partitionCount: 2 })
  assert.deepEqual(summary(describe(bench)), [`0 readwrite ${ZERO} ${HALF}`, `1 readwrite ${HALF} ${LAST}`])
  const [first] = describe(bench)
  assert.deepEqual([at(first, 'CreateTime'), at(first, 'LastWriteTime')], ['2023-11-15 06:13:20', null])
  bench.nowMs += 1000
  bench.put(['a'])
  assert.equal(at(describe(bench)[0], 'LastWriteTime'), '2023-11-15 06:13:21')
})

test('a split makes the parent read-only and answers it with its children, which share its keys', () => {
  const bench = new Bench({ partitionCount: 1 })
  bench.nowMs += 60_000
  const answer = listAt(bench.control('SplitPartition', { TopicId: 't', PartitionId: 0 }), 'Partitions')
  const expected = [`0 readonly ${ZERO} ${LAST}`, `1 readwrite ${ZERO} ${HALF}`, `2 readwrite ${HALF} ${LAST}`]
  assert.deepEqual(summary(answer), expected)
  assert.deepEqual(summary(describe(bench)), expected)
  assert.equal(at(answer[1], 'CreateTime'), '2023-11-15 06:14:20')
})

test('a split at a key makes two children that meet there, of which the second has it', () => {
  const bench = new Bench({ partitionCount: 2 })
  const key = `0123456789abcdef${'0'.repeat(15)}1`
  const split = { TopicId: 't', PartitionId: 0, SplitKey: key.toUpperCase() }
  const answer = listAt(bench.control('SplitPartition', split), 'Partitions')
  assert.deepEqual(summary(answer), [
    `0 readonly ${ZERO} ${HALF}`,
    `2 readwrite ${ZERO} ${key}`,
    `3 readwrite ${key} ${HALF}`
  ])
  bench.put(['below'], `0123456789abcdef${'0'.repeat(16)}`)
  bench.put(['at'], key)
  bench.put(['other'], LAST)
  const read = [0, 1, 2, 3].map(partition => bench.pull({ PartitionId: partition }).ids)
  assert.deepEqual(read, [[], ['other'], ['below'], ['at']])
})

test('a split key goes with two parts alone: with more it has no effect, as at the service', () => {
  const bench = new Bench({ partitionCount: 1 })
  const split = (fields: { readonly [name: string]: string | number }) =>
    listAt(bench.control('SplitPartition', { TopicId: 't', ...fields }), 'Partitions').length
  assert.equal(split({ PartitionId: 0, Number: 3, SplitKey: 'not a key' }), 4)
  assert.equal(split({ PartitionId: 1, Number: 2, SplitKey: `${'0'.repeat(31)}1` }), 3)
})

test('a split key that is none, or not inside the range, is refused and changes nothing', () => {
  const bench = new Bench({ partitionCount: 2 })
  for (const [partition, key] of [
    [0, 'g'.repeat(32)],
    [0, '1'.repeat(31)],
    [0, ZERO],
    [0, HALF],
    [0, LAST],
    [1, ZERO],
    [1, LAST]
  ] as const) {
    const split = () => bench.control('SplitPartition', { TopicId: 't', PartitionId: partition, SplitKey: key })
    assert.throws(split, refusal('InvalidParameter', /SplitKey.*32 hex digits between/), key)
  }
  assert.equal(describe(bench).length, 2)
})

test('parents of splits and merges are read-only for ever, still readable, and still assigned', () => {
  const bench = new Bench({ partitionCount: 1 })
  bench.createGroup()
  bench.put(['first'])
  bench.control('SplitPartition', { TopicId: 't', PartitionId: 0 })
  bench.put(['second'], ZERO)
  bench.put(['third'], LAST)
  bench.control('MergePartition', { TopicId: 't', PartitionId: 1 })
  bench.put(['fourth'], ZERO)
  const statuses = describe(bench).map(partition => at(partition, 'Status'))
  assert.deepEqual(statuses, ['readonly', 'readonly', 'readonly', 'readwrite'])
  const read = [0, 1, 2, 3].map(partition => bench.pull({ PartitionId: partition }).ids)
  assert.deepEqual(read, [['first'], ['second'], ['third'], ['fourth']])
  assert.deepEqual(bench.beat('A', []), [0, 1, 2, 3])
  bench.commit('A', 0, 1n)
  for (const partition of [0, 1, 2]) {
    const again = { TopicId: 't', PartitionId: partition }
    assert.throws(() => bench.control('SplitPartition', again), refusal('OperationDenied', /read-only/))
    assert.throws(() => bench.control('MergePartition', again), refusal('OperationDenied', /read-only/))
  }
})

test('after a split new messages go to the children, and those of the parent can still be read', () => {
  const bench = new Bench({ partitionCount: 1 })
  bench.put(['before'], ZERO)
  bench.control('SplitPartition', { TopicId: 't', PartitionId: 0, Number: 3 })
  bench.put(['low'], ZERO)
  bench.put(['high'], LAST)
  const read = [0, 1, 2, 3].map(partition => bench.pull({ PartitionId: partition }).ids)
  assert.deepEqual(read, [['before'], ['low'], [], ['high']])
})

test('a merge gives the ranges of two neighbours to a new partition', () => {
  const bench = new Bench({ partitionCount: 2 })
  const answer = listAt(bench.control('MergePartition', { TopicId: 't', PartitionId: 0 }), 'Partitions')
  assert.deepEqual(summary(answer), [
    `0 readonly ${ZERO} ${HALF}`,
    `1 readonly ${HALF} ${LAST}`,
    `2 readwrite ${ZERO} ${LAST}`
  ])
  bench.put(['after'], LAST)
  assert.deepEqual(bench.pull({ PartitionId: 2 }).ids, ['after'])
})

test('splits and merges that cannot be are refused, and change nothing', () => {
  const bench = new Bench({ partitionCount: 2, partitionCountMax: 3 })
  const split = (fields: { readonly [name: string]: string | number }) => () =>
    bench.control('SplitPartition', { TopicId: 't', PartitionId: 0, ...fields })
  assert.throws(split({ TopicId: 'x' }), refusal('ResourceNotFound.TopicNotExist'))
  assert.throws(split({ PartitionId: 7 }), refusal('InvalidParameter', /7/))
  assert.throws(split({ Number: 1 }), refusal('InvalidParameter', /Number/))
  assert.throws(split({ Number: 3 }), refusal('LimitExceeded.Partition', /3/))
  const merge = () => bench.control('MergePartition', { TopicId: 't', PartitionId: 1 })
  assert.throws(merge, refusal('OperationDenied', /neighbour/))
  assert.equal(describe(bench).length, 2)
  split({})()
  assert.throws(split({}), refusal('OperationDenied', /read-only/))
})
