/**
 * The demo's two consumers, and what they processed.
 *
 * In: a server, a processor. Out: counts and the ledger of ids, per consumer; the first failure of either. Stopping stops
 * both, and can be asked for again.
 */
import { availableParallelism } from 'node:os'
import { keyOf } from '../batch.ts'
import { Consumer } from '../consumer.ts'
import type { PartitionId } from '../dispatch/messages.ts'
import { ClsConsumerError } from '../errors.ts'
import type { ResultPlace, Settings } from '../options.ts'
import { resolveOptions } from '../resolve-options.ts'
import type { Logger, PartitionOffset } from '../world.ts'
import { Ledger } from './demo-ledger.ts'
import type { DemoOutcome } from './demo-report.ts'
import { isTally, TallySum } from './demo-tally.ts'

export const GROUP = 'demo'
const NAMES = ['demo-a', 'demo-b'] as const

export interface DemoServer {
  readonly endpoint: string
  readonly region: string
  readonly secretId: string
  readonly secretKey: string
  readonly logsetId: string
  readonly topicIds: readonly string[]
}

export class DemoGroup {
  readonly names: readonly string[] = NAMES
  /** Half of the cores each: two consumers on one host share it. */
  readonly threadsEach = Math.max(1, Math.floor(availableParallelism() / NAMES.length))
  /** Of one of them; they differ in `consumer` alone. */
  readonly settings: Settings
  readonly #consumers = new Map<string, Consumer>()
  readonly #ledger = new Ledger()
  readonly #sum = new TallySum()
  readonly #consumersOf = new Map<string, Set<string>>()
  readonly #failures: unknown[] = []

  constructor(server: DemoServer, processor: string, log: Logger) {
    const { endpoint, region, secretId, secretKey, logsetId, topicIds } = server
    this.settings = resolveOptions({
      endpoint,
      region,
      credentials: { secretId, secretKey },
      logsetId,
      topicIds,
      group: GROUP,
      processor,
      startFrom: 'begin',
      threads: this.threadsEach,
      heartbeatIntervalMs: 1000,
      pollIntervalMs: 100,
      commitIntervalMs: 500
    })
    for (const name of NAMES) {
      const onResult = (result: unknown, place: ResultPlace) => this.#record(name, result, place)
      this.#consumers.set(name, new Consumer({ ...this.settings, consumer: name, onResult }, { log }))
    }
  }

  /** Starts both; what fails, now or later, is thrown by `throwIfFailed`. */
  start(): void {
    for (const consumer of this.#consumers.values()) {
      // Never unhandled: `watch` in demo.ts asks for failures ten times a second.
      consumer.start().catch(error => this.#failures.push(error))
      consumer.finished.catch(error => this.#failures.push(error))
    }
  }

  throwIfFailed(): void {
    if (this.#failures.length > 0) throw this.#failures[0]
  }

  /** Both at once: neither takes over what the other gives up. */
  async stop(): Promise<void> {
    const stops = [...this.#consumers.values()].map(consumer => consumer.stop())
    for (const stopped of await Promise.allSettled(stops)) {
      if (stopped.status === 'rejected') throw stopped.reason
    }
  }

  activeCount(name: string): number {
    const partitions = this.#consumers.get(name)?.snapshot().partitions ?? []
    return partitions.filter(({ phase }) => phase === 'active').length
  }

  /** Everything up to these offsets is processed and delivered. */
  hasReached(ends: readonly PartitionOffset[]): boolean {
    const partitions = [...this.#consumers.values()].flatMap(consumer => consumer.snapshot().partitions)
    const reached = new Map(partitions.map(partition => [keyOf(partition), partition.nextOffset]))
    return ends.every(end => reached.get(keyOf(end)) === end.offset)
  }

  /** Different logs. */
  get processedCount(): number {
    return this.#ledger.distinctCount
  }

  consumersOf(id: PartitionId): string[] {
    return [...(this.#consumersOf.get(keyOf(id)) ?? [])].sort()
  }

  outcome(producedCount: number): Omit<DemoOutcome, 'ms' | 'partitions' | 'stalledMs'> {
    const snapshots = [...this.#consumers.values()].map(consumer => consumer.snapshot())
    return {
      producedCount,
      verdict: this.#ledger.judge(producedCount),
      statuses: this.#sum.statuses,
      paths: this.#sum.paths,
      consumers: NAMES.map(name => ({ name, logCount: this.#ledger.processedBy(name) })),
      responseBytes: snapshots.reduce((sum, { responseBytes }) => sum + responseBytes, 0),
      threadCount: this.threadsEach * NAMES.length
    }
  }

  #record(name: string, result: unknown, place: ResultPlace): void {
    if (!isTally(result)) throw new ClsConsumerError('DEMO_FAILED', 'the processor returned no tally')
    this.#ledger.record(name, result.ids)
    this.#sum.add(result)
    const names = this.#consumersOf.get(keyOf(place)) ?? new Set()
    this.#consumersOf.set(keyOf(place), names.add(name))
  }
}
