/**
 * One process with one consumer: the real `Consumer` on a world of virtual time.
 *
 * In: options, and what its processors and threads report. Out: a consumer that starts, stops, fails, is stopped as by
 * SIGSTOP, or is cut off from its world; and to the ledger, what it holds and does.
 */
import { fileURLToPath } from 'node:url'
import type { RealWorld } from '../../src/build-world.ts'
import { Consumer } from '../../src/consumer.ts'
import type { PartitionSnapshot } from '../../src/consumer-events.ts'
import type { EngineHooks } from '../../src/dispatch/engine.ts'
import type { BatchTask, CommitMode, PartitionId } from '../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { ConsumerOptions, ResultPlace, Settings } from '../../src/options.ts'
import { resolveOptions } from '../../src/resolve-options.ts'
import type { LogFields } from '../../src/world.ts'
import { Dice } from '../fuzz/dice.ts'
import { partitionKey } from './asked.ts'
import { type Course, Place } from './course.ts'
import type { Disk } from './disk.ts'
import { SimulatedEngine } from './engine.ts'
import type { Ledger } from './ledger.ts'
import type { Mood } from './mood.ts'
import { Network } from './network.ts'
import type { Party, Visit } from './party.ts'
import type { Service } from './service.ts'
import { simulateWorld } from './simulated-world.ts'
import type { Said, VisitEnd } from './visits.ts'

export interface HostParts {
  readonly name: string
  readonly course: Course
  readonly service: Service
  readonly ledger: Ledger
  readonly disk: Disk
  readonly seed: number
  readonly options: ConsumerOptions
  readonly hasResults: boolean
  readonly gapOneIn: number
  /** How far its clock is ahead of the service's. */
  readonly skewMs: number
  readonly trace: (where: string, what: string) => void
  mood(): Mood
  badOneIn(): number
  resultFailsOneIn(): number
  diskFailsOneIn(): number
}

/** Messages that a rewind goes back, at most. */
const REWIND_MAX = 4

type Phase = 'running' | 'stopping' | 'over'

export class Host {
  readonly place: Place
  readonly consumer: Consumer
  /** The error that ended it, where one did. */
  error: ClsConsumerError | undefined
  readonly #parts: HostParts
  readonly #dice: Dice
  readonly #settings: Settings
  readonly #party: Party
  readonly #engines: SimulatedEngine[] = []
  #phase: Phase = 'running'
  #lastThreadId = 0

  constructor(parts: HostParts) {
    this.#parts = parts
    this.#dice = new Dice(parts.seed)
    this.place = new Place(parts.name)
    const options: ConsumerOptions = {
      ...parts.options,
      processor: fileURLToPath(new URL('processor.js', import.meta.url)),
      ...(parts.hasResults ? { onResult: (_result: unknown, place: ResultPlace) => this.#takeResult(place) } : {})
    }
    this.#settings = resolveOptions(options)
    this.#party = parts.ledger.join({ name: parts.name, partitions: () => this.#partitions() })
    this.consumer = new Consumer(options, { world: this.#buildWorld() })
    this.consumer.on('assigned', event => parts.ledger.assigned(this.#party, event))
    this.consumer.on('released', event => parts.ledger.released(this.#party, event))
    this.consumer.on('repositioned', event => parts.ledger.repositioned(event))
    this.consumer.on('skipped', event => parts.ledger.givenUp.skipped(this.#party, event))
    this.consumer.on('deadLettered', event => parts.ledger.givenUp.deadLettered(this.#party, event))
    this.consumer.on('leaseLost', ({ partitions }) => parts.ledger.leaseLost(partitions))
    this.consumer.finished.then(
      () => this.#over(undefined),
      error => this.#over(error)
    )
  }

  get phase(): Phase {
    return this.#phase
  }

  start(): void {
    // `finished` tells of what goes wrong.
    this.consumer.start().catch(() => undefined)
  }

  stop(): void {
    if (this.#phase !== 'running') return
    this.#phase = 'stopping'
    void this.consumer.stop()
  }

  /** As SIGSTOP does it. */
  pause(): void {
    this.place.stop()
    this.#parts.ledger.stopped(this.#party)
  }

  /** As `kill -9` does it. */
  crash(): void {
    if (this.#phase === 'over') return
    this.#end('its process crashed')
  }

  mood(): Mood {
    return this.#parts.mood()
  }

  get commitMode(): CommitMode {
    return this.#settings.commitMode
  }

  nextThreadId(): number {
    this.#lastThreadId += 1
    return this.#lastThreadId
  }

  tell(place: Place, what: string): void {
    this.#parts.trace(place.name, what)
  }

  // ---- What its threads report ----

  begun({ topicId, partition, epoch, startOffset }: BatchTask, ids: readonly string[], thread: string): Visit {
    const key = partitionKey(topicId, partition)
    return this.#parts.ledger.begin({ party: this.#party, key, epoch, startOffset, ids, thread })
  }

  /** Not far back, and nothing that has expired. */
  rewindOffset({ topicId, partition, startOffset }: BatchTask, dice: Dice): bigint {
    const stock = this.#parts.ledger.stock.find(partitionKey(topicId, partition))
    const index = (stock?.indexAt(startOffset) ?? 0) - dice.below(REWIND_MAX)
    const offset = stock?.messages[Math.max(0, index)]?.offset ?? startOffset
    return stock !== undefined && offset >= stock.begin && offset <= startOffset ? offset : startOffset
  }

  offsetBeyond({ topicId, partition, startOffset }: BatchTask): bigint {
    return this.#parts.ledger.stock.find(partitionKey(topicId, partition))?.beyond ?? startOffset
  }

  savedInRevoke(partition: PartitionId): void {
    this.#parts.ledger.savedInRevoke(this.#party, partition)
  }

  startedAborted({ batchId, topicId, partition }: BatchTask): void {
    const text = `batch ${batchId} of ${topicId}#${partition} starts although it was aborted before`
    this.#parts.ledger.findings.add('I3', text)
  }

  ended(visit: Visit, outcome: VisitEnd, said?: Said): void {
    this.#parts.ledger.end(visit, outcome, said)
  }

  unanswered(task: BatchTask): void {
    this.#parts.ledger.unanswered(this.#party, task)
  }

  revokeUnanswered(partition: PartitionId): void {
    this.#parts.ledger.revokeUnanswered(partition)
  }

  overwritten(task: BatchTask, before: readonly string[], after: readonly string[]): void {
    const text = `batch ${task.batchId} of ${task.topicId}#${task.partition} held ${before.join(' ')}, and then ${after.join(' ')}`
    this.#parts.ledger.findings.add('I5', text)
  }

  // ---- Its world ----

  #partitions(): readonly PartitionSnapshot[] {
    return this.consumer?.snapshot().partitions ?? []
  }

  #over(error: unknown): void {
    if (this.#phase === 'over') return
    if (error instanceof ClsConsumerError) this.error = error
    const { course, ledger, name } = this.#parts
    const left = course.timersOf(this.place)
    if (left.length > 0) ledger.findings.add('leak', `${name} has stopped and left behind: ${left.join('; ')}`)
    const { heldBytes } = this.consumer.snapshot()
    if (heldBytes !== 0 && error === undefined)
      ledger.findings.add('I5', `${name} has stopped and holds ${heldBytes} bytes`)
    if (error === undefined) ledger.wire.left(this.#party)
    if (this.error?.code === 'INVARIANT_BROKEN') ledger.findings.add('assertion', `${name}: ${this.error.message}`)
    this.#end('its process ended')
  }

  #end(reason: string): void {
    this.#phase = 'over'
    this.#parts.trace(
      this.place.name,
      `is no more: ${reason}${this.error === undefined ? '' : `, ${this.error.message}`}`
    )
    this.#parts.ledger.leave(this.#party, reason)
    this.place.end()
    for (const engine of this.#engines) engine.abandon()
  }

  #buildWorld(): RealWorld {
    const { course, service, ledger, disk, trace, skewMs, gapOneIn, badOneIn, diskFailsOneIn } = this.#parts
    const [settings, dice, place, party] = [this.#settings, this.#dice, this.place, this.#party]
    const { requestTimeoutMs } = settings
    const network = { course, dice, service, ledger, party, place, trace, requestTimeoutMs, gapOneIn, badOneIn }
    return simulateWorld({
      settings,
      course,
      dice,
      place,
      http: new Network(network),
      files: disk.filesFor({ place, dice, failsOneIn: diskFailsOneIn }),
      skewMs,
      said: (level, message, fields) => this.#said(level, message, fields),
      startEngine: (count, hooks) => this.#startEngine(count, hooks)
    })
  }

  #said(level: string, message: string, fields: LogFields): void {
    const words = Object.entries(fields).map(([name, value]) => `${name}=${value}`)
    this.#parts.trace(this.place.name, `${level}: ${message} ${words.join(' ')}`)
    this.#parts.ledger.heard(message, fields)
    // Frozen until its limit had passed, it may not even have left: the server waits for the timeout.
    if (message === 'last heartbeat failed') this.#party.lastHeld = []
  }

  #startEngine(count: number, hooks: EngineHooks): SimulatedEngine {
    const { course } = this.#parts
    const { threadExitMs } = this.#settings
    const engine = new SimulatedEngine(
      { course, dice: this.#dice, host: this, place: this.place, threadExitMs },
      count,
      hooks
    )
    this.#engines.push(engine)
    return engine
  }

  /** What `onResult` does. */
  async #takeResult(place: ResultPlace): Promise<void> {
    const { ledger, course } = this.#parts
    const epoch = ledger.resultGiven(this.#party, place)
    const failing = this.#dice.oneIn(this.#parts.resultFailsOneIn())
    if (this.#dice.oneIn(3) || failing) {
      const delayMs = this.#dice.below(this.#dice.oneIn(5) ? 3000 : 100)
      await new Promise<void>(happen => course.set({ where: this.place, what: 'onResult goes on', delayMs, happen }))
    }
    if (failing) {
      ledger.resultRefused(this.#party, place)
      throw new Error('the sink is full')
    }
    ledger.resultTaken(this.#party, place, epoch)
  }
}
