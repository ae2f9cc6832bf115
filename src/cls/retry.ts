/**
 * Tries again by remedy, within a deadline for the whole call.
 *
 * In: one try as a function (it signs anew each time). Out: its value, or one `ClsConsumerError`: the last one met, or
 * API_TIMEOUT where the deadline passes within a try. Must never happen: a retry of what is final, a try that outlives
 * the deadline unnoticed, or clients in step (hence full jitter).
 */
import { setMaxListeners } from 'node:events'
import { ClsConsumerError, type ErrorCode, type ErrorPlace } from '../errors.ts'
import type { Clock, Random, Timers } from '../world.ts'

/** The n-th wait is uniform between 0 and `BACKOFF_BASE_MS` × 2^(n - 1), which is at most `BACKOFF_MAX_MS`. */
export const BACKOFF_BASE_MS = 200
export const BACKOFF_MAX_MS = 5000
/** Errors that the failed try itself has mended (clock, token): tried again at once, this many times in a call. */
export const CORRECTIONS_MAX = 2

const CORRECTED: readonly ErrorCode[] = ['API_CLOCK_SKEWED', 'API_TOKEN_EXPIRED']

/** No answer, none in time, or none that says what became of the request: it may have taken effect, or may yet. */
const UNSURE: readonly ErrorCode[] = ['API_TIMEOUT', 'API_UNREACHABLE', 'API_UNAVAILABLE', 'API_MALFORMED']

export function isUnsure({ code }: ClsConsumerError): boolean {
  return UNSURE.includes(code)
}

export interface Failed {
  readonly error: ClsConsumerError
  /** Tries of this call that failed by what a correction mends, this one included, and by anything else. */
  readonly correctionCount: number
  readonly backoffCount: number
  readonly elapsedMs: number
  readonly deadlineMs: number
  /** Uniform in [0, 1). */
  readonly chance: number
}

/** How long to wait before the next try, in ms; `undefined`: give up. */
export function decideRetry(failed: Failed): number | undefined {
  const { error, correctionCount, backoffCount, elapsedMs, deadlineMs, chance } = failed
  if (error.remedy !== 'retry') return undefined
  if (isCorrected(error)) return correctionCount <= CORRECTIONS_MAX && elapsedMs < deadlineMs ? 0 : undefined
  const waitMs = chance * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (backoffCount - 1))
  return elapsedMs + waitMs < deadlineMs ? waitMs : undefined
}

export interface RetryOptions {
  readonly deadlineMs: number
  /** One try: what is silent for longer is given up and tried again. */
  readonly tryMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly place: ErrorPlace
  /** Narrows what is tried again; absent: whatever the remedy says. */
  readonly isRetried?: (error: ClsConsumerError) => boolean
  /** Before each wait; for a log line. */
  readonly onRetry?: (error: ClsConsumerError, waitMs: number) => void
}

export interface RetryWorld {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/**
 * Errors that are not ours (a bug, the caller's abort) pass at once.
 *
 * `attempt` calls `checkDeadline` right before it sends. The timer alone does not do: the process is stopped and woken
 * past the deadline; a shorter timer of this call fires first → a commit leaves for a lease that has ended (I12).
 */
export async function retry<T>(
  attempt: (signal: AbortSignal, checkDeadline: () => void) => Promise<T>,
  options: RetryOptions,
  { clock, timers, random }: RetryWorld
): Promise<T> {
  const { deadlineMs, tryMs, signal, place, isRetried = () => true, onRetry } = options
  const startedMs = clock.monotonic()
  let correctionCount = 0
  let backoffCount = 0
  let last: ClsConsumerError | undefined

  const timedOut = () => {
    const before = last === undefined ? '' : `; before that: ${last.message}`
    const message = `no answer within the ${deadlineMs} ms of the call${before}`
    return new ClsConsumerError('API_TIMEOUT', message, { ...place, cause: last })
  }
  const checkDeadline = () => {
    if (clock.monotonic() - startedMs >= deadlineMs) throw timedOut()
  }
  const tryOnce = (limited: AbortSignal): Promise<T> => {
    if (tryMs === undefined) return attempt(limited, checkDeadline)
    const onDeadline = () => new ClsConsumerError('API_TIMEOUT', `no answer within the ${tryMs} ms of one try`, place)
    const limit = { deadlineMs: tryMs, signal: limited, onDeadline }
    return withDeadline(tried => attempt(tried, checkDeadline), limit, timers)
  }
  const loop = async (limited: AbortSignal): Promise<T> => {
    for (;;) {
      try {
        return await tryOnce(limited)
      } catch (error) {
        if (limited.aborted || !(error instanceof ClsConsumerError) || !isRetried(error)) throw error
        last = error
        if (isCorrected(error)) correctionCount++
        else backoffCount++
        const elapsedMs = clock.monotonic() - startedMs
        const waitMs = decideRetry({
          error,
          correctionCount,
          backoffCount,
          elapsedMs,
          deadlineMs,
          chance: random.next()
        })
        if (waitMs === undefined) throw error
        onRetry?.(error, waitMs)
        if (waitMs > 0) await timers.sleep(waitMs, limited)
      }
    }
  }
  return withDeadline(loop, { deadlineMs, signal, onDeadline: timedOut }, timers)
}

/**
 * Runs something under a signal that aborts with the caller's own, or at the deadline. Ends then at once, with the
 * signal's reason or the deadline's error, even if what runs does not heed its signal.
 */
export function withDeadline<T>(
  run: (signal: AbortSignal) => Promise<T>,
  limit: {
    readonly deadlineMs: number
    readonly signal?: AbortSignal | undefined
    readonly onDeadline: () => ClsConsumerError
  },
  timers: Timers
): Promise<T> {
  const { deadlineMs, signal, onDeadline } = limit
  if (signal?.aborted === true) return Promise.reject(signal.reason)
  // Not AbortSignal.any: on Node 20 it leaves entries behind on a signal that lives as long as the consumer.
  const controller = new AbortController()
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => end(signal?.reason)
    const timer = timers.after(deadlineMs, () => end(onDeadline()))
    if (signal !== undefined) {
      setMaxListeners(0, signal) // many calls under one signal are no leak: each takes its listener away
      signal.addEventListener('abort', onAbort, { once: true })
    }
    function tidy(): void {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    function end(reason: unknown): void {
      tidy()
      reject(reason) // first: what the abort makes `run` throw must not come before it
      controller.abort(reason)
    }
    run(controller.signal).then(resolve, reject).finally(tidy)
  })
}

function isCorrected(error: ClsConsumerError): boolean {
  return CORRECTED.includes(error.code)
}
