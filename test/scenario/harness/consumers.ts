/**
 * A consumer as a scenario handles it: in a process of its own, or in this one.
 *
 * In: a spec. Out: what its ledger says, and the ways to stop it, orderly or not. Signals go to the one process, by id.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { appendFileSync, closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import type { Consumer } from '../../../src/consumer.ts'
import type { ConsumerSnapshot } from '../../../src/consumer-events.ts'
import type { PartitionId } from '../../../src/dispatch/messages.ts'
import type { Command, SnapshotAnswer } from './consumer-process.ts'
import { LedgerReader } from './ledger-reader.ts'
import type { EventLine, Line } from './lines.ts'
import { type ConsumerSpec, record } from './recording.ts'
import { nowMs, until } from './until.ts'

/** What every consumer can be asked, wherever it runs. */
export abstract class ScenarioConsumer {
  readonly spec: ConsumerSpec
  readonly logFile: string
  readonly #ledger: LedgerReader

  constructor(spec: ConsumerSpec, logFile: string) {
    this.spec = spec
    this.logFile = logFile
    this.#ledger = new LedgerReader(spec.ledgerFile)
  }

  get name(): string {
    return this.spec.process
  }

  /** All lines of its ledger so far. */
  lines(): readonly Line[] {
    return this.#ledger.read()
  }

  events(name: string, matches: (event: EventLine) => boolean = () => true): EventLine[] {
    return this.lines().filter(
      (line): line is EventLine => line.kind === 'event' && line.name === name && matches(line)
    )
  }

  /** Waits for an event; finds it too where it has happened already. */
  event(name: string, matches: (event: EventLine) => boolean = () => true, withinMs?: number): Promise<EventLine> {
    return until(`${this.name} tells ${name}`, () => this.events(name, matches)[0], withinMs)
  }

  /** Waits until it is assigned this many partitions (of those that it has not released). */
  async holds(partitionCount: number, withinMs?: number): Promise<void> {
    await until(
      `${this.name} holds ${partitionCount} partitions`,
      () => this.held().length === partitionCount,
      withinMs
    )
  }

  /** Partitions assigned and not released, by number. */
  held(): number[] {
    const held = new Map<string, number>()
    for (const line of this.lines()) {
      if (line.kind !== 'event' || line.partition === undefined) continue
      const key = `${line.topicId}/${line.partition}`
      if (line.name === 'assigned') held.set(key, line.partition)
      if (line.name === 'released') held.delete(key)
    }
    return [...held.values()].sort((a, b) => a - b)
  }

  /** Ids of the logs that came out of its processor. */
  processedIds(): string[] {
    return this.lines().flatMap(line => (line.kind === 'end' ? line.ids : []))
  }

  log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : ''
  }

  /** Tells it to stop, and waits until it has; then it has left nothing running. */
  async stop(): Promise<EventLine> {
    this.tellToStop()
    return await this.finished()
  }

  /** How it ended: with the code of the error that stopped it, if any. */
  async finished(withinMs?: number): Promise<EventLine> {
    const event = await this.event('finished', undefined, withinMs)
    await this.gone()
    return event
  }

  abstract tellToStop(): void
  abstract snapshot(): Promise<ConsumerSnapshot>
  protected abstract gone(): Promise<void>
  /** At the end of a scenario, whatever became of it. */
  abstract dispose(): Promise<void>
}

/** In this process: where a process of its own adds nothing. */
export class LocalConsumer extends ScenarioConsumer {
  readonly #consumer

  constructor(spec: ConsumerSpec, logFile: string) {
    super(spec, logFile)
    this.#consumer = record(spec, line => appendFileSync(logFile, line))
  }

  override tellToStop(): void {
    void this.#consumer.stop()
  }

  override async snapshot(): Promise<ConsumerSnapshot> {
    return this.#consumer.snapshot()
  }

  /** Whether the partition has moved. */
  async moveToThread(id: PartitionId, thread: number): Promise<boolean> {
    return await this.#consumer.moveToThread(id, thread)
  }

  pause(id: PartitionId): boolean {
    return this.#consumer.pause(id.topicId, id.partition)
  }

  /** How many partitions go on. */
  async resume(): Promise<number> {
    return await this.#consumer.resume()
  }

  /** Where it goes on. */
  async seek(id: PartitionId, position: Parameters<Consumer['seek']>[2]): Promise<bigint | undefined> {
    return await this.#consumer.seek(id.topicId, id.partition, position)
  }

  protected override async gone(): Promise<void> {}

  override async dispose(): Promise<void> {
    await this.#consumer.stop()
  }
}

const ENTRY = new URL('./consumer-process.js', import.meta.url)

export class ChildConsumer extends ScenarioConsumer {
  readonly #child: ChildProcess
  /** However it comes to its end. */
  readonly exited: Promise<void>
  readonly #snapshots: ConsumerSnapshot[] = []

  constructor(spec: ConsumerSpec, logFile: string) {
    super(spec, logFile)
    const output = openSync(logFile, 'a')
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    this.#child = fork(ENTRY, {
      serialization: 'advanced',
      execArgv: [],
      env,
      stdio: ['ignore', output, output, 'ipc']
    })
    closeSync(output)
    this.exited = new Promise(resolve => this.#child.once('exit', () => resolve()))
    this.#child.on('message', message => {
      if (isSnapshotAnswer(message)) this.#snapshots.push(message.snapshot)
    })
    this.#send({ kind: 'start', spec })
  }

  override tellToStop(): void {
    this.#send({ kind: 'stop' })
  }

  override async snapshot(): Promise<ConsumerSnapshot> {
    const before = this.#snapshots.length
    this.#send({ kind: 'snapshot' })
    return await until(`${this.name} answers with a snapshot`, () => this.#snapshots[before])
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** As an operator stops it: by SIGTERM. It ends in order, or does not. */
  terminate(): void {
    this.#child.kill('SIGTERM')
  }

  /** Kill -9. Resolves once the process is gone, to the last moment at which it may have run. */
  async kill(): Promise<number> {
    this.#child.kill('SIGKILL')
    await this.exited
    return nowMs()
  }

  /** Stops the process where it is; it knows nothing of the time that passes. Resolves once all its threads stand still. */
  async freeze(): Promise<void> {
    this.#child.kill('SIGSTOP')
    await until(`every thread of ${this.name} stands still`, () => isStopped(this.#child.pid ?? 0))
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  protected override async gone(): Promise<void> {
    await until(`the process of ${this.name} has ended`, () => this.hasEnded)
  }

  override async dispose(): Promise<void> {
    if (this.hasEnded) return
    await this.kill()
  }

  /** However it came to that. */
  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  #send(command: Command): void {
    if (this.#child.connected) this.#child.send(command)
  }
}

/** Both ends are this harness, in one version. */
function isSnapshotAnswer(message: unknown): message is SnapshotAnswer {
  return typeof message === 'object' && message !== null && 'snapshot' in message
}

/**
 * The signal is taken by one thread, which stops the others when it is given time: on a busy machine they go on for a
 * while. Only Linux tells each thread's state; elsewhere the signal has to do.
 */
function isStopped(pid: number): boolean {
  const threads = `/proc/${pid}/task`
  if (!existsSync(threads)) return true
  // After the name, which is in parentheses and may hold anything, comes the state.
  return readdirSync(threads).every(id => /^.*\) T /s.test(readFileSync(`${threads}/${id}/stat`, 'utf8')))
}
