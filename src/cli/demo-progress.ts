/**
 * Waiting with progress.
 *
 * In: what is awaited, and what moves. Out: a bar and a line a second; an end as soon as a consumer failed, the user
 * stopped, or nothing has moved for `STALL_MS`. No wait of the demo is without that limit.
 */
import type { CommandWorld } from './command-world.ts'
import { bar, count } from './format.ts'
import type { Screen } from './screen.ts'

/** A demo where nothing moves for so long has failed. */
export const STALL_MS = 30_000
const TICK_MS = 100

export interface Watch {
  /** Throws what makes waiting pointless. */
  readonly done: () => boolean
  /** Changes whenever anything moved. */
  readonly moved: () => string
  readonly tick: () => void
}

/** Resolves to false where nothing has moved for `STALL_MS`. Throws what `done` throws, and the reason of a stop. */
export async function watch(
  { clock, timers, stop }: Pick<CommandWorld, 'clock' | 'timers' | 'stop'>,
  { done, moved, tick }: Watch
): Promise<boolean> {
  let before = moved()
  let movedMs = clock.monotonic()
  while (!done()) {
    tick()
    await timers.sleep(TICK_MS, stop)
    const now = moved()
    if (now !== before) movedMs = clock.monotonic()
    before = now
    if (clock.monotonic() - movedMs > STALL_MS) return false
  }
  return true
}

/** A bar that moves, and a line a second. */
export function progressTicker(
  /** Of all lines; undefined for a file, whose length is not known before its end. */
  allCount: number | undefined,
  { clock }: Pick<CommandWorld, 'clock'>,
  screen: Screen,
  counts: () => readonly [number, number]
): () => void {
  const startedMs = clock.monotonic()
  let second = 1
  let before = 0
  return () => {
    const [stored, processed] = counts()
    const sinceMs = clock.monotonic() - startedMs
    if (sinceMs >= second * 1000) {
      const rate = count(processed - before).padStart(7)
      screen.line(
        `${String(second).padStart(3)} s  uploaded ${count(stored).padStart(9)}  processed ${count(processed).padStart(9)}  ${rate} logs/s`
      )
      second = Math.floor(sinceMs / 1000) + 1
      before = processed
    }
    const all = allCount ?? stored
    screen.status(`${bar(processed / Math.max(1, all), 40)} ${count(processed)} of ${count(all)}`)
  }
}
