/**
 * The user's `start`, `assign`, `revoke` and `stop`, each run on a thread within its limit.
 *
 * In: a task for one thread. Out: what went wrong, as a value. Must never happen: a wait without end (I8), or a rejection
 * that its caller has to tell from one of its own.
 */
import { ClsConsumerError, type ErrorPlace, fromFailure, toFailure } from '../errors.ts'
import { within } from '../within.ts'
import type { World } from '../world.ts'
import type { AssignTask, RevokeTask, StartTask, StopTask } from './messages.ts'

export type HookTask = StartTask | AssignTask | RevokeTask | StopTask

export class Hooks {
  readonly #world: Pick<World, 'timers' | 'threads'>
  readonly #hookTimeoutMs: number
  /** Of the processor, for errors. */
  readonly #file: string

  constructor(world: Pick<World, 'timers' | 'threads'>, hookTimeoutMs: number, file: string) {
    this.#world = world
    this.#hookTimeoutMs = hookTimeoutMs
    this.#file = file
  }

  /** `undefined` where it returned. After PROCESSOR_STUCK it may still run. */
  async run(thread: number, task: HookTask): Promise<ClsConsumerError | undefined> {
    const { threads, timers } = this.#world
    const place = placeOf(task, this.#file)
    const answered = threads.run(thread, task).then(
      answer => (answer.kind === 'failed' ? fromFailure(answer.failure) : undefined),
      error => toPoolError(error, place)
    )
    return await within(timers, answered, this.#hookTimeoutMs, () => this.#stuck(task, place))
  }

  /** What ended a thread for good under a hook is the hook's doing: `process.exit`, or an error that nobody caught. */
  blame(task: HookTask, error: ClsConsumerError): ClsConsumerError {
    if (error.code !== 'THREAD_LOST') return error
    const code = task.kind === 'start' ? 'PROCESSOR_START_FAILED' : 'PROCESSOR_FAILED'
    const message = `the processor's ${nameOf(task)} ended its thread: ${error.what}; throw instead of calling process.exit, and await what is begun`
    return new ClsConsumerError(code, message, placeOf(task, this.#file))
  }

  #stuck(task: HookTask, place: ErrorPlace): ClsConsumerError {
    const message = `the processor's ${nameOf(task)} did not return within ${this.#hookTimeoutMs} ms (option hookTimeoutMs)`
    return new ClsConsumerError('PROCESSOR_STUCK', message, place)
  }
}

/** What the pool says, as an error of ours. */
export function toPoolError(error: unknown, place: ErrorPlace = {}): ClsConsumerError {
  return error instanceof ClsConsumerError ? error : fromFailure(toFailure(error, 'POOL_BROKEN', place))
}

/** Its module is loaded within the same task. */
function nameOf({ kind }: HookTask): string {
  return kind === 'start' ? 'start, or the loading of its module,' : kind
}

function placeOf(task: HookTask, file: string): ErrorPlace {
  if (task.kind === 'start' || task.kind === 'stop') return { file }
  return { topicId: task.topicId, partition: task.partition, file }
}
