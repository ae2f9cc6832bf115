/**
 * One thread as one consumer sees it: whether it is there, and how far its `start` has come.
 *
 * In: what happens to the thread. Out: its phase, and word of its first `start`. Must never happen: a move that the
 * diagram does not have; an end of the first `start` that is told to nobody.
 *
 *   down ──► bare ──► starting ──► up      down: from a thread's failure or end until its replacement is there
 *     ▲────────┴─────────┴─────────┘       bare: it is there, and may have to rest before `start` runs
 */
import { assert, type ClsConsumerError } from '../errors.ts'
import type { Timer } from '../world.ts'

type Phase = 'down' | 'bare' | 'starting' | 'up'
const MOVES = {
  down: ['bare'],
  bare: ['starting', 'down'],
  starting: ['up', 'down'],
  up: ['down']
} as const satisfies Record<Phase, readonly Phase[]>

/** What the first `start` came to: an error, or none. */
type FirstStart = ClsConsumerError | undefined

export class CrewMember {
  readonly thread: number
  /**
   * terminated: somebody had it killed. What ran on it is not to blame for its end.
   * given-up: `start` has failed there for good, or code of the processor has ended it: a replacement would fare no better.
   */
  end: 'none' | 'terminated' | 'given-up' = 'none'
  /** Threads in a row that died by themselves while `start` ran. */
  lossCount = 0
  /** Resolves when the `start` that runs there has ended, however. */
  starting: Promise<void> = Promise.resolve()
  #phase: Phase = 'down'
  /** Until then its replacement is left alone. */
  #rest: Timer | undefined
  #tell: ((first: FirstStart) => void) | undefined

  constructor(thread: number) {
    this.thread = thread
  }

  get phase(): Phase {
    return this.#phase
  }

  get isResting(): boolean {
    return this.#rest !== undefined
  }

  /** Somebody waits for its first `start`. */
  get isAwaited(): boolean {
    return this.#tell !== undefined
  }

  /** Asked for before anything can happen to the thread, so that nothing is missed. */
  firstStart(): Promise<FirstStart> {
    return new Promise(resolve => {
      this.#tell = resolve
    })
  }

  /** Its first `start` has returned, or never will. */
  settle(first: FirstStart): void {
    this.#tell?.(first)
    this.#tell = undefined
  }

  turn(phase: Phase): void {
    const allowed: readonly Phase[] = MOVES[this.#phase]
    assert(allowed.includes(phase), `thread ${this.thread} does not go from ${this.#phase} to ${phase}`)
    this.#phase = phase
  }

  /** Its failure is told, then its end; the run of a task on it hears of that too. */
  fall(): void {
    if (this.#phase !== 'down') this.turn('down')
  }

  /** Its end is near. A `start` that runs hears of it by itself. */
  takeNoMore(): void {
    if (this.#phase !== 'starting') this.fall()
  }

  rest(timer: Timer): void {
    this.#rest = timer
  }

  endRest(): void {
    this.#rest?.cancel()
    this.#rest = undefined
  }
}
