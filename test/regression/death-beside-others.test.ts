/** Of the batches that were open on a thread that died, nobody can tell which one is to blame. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOUNDED, bench } from '../support/consumer-bench.ts'
import { withMessages } from '../support/fake-data.ts'

const BACKOFF_MS = 10

test(
  'I1: onFailure skip, one attempt: a death passes only the batch that was alone on its thread',
  BOUNDED,
  async t => {
    const { start, grant, data, threads, time, scout, consumer } = bench(t, {
      onFailure: 'skip',
      attempts: 1,
      backoffMs: BACKOFF_MS,
      backoffMaxMs: BACKOFF_MS
    })
    const skipped: number[] = []
    const processed: number[] = []
    consumer.on('skipped', ({ partition }) => skipped.push(partition))
    consumer.on('batch', ({ partition }) => processed.push(partition))
    scout.calls.always = () => 100n
    grant(0, 1)
    await start()
    for (const pull of [...data.pulls]) await pull.complete(withMessages(100n))
    assert.equal(threads.openBatchIds.length, 2)
    const die = async (): Promise<void> => {
      await threads.exit(0)
      await threads.replace(0)
      await time.advance(BACKOFF_MS)
    }
    await die()
    assert.deepEqual([skipped, threads.openBatchIds.length], [[], 1])
    // Partition 1's batch does nothing wrong, whenever its turn is; the other one kills its thread again.
    for (let runs = 0; runs < 2; runs++) {
      const [batchId = -1] = threads.openBatchIds
      if (threads.batch(batchId).task.partition === 1) await threads.finish(batchId, { nextOffset: 100n })
      else await die()
    }
    assert.deepEqual([skipped, processed], [[0], [1]])
  }
)
