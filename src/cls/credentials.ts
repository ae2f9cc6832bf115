/**
 * Where the access key of a request comes from.
 *
 * In: fixed credentials, or a provider with expiry. Out: credentials to sign with, the same object until they are
 * renewed. One provider call is in flight at most. Must never happen: a secret, or a provider's own message that may
 * quote one, in an error or a log line (I9).
 */
import { ClsConsumerError } from '../errors.ts'
import { type Credentials, type CredentialsProvider, checkCredentials } from '../options.ts'
import type { Logger, Timers } from '../world.ts'

export interface CredentialSource {
  /** @throws ClsConsumerError CREDENTIALS_UNAVAILABLE where the provider fails and nothing valid is left. */
  get(): Promise<Credentials>
  /**
   * The service called these expired. True if the next `get` can give others; false for fixed credentials, for which
   * another try is in vain.
   */
  renew(refused: Credentials): boolean
}

/** Renewed this long before they expire, or halfway through a shorter life. */
const RENEW_BEFORE_MS = 60_000
/** After a failed renewal the old ones, while valid, are used this long before the provider is asked again. */
const RENEW_PAUSE_MS = 5000
const PROVIDER_TIMEOUT_MS = 10_000

interface Held {
  readonly credentials: Credentials
  readonly renewAtMs: number
}

export function createCredentials(
  given: Credentials | CredentialsProvider,
  /** `now` is Unix ms by the service's clock, since expiry is. */
  world: { readonly now: () => number; readonly timers: Timers; readonly log: Logger }
): CredentialSource {
  if (typeof given !== 'function') return { get: async () => given, renew: () => false }
  const provider = given
  let held: Held | undefined
  let asked: Promise<Credentials> | undefined

  async function ask(): Promise<Credentials> {
    try {
      const credentials = await inTime(provider, world.timers)
      held = { credentials, renewAtMs: renewAt(credentials, world.now()) }
      return credentials
    } catch (error) {
      const failure = unavailable(error)
      // Not yet expired: better those than none.
      if (held === undefined || world.now() >= (held.credentials.expiresAtMs ?? 0)) throw failure
      world.log.warn('credentials not renewed', { code: failure.code, reason: failure.message })
      held = { credentials: held.credentials, renewAtMs: world.now() + RENEW_PAUSE_MS }
      return held.credentials
    } finally {
      asked = undefined
    }
  }

  return {
    async get() {
      if (held !== undefined && world.now() < held.renewAtMs) return held.credentials
      asked ??= ask()
      return asked
    },
    renew(refused) {
      // Two calls are refused with the same credentials; the first renews them → the second must not drop the new ones.
      if (held?.credentials === refused) held = undefined
      return true
    }
  }
}

function renewAt({ expiresAtMs }: Credentials, nowMs: number): number {
  if (expiresAtMs === undefined) return Number.POSITIVE_INFINITY
  return expiresAtMs - Math.min(RENEW_BEFORE_MS, (expiresAtMs - nowMs) / 2)
}

async function inTime(provider: CredentialsProvider, timers: Timers): Promise<Credentials> {
  return new Promise((resolve, reject) => {
    const late = () =>
      reject(
        new ClsConsumerError('CREDENTIALS_UNAVAILABLE', `the credentials provider took over ${PROVIDER_TIMEOUT_MS} ms`)
      )
    const timer = timers.after(PROVIDER_TIMEOUT_MS, late)
    // `async`, so that a provider that throws before its first await is a rejection too.
    const answer = (async () => checkCredentials(await provider()))()
    answer.then(resolve, reject).finally(() => timer.cancel())
  })
}

/** Neither message nor cause of a provider's error are passed on: either may hold a secret. Its kind is told. */
function unavailable(error: unknown): ClsConsumerError {
  if (error instanceof ClsConsumerError && error.code === 'CREDENTIALS_UNAVAILABLE') return error
  const kind = error instanceof Error ? error.name : typeof error
  const message = `the credentials provider failed with ${kind} (its message is withheld, as it may hold a secret)`
  return new ClsConsumerError('CREDENTIALS_UNAVAILABLE', message)
}
