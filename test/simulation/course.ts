/**
 * Virtual time, and what happens next in it.
 *
 * In: what is to happen, where, and not before when. Out: one thing at a time, drawn by seed among all that may happen
 * now; before the next one, everything that it has set going runs to rest. Must never happen: an order that reality does
 * not have. What is due at one place may come in any order, but messages of one channel keep theirs, and so do the timers
 * of one process: the one that is due first fires first, and of those due at once, those of one length in the order in
 * which they were set, as Node does it. Nothing happens at a place that is stopped or gone, however long it is due.
 */
import assert from 'node:assert/strict'
import type { Timer } from '../../src/world.ts'
import type { Dice } from '../fuzz/dice.ts'

/** Where something happens: a process, one of its threads, the service. */
export class Place {
  readonly name: string
  readonly #around: Place | undefined
  #phase: 'running' | 'stopped' | 'gone' = 'running'

  /** What happens to the place around it happens to it. */
  constructor(name: string, around?: Place) {
    this.name = name
    this.#around = around
  }

  /** The outermost place around it. */
  get root(): Place {
    return this.#around?.root ?? this
  }

  get isGone(): boolean {
    return this.#phase === 'gone' || this.#around?.isGone === true
  }

  get isRunning(): boolean {
    return this.#phase === 'running' && this.#around?.isRunning !== false
  }

  stop(): void {
    if (this.#phase === 'running') this.#phase = 'stopped'
  }

  wake(): void {
    if (this.#phase === 'stopped') this.#phase = 'running'
  }

  end(): void {
    this.#phase = 'gone'
  }
}

export interface Happening {
  readonly where: Place
  /** For the trace. */
  readonly what: string
  readonly delayMs: number
  /** Of those of one queue, the one that is due first comes first; of those due at once, the one set first. */
  readonly queue?: object
  /** A timer of its place. */
  readonly isTimer?: boolean
  happen(): void
}

interface Coming extends Happening {
  readonly dueMs: number
  /** Grows from one to the next. */
  readonly serial: number
}

/** Of Node's own event loop: a few are needed, and some thousands for a module that is read from disk. */
const TURNS_MAX = 2_000_000

export class Course {
  nowMs = 0
  /** How many things have happened, and where the last of them. */
  stepCount = 0
  lastPlace: Place | undefined
  /** One thing in so many meets a process that was busy for a while; never where infinite. */
  busyOneIn = Number.POSITIVE_INFINITY
  /** What is looked at after each thing that happened, once all is at rest. */
  readonly afterEach: (() => void)[] = []
  /** Messages that have not come out of a real port, modules that are being loaded: what Node's own event loop brings. */
  underwayCount = 0
  readonly #dice: Dice
  readonly #trace: (where: string, what: string) => void
  #coming: Coming[] = []
  #lastSerial = 0

  constructor(dice: Dice, trace: (where: string, what: string) => void) {
    this.#dice = dice
    this.#trace = trace
  }

  set(happening: Happening): Timer {
    this.#lastSerial += 1
    const coming: Coming = { ...happening, dueMs: this.nowMs + happening.delayMs, serial: this.#lastSerial }
    this.#coming.push(coming)
    return {
      cancel: () => {
        const index = this.#coming.indexOf(coming)
        if (index >= 0) this.#coming.splice(index, 1)
      }
    }
  }

  /** Timers of a place that have neither fired nor been cancelled. */
  timersOf(where: Place): string[] {
    const timers = this.#coming.filter(coming => coming.where === where && coming.isTimer === true)
    return timers.map(({ what, dueMs }) => `${what}, due in ${dueMs - this.nowMs} ms`)
  }

  /** Lets one thing happen, and all that follows from it by itself. False: nothing is left that could. */
  async step(): Promise<boolean> {
    const next = this.#draw()
    if (next === undefined) return false
    this.#coming.splice(this.#coming.indexOf(next), 1)
    this.stepCount += 1
    this.lastPlace = next.where
    this.#trace(next.where.name, next.what)
    next.happen()
    await this.rest()
    return true
  }

  /** Microtasks, and messages of real ports, until there are none. */
  async rest(): Promise<void> {
    do {
      let turns = 0
      do {
        await new Promise(resolve => setImmediate(resolve))
        turns += 1
        assert.ok(turns < TURNS_MAX, 'what Node itself was to bring does not come')
      } while (this.underwayCount > 0)
      for (const look of this.afterEach) look()
    } while (this.underwayCount > 0)
  }

  #draw(): Coming | undefined {
    this.#coming = this.#coming.filter(({ where }) => !where.isGone)
    if (this.#dice.oneIn(this.busyOneIn)) this.nowMs += 1 + this.#dice.below(40)
    let ready = this.#ready()
    if (ready.length === 0) {
      const nextMs = this.#nextDueMs()
      if (nextMs === undefined) return undefined
      this.nowMs = nextMs
      ready = this.#ready()
    }
    return ready[this.#dice.below(ready.length)]
  }

  #nextDueMs(): number | undefined {
    let nextMs: number | undefined
    for (const { where, dueMs } of this.#coming)
      if (where.isRunning && (nextMs === undefined || dueMs < nextMs)) nextMs = dueMs
    return nextMs
  }

  #ready(): Coming[] {
    const due = this.#coming.filter(({ where, dueMs }) => dueMs <= this.nowMs && where.isRunning)
    return due.filter(coming => !due.some(other => goesBefore(other, coming)))
  }
}

/** Whether only `other` may be the next one of the two. */
function goesBefore(other: Coming, coming: Coming): boolean {
  if (other === coming) return false
  const isTied = other.dueMs === coming.dueMs && other.serial < coming.serial
  if (other.queue !== undefined && other.queue === coming.queue) return other.dueMs < coming.dueMs || isTied
  if (other.isTimer !== true || coming.isTimer !== true || other.where !== coming.where) return false
  return other.dueMs < coming.dueMs || (isTied && other.delayMs === coming.delayMs)
}
