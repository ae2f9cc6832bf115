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
import { assert, ClsConsumerError } from '../errors.ts'
import type { Logger, Threads, Timers } from '../world.ts'
import type { AnyTask, ThreadAnswer } from './messages.ts'
import { type Engine, type EngineHooks, ThreadPool } from './thread-pool.ts'
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
  /** The built run-batch.js. */
  readonly file?: URL
  /** This process's environment; secrets in it do not reach the threads. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Logger
  readonly timers: Timers
}

const THREAD_BOOT_MS = 10_000
/** Decoding makes an object per log. With Node's default of 16, collecting them took longer than making them. */
const YOUNG_GENERATION_MB = 96
/** Tasks that a thread may have beside its batches: hello, start, stop, and an assign and a revoke per partition. */
const CONTROL_TASKS_MAX = 1024

/** Tasks go straight to their thread. One that cannot is a mistake of ours, and must not become a silent wait. */
const NO_QUEUE = {
  size: 0,
  shift: () => null,
  remove: () => {},
  push: () => assert(false, 'a task was given to a thread that cannot take it')
}

/** Nothing runs before `boot`. */
export function createThreads(options: ThreadsOptions): Threads {
  const { count, threadExitMs, threadBootMs = THREAD_BOOT_MS, timers } = options
  return new ThreadPool({ count, threadExitMs, threadBootMs, timers }, hooks => startPiscina(options, hooks))
}

function startPiscina(options: ThreadsOptions, hooks: EngineHooks): Engine {
  const { count, batchesPerThread, env, file, log, maxYoungGenerationSizeMb } = options
  const piscina = new Piscina<AnyTask, ThreadAnswer>({
    filename: fileURLToPath(file ?? new URL('../../workers/run-batch.js', import.meta.url)),
    minThreads: count,
    maxThreads: count,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: batchesPerThread + CONTROL_TASKS_MAX,
    // The default parks a thread's event loop between tasks: sockets and timers of a processor would freeze.
    atomics: 'disabled',
    recordTiming: false,
    taskQueue: NO_QUEUE,
    env: workerEnvironment(env),
    resourceLimits: { maxYoungGenerationSizeMb: maxYoungGenerationSizeMb ?? YOUNG_GENERATION_MB },
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
  // What a thread died of while it had no task: its exit is told anyway.
  piscina.on('error', (error: Error) => log.warn('a worker thread failed', { error: error.message }))
  return {
    async run(tenant, task, transferList) {
      const addressed = { ...task, [queueOptionsSymbol]: tenant }
      try {
        return await piscina.run(addressed, { transferList })
      } catch (error) {
        throw isUncloneable(error) ? optionsNotCloneable(error) : error
      }
    },
    workers: () => piscina.threads,
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
