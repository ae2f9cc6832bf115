/**
 * Seeds spread over processes: one is busy on one core, and two runs in one process would share its event loop.
 *
 * In: a range of seeds, and when to end. Out: verdicts of the broken ones, as they come. Each process asks for its next
 * seeds when it is done with the last ones, so that slow seeds keep nobody waiting. A process that dies is a violation of
 * the seeds that it had.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { SeedVerdict } from './play-seed.ts'

export type Judged = Pick<SeedVerdict, 'seed' | 'findings'>

export interface SeedRange {
  readonly from: number
  /** Infinite where time alone ends it. */
  readonly count: number
  /** Wall time. */
  readonly untilMs: number
}

/** To a player. */
export interface SeedsToPlay {
  readonly from: number
  readonly count: number
}

/** From a player: it has played a seed, or asks for the next ones. */
export type FromPlayer = { readonly kind: 'judged'; readonly judged: Judged } | { readonly kind: 'next' }

const SEEDS_AT_ONCE = 10

export class Crowd {
  readonly #range: SeedRange
  readonly #jobs: number
  #phase: 'playing' | 'stopping' = 'playing'
  #nextSeed: number
  #doneCount = 0
  #playing = 0
  readonly #broken: Judged[] = []
  /** Wakes whoever waits for something broken, or for the end. */
  #wake: () => void = () => undefined

  constructor(range: SeedRange, jobs = availableParallelism()) {
    this.#range = range
    this.#jobs = jobs
    this.#nextSeed = range.from
  }

  get doneCount(): number {
    return this.#doneCount
  }

  /** What is being played is played to its end. */
  stop(): void {
    this.#phase = 'stopping'
  }

  /** Those that are broken, until all are played. */
  async *broken(): AsyncGenerator<Judged, void, undefined> {
    for (let job = 0; job < this.#jobs; job++) this.#start()
    for (;;) {
      const judged = this.#broken.shift()
      if (judged !== undefined) yield judged
      else if (this.#playing === 0) return
      else await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  #start(): void {
    const player = fork(fileURLToPath(new URL('player.js', import.meta.url)))
    this.#playing += 1
    // What it has been given, and has not judged.
    const open = new Set<number>()
    player.on('message', (message: FromPlayer) => {
      if (message.kind === 'next') this.#give(player, open)
      else {
        open.delete(message.judged.seed)
        this.#judge(message.judged)
      }
    })
    player.once('exit', code => {
      this.#playing -= 1
      const [seed] = open
      if (seed !== undefined && this.#phase === 'playing') {
        const message = `the process that played it ended with ${code}`
        this.#judge({ seed, findings: [{ invariant: 'crash', message }] })
      }
      this.#wake()
    })
  }

  #give(player: ChildProcess, open: Set<number>): void {
    const left = this.#range.from + this.#range.count - this.#nextSeed
    const count = Math.min(SEEDS_AT_ONCE, left)
    if (this.#phase === 'stopping' || count <= 0 || Date.now() >= this.#range.untilMs) {
      player.disconnect()
      return
    }
    const seeds: SeedsToPlay = { from: this.#nextSeed, count }
    for (let seed = seeds.from; seed < seeds.from + count; seed++) open.add(seed)
    this.#nextSeed += count
    player.send(seeds)
  }

  #judge(judged: Judged): void {
    this.#doneCount += 1
    if (judged.findings.length === 0) return
    this.#broken.push(judged)
    this.#wake()
  }
}
