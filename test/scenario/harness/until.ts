/**
 * Waiting for what others bring about.
 *
 * In: a look at the world, and for how long it may take. Out: what the look found, or an error that says what never came.
 * Must never happen: a wait for a time instead of a condition.
 */
import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_INTERVAL_MS = 20
export const WITHIN_MS = 20_000

/** Nothing found yet. */
type Nothing = undefined | false | null

export async function until<T>(
  what: string,
  look: () => T | Nothing | Promise<T | Nothing>,
  withinMs: number = WITHIN_MS
): Promise<T> {
  const deadlineMs = nowMs() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false && found !== null) return found
    if (nowMs() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(LOOK_INTERVAL_MS)
  }
}

/** The machine's monotonic clock: the same in every process and thread on it. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
