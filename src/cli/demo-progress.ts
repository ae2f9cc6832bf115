/**
 * Waiting with progress.
 *
 * In: what is awaited, and what moves. Out: a bar and a line a second; an end as soon as a consumer failed, the user
 * stopped, or nothing has moved for `STALL_MS`. No wait of the demo is without that limit.
 */
import { ClsConsumerError } from '../errors.ts'
import type { CommandWorld } from './command-world.ts'
import { bar, count } from './format.ts'
import type { Screen } from './screen.ts'

/** A demo where nothing moves for so long has failed. */
const STALL_MS = 30_000
const TICK_MS = 100

export interface Watch {
  /** Throws what makes waiting pointless. */
  readonly done: () => boolean
  /** Changes whenever anything moved. */
  readonly moved: () => string
  readonly tick: () => void
  /** What to say where nothing moves any more. */
  readonly what: string
}

/** Waits for `done`; throws as soon as a consumer failed, the user stopped, or nothing has moved for `STALL_MS`. */
export async function watch(
  { clock, timers, stop }: Pick<CommandWorld, 'clock' | 'timers' | 'stop'>,
  watched: Watch
): Promise<void> {
  let moved = watched.moved()
  let movedMs = clock.monotonic()
  while (!watched.done()) {
    watched.tick()
    await timers.sleep(TICK_MS, stop)
    const now = watched.moved()
    if (now !== moved) movedMs = clock.monotonic()
    moved = now
    if (clock.monotonic() - movedMs > STALL_MS) {
      throw new ClsConsumerError('DEMO_FAILED', `${watched.what} for ${STALL_MS / 1000} s`)
    }
  }
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
