/**
 * The service's official API client, as it comes from npm, against an emulator in a process of its own.
 *
 * In: calls of its typed methods. Out: answers in the shape of its models, their effect on what the emulator holds, and
 * for each refusal the service's code. Must never happen: a refused call that changed something; a test that adjusts the
 * client beyond its options.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type EmulatorHandle, type EmulatorSnapshot, startEmulator } from '../../src/emulator/start.ts'
import { fieldsOf, type Sdk, sdkOf } from './official-sdk.ts'

const BOUNDED = { timeout: 30_000 } as const
const START = 7n

let emulator: EmulatorHandle
let sdk: Sdk
/** Tests share the emulator, not their groups; topics that tests split are theirs alone. */
let [topic, otherTopic, splitTopic, lastTopic] = ['', '', '', '']
before(async () => {
  emulator = await startEmulator({ process: 'child', topicCount: 4, partitionCount: 2, startOffset: START })
  sdk = sdkOf(emulator)
  ;[topic = '', otherTopic = '', splitTopic = '', lastTopic = ''] = emulator.topicIds
})
after(() => emulator.stop())

const inGroup = (name: string) => ({ LogsetId: emulator.logsetId, ConsumerGroup: name })
const seconds = (): number => Math.floor(Date.now() / 1000)

async function groupState(name: string): Promise<EmulatorSnapshot['groups'][number] | undefined> {
  return (await emulator.snapshot()).groups.find(({ group }) => group === name)
}

test('a group is created, found by its topics, modified and deleted', BOUNDED, async () => {
  const group = inGroup('life')
  const created = await sdk.CreateConsumerGroup({ ...group, Timeout: 10, Topics: [topic] })
  assert.deepEqual(fieldsOf(created), { ConsumerGroup: 'life' })
  const { timeoutSeconds, topicIds, consumers } = (await groupState('life')) ?? {}
  assert.deepEqual([timeoutSeconds, topicIds, consumers], [10, [topic], []])

  const find = async (Topics?: string[]) => {
    const request = { LogsetId: emulator.logsetId, ...(Topics === undefined ? {} : { Topics }) }
    const { ConsumerGroupsInfo = [], ...rest } = fieldsOf(await sdk.DescribeConsumerGroups(request))
    assert.deepEqual(rest, {})
    return ConsumerGroupsInfo.filter(({ ConsumerGroup }) => ConsumerGroup === 'life')
  }
  const info = { ConsumerGroup: 'life', Timeout: 10, Topics: [topic] }
  assert.deepEqual([await find(), await find([topic]), await find([otherTopic])], [[info], [info], []])

  const Topics = [topic, otherTopic]
  assert.deepEqual(fieldsOf(await sdk.ModifyConsumerGroup({ ...group, Timeout: 20, Topics })), {})
  assert.deepEqual(await find([otherTopic]), [{ ...info, Timeout: 20, Topics }])
  const modified = await groupState('life')
  assert.deepEqual([modified?.timeoutSeconds, modified?.topicIds], [20, Topics])

  assert.deepEqual(fieldsOf(await sdk.DeleteConsumerGroup(group)), {})
  assert.deepEqual([await find(), await groupState('life')], [[], undefined])
})

test('heartbeats join, share the partitions, and hand one over once its owner leaves it out', BOUNDED, async () => {
  const group = inGroup('beats')
  await sdk.CreateConsumerGroup({ ...group, Timeout: 60, Topics: [topic] })
  const beat = async (Consumer: string, held: number[]): Promise<number[]> => {
    const TopicPartitionsInfo = [{ TopicID: topic, Partitions: held }]
    const answer = fieldsOf(await sdk.SendConsumerHeartbeat({ ...group, Consumer, TopicPartitionsInfo }))
    assert.equal(answer.ConsumerGroup, 'beats')
    const [first, ...others] = answer.TopicPartitionsInfo ?? []
    assert.deepEqual([first?.TopicID ?? topic, others], [topic, []])
    return (first?.Partitions ?? []).map(Number)
  }
  const owners = async () => (await groupState('beats'))?.partitions.map(({ owner }) => owner)

  assert.deepEqual(
    [await beat('A', []), await owners()],
    [
      [0, 1],
      ['A', 'A']
    ]
  )
  assert.deepEqual([await beat('B', []), await owners()], [[], ['A', 'A']])
  const kept = await beat('A', [0, 1])
  assert.equal(kept.length, 1)
  assert.deepEqual(await owners(), ['A', 'A'], 'A still lists both')
  assert.deepEqual(await beat('A', kept), kept)
  const given = await beat('B', [])
  assert.deepEqual([...kept, ...given].sort(), [0, 1])
  assert.deepEqual(await owners(), kept[0] === 0 ? ['A', 'B'] : ['B', 'A'])
})

describe('offsets', () => {
  type Answer = Awaited<ReturnType<Sdk['DescribeConsumerOffsets']>>
  /** By partition. */
  const offsetsIn = (answer: Answer, name: string): [number, number | undefined][] => {
    const { ConsumerGroup, TopicPartitionOffsetsInfo = [] } = fieldsOf(answer)
    assert.deepEqual([ConsumerGroup, TopicPartitionOffsetsInfo.map(({ TopicID }) => TopicID)], [name, [topic]])
    return TopicPartitionOffsetsInfo.flatMap(({ PartitionOffsets }) =>
      PartitionOffsets.map(({ PartitionId, Offset }): [number, number | undefined] => [PartitionId, Offset])
    )
  }

  test('a position is answered until one is committed, and from then on the committed one', BOUNDED, async () => {
    const group = inGroup('offsets')
    await sdk.CreateConsumerGroup({ ...group, Timeout: 60, Topics: [topic] })
    await sdk.SendConsumerHeartbeat({ ...group, Consumer: 'A', TopicPartitionsInfo: [] })
    const ask = async (fields: { From: string; PartitionId?: string; OffsetType?: number }) =>
      offsetsIn(await sdk.DescribeConsumerOffsets({ ...group, TopicId: topic, ...fields }), 'offsets')
    const committed = async () => (await groupState('offsets'))?.partitions.map(entry => entry.committedOffset)
    const start = Number(START)

    assert.deepEqual(await ask({ From: 'end', PartitionId: '1' }), [[1, start]])
    for (const From of ['begin', 'end', String(seconds())]) {
      assert.deepEqual(await ask({ From }), [
        [0, start],
        [1, start]
      ])
    }
    assert.deepEqual(await committed(), [null, null])

    // Below the log's own begin: the answer is then certain to be the committed offset, and not a position.
    const TopicPartitionOffsetsInfo = [{ TopicID: topic, PartitionOffsets: [{ PartitionId: 1, Offset: 5 }] }]
    const commit = { ...group, Consumer: 'A', TopicPartitionOffsetsInfo }
    assert.deepEqual(fieldsOf(await sdk.CommitConsumerOffsets(commit)), {})
    assert.deepEqual(await committed(), [null, 5n])
    assert.deepEqual(await ask({ From: 'end' }), [
      [0, start],
      [1, 5]
    ])
    assert.deepEqual(await ask({ From: 'end', PartitionId: '1', OffsetType: 1 }), [[1, start]], "the log's own end")
  })

  test('without a topic, positions in every topic of the group are answered', BOUNDED, async () => {
    const group = inGroup('all')
    await sdk.CreateConsumerGroup({ ...group, Timeout: 60, Topics: [topic, otherTopic] })
    const { TopicPartitionOffsetsInfo } = await sdk.DescribeConsumerOffsets({ ...group, From: 'begin' })
    const PartitionOffsets = [0, 1].map(PartitionId => ({ PartitionId, Offset: Number(START) }))
    assert.deepEqual(
      TopicPartitionOffsetsInfo,
      [topic, otherTopic].map(TopicID => ({ TopicID, PartitionOffsets }))
    )
  })

  test('an offset above 2^53 is stored as the client wrote it', BOUNDED, async () => {
    const big = 2n ** 53n + 1n
    const far = await startEmulator({ process: 'child', topicCount: 1, partitionCount: 1, startOffset: big })
    try {
      const [TopicID = ''] = far.topicIds
      const [client, group] = [sdkOf(far), { LogsetId: far.logsetId, ConsumerGroup: 'far' }]
      await client.CreateConsumerGroup({ ...group, Timeout: 60, Topics: [TopicID] })
      await client.SendConsumerHeartbeat({ ...group, Consumer: 'A', TopicPartitionsInfo: [] })
      // Its model says `number`; its JSON writer takes a bigint, which its untyped call lets through.
      const TopicPartitionOffsetsInfo = [{ TopicID, PartitionOffsets: [{ PartitionId: 0, Offset: big }] }]
      await client.request('CommitConsumerOffsets', { ...group, Consumer: 'A', TopicPartitionOffsetsInfo })
      const [stored] = (await far.snapshot()).groups
      assert.equal(stored?.partitions[0]?.committedOffset, big)
    } finally {
      await far.stop()
    }
  })
})

describe('partitions', () => {
  // As the service cuts them: halves of the largest key, rounded down.
  const HALF = `7${'f'.repeat(31)}`
  const [FIRST, LAST] = ['0'.repeat(32), 'f'.repeat(32)]
  type Infos = Awaited<ReturnType<Sdk['DescribePartitions']>>['Partitions']
  const rangesOf = (partitions: Infos) =>
    (partitions ?? []).map(({ PartitionId, Status, InclusiveBeginKey, ExclusiveEndKey, CreateTime }) => {
      assert.match(CreateTime ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
      return [PartitionId, Status, InclusiveBeginKey, ExclusiveEndKey]
    })
  const states = async (id: string) => {
    const found = (await emulator.snapshot()).topics.find(({ topicId }) => topicId === id)
    return found?.partitions.map(({ partition, status }) => [partition, status])
  }

  test(
    'a topic tells its partitions with their key ranges, splits one in equal parts, and merges two',
    BOUNDED,
    async () => {
      const TopicId = splitTopic
      const described = async () => rangesOf(fieldsOf(await sdk.DescribePartitions({ TopicId })).Partitions)
      const whole = [0, 'readwrite', FIRST, HALF]
      const second = [1, 'readwrite', HALF, LAST]
      assert.deepEqual(await described(), [whole, second])

      const quarter = `3${'f'.repeat(31)}`
      const split = fieldsOf(await sdk.SplitPartition({ TopicId, PartitionId: 0 }))
      const parent = [0, 'readonly', FIRST, HALF]
      const children = [
        [2, 'readwrite', FIRST, quarter],
        [3, 'readwrite', quarter, HALF]
      ]
      assert.deepEqual(rangesOf(split.Partitions), [parent, ...children])
      assert.deepEqual(await described(), [parent, second, ...children])

      const merged = fieldsOf(await sdk.MergePartition({ TopicId, PartitionId: 3 }))
      const ended = [
        [3, 'readonly', quarter, HALF],
        [1, 'readonly', HALF, LAST]
      ]
      const union = [4, 'readwrite', quarter, LAST]
      assert.deepEqual(rangesOf(merged.Partitions), [...ended, union])
      const ids = [0, 1, 2, 3, 4]
      const writable = new Set([2, 4])
      assert.deepEqual(
        await states(TopicId),
        ids.map(id => [id, writable.has(id) ? 'readwrite' : 'readonly'])
      )
    }
  )

  test('a split takes a number of parts, or the key at which to cut', BOUNDED, async () => {
    const TopicId = lastTopic
    const cut = `${'0'.repeat(31)}5`
    const two = fieldsOf(await sdk.SplitPartition({ TopicId, PartitionId: 0, SplitKey: cut }))
    assert.deepEqual(rangesOf(two.Partitions).slice(1), [
      [2, 'readwrite', FIRST, cut],
      [3, 'readwrite', cut, HALF]
    ])
    const three = fieldsOf(await sdk.SplitPartition({ TopicId, PartitionId: 1, Number: 3 }))
    const parts = rangesOf(three.Partitions).slice(1)
    assert.deepEqual(
      parts.map(([id, status]) => [id, status]),
      [4, 5, 6].map(id => [id, 'readwrite'])
    )
    const bounds = [...parts.map(([, , from]) => from), parts.at(-1)?.[3]]
    assert.deepEqual([bounds[0], bounds.at(-1)], [HALF, LAST])
    assert.deepEqual(bounds, [...bounds].sort())
    for (const [index, [, , , to]] of parts.entries()) assert.equal(to, bounds[index + 1], 'parts touch')
  })
})
