/**
 * The stage of a scenario: an emulator in a process of its own, a producer, consumers, and a folder for their ledgers.
 *
 * In: an emulator. Out: consumers on it, and what they, the producer and the server know. Must never happen: a process or
 * a file that outlives `dispose`.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createService, type Service } from '../../../src/cls/service.ts'
import type { EmulatorHandle, EmulatorSnapshot } from '../../../src/emulator/start.ts'
import { createLogger } from '../../../src/observe/logger.ts'
import type { Credentials } from '../../../src/options.ts'
import { realClock, realRandom, realTimers } from '../../../src/real-world.ts'
import type { ControlApi } from '../../../src/world.ts'
import { ChildConsumer, LocalConsumer, type ScenarioConsumer } from './consumers.ts'
import { type Evidence, type Interruption, readEntries, readShared, readTenures, type Sent } from './evidence.ts'
import { committedOf, endsOf, isAllCommitted } from './positions.ts'
import { Producer } from './producer.ts'
import type { ConsumerSpec } from './recording.ts'
import { until } from './until.ts'
import { WireTap } from './wire-tap.ts'

/** Short, so that a scenario takes seconds. */
const TIMINGS = {
  heartbeatIntervalMs: 1000,
  pollIntervalMs: 50,
  commitIntervalMs: 200,
  callTimeoutMs: 10_000,
  requestTimeoutMs: 3000
} as const
export const GROUP_TIMEOUT_MS = 2 * TIMINGS.heartbeatIntervalMs

const LOG_TAIL_LINES = 25

export interface Part {
  readonly options?: Partial<ConsumerSpec['options']>
  readonly behaviour?: ConsumerSpec['behaviour']
  readonly onResult?: ConsumerSpec['onResult']
  readonly processor?: string
}

export class Stage {
  readonly emulator: EmulatorHandle
  readonly producer: Producer
  readonly folder = mkdtempSync(join(tmpdir(), 'cls-scenario-'))
  readonly group = 'scenario'
  readonly consumers: ScenarioConsumer[] = []
  readonly #taps: WireTap[] = []
  readonly #gateFiles: string[] = []
  /** Consumers that the scenario takes the lease from. */
  readonly #meantToLose = new Set<string>()
  readonly #service: Service
  #endpoint: string
  /** What producer and operator sign with from now on; consumers, unless their options have others, once they start. */
  credentials: Credentials

  constructor(emulator: EmulatorHandle, token: string | undefined) {
    this.emulator = emulator
    this.#endpoint = emulator.endpoint
    const { secretId, secretKey } = emulator
    this.credentials = { secretId, secretKey, ...(token === undefined ? {} : { token }) }
    const limits = { network: 'public', bodyBytesMax: 2 ** 25, requestTimeoutMs: 5000, callTimeoutMs: 5000 } as const
    const log = createLogger({ level: 'silent' })
    const world = { clock: realClock, timers: realTimers, random: realRandom, log }
    // Asked for each request, since they expire as soon as they are given.
    const credentials = async (): Promise<Credentials> => ({ ...this.credentials, expiresAtMs: Date.now() })
    this.#service = createService({ ...this.#identity(), credentials, ...limits }, world)
    this.producer = new Producer(this.#service.upload)
  }

  /** Of the first topic, which is the only one in most scenarios. */
  get topicId(): string {
    const [topicId] = this.emulator.topicIds
    assert.ok(topicId !== undefined)
    return topicId
  }

  /** The control plane, as an operator uses it. */
  get control(): ControlApi {
    return this.#service.control
  }

  /** From here on new consumers speak to the server through a tap. */
  async tap(): Promise<WireTap> {
    const tap = await WireTap.open(this.emulator.endpoint)
    this.#taps.push(tap)
    this.#endpoint = tap.endpoint
    return tap
  }

  /** A consumer in a process of its own. */
  fork(process: string, part: Part = {}): ChildConsumer {
    const consumer = new ChildConsumer(this.#spec(process, part), join(this.folder, `${process}.log`))
    this.consumers.push(consumer)
    return consumer
  }

  /** A consumer in this process. */
  run(process: string, part: Part = {}): LocalConsumer {
    const consumer = new LocalConsumer(this.#spec(process, part), join(this.folder, `${process}.log`))
    this.consumers.push(consumer)
    return consumer
  }

  /** Have the thread die that next begins a batch of a consumer with this `dieFile`. */
  readonly dieFile = join(this.folder, 'die')
  killNextThread(): void {
    writeFileSync(this.dieFile, '')
  }

  /** A gate, closed: whoever waits at it waits until `open`. */
  gate(name: string): { readonly gateFile: string; open(): void } {
    const gateFile = join(this.folder, name)
    writeFileSync(gateFile, '')
    this.#gateFiles.push(gateFile)
    return { gateFile, open: () => rmSync(gateFile, { force: true }) }
  }

  snapshot(): Promise<EmulatorSnapshot> {
    return this.emulator.snapshot()
  }

  /** What the server has as committed, for each partition of a topic; the first one, unless said otherwise. */
  async committed(topicId = this.topicId): Promise<Map<number, bigint>> {
    return committedOf(await this.snapshot(), topicId)
  }

  /** Where each partition of a topic ends. */
  async ends(topicId = this.topicId): Promise<Map<number, bigint>> {
    return endsOf(await this.snapshot(), topicId)
  }

  /** Waits for what a consumer is to bring about: not any longer once there is none that runs. */
  async until(what: string, look: () => boolean | Promise<boolean>, withinMs?: number): Promise<void> {
    await until(
      what,
      async () => {
        const ends = this.consumers.map(consumer => consumer.events('finished')[0])
        // Asked first: what the last one did before it ended counts.
        if (await look()) return true
        if (ends.length === 0 || ends.includes(undefined)) return false
        const codes = ends.map(end => `${end?.process} ${end?.code ?? 'in order'}`)
        throw new Error(`all consumers have ended (${codes.join(', ')}), and never came: ${what}`)
      },
      withinMs
    )
  }

  /** Waits until all of these are processed, by whichever consumers. */
  async processed(ids: Iterable<string>, withinMs?: number): Promise<void> {
    const wanted = [...ids]
    const missing = (): string[] => {
      const done = new Set(this.consumers.flatMap(consumer => consumer.processedIds()))
      return wanted.filter(id => !done.has(id))
    }
    try {
      await this.until(`${wanted.length} logs are processed`, () => missing().length === 0, withinMs)
    } catch (error) {
      const list = missing()
      throw new Error(`${list.length} logs were not processed, first ${list.slice(0, 5).join(', ')}`, { cause: error })
    }
  }

  /** Waits until every partition's committed offset is its end: nothing that was stored is left, in any topic. */
  async allCommitted(withinMs?: number): Promise<void> {
    await this.until('every committed offset is the end of its partition', () => this.isAllCommitted(), withinMs)
  }

  async isAllCommitted(): Promise<boolean> {
    return isAllCommitted(await this.snapshot())
  }

  /** What one consumer had processed and not committed may repeat, from what the server has as committed now. */
  async interruptions(consumer: ScenarioConsumer, kind: Interruption['kind'], atMs: number): Promise<Interruption[]> {
    if (kind === 'lease-lost') this.#meantToLose.add(consumer.name)
    // A commit that is in the server's socket already is taken before the second look.
    await this.snapshot()
    const snapshot = await this.snapshot()
    return this.emulator.topicIds.flatMap(topicId =>
      [...committedOf(snapshot, topicId)].map(([partition, committedOffset]) => ({
        process: consumer.name,
        topicId,
        partition,
        kind,
        atMs,
        committedOffset
      }))
    )
  }

  /** What was repeated because the server gave partitions away that were still held: only a scenario that has it do so asks. */
  shared(): Interruption[] {
    for (const { name } of this.consumers) this.#meantToLose.add(name)
    return readShared(readTenures(this.consumers.flatMap(consumer => consumer.lines())))
  }

  /** All that happened. Unless said otherwise, every acknowledged log was due. */
  evidence(more: Partial<Pick<Evidence, 'expected' | 'permitted' | 'interruptions'>> = {}): Evidence {
    const expected: ReadonlyMap<string, Sent> = this.producer.acknowledged
    const lines = this.consumers.flatMap(consumer => consumer.lines())
    return {
      expected,
      permitted: this.producer.unsure,
      interruptions: [],
      ...readEntries(lines),
      tenures: readTenures(lines),
      ...more
    }
  }

  /** Names of consumers that lost a lease which the scenario did not take from them. */
  strayedConsumers(): string[] {
    const names = this.consumers.filter(consumer => consumer.events('leaseLost').length > 0).map(({ name }) => name)
    return names.filter(name => !this.#meantToLose.has(name))
  }

  logTails(): string {
    return this.consumers.map(consumer => `--- ${consumer.name}\n${tail(consumer.log())}`).join('\n')
  }

  async dispose(): Promise<void> {
    for (const gateFile of this.#gateFiles) rmSync(gateFile, { force: true })
    await this.producer.stop()
    await Promise.allSettled(this.consumers.map(consumer => consumer.dispose()))
    await Promise.allSettled([this.#service.close(), ...this.#taps.map(tap => tap.close())])
    await this.emulator.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #identity() {
    const { endpoint, region, logsetId } = this.emulator
    return { endpoint, region, credentials: this.credentials, logsetId }
  }

  #spec(process: string, { options = {}, behaviour = {}, onResult, processor }: Part): ConsumerSpec {
    return {
      process,
      ledgerFile: join(this.folder, `${process}.ledger`),
      options: {
        ...TIMINGS,
        ...this.#identity(),
        endpoint: this.#endpoint,
        topicIds: this.emulator.topicIds,
        group: this.group,
        startFrom: 'begin',
        threads: 1,
        ...options
      },
      behaviour,
      ...(onResult === undefined ? {} : { onResult }),
      ...(processor === undefined ? {} : { processor })
    }
  }
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
}
