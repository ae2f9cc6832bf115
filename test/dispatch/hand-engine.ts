/** An engine whose Workers live and die by hand: real ones that do nothing, and whose events the test emits. */
import { type MessagePort, Worker } from 'node:worker_threads'
import type { Engine, EngineHooks } from '../../src/dispatch/engine.ts'
import type { AnyAnswer, PoolTask } from '../../src/dispatch/messages.ts'
import type { Tenant } from '../../src/dispatch/thread-slot.ts'
import { turn } from '../support/calls.ts'

export interface HandRun {
  readonly task: PoolTask
  readonly threadId: number
  readonly resolve: (answer: AnyAnswer) => void
  readonly reject: (error: Error) => void
}

export class HandEngine implements Engine {
  readonly hooks: EngineHooks
  readonly ports: MessagePort[] = []
  readonly runs: HandRun[] = []
  /** How long each Worker has been busy; as of Node's, nothing once it has exited. */
  readonly busyMs = (worker: Worker): number => this.busy.get(worker) ?? 0
  readonly busy = new Map<Worker, number>()
  #workers: Worker[] = []

  constructor(hooks: EngineHooks) {
    this.hooks = hooks
  }

  ready(): Worker {
    const worker = new Worker('setInterval(() => {}, 60_000)', { eval: true })
    worker.unref()
    const { threadId } = worker
    // As Piscina does; the pool must not take it for more than it is.
    worker.once('exit', () => {
      this.busy.delete(worker)
      this.#workers = this.#workers.filter(other => other !== worker)
      for (const run of this.runs) if (run.threadId === threadId) run.reject(new Error('worker exited'))
    })
    this.#workers.push(worker)
    this.hooks.onReady(worker)
    return worker
  }

  workers(): Worker[] {
    return this.#workers
  }

  async run({ id: threadId }: Tenant, task: Parameters<Engine['run']>[1]): Promise<AnyAnswer> {
    if (task.kind !== 'hello') {
      return new Promise((resolve, reject) => this.runs.push({ task, threadId, resolve, reject }))
    }
    this.ports.push(task.port)
    await turn() // an answer of a thread takes one at least
    return { kind: 'done' }
  }

  async destroy(): Promise<void> {
    const workers = this.#workers
    this.#workers = []
    await Promise.all(workers.map(worker => worker.terminate()))
  }
}
