/**
 * What an emulator holds, as plain data: for tests, and for whoever looks at `GET /emulator/state`.
 *
 * In: the state. Out: a copy that does not change any more, crosses a process boundary, and prints as JSON (which is why
 * these are type aliases: an interface is no `Printable`). Never holds the secret key, or the token.
 */
import type { RuleCounts } from './faults.ts'
import { partitionRef } from './group.ts'
import type { Quirks } from './quirks.ts'
import type { EmulatorSettings } from './settings.ts'
import { type EmulatorState, partitionsOf } from './state.ts'

export type PartitionSnapshot = {
  readonly partition: number
  readonly status: 'readwrite' | 'readonly'
  readonly beginOffset: bigint
  readonly endOffset: bigint
  readonly messageCount: number
  readonly storedBytes: number
}

export type GroupPartitionSnapshot = {
  readonly topicId: string
  readonly partition: number
  /** Who was told to hold it and has not given it up. */
  readonly owner: string | null
  /** Who shall hold it. Differs from the owner while it is handed over. */
  readonly target: string | null
  readonly committedOffset: bigint | null
}

export type GroupSnapshot = {
  readonly group: string
  readonly timeoutSeconds: number
  readonly topicIds: readonly string[]
  /** In the order of joining. */
  readonly consumers: readonly string[]
  readonly partitions: readonly GroupPartitionSnapshot[]
}

export type EmulatorSnapshot = {
  /** On the emulator's clock. */
  readonly nowMs: number
  readonly topics: readonly { readonly topicId: string; readonly partitions: readonly PartitionSnapshot[] }[]
  readonly groups: readonly GroupSnapshot[]
  readonly quirks: Quirks
  readonly rateLimits: EmulatorSettings['rateLimits']
  /** How far its clock is ahead of the host's; negative for behind. */
  readonly clockSkewMs: number
  /** In the order of the rules. */
  readonly faults: readonly RuleCounts[]
}

export function takeSnapshot(state: EmulatorState, nowMs: number): EmulatorSnapshot {
  const topics = [...state.topics.values()].map(topic => ({
    topicId: topic.id,
    partitions: topic.partitions.map(({ id, status, log }) => {
      log.retire(nowMs)
      const { begin, end, messageCount, storedBytes } = log
      return { partition: id, status, beginOffset: begin, endOffset: end, messageCount, storedBytes }
    })
  }))
  const groups = [...state.groups.values()].map(group => ({
    group: group.name,
    timeoutSeconds: group.timeoutSeconds,
    topicIds: [...group.topicIds],
    consumers: [...group.members(nowMs).keys()],
    partitions: partitionsOf(group, state).map(({ topicId, partition }) => {
      const ref = partitionRef(topicId, partition)
      const [owner, target] = [group.owner(ref, nowMs) ?? null, group.target(ref) ?? null]
      return { topicId, partition, owner, target, committedOffset: group.committed(ref) ?? null }
    })
  }))
  const { quirks, rateLimits, clockSkewMs } = state.settings
  return { nowMs, topics, groups, quirks, rateLimits, clockSkewMs, faults: state.faults.counts() }
}
