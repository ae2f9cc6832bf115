/**
 * What `process` returned, made fit to cross to the main thread.
 *
 * In: any value of user code. Out: a copy that can certainly be posted, or RESULT_NOT_CLONEABLE. A value that cannot
 * must never reach Piscina: its own post would throw outside the task and take the thread with it.
 */
import { ClsConsumerError, type ErrorPlace } from '../src/errors.ts'
import { Log, LogBatch, LogGroup } from './batch-view.ts'
import { describeThrown } from './user-failure.ts'

/** How deep a result is searched for what was returned by mistake. */
const SEARCH_DEPTH = 3

/**
 * The copy, not the value: user code may keep the value and change it before it is posted. Costs about 1 µs for a few
 * counts and as much as the post itself for large results; values that are no objects go through as they are.
 * @throws ClsConsumerError RESULT_NOT_CLONEABLE
 */
export function copyResult(result: unknown, place: ErrorPlace): unknown {
  if ((typeof result !== 'object' || result === null) && typeof result !== 'function' && typeof result !== 'symbol') {
    return result
  }
  let why: string | undefined
  let cause: unknown
  try {
    why = mistakeIn(result, SEARCH_DEPTH)
    if (why === undefined) return structuredClone(result)
  } catch (error) {
    why = `${describeThrown(error).message}: return plain data`
    cause = error
  }
  const message = `what the processor's process returned cannot be sent to the main thread: ${why}`
  throw new ClsConsumerError('RESULT_NOT_CLONEABLE', message, { ...place, cause })
}

function mistakeIn(value: unknown, depth: number): string | undefined {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined
  // Views keep nothing in own properties: they would arrive as empty objects, and nobody would notice.
  if (value instanceof Log || value instanceof LogGroup || value instanceof LogBatch) {
    return 'it holds a view of the batch: return log.toObject(), or the values themselves'
  }
  if (value instanceof Promise) return 'it holds a Promise: await it'
  if (depth === 0) return undefined
  for (const member of membersOf(value)) {
    const mistake = mistakeIn(member, depth - 1)
    if (mistake !== undefined) return mistake
  }
  return undefined
}

function membersOf(value: object): unknown[] {
  if (value instanceof Map) return [...value.keys(), ...value.values()]
  return value instanceof Set ? [...value] : Object.values(value)
}
