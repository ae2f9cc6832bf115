/**
 * The process that only decodes: what a response costs without a network, a group or other threads.
 *
 * In: the workload whose bodies it makes, and how long to decode them. Out: CPU time. The same code as in a consumer's
 * thread, with one list of memories for all bodies, and the same limits.
 */
import { realClock } from '../../src/real-world.ts'
import { MemoryList } from '../../workers/kernel/memory-list.ts'
import { countEqual, KEPT_BYTES_MAX, openAndClose, taskOf } from '../ours.ts'
import { makeBodies } from './bodies.ts'
import { BASE_OFFSET } from './feeds.ts'
import { answerCalls } from './remote.ts'
import { headOf } from './repeatable-body.ts'
import { FILTER, type Workload } from './workload.ts'

export interface Decoded {
  readonly cpuMs: number
  readonly responseCount: number
  readonly hitCount: number
  /** Compressed. */
  readonly bodyBytes: number
}

export type DecodeCalls = typeof calls

const memories = new MemoryList(KEPT_BYTES_MAX, () => realClock.monotonic())
let tasks: ReturnType<typeof taskOf>[] = []

const calls = {
  async start({ data }: Workload): Promise<void> {
    const bodies = await makeBodies(data, FILTER)
    tasks = bodies.map(body => taskOf(Buffer.concat([headOf(body, BASE_OFFSET + body.messageCount), body.tail])))
  },

  /** With the filter, for about so long. */
  run(ms: number): Decoded {
    const before = process.cpuUsage()
    const endMs = realClock.monotonic() + ms
    let [responseCount, hitCount, bodyBytes] = [0, 0, 0]
    while (realClock.monotonic() < endMs || responseCount === 0) {
      for (const task of tasks) {
        hitCount += openAndClose(task, memories, batch => countEqual(batch, FILTER.key, FILTER.text))
        bodyBytes += task.byteCount
        responseCount++
      }
    }
    const { user, system } = process.cpuUsage(before)
    return { cpuMs: (user + system) / 1000, responseCount, hitCount, bodyBytes }
  }
}

answerCalls(calls)
