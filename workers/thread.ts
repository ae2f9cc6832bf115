/**
 * One worker thread: what it knows, and what each task does with it.
 *
 * In: tasks and port messages of src/dispatch/messages.ts. Out: one answer a task, as data; port messages. Must never
 * happen: an error that escapes a task; a processor that starts on a batch which was aborted or whose lease has ended
 * (I12); a view that outlives its batch.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type {
  AnyTask,
  AssignTask,
  FailedAnswer,
  FromThread,
  HelloTask,
  RevokeTask,
  StartTask,
  ThreadAnswer,
  ThreadLimits
} from '../src/dispatch/messages.ts'
import { assert, type ErrorPlace, type Failure, toFailure } from '../src/errors.ts'
import { Aborts } from './aborts.ts'
import type { PartitionContext, Processor, ThreadContext } from './define-processor.ts'
import { type BatchWorld, runBatch } from './open-batch.ts'
import { loadProcessor } from './processor.ts'
import { createProcessorLog } from './processor-log.ts'
import { userFailure } from './user-failure.ts'

export interface ThreadClock {
  /** The process-wide monotonic clock, ms: the one in which the main thread writes the lease's end. */
  monotonic(): number
}

type Phase = 'new' | 'greeted' | 'starting' | 'started' | 'stopping' | 'stopped'
const MOVES = {
  new: ['greeted'],
  greeted: ['starting'],
  starting: ['started', 'greeted'], // back where `start` failed: it may be tried again
  started: ['stopping'],
  stopping: ['stopped'],
  stopped: []
} as const satisfies Record<Phase, readonly Phase[]>

/** What `start` brought. */
interface Running {
  readonly processor: Processor
  readonly context: ThreadContext
  readonly file: string
  readonly limits: ThreadLimits
  readonly leaseEndMs: Float64Array
}

export function createThread(clock: ThreadClock): (task: AnyTask) => Promise<ThreadAnswer> {
  const thread = new Thread(clock)
  return task => thread.run(task)
}

class Thread {
  readonly #clock: ThreadClock
  readonly #aborts = new Aborts()
  #phase: Phase = 'new'
  #port: MessagePort | undefined
  #running: Running | undefined

  constructor(clock: ThreadClock) {
    this.#clock = clock
  }

  async run(task: AnyTask): Promise<ThreadAnswer> {
    try {
      switch (task.kind) {
        case 'hello':
          return this.#hello(task)
        case 'start':
          return await this.#start(task)
        case 'assign':
        case 'revoke':
          return await this.#movePartition(task)
        case 'batch':
          return await runBatch(task, this.#batchWorld())
        case 'stop':
          return await this.#stop()
      }
    } catch (error) {
      return failed(toFailure(error, 'INVARIANT_BROKEN'))
    }
  }

  #hello({ port }: HelloTask): ThreadAnswer {
    this.#move('greeted')
    this.#port = port
    port.on('message', (message: unknown) => this.#receive(message))
    // Piscina's own port keeps the thread up; this one must not keep it from ending.
    port.unref()
    return { kind: 'done' }
  }

  async #start({ processor: source, limits, leaseEndMs }: StartTask): Promise<ThreadAnswer> {
    this.#move('starting')
    const place: ErrorPlace = { file: source.file }
    const context: ThreadContext = { options: source.options, log: createProcessorLog(line => this.#post(line)) }
    let processor: Processor
    try {
      processor = await loadProcessor(source.file)
    } catch (error) {
      this.#move('greeted')
      return failed(toFailure(error, 'PROCESSOR_NOT_LOADED', place))
    }
    try {
      await processor.start?.(context)
    } catch (error) {
      this.#move('greeted')
      return failed(userFailure('start', error, 'PROCESSOR_START_FAILED', place))
    }
    this.#running = { processor, context, file: source.file, limits, leaseEndMs: new Float64Array(leaseEndMs) }
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

  async #stop(): Promise<ThreadAnswer> {
    const { processor, context, file } = this.#started()
    this.#move('stopping')
    try {
      await processor.stop?.(context)
      return { kind: 'done' }
    } catch (error) {
      return failed(userFailure('stop', error, 'PROCESSOR_FAILED', { file }))
    } finally {
      this.#move('stopped')
    }
  }

  #batchWorld(): BatchWorld {
    const { processor, context, file, limits, leaseEndMs } = this.#started()
    return {
      processor,
      context,
      file,
      responseBytesMax: limits.responseBytesMax,
      aborts: this.#aborts,
      monotonic: () => this.#clock.monotonic(),
      leaseEndMs: () => leaseEndMs[0] ?? Number.NEGATIVE_INFINITY,
      post: message => this.#post(message),
      receivePending: () => this.#receivePending()
    }
  }

  /**
   * Takes the port's messages now. While this thread was busy, an abort and its batch may both have arrived, and the
   * event loop may have given us the batch first: without this it would start although it had been aborted.
   */
  #receivePending(): void {
    if (this.#port === undefined) return
    for (;;) {
      const received: { message: unknown } | undefined = receiveMessageOnPort(this.#port)
      if (received === undefined) return
      this.#receive(received.message)
    }
  }

  #receive(message: unknown): void {
    if (typeof message !== 'object' || message === null || !('kind' in message) || message.kind !== 'abort') return
    if (!('batchId' in message) || typeof message.batchId !== 'number') return
    this.#aborts.abort(message.batchId, 'reason' in message ? String(message.reason) : 'aborted')
  }

  #post(message: FromThread): void {
    this.#port?.postMessage(message)
  }

  #started(): Running {
    assert(this.#phase === 'started' && this.#running !== undefined, `a started thread was expected: ${this.#phase}`)
    return this.#running
  }

  #move(to: Phase): void {
    const allowed: readonly Phase[] = MOVES[this.#phase]
    assert(allowed.includes(to), `a thread does not go from ${this.#phase} to ${to}`)
    this.#phase = to
  }
}

function failed(failure: Failure): FailedAnswer {
  return { kind: 'failed', stage: 'lifecycle', failure }
}
