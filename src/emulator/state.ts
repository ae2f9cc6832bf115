/**
 * All that an emulator remembers, and how actions find their way in it.
 *
 * In: settings. Out: topics, groups and cached bodies, or a refusal where a name is unknown. No clock is here: the
 * moment always comes with the call.
 */
import { BodyCache } from './body-cache.ts'
import { Faults } from './faults.ts'
import { type Group, type PartitionRef, partitionRef } from './group.ts'
import { RateLimits } from './rate-limits.ts'
import { type FieldReader, Refusal } from './refusal.ts'
import type { EmulatorSettings } from './settings.ts'
import { type Partition, Topic } from './topic.ts'

export interface EmulatorState {
  /** Changed as a whole, by `changeSettings`. */
  settings: EmulatorSettings
  readonly topics: ReadonlyMap<string, Topic>
  readonly groups: Map<string, Group>
  /** All of the quirks that hold: `changeSettings` clears it with them. */
  readonly bodies: BodyCache
  readonly rates: RateLimits
  /** Changed as a whole, by `changeFaults`. */
  faults: Faults
}

export function createState(settings: EmulatorSettings, nowMs: number): EmulatorState {
  const { partitionCount, topicIds } = settings
  return {
    settings,
    topics: new Map(topicIds.map(id => [id, new Topic(id, partitionCount, settings, nowMs)])),
    groups: new Map(),
    bodies: new BodyCache(settings.cacheBytesMax),
    rates: new RateLimits(),
    faults: new Faults(settings.faults)
  }
}

/** Checks that the request is about the one logset there is. */
export function requireLogset(request: FieldReader, state: EmulatorState): void {
  const logsetId = request.text('LogsetId')
  if (logsetId !== state.settings.logsetId) {
    throw new Refusal('ResourceNotFound.LogsetNotExist', `the logset ${logsetId} does not exist`)
  }
}

export function requireTopic(topicId: string, state: EmulatorState): Topic {
  const topic = state.topics.get(topicId)
  if (topic === undefined) throw new Refusal('ResourceNotFound.TopicNotExist', `the topic ${topicId} does not exist`)
  return topic
}

export function requirePartition(topic: Topic, id: number): Partition {
  const partition = topic.partitions[id]
  if (partition === undefined) {
    throw new Refusal('InvalidParameter', `topic ${topic.id} has no partition ${id}`)
  }
  return partition
}

/** The group that the request names. */
export function requireGroup(request: FieldReader, state: EmulatorState): Group {
  requireLogset(request, state)
  const name = request.text('ConsumerGroup')
  const group = state.groups.get(name)
  if (group === undefined) throw new Refusal('ResourceNotFound', `the consumer group ${name} does not exist`)
  return group
}

/** Every partition of the group's topics, read-only ones too: what was written before a split is still to be read. */
export function partitionsOf(group: Group, state: EmulatorState): PartitionRef[] {
  return group.topicIds.flatMap(topicId => {
    const partitions = state.topics.get(topicId)?.partitions ?? []
    return partitions.map(({ id }) => partitionRef(topicId, id))
  })
}
