/** A `ControlApi` in which every call waits for the test. */
import type {
  CallOptions,
  ConsumerGroup,
  ControlApi,
  PartitionDescription,
  PartitionOffset,
  Position,
  TopicPartitions
} from '../../src/world.ts'
import { Calls } from './calls.ts'

/** What was asked, and the deadline it was given. */
type Limited<T> = T & {
  readonly deadlineMs: number | undefined
  readonly tryMs: number | undefined
  readonly whenUnsure: CallOptions['whenUnsure']
  readonly maySend: CallOptions['maySend']
}

export interface FakeControl {
  readonly api: ControlApi
  readonly groups: Calls<readonly string[], ConsumerGroup[]>
  readonly created: Calls<ConsumerGroup, boolean>
  readonly modified: Calls<ConsumerGroup, void>
  readonly deleted: Calls<string, void>
  readonly heartbeats: Calls<
    Limited<{ readonly group: string; readonly consumer: string; readonly held: readonly TopicPartitions[] }>,
    TopicPartitions[]
  >
  readonly offsets: Calls<
    { readonly group: string; readonly topicId: string; readonly from: Position; readonly own?: boolean },
    Map<number, bigint>
  >
  readonly commits: Calls<
    Limited<{ readonly group: string; readonly consumer: string; readonly offsets: readonly PartitionOffset[] }>,
    void
  >
  readonly partitions: Calls<string, PartitionDescription[]>
}

export function createFakeControl(): FakeControl {
  const calls: Omit<FakeControl, 'api'> = {
    groups: new Calls(),
    created: new Calls(),
    modified: new Calls(),
    deleted: new Calls(),
    heartbeats: new Calls(),
    offsets: new Calls(),
    commits: new Calls(),
    partitions: new Calls()
  }
  const limited = <T extends object>(ask: T, call: CallOptions | undefined): Limited<T> => ({
    ...ask,
    deadlineMs: call?.deadlineMs,
    tryMs: call?.tryMs,
    whenUnsure: call?.whenUnsure,
    maySend: call?.maySend
  })
  const notExpected = (): never => {
    throw new Error('the stages do not call this')
  }
  const api: ControlApi = {
    describeConsumerGroups: (topicIds, call) => calls.groups.make(topicIds, call?.signal),
    createConsumerGroup: (group, call) => calls.created.make(group, call?.signal),
    modifyConsumerGroup: (group, call) => calls.modified.make(group, call?.signal),
    sendConsumerHeartbeat: (beat, call) => calls.heartbeats.make(limited(beat, call), call?.signal),
    describeConsumerOffsets: (ask, call) => calls.offsets.make(ask, call?.signal),
    commitConsumerOffsets: (commit, call) => calls.commits.make(limited(commit, call), call?.signal),
    describePartitions: (topicId, call) => calls.partitions.make(topicId, call?.signal),
    deleteConsumerGroup: (group, call) => calls.deleted.make(group, call?.signal),
    splitPartition: notExpected,
    mergePartition: notExpected
  }
  return { ...calls, api }
}
