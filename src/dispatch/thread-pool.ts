/**
 * The books of the pool: which thread has which number, what happens when one ends.
 *
 * In: tasks and messages addressed to thread 0 … count - 1, and what the engine says of its Workers. Out: answers; and
 * for each thread that ends, however it ends, exactly one `onExit`, then the rejection of its runs, then `onReplaced`.
 * Must never happen: a run rejected or a kill resolved while the thread may still be running (I2).
 *
 * All ends are one path. `kill` uses `Worker.terminate()`: Piscina takes it for a thread that ended by itself, notices
 * at its exit, and only then starts a replacement. (To abort a task, its own way, reports the death before it happened
 * and lets the replacement run beside the dying thread.)
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads'
import { assert, ClsConsumerError } from '../errors.ts'
import { within } from '../within.ts'
import type { ThreadWork } from '../world.ts'
import type { Engine, EngineHooks, PoolHandlers, ThreadPoolLimits } from './engine.ts'
import type { AnyAnswer, AnyTask, FromClient, PoolTask, ToClient } from './messages.ts'
import { Slot, type Tenant } from './thread-slot.ts'

type Phase = 'new' | 'booting' | 'open' | 'broken' | 'closing' | 'closed'
const MOVES = {
  new: ['booting', 'closed'],
  booting: ['open', 'broken', 'closing'],
  open: ['broken', 'closing'],
  broken: ['closing'],
  closing: ['closed'],
  closed: []
} as const satisfies Record<Phase, readonly Phase[]>

/** `Threads` of world.ts, for all its consumers together. */
export class ThreadPool {
  readonly count: number
  readonly #limits: ThreadPoolLimits
  readonly #startEngine: (hooks: EngineHooks) => Engine
  readonly #slots: readonly Slot[]
  /** Ready threads without a slot: their predecessor has failed, and not exited. */
  readonly #spares = new Set<Worker>()
  #phase: Phase = 'new'
  #engine: Engine | undefined
  #handlers: PoolHandlers | undefined
  /** Whoever waits for every thread to be live. */
  #waiters: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = []
  #closed: Promise<void> | undefined

  constructor(limits: ThreadPoolLimits, startEngine: (hooks: EngineHooks) => Engine) {
    this.#limits = limits
    this.#startEngine = startEngine
    this.count = limits.count
    this.#slots = Array.from({ length: limits.count }, (_, thread) => new Slot(thread, limits.timers))
  }

  async boot(handlers: PoolHandlers): Promise<void> {
    this.#move('booting')
    this.#handlers = handlers
    const live = this.#allLive()
    this.#engine = this.#startEngine({
      onReady: worker => this.#onReady(worker),
      onNotReplaced: () => this.#break('POOL_BROKEN', 'a thread ended before it was ready, and is not replaced')
    })
    for (const slot of this.#slots) this.#expectThread(slot)
    try {
      await live
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** No thread is being replaced, or booted. */
  get isSettled(): boolean {
    return this.#phase === 'open' && this.#slots.every(({ phase }) => phase === 'live')
  }

  /** Resolves when `isSettled`. Rejects where the pool breaks or closes first. */
  async settled(): Promise<void> {
    if (this.isSettled) return
    if (this.#phase !== 'open' && this.#phase !== 'booting') {
      throw new ClsConsumerError('POOL_BROKEN', `the threads are ${this.#phase}`)
    }
    await this.#allLive()
  }

  async run(thread: number, task: PoolTask): Promise<AnyAnswer> {
    const slot = this.#slot(thread)
    const tenant = slot.tenant
    if (tenant === undefined || slot.phase !== 'live') {
      if (slot.phase === 'ending') await tenant?.exited
      throw new ClsConsumerError('THREAD_LOST', `thread ${thread} has ended, and its replacement is not up yet`)
    }
    tenant.given(task)
    try {
      const answer = await this.#runOn(tenant, task)
      tenant.returned(task)
      if (answer.kind === 'processed' || answer.kind === 'rewound') slot.prove()
      if (answer.kind === 'processed') slot.took(answer.decodeMs + answer.processMs)
      // What the thread said before it answered is told before: its port and Piscina's keep no order between them.
      this.#deliver(slot, tenant)
      return answer
    } catch (error) {
      // The thread lives; the task never reached it.
      if (slot.tenant === tenant && slot.phase === 'live') {
        tenant.returned(task)
        throw error
      }
      // Piscina rejects at the Worker's `error`, which comes before its `exit`. Until that, user code may run (I2).
      const ending = await tenant.exited
      throw new ClsConsumerError('THREAD_LOST', `thread ${thread} ${ending}`, { cause: error })
    }
  }

  work(thread: number): ThreadWork {
    const slot = this.#slot(thread)
    const worker = slot.tenant?.worker
    return slot.work(worker === undefined ? 0 : (this.#engine?.busyMs(worker) ?? 0))
  }

  post(thread: number, message: ToClient): void {
    const slot = this.#slot(thread)
    if (slot.phase === 'live') slot.tenant?.port.postMessage(message)
  }

  async kill(thread: number): Promise<void> {
    const slot = this.#slot(thread)
    const tenant = slot.tenant
    // Where it is empty or booting, the thread that the caller means has exited.
    if (tenant === undefined || slot.phase === 'booting') return
    // One that has failed already ends by its own fault, though somebody wants it gone now.
    if (slot.phase === 'live') this.#handlers?.onKilled(thread)
    slot.end()
    tenant.terminate()
    void tenant.worker.terminate()
    await this.#awaitExit(slot, tenant)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const engine = this.#engine
    if (engine === undefined) return this.#move('closed')
    if (this.#phase === 'booting') this.#break('POOL_BROKEN', 'the pool was closed while it booted')
    this.#move('closing')
    this.#rejectWaiters(new ClsConsumerError('POOL_BROKEN', 'the pool was closed while a thread was being replaced'))
    const workers = new Set(engine.workers())
    for (const slot of this.#slots) {
      slot.expectNone()
      slot.end()
      slot.tenant?.terminate()
      if (slot.tenant !== undefined) workers.add(slot.tenant.worker)
    }
    const exits = [...workers].map(worker => new Promise(resolve => worker.once('exit', resolve)))
    // Not awaited: its own promise resolves early where a thread fails on its way out.
    void engine.destroy()
    await this.#bounded(Promise.all(exits), 'a thread of the closing pool')
    // A thread that had failed before and exits only now makes Piscina start another one.
    while (engine.workers().length > 0) await this.#bounded(engine.destroy(), 'a late thread of the closing pool')
    this.#move('closed')
  }

  #onReady(worker: Worker): void {
    this.#spares.add(worker)
    worker.once('exit', () => this.#spares.delete(worker))
    this.#fillSlots()
  }

  #fillSlots(): void {
    for (const slot of this.#slots) {
      const [worker] = this.#spares
      if (worker === undefined || (this.#phase !== 'booting' && this.#phase !== 'open')) return
      if (slot.phase !== 'empty') continue
      this.#spares.delete(worker)
      void this.#greet(slot, worker)
    }
  }

  /** Gives a thread its slot and its port. */
  async #greet(slot: Slot, worker: Worker): Promise<void> {
    const { thread } = slot
    const { port1, port2 } = new MessageChannel()
    const tenant = slot.bind(worker, port1)
    worker.once('error', (thrown: unknown) => this.#onError(slot, tenant, thrown))
    worker.once('exit', code => this.#onExit(slot, tenant, code))
    port1.on('message', (message: FromClient) => this.#handlers?.onMessage(thread, message))
    // Piscina's own ports keep the process up while tasks run; this one must not when none does.
    port1.unref()
    try {
      const answer = await this.#runOn(tenant, { kind: 'hello', thread, port: port2 }, [port2])
      assert(answer.kind === 'done', `a thread answers hello with done, not ${answer.kind}`)
      if (slot.tenant === tenant) this.#onLive(slot)
    } catch (error) {
      // No user code has run on it yet: the next one would fare no better.
      this.#break('POOL_BROKEN', `thread ${thread} did not come up`, error)
    }
  }

  #onLive(slot: Slot): void {
    slot.live()
    if (this.#phase === 'open') this.#handlers?.onReplaced(slot.thread)
    if (this.#slots.some(({ phase }) => phase !== 'live')) return
    if (this.#phase === 'booting') this.#move('open')
    for (const { resolve } of this.#waiters.splice(0)) resolve()
  }

  #onError(slot: Slot, tenant: Tenant, thrown: unknown): void {
    const isNews = slot.phase === 'live'
    tenant.fail(thrown)
    slot.end()
    if (isNews) this.#handlers?.onFailing(slot.thread)
    // Its end in time is told by `onExit`, its being stuck by `onBroken`.
    this.#awaitExit(slot, tenant).catch(() => {})
  }

  #deliver(slot: Slot, tenant: Tenant): void {
    for (;;) {
      const received: { message: FromClient } | undefined = receiveMessageOnPort(tenant.port)
      if (received === undefined) return
      this.#handlers?.onMessage(slot.thread, received.message)
    }
  }

  #onExit(slot: Slot, tenant: Tenant, exitCode: number): void {
    // Its last words first; then its port closes, and nothing more can come.
    this.#deliver(slot, tenant)
    const known = slot.phase !== 'booting' && this.#phase !== 'booting'
    const end = slot.vacate(tenant, exitCode)
    if (known) this.#handlers?.onExit(slot.thread, end)
    // Rejects the runs, in a later microtask.
    tenant.exit(exitCode)
    if (this.#phase === 'booting') {
      this.#break('POOL_BROKEN', `thread ${slot.thread} ${tenant.ending(exitCode)} while the pool booted`)
    }
    if (this.#phase !== 'open') return
    this.#expectThread(slot)
    this.#fillSlots()
  }

  #expectThread(slot: Slot): void {
    const bootMs = this.#limits.threadBootMs
    slot.expect(bootMs, () => this.#break('POOL_BROKEN', `thread ${slot.thread} was not up within ${bootMs} ms`))
  }

  #awaitExit(slot: Slot, tenant: Tenant): Promise<void> {
    return tenant.awaitExit(exited => this.#bounded(exited, `thread ${slot.thread}`))
  }

  async #bounded(exits: Promise<unknown>, what: string): Promise<void> {
    const { threadExitMs, timers } = this.#limits
    await within(timers, exits, threadExitMs, () => {
      throw this.#break('THREAD_STUCK', `${what} did not exit within ${threadExitMs} ms`)
    })
  }

  /** Told once, to whoever waits: the caller of `boot`, or the handler. */
  #break(code: 'POOL_BROKEN' | 'THREAD_STUCK', message: string, cause?: unknown): ClsConsumerError {
    const error = new ClsConsumerError(code, message, { cause })
    if (this.#phase === 'booting') {
      this.#move('broken')
    } else if (this.#phase === 'open') {
      this.#move('broken')
      this.#handlers?.onBroken(error)
    }
    this.#rejectWaiters(error)
    return error
  }

  #allLive(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  #rejectWaiters(error: ClsConsumerError): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error)
  }

  #runOn(tenant: Tenant, task: AnyTask, transferList: MessagePort[] = []): Promise<AnyAnswer> {
    assert(this.#engine !== undefined, 'a task runs on a booted pool')
    return this.#engine.run(tenant, task, transferList)
  }

  #slot(thread: number): Slot {
    const slot = this.#slots[thread]
    assert(slot !== undefined, `there is no thread ${thread}: they are 0 to ${this.count - 1}`)
    return slot
  }

  #move(to: Phase): void {
    const allowed: readonly Phase[] = MOVES[this.#phase]
    assert(allowed.includes(to), `a pool does not go from ${this.#phase} to ${to}`)
    this.#phase = to
  }
}
