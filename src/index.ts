/** The public API of `cls-consumer`, and nothing else. */
export type { Log, LogBatch, LogGroup } from '../workers/batch-view.ts'
export {
  defineProcessor,
  type PartitionContext,
  type ProcessFunction,
  type Processor,
  type ProcessorClass,
  type ProcessorContext,
  type ProcessorLog,
  type RevokeContext,
  type ThreadContext
} from '../workers/define-processor.ts'
export { Consumer, type ConsumerOverrides } from './consumer.ts'
export type {
  AssignedEvent,
  BatchEvent,
  ConsumerEvents,
  ConsumerPhase,
  ConsumerSnapshot,
  PartitionSnapshot,
  RateEvent,
  RepositionedEvent
} from './consumer-events.ts'
export type { CommitMode, FailurePolicy, PartitionId } from './dispatch/messages.ts'
export { SharedThreads, type SharedThreadsOptions } from './dispatch/shared-threads.ts'
export {
  type EmulatorHandle,
  type EmulatorOptions,
  type EmulatorSnapshot,
  type Fault,
  type FaultRule,
  type Quirks,
  type StartEmulatorOptions,
  startEmulator
} from './emulator/start.ts'
export { ClsConsumerError, type ErrorCode, type ErrorPlace, type Remedy } from './errors.ts'
export type { DeadLetteredEvent, SkippedEvent } from './last-resort.ts'
export { type LoadOptions, loadOptions } from './load-options.ts'
export type { ConsumerOptions, Credentials, CredentialsProvider, OnResult, ResultPlace } from './options.ts'
export type { StalledEvent } from './stall-watch.ts'
export type { TenurePhase } from './tenure.ts'
export type { LogFields, Logger, Position } from './world.ts'
