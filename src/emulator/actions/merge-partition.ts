/**
 * MergePartition: ends writing to a partition and to its right-hand neighbour by key range, and gives both ranges to
 * one new partition. What was written before stays readable. Answers the two and the new one.
 *
 * Deliberately not done: the moments in which the service is still at work on a merge.
 */
import type { ControlAction } from '../plane.ts'
import { Refusal } from '../refusal.ts'
import { requireTopic } from '../state.ts'
import { describePartition } from './describe-partitions.ts'
import { requireWritable } from './split-partition.ts'

export const mergePartition: ControlAction = (request, state, nowMs) => {
  const topic = requireTopic(request.text('TopicId'), state)
  const left = requireWritable(request, topic)
  const right = topic.writable().find(partition => partition.beginKey === left.endKey)
  if (right === undefined) {
    throw new Refusal('OperationDenied', `partition ${left.id} has no neighbour to its right to merge with`)
  }
  const merged = topic.merge(left, right, nowMs)
  return { Partitions: [left, right, ...merged].map(describePartition) }
}
