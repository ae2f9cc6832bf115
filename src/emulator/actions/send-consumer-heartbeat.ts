/**
 * SendConsumerHeartbeat: says what a consumer still holds; answers what it should hold.
 *
 * The first heartbeat of a name joins it, also with an empty list. Topics of the answer without a partition are left
 * out. What lists nothing is granted its share anew: the wire has no leave call (`quirks.lastBeat` has the other reading,
 * `quirks.handOver` that of a partition which its owner still lists). Deliberately not done: strategies other than 2, which
 * is taken whatever is said.
 */
import { type PartitionRef, partitionRef } from '../group.ts'
import type { ControlAction } from '../plane.ts'
import { partitionsOf, requireGroup } from '../state.ts'

export const sendConsumerHeartbeat: ControlAction = (request, state, nowMs) => {
  const group = requireGroup(request, state)
  const consumer = request.text('Consumer')
  const held = new Set<string>()
  for (const topic of request.records('TopicPartitionsInfo')) {
    const topicId = topic.text('TopicID')
    for (const partition of topic.integers('Partitions')) held.add(partitionRef(topicId, partition).key)
  }
  const granted = group.beat(consumer, held, partitionsOf(group, state), nowMs, state.settings.quirks)
  return { ConsumerGroup: group.name, TopicPartitionsInfo: byTopic(granted) }
}

function byTopic(granted: readonly PartitionRef[]): { TopicID: string; Partitions: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const { topicId, partition } of granted) {
    topics.set(topicId, [...(topics.get(topicId) ?? []), partition])
  }
  return [...topics].map(([TopicID, Partitions]) => ({ TopicID, Partitions }))
}
