/**
 * Offers a result until it is taken.
 *
 * In: a call of the user's `onResult` with one result, kept. Out: it was taken, or the error of the last attempt. Must
 * never happen: the batch is processed again for its result's sake; an attempt after `signal`.
 *
 * Nothing that ends an attempt from outside: `onResult` runs on the main thread, and what hangs there is the caller's to
 * bound, as it bounds the whole of a batch's ending.
 */
import { ClsConsumerError, type ErrorPlace, toFailure } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { World } from '../world.ts'
import { retryDelayMs } from './retry-policy.ts'

export interface DeliverHooks {
  /** Ends the waiting between attempts: rejects with its reason. */
  readonly signal: AbortSignal
  /** Before each wait. */
  retried(error: unknown, waitMs: number): void
}

export async function deliver(
  offer: () => unknown,
  world: Pick<World, 'timers' | 'random'>,
  limits: Pick<Settings, 'attempts' | 'backoffMs' | 'backoffMaxMs'>,
  { signal, retried }: DeliverHooks
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await offer()
      return
    } catch (error) {
      const waitMs = retryDelayMs({ ...limits, attempt, chance: world.random.next() })
      if (waitMs === undefined || signal.aborted) throw error
      retried(error, waitMs)
      await world.timers.sleep(waitMs, signal)
    }
  }
}

/** What `onResult` threw. */
export function resultError(thrown: unknown, place: ErrorPlace): ClsConsumerError {
  const { message } = toFailure(thrown, 'ON_RESULT_FAILED')
  return new ClsConsumerError('ON_RESULT_FAILED', `onResult failed: ${message}`, { ...place, cause: thrown })
}
