/**
 * Where the access key of a request comes from.
 *
 * In: fixed credentials, or a provider with expiry; what the service said to those used. Out: credentials to sign with,
 * the same object until they are renewed. One provider call is in flight at most. Must never happen: a secret, or a
 * provider's own message that may quote one, in an error or a log line (I9); bad credentials taken for expired ones
 * again and again, or a consumer stopped over some that merely expired.
 */
import { isDeepStrictEqual } from 'node:util'
import { ClsConsumerError } from '../errors.ts'
import { errorFields } from '../observe/error-fields.ts'
import { type Credentials, type CredentialsProvider, checkCredentials } from '../options.ts'
import type { Logger, Timers } from '../world.ts'

export interface CredentialSource {
  /** @throws ClsConsumerError CREDENTIALS_UNAVAILABLE where the provider fails and nothing valid is left. */
  get(): Promise<Credentials>
  /** A request signed with these was taken. `scope`: what may be permitted by itself, such as pulls of one topic. */
  worked(used: Credentials, scope: string): void
  /**
   * The service refused these. True if the next `get` may give others that are not; false where another try is in vain:
   * fixed credentials; fresh ones that never worked; and, where `surely` is not said, a scope that has not worked since
   * others were asked for on its account: it is forbidden, whatever else is not.
   */
  renew(refused: Credentials, why: Refusal): boolean
}

export interface Refusal {
  readonly scope: string
  readonly isExpired: 'surely' | 'maybe'
}

/** Renewed this long before they expire, or halfway through a shorter life. */
const RENEW_BEFORE_MS = 60_000
/** After a failed renewal the old ones, while valid, are used this long before the provider is asked again. */
const RENEW_PAUSE_MS = 5000
const PROVIDER_TIMEOUT_MS = 10_000
/** A provider that still gives what the service has just refused is asked again after this. */
const STALE_PAUSE_MS = 1000

interface Held {
  readonly credentials: Credentials
  readonly renewAtMs: number
  /** fresh: asked for after a refusal. given: otherwise; a provider may keep them, so they may be old. */
  standing: 'given' | 'fresh' | 'worked'
}

/** Credentials that the service called expired. */
interface Refused {
  readonly credentials: Credentials
  readonly hadWorked: boolean
  /** The provider gave the same again: it is not asked before this. */
  readonly pauseUntilMs: number
}

export function createCredentials(given: Credentials | CredentialsProvider, world: CredentialsWorld): CredentialSource {
  if (typeof given !== 'function') return { get: async () => given, worked: () => undefined, renew: () => false }
  return new ProvidedCredentials(given, world)
}

interface CredentialsWorld {
  /** Unix ms by the service's clock, since expiry is. */
  readonly now: () => number
  readonly timers: Timers
  readonly log: Logger
}

class ProvidedCredentials implements CredentialSource {
  readonly #provider: CredentialsProvider
  readonly #world: CredentialsWorld
  #held: Held | undefined
  #refused: Refused | undefined
  /**
   * Scopes on whose account others were asked for, and that have not worked since. More than one may be forbidden: each
   * would forget the other, and have the provider asked for ever. No more of them than actions and topics.
   */
  readonly #refusedIn = new Set<string>()
  #asked: Promise<Credentials> | undefined

  constructor(provider: CredentialsProvider, world: CredentialsWorld) {
    this.#provider = provider
    this.#world = world
  }

  async get(): Promise<Credentials> {
    if (this.#held !== undefined && this.#world.now() < this.#held.renewAtMs) return this.#held.credentials
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = undefined
    })
    return await this.#asked
  }

  worked(used: Credentials, scope: string): void {
    // Others may be held by now: of those this says nothing.
    if (this.#held?.credentials !== used) return
    this.#held.standing = 'worked'
    this.#refusedIn.delete(scope)
  }

  renew(refused: Credentials, why: Refusal): boolean {
    const held = this.#held
    // Two calls are refused with the same credentials; the first renews them → the second must not drop the new ones.
    if (held?.credentials !== refused) return true
    const hadWorked = held.standing === 'worked'
    if (held.standing === 'fresh') return false
    if (why.isExpired === 'maybe' && (!hadWorked || this.#refusedIn.has(why.scope))) return false
    this.#held = undefined
    this.#refused = { credentials: refused, hadWorked, pauseUntilMs: 0 }
    this.#refusedIn.add(why.scope)
    return true
  }

  async #ask(): Promise<Credentials> {
    const { now, timers, log } = this.#world
    try {
      if (now() < (this.#refused?.pauseUntilMs ?? 0)) throw stale()
      const credentials = await inTime(this.#provider, timers)
      this.#checkNotRefused(credentials)
      const standing = this.#refused === undefined ? 'given' : 'fresh'
      this.#held = { credentials, renewAtMs: renewAt(credentials, now()), standing }
      this.#refused = undefined
      return credentials
    } catch (error) {
      const failure = unavailable(error)
      // Not yet expired: better those than none.
      if (this.#held === undefined || now() >= (this.#held.credentials.expiresAtMs ?? 0)) throw failure
      log.warn('credentials not renewed', errorFields(failure))
      this.#held = { ...this.#held, renewAtMs: now() + RENEW_PAUSE_MS }
      return this.#held.credentials
    }
  }

  /**
   * A provider that keeps what it has may give the expired ones for a while: that is no proof against it. It is where
   * they never worked: then they are taken for fresh, and the next refusal is the last word.
   */
  #checkNotRefused(credentials: Credentials): void {
    if (this.#refused?.hadWorked !== true) return
    const { expiresAtMs: _old, ...refused } = this.#refused.credentials
    const { expiresAtMs: _new, ...given } = credentials
    if (!isDeepStrictEqual(given, refused)) return
    this.#refused = { ...this.#refused, pauseUntilMs: this.#world.now() + STALE_PAUSE_MS }
    throw stale()
  }
}

function stale(): ClsConsumerError {
  const message = 'the credentials provider still gives the credentials that the service has refused'
  return new ClsConsumerError('CREDENTIALS_UNAVAILABLE', message)
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
