/**
 * Starts an emulator, in this process or in one of its own.
 *
 * In: options. Out: a handle with the endpoint, the identities, and the ways to look into it, to take it off the net and
 * to end it. An emulator in a process of its own never outlives the one that started it.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { ClsConsumerError, fromFailure } from '../errors.ts'
import { changeFaults, changeSettings, type SettingsChange } from './changes.ts'
import { type ChildAnswer, type ChildCall, isChildAnswer } from './child-messages.ts'
import type { FaultRule } from './fault-rules.ts'
import type { Quirks } from './quirks.ts'
import { EmulatorServer } from './server.ts'
import { type EmulatorOptions, type EmulatorSettings, refuseProblems, resolveEmulatorOptions } from './settings.ts'
import { type EmulatorSnapshot, takeSnapshot } from './snapshot.ts'
import { createState } from './state.ts'

export type { Fault, FaultRule } from './fault-rules.ts'
export type { Quirks } from './quirks.ts'
export type { EmulatorOptions } from './settings.ts'
export type { EmulatorSnapshot } from './snapshot.ts'

export interface StartEmulatorOptions extends EmulatorOptions {
  /** Where it runs: in this process (the default), or in a child, with an event loop of its own. */
  readonly process?: 'same' | 'child'
  /** How long a child may take to listen. */
  readonly startTimeoutMs?: number
}

export type EmulatorCredentials = Pick<SettingsChange, 'secretId' | 'secretKey' | 'token'>

export interface EmulatorHandle {
  /** Of both planes, such as `http://127.0.0.1:9320`. */
  readonly endpoint: string
  readonly port: number
  readonly region: string
  /** As at the start; `setCredentials` does not change what stands here. */
  readonly secretId: string
  readonly secretKey: string
  readonly logsetId: string
  readonly topicIds: readonly string[]
  /** Of the child; of this process where it runs here. */
  readonly pid: number
  /** What it holds now. Works while it is suspended, too. */
  snapshot(): Promise<EmulatorSnapshot>
  /**
   * These rules take the place of all there are; counters start anew.
   * @throws ClsConsumerError OPTIONS_INVALID that lists every problem, and then changes nothing; so do the next four.
   */
  setFaults(rules: readonly FaultRule[]): Promise<void>
  /** Changes those that are named. */
  setQuirks(quirks: Partial<Quirks>): Promise<void>
  /** `service`: from now on what is over the service's limits is refused. `none`: no longer. */
  setRateLimits(limits: EmulatorSettings['rateLimits']): Promise<void>
  /** How far its clock is ahead of the host's from now on. Messages age with it; memberships do not. */
  setClockSkew(ms: number): Promise<void>
  /** What is named is accepted from now on, and nothing else. A token of `null`: none is asked for. */
  setCredentials(credentials: EmulatorCredentials): Promise<void>
  /**
   * Off the net, as a server that is down; groups, offsets and messages stay, and time goes on for them. What a fault
   * was delaying is gone: neither done nor answered.
   */
  suspend(): Promise<void>
  /** Back on the same port. */
  resume(): Promise<void>
  /** Ends it; a second call does nothing. */
  stop(): Promise<void>
  /** Ends the child at once, as by a power cut. In this process the same as `stop`. */
  kill(): Promise<void>
}

const START_TIMEOUT_MS = 20_000
/** How long a child that was told to stop may take, before it is killed. */
const STOP_TIMEOUT_MS = 5000

/** @throws ClsConsumerError OPTIONS_INVALID, EMULATOR_NOT_STARTED. */
export async function startEmulator(options: StartEmulatorOptions = {}): Promise<EmulatorHandle> {
  const { process: place = 'same', startTimeoutMs = START_TIMEOUT_MS, ...emulatorOptions } = options
  const settings = resolveEmulatorOptions(emulatorOptions)
  if (place === 'child') return startChild(settings, emulatorOptions, startTimeoutMs)
  const { server, snapshot, setFaults, change } = await startHere(settings)
  const stop = (): Promise<void> => server.suspend()
  return {
    ...identity(settings, server.port),
    pid: process.pid,
    snapshot: async () => snapshot(),
    setFaults: async rules => setFaults(rules),
    ...changesBy(async part => change(part)),
    suspend: stop,
    resume: () => server.listen(),
    stop,
    kill: stop
  }
}

export interface EmulatorHere {
  readonly server: EmulatorServer
  snapshot(): EmulatorSnapshot
  /** @throws ClsConsumerError OPTIONS_INVALID, like `change`. */
  setFaults(rules: readonly FaultRule[]): void
  change(change: SettingsChange): void
}

/** The emulator itself, on the host's clock. */
export async function startHere(settings: EmulatorSettings): Promise<EmulatorHere> {
  const state = createState(settings, Date.now() + settings.clockSkewMs)
  const nowMs = (): number => Date.now() + state.settings.clockSkewMs
  const server = new EmulatorServer(state, { nowMs, newRequestId: randomUUID })
  await server.listen()
  return {
    server,
    snapshot: () => takeSnapshot(state, nowMs()),
    setFaults: rules => refuseProblems('these faults cannot be played', changeFaults(state, rules)),
    change: part => refuseProblems('the emulator cannot be changed to these options', changeSettings(state, part))
  }
}

/** The handle's own names for the parts of a change. */
function changesBy(change: (part: SettingsChange) => Promise<void>) {
  return {
    setQuirks: (quirks: Partial<Quirks>) => change({ quirks }),
    setRateLimits: (rateLimits: EmulatorSettings['rateLimits']) => change({ rateLimits }),
    setClockSkew: (clockSkewMs: number) => change({ clockSkewMs }),
    setCredentials: (credentials: EmulatorCredentials) => change(credentials)
  }
}

function identity(settings: EmulatorSettings, port: number) {
  const { host, region, secretId, secretKey, logsetId, topicIds } = settings
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const endpoint = `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
  return { endpoint, port, region, secretId, secretKey, logsetId, topicIds }
}

async function startChild(
  settings: EmulatorSettings,
  options: EmulatorOptions,
  startTimeoutMs: number
): Promise<EmulatorHandle> {
  const child = new EmulatorChild()
  const deadline = setTimeout(() => child.fail(`it did not listen within ${startTimeoutMs} ms`), startTimeoutMs)
  try {
    const started = await child.call({ kind: 'start', options })
    if (started.kind !== 'started') throw new ClsConsumerError('EMULATOR_NOT_STARTED', 'the emulator did not start')
    return { ...identity(settings, started.port), pid: child.pid, ...childActions(child) }
  } catch (error) {
    await child.kill()
    throw error
  } finally {
    clearTimeout(deadline)
  }
}

function childActions(child: EmulatorChild) {
  return {
    snapshot: async () => {
      const answer = await child.call({ kind: 'snapshot' })
      if (answer.kind === 'snapshot') return answer.snapshot
      throw new ClsConsumerError('EMULATOR_NOT_STARTED', `the emulator answered ${answer.kind} to snapshot`)
    },
    setFaults: async (rules: readonly FaultRule[]) => void (await child.call({ kind: 'faults', rules })),
    ...changesBy(async change => void (await child.call({ kind: 'settings', change }))),
    suspend: async () => void (await child.call({ kind: 'suspend' })),
    resume: async () => void (await child.call({ kind: 'resume' })),
    stop: () => child.stop(),
    kill: () => child.kill()
  }
}

type CallBody = ChildCall extends infer C ? (C extends ChildCall ? Omit<C, 'callId'> : never) : never

interface PendingCall {
  resolve(answer: ChildAnswer): void
  reject(error: Error): void
}

/** The process, and the calls to it that wait for an answer. */
class EmulatorChild {
  readonly #process: ChildProcess
  readonly #pending = new Map<number, PendingCall>()
  readonly #exited: Promise<void>
  #callCount = 0

  constructor() {
    this.#process = fork(new URL('./main.js', import.meta.url), [], {
      serialization: 'advanced',
      // A process group of its own: Ctrl-C at the terminal is for the consumer, which still has to commit to us.
      detached: true,
      execArgv: [],
      env: publicEnvironment(),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc']
    })
    this.#process.on('message', message => this.#take(message))
    this.#process.on('error', cause => this.fail(cause.message))
    this.#exited = new Promise(resolve => {
      this.#process.once('exit', (code, signal) => {
        this.fail(`it ended (${signal ?? code})`)
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  call(body: CallBody): Promise<ChildAnswer> {
    const callId = this.#callCount++
    const call: ChildCall = { callId, ...body }
    return new Promise((resolve, reject) => {
      this.#pending.set(callId, { resolve, reject })
      this.#process.send(call, error => {
        if (error !== null) this.fail(error.message)
      })
    })
  }

  fail(reason: string): void {
    for (const { reject } of this.#pending.values()) {
      reject(new ClsConsumerError('EMULATOR_NOT_STARTED', `the emulator's process does not answer: ${reason}`))
    }
    this.#pending.clear()
  }

  async stop(): Promise<void> {
    if (this.#hasEnded) return
    const deadline = setTimeout(() => this.#process.kill('SIGKILL'), STOP_TIMEOUT_MS)
    // It may end before its answer is read: what counts is that it has ended.
    await this.call({ kind: 'stop' }).catch(() => undefined)
    await this.#exited
    clearTimeout(deadline)
  }

  async kill(): Promise<void> {
    if (this.#hasEnded) return
    this.#process.kill('SIGKILL')
    await this.#exited
  }

  get #hasEnded(): boolean {
    return this.#process.pid === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null
  }

  #take(message: unknown): void {
    if (!isChildAnswer(message)) return
    const waiting = this.#pending.get(message.callId)
    this.#pending.delete(message.callId)
    if (message.kind === 'failed') waiting?.reject(fromFailure(message.failure))
    else waiting?.resolve(message)
  }
}

/** Nothing of the consumer's settings, least of all its secrets, gets into another process's environment. */
function publicEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CLS_')))
}
