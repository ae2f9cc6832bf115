/**
 * Offsets as the server tells them.
 *
 * In: the control API. Out: end and committed offsets of every partition of a group. The demo's proof stands on these, not
 * on what its consumers believe.
 */
import { byPartition } from '../batch.ts'
import type { PartitionId } from '../dispatch/messages.ts'
import type { ControlApi, PartitionOffset } from '../world.ts'

export interface GroupTopics {
  readonly group: string
  readonly topicIds: readonly string[]
}

/** Where the log of each partition ends. */
export async function readEnds(control: ControlApi, { group, topicIds }: GroupTopics): Promise<PartitionOffset[]> {
  const ends: PartitionOffset[] = []
  for (const topicId of topicIds) {
    const offsets = await control.describeConsumerOffsets({ group, topicId, from: 'end', own: true })
    for (const [partition, offset] of offsets) ends.push({ topicId, partition, offset })
  }
  return ends.sort(byPartition)
}

export interface PartitionOffsets extends PartitionId {
  readonly committed: bigint | undefined
  readonly end: bigint | undefined
}

/** Asked for with `begin`, so that a partition without a committed offset cannot look committed to its end. */
export async function readCommitted(control: ControlApi, topics: GroupTopics): Promise<PartitionOffsets[]> {
  const ends = await readEnds(control, topics)
  const committed = new Map<string, Map<number, bigint>>()
  for (const topicId of topics.topicIds) {
    committed.set(topicId, await control.describeConsumerOffsets({ group: topics.group, topicId, from: 'begin' }))
  }
  return ends.map(({ topicId, partition, offset }) => ({
    topicId,
    partition,
    committed: committed.get(topicId)?.get(partition),
    end: offset
  }))
}
