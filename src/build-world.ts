/** The real world of one consumer: clock, timers, the service over the network, threads, files, log. */
import { createService } from './cls/service.ts'
import { Slabs } from './cls/slabs.ts'
import { SharedThreads } from './dispatch/shared-threads.ts'
import { createLogger } from './observe/logger.ts'
import { PULLED_SHARE, type Settings } from './options.ts'
import { realClock, realFiles, realRandom, realTimers } from './real-world.ts'
import type { Logger, World } from './world.ts'

export interface RealWorld extends World {
  /** Closes the connections. Threads are closed by the dispatcher. */
  close(): Promise<void>
}

export function buildWorld(settings: Settings, log: Logger = createLogger({ level: settings.logLevel })): RealWorld {
  const base = { clock: realClock, timers: realTimers, random: realRandom, files: realFiles, log }
  const slabs = new Slabs(Math.floor(settings.heldBytesMax * PULLED_SHARE), realClock)
  const service = createService(settings, base, slabs)
  const { threads: count, batchesPerThread, threadExitMs, threadHeapMb, responseBytesMax } = settings
  const own = {
    threads: count,
    batchesPerThread,
    threadExitMs,
    ...(threadHeapMb === undefined ? {} : { threadHeapMb })
  }
  const shared = settings.sharedThreads ?? new SharedThreads(own)
  const { threads, scout } = shared.client({ ...base, env: process.env, responseBytesMax })
  return { ...base, control: service.control, data: service.data, scout, threads, close: () => service.close() }
}
