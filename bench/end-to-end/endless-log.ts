/**
 * A partition of the emulator that never ends, and holds nothing: the bench's server answers its pulls by itself.
 *
 * In: the emulator's topic. Out: the same with other logs. Its groups may then commit any offset that was handed out.
 */
import { PartitionLog } from '../../src/emulator/partition-log.ts'
import type { Topic } from '../../src/emulator/topic.ts'
import { BASE_OFFSET } from './feeds.ts'

/** No run gets so far. */
const END_OFFSET = BigInt(2 * BASE_OFFSET)

class EndlessLog extends PartitionLog {
  override get end(): bigint {
    return END_OFFSET
  }
}

export function makeEndless({ partitions }: Topic): void {
  const rules = {
    startOffset: BigInt(BASE_OFFSET),
    gapEvery: 0,
    gapOffsets: 1n,
    retentionBytes: Number.POSITIVE_INFINITY,
    retentionMs: Number.POSITIVE_INFINITY
  }
  for (const [index, partition] of partitions.entries()) {
    partitions[index] = { ...partition, log: new EndlessLog(rules) }
  }
}
