/**
 * DescribeConsumerOffsets: the group's committed offset of one partition or of all of a topic; where there is none, or
 * with `OffsetType` 1, the position that `From` names: the log's begin, its end, or the first message received at a
 * Unix second or later.
 *
 * Deliberately not done: correcting a committed offset that retention has passed by; it is answered as it is, and the
 * pull says that it is expired.
 */
import { partitionRef } from '../group.ts'
import type { PartitionLog } from '../partition-log.ts'
import type { ControlAction } from '../plane.ts'
import type { FieldReader } from '../refusal.ts'
import { requireGroup, requirePartition, requireTopic } from '../state.ts'
import type { Partition, Topic } from '../topic.ts'

export const describeConsumerOffsets: ControlAction = (request, state, nowMs) => {
  const group = requireGroup(request, state)
  const topic = requireTopic(request.text('TopicId'), state)
  if (!group.topicIds.includes(topic.id)) {
    throw request.invalid('TopicId', `a topic of the consumer group ${group.name}`)
  }
  const positionIn = readFrom(request)
  const offsetType = request.optionalInteger('OffsetType') ?? 0
  if (offsetType !== 0 && offsetType !== 1) throw request.invalid('OffsetType', '0 or 1')

  const partitionOffsets = readPartitions(request, topic).map(({ id, log }) => {
    log.retire(nowMs)
    const committed = offsetType === 1 ? undefined : group.committed(partitionRef(topic.id, id))
    return { PartitionId: id, Offset: committed ?? positionIn(log) }
  })
  return { TopicPartitionOffsetsInfo: [{ TopicID: topic.id, PartitionOffsets: partitionOffsets }] }
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
