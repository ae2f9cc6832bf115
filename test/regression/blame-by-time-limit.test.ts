/** The limit of `process` must blame nobody for another batch that blocks their thread. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ATTEMPTS, BACKOFF_MS, BOUNDED, bench, epochOf, GRACE_MS, PROCESS_MS } from '../dispatch/dispatcher-bench.ts'
import { turn } from '../support/calls.ts'

/** Batches 1 and 2, of partitions 0 and 1, on one thread. */
async function sharing() {
  const made = bench()
  await made.start(0, 1)
  const [first, second] = [made.enqueue(0), made.enqueue(1)]
  await turn()
  return {
    ...made,
    first,
    second,
    begin: (batchId: number) =>
      made.threads.tell(0, { kind: 'next-offset', batchId, nextOffset: 100n, messageCount: 1 }),
    replace: async () => {
      await made.threads.exit(0)
      await made.threads.replace(0)
    }
  }
}

test(
  'a batch that waits beside one that blocks the thread runs alone after the first blame, and ends',
  BOUNDED,
  async () => {
    const { threads, time, first, second, begin, replace, answeredIds } = await sharing()
    // The first one began, and waits for its sink; the second one then blocks the thread.
    begin(first)
    await time.advance(PROCESS_MS + GRACE_MS)
    await replace()
    for (let runs = 0; runs < ATTEMPTS + 2 && answeredIds().length < 2; runs++) {
      await time.advance(ATTEMPTS * BACKOFF_MS)
      const open = threads.openBatchIds
      if (open.includes(second)) {
        begin(second)
        await time.advance(PROCESS_MS + GRACE_MS)
        await replace()
      } else await threads.finish(first)
    }
    assert.deepEqual(answeredIds().sort(), [`${first} processed`, `${second} failed`])
  }
)

test('a batch whose limit comes while its thread is on its way out is not blamed', BOUNDED, async () => {
  const { threads, time, first, second, begin, replace, retried } = await sharing()
  begin(first)
  await time.advance(1)
  begin(second)
  await time.advance(PROCESS_MS + GRACE_MS)
  assert.deepEqual(threads.kills.asks, [0])
  await replace()
  assert.deepEqual(retried, [`${first} PROCESSOR_TIMEOUT ${BACKOFF_MS}`])
})

test('a batch of before a seek, whose thread dies after it, is no failure of the new epoch', BOUNDED, async () => {
  const { dispatcher, threads, enqueue, replace, retried, first, second } = await sharing()
  await threads.finish(second)
  dispatcher.renew(epochOf(0), epochOf(0, 2), true)
  const startOffset = BigInt(first) * 10n
  const next = enqueue(0, { epoch: 2, startOffset })
  await replace()
  assert.deepEqual([retried, threads.openBatchIds], [[], [next]])
  assert.equal(threads.batch(next).task.attempt, 1)
})
