/**
 * DescribePartitions: all partitions of a topic with state, key range and times, read-only ones too.
 *
 * Times are written as the service writes them: its own zone (UTC+8), without saying so; `null` for the last write to a
 * partition that had none. Deliberately not done: hiding a read-only partition once all its messages have expired.
 */
import type { ControlAction, ControlFields } from '../plane.ts'
import { requireTopic } from '../state.ts'
import type { Partition } from '../topic.ts'

export const describePartitions: ControlAction = (request, state) => {
  const topic = requireTopic(request.text('TopicId'), state)
  return { Partitions: topic.partitions.map(describePartition) }
}

export function describePartition({ id, status, beginKey, endKey, createdMs, log }: Partition): ControlFields {
  return {
    PartitionId: id,
    Status: status,
    InclusiveBeginKey: hexKey(beginKey),
    ExclusiveEndKey: hexKey(endKey),
    CreateTime: serviceTime(createdMs),
    LastWriteTime: log.lastReceiptMs === undefined ? null : serviceTime(log.lastReceiptMs)
  }
}

/** As the service writes keys. */
export function hexKey(key: bigint): string {
  return key.toString(16).padStart(32, '0')
}

const ZONE_MS = 8 * 3600 * 1000

function serviceTime(ms: number): string {
  return new Date(ms + ZONE_MS).toISOString().slice(0, 19).replace('T', ' ')
}
