/**
 * Waits that have a limit: a time, or a signal.
 *
 * In: what is awaited, and for how long. Out: what it comes to, or what is said where it takes longer. Must never happen: a
 * timer or a listener that stays behind, or a rejection that nobody hears of.
 */
import type { Timers } from './world.ts'

/** What is awaited may well go on after `late`: whoever began it still answers for its end. */
export async function within<T, U>(
  timers: Pick<Timers, 'sleep'>,
  awaited: Promise<T>,
  limitMs: number,
  late: () => U
): Promise<T | U> {
  const limit = new AbortController()
  // Where the limit is not needed any more, the sleep rejects: the race has taken note of it, as of what comes after it.
  const expired = timers.sleep(limitMs, limit.signal).then(late)
  try {
    return await Promise.race([awaited, expired])
  } finally {
    limit.abort(new Error('it has ended in time'))
  }
}

/** Undefined where the signal aborts first. What is awaited may well go on: whoever began it still answers for its end. */
export async function unlessAborted<T>(awaited: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  let onAbort = (): void => undefined
  const aborted = new Promise<undefined>(resolve => {
    onAbort = () => resolve(undefined)
  })
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([awaited, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
