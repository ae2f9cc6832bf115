/** A `Threads` whose answers, deaths and replacements the test controls. Keeps the promises of world.ts, no more. */
import assert from 'node:assert/strict'
import type {
  BatchTask,
  FromThread,
  ProcessedAnswer,
  ThreadAnswer,
  ThreadTask,
  ToThread
} from '../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { ThreadEnd, ThreadHandlers, Threads, ThreadWork } from '../../src/world.ts'
import { type Call, Calls, turn } from './calls.ts'

export interface ThreadRun {
  readonly thread: number
  readonly task: ThreadTask
}

export class FakeThreads implements Threads {
  readonly count: number
  readonly batchesPerThread: number
  readonly firstThread = 0
  readonly runs = new Calls<ThreadRun, ThreadAnswer>()
  readonly kills = new Calls<number, void>()
  readonly posted: { readonly thread: number; readonly message: ToThread }[] = []
  /** By thread, what it has done; nothing unless the test says so. */
  readonly works: ThreadWork[] = []
  closeCount = 0
  /** A thread that is killed exits at once. */
  exitsWhenKilled = false
  /** What `close` rejects with, where set. */
  closeError: ClsConsumerError | undefined
  /** Tasks of these kinds are done at once. */
  readonly doneAtOnce = new Set<ThreadTask['kind']>(['start', 'assign', 'revoke', 'stop'])
  #handlers: ThreadHandlers | undefined

  constructor(count: number, batchesPerThread = 4) {
    this.count = count
    this.batchesPerThread = batchesPerThread
  }

  async boot(handlers: ThreadHandlers): Promise<void> {
    this.#handlers = handlers
  }

  run(thread: number, task: ThreadTask): Promise<ThreadAnswer> {
    const promise = this.runs.make({ thread, task })
    if (this.doneAtOnce.has(task.kind)) this.runs.all.at(-1)?.answer({ kind: 'done' })
    return promise
  }

  work(thread: number): ThreadWork {
    return this.works[thread] ?? { busyMs: 0, batchMs: 0 }
  }

  post(thread: number, message: ToThread): void {
    this.posted.push({ thread, message })
  }

  /** Another consumer that shares the threads has this one terminated, or ours does. */
  kill(thread: number): Promise<void> {
    this.#handlers?.onKilled(thread)
    const killed = this.kills.make(thread)
    if (this.exitsWhenKilled) void this.exit(thread)
    return killed
  }

  async close(): Promise<void> {
    this.closeCount += 1
    if (this.closeError !== undefined) throw this.closeError
  }

  get handlers(): ThreadHandlers {
    assert.ok(this.#handlers !== undefined, 'the threads are booted')
    return this.#handlers
  }

  /** All tasks so far, such as `assign 3@0` for partition 3 on thread 0. */
  get tasks(): string[] {
    return this.runs.asks.map(({ thread, task }) => `${nameOf(task)}@${thread}`)
  }

  /** The thread on which `assign` has run for the partition, where no `revoke` has since. */
  homeOf(partition: number): number | undefined {
    let home: number | undefined
    for (const { thread, task } of this.runs.asks) {
      if (task.kind === 'assign' && task.partition === partition) home = thread
      if (task.kind === 'revoke' && task.partition === partition) home = undefined
    }
    return home
  }

  /** Batches that are with a thread, by number. */
  get openBatchIds(): number[] {
    return this.runs.open.flatMap(({ ask }) => (ask.task.kind === 'batch' ? [ask.task.batchId] : []))
  }

  /** A batch that is with its thread. */
  batch(batchId: number): { readonly task: BatchTask; readonly call: Call<ThreadRun, ThreadAnswer> } {
    for (const call of this.runs.open) {
      const { task } = call.ask
      if (task.kind === 'batch' && task.batchId === batchId) return { task, call }
    }
    assert.fail(`batch ${batchId} is with no thread: ${this.openBatchIds}`)
  }

  /** The open hook of this name, such as `assign 3@0`. */
  hook(name: string): Call<ThreadRun, ThreadAnswer> {
    const found = this.runs.open.find(({ ask }) => `${nameOf(ask.task)}@${ask.thread}` === name)
    assert.ok(found !== undefined, `${name} is not open: ${this.tasks}`)
    return found
  }

  async finish(batchId: number, over: Partial<ProcessedAnswer> = {}): Promise<void> {
    this.batch(batchId).call.answer(processed(over))
    await turn()
  }

  tell(thread: number, message: FromThread): void {
    this.handlers.onMessage(thread, message)
  }

  /**
   * The thread has exited: first the handler hears of it, then its runs reject, then its kill is done. By itself where
   * something runs there and it is not killed; else for somebody's sake, unless `end` says otherwise.
   */
  async exit(thread: number, end: Partial<ThreadEnd> = {}): Promise<void> {
    const lost = this.runs.open.filter(({ ask }) => ask.thread === thread)
    const isKilled = this.kills.open.some(({ ask }) => ask === thread)
    const fault = lost.length > 0 && !isKilled ? 'work' : 'none'
    this.handlers.onExit(thread, { fault, exitCode: 1, error: undefined, idleCount: 0, ...end })
    for (const call of lost) call.refuse(new ClsConsumerError('THREAD_LOST', `thread ${thread} ended`))
    for (const call of this.kills.open) if (call.ask === thread) call.answer()
    await turn()
  }

  async replace(thread: number): Promise<void> {
    this.handlers.onReplaced(thread)
    await turn()
  }
}

export function processed(over: Partial<ProcessedAnswer> = {}): ProcessedAnswer {
  return {
    kind: 'processed',
    nextOffset: undefined,
    messageCount: 1,
    logCount: 1,
    responseBytes: 100,
    poison: [],
    letters: [],
    isSaved: false,
    result: undefined,
    decodeMs: 1,
    processMs: 1,
    ...over
  }
}

function nameOf(task: ThreadTask): string {
  switch (task.kind) {
    case 'batch':
      return `batch ${task.batchId}`
    case 'assign':
    case 'revoke':
      return `${task.kind} ${task.partition}`
    default:
      return task.kind
  }
}
