/** The public API of `cls-consumer`, and nothing else. */
export { Consumer, type ConsumerOverrides } from './consumer.ts'
export type {
  AssignedEvent,
  BatchEvent,
  ConsumerEvents,
  ConsumerPhase,
  ConsumerSnapshot,
  PartitionSnapshot,
  RateEvent
} from './consumer-events.ts'
export type { PartitionId } from './dispatch/messages.ts'
export { ClsConsumerError, type ErrorCode, type ErrorPlace, type Remedy } from './errors.ts'
export type { ConsumerOptions, Credentials, CredentialsProvider, OnResult, ResultPlace } from './options.ts'
export type { LogFields, Logger } from './world.ts'
