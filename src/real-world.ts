/**
 * Clock, timers and random numbers of the real world: with `cls/`, `dispatch/pool.ts` and `observe/logger.ts` the only
 * place where a stage's world touches the machine.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock, Random, Timers } from './world.ts'

export const realClock: Clock = {
  now: () => Date.now(),
  // Not `performance.now()`: that starts anew in every thread, and threads compare with the lease's end.
  monotonic: () => Number(process.hrtime.bigint()) / 1e6
}

export const realTimers: Timers = {
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  async sleep(delayMs, signal) {
    try {
      await sleep(delayMs, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error
    }
  }
}

export const realRandom: Random = {
  next: () => Math.random(),
  hex: byteCount => randomBytes(byteCount).toString('hex')
}
