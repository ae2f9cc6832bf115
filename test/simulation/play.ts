/**
 * Plays one seed: a storm, a calm, an end.
 *
 * In: a scenario. Out: what the ledger found. In the storm logs come, consumers come, go and die, and everything that the
 * scenario has goes wrong. In the calm nothing new goes wrong, and everything must be done and committed within a limit.
 * At the end every consumer stops in order, within a limit, and leaves nothing behind.
 *
 * Real: the whole consumer, from the options to the bytes of HTTP bodies; the books of the thread pool, the scout, and all
 * that runs on a thread; the emulator's answers. Simulated: time, chance, the network, the library that makes threads, and
 * user code. So it cannot find what those do otherwise than here: undici, Piscina, Node's Workers, the file system, the
 * live service where it is none of the emulator's readings, two instructions that run at once on two cores; nor bytes
 * that only large bodies have.
 */
import { Dice, mixSeeds } from '../fuzz/dice.ts'
import { Course } from './course.ts'
import { Disk } from './disk.ts'
import type { Finding } from './findings.ts'
import { Hosts } from './hosts.ts'
import { Incidents } from './incidents.ts'
import { Ledger } from './ledger.ts'
import type { Scenario } from './scenario.ts'
import { Service } from './service.ts'
import { Stage } from './stage.ts'

export interface Verdict {
  readonly findings: readonly Finding[]
  readonly stepCount: number
  readonly virtualMs: number
}

/** Everything that is retried ends within this, once what it is retried for succeeds. */
const CALM_MS_MAX = 120_000
/** Every step of a stop has its deadline: more than their sum, with the options of `Hosts`. */
const STOP_MS_MAX = 90_000
/** A run has a thousand; what goes round in a circle has no end. */
const STEPS_MAX = 60_000
/** Consumers that are there from the beginning come within this. */
const FIRST_JOIN_MS_MAX = 1000

export class Play {
  readonly #stage: Stage
  readonly #hosts: Hosts
  readonly #incidents: Incidents

  constructor(scenario: Scenario, trace: (atMs: number, where: string, what: string) => void) {
    const dice = new Dice(mixSeeds(scenario.seed, 1))
    const say = (where: string, what: string): void => trace(course.nowMs, where, what)
    const course: Course = new Course(dice, say)
    const service = new Service(course, scenario)
    const ledger = new Ledger(
      {
        groupTimeoutMs: 2 * scenario.options.heartbeatIntervalMs,
        startFrom: scenario.options.startFrom,
        partitionCount: scenario.partitionCount,
        isRobbing: scenario.isRobbing,
        ignoresForeign: scenario.quirks.foreignCommit === 'ignore',
        hasResults: scenario.hasResults,
        onFailure: scenario.options.onFailure,
        attempts: scenario.options.attempts,
        commitMode: scenario.options.commitMode,
        nowMs: () => course.nowMs,
        step: () => course.stepCount,
        committed: stock => service.committed(stock)
      },
      say
    )
    const disk = new Disk({ course, kept: bytes => ledger.givenUp.kept(bytes) })
    this.#stage = new Stage({ scenario, dice, course, service, ledger, disk, trace: say })
    this.#hosts = new Hosts(this.#stage)
    this.#incidents = new Incidents(this.#stage, this.#hosts)
  }

  async run(): Promise<Verdict> {
    const { ledger, course } = this.#stage
    const onRejection = (thrown: unknown): void => ledger.findings.add('rejection', `nobody heard of ${thrown}`)
    process.on('unhandledRejection', onRejection)
    try {
      await this.#storm()
      await this.#calm()
      await this.#end()
    } finally {
      process.off('unhandledRejection', onRejection)
      this.#hosts.endAll()
    }
    return { findings: ledger.findings.all, stepCount: course.stepCount, virtualMs: course.nowMs }
  }

  async #storm(): Promise<void> {
    const { scenario, dice, course } = this.#stage
    const { stormMs, consumerCount, burstCount, incidents, busyOneIn } = scenario
    course.busyOneIn = busyOneIn
    for (let host = 0; host < consumerCount; host++) {
      this.#stage.soon('a consumer comes', dice.below(FIRST_JOIN_MS_MAX), () => this.#hosts.join())
    }
    for (let burst = 0; burst < burstCount; burst++) {
      this.#stage.soon('logs come', dice.oneIn(4) ? 0 : dice.below(stormMs), () => this.#incidents.store())
    }
    for (const { kind, atMs } of incidents) this.#stage.soon(kind, atMs, () => this.#incidents.happen(kind))
    await this.#until(() => course.nowMs >= stormMs)
  }

  async #calm(): Promise<void> {
    const { ledger, course, service, disk } = this.#stage
    this.#stage.phase = 'calm'
    this.#stage.say('the storm is over')
    course.busyOneIn = Number.POSITIVE_INFINITY
    service.comeBack()
    disk.free()
    this.#hosts.wakeAll()
    this.#hosts.resumeAll()
    const untilMs = course.nowMs + CALM_MS_MAX
    await this.#until(() => {
      this.#hosts.joinWhereNobodyIs()
      return ledger.isFinished || course.nowMs >= untilMs
    })
    if (this.#stage.isBroken || ledger.isFinished) return
    const text = `not all is done ${CALM_MS_MAX} ms after the storm: ${ledger.describeOpen()}`
    ledger.findings.add('progress', text)
  }

  async #end(): Promise<void> {
    const { ledger, course } = this.#stage
    if (this.#stage.isBroken) return
    this.#stage.phase = 'end'
    this.#stage.say('everybody stops')
    this.#hosts.stopAll()
    const untilMs = course.nowMs + STOP_MS_MAX
    await this.#until(() => this.#hosts.areOver || course.nowMs >= untilMs)
    if (this.#stage.isBroken) return
    if (!this.#hosts.areOver) ledger.findings.add('progress', `not all have stopped within ${STOP_MS_MAX} ms`)
    else if (!ledger.isSettled) {
      ledger.findings.add('I1', `everybody has stopped in order: ${ledger.describeOpen()}`)
    }
  }

  async #until(isReached: () => boolean): Promise<void> {
    const { ledger, course } = this.#stage
    while (!this.#stage.isBroken && !isReached()) {
      if (!(await course.step())) return
      this.#hosts.look()
      if (course.stepCount > STEPS_MAX) ledger.findings.add('progress', `goes on for ${STEPS_MAX} steps`)
    }
  }
}
