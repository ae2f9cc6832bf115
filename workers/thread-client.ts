/**
 * One consumer on one thread: its processor, its options, its open batches.
 *
 * In: that consumer's tasks and aborts. Out: one answer a task, as data. Must never happen: anything of it that another
 * consumer of the thread sees or ends; a batch before `start` has returned, or after `stop` has begun; a save of a
 * `revoke` that failed.
 */
import type {
  AssignTask,
  BatchAnswer,
  BatchTask,
  FailedAnswer,
  FailurePolicy,
  FromThread,
  RevokeTask,
  StartTask,
  ThreadAnswer,
  ThreadTask
} from '../src/dispatch/messages.ts'
import { assert, ClsConsumerError, type ErrorPlace, type Failure, toFailure } from '../src/errors.ts'
import { Aborts, type BatchAttempt } from './aborts.ts'
import type { Processor, ThreadContext } from './define-processor.ts'
import { MemoryList } from './kernel/memory-list.ts'
import { type MarkRules, RevokeMarks } from './marks.ts'
import { runBatch } from './open-batch.ts'
import { loadProcessor } from './processor.ts'
import { createProcessorLog } from './processor-log.ts'
import { policyOf } from './processor-shape.ts'
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
  readonly rules: MarkRules
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
        return await this.#assign(task)
      case 'revoke':
        return await this.#revoke(task)
      case 'batch':
        return await this.#process(task)
      case 'stop':
        return await this.#stop()
    }
  }

  abort(attempt: BatchAttempt, reason: string): void {
    this.#aborts.abort(attempt, reason)
  }

  /** Drops memory that was not needed for a while. */
  sweep(): void {
    this.#running?.memories.sweep()
  }

  async #start(task: StartTask): Promise<ThreadAnswer> {
    const { processor: source, limits, leaseEndMs } = task
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
    try {
      // Not before: `start` knows the options, and may have set it by them.
      const onFailure = feasiblePolicy(processor, task)
      if (onFailure !== undefined) this.#world.post({ kind: 'policy', onFailure })
    } catch (error) {
      this.#move('over')
      return failed(toFailure(error, 'PROCESSOR_SHAPE', place))
    }
    this.#running = {
      processor,
      context,
      file: source.file,
      rules: task,
      responseBytesMax: limits.responseBytesMax,
      memories: new MemoryList(limits.keptBytesMax, () => this.#world.monotonic()),
      leaseEndMs: new Float64Array(leaseEndMs)
    }
    this.#move('started')
    return { kind: 'done' }
  }

  async #assign({ topicId, partition }: AssignTask): Promise<ThreadAnswer> {
    const { processor, context, file } = this.#started()
    try {
      await processor.assign?.({ topicId, partition }, { ...context, topicId, partition })
      return { kind: 'done' }
    } catch (error) {
      return failed(userFailure('assign', error, 'PROCESSOR_FAILED', { topicId, partition, file }))
    }
  }

  async #revoke({ topicId, partition, epoch }: RevokeTask): Promise<ThreadAnswer> {
    const { processor, context, file, rules } = this.#started()
    const place: ErrorPlace = { topicId, partition, file }
    const marks = new RevokeMarks(rules, place)
    try {
      await processor.revoke?.({ topicId, partition }, { ...context, topicId, partition, save: marks.save })
    } catch (error) {
      return failed(userFailure('revoke', error, 'PROCESSOR_FAILED', place))
    } finally {
      marks.settle()
    }
    // Only now: what it saved before it threw might not be all that it kept.
    if (marks.isSaved) this.#world.post({ kind: 'saved', topicId, partition, epoch })
    return { kind: 'done' }
  }

  async #process(task: BatchTask): Promise<BatchAnswer> {
    const { processor, context, file, rules, responseBytesMax, memories, leaseEndMs } = this.#started()
    return await runBatch(task, {
      processor,
      context,
      file,
      rules,
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

/**
 * What the processor says of failures, where its consumer can do that.
 * @throws ClsConsumerError PROCESSOR_SHAPE, DEAD_LETTER_DIRECTORY
 */
function feasiblePolicy(processor: Processor, task: StartTask): FailurePolicy | undefined {
  const { file } = task.processor
  const policy = policyOf(processor, file)
  if (policy !== 'dead-letter' || task.deadLetters === 'written') return policy
  const what = "the processor has onFailure: 'dead-letter', and there is nowhere to write to"
  throw new ClsConsumerError('DEAD_LETTER_DIRECTORY', `${what}; set the option deadLetterDirectory`, { file })
}

function failed(failure: Failure): FailedAnswer {
  return { kind: 'failed', stage: 'lifecycle', failure }
}
