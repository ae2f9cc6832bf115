/**
 * Plays one seed: a storm, a calm, an end.
 *
 * In: a scenario. Out: what the ledger found. In the storm logs come, consumers come, go and die, and everything that the
 * scenario has goes wrong. In the calm nothing new goes wrong, and everything must be done and committed within a limit.
 * At the end every consumer stops in order, within a limit, and leaves nothing behind.
 */
import type { ConsumerOptions } from '../../src/options.ts'
import { Dice, mixSeeds } from '../fuzz/dice.ts'
import { Course, Place } from './course.ts'
import type { Finding } from './findings.ts'
import { Host } from './host.ts'
import { Ledger } from './ledger.ts'
import { calmed } from './mood.ts'
import type { Incident, IncidentKind, Scenario } from './scenario.ts'
import { Service } from './service.ts'

export interface Verdict {
  readonly findings: readonly Finding[]
  readonly stepCount: number
  readonly virtualMs: number
}

const LOGSET = 'logset'
const GROUP = 'group'
const KEY = { secretId: 'an-id', secretKey: 'a-secret-key' }
/** Everything that is retried ends within this, once what it is retried for succeeds. */
const CALM_MS_MAX = 120_000
/** Every step of a stop has its deadline: their sum, with the settings of `optionsOf`. */
const STOP_MS_MAX = 90_000
/** A run has a thousand; what goes round in a circle has no end. */
const STEPS_MAX = 60_000
const PARTITIONS_MAX = 8
const STOP_AFTER_MAX = 60
const HOSTS_MAX = 4
const REQUEST_TIMEOUT_MS = 1000
/** The longest that the service is away, ms: some longer than any call is retried. */
const AWAY_MS = [1000, 3000, 9000] as const
/** A pull of this size only looks whether something is there. */
const PROBE_BYTES = 1024
const SKEWS_MS = [0, 0, 0, 1500, -1500, 400_000] as const

export class Play {
  readonly #scenario: Scenario
  readonly #dice: Dice
  readonly #trace: (where: string, what: string) => void
  readonly #course: Course
  readonly #service: Service
  readonly #ledger: Ledger
  /** What nobody of the group does: logs that come, incidents. */
  readonly #outside = new Place('outside')
  #hosts: Host[] = []
  /** Processes that are about to be stopped, and how many things are still to happen to each. */
  readonly #stops = new Map<Host, number>()
  #hostCount = 0
  #logCount = 0
  /** In the calm: nobody is there, and somebody will be. */
  #isJoinDue = false
  #phase: 'storm' | 'calm' | 'end' = 'storm'

  constructor(scenario: Scenario, trace: (atMs: number, where: string, what: string) => void) {
    const { seed, topicIds, partitionCount, startOffset, gapEvery, retentionMs, quirks } = scenario
    this.#scenario = scenario
    this.#dice = new Dice(mixSeeds(seed, 1))
    this.#trace = (where, what) => trace(this.#course.nowMs, where, what)
    this.#course = new Course(this.#dice, this.#trace)
    const settings = { ...KEY, logsetId: LOGSET, topicIds, partitionCount, startOffset, gapEvery, retentionMs, quirks }
    this.#service = new Service(this.#course, settings, GROUP)
    this.#ledger = new Ledger(
      {
        groupTimeoutMs: 2 * (scenario.options.heartbeatIntervalMs ?? 0),
        startFrom: scenario.options.startFrom === 'end' ? 'end' : 'begin',
        partitionCount,
        isRobbing: scenario.isRobbing,
        probeBytes: PROBE_BYTES,
        hasResults: scenario.hasResults,
        nowMs: () => this.#course.nowMs,
        step: () => this.#course.stepCount,
        committed: stock => this.#service.committed(stock)
      },
      this.#trace
    )
    for (const topicId of topicIds) this.#know(topicId)
  }

  async run(): Promise<Verdict> {
    const onRejection = (thrown: unknown): void => this.#ledger.findings.add('rejection', `nobody heard of ${thrown}`)
    process.on('unhandledRejection', onRejection)
    try {
      await this.#storm()
      await this.#calm()
      await this.#end()
    } finally {
      process.off('unhandledRejection', onRejection)
      for (const host of this.#hosts) host.crash()
    }
    const { stepCount, nowMs } = this.#course
    return { findings: this.#ledger.findings.all, stepCount, virtualMs: nowMs }
  }

  async #storm(): Promise<void> {
    const { scenario, dice } = { scenario: this.#scenario, dice: this.#dice }
    this.#course.busyOneIn = scenario.busyOneIn
    for (let host = 0; host < scenario.consumerCount; host++)
      this.#soon('a consumer comes', dice.below(1000), () => this.#join())
    for (let burst = 0; burst < scenario.burstCount; burst++) {
      const atMs = dice.oneIn(4) ? 0 : dice.below(scenario.stormMs)
      this.#soon('logs come', atMs, () => this.#store())
    }
    for (const incident of scenario.incidents) this.#soon(incident.kind, incident.atMs, () => this.#happen(incident))
    await this.#until(() => this.#course.nowMs >= scenario.stormMs)
  }

  async #calm(): Promise<void> {
    this.#phase = 'calm'
    this.#course.busyOneIn = Number.POSITIVE_INFINITY
    this.#service.comeBack()
    for (const host of this.#hosts) host.place.wake()
    this.#trace('outside', 'the storm is over')
    const untilMs = this.#course.nowMs + CALM_MS_MAX
    await this.#until(() => {
      if (this.#running.length === 0 && !this.#isJoinDue) {
        this.#isJoinDue = true
        this.#soon('somebody must', 1, () => this.#join())
      }
      return this.#ledger.isFinished || this.#course.nowMs >= untilMs
    })
    if (!this.#isBroken && !this.#ledger.isFinished) {
      const text = `not all is done ${CALM_MS_MAX} ms after the storm: ${this.#ledger.describeOpen()}`
      this.#ledger.findings.add('progress', text)
    }
  }

  async #end(): Promise<void> {
    if (this.#isBroken) return
    this.#phase = 'end'
    this.#trace('outside', 'everybody stops')
    for (const host of this.#hosts) host.stop()
    const untilMs = this.#course.nowMs + STOP_MS_MAX
    const isOver = (): boolean => this.#hosts.every(({ phase }) => phase === 'over')
    await this.#until(() => isOver() || this.#course.nowMs >= untilMs)
    if (this.#isBroken) return
    if (!isOver()) this.#ledger.findings.add('progress', `not all have stopped within ${STOP_MS_MAX} ms`)
    else if (!this.#ledger.isSettled) {
      this.#ledger.findings.add('I1', `everybody has stopped in order: ${this.#ledger.describeOpen()}`)
    }
  }

  async #until(isReached: () => boolean): Promise<void> {
    while (!this.#isBroken && !isReached()) {
      if (!(await this.#course.step())) return
      this.#lookAtHosts()
      this.#stopProcesses()
      if (this.#course.stepCount > STEPS_MAX) this.#ledger.findings.add('progress', `goes on for ${STEPS_MAX} steps`)
    }
  }

  get #isBroken(): boolean {
    return this.#ledger.findings.all.length > 0
  }

  get #running(): Host[] {
    return this.#hosts.filter(({ phase }) => phase === 'running')
  }

  /** One that has failed is started again by whoever watches over it. */
  #lookAtHosts(): void {
    for (const { phase, error, consumer } of this.#hosts) {
      if (phase !== 'over') continue
      if (error === undefined) continue
      if (this.#scenario.isCalm) this.#ledger.findings.add('calm', `${consumer.name} has failed: ${error.message}`)
      if (this.#phase === 'storm')
        this.#soon('it is started again', 1 + this.#dice.below(1000), () => this.#join(consumer.name))
    }
    this.#hosts = this.#hosts.filter(({ phase }) => phase !== 'over')
  }

  // ---- What happens from outside ----

  #happen({ kind }: Incident): void {
    const dice = this.#dice
    const running = this.#running
    const host = running[dice.below(running.length)]
    const acts: Readonly<Record<IncidentKind, () => void>> = {
      join: () => this.#join(),
      leave: () => host?.stop(),
      crash: () => this.#crash(host),
      'stop-process': () => this.#stopProcess(host),
      split: () => this.#reshape('split'),
      merge: () => this.#reshape('merge'),
      'service-restart': () => this.#restartService(),
      'delete-group': () => this.#deleteGroup(),
      move: () => this.#move(host)
    }
    acts[kind]()
  }

  #restartService(): void {
    this.#service.goAway()
    this.#soon('the service is back', 50 + this.#dice.below(this.#dice.pick(AWAY_MS)), () => this.#service.comeBack())
  }

  #deleteGroup(): void {
    this.#service.deleteGroup()
    this.#ledger.groupDeleted()
  }

  #join(consumer?: string): void {
    this.#isJoinDue = false
    if (this.#running.length >= HOSTS_MAX || this.#phase === 'end') return
    this.#hostCount += 1
    const name = `host-${this.#hostCount}`
    const isStormy = (): boolean => this.#phase === 'storm'
    const { mood, badOneIn, gapOneIn, resultFailsOneIn, hasResults, seed } = this.#scenario
    const host = new Host({
      name,
      course: this.#course,
      service: this.#service,
      ledger: this.#ledger,
      seed: mixSeeds(seed, 1 + this.#hostCount),
      options: this.#optionsOf(consumer ?? name),
      hasResults,
      gapOneIn,
      skewMs: this.#scenario.isCalm ? 0 : this.#dice.pick(SKEWS_MS),
      trace: this.#trace,
      mood: () => (isStormy() ? mood : calmed(mood)),
      badOneIn: () => (isStormy() ? badOneIn : Number.POSITIVE_INFINITY),
      resultFailsOneIn: () => (isStormy() ? resultFailsOneIn : Number.POSITIVE_INFINITY)
    })
    this.#hosts.push(host)
    host.start()
  }

  #optionsOf(consumer: string): ConsumerOptions {
    const { topicIds, options } = this.#scenario
    return {
      endpoint: 'http://service',
      credentials: KEY,
      logsetId: LOGSET,
      topicIds,
      group: GROUP,
      consumer,
      processor: 'set by the host',
      heldBytesMax: 4 * 1024 * 1024,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      callTimeoutMs: 5000,
      threadExitMs: 5000,
      hookTimeoutMs: 5000,
      backoffMs: 100,
      backoffMaxMs: 2000,
      ...options
    }
  }

  #crash(host: Host | undefined): void {
    if (host === undefined) return
    host.crash()
    const isKnownAgain = this.#dice.oneIn(2)
    const name = isKnownAgain ? host.consumer.name : undefined
    if (this.#dice.oneIn(4)) return
    this.#soon('it is started again', 1 + this.#dice.below(2000), () => this.#join(name))
  }

  /**
   * Not now, when most likely nothing goes on there, but after so many of the next things that happen to it: between any
   * two of a burst.
   */
  #stopProcess(host: Host | undefined): void {
    if (host !== undefined) this.#stops.set(host, 1 + this.#dice.below(STOP_AFTER_MAX))
  }

  #stopProcesses(): void {
    for (const [host, left] of this.#stops) {
      if (host.phase === 'over' || this.#phase !== 'storm') this.#stops.delete(host)
      else if (this.#course.lastPlace?.root === host.place) this.#stops.set(host, left - 1)
      if (left > 1 || !this.#stops.delete(host)) continue
      host.pause()
      const groupTimeoutMs = 2 * (this.#scenario.options.heartbeatIntervalMs ?? 0)
      this.#soon(`${host.place.name} is woken`, 100 + this.#dice.below(2 * groupTimeoutMs), () => host.place.wake())
    }
  }

  #reshape(kind: 'split' | 'merge'): void {
    const dice = this.#dice
    const topicId = dice.pick(this.#scenario.topicIds)
    const { partitions } = this.#service.topic(topicId)
    const partition = partitions[dice.below(partitions.length)]
    if (partition === undefined || partition.status !== 'readwrite' || partitions.length >= PARTITIONS_MAX) return
    // Where `startFrom` is the end, a child of what nobody has begun to read may begin there, too.
    if (
      this.#scenario.options.startFrom === 'end' &&
      ![...this.#ledger.stock.partitions].every(({ committed }) => committed !== undefined)
    )
      return
    if (kind === 'split') this.#service.split(topicId, partition)
    else this.#service.merge(topicId, partition)
    this.#know(topicId)
  }

  #move(host: Host | undefined): void {
    const partitions = host?.consumer.snapshot().partitions ?? []
    const held = partitions[this.#dice.below(partitions.length)]
    if (host === undefined || held === undefined) return
    const thread = this.#dice.below(this.#scenario.options.threads ?? 1)
    // A thread that does not exit is told elsewhere.
    host.consumer.moveToThread(held, thread).catch(() => undefined)
  }

  #store(): void {
    // Due in the storm, and late.
    if (this.#phase === 'end') return
    const dice = this.#dice
    const topicId = dice.pick(this.#scenario.topicIds)
    const messages = dice.list(1 + dice.below(6), () => dice.list(1 + dice.below(2), () => this.#nextId()))
    const { partition, offsets } = this.#service.store(topicId, dice.bytes(16).toString('hex'), messages)
    const stock = this.#ledger.stock.of(topicId, partition)
    for (const [index, ids] of messages.entries()) {
      stock.messages.push({ offset: offsets[index] ?? 0n, ids, done: undefined, isWaived: false })
    }
    this.#trace('outside', `${messages.flat().join(' ')} come to ${stock.key} at ${offsets.join(' ')}`)
  }

  #nextId(): string {
    this.#logCount += 1
    return `L${this.#logCount}`
  }

  /** The ledger knows of every partition, also of those without logs. */
  #know(topicId: string): void {
    for (const partition of this.#service.topic(topicId).partitions) this.#ledger.stock.of(topicId, partition)
  }

  #soon(what: string, delayMs: number, happen: () => void): void {
    this.#course.set({ where: this.#outside, what, delayMs, happen })
  }
}
