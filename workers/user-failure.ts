/**
 * What user code threw, as data.
 *
 * In: any thrown value, hostile ones included. Out: a `Failure` with the user's own stack. Must never throw itself: an
 * error that escapes a task would leave the batch without an answer.
 */
import { ClsConsumerError, type ErrorCode, type ErrorPlace, type Failure, toFailure } from '../src/errors.ts'

/** Which call into user code threw, for the message: `process`, `start`, … */
export function userFailure(call: string, thrown: unknown, code: ErrorCode, place: ErrorPlace): Failure {
  // A closed view's own error says best what is wrong with the code that used it.
  if (thrown instanceof ClsConsumerError && thrown.code === 'BATCH_CLOSED') return toFailure(thrown, code, place)
  const { message, stack } = describeThrown(thrown)
  const named = new ClsConsumerError(code, `the processor's ${call} threw ${message}`, place)
  return { ...toFailure(named, code), stack }
}

/** Name, message and stack of anything, even where reading them throws. */
export function describeThrown(thrown: unknown): { readonly message: string; readonly stack: string } {
  try {
    if (thrown instanceof Error) {
      const message = `${thrown.name}: ${thrown.message}`
      return { message, stack: typeof thrown.stack === 'string' ? thrown.stack : message }
    }
    const message = typeof thrown === 'string' ? JSON.stringify(thrown) : `a value that is no Error: ${String(thrown)}`
    return { message, stack: message }
  } catch {
    return { message: 'a value that cannot be read', stack: 'a value that cannot be read' }
  }
}
