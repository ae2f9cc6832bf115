/**
 * Whose fault it is that a thread has ended, and what is said of it.
 *
 * In: what the pool knows of the end. Out: what it means for one consumer; errors. Pure. Must never happen: a thread that
 * ends by itself and nobody who answers for it. Code that runs there without a task was begun by an earlier one, whose
 * batch may count as done: what it did not finish is lost without a word.
 */
import { fileURLToPath } from 'node:url'
import { ClsConsumerError, type ErrorPlace, type Failure, fromFailure, toFailure } from '../errors.ts'
import type { EndFault, ThreadEnd } from '../world.ts'

/** Why a Worker is no more. */
export interface LastWords {
  readonly exitCode: number
  /** What nobody caught, where it ended of that. */
  readonly error: Failure | undefined
}

/** All that the pool knows of a thread that has ended. Consumers go by their number in the pool. */
export interface PoolEnd extends LastWords {
  /** terminated: for somebody's sake, or with all others. Else by itself. */
  readonly cause: 'terminated' | 'by-itself'
  /** With a task there that is run again, or failed, where its thread is lost. */
  readonly atWork: ReadonlySet<number>
  /** Whose code had run there, now or before. */
  readonly users: ReadonlySet<number>
  /** See `ThreadEnd`. */
  readonly idleCount: number
}

/** Nobody's task is there to be blamed. */
export function isIdleEnd({ cause, atWork }: Pick<PoolEnd, 'cause' | 'atWork'>): boolean {
  return cause === 'by-itself' && atWork.size === 0
}

export function endFor(client: number, end: PoolEnd): ThreadEnd {
  const { exitCode, error, idleCount } = end
  return { fault: faultFor(client, end), exitCode, error, idleCount }
}

function faultFor(client: number, { cause, atWork, users }: PoolEnd): EndFault {
  if (cause === 'terminated') return 'none'
  if (atWork.has(client)) return 'work'
  // A thread on which nothing had run yet has no user either: that must not go on for ever unseen.
  if (users.size > 0 && !users.has(client)) return 'none'
  if (atWork.size > 0) return 'others'
  return users.size === 1 ? 'own' : 'unknown'
}

/** `exit code 1, of Error: late`. */
export function describeEnd({ exitCode, error }: LastWords): string {
  return `exit code ${exitCode}${error === undefined ? '' : `, of ${error.message}`}`
}

/** Only this consumer's code can have done it. */
export function leftoverError(end: LastWords, file: string): ClsConsumerError {
  const what = `code that the processor had started and not awaited ended its thread${causeOf(end)}`
  return userError(`${what}; ${CURE}`, end, { file })
}

/** So often in a row, and nobody can tell whose code it is. */
export function ownerlessError(end: ThreadEnd, thread: number, file: string): ClsConsumerError {
  const times = end.idleCount === 1 ? '' : ` ${end.idleCount} times in a row`
  const what = `code that a processor had started and not awaited ended thread ${thread}${times}${causeOf(end)}`
  return userError(`${what}; consumers share it, so that it cannot be told whose code that was: ${CURE}`, end, { file })
}

const CURE =
  'await everything that process starts, and throw instead of calling process.exit: what was going on for batches that count as done may be lost'

function causeOf({ exitCode, error }: LastWords): string {
  if (error === undefined) return ` with exit code ${exitCode}`
  const at = placeIn(error.stack)
  return `: ${error.message}${at === undefined ? '' : ` at ${at}`}`
}

function userError(what: string, { error }: LastWords, place: ErrorPlace): ClsConsumerError {
  const failure = toFailure(new ClsConsumerError('PROCESSOR_FAILED', what, place), 'PROCESSOR_FAILED')
  return fromFailure({ ...failure, stack: error?.stack ?? failure.stack })
}

/** Frames of this package's own. Its copy in `workers/` looks at other stacks; the main thread imports nothing of it (I7). */
const OWN_FOLDERS = ['../', '../../workers/'].map(path => new URL(path, import.meta.url).href)

/** `path:line:column` of the innermost frame that is the user's. */
function placeIn(stack: string): string | undefined {
  for (const line of stack.split('\n')) {
    const [, file, position] = /^\s+at (?:.* \()?((?:file:\/\/|\/|[A-Za-z]:\\).*?)(:\d+:\d+)\)?$/.exec(line) ?? []
    if (file === undefined || OWN_FOLDERS.some(folder => file.startsWith(folder))) continue
    return `${file.startsWith('file:') ? fileURLToPath(file) : file}${position}`
  }
  return undefined
}
