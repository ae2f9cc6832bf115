/**
 * What user code threw, as data.
 *
 * In: any thrown value, hostile ones included. Out: a `Failure` with the user's own stack. Must never throw itself: an
 * error that escapes a task would leave the batch without an answer.
 */
import { isAbsolute } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ClsConsumerError, type ErrorCode, type ErrorPlace, type Failure, toFailure } from '../src/errors.ts'

/** What the views and methods given to user code throw of their own: it says best what is wrong with the call. */
const OWN_CODES: ReadonlySet<ErrorCode> = new Set([
  'BATCH_CLOSED',
  'CONSUMER_STATE',
  'DEAD_LETTER_DIRECTORY',
  'DEAD_LETTER_TOO_LARGE'
])

/** Which call into user code threw, for the message: `process`, `start`, … */
export function userFailure(call: string, thrown: unknown, code: ErrorCode, place: ErrorPlace): Failure {
  if (thrown instanceof ClsConsumerError && OWN_CODES.has(thrown.code)) return toFailure(thrown, code, place)
  const { message, stack } = describeThrown(thrown)
  const at = placeInStack(stack)
  const words = `the processor's ${call} threw ${message}${at === undefined ? '' : ` at ${at}`}`
  return { ...toFailure(new ClsConsumerError(code, words, place), code), stack }
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

/** Frames of this package's own: of a view that the user's code called, or of what called the user's code. */
const OWN_FOLDERS = ['./', '../src/'].map(path => new URL(path, import.meta.url).href)

/** `path:line:column` of the innermost frame of the user's, so that the place is told without the whole stack. */
export function placeInStack(stack: string): string | undefined {
  for (const line of stack.split('\n')) {
    const frame = /^\s+at (?:.* \()?((?:file:\/\/|\/|[A-Za-z]:\\).*:\d+:\d+)\)?$/.exec(line)?.[1]
    if (frame !== undefined && !OWN_FOLDERS.some(folder => frame.startsWith(folder))) return asPath(frame)
  }
  return undefined
}

/** Where Node knows what of the source is wrong, the stack begins with its place, such as `/…/processor.cjs:3`. */
export function placeInHead(stack: string): string | undefined {
  const [head = ''] = stack.split('\n', 1)
  return /:\d+$/.test(head) && (head.startsWith('file:') || isAbsolute(head)) ? asPath(head) : undefined
}

/** A path is what an editor opens. */
function asPath(place: string): string {
  const [, url, position] = /^(file:.*?)((?::\d+)+)$/.exec(place) ?? []
  if (url === undefined) return place
  try {
    return `${fileURLToPath(url)}${position}`
  } catch {
    return place
  }
}
