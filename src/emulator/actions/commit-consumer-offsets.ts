/**
 * CommitConsumerOffsets: keeps one offset each for any number of partitions.
 *
 * A commit that names a partition which the consumer does not own is refused as a whole and changes nothing
 * (`quirks.foreignCommit` and `quirks.refusedCommit` have the other readings). An offset beyond the partition's end is refused, since nobody can
 * have read so far. Deliberately not done: refusing an offset smaller than the last; consumers rewind.
 */
import { type Group, type PartitionRef, partitionRef } from '../group.ts'
import type { ControlAction } from '../plane.ts'
import { type FieldReader, Refusal } from '../refusal.ts'
import { type EmulatorState, requireGroup, requirePartition, requireTopic } from '../state.ts'

interface Commit {
  readonly partition: PartitionRef
  readonly offset: bigint
}

export const commitConsumerOffsets: ControlAction = (request, state, nowMs) => {
  const group = requireGroup(request, state)
  const consumer = request.text('Consumer')
  const commits = readCommits(request, state)
  const { foreignCommit, refusedCommit } = state.settings.quirks
  const isOwned = ({ partition }: Commit): boolean => group.owner(partition, nowMs) === consumer

  const foreign = commits.find(commit => !isOwned(commit))
  const isRefused = foreign !== undefined && foreignCommit === 'refuse'
  const taken = foreignCommit === 'accept' ? commits : commits.filter(isOwned)
  if (!isRefused || refusedCommit === 'rest-kept') {
    for (const { partition, offset } of taken) group.commit(partition, offset)
  }
  if (isRefused) throw notOwner(foreign.partition, group, consumer)
  return {}
}

function readCommits(request: FieldReader, state: EmulatorState): Commit[] {
  return request.records('TopicPartitionOffsetsInfo').flatMap(fields => {
    const topic = requireTopic(fields.text('TopicID'), state)
    return fields.records('PartitionOffsets').map(entry => {
      const { id, log } = requirePartition(topic, entry.integer('PartitionId'))
      const offset = entry.int64('Offset')
      if (offset < 0n || offset > log.end) {
        throw entry.invalid('Offset', `0 to ${log.end}, the end of partition ${id} of topic ${topic.id}`)
      }
      return { partition: partitionRef(topic.id, id), offset }
    })
  })
}

function notOwner({ topicId, partition }: PartitionRef, group: Group, consumer: string): Refusal {
  const place = `partition ${partition} of topic ${topicId}`
  return new Refusal('OperationDenied', `consumer ${consumer} of group ${group.name} does not own ${place}`)
}
