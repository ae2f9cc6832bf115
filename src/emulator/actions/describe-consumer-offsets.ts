/**
 * DescribeConsumerOffsets: the group's committed offset of one partition, or of all of a topic or of the group; where
 * there is none, or with `OffsetType` 1, the position that `From` names: the log's begin, its end, or the first message
 * received at a Unix second or later. `quirks.noOffset` and `quirks.offsetType` have the other readings.
 *
 * Deliberately not done: correcting a committed offset that retention has passed by; it is answered as it is, and the
 * pull says that it is expired.
 */
import { type Group, partitionRef } from '../group.ts'
import type { PartitionLog } from '../partition-log.ts'
import type { ControlAction, ControlFields } from '../plane.ts'
import type { Quirks } from '../quirks.ts'
import type { FieldReader } from '../refusal.ts'
import { type EmulatorState, requireGroup, requirePartition, requireTopic } from '../state.ts'
import type { Partition, Topic } from '../topic.ts'

export const describeConsumerOffsets: ControlAction = (request, state, nowMs) => {
  const group = requireGroup(request, state)
  const topics = readTopics(request, group, state)
  const positionIn = readFrom(request)
  const { quirks } = state.settings
  const isOwnAsked = asksForOwn(request, quirks)

  const offsetsOf = (topic: Topic): ControlFields[] =>
    readPartitions(request, topic).flatMap(({ id, log }) => {
      log.retire(nowMs)
      const committed = isOwnAsked ? undefined : group.committed(partitionRef(topic.id, id))
      const hasAnswer = isOwnAsked || committed !== undefined || quirks.noOffset === 'position'
      if (hasAnswer) return [{ PartitionId: id, Offset: committed ?? positionIn(log) }]
      if (quirks.noOffset === 'absent') return []
      return [{ PartitionId: id, Offset: quirks.noOffset === 'null' ? null : -1n }]
    })
  const offsets = topics.map(topic => ({ TopicID: topic.id, PartitionOffsets: offsetsOf(topic) }))
  return { ConsumerGroup: group.name, TopicPartitionOffsetsInfo: offsets }
}

/** The one that is named, or all that the group reads. */
function readTopics(request: FieldReader, group: Group, state: EmulatorState): Topic[] {
  const topicId = request.optionalText('TopicId') ?? ''
  if (topicId === '') {
    if (request.has('PartitionId')) throw request.missing('TopicId')
    return group.topicIds.map(id => requireTopic(id, state))
  }
  const topic = requireTopic(topicId, state)
  if (group.topicIds.includes(topic.id)) return [topic]
  throw request.invalid('TopicId', `a topic of the consumer group ${group.name}`)
}

/** Whether the log's own position is asked for, as this service understands the question. */
function asksForOwn(request: FieldReader, { offsetType }: Quirks): boolean {
  const asked = request.optionalInteger('OffsetType')
  if (asked !== undefined && offsetType === 'refused') throw request.invalid('OffsetType', 'no such parameter')
  if (asked !== undefined && asked !== 0 && asked !== 1) throw request.invalid('OffsetType', '0 or 1')
  return asked === 1 && offsetType === 'list'
}

function readFrom(request: FieldReader): (log: PartitionLog) => bigint {
  const from = request.text('From')
  if (from === 'begin') return log => log.begin
  if (from === 'end') return log => log.end
  if (/^\d{1,12}$/.test(from)) return log => log.offsetAt(Number(from) * 1000)
  throw request.invalid('From', '`begin`, `end` or Unix seconds')
}

/** `PartitionId` is a string on the wire. A number is borne; absent or empty means all. */
function readPartitions(request: FieldReader, topic: Topic): Partition[] {
  const given = request.value('PartitionId')
  if (given === undefined || given === '') return topic.partitions
  const text = String(given)
  if (!/^\d{1,9}$/.test(text)) throw request.invalid('PartitionId', 'the number of a partition')
  return [requirePartition(topic, Number(text))]
}
