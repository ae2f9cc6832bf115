/**
 * The world of one simulated consumer: everything of `buildWorld`, down to what touches the machine.
 *
 * In: settings, and where time, chance, network and threads come from. Out: a world. Real are the control and data APIs
 * down to HTTP, the books of the thread pool and the scout. Simulated are clock, timers, chance, the log, HTTP, and what
 * makes threads.
 */
import type { RealWorld } from '../../src/build-world.ts'
import { createControlApi } from '../../src/cls/control-api.ts'
import { createCredentials } from '../../src/cls/credentials.ts'
import { createDataApi } from '../../src/cls/data-api.ts'
import { resolveEndpoints } from '../../src/cls/endpoints.ts'
import type { Http } from '../../src/cls/http.ts'
import { createServiceClock } from '../../src/cls/service-clock.ts'
import type { Engine, EngineHooks } from '../../src/dispatch/engine.ts'
import { PoolMembers } from '../../src/dispatch/pool-members.ts'
import { ScoutThread } from '../../src/dispatch/scout.ts'
import { ThreadPool } from '../../src/dispatch/thread-pool.ts'
import type { Settings } from '../../src/options.ts'
import type { Clock, Files, LogFields, Logger, Random, Timers } from '../../src/world.ts'
import type { Dice } from '../fuzz/dice.ts'
import type { Course, Place } from './course.ts'
import { BEGIN_MS } from './service.ts'

/** Longer than any simulated boot. */
const THREAD_BOOT_MS = 10_000

export interface WorldParts {
  readonly settings: Settings
  readonly course: Course
  readonly dice: Dice
  readonly place: Place
  readonly http: Http
  readonly files: Files
  /** How far its clock is ahead of the service's. */
  readonly skewMs: number
  said(level: string, message: string, fields: LogFields): void
  startEngine(count: number, hooks: EngineHooks): Engine
}

export function simulateWorld(parts: WorldParts): RealWorld {
  const { settings, course, dice, place, http } = parts
  const clock: Clock = { now: () => BEGIN_MS + parts.skewMs + course.nowMs, monotonic: () => course.nowMs }
  const timers = simulateTimers(course, place)
  const random: Random = {
    next: () => dice.below(2 ** 32) / 2 ** 32,
    hex: byteCount => dice.bytes(byteCount).toString('hex')
  }
  const log = simulateLog(parts)
  const base = { clock, timers, random, log }
  const { logsetId, callTimeoutMs, bodyBytesMax, responseBytesMax } = settings
  const serviceClock = createServiceClock(clock)
  const credentials = createCredentials(settings.credentials, { now: serviceClock.now, timers, log })
  const signing = { credentials, serviceClock, log }
  const shared = { ...base, endpoints: resolveEndpoints(settings), signing, http, callTimeoutMs }
  const members = simulateMembers(parts, clock, timers, log)
  return {
    ...base,
    control: createControlApi({ ...shared, logsetId }),
    data: createDataApi({ ...shared, bodyBytesMax }),
    threads: members.client(log),
    scout: {
      nextOffset: body => members.scout(body, responseBytesMax),
      harvest: body => members.harvest(body, responseBytesMax)
    },
    files: parts.files,
    close: () => http.close()
  }
}

function simulateMembers(parts: WorldParts, clock: Clock, timers: Timers, log: Logger): PoolMembers {
  const { threads, batchesPerThread, threadExitMs } = parts.settings
  const pool = (count: number): ThreadPool =>
    new ThreadPool({ count, threadExitMs, threadBootMs: THREAD_BOOT_MS, timers }, hooks =>
      parts.startEngine(count, hooks)
    )
  return new PoolMembers(
    { count: threads, batchesPerThread },
    () => pool(threads),
    () => new ScoutThread({ clock, timers, log }, () => pool(1))
  )
}

function simulateTimers(course: Course, where: Place): Timers {
  // As Node does it: whole milliseconds, at least one.
  const after: Timers['after'] = (delayMs, happen) => {
    const what = `timer of ${delayMs} ms`
    return course.set({ where, what, delayMs: Math.max(1, Math.trunc(delayMs)), isTimer: true, happen })
  }
  return {
    after,
    sleep: (delayMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason)
        const onAbort = (): void => {
          timer.cancel()
          reject(signal?.reason)
        }
        const timer = after(delayMs, () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        })
        signal?.addEventListener('abort', onAbort, { once: true })
      })
  }
}

function simulateLog({ said }: WorldParts): Logger {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void =>
      said(level, message, fields)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
