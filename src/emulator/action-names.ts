/**
 * What the emulated service can be asked for: the actions of the control plane by their names, those of the data plane by
 * their paths without the slash.
 */
export const CONTROL_ACTION_NAMES = [
  'CreateConsumerGroup',
  'ModifyConsumerGroup',
  'DeleteConsumerGroup',
  'DescribeConsumerGroups',
  'SendConsumerHeartbeat',
  'DescribeConsumerOffsets',
  'CommitConsumerOffsets',
  'DescribePartitions',
  'SplitPartition',
  'MergePartition'
] as const

const DATA_ACTION_NAMES = ['pull_log', 'structuredlog'] as const

export type ControlActionName = (typeof CONTROL_ACTION_NAMES)[number]
export type DataActionName = (typeof DATA_ACTION_NAMES)[number]

export const ACTION_NAMES: readonly string[] = [...CONTROL_ACTION_NAMES, ...DATA_ACTION_NAMES]
