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
  assert.deepEqual([at(first, 'CreateTime'), at(first, 'LastWriteTime')], ['2023-11-15 06:13:20', ''])
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
