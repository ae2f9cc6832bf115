/**
 * SplitPartition: ends writing to a partition and gives its key range, in equal parts, to `Number` new ones (2 where
 * nothing is said), or to two that meet at `SplitKey`. The key belongs to the second; with three parts or more it has no
 * effect, as at the service. What was written before stays readable in the old one. Answers the old one and the new ones.
 *
 * Deliberately not done: the moments in which the service is still at work on a split: here it is done when the answer
 * comes.
 */
import type { ControlAction } from '../plane.ts'
import { type FieldReader, Refusal } from '../refusal.ts'
import { type EmulatorState, requirePartition, requireTopic } from '../state.ts'
import type { Partition, Topic } from '../topic.ts'
import { describePartition, hexKey } from './describe-partitions.ts'

export const splitPartition: ControlAction = (request, state, nowMs) => {
  const topic = requireTopic(request.text('TopicId'), state)
  const parent = requireWritable(request, topic)
  const count = request.optionalInteger('Number') ?? 2
  if (count < 2) throw request.invalid('Number', '2 or more')
  requireRoom(topic, count - 1, state)
  if (parent.endKey - parent.beginKey < BigInt(count)) {
    throw new Refusal('OperationDenied', `the key range of partition ${parent.id} is too small for ${count} parts`)
  }
  const key = count === 2 ? readSplitKey(request, parent) : undefined
  const children = key === undefined ? topic.split(parent, count, nowMs) : topic.splitAt(parent, key, nowMs)
  return { Partitions: [parent, ...children].map(describePartition) }
}

export function requireWritable(request: FieldReader, topic: Topic): Partition {
  const partition = requirePartition(topic, request.integer('PartitionId'))
  if (partition.status === 'readwrite') return partition
  throw new Refusal('OperationDenied', `partition ${partition.id} of topic ${topic.id} is read-only`)
}

/** Both parts hold a key at least. */
function readSplitKey(request: FieldReader, { id, beginKey, endKey }: Partition): bigint | undefined {
  const text = request.optionalText('SplitKey') ?? ''
  if (text === '') return undefined
  const key = /^[0-9a-fA-F]{32}$/.test(text) ? BigInt(`0x${text}`) : undefined
  if (key !== undefined && key > beginKey && key < endKey) return key
  throw request.invalid(
    'SplitKey',
    `32 hex digits between ${hexKey(beginKey)} and ${hexKey(endKey)}, of partition ${id}`
  )
}

function requireRoom(topic: Topic, addedCount: number, state: EmulatorState): void {
  const { partitionCountMax } = state.settings
  if (topic.writable().length + addedCount <= partitionCountMax) return
  throw new Refusal('LimitExceeded.Partition', `topic ${topic.id} may have ${partitionCountMax} partitions at most`)
}
