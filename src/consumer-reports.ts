/**
 * What a consumer tells, and what it has counted.
 *
 * In: what happens in the stages. Out: for each thing one line in the log, one event, and its counters. A line says its place
 * once, in fields. Must never happen: a listener of the user's that ends a stage half-way by throwing; a skip, a dead letter
 * or a move that nobody is told of (I6).
 */
import type { EventEmitter } from 'node:events'
import type { Batch, Epoch } from './batch.ts'
import type {
  AssignedEvent,
  BatchEvent,
  ConsumerEvents,
  RateEvent,
  RepositionedEvent,
  Tries
} from './consumer-events.ts'
import type { PartitionId, ProcessedAnswer } from './dispatch/messages.ts'
import { type ClsConsumerError, type ErrorPlace, toFailure } from './errors.ts'
import type { DeadLetteredEvent, SkippedEvent } from './last-resort.ts'
import { errorFields } from './observe/error-fields.ts'
import { type Gauges, givenUpFields, rateFields, type Totals } from './observe/rate.ts'
import { Throughput } from './observe/throughput.ts'
import type { StalledEvent } from './stall-watch.ts'
import type { Logger, World } from './world.ts'

export interface ConsumerReportsParts {
  readonly world: Pick<World, 'clock' | 'timers' | 'log'>
  readonly group: string
  readonly consumer: string
  readonly events: EventEmitter<ConsumerEvents>
  /** What is so now. */
  gauges(): Gauges
}

export class ConsumerReports {
  readonly #log: Logger
  readonly #events: EventEmitter<ConsumerEvents>
  readonly #group: string
  readonly #consumer: string
  readonly #throughput: Throughput

  constructor({ world, group, consumer, events, gauges }: ConsumerReportsParts) {
    this.#log = world.log
    this.#events = events
    this.#group = group
    this.#consumer = consumer
    this.#throughput = new Throughput(world, gauges, rate => this.#rate(rate))
  }

  get totals(): Totals {
    return this.#throughput.totals
  }

  /** From now on, rates. */
  start(): void {
    this.#throughput.start()
  }

  stop(): void {
    this.#throughput.stop()
  }

  // ---- The consumer ----

  joined(counts: { readonly topics: number; readonly threads: number }): void {
    const [group, consumer] = [this.#group, this.#consumer]
    this.#log.info('joined', { group, consumer, ...counts })
    this.#tell(() => this.#events.emit('joined', { group, consumer }))
  }

  noPartitionsYet(groupTimeoutMs: number): void {
    this.#log.info('no partitions yet: others hold them, or did less than a group timeout ago', { groupTimeoutMs })
  }

  groupLost(error: ClsConsumerError): void {
    const group = this.#group
    this.#log.warn('the group is gone: making it again', errorFields(error, { group }))
    this.#tell(() => this.#events.emit('groupLost', { group }))
  }

  offsetsLost(): void {
    this.#log.warn('committed offsets are gone: somebody deleted the group', { group: this.#group })
  }

  failed(error: ClsConsumerError, isFirst: boolean): void {
    this.#log.error(isFirst ? 'stopping on an error' : 'another error while stopping', errorFields(error))
    if (isFirst) this.#tell(() => this.#events.emit('failed', error))
  }

  stopped(): void {
    const { batchCount: batches, logCount: logs } = this.totals
    this.#log.info('stopped', { consumer: this.#consumer, batches, logs, ...givenUpFields(this.totals) })
    this.#tell(() => this.#events.emit('stopped'))
  }

  #rate(rate: RateEvent): void {
    this.#log.info('rate', rateFields(rate))
    this.#tell(() => this.#events.emit('rate', rate))
  }

  // ---- Who has a partition ----

  assigned(event: AssignedEvent): void {
    const { topicId, partition, startOffset, reason } = event
    this.#log.info('assigned', { topicId, partition, startOffset, reason })
    this.#tell(() => this.#events.emit('assigned', event))
  }

  revoked({ topicId, partition }: PartitionId): void {
    this.#log.info('revoked', { topicId, partition })
    this.#tell(() => this.#events.emit('revoked', { topicId, partition }))
  }

  released({ topicId, partition }: PartitionId, committedOffset: bigint | undefined, reason: string): void {
    this.#log.info('released', { topicId, partition, committedOffset, reason })
    this.#tell(() => this.#events.emit('released', { topicId, partition, committedOffset }))
  }

  leaseLost(partitions: readonly PartitionId[], reason: string): void {
    this.#log.warn('lease lost', { partitions: partitions.length, reason })
    this.#tell(() => this.#events.emit('leaseLost', { partitions }))
  }

  topicRefused(topicId: string, error: ClsConsumerError): void {
    this.#log.error('a topic is refused: it is tried again, the others go on', errorFields(error, { topicId }))
    this.#tell(() => this.#events.emit('topicRefused', { topicId, error }))
  }

  topicRestored(topicId: string): void {
    this.#log.info('a topic that was refused is read again', { topicId })
    this.#tell(() => this.#events.emit('topicRestored', { topicId }))
  }

  // ---- How far a partition is ----

  processed(
    { topicId, partition, startOffset, body }: Batch,
    { logCount, responseBytes }: ProcessedAnswer,
    nextOffset: bigint,
    latencyMs: number
  ): void {
    const counts = { logCount, bodyBytes: body.byteCount, responseBytes }
    this.#throughput.add(counts, latencyMs)
    const event: BatchEvent = { topicId, partition, startOffset, nextOffset, ...counts }
    this.#tell(() => this.#events.emit('batch', event))
  }

  committed({ topicId, partition }: PartitionId, offset: bigint): void {
    this.#tell(() => this.#events.emit('committed', { topicId, partition, offset }))
  }

  wentBack({ topicId, partition }: PartitionId, from: bigint, to: bigint): void {
    this.#log.info('the committed offset goes back', { topicId, partition, from, to })
  }

  commitFailed(error: ClsConsumerError, partitionCount: number): void {
    this.#log.warn('commit failed', errorFields(error, { partitions: partitionCount }))
    this.#tell(() => this.#events.emit('commitFailed', { error, partitionCount }))
  }

  commitRefused({ topicId, partition }: PartitionId, error: ClsConsumerError): void {
    this.#log.warn('commit refused', errorFields(error, { topicId, partition }))
  }

  repositioned(event: RepositionedEvent): void {
    const { topicId, partition, fromOffset: from, toOffset: to, reason } = event
    this.#log.info('repositioned', { topicId, partition, from, to, reason })
    this.#tell(() => this.#events.emit('repositioned', event))
  }

  paused({ topicId, partition }: PartitionId): void {
    this.#log.info('paused', { topicId, partition })
    this.#tell(() => this.#events.emit('paused', { topicId, partition }))
  }

  partitionDone({ topicId, partition }: PartitionId, nextOffset: bigint): void {
    this.#log.info('partition done', { topicId, partition, nextOffset })
    this.#tell(() => this.#events.emit('partitionDone', { topicId, partition, nextOffset }))
  }

  // ---- What goes wrong with it ----

  retried(error: ClsConsumerError, place: ErrorPlace, waitMs: number, { attempt, of }: Tries): void {
    const { topicId, partition, offset } = place
    this.#log.warn('retried', { ...errorFields(error, { topicId, partition, offset }), attempt, of, waitMs })
    this.#tell(() => this.#events.emit('retried', { error, place, attempt, of, waitMs }))
  }

  skipped(event: SkippedEvent): void {
    const { kind, topicId, partition, startOffset, nextOffset, messageCount, firstMessage, error } = event
    this.#throughput.skipped({ batchCount: kind === 'messages' ? 0 : 1, messageCount: messageCount ?? 0 })
    const at = { kind, topicId, partition, startOffset, nextOffset, messages: messageCount, firstMessage }
    this.#log.warn('skipped', errorFields(error, { ...at, offset: undefined }))
    this.#tell(() => this.#events.emit('skipped', event))
  }

  deadLettered(event: DeadLetteredEvent): void {
    const { topicId, partition, startOffset, nextOffset, letterCount, error } = event
    this.#throughput.deadLettered(letterCount)
    const at = { topicId, partition, startOffset, nextOffset, letters: letterCount }
    this.#log.warn('dead letters', error === undefined ? at : errorFields(error, { ...at, offset: undefined }))
    this.#tell(() => this.#events.emit('deadLettered', event))
  }

  parked({ topicId, partition }: Epoch, offset: bigint, error: ClsConsumerError): void {
    const fields = errorFields(error, { topicId, partition, offset })
    this.#log.error('a partition is parked: it stands still until resume() or a restart', fields)
    this.#tell(() => this.#events.emit('parked', { topicId, partition, offset, error }))
  }

  stalled(event: StalledEvent): void {
    const { topicId, partition, offset, stalledMs, reason } = event
    this.#log.warn('stalled', { topicId, partition, offset, stalledMs, reason })
    this.#tell(() => this.#events.emit('stalled', event))
  }

  /** A listener that throws is its author's fault, and must not end a stage half-way. */
  #tell(emit: () => void): void {
    try {
      emit()
    } catch (error) {
      this.#log.error('a listener threw', { error: toFailure(error, 'INVARIANT_BROKEN').message })
    }
  }
}
