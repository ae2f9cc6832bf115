/**
 * Offers a result until it is taken.
 *
 * In: a call of the user's `onResult` with one result, kept. Out: whether it was taken, or the error of the last attempt.
 * Must never happen: the batch is processed again for its result's sake; an attempt after `signal`, or past the lease.
 *
 * Nothing that ends an attempt from outside: `onResult` runs on the main thread, and what hangs there is the caller's to
 * bound, as it bounds the whole of a batch's ending.
 */
import { ClsConsumerError, type ErrorPlace, toFailure } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { World } from '../world.ts'
import { retryDelayMs } from './retry-policy.ts'

export interface DeliverHooks {
  /** Asked before each attempt: the process may have been stopped meanwhile, for longer than the lease (I12). */
  mayOffer(): boolean
  /** Ends the attempts, and the waiting between them. */
  readonly signal: AbortSignal
  /** Before each wait. `attempt`: how many have failed. */
  retried(error: unknown, waitMs: number, attempt: number): void
  /** It failed when `signal` had aborted: it is not offered again. */
  gaveUp(error: unknown): void
}

/** Resolves to whether it was taken: false where it may not be offered any more. */
export async function deliver(
  offer: () => unknown,
  world: Pick<World, 'timers' | 'random'>,
  limits: Pick<Settings, 'attempts' | 'backoffMs' | 'backoffMaxMs'>,
  { mayOffer, signal, retried, gaveUp }: DeliverHooks
): Promise<boolean> {
  for (let attempt = 1; mayOffer(); attempt++) {
    try {
      await offer()
      return true
    } catch (error) {
      if (signal.aborted) {
        gaveUp(error)
        return false
      }
      const waitMs = retryDelayMs({ ...limits, attempt, chance: world.random.next() })
      if (waitMs === undefined) throw error
      retried(error, waitMs, attempt)
      await world.timers.sleep(waitMs, signal).catch(() => undefined)
      if (signal.aborted) return false
    }
  }
  return false
}

/** What `onResult` threw. */
export function resultError(thrown: unknown, place: ErrorPlace): ClsConsumerError {
  const { message } = toFailure(thrown, 'ON_RESULT_FAILED')
  return new ClsConsumerError('ON_RESULT_FAILED', `onResult failed: ${message}`, { ...place, cause: thrown })
}
