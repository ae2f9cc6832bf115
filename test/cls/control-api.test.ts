import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { createService, type ServiceSettings } from '../../src/cls/service.ts'
import { signTc3 } from '../../src/cls/sign-tc3.ts'
import { realClock, realTimers } from '../../src/real-world.ts'
import type { Clock } from '../../src/world.ts'
import { chance, createKeptLog, rejection } from './fakes.ts'
import { ok, type Received, refusal, type Scripted, startServer } from './scripted-server.ts'

const LIMIT = { timeout: 20_000 }
const credentials = { secretId: 'id', secretKey: 'a-secret-key' }

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.reverse()) await close()
  open = []
})

async function setUp(
  answer: (request: Received, index: number) => Scripted,
  settings: Partial<ServiceSettings> = {},
  clock: Clock = realClock,
  luck = 0
) {
  const server = await startServer(answer)
  const log = createKeptLog()
  const given: ServiceSettings = {
    endpoint: server.origin,
    region: 'ap-guangzhou',
    network: 'public',
    credentials,
    logsetId: 'logset-1',
    bodyBytesMax: 1024 * 1024,
    requestTimeoutMs: 5000,
    callTimeoutMs: 10_000,
    ...settings
  }
  const service = createService(given, { clock, timers: realTimers, random: chance(luck), log })
  open.push(server.close, service.close)
  return {
    server,
    log,
    control: service.control,
    body: (index: number) => JSON.parse(server.received[index]?.body ?? '')
  }
}

const group = { group: 'g', timeoutSeconds: 40, topicIds: ['t1', 't2'] }
const ask = { group: 'g', topicId: 't1', from: 'begin' } as const
const offsets = (entries: string) =>
  `{"Response":{"TopicPartitionOffsetsInfo":[{"TopicID":"t1","PartitionOffsets":${entries}}],"RequestId":"r"}}`

describe('control API: requests', () => {
  test('headers as the protocol has them, signed as sent', LIMIT, async () => {
    const { server, control } = await setUp(() => ok({}))
    await control.modifyConsumerGroup(group)
    const { headers, body, url } = server.received[0] ?? assert.fail('nothing was sent')
    assert.equal(url, '/')
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['x-tc-action'], 'ModifyConsumerGroup')
    assert.equal(headers['x-tc-version'], '2020-10-16')
    assert.equal(headers['x-tc-region'], 'ap-guangzhou')
    assert.equal(headers['x-tc-language'], 'zh-CN')
    assert.equal(headers['x-tc-token'], undefined)
    const nowSeconds = Number(headers['x-tc-timestamp'])
    assert.ok(Math.abs(nowSeconds - Date.now() / 1000) < 10)
    const signed = signTc3({
      ...credentials,
      host: headers.host ?? '',
      contentType: 'application/json',
      body,
      nowSeconds
    })
    assert.equal(headers.authorization, signed)
  })

  test('temporary credentials send their token by both names; without a region none is named', LIMIT, async () => {
    const { server, control } = await setUp(() => ok({}), {
      credentials: { ...credentials, token: 'tok' },
      region: undefined
    })
    await control.deleteConsumerGroup('g')
    const { headers } = server.received[0] ?? assert.fail('nothing was sent')
    assert.equal(headers['x-tc-token'], 'tok')
    assert.equal(headers['x-cls-token'], 'tok')
    assert.ok(!('x-tc-region' in headers))
  })

  test('bodies of the group actions', LIMIT, async () => {
    const { control, body } = await setUp(() => ok({ TopicPartitionsInfo: [], ConsumerGroupsInfo: [], Partitions: [] }))
    const LogsetId = 'logset-1'
    assert.equal(await control.createConsumerGroup(group), true)
    await control.modifyConsumerGroup(group)
    await control.deleteConsumerGroup('g')
    await control.describeConsumerGroups(['t1'])
    await control.describeConsumerGroups([])
    await control.sendConsumerHeartbeat({ group: 'g', consumer: 'c', held: [{ topicId: 't1', partitions: [0, 3] }] })
    const whole = { LogsetId, ConsumerGroup: 'g', Timeout: 40, Topics: ['t1', 't2'] }
    assert.deepEqual(body(0), whole)
    assert.deepEqual(body(1), whole)
    assert.deepEqual(body(2), { LogsetId, ConsumerGroup: 'g' })
    assert.deepEqual(body(3), { LogsetId, Topics: ['t1'] })
    assert.deepEqual(body(4), { LogsetId })
    assert.deepEqual(body(5), {
      LogsetId,
      ConsumerGroup: 'g',
      Consumer: 'c',
      TopicPartitionsInfo: [{ TopicID: 't1', Partitions: [0, 3] }],
      PartitionStrategy: 2
    })
  })

  test(
    'bodies of the offset and partition actions: PartitionId is a string in one, offsets are exact',
    LIMIT,
    async () => {
      const { server, control, body } = await setUp(({ headers }) =>
        headers['x-tc-action'] === 'DescribeConsumerOffsets' ? { body: offsets('[]') } : ok({ Partitions: [] })
      )
      const base = { LogsetId: 'logset-1', ConsumerGroup: 'g', TopicId: 't1' }
      await control.describeConsumerOffsets({ ...ask, partition: 3, own: true })
      await control.describeConsumerOffsets({ ...ask, from: 1_700_000_000.9 })
      assert.deepEqual(body(0), { ...base, PartitionId: '3', From: 'begin', OffsetType: 1 })
      assert.deepEqual(body(1), { ...base, From: '1700000000' })

      const at = (topicId: string, partition: number, offset: bigint) => ({ topicId, partition, offset })
      const commits = [at('t1', 0, 2n ** 63n - 1n), at('t2', 1, 0n), at('t1', 2, 2n ** 53n + 1n)]
      await control.commitConsumerOffsets({ group: 'g', consumer: 'c', offsets: commits })
      assert.equal(
        server.received[2]?.body,
        '{"LogsetId":"logset-1","ConsumerGroup":"g","Consumer":"c","TopicPartitionOffsetsInfo":[' +
          '{"TopicID":"t1","PartitionOffsets":[{"PartitionId":0,"Offset":9223372036854775807},{"PartitionId":2,"Offset":9007199254740993}]},' +
          '{"TopicID":"t2","PartitionOffsets":[{"PartitionId":1,"Offset":0}]}]}'
      )

      await control.describePartitions('t1')
      await control.splitPartition({ topicId: 't1', partition: 4 })
      await control.splitPartition({ topicId: 't1', partition: 4, count: 3 })
      await control.mergePartition({ topicId: 't1', partition: 4 })
      assert.deepEqual([3, 4, 5, 6].map(body), [
        { TopicId: 't1' },
        { TopicId: 't1', PartitionId: 4, Number: 2 },
        { TopicId: 't1', PartitionId: 4, Number: 3 },
        { TopicId: 't1', PartitionId: 4 }
      ])
    }
  )
})

describe('control API: answers', () => {
  test('a group that exists already is told from every other error by the text alone', LIMIT, async () => {
    const { server, control } = await setUp((_request, index) =>
      refusal(
        index === 0 ? 'FailedOperation' : index === 1 ? 'InternalError' : 'FailedOperation',
        index < 2 ? '[x] consumer group already exists: g' : 'other'
      )
    )
    assert.equal(await control.createConsumerGroup(group), false)
    assert.equal(await control.createConsumerGroup(group), false)
    assert.equal(server.received.length, 2)
    await rejection('API_REFUSED', control.createConsumerGroup(group))
  })

  test('groups, assignments and partitions are read; null lists are empty', LIMIT, async () => {
    const answers = [
      ok({
        ConsumerGroupsInfo: [
          { ConsumerGroup: 'g', Timeout: 40, Topics: ['t1'] },
          { ConsumerGroup: 'h', Timeout: 6, Topics: null }
        ]
      }),
      ok({ ConsumerGroupsInfo: null }),
      ok({
        TopicPartitionsInfo: [
          { TopicID: 't1', Partitions: [0, 7] },
          { TopicID: 't2', Partitions: null }
        ]
      }),
      ok({ TopicPartitionsInfo: null }),
      ok({ ConsumerGroup: 'g' }),
      ok({
        Partitions: [
          {
            PartitionId: 1,
            Status: 'readwrite',
            InclusiveBeginKey: '0',
            ExclusiveEndKey: '8'.padEnd(32, '0'),
            CreateTime: 'T',
            LastWriteTime: ''
          },
          {
            PartitionId: 2,
            Status: 'readonly',
            InclusiveBeginKey: 'F'.padEnd(32, '0'),
            ExclusiveEndKey: '1'.padEnd(33, '0')
          }
        ]
      })
    ]
    const { control } = await setUp((_request, index) => answers[index] ?? ok({}))
    const beat = { group: 'g', consumer: 'c', held: [] }
    assert.deepEqual(await control.describeConsumerGroups(['t1']), [
      { group: 'g', timeoutSeconds: 40, topicIds: ['t1'] },
      { group: 'h', timeoutSeconds: 6, topicIds: [] }
    ])
    assert.deepEqual(await control.describeConsumerGroups(['t1']), [])
    assert.deepEqual(await control.sendConsumerHeartbeat(beat), [
      { topicId: 't1', partitions: [0, 7] },
      { topicId: 't2', partitions: [] }
    ])
    assert.deepEqual(await control.sendConsumerHeartbeat(beat), [])
    assert.deepEqual(await control.sendConsumerHeartbeat(beat), [])
    assert.deepEqual(await control.describePartitions('t1'), [
      { partition: 1, status: 'readwrite', beginKey: '0'.repeat(32), endKey: '8'.padEnd(32, '0'), createTime: 'T' },
      { partition: 2, status: 'readonly', beginKey: 'f'.padEnd(32, '0'), endKey: 'f'.repeat(32), createTime: '' }
    ])
  })

  test(
    'I10: offsets are exact; 0 is a position; -1, null and absent are none; other topics are left out',
    LIMIT,
    async () => {
      const entries = [
        '{"PartitionId":0,"Offset":9007199254740993}',
        '{"PartitionId":"1","Offset":9223372036854775807}',
        '{"PartitionId":2,"Offset":0}',
        '{"PartitionId":3,"Offset":-1}',
        '{"PartitionId":4,"Offset":null}',
        '{"PartitionId":5}'
      ]
      const other = '{"TopicID":"t9","PartitionOffsets":[{"PartitionId":6,"Offset":5}]}'
      const whole = offsets(`[${entries}]`).replace('[{"TopicID"', `[${other},{"TopicID"`)
      const { control } = await setUp(() => ({ body: whole }))
      const expected = new Map([
        [0, 2n ** 53n + 1n],
        [1, 2n ** 63n - 1n],
        [2, 0n]
      ])
      assert.deepEqual(await control.describeConsumerOffsets(ask), expected)
    }
  )

  const wrong = [
    '{"Response":{"RequestId":"r"}}',
    '{"Response":{"TopicPartitionOffsetsInfo":{}}}',
    '{"Response":{"TopicPartitionOffsetsInfo":[null]}}',
    '{"Response":{"TopicPartitionOffsetsInfo":[{"TopicID":"t1"}]}}',
    '{"Response":{"TopicPartitionOffsetsInfo":[{"PartitionOffsets":[]}]}}',
    offsets('{}'),
    offsets('[5]'),
    offsets('[{"PartitionId":-1,"Offset":5}]'),
    offsets('[{"PartitionId":0.5,"Offset":5}]'),
    offsets('[{"PartitionId":0,"Offset":"none"}]'),
    offsets('[{"PartitionId":0,"Offset":1.5}]'),
    offsets('[{"PartitionId":0,"Offset":-2}]'),
    offsets('[{"PartitionId":0,"Offset":9223372036854775808}]')
  ]
  for (const body of wrong) {
    test(`I6: ${body.slice(12, 110)} is API_MALFORMED, never "no offset"`, LIMIT, async () => {
      const { control } = await setUp(() => ({ body }), {}, realClock, 0.99)
      const error = await rejection(
        'API_MALFORMED',
        control.describeConsumerOffsets({ ...ask, partition: 0 }, { deadlineMs: 190 })
      )
      assert.equal(error.place.topicId, 't1')
      assert.equal(error.place.httpStatus, 200)
    })
  }

  test('I6: null lists of offsets are read as empty', LIMIT, async () => {
    const bodies = ['{"Response":{"TopicPartitionOffsetsInfo":null}}', offsets('null')]
    const { control } = await setUp((_request, index) => ({ body: bodies[index] ?? '' }))
    assert.deepEqual(await control.describeConsumerOffsets(ask), new Map())
    assert.deepEqual(await control.describeConsumerOffsets(ask), new Map())
  })

  test('I6: an error is not "no offset": it is thrown', LIMIT, async () => {
    const { control } = await setUp(() => refusal('ResourceNotFound.TopicNotExist', 'no such topic'))
    const error = await rejection('API_NOT_FOUND', control.describeConsumerOffsets(ask))
    assert.match(error.message, /no such topic/)
  })

  test('partitions with an unknown status or no list are API_MALFORMED', LIMIT, async () => {
    const keys = { InclusiveBeginKey: '0', ExclusiveEndKey: 'f' }
    const answers = [
      ok({}),
      ok({ Partitions: [{ PartitionId: 1, Status: 'gone', ...keys }] }),
      ok({ Partitions: [{ PartitionId: 1, Status: 'readonly' }] })
    ]
    for (const answer of answers) {
      const { control } = await setUp(() => answer, {}, realClock, 0.99)
      await rejection('API_MALFORMED', control.describePartitions('t1', { deadlineMs: 190 }))
    }
  })
})

describe('control API: retries', () => {
  test('transport faults, throttling and 5xx are tried again, signed anew, each with a log line', LIMIT, async () => {
    let nowMs = 1_700_000_000_000
    const clock = { now: () => (nowMs += 1000), monotonic: realClock.monotonic }
    const script: Scripted[] = [
      response => response.destroy(),
      refusal('RequestLimitExceeded'),
      { status: 503, body: '<html>' },
      { body: '{"Resp' },
      ok({})
    ]
    const { server, control, log } = await setUp((_request, index) => script[index] ?? ok({}), {}, clock)
    await control.deleteConsumerGroup('g')
    assert.equal(server.received.length, 5)
    assert.equal(new Set(server.received.map(({ headers }) => headers.authorization)).size, 5)
    assert.deepEqual(
      log.lines.map(({ message, fields }) => [message, fields.action, fields.code, fields.waitMs]),
      ['API_UNREACHABLE', 'API_THROTTLED', 'API_UNAVAILABLE', 'API_MALFORMED'].map(code => [
        'retried',
        'DeleteConsumerGroup',
        code,
        0
      ])
    )
  })

  test('a refusal is final', LIMIT, async () => {
    const { server, control } = await setUp(() => refusal('OperationDenied.ACLFailed'))
    await rejection('API_REFUSED', control.deleteConsumerGroup('g'))
    assert.equal(server.received.length, 1)
  })

  test('the caller’s deadline ends the call', LIMIT, async () => {
    const { control } = await setUp(() => () => {})
    const error = await rejection('API_TIMEOUT', control.deleteConsumerGroup('g', { deadlineMs: 50 }))
    assert.match(error.message, /within the 50 ms/)
  })

  test('the caller’s signal ends the call with its reason', LIMIT, async () => {
    const controller = new AbortController()
    const reason = new Error('stop')
    const { control } = await setUp(() => () => controller.abort(reason))
    await assert.rejects(control.deleteConsumerGroup('g', { signal: controller.signal }), reason)
  })
})
