/**
 * What runs in each thread.
 *
 * In: tasks. Out: answers.
 */
import { createThread } from './thread.ts'

export default createThread({
  // The clock of the whole process: `performance.now()` begins anew in every thread.
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
  every: (intervalMs, run) => void setInterval(run, intervalMs).unref()
})
