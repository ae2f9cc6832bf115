import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { rejection } from './fakes.ts'
import { ok, refusal } from './scripted-server.ts'
import { LIMIT, setUpService } from './service-setup.ts'

const group = { group: 'g', timeoutSeconds: 40, topicIds: ['t1', 't2'] }
const ask = { group: 'g', topicId: 't1', from: 'begin' } as const
const offsets = (entries: string) =>
  `{"Response":{"TopicPartitionOffsetsInfo":[{"TopicID":"t1","PartitionOffsets":${entries}}],"RequestId":"r"}}`

describe('control API: answers', () => {
  test('a group that exists already is told from every other error by the text alone', LIMIT, async () => {
    const { server, control } = await setUpService((_request, index) =>
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
    const { control } = await setUpService((_request, index) => answers[index] ?? ok({}))
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
        '{"PartitionId":5}',
        '{"PartitionId":6,"Offset":"-1"}',
        '{"PartitionId":7,"Offset":5,"Offset":null}'
      ]
      const other = '{"TopicID":"t9","PartitionOffsets":[{"PartitionId":6,"Offset":5}]}'
      const whole = offsets(`[${entries}]`).replace('[{"TopicID"', `[${other},{"TopicID"`)
      const { control } = await setUpService(() => ({ body: whole }))
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
      const { control } = await setUpService(() => ({ body }), {}, { luck: 0.99 })
      const error = await rejection(
        'API_MALFORMED',
        control.describeConsumerOffsets({ ...ask, partition: 0 }, { deadlineMs: 190 })
      )
      assert.equal(error.place.topicId, 't1')
      assert.equal(error.place.httpStatus, 200)
    })
  }

  test('I6: null lists of offsets are read as empty', LIMIT, async () => {
    const bodies = [
      '{"Response":{"TopicPartitionOffsetsInfo":null}}',
      offsets('null'),
      '{"Response":{"TopicPartitionOffsetsInfo":[]}}',
      offsets('[]')
    ]
    const { control } = await setUpService((_request, index) => ({ body: bodies[index] ?? '' }))
    for (const _ of bodies) assert.deepEqual(await control.describeConsumerOffsets(ask), new Map())
  })

  test('I6: OffsetType refused is an error of its own, never "no offset", and is not tried again', LIMIT, async () => {
    const { server, control } = await setUpService(() => refusal('InvalidParameter', 'OffsetType'))
    const error = await rejection('API_REFUSED', control.describeConsumerOffsets({ ...ask, own: true }))
    assert.equal(error.place.serviceCode, 'InvalidParameter')
    assert.equal(error.remedy, 'stop')
    assert.equal(server.received.length, 1)
  })

  test('I6: an error is not "no offset": it is thrown', LIMIT, async () => {
    const { control } = await setUpService(() => refusal('ResourceNotFound.TopicNotExist', 'no such topic'))
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
      const { control } = await setUpService(() => answer, {}, { luck: 0.99 })
      await rejection('API_MALFORMED', control.describePartitions('t1', { deadlineMs: 190 }))
    }
  })
})
