/**
 * One signed try, which learns from being refused.
 *
 * In: a function that makes one request with the given credentials and time. Out: what it gives; or its error, after
 * what the error shows about credentials or clock is put right, so that the next try, whoever makes it, is signed
 * right. Must never happen: a user stopped for bad credentials when only the clock is off.
 */
import { ClsConsumerError } from '../errors.ts'
import type { Credentials } from '../options.ts'
import type { Logger } from '../world.ts'
import type { CredentialSource } from './credentials.ts'
import type { ServiceClock } from './service-clock.ts'

export interface Identity {
  readonly credentials: Credentials
  /** Unix seconds, by the service's clock. */
  readonly nowSeconds: number
  /** What must not appear in an error. */
  readonly secrets: readonly string[]
}

export interface Signing {
  readonly credentials: CredentialSource
  readonly serviceClock: ServiceClock
  readonly log: Logger
}

/**
 * An authorization refused while the clocks differ by more than this is taken as refused for the time: the data plane
 * has no code of its own for that, and its signatures begin 60 s before now.
 */
const SKEW_SUSPECT_MS = 30_000

export async function trySigned<T>(signing: Signing, run: (identity: Identity) => Promise<T>): Promise<T> {
  const { credentials: source, serviceClock } = signing
  const credentials = await source.get()
  const skewMs = serviceClock.skewMs()
  const { secretKey, token } = credentials
  const secrets = token === undefined ? [secretKey] : [secretKey, token]
  try {
    return await run({ credentials, nowSeconds: Math.floor(serviceClock.now() / 1000), secrets })
  } catch (error) {
    throw error instanceof ClsConsumerError ? learn(error, { credentials, skewMs }, signing) : error
  }
}

/**
 * `used` is what the refused try was signed with: two tries signed with a wrong clock are refused; the first corrects
 * it → measured against the corrected clock, the second would look like bad credentials and stop the consumer.
 */
function learn(
  error: ClsConsumerError,
  used: { readonly credentials: Credentials; readonly skewMs: number },
  { credentials, serviceClock, log }: Signing
): ClsConsumerError {
  if (error.code === 'API_TOKEN_EXPIRED' && !credentials.renew(used.credentials)) {
    const message = 'the credentials have expired, and there is no provider to ask for others'
    return new ClsConsumerError('API_UNAUTHORIZED', message, { ...error.place, cause: error })
  }
  const offMs = Math.round(serviceClock.observedSkewMs() - used.skewMs)
  const isSuspect = error.code === 'API_UNAUTHORIZED' && Math.abs(offMs) > SKEW_SUSPECT_MS
  if (error.code !== 'API_CLOCK_SKEWED' && !isSuspect) return error
  serviceClock.correct()
  log.warn('clock corrected', { offMs, action: error.place.action })
  if (!isSuspect) return error
  const message = `the signature was refused, and the service's clock is ${offMs} ms ahead of the one it was made by`
  return new ClsConsumerError('API_CLOCK_SKEWED', message, { ...error.place, cause: error })
}
