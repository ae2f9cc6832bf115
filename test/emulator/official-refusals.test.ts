/**
 * What the service's official API client is told where the emulator refuses.
 *
 * In: calls that cannot be granted, one table. Out: the service's code, and a message that names what is wrong. Must never
 * happen: a refused call that changed something.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type EmulatorHandle, type EmulatorSnapshot, startEmulator } from '../../src/emulator/start.ts'
import { type Sdk, sdkOf } from './official-sdk.ts'

const BOUNDED = { timeout: 30_000 } as const
const PARTITION_COUNT_MAX = 3

let emulator: EmulatorHandle
let sdk: Sdk
let [topic, splitTopic] = ['', '']
before(async () => {
  const partitions = { partitionCount: 2, partitionCountMax: PARTITION_COUNT_MAX } as const
  emulator = await startEmulator({ process: 'child', topicCount: 2, ...partitions })
  sdk = sdkOf(emulator)
  ;[topic = '', splitTopic = ''] = emulator.topicIds
  await sdk.CreateConsumerGroup({ ...inGroup('g'), Timeout: 3600, Topics: [topic] })
  await sdk.SendConsumerHeartbeat({ ...inGroup('g'), Consumer: 'owner', TopicPartitionsInfo: [] })
  // Partition 0 becomes read-only; 2 and 3 take its place, and with 1 the topic is full.
  await sdk.SplitPartition({ TopicId: splitTopic, PartitionId: 0 })
})
after(() => emulator.stop())

const inGroup = (name: string) => ({ LogsetId: emulator.logsetId, ConsumerGroup: name })
const asOwner = () => ({ ...inGroup('g'), Consumer: 'owner' })

function offsets(PartitionId: number, Offset: number, TopicID = topic) {
  return { TopicPartitionOffsetsInfo: [{ TopicID, PartitionOffsets: [{ PartitionId, Offset }] }] }
}

interface Refused {
  readonly title: string
  readonly code: string
  readonly message: RegExp
  readonly call: () => Promise<unknown>
}

const GROUP: readonly Refused[] = [
  {
    title: 'a group that exists is not created again',
    code: 'FailedOperation',
    message: /consumer group already exists/,
    call: () => sdk.CreateConsumerGroup({ ...inGroup('g'), Timeout: 10, Topics: [splitTopic] })
  },
  {
    title: 'a group of a topic that does not exist is not created',
    code: 'ResourceNotFound.TopicNotExist',
    message: /no-topic/,
    call: () => sdk.CreateConsumerGroup({ ...inGroup('new'), Timeout: 10, Topics: ['no-topic'] })
  },
  {
    title: 'a group without a timeout is not created',
    code: 'InvalidParameter',
    message: /`Timeout`/,
    call: () => sdk.CreateConsumerGroup({ ...inGroup('new'), Timeout: 0, Topics: [topic] })
  },
  {
    title: 'a group without topics is not created',
    code: 'MissingParameter',
    message: /`Topics`/,
    call: () => sdk.CreateConsumerGroup({ ...inGroup('new'), Timeout: 10, Topics: [] })
  },
  {
    title: 'a group that does not exist is not modified',
    code: 'ResourceNotFound',
    message: /nobody/,
    call: () => sdk.ModifyConsumerGroup({ ...inGroup('nobody'), Timeout: 10, Topics: [topic] })
  },
  {
    title: 'a group that does not exist is not deleted',
    code: 'ResourceNotFound',
    message: /nobody/,
    call: () => sdk.DeleteConsumerGroup(inGroup('nobody'))
  },
  {
    title: 'a group with a consumer that is alive is not deleted',
    code: 'OperationDenied',
    message: /owner/,
    call: () => sdk.DeleteConsumerGroup(inGroup('g'))
  },
  {
    title: 'groups of another logset are not told',
    code: 'ResourceNotFound.LogsetNotExist',
    message: /no-logset/,
    call: () => sdk.DescribeConsumerGroups({ LogsetId: 'no-logset' })
  }
]

const PROGRESS: readonly Refused[] = [
  {
    title: 'a heartbeat in a group that does not exist joins nothing',
    code: 'ResourceNotFound',
    message: /nobody/,
    call: () => sdk.SendConsumerHeartbeat({ ...inGroup('nobody'), Consumer: 'B', TopicPartitionsInfo: [] })
  },
  {
    title: 'a heartbeat without a consumer joins nobody',
    code: 'MissingParameter',
    message: /`Consumer`/,
    call: () => sdk.SendConsumerHeartbeat({ ...inGroup('g'), Consumer: '', TopicPartitionsInfo: [] })
  },
  {
    title: 'offsets of a group that does not exist are not told',
    code: 'ResourceNotFound',
    message: /nobody/,
    call: () => sdk.DescribeConsumerOffsets({ ...inGroup('nobody'), TopicId: topic, From: 'end' })
  },
  {
    title: 'offsets of a topic that the group does not read are not told',
    code: 'InvalidParameter',
    message: /`TopicId`/,
    call: () => sdk.DescribeConsumerOffsets({ ...inGroup('g'), TopicId: splitTopic, From: 'end' })
  },
  {
    title: 'offsets of a partition that does not exist are not told',
    code: 'InvalidParameter',
    message: /no partition 9/,
    call: () => sdk.DescribeConsumerOffsets({ ...inGroup('g'), TopicId: topic, PartitionId: '9', From: 'end' })
  },
  {
    title: 'offsets from nowhere are not told',
    code: 'InvalidParameter',
    message: /`From`/,
    call: () => sdk.DescribeConsumerOffsets({ ...inGroup('g'), TopicId: topic, From: 'yesterday' })
  },
  {
    title: 'a consumer that does not own a partition commits nothing',
    code: 'OperationDenied',
    message: /stranger .* does not own partition 0/,
    call: () => sdk.CommitConsumerOffsets({ ...inGroup('g'), Consumer: 'stranger', ...offsets(0, 0) })
  },
  {
    title: 'a commit that names a partition of another topic commits none of its offsets',
    code: 'OperationDenied',
    message: /owner .* does not own partition 1/,
    call: () => {
      const infos = [...offsets(0, 0).TopicPartitionOffsetsInfo, ...offsets(1, 0, splitTopic).TopicPartitionOffsetsInfo]
      return sdk.CommitConsumerOffsets({ ...asOwner(), TopicPartitionOffsetsInfo: infos })
    }
  },
  {
    title: 'an offset that nobody can have read is not committed',
    code: 'InvalidParameter',
    message: /`Offset`/,
    call: () => sdk.CommitConsumerOffsets({ ...asOwner(), ...offsets(0, 99) })
  },
  {
    title: 'an offset of a topic that does not exist is not committed',
    code: 'ResourceNotFound.TopicNotExist',
    message: /no-topic/,
    call: () => sdk.CommitConsumerOffsets({ ...asOwner(), ...offsets(0, 0, 'no-topic') })
  }
]

const PARTITIONS: readonly Refused[] = [
  {
    title: 'partitions of a topic that does not exist are not told',
    code: 'ResourceNotFound.TopicNotExist',
    message: /no-topic/,
    call: () => sdk.DescribePartitions({ TopicId: 'no-topic' })
  },
  {
    title: 'a read-only partition is not split',
    code: 'OperationDenied',
    message: /read-only/,
    call: () => sdk.SplitPartition({ TopicId: splitTopic, PartitionId: 0 })
  },
  {
    title: 'a partition is not split at a key outside its range',
    code: 'InvalidParameter',
    message: /`SplitKey`/,
    call: () => sdk.SplitPartition({ TopicId: topic, PartitionId: 0, SplitKey: 'f'.repeat(32) })
  },
  {
    title: 'a topic gets no more partitions than it may have',
    code: 'LimitExceeded.Partition',
    message: new RegExp(`${PARTITION_COUNT_MAX} partitions at most`),
    call: () => sdk.SplitPartition({ TopicId: splitTopic, PartitionId: 1 })
  },
  {
    title: 'the last partition has nothing to merge with',
    code: 'OperationDenied',
    message: /no neighbour/,
    call: () => sdk.MergePartition({ TopicId: topic, PartitionId: 1 })
  },
  {
    title: 'a read-only partition is not merged',
    code: 'OperationDenied',
    message: /read-only/,
    call: () => sdk.MergePartition({ TopicId: splitTopic, PartitionId: 0 })
  },
  {
    title: 'a partition that does not exist is not merged',
    code: 'InvalidParameter',
    message: /no partition 9/,
    call: () => sdk.MergePartition({ TopicId: topic, PartitionId: 9 })
  }
]

const SECRETS: readonly Refused[] = [
  {
    title: 'a wrong secret key',
    code: 'AuthFailure.SignatureFailure',
    message: /signature/,
    call: () => sdkOf({ ...emulator, secretKey: 'wrong' }).DeleteConsumerGroup(inGroup('g'))
  },
  {
    title: 'an unknown secret id',
    code: 'AuthFailure.SecretIdNotFound',
    message: /AKIDother/,
    call: () => sdkOf({ ...emulator, secretId: 'AKIDother' }).DeleteConsumerGroup(inGroup('g'))
  }
]

/** All but the moment. */
async function state(): Promise<Omit<EmulatorSnapshot, 'nowMs'>> {
  const { nowMs: _, ...rest } = await emulator.snapshot()
  return rest
}

for (const { title, code, message, call } of [...GROUP, ...PROGRESS, ...PARTITIONS, ...SECRETS]) {
  test(`refused with ${code}, and nothing changed: ${title}`, BOUNDED, async () => {
    const before = await state()
    await assert.rejects(call(), error => {
      assert.ok(error instanceof Error && 'code' in error && 'requestId' in error, String(error))
      assert.deepEqual([error.code, message.test(error.message)], [code, true], error.message)
      assert.match(String(error.requestId), /\S/)
      return true
    })
    assert.deepEqual(await state(), before)
  })
}

describe('credentials', () => {
  test('temporary ones work with their token alone, and no longer once another one is valid', BOUNDED, async () => {
    const guarded = await startEmulator({ process: 'child', token: 'first' })
    try {
      const describeAs = (token?: string) =>
        sdkOf({ ...guarded, ...(token === undefined ? {} : { token }) }).DescribeConsumerGroups({
          LogsetId: guarded.logsetId
        })
      const stale = { code: 'AuthFailure.TokenFailure' }
      assert.deepEqual((await describeAs('first')).ConsumerGroupsInfo, [])
      await assert.rejects(describeAs(), stale)
      await guarded.setCredentials({ token: 'second' })
      await assert.rejects(describeAs('first'), stale)
      assert.deepEqual((await describeAs('second')).ConsumerGroupsInfo, [])
    } finally {
      await guarded.stop()
    }
  })

  test('a signature from a clock that is 10 minutes off has expired', BOUNDED, async () => {
    const early = await startEmulator({ process: 'child', clockSkewMs: 600_000 })
    try {
      const describe = () => sdkOf(early).DescribeConsumerGroups({ LogsetId: early.logsetId })
      await assert.rejects(describe(), { code: 'AuthFailure.SignatureExpire' })
      await early.setClockSkew(0)
      assert.deepEqual((await describe()).ConsumerGroupsInfo, [])
    } finally {
      await early.stop()
    }
  })
})
