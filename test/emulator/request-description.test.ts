import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Printable, printJson } from '../../src/cls/json.ts'
import type { WireRequest } from '../../src/emulator/plane.ts'
import { describeRequest, type RequestDescription } from '../../src/emulator/request-description.ts'
import { Bench } from './support.ts'

const bench = new Bench({ partitionCount: 2, topicIds: ['t', 'u'] })

function describe(change: Partial<WireRequest>): RequestDescription {
  const request = { method: 'POST', path: '/', query: '', headers: {}, body: Buffer.alloc(0), requestId: 'r' }
  return describeRequest({ ...request, ...change }, bench.state)
}

const control = (action: string, fields: Printable) =>
  describe({ headers: { 'x-tc-action': action }, body: Buffer.from(printJson(fields)) })

const place = (topicId: string | undefined, partition?: number) => ({ topicId, partition })

test('a heartbeat is of its consumer, and of the partitions of each topic that it lists', () => {
  const held = [
    { TopicID: 't', Partitions: [0, 3] },
    { TopicID: 'u', Partitions: [1] }
  ]
  assert.deepEqual(control('SendConsumerHeartbeat', { Consumer: 'A', TopicPartitionsInfo: held }), {
    action: 'SendConsumerHeartbeat',
    places: [place('t'), place('t', 0), place('t', 3), place('u'), place('u', 1)],
    consumer: 'A'
  })
})

test('a commit is of the partitions that its inner lists name', () => {
  const offsets = [{ TopicID: 't', PartitionOffsets: [{ PartitionId: 2, Offset: 2n ** 60n }] }]
  const { places } = control('CommitConsumerOffsets', { Consumer: 'A', TopicPartitionOffsetsInfo: offsets })
  assert.deepEqual(places, [place('t'), place('t', 2)])
})

test('other control requests name topics and partitions in their own ways', () => {
  assert.deepEqual(control('CreateConsumerGroup', { Topics: ['t', 'u'] }).places, [place('t'), place('u')])
  assert.deepEqual(control('SplitPartition', { TopicId: 't', PartitionId: 1 }).places, [place('t'), place('t', 1)])
  const asked = control('DescribeConsumerOffsets', { TopicId: 't', PartitionId: '1', From: 'end' })
  assert.deepEqual(asked.places, [place('t'), place('t', 1)])
  assert.deepEqual(control('DescribeConsumerGroups', { Topics: null }).places, [])
})

test('a pull is of its topic and partition', () => {
  const body = Buffer.from('{"PartitionId":1,"StartOffset":0}')
  const pull = describe({ path: '/pull_log', query: 'topic_id=t', body })
  assert.deepEqual(pull, { action: 'pull_log', places: [place('t', 1)], consumer: undefined })
})

test('an upload is of the partition that it would go to, by its key or by turns, and takes no turn by being looked at', () => {
  const upload = (headers = {}) => describe({ path: '/structuredlog', query: 'topic_id=t', headers }).places
  assert.deepEqual(upload({ 'x-cls-hashkey': 'f'.repeat(32) }), [place('t', 1)])
  assert.deepEqual([upload(), upload()], [[place('t', 0)], [place('t', 0)]])
  bench.put(['a'])
  assert.deepEqual(upload(), [place('t', 1)])
})

test('what cannot be read names nothing, and is refused by nobody here', () => {
  const broken = { action: 'CommitConsumerOffsets', places: [], consumer: undefined }
  assert.deepEqual(describe({ headers: { 'x-tc-action': broken.action }, body: Buffer.from('{') }), broken)
  assert.deepEqual(describe({ path: '/pull_log', query: '' }).places, [place(undefined)])
  const badKey = describe({ path: '/structuredlog', query: 'topic_id=t', headers: { 'x-cls-hashkey': 'g' } })
  assert.deepEqual(badKey.places, [place('t')])
  assert.deepEqual(describe({ path: '/structuredlog', query: 'topic_id=x' }).places, [place('x')])
  assert.equal(describe({ path: '/nowhere' }).action, 'nowhere')
})
