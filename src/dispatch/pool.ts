/**
 * The threads of the real world: Piscina, made to run each task on the thread it is addressed to. The only file that
 * imports it; `thread-pool.ts` keeps the books.
 *
 * In: options, and hooks for what happens to threads. Out: `Threads` of world.ts. Must never happen: a secret in a
 * worker's environment (I9); a task that waits in Piscina's queue, since all others would wait behind it; a parked event
 * loop in a thread.
 */
import { fileURLToPath } from 'node:url'
import { Piscina, queueOptionsSymbol } from 'piscina'
import { assert, ClsConsumerError, toFailure } from '../errors.ts'
import type { Clock, Logger, Threads, Timers } from '../world.ts'
import type { Engine, EngineHooks } from './engine.ts'
import type { AnyAnswer, AnyTask } from './messages.ts'
import { PoolMembers } from './pool-members.ts'
import { ScoutThread } from './scout.ts'
import { ThreadPool } from './thread-pool.ts'
import { Tenant } from './thread-slot.ts'
import { workerEnvironment } from './worker-environment.ts'

export interface ThreadsOptions {
  readonly count: number
  readonly batchesPerThread: number
  /** How long a thread that ends may take to exit. */
  readonly threadExitMs: number
  /** How long a thread may take until it has its port. */
  readonly threadBootMs?: number
  readonly maxYoungGenerationSizeMb?: number
  /** JavaScript heap of a thread that runs processors, past which it ends; Node's own limit where undefined. */
  readonly threadHeapMb?: number | undefined
  /** The built boot.cjs. */
  readonly file?: URL
  /** This process's environment; secrets in it do not reach the threads. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly timers: Timers
}

const THREAD_BOOT_MS = 10_000
/**
 * Where each log becomes an object, 7 % of the time goes into collecting them, with 16 MB it is 15 %; 128 MB gain little and
 * take half as much again (bench: `decode`).
 */
export const YOUNG_GENERATION_MB = 96
/**
 * Tasks that a thread may have at a time: Piscina must never see it as full. For each consumer on it those are
 * `batchesPerThread`, an `assign` or `revoke` for each partition, and a `start` or `stop`.
 */
const TASKS_PER_THREAD = 65_536

/** Tasks go straight to their thread. One that cannot is a mistake of ours, and must not become a silent wait. */
const NO_QUEUE = {
  size: 0,
  shift: () => null,
  remove: () => {},
  push: () => assert(false, 'a task was given to a thread that cannot take it')
}

/** Threads for one consumer alone. Nothing runs before `boot`. */
export function createThreads(options: ThreadsOptions & { readonly log: Logger }): Threads {
  return createMembers(options).client(options.log)
}

/** Threads for several consumers, and a scout for all of them. Nothing runs before the first boots. */
export function createMembers(options: ThreadsOptions): PoolMembers {
  const { clock, timers } = options
  const warn: Logger['warn'] = (message, fields) => members.warn(message, fields)
  const pool = (limits: Partial<ThreadsOptions>): ThreadPool => createPool({ ...options, ...limits }, warn)
  const members: PoolMembers = new PoolMembers(
    options,
    () => pool({}),
    () => new ScoutThread({ clock, timers, log: { warn } }, () => pool({ count: 1, threadHeapMb: undefined }))
  )
  return members
}

function createPool(options: ThreadsOptions, warn: Logger['warn']): ThreadPool {
  const { count, threadExitMs, threadBootMs = THREAD_BOOT_MS, timers } = options
  return new ThreadPool({ count, threadExitMs, threadBootMs, timers }, hooks => startPiscina(options, warn, hooks))
}

function startPiscina(options: ThreadsOptions, warn: Logger['warn'], hooks: EngineHooks): Engine {
  const { count, env, file, maxYoungGenerationSizeMb = YOUNG_GENERATION_MB, threadHeapMb } = options
  const piscina = new Piscina<AnyTask, AnyAnswer>({
    filename: fileURLToPath(file ?? new URL('../../workers/boot.cjs', import.meta.url)),
    minThreads: count,
    maxThreads: count,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: TASKS_PER_THREAD,
    // The default parks a thread's event loop between tasks: sockets and timers of a processor would freeze.
    atomics: 'disabled',
    recordTiming: false,
    taskQueue: NO_QUEUE,
    env: workerEnvironment(env),
    resourceLimits: {
      maxYoungGenerationSizeMb,
      ...(threadHeapMb === undefined ? {} : { maxOldGenerationSizeMb: threadHeapMb })
    },
    loadBalancer: (task, workers) => {
      const tenant = task[queueOptionsSymbol]
      return workers.find(worker => tenant instanceof Tenant && worker.id === tenant.id) ?? null
    }
  })
  piscina.on('workerCreate', ({ id }: { readonly id: number }) => {
    const worker = piscina.threads.find(({ threadId }) => threadId === id)
    // In this very turn Piscina does not yet count it among those that take tasks.
    if (worker !== undefined) queueMicrotask(() => hooks.onReady(worker))
  })
  piscina.on('workerDestroy', () => {
    // Piscina starts the replacement in the same turn, or never: after a thread that died before it was ready.
    queueMicrotask(() => piscina.threads.length < count && hooks.onNotReplaced())
  })
  // What a thread died of while it had no task: its exit is told anyway. User code can throw anything, null included.
  piscina.on('error', (thrown: unknown) =>
    warn('a worker thread failed', { error: toFailure(thrown, 'THREAD_LOST').message })
  )
  return {
    async run(tenant, task, transferList) {
      const addressed = { ...task, [queueOptionsSymbol]: tenant }
      let answer: AnyAnswer | null
      try {
        answer = await piscina.run(addressed, { transferList })
      } catch (error) {
        throw isUncloneable(error) ? optionsNotCloneable(error) : error
      }
      // Piscina tells a run by the error of its thread whether it has failed. A thread that dies of `throw null` leaves none.
      if (answer === null) throw new ClsConsumerError('THREAD_LOST', 'its thread threw null')
      return answer
    },
    workers: () => piscina.threads,
    // Read from here, whatever the thread is at: it need not answer.
    busyMs: worker => worker.performance.eventLoopUtilization().active,
    destroy: () => piscina.destroy()
  }
}

function isUncloneable(error: unknown): error is DOMException {
  return error instanceof DOMException && error.name === 'DataCloneError'
}

/** Of all that a task holds only these come from the user; the rest is plain. */
function optionsNotCloneable(error: DOMException): ClsConsumerError {
  const message = `processorOptions cannot be copied to a thread: ${error.message}`
  return new ClsConsumerError('OPTIONS_INVALID', message, { cause: error })
}
