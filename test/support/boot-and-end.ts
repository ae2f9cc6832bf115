/** A process of its own that boots one thread as a consumer does, and ends it. */
import { createThreads } from '../../src/dispatch/pool.ts'
import { realClock, realTimers } from '../../src/real-world.ts'

const nothing = (): void => undefined

const threads = createThreads({
  count: 1,
  batchesPerThread: 1,
  threadExitMs: 10_000,
  env: process.env,
  log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  clock: realClock,
  timers: realTimers
})
await threads.boot({
  onMessage: nothing,
  onKilled: nothing,
  onFailing: nothing,
  onExit: nothing,
  onReplaced: nothing,
  onBroken: nothing
})
await threads.close()
process.stdout.write('it booted\n')
