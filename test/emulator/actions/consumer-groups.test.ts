import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bench, listAt, refusal } from '../support.ts'

const describe = (bench: Bench, fields = {}) =>
  listAt(bench.control('DescribeConsumerGroups', fields), 'ConsumerGroupsInfo')

test('a group that was created is described as it was created', () => {
  const bench = new Bench({ topicIds: ['t', 'u'] })
  assert.deepEqual(describe(bench), [])
  bench.createGroup('g', 40, ['t', 'u'])
  assert.deepEqual(describe(bench), [{ ConsumerGroup: 'g', Timeout: 40, Topics: ['t', 'u'] }])
})

test('creating a group twice is refused with the words that clients look for', () => {
  const bench = new Bench()
  bench.createGroup()
  assert.throws(() => bench.createGroup(), refusal('FailedOperation', /consumer group already exists/))
})

test('modifying a group changes its timeout and topics, and keeps committed offsets', () => {
  const bench = new Bench({ topicIds: ['t', 'u'], partitionCount: 1 })
  bench.createGroup()
  bench.put(['a'])
  bench.beat('A', [])
  bench.commit('A', 0, 1n)
  bench.control('ModifyConsumerGroup', { ConsumerGroup: 'g', Timeout: 20, Topics: ['u'] })
  assert.deepEqual(describe(bench), [{ ConsumerGroup: 'g', Timeout: 20, Topics: ['u'] }])
  assert.deepEqual(bench.beat('A', [0]), [0], 'partition 0 of the other topic')
  bench.control('ModifyConsumerGroup', { ConsumerGroup: 'g', Timeout: 20, Topics: ['t'] })
  assert.equal(bench.offsets({ From: 'begin', PartitionId: '0' }).get(0), 1)
})

test('describing by topics gives the groups that read one of them', () => {
  const bench = new Bench({ topicIds: ['t', 'u'] })
  bench.createGroup('g', 10, ['t'])
  bench.createGroup('h', 10, ['u'])
  assert.equal(describe(bench, { Topics: ['u'] }).length, 1)
  assert.equal(describe(bench, { Topics: null }).length, 2)
})

test('a group with a live member is not deleted, and one whose members fell silent is', () => {
  const bench = new Bench()
  bench.createGroup('g', 10)
  bench.beat('A', [])
  const remove = () => bench.control('DeleteConsumerGroup', { ConsumerGroup: 'g' })
  assert.throws(remove, refusal('OperationDenied', /A/))
  bench.nowMs += 10_001
  remove()
  assert.deepEqual(describe(bench), [])
})

test('unknown logset, topic and group, and wrong fields, each have their code', () => {
  const bench = new Bench()
  const create = (fields: { readonly [name: string]: string | number | readonly string[] | null }) => () =>
    bench.control('CreateConsumerGroup', { ConsumerGroup: 'g', Timeout: 10, Topics: ['t'], ...fields })
  assert.throws(create({ LogsetId: 'x' }), refusal('ResourceNotFound.LogsetNotExist', /x/))
  assert.throws(create({ Topics: ['x'] }), refusal('ResourceNotFound.TopicNotExist', /x/))
  assert.throws(create({ Topics: null }), refusal('MissingParameter', /Topics/))
  assert.throws(create({ Timeout: 0 }), refusal('InvalidParameter', /Timeout/))
  assert.throws(create({ Timeout: 'ten' }), refusal('InvalidParameter', /Timeout/))
  assert.throws(create({ ConsumerGroup: 'a b' }), refusal('InvalidParameter', /ConsumerGroup/))
  assert.throws(create({ ConsumerGroup: '' }), refusal('MissingParameter', /ConsumerGroup/))
  for (const action of ['ModifyConsumerGroup', 'DeleteConsumerGroup', 'SendConsumerHeartbeat']) {
    const call = () => bench.control(action, { ConsumerGroup: 'x', Consumer: 'A', Timeout: 10, Topics: ['t'] })
    assert.throws(call, refusal('ResourceNotFound', /x/))
  }
})
