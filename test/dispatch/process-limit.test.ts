/** How long `process` may take: aborted, then terminated, and who is blamed for that. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BatchAnswer } from '../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { turn } from '../support/calls.ts'
import { processed } from '../support/fake-threads.ts'
import {
  ATTEMPTS,
  BACKOFF_MS,
  BOUNDED,
  bench,
  epochOf,
  GRACE_MS,
  HOOK_MS,
  PATIENCE_MS,
  PROCESS_MS
} from './dispatcher-bench.ts'

type Bench = ReturnType<typeof bench>

/** The batch is decoded there, and `process` is next. */
function begin({ threads }: Bench, batchId: number): void {
  const { thread } = threads.batch(batchId).call.ask
  threads.tell(thread, { kind: 'next-offset', batchId, nextOffset: 1n, messageCount: 1 })
}

/** One thread with a batch of each partition; those of `begun` have begun, in this order. */
async function busy(partitionCount: number, begun: readonly number[]) {
  const made = bench()
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
  await made.start(...partitions)
  for (const partition of partitions) made.enqueue(partition)
  for (const batchId of begun) begin(made, batchId)
  return made
}

/** The thread that is being terminated exits, and is replaced. */
async function replace({ threads }: Bench): Promise<void> {
  await threads.exit(0)
  await threads.replace(0)
}

describe('a process that does not return', () => {
  test('is aborted after processTimeoutMs, counted from where it begins, and not before', BOUNDED, async () => {
    const made = await busy(1, [])
    const { threads, time } = made
    await time.advance(PROCESS_MS - 1)
    begin(made, 1)
    await time.advance(PROCESS_MS - 1)
    assert.deepEqual(threads.posted, [])
    await time.advance(1)
    assert.deepEqual(threads.posted, [
      {
        thread: 0,
        message: { kind: 'abort', batchId: 1, attempt: 1, reason: `process did not return within ${PROCESS_MS} ms` }
      }
    ])
    assert.deepEqual(threads.kills.asks, [])
  })

  test(
    'loses its thread after abortGraceMs more, and has failed for it: after a wait it runs again',
    BOUNDED,
    async () => {
      const made = await busy(1, [1])
      const { threads, time, retried, log } = made
      const { body } = threads.batch(1).task
      await time.advance(PROCESS_MS + GRACE_MS - 1)
      assert.deepEqual(threads.kills.asks, [])
      await time.advance(1)
      assert.deepEqual(threads.kills.asks, [0])
      assert.deepEqual(
        log.lines.map(({ level, message, fields }) => `${level} ${message} ${fields.thread} ${fields.partition}`),
        ['warn terminating a thread 0 0']
      )
      await replace(made)
      assert.deepEqual([retried, threads.openBatchIds], [[`1 PROCESSOR_TIMEOUT ${BACKOFF_MS}`], []])
      await time.advance(BACKOFF_MS)
      assert.deepEqual([threads.batch(1).task.attempt, threads.batch(1).task.body === body], [2, true])
    }
  )

  test(
    'has failed for good after its attempts, with the option that says how long, and its place',
    BOUNDED,
    async () => {
      const made = await busy(1, [])
      const { threads, time, answered } = made
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        begin(made, 1)
        await time.advance(PROCESS_MS + GRACE_MS)
        await replace(made)
        await time.advance(attempt * BACKOFF_MS)
      }
      assert.deepEqual([threads.openBatchIds, time.pendingCount], [[], 0])
      const { answer, attempt } = answered.asks[0] ?? {}
      assert.ok(answer?.kind === 'failed')
      const { code, message, place } = answer.failure
      assert.deepEqual([answer.stage, code, attempt], ['process', 'PROCESSOR_TIMEOUT', ATTEMPTS])
      assert.match(message, /within 600000 ms \(option processTimeoutMs\), nor 5000 ms after its signal aborted/)
      assert.deepEqual(place, { topicId: 't', partition: 0, offset: 10n, file: '/processor.mjs' })
    }
  )

  for (const [name, answer] of [
    ['processed', processed({ result: 1 })],
    ['rewound', { kind: 'rewound', offset: 3n }]
  ] satisfies [string, BatchAnswer][]) {
    test(`but answers between abort and exit: that counts as it is (${name})`, BOUNDED, async () => {
      for (const isTerminating of [false, true]) {
        const made = await busy(1, [1])
        const { threads, time, answered, retried } = made
        await time.advance(PROCESS_MS + (isTerminating ? GRACE_MS : GRACE_MS - 1))
        threads.batch(1).call.answer(answer)
        await turn()
        assert.deepEqual([answered.asks[0]?.answer, retried], [answer, []])
        await time.advance(GRACE_MS)
        assert.deepEqual([threads.kills.all.length, time.pendingCount], [isTerminating ? 1 : 0, 0])
      }
    })
  }

  test('on a thread that does not exit stops the consumer', BOUNDED, async () => {
    const { threads, time, broken } = await busy(1, [1])
    await time.advance(PROCESS_MS + GRACE_MS)
    threads.kills.only.refuse(new ClsConsumerError('THREAD_STUCK', 'it did not exit'))
    await turn()
    assert.deepEqual(broken, ['THREAD_STUCK'])
  })

  test(
    'meets a drain that is about to terminate its thread: dropped, and what is beside it is not blamed',
    BOUNDED,
    async () => {
      const made = await busy(2, [1, 2])
      const { threads, time, dispatcher, retried, dropped } = made
      await time.advance(PROCESS_MS)
      const drained = dispatcher.drain(epochOf(0), 0, 'lost')
      await time.advance(GRACE_MS)
      await replace(made)
      await drained
      assert.deepEqual([dropped, retried, threads.openBatchIds], [[1], [], [2]])
      assert.equal(time.pendingCount, 1, 'the limit of what runs')
    }
  )

  test(
    'while its partition drains patiently: it is aborted and terminated all the same, and dropped',
    BOUNDED,
    async () => {
      const made = await busy(1, [1])
      const { threads, time, dispatcher, retried, dropped } = made
      await time.advance(PROCESS_MS - 1)
      const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
      await time.advance(1 + GRACE_MS)
      assert.deepEqual(threads.kills.asks, [0])
      await replace(made)
      await drained
      assert.deepEqual([dropped, retried, time.pendingCount], [[1], [], 0])
    }
  )
})

describe('batches beside one that does not return', () => {
  test('are cut short with it, and run again at once, unblamed', BOUNDED, async () => {
    const made = await busy(3, [1])
    const { threads, time, retried } = made
    await time.advance(GRACE_MS + 1)
    begin(made, 2)
    await time.advance(PROCESS_MS - 1)
    await replace(made)
    assert.deepEqual(retried, [`1 PROCESSOR_TIMEOUT ${BACKOFF_MS}`])
    assert.deepEqual(threads.openBatchIds, [2, 3])
    assert.deepEqual([threads.batch(2).task.attempt, threads.batch(3).task.attempt], [2, 2])
  })

  test('that wait behind it for the thread are not blamed, however long', BOUNDED, async () => {
    const made = await busy(2, [])
    const { threads, time, retried } = made
    // Decoded so late that what waits behind it reaches the limit first.
    await time.advance(PROCESS_MS + HOOK_MS - 1)
    begin(made, 1)
    await time.advance(PROCESS_MS)
    assert.deepEqual([threads.kills.asks, threads.posted.length], [[], 1])
    await time.advance(GRACE_MS)
    assert.deepEqual(threads.kills.asks, [0])
    await replace(made)
    assert.deepEqual([retried, threads.openBatchIds], [[`1 PROCESSOR_TIMEOUT ${BACKOFF_MS}`], [2]])
  })

  test('that reach their own limit while the thread takes its time to exit are not blamed', BOUNDED, async () => {
    const made = await busy(2, [1])
    const { threads, time, retried, log } = made
    await time.advance(1)
    begin(made, 2)
    await time.advance(PROCESS_MS + GRACE_MS)
    assert.deepEqual([threads.kills.asks, log.lines.length], [[0], 1], 'one termination, told once')
    await replace(made)
    assert.deepEqual([retried, threads.openBatchIds], [[`1 PROCESSOR_TIMEOUT ${BACKOFF_MS}`], [2]])
  })

  test('that were blamed once in the place of one that blocks the thread are not blamed again', BOUNDED, async () => {
    // Batch 1 only waits for its sink; batch 2, which begins after it, blocks the thread whenever it runs.
    const made = await busy(2, [1])
    const { threads, time, answered, answeredIds } = made
    for (let round = 0; round < 4 * ATTEMPTS && answered.all.length < 2; round++) {
      const given = threads.openBatchIds
      for (const batchId of given) if (batchId === 1 || !given.includes(1) || round === 0) begin(made, batchId)
      if (!given.includes(2)) {
        // Its sink takes longer than batch 2 waits for its next attempt.
        await time.advance(ATTEMPTS * BACKOFF_MS)
        if (!threads.openBatchIds.includes(2)) {
          await threads.finish(1)
          continue
        }
        begin(made, 2)
      }
      await time.advance(PROCESS_MS + GRACE_MS)
      await replace(made)
    }
    assert.deepEqual(answeredIds().sort(), ['1 processed', '2 failed'])
  })
})

describe('a thread that takes nothing', () => {
  test('is terminated though nothing has begun there, and nobody is blamed', BOUNDED, async () => {
    const made = await busy(2, [])
    const { threads, time, retried, log } = made
    await time.advance(PROCESS_MS + HOOK_MS - 1)
    assert.deepEqual(threads.kills.asks, [])
    await time.advance(1)
    assert.deepEqual([threads.kills.asks, threads.posted, log.lines.length], [[0], [], 1])
    await replace(made)
    assert.deepEqual([retried, threads.openBatchIds], [[], [1, 2]])
    assert.equal(threads.batch(1).task.attempt, 2)
  })

  test('of another thread’s batch that has begun is no excuse', BOUNDED, async () => {
    const made = bench({ threads: 2 })
    const { threads, time, start, enqueue } = made
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    await time.advance(PROCESS_MS + HOOK_MS - 1)
    begin(made, 1)
    await time.advance(1)
    assert.deepEqual(threads.kills.asks, [1])
  })
})

test('the word of a batch that has ended starts nothing', BOUNDED, async () => {
  const made = await busy(1, [1])
  const { threads, time } = made
  begin(made, 1)
  await threads.finish(1)
  assert.equal(time.pendingCount, 0)
  threads.tell(0, { kind: 'next-offset', batchId: 1, nextOffset: 1n, messageCount: 1 })
  await time.advance(2 * PROCESS_MS)
  assert.deepEqual([threads.kills.asks, threads.posted, time.pendingCount], [[], [], 0])
})

test('a second word of a batch that has begun gives it no more time', BOUNDED, async () => {
  const made = await busy(1, [1])
  const { threads, time } = made
  await time.advance(PROCESS_MS - 1)
  begin(made, 1)
  await time.advance(1)
  assert.equal(threads.posted.length, 1)
})
