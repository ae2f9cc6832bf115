/**
 * One signed try, which learns from being refused.
 *
 * In: a function that makes one request with the given credentials and time. Out: what it gives; or its error, after
 * what the error shows about credentials or clock is put right, so that the next try, whoever makes it, is signed
 * right. Must never happen: a user stopped for bad credentials when only the clock is off, or when they have expired
 * and there are others.
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import type { Credentials } from '../options.ts'
import type { Logger } from '../world.ts'
import { saysExpired } from './answer.ts'
import type { CredentialSource } from './credentials.ts'
import type { ServiceClock } from './service-clock.ts'

export interface Identity {
  readonly credentials: Credentials
  /** Unix seconds, by the service's clock. */
  readonly nowSeconds: number
  /** How far that clock was taken to be ahead of ours. */
  readonly skewMs: number
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

/**
 * `place` says what is asked of what: permissions differ by that. `proof`: what shows that the signature was taken. With
 * `content`, an answer may still hold a refusal: `tellWorked` is called once it is known to hold none. Else each refusal
 * would come after a success, and what is forbidden would be taken for expired for ever.
 */
export async function trySigned<T>(
  signing: Signing,
  place: ErrorPlace,
  run: (identity: Identity) => Promise<T>,
  proof: 'answer' | 'content' = 'answer'
): Promise<T> {
  const { credentials: source, serviceClock } = signing
  const credentials = await source.get()
  const { secretKey, token } = credentials
  const identity = {
    credentials,
    nowSeconds: Math.floor(serviceClock.now() / 1000),
    skewMs: serviceClock.skewMs(),
    secrets: token === undefined ? [secretKey] : [secretKey, token]
  }
  try {
    const value = await run(identity)
    if (proof === 'answer') tellWorked(place, identity, signing)
    return value
  } catch (error) {
    throw error instanceof ClsConsumerError ? learn(error, identity, signing) : error
  }
}

/** A try signed so has been taken. */
export function tellWorked(place: ErrorPlace, used: Identity, { credentials }: Signing): void {
  credentials.worked(used.credentials, scopeOf(place))
}

/**
 * Puts right what a refusal shows about clock and credentials. Returns the error, under the code that says what that
 * means for the next try.
 *
 * `used` is what the refused try was signed with: two tries signed with a wrong clock are refused; the first corrects
 * it → measured against the corrected clock, the second would look like bad credentials and stop the consumer.
 */
export function learn(error: ClsConsumerError, used: Identity, signing: Signing): ClsConsumerError {
  const { credentials, serviceClock, log } = signing
  const offMs = Math.round(serviceClock.observedSkewMs() - used.skewMs)
  const isSuspect = error.code === 'API_UNAUTHORIZED' && Math.abs(offMs) > SKEW_SUSPECT_MS
  if (error.code === 'API_CLOCK_SKEWED' || isSuspect) {
    serviceClock.correct()
    log.warn('clock corrected', { offMs, action: error.place.action })
    const message = `the signature was refused, and the service's clock is ${offMs} ms ahead of the one it was made by`
    return isSuspect ? new ClsConsumerError('API_CLOCK_SKEWED', message, { ...error.place, cause: error }) : error
  }

  const isExpired = saysExpired(error, used.credentials.token !== undefined)
  if (isExpired === undefined) return error
  if (credentials.renew(used.credentials, { scope: scopeOf(error.place), isExpired })) {
    if (isExpired === 'surely') return error
    const message = 'the credentials were refused although they had worked: the provider is asked for others'
    return new ClsConsumerError('API_TOKEN_EXPIRED', message, { ...error.place, cause: error })
  }
  if (isExpired === 'maybe') return error
  const message = 'the credentials are called expired, and there are no others: no provider, or its fresh ones are too'
  return new ClsConsumerError('API_UNAUTHORIZED', message, { ...error.place, cause: error })
}

function scopeOf({ action = '', topicId = '' }: ErrorPlace): string {
  return `${action} ${topicId}`
}
