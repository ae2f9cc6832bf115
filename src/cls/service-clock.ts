/**
 * The service's clock, as far as its answers show it.
 *
 * In: the `Date` header of every answer. Out: the time to sign with. A skew is measured always and adopted only when
 * the service has refused a signature for its time: a local clock that is merely a little off is left alone, and a
 * proxy with a wrong `Date` cannot spoil signatures that work. Must never happen: two corrections added up, where two
 * calls are refused for the same skew; hence a correction replaces, and never adds.
 */
import type { Clock } from '../world.ts'

export interface ServiceClock {
  /** Unix ms, corrected. */
  now(): number
  /** Reads an answer's `Date` header. */
  observe(dateHeader: string | undefined): void
  /** What `now()` adds to the local clock, in ms. */
  skewMs(): number
  /** How far the service's clock was ahead of the local one in the last answer, in ms. */
  observedSkewMs(): number
  /** Adopts the last observed skew. */
  correct(): void
}

/** The header has whole seconds: the true time is half a second later on average. */
const DATE_ROUNDING_MS = 500

export function createServiceClock(clock: Clock): ServiceClock {
  let observedSkewMs = 0
  let skewMs = 0
  return {
    now: () => clock.now() + skewMs,
    observe(dateHeader) {
      const serviceMs = dateHeader === undefined ? Number.NaN : Date.parse(dateHeader)
      if (!Number.isNaN(serviceMs)) observedSkewMs = serviceMs + DATE_ROUNDING_MS - clock.now()
    },
    skewMs: () => skewMs,
    observedSkewMs: () => observedSkewMs,
    correct() {
      skewMs = observedSkewMs
    }
  }
}
