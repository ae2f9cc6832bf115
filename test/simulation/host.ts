/**
 * One process with one consumer: the real `Consumer` on a world of virtual time.
 *
 * In: a scenario, and what its processors and threads report. Out: a consumer that starts, stops, fails or is cut off from
 * its world. Real are all stages, the control and data APIs down to HTTP, the books of the thread pool, the scout, and the
 * code of the threads. Simulated are clock, timers, chance, the network, Piscina, and user code.
 */
import { fileURLToPath } from 'node:url'
import type { RealWorld } from '../../src/build-world.ts'
import { createControlApi } from '../../src/cls/control-api.ts'
import { createCredentials } from '../../src/cls/credentials.ts'
import { createDataApi } from '../../src/cls/data-api.ts'
import { resolveEndpoints } from '../../src/cls/endpoints.ts'
import { createServiceClock } from '../../src/cls/service-clock.ts'
import { Consumer } from '../../src/consumer.ts'
import type { PartitionSnapshot } from '../../src/consumer-events.ts'
import type { BatchTask } from '../../src/dispatch/messages.ts'
import { PoolMembers } from '../../src/dispatch/pool-members.ts'
import { ScoutThread } from '../../src/dispatch/scout.ts'
import { ThreadPool } from '../../src/dispatch/thread-pool.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { ConsumerOptions, ResultPlace, Settings } from '../../src/options.ts'
import { resolveOptions } from '../../src/resolve-options.ts'
import type { Clock, LogFields, Logger, Random, Timers } from '../../src/world.ts'
import { Dice } from '../fuzz/dice.ts'
import { FakeFiles } from '../support/fake-files.ts'
import { partitionKey } from './asked.ts'
import { type Course, Place } from './course.ts'
import { SimulatedEngine } from './engine.ts'
import type { Ledger } from './ledger.ts'
import type { Mood } from './mood.ts'
import { Network } from './network.ts'
import type { Party, Visit } from './party.ts'
import { BEGIN_MS, type Service } from './service.ts'

export interface HostParts {
  readonly name: string
  readonly course: Course
  readonly service: Service
  readonly ledger: Ledger
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
}

/** Of real ones: longer than any simulated boot. */
const THREAD_BOOT_MS = 10_000

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

  nextThreadId(): number {
    this.#lastThreadId += 1
    return this.#lastThreadId
  }

  tell(place: Place, what: string): void {
    this.#parts.trace(place.name, what)
  }

  // ---- What its threads report ----

  begun({ topicId, partition, epoch, startOffset }: BatchTask, ids: readonly string[]): Visit {
    const key = partitionKey(topicId, partition)
    return this.#parts.ledger.begin({ party: this.#party, key, epoch, startOffset, ids })
  }

  startedAborted({ batchId, topicId, partition }: BatchTask): void {
    const text = `batch ${batchId} of ${topicId}#${partition} starts although it was aborted before`
    this.#parts.ledger.findings.add('I3', text)
  }

  ended(visit: Visit, outcome: 'returned' | 'threw' | 'lost'): void {
    this.#parts.ledger.end(visit, outcome)
  }

  unanswered(task: BatchTask): void {
    this.#parts.ledger.unanswered(this.#party, task)
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
    const { course, service, ledger, trace } = this.#parts
    const clock = this.#clock()
    const timers = simulatedTimers(course, this.place)
    const random = simulatedRandom(this.#dice)
    const log = this.#log()
    const base = { clock, timers, random, log }
    const { requestTimeoutMs, callTimeoutMs, logsetId, bodyBytesMax } = this.#settings
    const http = new Network({
      course,
      dice: this.#dice,
      service,
      ledger,
      party: this.#party,
      place: this.place,
      trace,
      requestTimeoutMs,
      gapOneIn: this.#parts.gapOneIn,
      badOneIn: () => this.#parts.badOneIn()
    })
    const serviceClock = createServiceClock(clock)
    const credentials = createCredentials(this.#settings.credentials, { now: serviceClock.now, timers, log })
    const signing = { credentials, serviceClock, log }
    const shared = { ...base, endpoints: resolveEndpoints(this.#settings), signing, http, callTimeoutMs }
    const members = this.#buildMembers(clock, timers, log)
    return {
      ...base,
      control: createControlApi({ ...shared, logsetId }),
      data: createDataApi({ ...shared, bodyBytesMax }),
      threads: members.client(log),
      scout: {
        nextOffset: body => members.scout(body, this.#settings.responseBytesMax),
        harvest: body => members.harvest(body, this.#settings.responseBytesMax)
      },
      files: new FakeFiles(),
      close: () => http.close()
    }
  }

  #buildMembers(clock: Clock, timers: Timers, log: Logger): PoolMembers {
    const { threads, batchesPerThread, threadExitMs } = this.#settings
    const pool = (count: number): ThreadPool =>
      new ThreadPool({ count, threadExitMs, threadBootMs: THREAD_BOOT_MS, timers }, hooks => {
        const { course } = this.#parts
        const parts = { course, dice: this.#dice, host: this, place: this.place, threadExitMs }
        const engine = new SimulatedEngine(parts, count, hooks)
        this.#engines.push(engine)
        return engine
      })
    return new PoolMembers(
      { count: threads, batchesPerThread },
      () => pool(threads),
      () => new ScoutThread({ clock, timers, log }, () => pool(1))
    )
  }

  #clock(): Clock {
    const { course, skewMs } = this.#parts
    return { now: () => BEGIN_MS + skewMs + course.nowMs, monotonic: () => course.nowMs }
  }

  #log(): Logger {
    const at =
      (level: string) =>
      (message: string, fields: LogFields = {}): void => {
        this.#parts.trace(this.place.name, `${level}: ${message} ${describeFields(fields)}`)
        this.#parts.ledger.heard(message, fields)
      }
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  }

  /** What `onResult` does. */
  async #takeResult(place: ResultPlace): Promise<void> {
    const { ledger, course } = this.#parts
    ledger.resultGiven(this.#party, place)
    const failing = this.#dice.oneIn(this.#parts.resultFailsOneIn())
    if (this.#dice.oneIn(3) || failing) {
      const delayMs = this.#dice.below(this.#dice.oneIn(5) ? 3000 : 100)
      await new Promise<void>(happen => course.set({ where: this.place, what: 'onResult goes on', delayMs, happen }))
    }
    if (failing) {
      ledger.resultRefused(place)
      throw new Error('the sink is full')
    }
    ledger.resultTaken(this.#party, place)
  }
}

function simulatedTimers(course: Course, where: Place): Timers {
  // As Node does it: whole milliseconds, at least one.
  const after: Timers['after'] = (delayMs, happen) =>
    course.set({
      where,
      what: `timer of ${delayMs} ms`,
      delayMs: Math.max(1, Math.trunc(delayMs)),
      isTimer: true,
      happen
    })
  return {
    after,
    sleep: (delayMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason)
        const onAbort = (): void => {
          timer.cancel()
          reject(signal?.reason)
        }
        const timer = after(delayMs, () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        })
        signal?.addEventListener('abort', onAbort, { once: true })
      })
  }
}

function simulatedRandom(dice: Dice): Random {
  return {
    next: () => dice.below(2 ** 32) / 2 ** 32,
    hex: byteCount => dice.bytes(byteCount).toString('hex')
  }
}

function describeFields(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
