/**
 * Something again and again.
 *
 * In: an interval. Out: calls, one at a time, until cancelled; none after.
 */
import type { Timer, Timers } from '../world.ts'

export function every(timers: Timers, intervalMs: number, fire: () => void): Timer {
  let next: Timer | undefined
  const arm = () => {
    next = timers.after(intervalMs, () => {
      arm()
      fire()
    })
  }
  arm()
  return { cancel: () => next?.cancel() }
}
