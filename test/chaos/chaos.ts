/**
 * One run of chaos: an emulator, four consumers, a producer and a director; then calm, and the judge.
 *
 * In: a seed and a length. Out: what the judge was given, what it found, and what went wrong besides. Must never happen: a
 * process that outlives the run, however it ends; a wait without a limit; evidence that is gone although it convicts.
 */
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { printJson } from '../../src/cls/json.ts'
import { startEmulator } from '../../src/emulator/start.ts'
import { type Evidence, readEntries, readTenures } from '../scenario/harness/evidence.ts'
import { type Lane, Load } from '../scenario/harness/producer.ts'
import { Stage } from '../scenario/harness/stage.ts'
import { nowMs, until } from '../scenario/harness/until.ts'
import { Director } from './director.ts'
import { type Life, readExcuses } from './excuses.ts'
import { drawPlan, SLOT_COUNT } from './plan.ts'
import { Progress } from './progress.ts'
import { Slot } from './slot.ts'
import { type Findings, findAll, type Plant, plantIn } from './verdict.ts'

export interface ChaosOptions {
  readonly seconds: number
  readonly seed: number
  /** Makes the evidence wrong before it is judged. */
  readonly plant?: Plant | undefined
  /** Ends the run early; nothing is judged then. */
  readonly signal: AbortSignal
  say(line: string): void
}

const PARTITION_COUNT = 8
/** Two to each partition, so that the children of a split both get some. */
const LANE_COUNT = 16
const LOAD_COUNT = 2
const LOGS_PER_UPLOAD = 2
const UPLOAD_PAUSE_MS = 60
const TOLD_EVERY_MS = 5000
/** In which everything left is read, once all is calm. */
const CALM_MAX_MS = 60_000

/** Undefined where it was ended early. */
export async function runChaos(options: ChaosOptions): Promise<Findings | undefined> {
  const emulator = await startEmulator({ process: 'child', topicCount: 1, partitionCount: PARTITION_COUNT })
  const stage = new Stage(emulator, undefined)
  try {
    return await new Run(stage, options).play()
  } finally {
    await stage.dispose()
  }
}

class Run {
  readonly #stage: Stage
  readonly #options: ChaosOptions
  readonly #complaints: string[] = []
  readonly #slots: readonly Slot[]
  readonly #director: Director
  readonly #progress: Progress
  readonly #startedMs = nowMs()

  constructor(stage: Stage, options: ChaosOptions) {
    this.#stage = stage
    this.#options = options
    const world = {
      stage,
      signal: options.signal,
      say: (line: string) => this.#say(line),
      complain: (line: string) => this.#complain(line)
    }
    this.#slots = Array.from({ length: SLOT_COUNT }, (_, index) => new Slot(String.fromCharCode(65 + index), world))
    this.#director = new Director({ ...world, slots: this.#slots })
    this.#progress = new Progress(stage)
  }

  async play(): Promise<Findings | undefined> {
    const { seed, seconds, signal } = this.#options
    this.#say(`the emulator is pid ${this.#stage.emulator.pid}; ledgers and logs are in ${this.#stage.folder}`)
    const told = this.#tellProgress()
    const loads = this.#startLoads()
    await Promise.all(this.#slots.map(slot => slot.start(false)))
    this.#say('all consumers have joined')
    await this.#director.play(drawPlan(seed, seconds * 1000))
    await Promise.all(loads.map(load => load.stop()))
    if (signal.aborted) return undefined
    await this.#calmDown()
    await Promise.all(this.#slots.map(slot => slot.terminate()))
    await told.stop()
    if (signal.aborted) return undefined
    return this.#judge()
  }

  /** Everything that was sent is processed, and committed to the end; what is not, the judge finds. */
  async #calmDown(): Promise<void> {
    const { signal } = this.#options
    this.#say('calm: reading what is left')
    const isRead = (): boolean => {
      if (this.#progress.goesInCircles()) throw new Error('the same logs are processed again and again')
      return signal.aborted || this.#progress.isAllProcessed()
    }
    const isCommitted = async (): Promise<boolean> => signal.aborted || (await this.#stage.isAllCommitted())
    await until('every log that was sent is processed', isRead, CALM_MAX_MS)
      .then(() => until('every partition is committed to its end', isCommitted, CALM_MAX_MS))
      .catch(error => this.#complain(String(error)))
  }

  #judge(): Findings {
    this.#say('all have stopped: judging')
    const lives = this.#slots.flatMap(slot => slot.lives)
    const evidence = this.#gather(lives)
    const { plant } = this.#options
    const findings = findAll(plant === undefined ? evidence : plantIn(evidence, plant), this.#complaints)
    for (const line of this.#progress.summary(this.#director.counts, evidence.interruptions)) this.#say(line)
    if (findings.isSound) return findings
    return { ...findings, folder: this.#keep(findings) }
  }

  #gather(lives: readonly Life[]): Evidence {
    const { producer } = this.#stage
    // One process at a time: what is compared with each other stays small.
    const read = lives.map(({ lines }) => ({ ...readEntries(lines), tenures: readTenures(lines) }))
    return {
      expected: producer.acknowledged,
      permitted: producer.unsure,
      entries: read.flatMap(({ entries }) => entries).sort((a, b) => a.startMs - b.startMs),
      unfinished: read.flatMap(({ unfinished }) => unfinished),
      tenures: read.flatMap(({ tenures }) => tenures),
      interruptions: readExcuses(lives)
    }
  }

  /** The ledgers and logs stay, with what was sent and what was found. */
  #keep({ complaints }: Findings): string {
    const folder = join(mkdtempSync(join(tmpdir(), 'cls-chaos-')), 'evidence')
    const sent = [...this.#stage.producer.acknowledged.values()].map(upload => printJson({ ...upload }))
    writeFileSync(join(this.#stage.folder, 'sent.ndjson'), `${sent.join('\n')}\n`)
    writeFileSync(join(this.#stage.folder, 'complaints.txt'), `${complaints.join('\n')}\n`)
    renameSync(this.#stage.folder, folder)
    return folder
  }

  /** Each log of a lane waits for the one before it; the lanes of two loads do not wait for each other. */
  #startLoads(): Load[] {
    const { producer, topicId } = this.#stage
    const lanes = producer.lanes(topicId, LANE_COUNT)
    return Array.from({ length: LOAD_COUNT }, (_, index) => {
      const own = lanes.filter((_, lane) => lane % LOAD_COUNT === index)
      return new Load(() => this.#round(own))
    })
  }

  async #round(lanes: readonly Lane[]): Promise<void> {
    const { signal } = this.#options
    for (const lane of lanes) {
      if (signal.aborted) return
      await this.#stage.producer.send(lane, LOGS_PER_UPLOAD).catch(() => undefined)
    }
    await sleep(UPLOAD_PAUSE_MS, undefined, { signal }).catch(() => undefined)
  }

  #tellProgress(): { stop(): Promise<void> } {
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.#options.signal])
    const told = (async () => {
      while (!signal.aborted) {
        await sleep(TOLD_EVERY_MS, undefined, { signal }).catch(() => undefined)
        if (!signal.aborted) this.#say(this.#progress.line(this.#slots))
      }
    })()
    return {
      async stop() {
        over.abort()
        await told
      }
    }
  }

  #complain(line: string): void {
    this.#complaints.push(line)
    this.#say(`!! ${line}`)
  }

  #say(line: string): void {
    const seconds = (nowMs() - this.#startedMs) / 1000
    this.#options.say(`${seconds.toFixed(1).padStart(7)} s  ${line}`)
  }
}
