/**
 * One consumer on one thread: its processor, its options, its open batches.
 *
 * In: that consumer's tasks and aborts. Out: one answer a task, as data. Must never happen: anything of it that another
 * consumer of the thread sees or ends; a batch before `start` has returned, or after `stop` has begun.
 */
import type {
  AssignTask,
  BatchAnswer,
  BatchTask,
  FailedAnswer,
  FromThread,
  RevokeTask,
  StartTask,
  ThreadAnswer,
  ThreadTask
} from '../src/dispatch/messages.ts'
import { assert, type ErrorPlace, type Failure, toFailure } from '../src/errors.ts'
import { Aborts } from './aborts.ts'
import type { PartitionContext, Processor, ThreadContext } from './define-processor.ts'
import { MemoryList } from './kernel/memory-list.ts'
import { runBatch } from './open-batch.ts'
import { loadProcessor } from './processor.ts'
import { createProcessorLog } from './processor-log.ts'
import { userFailure } from './user-failure.ts'

/** What it may touch of its thread. */
export interface ClientWorld {
  /** The process-wide monotonic clock, ms: the one in which the main thread writes the lease's end. */
  monotonic(): number
  post(message: FromThread): void
  /** Takes the port's messages now. */
  receivePending(): void
}

type Phase = 'starting' | 'started' | 'stopping' | 'over'
const MOVES = {
  starting: ['started', 'over'], // over where `start` failed: a further one begins anew
  started: ['stopping'],
  stopping: ['over'],
  over: []
} as const satisfies Record<Phase, readonly Phase[]>

/** What `start` brought. */
interface Running {
  readonly processor: Processor
  readonly context: ThreadContext
  readonly file: string
  readonly responseBytesMax: number
  readonly memories: MemoryList
  readonly leaseEndMs: Float64Array
}

export class ThreadClient {
  readonly #world: ClientWorld
  readonly #aborts = new Aborts()
  #phase: Phase = 'starting'
  #running: Running | undefined

  constructor(world: ClientWorld) {
    this.#world = world
  }

  /** Nothing of it is left on the thread. */
  get isOver(): boolean {
    return this.#phase === 'over'
  }

  async run(task: ThreadTask): Promise<ThreadAnswer> {
    switch (task.kind) {
      case 'start':
        return await this.#start(task)
      case 'assign':
      case 'revoke':
        return await this.#movePartition(task)
      case 'batch':
        return await this.#process(task)
      case 'stop':
        return await this.#stop()
    }
  }

  abort(batchId: number, reason: string): void {
    this.#aborts.abort(batchId, reason)
  }

  /** Drops memory that was not needed for a while. */
  sweep(): void {
    this.#running?.memories.sweep()
  }

  async #start({ processor: source, limits, leaseEndMs }: StartTask): Promise<ThreadAnswer> {
    const place: ErrorPlace = { file: source.file }
    const context: ThreadContext = {
      options: source.options,
      log: createProcessorLog(line => this.#world.post(line))
    }
    let processor: Processor
    try {
      const make = await loadProcessor(source.file)
      processor = make(source.options)
    } catch (error) {
      this.#move('over')
      return failed(toFailure(error, 'PROCESSOR_NOT_LOADED', place))
    }
    try {
      await processor.start?.(context)
    } catch (error) {
      this.#move('over')
      return failed(userFailure('start', error, 'PROCESSOR_START_FAILED', place))
    }
    this.#running = {
      processor,
      context,
      file: source.file,
      responseBytesMax: limits.responseBytesMax,
      memories: new MemoryList(limits.keptBytesMax, () => this.#world.monotonic()),
      leaseEndMs: new Float64Array(leaseEndMs)
    }
    this.#move('started')
    return { kind: 'done' }
  }

  async #movePartition({ kind, topicId, partition }: AssignTask | RevokeTask): Promise<ThreadAnswer> {
    const { processor, context, file } = this.#started()
    const partitionContext: PartitionContext = { ...context, topicId, partition }
    try {
      await processor[kind]?.({ topicId, partition }, partitionContext)
      return { kind: 'done' }
    } catch (error) {
      return failed(userFailure(kind, error, 'PROCESSOR_FAILED', { topicId, partition, file }))
    }
  }

  async #process(task: BatchTask): Promise<BatchAnswer> {
    const { processor, context, file, responseBytesMax, memories, leaseEndMs } = this.#started()
    return await runBatch(task, {
      processor,
      context,
      file,
      responseBytesMax,
      memories,
      aborts: this.#aborts,
      monotonic: () => this.#world.monotonic(),
      leaseEndMs: () => leaseEndMs[0] ?? Number.NEGATIVE_INFINITY,
      post: message => this.#world.post(message),
      receivePending: () => this.#world.receivePending()
    })
  }

  async #stop(): Promise<ThreadAnswer> {
    const { processor, context, file } = this.#started()
    this.#move('stopping')
    try {
      await processor.stop?.(context)
      return { kind: 'done' }
    } catch (error) {
      return failed(userFailure('stop', error, 'PROCESSOR_FAILED', { file }))
    } finally {
      this.#move('over')
    }
  }

  #started(): Running {
    assert(this.#phase === 'started' && this.#running !== undefined, `a started processor was expected: ${this.#phase}`)
    return this.#running
  }

  #move(to: Phase): void {
    const allowed: readonly Phase[] = MOVES[this.#phase]
    assert(allowed.includes(to), `a consumer on a thread does not go from ${this.#phase} to ${to}`)
    this.#phase = to
  }
}

function failed(failure: Failure): FailedAnswer {
  return { kind: 'failed', stage: 'lifecycle', failure }
}
