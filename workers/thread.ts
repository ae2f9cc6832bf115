/**
 * One worker thread: which consumers it serves, and who gets which task and message.
 *
 * In: tasks and port messages of src/dispatch/messages.ts. Out: one answer a task, as data; port messages. Must never
 * happen: an error that escapes a task; a task or an abort of one consumer that reaches another.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { AnyAnswer, AnyTask, ClientTask, FromClient, HelloTask, ThreadAnswer } from '../src/dispatch/messages.ts'
import { assert, toFailure } from '../src/errors.ts'
import { harvest } from './harvest.ts'
import { MemoryList, SWEEP_MS } from './kernel/memory-list.ts'
import { scout } from './scout.ts'
import { ThreadClient } from './thread-client.ts'

export interface ThreadClock {
  /** The process-wide monotonic clock, ms: the one in which the main thread writes the lease's end. */
  monotonic(): number
  /** For as long as the thread lives, without keeping it up. */
  every(intervalMs: number, run: () => void): void
}

/** What a scout keeps for its next response: few need more. It serves all consumers, so no budget of one counts it. */
const SCOUT_KEPT_BYTES = 16 * 1024 * 1024

export function createThread(clock: ThreadClock): (task: AnyTask) => Promise<AnyAnswer> {
  const thread = new Thread(clock)
  return task => thread.run(task)
}

class Thread {
  readonly #clock: ThreadClock
  /** By their number in the pool, from `start` until `stop` has ended. */
  readonly #clients = new Map<number, ThreadClient>()
  readonly #scoutMemories: MemoryList
  #port: MessagePort | undefined

  constructor(clock: ThreadClock) {
    this.#clock = clock
    this.#scoutMemories = new MemoryList(SCOUT_KEPT_BYTES, () => clock.monotonic())
    clock.every(SWEEP_MS, () => this.#sweep())
  }

  async run(task: AnyTask): Promise<AnyAnswer> {
    try {
      switch (task.kind) {
        case 'hello':
          return this.#hello(task)
        case 'scout':
          return scout(task, this.#scoutMemories)
        case 'harvest':
          return harvest(task, this.#scoutMemories)
        default:
          return await this.#runFor(task)
      }
    } catch (error) {
      return { kind: 'failed', stage: 'lifecycle', failure: toFailure(error, 'INVARIANT_BROKEN') }
    }
  }

  #hello({ port }: HelloTask): ThreadAnswer {
    assert(this.#port === undefined, 'a thread is greeted once')
    this.#port = port
    port.on('message', (message: unknown) => this.#receive(message))
    // Piscina's own port keeps the thread up; this one must not keep it from ending.
    port.unref()
    return { kind: 'done' }
  }

  async #runFor(task: ClientTask): Promise<ThreadAnswer> {
    const client = task.kind === 'start' ? this.#add(task.client) : this.#client(task.client)
    try {
      return await client.run(task)
    } finally {
      if (client.isOver) this.#clients.delete(task.client)
    }
  }

  #add(client: number): ThreadClient {
    assert(this.#port !== undefined, 'a thread is greeted before anything is started on it')
    assert(!this.#clients.has(client), `consumer ${client} starts once on a thread`)
    const added = new ThreadClient({
      monotonic: () => this.#clock.monotonic(),
      post: message => this.#post({ ...message, client }),
      receivePending: () => this.#receivePending()
    })
    this.#clients.set(client, added)
    return added
  }

  #client(client: number): ThreadClient {
    const found = this.#clients.get(client)
    assert(found !== undefined, `consumer ${client} has not started on this thread`)
    return found
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

  #sweep(): void {
    this.#scoutMemories.sweep()
    for (const client of this.#clients.values()) client.sweep()
  }

  #receive(message: unknown): void {
    if (typeof message !== 'object' || message === null || !('kind' in message) || message.kind !== 'abort') return
    if (!('batchId' in message) || typeof message.batchId !== 'number') return
    if (!('attempt' in message) || typeof message.attempt !== 'number') return
    if (!('client' in message) || typeof message.client !== 'number') return
    const reason = 'reason' in message ? String(message.reason) : 'aborted'
    // Batch ids are a consumer's own. One that has stopped, or has not started, has no batch to abort.
    const { client, batchId, attempt } = message
    this.#clients.get(client)?.abort({ batchId, attempt }, reason)
  }

  #post(message: FromClient): void {
    this.#port?.postMessage(message)
  }
}
