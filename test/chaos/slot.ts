/**
 * The place of one consumer: a process, and the one that follows it when it is gone.
 *
 * In: what shall be done to it. Out: that it was done. Signals go to its own process, by id. Must never happen: a process
 * that ends by itself unnoticed; one that was stopped past its lease, and goes on as if it had not been.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ChildConsumer } from '../scenario/harness/consumers.ts'
import type { Part, Stage } from '../scenario/harness/stage.ts'
import { until } from '../scenario/harness/until.ts'
import { type Doom, printDoom } from './doom.ts'
import type { Life } from './excuses.ts'
import { HEARTBEAT_INTERVAL_MS } from './plan.ts'

/** waking: it runs on after a SIGCONT, and has not said yet that its lease is lost. leaving: it was told to stop. */
export type SlotPhase = 'down' | 'starting' | 'running' | 'still' | 'waking' | 'leaving'

const MOVES = {
  down: ['starting'],
  starting: ['running', 'down'],
  running: ['still', 'leaving', 'down'],
  still: ['running', 'waking', 'down'],
  waking: ['running', 'down'],
  leaving: ['down']
} as const satisfies Record<SlotPhase, readonly SlotPhase[]>

const PROCESSOR = fileURLToPath(new URL('./processor.js', import.meta.url))

/** Tight, so that what hangs is ended within seconds; but patient with a busy machine where nothing hangs. */
const OPTIONS: NonNullable<Part['options']> = {
  heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
  pollIntervalMs: 150,
  commitIntervalMs: 400,
  threads: 2,
  drainTimeoutMs: 4000,
  abortGraceMs: 1000,
  processTimeoutMs: 2000,
  attempts: 8,
  backoffMs: 100,
  backoffMaxMs: 500
}
/** Long enough that signals find batches in processors. */
const BATCH_MS = 8

/** What is waited for happens within seconds, or never. */
const START_MAX_MS = 40_000
const STOP_MAX_MS = 40_000
const WAKE_MAX_MS = 10_000

export interface SlotWorld {
  readonly stage: Stage
  /** From its abort on nothing is started, and nothing waited for. */
  readonly signal: AbortSignal
  say(line: string): void
  /** What no chaos explains. */
  complain(line: string): void
}

export class Slot {
  readonly letter: string
  readonly #world: SlotWorld
  readonly #killedMs = new Map<string, number>()
  readonly #consumers: ChildConsumer[] = []
  readonly #doomFile: string
  #phase: SlotPhase = 'down'
  /** In the group. */
  #name = ''

  constructor(letter: string, world: SlotWorld) {
    this.letter = letter
    this.#world = world
    this.#doomFile = join(world.stage.folder, `${letter}.doom`)
  }

  get phase(): SlotPhase {
    return this.#phase
  }

  get name(): string {
    return this.#name
  }

  /** Every process that it has had. */
  get lives(): Life[] {
    return this.#consumers.map(consumer => {
      const killedMs = this.#killedMs.get(consumer.name)
      return { process: consumer.name, lines: consumer.lines(), ...(killedMs === undefined ? {} : { killedMs }) }
    })
  }

  /** Resolves once it has joined the group, or is gone again. */
  async start(keepsName: boolean): Promise<void> {
    if (this.#world.signal.aborted) return
    this.#move('starting')
    const process = `${this.letter}${this.#consumers.length + 1}`
    if (!keepsName || this.#name === '') this.#name = process
    const options = { ...OPTIONS, consumer: this.#name }
    const behaviour = { batchMs: BATCH_MS, doomFile: this.#doomFile }
    const consumer = this.#world.stage.fork(process, { options, behaviour, processor: PROCESSOR })
    this.#consumers.push(consumer)
    this.#world.say(`${process} starts as ${this.#name}, pid ${consumer.pid}`)
    void consumer.exited.then(() => this.#hasGone(consumer))
    const joined = until(
      `${process} joins`,
      () => this.#phase !== 'starting' || this.#isOver || consumer.events('joined')[0],
      START_MAX_MS
    )
    await joined.catch(error => this.#world.complain(String(error)))
    if (this.#phase === 'starting') this.#move('running')
  }

  async kill(): Promise<void> {
    const consumer = this.#consumer
    this.#move('down')
    this.#killedMs.set(consumer.name, await consumer.kill())
  }

  /** By SIGTERM. Resolves once it has ended: in order, or there is a complaint. */
  async terminate(): Promise<void> {
    const consumer = this.#consumer
    this.#move('leaving')
    consumer.terminate()
    try {
      await until(`${consumer.name} stops`, () => this.#isOver || consumer.events('finished')[0], STOP_MAX_MS)
      if (this.#isOver) return
      const { code, text } = await consumer.finished()
      if (code !== undefined) this.#world.complain(`${consumer.name} did not stop in order: ${code} ${text}`)
    } catch (error) {
      this.#world.complain(String(error))
      this.#killedMs.set(consumer.name, await consumer.kill())
    }
    this.#move('down')
  }

  /** Stands still for so long. Resolves once it has noticed, where that was past its lease and it held anything. */
  async freeze(forMs: number, isPastLease: boolean): Promise<void> {
    const { signal } = this.#world
    const consumer = this.#consumer
    this.#move('still')
    await consumer.freeze()
    const hasWork = consumer.held().length > 0
    const lostCount = consumer.events('leaseLost').length
    await sleep(forMs, undefined, { signal }).catch(() => undefined)
    this.#move(isPastLease ? 'waking' : 'running')
    consumer.thaw()
    if (!isPastLease) return
    const isAwake = (): boolean =>
      consumer.events('leaseLost').length > lostCount || this.#phase !== 'waking' || this.#isOver
    if (hasWork) {
      await until(`${consumer.name} notices that it was stopped past its lease`, isAwake, WAKE_MAX_MS).catch(error =>
        this.#world.complain(`I12: ${error}`)
      )
    }
    if (this.#phase === 'waking') this.#move('running')
  }

  /** Lies in wait for its next batch. */
  doom(doom: Doom): void {
    writeFileSync(this.#doomFile, printDoom(doom))
  }

  get #isOver(): boolean {
    return this.#world.signal.aborted
  }

  get #consumer(): ChildConsumer {
    const consumer = this.#consumers.at(-1)
    if (consumer === undefined) throw new Error(`${this.letter} was never started`)
    return consumer
  }

  #hasGone(consumer: ChildConsumer): void {
    if (this.#isOver || consumer !== this.#consumers.at(-1) || this.#phase === 'down' || this.#phase === 'leaving')
      return
    const [end] = consumer.events('finished')
    this.#world.complain(`${consumer.name} ended by itself: ${end?.code ?? 'without a word'} ${end?.text ?? ''}`)
    this.#move('down')
    void this.start(false)
  }

  #move(phase: SlotPhase): void {
    const moves: readonly SlotPhase[] = MOVES[this.#phase]
    if (!moves.includes(phase)) throw new Error(`${this.letter} cannot go from ${this.#phase} to ${phase}`)
    this.#phase = phase
  }
}
