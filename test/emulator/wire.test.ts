import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { compress } from '../../src/cls/compression.ts'
import { parseJson, printJson } from '../../src/cls/json.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import { at, callControl, callData, listAt, post, readPull, uploadBody } from './support.ts'

const BIG = 2n ** 53n + 1n

let emulator: EmulatorHandle
before(async () => {
  emulator = await startEmulator({ partitionCount: 1, startOffset: BIG })
})
after(() => emulator.stop())

const topicId = (): string => emulator.topicIds[0] ?? ''
const pullBody = (fields = {}) =>
  printJson({ StartOffset: -1, Size: 1024, CompressType: 'snappy', PartitionId: 0, ...fields })

function errorAt(response: Parameters<typeof at>[0]): string {
  return String(at(at(response, 'Error'), 'Code'))
}

test('upload, heartbeat, pull, commit: the wire carries logs and offsets above 2^53 exactly', {
  timeout: 20_000
}, async () => {
  const body = compress(uploadBody(['a', 'b']), 'lz4')
  const upload = await callData(emulator, '/structuredlog', topicId(), body, {
    headers: { 'x-cls-compress-type': 'lz4' }
  })
  assert.equal(upload.status, 200)

  const group = { LogsetId: emulator.logsetId, ConsumerGroup: 'wire' }
  await callControl(emulator, 'CreateConsumerGroup', { ...group, Timeout: 10, Topics: [topicId()] })
  const beat = await callControl(emulator, 'SendConsumerHeartbeat', {
    ...group,
    Consumer: 'A',
    TopicPartitionsInfo: []
  })
  assert.deepEqual(listAt(beat.response, 'TopicPartitionsInfo'), [{ TopicID: topicId(), Partitions: [0] }])

  const pull = await callData(emulator, '/pull_log', topicId(), pullBody({ StartOffset: BIG }))
  assert.equal(pull.headers['x-cls-compress-type'], 'snappy')
  assert.equal(Number(pull.headers['content-length']), pull.body.length)
  const { ids, nextOffset } = readPull(pull.body, 'snappy')
  assert.deepEqual([ids, nextOffset], [['a', 'b'], BIG + 1n])

  const offsets = [{ TopicID: topicId(), PartitionOffsets: [{ PartitionId: 0, Offset: nextOffset }] }]
  const commit = { ...group, Consumer: 'A', TopicPartitionOffsetsInfo: offsets }
  const committed = await callControl(emulator, 'CommitConsumerOffsets', commit)
  assert.deepEqual(Object.keys(Object(committed.response)), ['RequestId'])
  const [snapshot] = (await emulator.snapshot()).groups
  assert.deepEqual(snapshot?.partitions, [
    { topicId: topicId(), partition: 0, owner: 'A', target: 'A', committedOffset: BIG + 1n }
  ])
})

test('each answer has a request id of its own, in the body of one plane and in the header of the other', async () => {
  const describe = () => callControl(emulator, 'DescribeConsumerGroups', { LogsetId: emulator.logsetId })
  const [one, two] = [await describe(), await describe()]
  assert.notEqual(at(one.response, 'RequestId'), at(two.response, 'RequestId'))
  const pulls = [
    await callData(emulator, '/pull_log', topicId(), pullBody()),
    await callData(emulator, '/pull_log', topicId(), pullBody()),
    await callData(emulator, '/pull_log', 'unknown', pullBody())
  ]
  assert.equal(new Set(pulls.map(pull => pull.headers['x-cls-requestid'])).size, 3)
})

test('a refusal of the control plane is HTTP 200 with an Error', async () => {
  const { response, answer } = await callControl(emulator, 'DescribeConsumerGroups', { LogsetId: 'x' })
  assert.equal(answer.status, 200)
  assert.equal(errorAt(response), 'ResourceNotFound.LogsetNotExist')
})

test('a refusal of the data plane is flat, with its status', async () => {
  const unknown = await callData(emulator, '/pull_log', 'unknown', pullBody())
  const expired = await callData(emulator, '/pull_log', topicId(), pullBody({ StartOffset: 5 }))
  const codes = [unknown, expired].map(({ status, body }) => [status, at(parseJson(body.toString()), 'errorcode')])
  assert.deepEqual(codes, [
    [404, 'TopicNotExist'],
    [400, 'InvalidParameter.InvalidOffset']
  ])
})

test('a wrong secret is refused on all three paths', async () => {
  const stranger = { ...emulator, secretKey: 'wrong' }
  const control = await callControl(stranger, 'DescribeConsumerGroups', { LogsetId: emulator.logsetId })
  assert.equal(errorAt(control.response), 'AuthFailure.SignatureFailure')
  for (const path of ['/pull_log', '/structuredlog'] as const) {
    const answer = await callData(stranger, path, topicId(), '{}')
    assert.equal(answer.status, 401)
    assert.equal(at(parseJson(answer.body.toString()), 'errorcode'), 'Unauthorized')
  }
})

test('unknown actions, versions and paths, and bodies that are no JSON, each have their code', async () => {
  const describe = (headers: Readonly<Record<string, string>>) =>
    callControl(emulator, 'DescribeConsumerGroups', { LogsetId: emulator.logsetId }, { headers })
  assert.equal(errorAt((await describe({ 'x-tc-action': 'DescribeUnicorns' })).response), 'InvalidAction')
  assert.equal(errorAt((await describe({ 'x-tc-action': '' })).response), 'MissingParameter')
  assert.equal(errorAt((await describe({ 'x-tc-version': '2017-03-12' })).response), 'NoSuchVersion')
  const notJson = await callControl(emulator, 'DescribeConsumerGroups', {}, { sign: { body: '' } })
  assert.equal(errorAt(notJson.response), 'AuthFailure.SignatureFailure', 'another body than the one that was signed')
  const { status } = await post(emulator.endpoint, '/nowhere', {}, '')
  assert.equal(status, 404)
  assert.equal((await post(emulator.endpoint, '/pull_log', {}, '', 'PUT')).status, 405)
})

test('a body beyond all limits is read to its end and refused, wherever it goes', { timeout: 20_000 }, async () => {
  const body = Buffer.alloc(17 * 1024 * 1024)
  for (const path of ['/structuredlog', '/pull_log'] as const) {
    assert.equal((await callData(emulator, path, topicId(), body)).status, 413)
  }
})

test('a connection per request is borne, and so is a host without its port', async () => {
  const override = { headers: { host: '127.0.0.1', connection: 'close' }, sign: { host: '127.0.0.1' } }
  const { response, answer } = await callControl(emulator, 'DescribePartitions', { TopicId: topicId() }, override)
  assert.equal(listAt(response, 'Partitions').length, 1)
  assert.equal(answer.headers.connection, 'close')
})

test('the state can be read over HTTP, without the secret', async () => {
  const { status, body } = await post(emulator.endpoint, '/emulator/state', {}, '', 'GET')
  assert.equal(status, 200)
  const [topic] = listAt(parseJson(body.toString()), 'topics')
  assert.equal(at(listAt(topic, 'partitions')[0], 'beginOffset'), BIG)
  assert.ok(!body.includes(emulator.secretKey))
})

test('an emulator whose clock is 10 minutes off tells so by SignatureExpire and its Date header', {
  timeout: 20_000
}, async () => {
  const skewed = await startEmulator({ clockSkewMs: 600_000 })
  try {
    const fields = { LogsetId: skewed.logsetId }
    const { response, answer } = await callControl(skewed, 'DescribeConsumerGroups', fields)
    assert.equal(errorAt(response), 'AuthFailure.SignatureExpire')
    const aheadMs = Date.parse(String(answer.headers.date)) - Date.now()
    assert.ok(Math.abs(aheadMs - 600_000) < 10_000, `${aheadMs} ms ahead`)
    const unixSeconds = Math.floor((Date.now() + aheadMs) / 1000)
    const corrected = await callControl(skewed, 'DescribeConsumerGroups', fields, { sign: { unixSeconds } })
    assert.deepEqual(listAt(corrected.response, 'ConsumerGroupsInfo'), [])
    const [topic = ''] = skewed.topicIds
    assert.equal((await callData(skewed, '/pull_log', topic, pullBody())).status, 401)
    assert.equal((await callData(skewed, '/pull_log', topic, pullBody(), { sign: { unixSeconds } })).status, 200)
  } finally {
    await skewed.stop()
  }
})
