/** Where a partition restarts at its save, failures of one batch must not make those of another forgotten. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOUNDED, bench } from '../support/consumer-bench.ts'

const BACKOFF_MS = 10

test(
  'two bad batches behind one save both come to the policy, though each death begins at the save',
  BOUNDED,
  async t => {
    const { start, fill, finish, failBatch, idFrom, threads, time, scout, consumer } = bench(t, {
      commitMode: 'manual',
      onFailure: 'skip',
      attempts: 2,
      backoffMs: BACKOFF_MS,
      backoffMaxMs: BACKOFF_MS
    })
    const skipped: bigint[] = []
    consumer.on('skipped', ({ startOffset }) => skipped.push(startOffset))
    scout.calls.always = () => 120n
    await start()
    /** From the save on: one batch is processed, and the next one throws until it is skipped. */
    async function reachTheSecond(): Promise<void> {
      await fill(90n, 3)
      await finish(90n)
      for (let attempt = 1; attempt <= 2; attempt++) {
        threads.tell(0, { kind: 'next-offset', batchId: idFrom(100n), nextOffset: 110n, messageCount: 1 })
        await failBatch(100n)
        await time.advance(BACKOFF_MS)
      }
    }
    for (let deaths = 1; deaths <= 2; deaths++) {
      await reachTheSecond()
      assert.ok(idFrom(110n) > 0, 'it is tried again')
      await threads.exit(0)
      await threads.replace(0)
      await time.advance(BACKOFF_MS)
    }
    await reachTheSecond()
    assert.deepEqual([skipped, threads.openBatchIds], [[100n, 100n, 100n, 110n], []])
  }
)
