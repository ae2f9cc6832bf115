/**
 * Keeps each action within the service's limit of requests per second.
 *
 * In: the wish to send. Out: a promise that resolves when it may be sent, in the order of asking. Must never happen: a
 * queue without end; who would wait longer than `waitMaxMs` gets API_THROTTLED at once.
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import type { Clock, Timers } from '../world.ts'

/** Documented limit of the service: 20 requests a second per action, region and sub-account. */
const REQUESTS_PER_WINDOW = 20
const WINDOW_MS = 1000
const WAIT_MAX_MS = 10_000

/** When the last `REQUESTS_PER_WINDOW` requests were or will be sent, oldest first. */
export type Slots = readonly number[]

/** When the next request may be sent: no window of `WINDOW_MS` holds more than `REQUESTS_PER_WINDOW`. */
export function nextSlotMs(slots: Slots, nowMs: number): number {
  const oldest = slots.at(-REQUESTS_PER_WINDOW)
  return oldest === undefined ? nowMs : Math.max(nowMs, oldest + WINDOW_MS)
}

export function takeSlot(slots: Slots, atMs: number): Slots {
  return [...slots, atMs].slice(-REQUESTS_PER_WINDOW)
}

export interface Limiter {
  /** @throws ClsConsumerError API_THROTTLED; the signal's reason. */
  wait(action: string, signal: AbortSignal, place: ErrorPlace): Promise<void>
}

export function createLimiter({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }): Limiter {
  const slotsByAction = new Map<string, Slots>() // one entry per action of the API: bounded
  return {
    async wait(action, signal, place) {
      const nowMs = clock.monotonic()
      const slots = slotsByAction.get(action) ?? []
      const atMs = nextSlotMs(slots, nowMs)
      if (atMs - nowMs > WAIT_MAX_MS) {
        const message = `too many requests of one action wait here already: more than ${WAIT_MAX_MS} ms of them`
        throw new ClsConsumerError('API_THROTTLED', message, place)
      }
      // A slot that is then not used, since the signal aborts, stays taken: less than allowed is sent, never more.
      slotsByAction.set(action, takeSlot(slots, atMs))
      if (atMs > nowMs) await timers.sleep(atMs - nowMs, signal)
    }
  }
}
