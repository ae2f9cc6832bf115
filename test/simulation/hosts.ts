/**
 * The processes of the group: how they come, fail, and are started again, crash, and are stopped and woken.
 *
 * In: what incidents and the stage's phase say. Out: hosts that run. One that has failed or crashed is started again by
 * whoever watches over it, under its old name or a new one.
 */
import type { ConsumerOptions } from '../../src/options.ts'
import { mixSeeds } from '../fuzz/dice.ts'
import { Host } from './host.ts'
import { calmed } from './mood.ts'
import { GROUP, KEY, LOGSET } from './service.ts'
import type { Stage } from './stage.ts'

const HOSTS_MAX = 4
/** A process is stopped after so many more things have happened to it, at most. */
const STOP_AFTER_MAX = 60
const RESTART_MS_MAX = 2000
/** In the calm. */
const RESUME_MS = 3000
/** How far clocks are ahead of the service's; the last one is further than a signature may be. */
const SKEWS_MS = [0, 0, 0, 1500, -1500, 400_000] as const

export class Hosts {
  readonly #stage: Stage
  #hosts: Host[] = []
  /** Processes that are about to be stopped, and how many things are still to happen to each. */
  readonly #stops = new Map<Host, number>()
  #hostCount = 0
  #isJoinDue = false

  constructor(stage: Stage) {
    this.#stage = stage
  }

  get running(): readonly Host[] {
    return this.#hosts.filter(({ phase }) => phase === 'running')
  }

  get areOver(): boolean {
    return this.#hosts.every(({ phase }) => phase === 'over')
  }

  join(consumer?: string): void {
    this.#isJoinDue = false
    const { scenario, dice, course, service, ledger, disk, trace } = this.#stage
    if (this.running.length >= HOSTS_MAX || this.#stage.phase === 'end') return
    this.#hostCount += 1
    const name = `host-${this.#hostCount}`
    const { mood, badOneIn, gapOneIn, resultFailsOneIn, diskFailsOneIn, hasResults, seed } = scenario
    const isStormy = (): boolean => this.#stage.phase === 'storm'
    const host = new Host({
      name,
      course,
      service,
      ledger,
      disk,
      seed: mixSeeds(seed, 1 + this.#hostCount),
      options: this.#optionsOf(consumer ?? name),
      hasResults,
      gapOneIn,
      skewMs: scenario.isCalm ? 0 : dice.pick(SKEWS_MS),
      trace,
      mood: () => (isStormy() ? mood : calmed(mood)),
      badOneIn: () => (isStormy() ? badOneIn : Number.POSITIVE_INFINITY),
      resultFailsOneIn: () => (isStormy() ? resultFailsOneIn : Number.POSITIVE_INFINITY),
      diskFailsOneIn: () => (isStormy() ? diskFailsOneIn : Number.POSITIVE_INFINITY)
    })
    this.#hosts.push(host)
    host.start()
  }

  /** In the calm somebody must be there. */
  joinWhereNobodyIs(): void {
    if (this.running.length > 0 || this.#isJoinDue) return
    this.#isJoinDue = true
    this.#stage.soon('somebody must come', 1, () => this.join())
  }

  crash(host: Host | undefined): void {
    if (host === undefined) return
    const { dice } = this.#stage
    host.crash()
    const name = dice.oneIn(2) ? host.consumer.name : undefined
    if (!dice.oneIn(4)) this.#startAgain(name)
  }

  /**
   * Not now, when most likely nothing goes on there, but after so many of the next things that happen to it: between any
   * two of a burst.
   */
  stopProcess(host: Host | undefined): void {
    if (host !== undefined) this.#stops.set(host, 1 + this.#stage.dice.below(STOP_AFTER_MAX))
  }

  wakeAll(): void {
    for (const host of this.#hosts) host.place.wake()
  }

  /** What was paused or parked goes on. Again after a while: a partition may be stopped late. */
  resumeAll(): void {
    for (const host of this.running) void host.consumer.resume()
    if (this.#stage.phase === 'calm') this.#stage.soon('all is resumed', RESUME_MS, () => this.resumeAll())
  }

  stopAll(): void {
    for (const host of this.#hosts) host.stop()
  }

  /** At the very end: nothing of them may reach into the next run. */
  endAll(): void {
    for (const host of this.#hosts) host.crash()
  }

  /** After each thing that happened. */
  look(): void {
    for (const { phase, error, consumer } of this.#hosts) {
      if (phase !== 'over' || error === undefined) continue
      const { scenario, ledger } = this.#stage
      if (scenario.isCalm) ledger.findings.add('calm', `${consumer.name} has failed: ${error.message}`)
      if (this.#stage.phase === 'storm') this.#startAgain(consumer.name)
    }
    this.#hosts = this.#hosts.filter(({ phase }) => phase !== 'over')
    this.#countDown()
  }

  #countDown(): void {
    const { course, dice, phase, groupTimeoutMs } = this.#stage
    for (const [host, left] of this.#stops) {
      if (host.phase === 'over' || phase !== 'storm') this.#stops.delete(host)
      else if (course.lastPlace?.root === host.place) this.#stops.set(host, left - 1)
      if (left > 1 || !this.#stops.delete(host)) continue
      host.pause()
      this.#stage.soon(`${host.place.name} is woken`, 100 + dice.below(2 * groupTimeoutMs), () => host.place.wake())
    }
  }

  #startAgain(consumer: string | undefined): void {
    const delayMs = 1 + this.#stage.dice.below(RESTART_MS_MAX)
    this.#stage.soon('it is started again', delayMs, () => this.join(consumer))
  }

  /** Short limits, so that all of them are met within a storm of some seconds. */
  #optionsOf(consumer: string): ConsumerOptions {
    const { topicIds, options } = this.#stage.scenario
    return {
      endpoint: 'http://service',
      credentials: KEY,
      logsetId: LOGSET,
      topicIds,
      group: GROUP,
      consumer,
      processor: 'set by the host',
      heldBytesMax: 4 * 1024 * 1024,
      requestTimeoutMs: 1000,
      callTimeoutMs: 5000,
      threadExitMs: 5000,
      hookTimeoutMs: 5000,
      backoffMs: 100,
      backoffMaxMs: 2000,
      deadLetterDirectory: '/dead-letters',
      ...options
    }
  }
}
