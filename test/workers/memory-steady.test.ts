/**
 * A thread that has worked for long has no more memory than one that has just warmed up.
 *
 * 10,000 responses of mixed sizes go through `runBatch`, four open at a time, as on a thread: most small and each with
 * keys of its own, some of megabytes, some refused, some with poison, some whose processor fails. Then the kernel's
 * memories, the heap after a collection, and the bytes outside of it are where they were.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { BatchAnswer, BatchTask } from '../../src/dispatch/messages.ts'
import { Aborts } from '../../workers/aborts.ts'
import type { LogBatch } from '../../workers/batch-view.ts'
import { MemoryList } from '../../workers/kernel/memory-list.ts'
import { type BatchWorld, runBatch } from '../../workers/open-batch.ts'
import { Dice } from '../fuzz/dice.ts'
import { drawResponse } from '../fuzz/draw-response.ts'
import { buildTask } from '../fuzz/response-plan.ts'
import { batchTask, groupOf, messageOf, responseText } from './bodies.ts'

const RESPONSES = 10_000
const WARM_UP_RESPONSES = 2_000
const OPEN_BATCHES = 4
const MIB = 2 ** 20
/** Less than four large responses take: some memories are dropped, as on a thread with many consumers. */
const KEPT_BYTES_MAX = 12 * MIB
const MS_PER_RESPONSE = 10
const COLLECTIONS = 10
/** Longer than any memory is kept without need. */
const QUIET_MS = 120_000

interface Usage {
  readonly heapBytes: number
  /** Outside the heap, without the kernel's memories: those that were dropped, array buffers, code. */
  readonly outsideBytes: number
}

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

async function usage(memories: MemoryList): Promise<Usage> {
  // What a weak reference was made to stays until the turn ends.
  await nextTurn()
  // More than once: V8 gives up code that was not used through several collections.
  for (let times = 0; times < COLLECTIONS; times++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return { heapBytes: heapUsed, outsideBytes: external - memories.byteCount }
}

/** A thread without a pool: its memories, its clock, a processor that reads what it gets. */
class Bench {
  nowMs = 0
  readonly memories = new MemoryList(KEPT_BYTES_MAX, () => this.nowMs)
  readonly #aborts = new Aborts()
  readonly answered = new Map<BatchAnswer['kind'], number>()
  readonly #dice = new Dice(1)
  readonly #large = [0.2, 0.5, 1, 4].map(largeTask)
  #taskCount = 0

  async play(responses: number): Promise<void> {
    for (let played = 0; played < responses; played += OPEN_BATCHES) {
      await this.#playTogether()
      this.nowMs += OPEN_BATCHES * MS_PER_RESPONSE
      if (played % 1000 === 0) this.memories.sweep()
    }
  }

  /** Batches that are all open before the first of them ends. */
  async #playTogether(): Promise<void> {
    let open = (): void => undefined
    const gate = new Promise<void>(resolve => {
      open = resolve
    })
    const world = this.#worldOf(gate)
    const running = Array.from({ length: OPEN_BATCHES }, () => runBatch(this.#nextTask(), world))
    open()
    for (const { kind } of await Promise.all(running)) this.answered.set(kind, (this.answered.get(kind) ?? 0) + 1)
  }

  #nextTask(): BatchTask {
    const batchId = ++this.#taskCount
    const large = batchId % 100 === 0 ? this.#large[(batchId / 100) % this.#large.length] : undefined
    return { ...(large ?? buildTask(drawResponse(this.#dice, 30))), batchId }
  }

  #worldOf(gate: Promise<void>): BatchWorld {
    return {
      processor: {
        async process(batch) {
          await gate
          return readSome(batch)
        }
      },
      context: { options: undefined, log: { debug() {}, info() {}, warn() {}, error() {} } },
      file: '/my/processor.mjs',
      rules: { commitMode: 'auto', deadLetters: 'off' },
      responseBytesMax: 64 * MIB,
      memories: this.memories,
      aborts: this.#aborts,
      monotonic: () => this.nowMs,
      leaseEndMs: () => this.nowMs + 1,
      post: () => undefined,
      receivePending: () => undefined
    }
  }
}

function largeTask(mebibytes: number): BatchTask {
  const value = 'GET /index.html 200 '.repeat(20)
  const logs = Array.from({ length: 100 }, (_, at) => ({ status: `${at}`, path: value, text: '日志' }))
  const message = messageOf(groupOf(logs))
  const messages = Array.from({ length: Math.ceil((mebibytes * MIB) / message.length) }, () => message)
  return batchTask(responseText(200n, messages))
}

/** By all ways; every tenth batch fails. */
function readSome(batch: LogBatch): number {
  let found = 0
  for (const log of batch) if (log.equals('status', '7') || log.get('path') === undefined) found++
  if (batch.logCount % 10 === 9) throw new Error('the sink is gone')
  return batch.logCount < 1000 ? batch.toObjects().length + found : found
}

test('10,000 responses of mixed sizes leave the memory of a thread where it was', async context => {
  const bench = new Bench()
  await bench.play(WARM_UP_RESPONSES)
  const before = await usage(bench.memories)
  await bench.play(RESPONSES)
  const after = await usage(bench.memories)

  const heapGrowth = after.heapBytes - before.heapBytes
  const outsideGrowth = after.outsideBytes - before.outsideBytes
  context.diagnostic(`heap ${before.heapBytes} + ${heapGrowth}, outside ${before.outsideBytes} + ${outsideGrowth}`)
  context.diagnostic(`kernel memories ${bench.memories.byteCount}, answers ${JSON.stringify([...bench.answered])}`)
  assert.ok(heapGrowth < 0.75 * MIB, `the heap grew by ${heapGrowth} bytes`)
  assert.ok(outsideGrowth < MIB / 4, `what is outside the heap grew by ${outsideGrowth} bytes`)
  assert.ok(bench.memories.byteCount <= KEPT_BYTES_MAX, `${bench.memories.byteCount} bytes are kept`)
  assert.ok(
    (bench.answered.get('failed') ?? 0) > RESPONSES / 20 && (bench.answered.get('processed') ?? 0) > RESPONSES / 2
  )

  bench.nowMs += QUIET_MS
  bench.memories.sweep()
  assert.equal(bench.memories.byteCount, 0)
})
