/**
 * What the server holds of a topic's offsets.
 *
 * In: a snapshot of the emulator. Out: offsets by partition. Pure.
 */
import type { EmulatorSnapshot } from '../../../src/emulator/start.ts'

/** What is committed, by whichever group reads the topic. */
export function committedOf({ groups }: EmulatorSnapshot, topicId: string): Map<number, bigint> {
  const partitions = groups.flatMap(({ partitions }) => partitions).filter(partition => partition.topicId === topicId)
  return new Map(
    partitions.flatMap(({ partition, committedOffset }) =>
      committedOffset === null ? [] : [[partition, committedOffset]]
    )
  )
}

/** Where each partition ends. */
export function endsOf({ topics }: EmulatorSnapshot, topicId: string): Map<number, bigint> {
  const partitions = topics.find(topic => topic.topicId === topicId)?.partitions ?? []
  return new Map(partitions.map(({ partition, endOffset }) => [partition, endOffset]))
}

/** Nothing that was stored is left, in any topic. */
export function isAllCommitted(snapshot: EmulatorSnapshot): boolean {
  return snapshot.topics.every(({ topicId }) => {
    const committed = committedOf(snapshot, topicId)
    return [...endsOf(snapshot, topicId)].every(([partition, end]) => committed.get(partition) === end || end === 0n)
  })
}
