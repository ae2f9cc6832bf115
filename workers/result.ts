/**
 * What `process` returned, made fit to cross to the main thread.
 *
 * In: any value of user code. Out: a copy that can certainly be posted, or RESULT_NOT_CLONEABLE. A value that cannot
 * must never reach Piscina: its own post would throw outside the task and take the thread with it.
 */
import { ClsConsumerError, type ErrorPlace } from '../src/errors.ts'
import { Log, LogBatch, LogGroup } from './batch-view.ts'
import { describeThrown } from './user-failure.ts'

/** How deep a result is searched for views that were returned by mistake. */
const SEARCH_DEPTH = 2

/**
 * The copy, not the value: user code may keep the value and change it before it is posted. Costs about 1 µs for a few
 * counts and as much as the post itself for large results; values that are no objects go through as they are.
 * @throws ClsConsumerError RESULT_NOT_CLONEABLE
 */
export function copyResult(result: unknown, place: ErrorPlace): unknown {
  if ((typeof result !== 'object' || result === null) && typeof result !== 'function' && typeof result !== 'symbol') {
    return result
  }
  // Views keep nothing in own properties: they would arrive as empty objects, and nobody would notice.
  if (holdsView(result, SEARCH_DEPTH)) {
    throw notCloneable('it holds a view of the batch: return log.toObject(), or the values themselves', place)
  }
  try {
    return structuredClone(result)
  } catch (error) {
    throw notCloneable(`${describeThrown(error).message}: return plain data`, place, error)
  }
}

function holdsView(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  if (value instanceof Log || value instanceof LogGroup || value instanceof LogBatch) return true
  return depth > 0 && Object.values(value).some(inner => holdsView(inner, depth - 1))
}

function notCloneable(why: string, place: ErrorPlace, cause?: unknown): ClsConsumerError {
  const message = `what the processor's process returned cannot be sent to the main thread: ${why}`
  return new ClsConsumerError('RESULT_NOT_CLONEABLE', message, { ...place, cause })
}
