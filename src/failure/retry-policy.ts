/**
 * Whether and when something that failed is tried again.
 *
 * In: how often it was tried, and the user's limits. Out: a wait in ms, or that it was the last attempt. Pure. Waits grow
 * by doubling; their upper half is by chance, so that what failed together is not tried again together.
 */
import type { Settings } from '../options.ts'

export interface Backoff extends Pick<Settings, 'backoffMs' | 'backoffMaxMs'> {
  /** Attempts made, the failed one included: 1 or more. */
  readonly attempt: number
  /** Uniform in [0, 1). */
  readonly chance: number
}

/** Milliseconds to wait before the next attempt. */
export function backoffDelayMs({ attempt, backoffMs, backoffMaxMs, chance }: Backoff): number {
  // 2 to a large power is Infinity, which the ceiling takes care of; 0 × Infinity would be no number.
  const ceilingMs = backoffMs === 0 ? 0 : Math.min(backoffMaxMs, backoffMs * 2 ** (attempt - 1))
  return Math.ceil(ceilingMs * (0.5 + chance / 2))
}

/** The same, or `undefined`: that was the last attempt. */
export function retryDelayMs(failed: Backoff & Pick<Settings, 'attempts'>): number | undefined {
  return failed.attempt >= failed.attempts ? undefined : backoffDelayMs(failed)
}
