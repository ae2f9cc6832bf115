import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { signTc3 } from '../../src/cls/sign-tc3.ts'
import { realClock } from '../../src/real-world.ts'
import { rejection } from './fakes.ts'
import { ok, refusal, type Scripted } from './scripted-server.ts'
import { CREDENTIALS, LIMIT, setUpService } from './service-setup.ts'

const group = { group: 'g', timeoutSeconds: 40, topicIds: ['t1', 't2'] }
const ask = { group: 'g', topicId: 't1', from: 'begin' } as const

describe('control API: requests', () => {
  test('headers as the protocol has them, signed as sent', LIMIT, async () => {
    const { server, control } = await setUpService(() => ok({}))
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
      ...CREDENTIALS,
      host: headers.host ?? '',
      contentType: 'application/json',
      body,
      nowSeconds
    })
    assert.equal(headers.authorization, signed)
  })

  test('temporary credentials send their token by both names; without a region none is named', LIMIT, async () => {
    const { server, control } = await setUpService(() => ok({}), {
      credentials: { ...CREDENTIALS, token: 'tok' },
      region: undefined
    })
    await control.deleteConsumerGroup('g')
    const { headers } = server.received[0] ?? assert.fail('nothing was sent')
    assert.equal(headers['x-tc-token'], 'tok')
    assert.equal(headers['x-cls-token'], 'tok')
    assert.ok(!('x-tc-region' in headers))
  })

  test('bodies of the group actions', LIMIT, async () => {
    const { control, body } = await setUpService(() =>
      ok({ TopicPartitionsInfo: [], ConsumerGroupsInfo: [], Partitions: [] })
    )
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
      const { server, control, body } = await setUpService(({ headers }) =>
        headers['x-tc-action'] === 'DescribeConsumerOffsets'
          ? ok({ TopicPartitionOffsetsInfo: null })
          : ok({ Partitions: [] })
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
      await control.splitPartition({ topicId: 't1', partition: 4, splitKey: '8'.repeat(32) })
      await control.mergePartition({ topicId: 't1', partition: 4 })
      assert.deepEqual([3, 4, 5, 6, 7].map(body), [
        { TopicId: 't1' },
        { TopicId: 't1', PartitionId: 4, Number: 2 },
        { TopicId: 't1', PartitionId: 4, Number: 3 },
        { TopicId: 't1', PartitionId: 4, SplitKey: '8'.repeat(32) },
        { TopicId: 't1', PartitionId: 4 }
      ])
    }
  )
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
    const { server, control, log } = await setUpService((_request, index) => script[index] ?? ok({}), {}, { clock })
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

  test(
    'whenUnsure fail: a try whose fate is unknown is told at once, what was surely refused is tried again',
    LIMIT,
    async () => {
      const script: Scripted[] = [refusal('RequestLimitExceeded'), response => response.destroy(), ok({})]
      const { server, control } = await setUpService((_request, index) => script[index] ?? ok({}))
      await rejection('API_UNREACHABLE', control.deleteConsumerGroup('g', { whenUnsure: 'fail' }))
      assert.equal(server.received.length, 2)
    }
  )

  /** Says yes to the first so many questions. */
  const saying = (yesCount: number) => () => yesCount-- > 0

  test('a call that its caller withdraws before its first try is never sent', LIMIT, async () => {
    const { server, control } = await setUpService(() => ok({}))
    await rejection('CALL_WITHDRAWN', control.deleteConsumerGroup('g', { maySend: saying(0) }))
    assert.equal(server.received.length, 0)
  })

  for (const [title, scripted] of [
    ['refused for its rate', refusal('RequestLimitExceeded')],
    ['refused for its clock', refusal('AuthFailure.SignatureExpire')]
  ] as const) {
    test(`I3: a call that was ${title} is not sent again once its caller has withdrawn it`, LIMIT, async () => {
      const { server, control } = await setUpService(() => scripted)
      // Asked before the first try, after its refusal, and before the next try.
      const error = control.deleteConsumerGroup('g', { maySend: saying(2) })
      await rejection('CALL_WITHDRAWN', error)
      assert.equal(server.received.length, 1)
    })
  }

  test('a call that was withdrawn while a try was under way ends with what became of that try', LIMIT, async () => {
    const { server, control, log } = await setUpService(() => refusal('RequestLimitExceeded'))
    await rejection('API_THROTTLED', control.deleteConsumerGroup('g', { maySend: saying(1) }))
    assert.deepEqual([server.received.length, log.lines], [1, []], 'it waits for no try that cannot come')
  })

  test('a try under way when its call is withdrawn still counts', LIMIT, async () => {
    const { control } = await setUpService(() => ok({}))
    await control.deleteConsumerGroup('g', { maySend: saying(1) })
  })

  test('a refusal is final', LIMIT, async () => {
    const { server, control } = await setUpService(() => refusal('OperationDenied.ACLFailed'))
    await rejection('API_REFUSED', control.deleteConsumerGroup('g'))
    assert.equal(server.received.length, 1)
  })

  test('the caller’s deadline ends the call', LIMIT, async () => {
    const { control } = await setUpService(() => () => {})
    const error = await rejection('API_TIMEOUT', control.deleteConsumerGroup('g', { deadlineMs: 50 }))
    assert.match(error.message, /within the 50 ms/)
  })

  test('the caller’s signal ends the call with its reason', LIMIT, async () => {
    const controller = new AbortController()
    const reason = new Error('stop')
    const { control } = await setUpService(() => () => controller.abort(reason))
    await assert.rejects(control.deleteConsumerGroup('g', { signal: controller.signal }), reason)
  })
})
