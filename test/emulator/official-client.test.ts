import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommonClient } from 'tencentcloud-sdk-nodejs-common'
import { startEmulator } from '../../src/emulator/start.ts'

test("the service's official client works against it unchanged", { timeout: 60_000 }, async () => {
  const emulator = await startEmulator({ process: 'child', partitionCount: 2, startOffset: 7n })
  try {
    const { secretId, secretKey, region, logsetId, topicIds, endpoint } = emulator
    const clientOf = (key: string) =>
      new CommonClient(new URL(endpoint).host, '2020-10-16', {
        credential: { secretId, secretKey: key },
        region,
        profile: { language: 'zh-CN', httpProfile: { protocol: 'http://', reqTimeout: 10 } }
      })
    const client = clientOf(secretKey)
    const [topicId] = topicIds
    const group = { LogsetId: logsetId, ConsumerGroup: 'sdk' }

    const none = await client.request('DescribeConsumerGroups', { LogsetId: logsetId, Topics: null })
    assert.deepEqual(none.ConsumerGroupsInfo, [])
    await client.request('CreateConsumerGroup', { ...group, Timeout: 10, Topics: [topicId] })
    const twice = client.request('CreateConsumerGroup', { ...group, Timeout: 10, Topics: [topicId] })
    await assert.rejects(twice, { code: 'FailedOperation', message: /consumer group already exists/ })
    const beat = await client.request('SendConsumerHeartbeat', { ...group, Consumer: 'A', TopicPartitionsInfo: [] })
    assert.deepEqual(beat.TopicPartitionsInfo, [{ TopicID: topicId, Partitions: [0, 1] }])
    const offsets = await client.request('DescribeConsumerOffsets', {
      ...group,
      TopicId: topicId,
      PartitionId: '1',
      From: 'end'
    })
    assert.deepEqual(offsets.TopicPartitionOffsetsInfo, [
      { TopicID: topicId, PartitionOffsets: [{ PartitionId: 1, Offset: 7 }] }
    ])

    const refused = clientOf('wrong').request('DescribeConsumerGroups', { LogsetId: logsetId })
    await assert.rejects(refused, { code: 'AuthFailure.SignatureFailure' })
  } finally {
    await emulator.stop()
  }
})
