/** What all who play on it share: the scenario, chance, time, the service and the ledger. */
import type { Dice } from '../fuzz/dice.ts'
import { type Course, Place } from './course.ts'
import type { Disk } from './disk.ts'
import type { Ledger } from './ledger.ts'
import type { Scenario } from './scenario.ts'
import type { Service } from './service.ts'

/** storm: everything goes wrong. calm: nothing new does. end: everybody stops. */
export type StagePhase = 'storm' | 'calm' | 'end'

export interface StageParts {
  readonly scenario: Scenario
  readonly dice: Dice
  readonly course: Course
  readonly service: Service
  readonly ledger: Ledger
  readonly disk: Disk
  readonly trace: (where: string, what: string) => void
}

export class Stage {
  readonly scenario: Scenario
  readonly dice: Dice
  readonly course: Course
  readonly service: Service
  readonly ledger: Ledger
  readonly disk: Disk
  readonly trace: (where: string, what: string) => void
  phase: StagePhase = 'storm'
  /** What nobody of the group does: logs that come, incidents. */
  readonly #outside = new Place('outside')

  constructor(parts: StageParts) {
    this.scenario = parts.scenario
    this.dice = parts.dice
    this.course = parts.course
    this.service = parts.service
    this.ledger = parts.ledger
    this.disk = parts.disk
    this.trace = parts.trace
  }

  get isBroken(): boolean {
    return this.ledger.findings.all.length > 0
  }

  get groupTimeoutMs(): number {
    return 2 * this.scenario.options.heartbeatIntervalMs
  }

  soon(what: string, delayMs: number, happen: () => void): void {
    this.course.set({ where: this.#outside, what, delayMs, happen })
  }

  say(what: string): void {
    this.trace('outside', what)
  }
}
