/** Batches that fail are run again: from the held bytes, after their wait, in order, and only so often. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FailedAnswer } from '../../src/dispatch/messages.ts'
import { ClsConsumerError, toFailure } from '../../src/errors.ts'
import { turn } from '../support/calls.ts'
import { ATTEMPTS, BACKOFF_MS, BOUNDED, bench, epochOf, GRACE_MS, PATIENCE_MS, stateOf } from './dispatcher-bench.ts'

const FAILED: FailedAnswer = {
  kind: 'failed',
  stage: 'process',
  failure: toFailure(new ClsConsumerError('PROCESSOR_FAILED', 'no sink'), 'PROCESSOR_FAILED')
}

const failedOf = (stage: FailedAnswer['stage'], code: 'RESULT_NOT_CLONEABLE' | 'BODY_CORRUPT'): FailedAnswer => ({
  kind: 'failed',
  stage,
  failure: toFailure(new ClsConsumerError(code, 'no'), code)
})

type Bench = ReturnType<typeof bench>

async function fail({ threads }: Bench, batchId: number, answer = FAILED): Promise<void> {
  threads.batch(batchId).call.answer(answer)
  await turn()
}

/** All attempts of the batch but the last. */
async function failUntilLast(made: Bench, batchId: number): Promise<void> {
  for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
    await fail(made, batchId)
    await made.time.advance(attempt * BACKOFF_MS)
  }
}

/** `<batch> <kind> <attempt>` of each answer. */
const answersOf = ({ answered }: Bench): string[] =>
  answered.asks.map(({ batch, answer, attempt }) => `${batch.batchId} ${answer.kind} ${attempt}`)

test('a death beside others is never the last word: they may be to blame', BOUNDED, async () => {
  const made = bench()
  const { threads, start, enqueue, time } = made
  await start(0, 1)
  enqueue(0)
  await failUntilLast(made, 1)
  enqueue(1)
  assert.deepEqual(threads.openBatchIds, [1, 2])
  await threads.exit(0)
  await threads.replace(0)
  assert.deepEqual(answersOf(made), [])
  await time.advance(ATTEMPTS * BACKOFF_MS)
  assert.deepEqual(threads.openBatchIds, [2], 'each alone')
  await threads.finish(2)
  assert.deepEqual(threads.openBatchIds, [1])
  await threads.exit(0)
  await threads.replace(0)
  assert.deepEqual(answersOf(made), ['2 processed 2', `1 failed ${ATTEMPTS + 1}`])
})

describe('a batch that rewinds to where no log is', () => {
  const REWOUND = { kind: 'rewound', offset: 999n } as const
  const FAULT = new ClsConsumerError('PROCESSOR_FAILED', 'beyond the end')

  /** Batch 1 has answered, and batch 2 waits behind it; the question where it rewinds to is open. */
  async function rewinding() {
    const made = bench()
    await made.start(0)
    made.enqueue(0)
    made.enqueue(0)
    made.rewinds.always = undefined
    made.threads.batch(1).call.answer(REWOUND)
    await turn()
    return made
  }

  test('has failed: it runs again after its wait, and is answered after its last attempt', BOUNDED, async () => {
    const made = await rewinding()
    const { threads, time, retried, rewinds, answered } = made
    rewinds.only.answer(FAULT)
    rewinds.always = () => FAULT
    await turn()
    for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
      await time.advance(attempt * BACKOFF_MS)
      assert.equal(threads.batch(1).task.attempt, attempt + 1)
      threads.batch(1).call.answer(REWOUND)
      await turn()
    }
    assert.deepEqual(retried, [`1 PROCESSOR_FAILED ${BACKOFF_MS}`, `1 PROCESSOR_FAILED ${2 * BACKOFF_MS}`])
    const [{ answer } = { answer: undefined }] = answered.asks
    assert.deepEqual(answersOf(made), [`1 failed ${ATTEMPTS}`])
    assert.ok(answer?.kind === 'failed' && answer.stage === 'process' && answer.failure.what === 'beyond the end')
    assert.deepEqual(rewinds.asks[0]?.offset, 999n)
  })

  test('I2: keeps the next one waiting until that is found out, and then as any other', BOUNDED, async () => {
    const made = await rewinding()
    const { threads, time, rewinds, dispatcher } = made
    await time.advance(ATTEMPTS * BACKOFF_MS)
    assert.deepEqual([threads.openBatchIds, answersOf(made), dispatcher.waitOf(epochOf(0))], [[], [], 'settling'])
    rewinds.only.answer(undefined)
    await turn()
    assert.deepEqual([answersOf(made), threads.openBatchIds], [['1 rewound 1'], [2]])
  })

  test('I3: is dropped, and no attempt, where its partition is repositioned meanwhile', BOUNDED, async () => {
    const made = await rewinding()
    const { rewinds, dispatcher, dropped, retried, time } = made
    dispatcher.renew(epochOf(0), epochOf(0, 2), true)
    rewinds.only.answer(FAULT)
    await turn()
    assert.deepEqual([dropped, retried, answersOf(made), time.pendingCount], [[2, 1], [], [], 0])
  })
})

test('since when a thread has the open batch counts from this attempt, and ends with it', BOUNDED, async () => {
  const made = bench()
  const { start, enqueue, time, dispatcher, threads } = made
  await start(0)
  enqueue(0)
  const beganMs = time.clock.monotonic()
  await time.advance(BACKOFF_MS)
  assert.equal(dispatcher.givenMs(epochOf(0)), beganMs)
  await fail(made, 1)
  assert.equal(dispatcher.givenMs(epochOf(0)), undefined)
  await time.advance(BACKOFF_MS)
  assert.equal(dispatcher.givenMs(epochOf(0)), beganMs + 2 * BACKOFF_MS)
  await threads.finish(1)
  assert.equal(dispatcher.givenMs(epochOf(0)), undefined)
})

describe('a batch whose process fails', () => {
  test('runs again after its wait, from the same bytes, as the next attempt, while others go on', BOUNDED, async () => {
    const made = bench()
    const { threads, start, enqueue, time, retried, memory, dropped } = made
    await start(0, 1)
    enqueue(0)
    const { body } = threads.batch(1).task
    await fail(made, 1)
    assert.deepEqual([retried, memory.openCount, time.pendingCount], [[`1 PROCESSOR_FAILED ${BACKOFF_MS}`], 0, 1])
    enqueue(1)
    await threads.finish(2)
    enqueue(1)
    await time.advance(BACKOFF_MS - 1)
    assert.deepEqual(threads.openBatchIds, [3])
    await time.advance(1)
    assert.deepEqual(threads.openBatchIds, [3, 1], 'beside what is open there')
    assert.deepEqual([threads.batch(1).task.attempt, threads.batch(1).task.body === body], [2, true])
    await threads.finish(1)
    assert.deepEqual(answersOf(made), ['2 processed 1', '1 processed 2'])
    assert.deepEqual([threads.kills.asks, dropped, time.pendingCount], [[], [], 1], 'what is open has its time limit')
  })

  test('I2: nothing of its partition starts before it', BOUNDED, async () => {
    const made = bench()
    const { threads, start, enqueue, time } = made
    await start(0)
    enqueue(0)
    enqueue(0)
    await fail(made, 1)
    enqueue(0)
    assert.deepEqual(threads.openBatchIds, [])
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.openBatchIds, [1])
    await threads.finish(1)
    assert.deepEqual([threads.openBatchIds, threads.batch(2).task.attempt], [[2], 1])
  })

  test('I8: has so many attempts, each after its own wait; the last one is its answer', BOUNDED, async () => {
    const made = bench()
    const { threads, start, enqueue, retried, answered, time } = made
    await start(0)
    enqueue(0)
    enqueue(0)
    await failUntilLast(made, 1)
    assert.equal(threads.batch(1).task.attempt, ATTEMPTS)
    await fail(made, 1)
    assert.deepEqual(retried, [`1 PROCESSOR_FAILED ${BACKOFF_MS}`, `1 PROCESSOR_FAILED ${2 * BACKOFF_MS}`])
    assert.deepEqual(answersOf(made), [`1 failed ${ATTEMPTS}`])
    assert.deepEqual(answered.asks[0]?.answer, FAILED)
    assert.deepEqual([threads.openBatchIds, threads.batch(2).task.attempt, time.pendingCount], [[2], 1, 1])
  })

  test('I2: the next batch waits until its last failure was dealt with', BOUNDED, async () => {
    const made = bench()
    const { threads, start, enqueue, answered } = made
    await start(0)
    enqueue(0)
    enqueue(0)
    await failUntilLast(made, 1)
    answered.always = undefined
    await fail(made, 1)
    assert.deepEqual([threads.openBatchIds, answered.open.length], [[], 1])
    answered.only.answer()
    await turn()
    assert.deepEqual(threads.openBatchIds, [2])
  })

  for (const answer of [failedOf('process', 'RESULT_NOT_CLONEABLE'), failedOf('decode', 'BODY_CORRUPT')]) {
    test(`is not run again where that cannot help: ${answer.failure.code}`, BOUNDED, async () => {
      const made = bench()
      const { threads, start, enqueue, retried, time } = made
      await start(0)
      enqueue(0)
      await fail(made, 1, answer)
      assert.deepEqual([answersOf(made), retried, threads.openBatchIds], [['1 failed 1'], [], []])
      assert.equal(time.pendingCount, 0)
    })
  }

  test('that the pool could not give to a thread has not failed: that is nothing for a policy', BOUNDED, async () => {
    const made = bench()
    const { threads, start, enqueue, answered, retried } = made
    await start(0)
    enqueue(0)
    threads.batch(1).call.refuse(new ClsConsumerError('POOL_BROKEN', 'no'))
    await turn()
    const answer = answered.asks[0]?.answer
    assert.ok(answer?.kind === 'failed')
    assert.deepEqual([answer.stage, answer.failure.code, retried], ['lifecycle', 'POOL_BROKEN', []])
  })

  test('and was cut short for others in between has failed no more often for it', BOUNDED, async () => {
    const made = bench()
    const { threads, start, enqueue, time } = made
    await start(0)
    enqueue(0)
    await fail(made, 1)
    await time.advance(BACKOFF_MS)
    for (let round = 0; round < ATTEMPTS; round++) {
      void threads.kill(0)
      await threads.exit(0)
      await threads.replace(0)
    }
    assert.equal(threads.batch(1).task.attempt, 2 + ATTEMPTS, 'at once, as a further attempt')
    await fail(made, 1)
    await time.advance(2 * BACKOFF_MS)
    await fail(made, 1)
    assert.deepEqual(answersOf(made), [`1 failed ${ATTEMPTS + ATTEMPTS}`])
  })

  test('and that a thread died of is counted as one, and runs alone from then on', BOUNDED, async () => {
    const made = bench()
    const { threads, start, enqueue, time, retried } = made
    await start(0, 1)
    enqueue(0)
    await fail(made, 1)
    await time.advance(BACKOFF_MS)
    await threads.exit(0)
    await threads.replace(0)
    assert.deepEqual(retried, [`1 PROCESSOR_FAILED ${BACKOFF_MS}`, `1 THREAD_LOST ${2 * BACKOFF_MS}`])
    enqueue(1)
    await time.advance(2 * BACKOFF_MS)
    assert.deepEqual(threads.openBatchIds, [2], 'not beside another')
    await threads.finish(2)
    enqueue(1)
    assert.deepEqual(threads.openBatchIds, [1])
    await fail(made, 1)
    assert.deepEqual(answersOf(made), ['2 processed 1', '1 failed 3'])
  })
})

describe('a batch that waits for its next attempt', () => {
  test('is dropped with what waits behind it, and nothing waits any more', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dispatcher, dropped, time, threads } = made
    await start(0)
    enqueue(0)
    enqueue(0)
    await fail(made, 1)
    dispatcher.dropQueued(epochOf(0))
    assert.deepEqual([dropped, time.pendingCount], [[1, 2], 0])
    enqueue(0)
    assert.deepEqual([threads.openBatchIds, threads.batch(3).task.attempt], [[3], 1])
  })

  test(
    'moves with its partition, with its attempts, and runs on the new thread when its time has come',
    BOUNDED,
    async () => {
      const made = bench({ threads: 2 })
      const { start, enqueue, dispatcher, threads, time } = made
      await start(0)
      enqueue(0)
      await fail(made, 1)
      assert.equal(await dispatcher.move(epochOf(0), 1), true)
      assert.deepEqual(threads.openBatchIds, [])
      await time.advance(BACKOFF_MS)
      const { task, call } = threads.batch(1)
      assert.deepEqual([task.attempt, call.ask.thread], [2, 1])
    }
  )

  test('starts once its partition has moved, where its time comes during the move', BOUNDED, async () => {
    const made = bench({ threads: 2 })
    const { start, enqueue, dispatcher, threads, time } = made
    await start(0)
    enqueue(0)
    await fail(made, 1)
    threads.doneAtOnce.delete('revoke')
    const moved = dispatcher.move(epochOf(0), 1)
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.openBatchIds, [])
    threads.hook('revoke 0@0').answer({ kind: 'done' })
    await moved
    assert.deepEqual(threads.openBatchIds, [1])
  })

  test('is dropped once where its partition is drained, and its timer goes', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dispatcher, dropped, time, threads } = made
    await start(0)
    enqueue(0)
    await fail(made, 1)
    await dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await time.advance(10 * BACKOFF_MS)
    assert.deepEqual([dropped, threads.openBatchIds, time.pendingCount], [[1], [], 0])
  })

  test('waits on where its lease has ended when its time comes, and is dropped with its epoch', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dispatcher, dropped, time, threads, forbidden } = made
    await start(0)
    enqueue(0)
    await fail(made, 1)
    forbidden.add(1)
    await time.advance(BACKOFF_MS)
    assert.deepEqual([threads.openBatchIds, dropped], [[], []])
    await dispatcher.drain(epochOf(0), 0, 'lost')
    assert.deepEqual(dropped, [1])
  })
})

describe('a batch that fails when it is wanted no more', () => {
  test('while its partition drains: dropped once, and the drain ends', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dispatcher, dropped, time, threads, retried } = made
    await start(0)
    enqueue(0)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await fail(made, 1)
    await drained
    assert.deepEqual([dropped, retried, answersOf(made)], [[1], [], []])
    await time.advance(10 * BACKOFF_MS)
    assert.deepEqual([threads.openBatchIds, time.pendingCount], [[], 0])
  })

  test('while it is paused, or past its lease: dropped once, and nothing waits', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dropped, time, threads, forbidden, retried } = made
    await start(0)
    enqueue(0)
    forbidden.add(1)
    await fail(made, 1)
    assert.deepEqual([dropped, retried, answersOf(made), time.pendingCount], [[1], [], [], 0])
    enqueue(0)
    assert.deepEqual(threads.openBatchIds, [2])
  })

  test('while it is paused, with its thread: likewise', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dropped, time, threads, forbidden, retried } = made
    await start(0)
    enqueue(0)
    forbidden.add(1)
    await threads.exit(0)
    assert.deepEqual([dropped, retried, answersOf(made), time.pendingCount], [[1], [], [], 0])
  })

  test('in an epoch that has ended: it may have been aborted for that, and counts for nothing', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dispatcher, dropped, threads, retried } = made
    await start(0)
    enqueue(0)
    dispatcher.renew(epochOf(0), epochOf(0, 2), false)
    enqueue(0, { epoch: 2, startOffset: 10n })
    await fail(made, 1)
    assert.deepEqual([dropped, retried, threads.openBatchIds], [[1], [], [2]])
    assert.equal(threads.batch(2).task.attempt, 1)
  })

  test('I3: its last attempt of an ended epoch is no answer', BOUNDED, async () => {
    for (const isNewTry of [true, false]) {
      const made = bench()
      const { start, enqueue, dispatcher, dropped } = made
      await start(0)
      enqueue(0)
      await failUntilLast(made, 1)
      dispatcher.renew(epochOf(0), epochOf(0, 2), isNewTry)
      await fail(made, 1)
      assert.deepEqual([dropped, answersOf(made)], [[1], []])
    }
  })

  test('after somebody chose where to go on: the new epoch neither waits nor inherits attempts', BOUNDED, async () => {
    for (const end of ['fail', 'kill', 'die'] as const) {
      const made = bench()
      const { start, enqueue, dispatcher, dropped, threads, retried, time } = made
      await start(0)
      enqueue(0)
      dispatcher.renew(epochOf(0), epochOf(0, 2), true)
      enqueue(0, { epoch: 2, startOffset: 10n })
      if (end === 'fail') await fail(made, 1)
      else {
        if (end === 'kill') void threads.kill(0)
        await threads.exit(0)
        await threads.replace(0)
      }
      assert.deepEqual([dropped, retried, threads.openBatchIds], [[1], [], [2]], end)
      assert.equal(threads.batch(2).task.attempt, 1, end)
      // Its own failure is its first.
      await fail(made, 2)
      assert.deepEqual([retried, time.pendingCount], [[`2 PROCESSOR_FAILED ${BACKOFF_MS}`], 1], end)
    }
  })

  test(
    'with its thread, and its state is lost: the new epoch waits, and has its attempts where it comes again',
    BOUNDED,
    async () => {
      const { start, enqueue, dispatcher, dropped, threads, retried, time, whenStateLost } = bench()
      await start(0)
      enqueue(0)
      // Within the exit callback: the run of the batch hears of the exit only after it.
      whenStateLost.push(() => dispatcher.renew(epochOf(0), epochOf(0, 2), false))
      await threads.exit(0)
      assert.deepEqual([dropped, retried], [[1], [`1 THREAD_LOST ${BACKOFF_MS}`]])
      await threads.replace(0)
      enqueue(0, { epoch: 2, startOffset: 5n })
      enqueue(0, { epoch: 2, startOffset: 10n })
      await time.advance(BACKOFF_MS - 1)
      assert.deepEqual(threads.openBatchIds, [])
      await time.advance(1)
      assert.deepEqual([threads.openBatchIds, threads.batch(2).task.attempt], [[2], 1])
      await threads.finish(2)
      assert.equal(threads.batch(3).task.attempt, 2)
    }
  )

  test('a new epoch that is drained while it waits so leaves no timer', BOUNDED, async () => {
    const { start, enqueue, dispatcher, dropped, threads, time, whenStateLost } = bench()
    await start(0)
    enqueue(0)
    whenStateLost.push(() => dispatcher.renew(epochOf(0), epochOf(0, 2), false))
    await threads.exit(0)
    enqueue(0, { epoch: 2 })
    await dispatcher.drain(epochOf(0, 2), PATIENCE_MS, 'revoked')
    assert.deepEqual([dropped, time.pendingCount], [[1, 2], 0])
    await threads.replace(0)
    assert.deepEqual(threads.openBatchIds, [])
  })

  test(
    'a new epoch that is drained before its batch of the old one is known to be lost: nothing waits',
    BOUNDED,
    async () => {
      const { start, enqueue, dispatcher, dropped, threads, time, retried, whenStateLost } = bench()
      await start(0)
      enqueue(0)
      const drains: Promise<void>[] = []
      whenStateLost.push(() => {
        dispatcher.renew(epochOf(0), epochOf(0, 2), false)
        drains.push(dispatcher.drain(epochOf(0, 2), 0, 'lost'))
      })
      await threads.exit(0)
      await Promise.all(drains)
      assert.deepEqual([dropped, retried, time.pendingCount], [[1], [], 0])
    }
  )

  test('a seat that moves while it waits so goes on where it is then', BOUNDED, async () => {
    const { start, enqueue, dispatcher, threads, time, whenStateLost } = bench({ threads: 2 })
    await start(0)
    enqueue(0)
    whenStateLost.push(() => whenStateLost.splice(0) && dispatcher.renew(epochOf(0), epochOf(0, 2), false))
    await threads.exit(0)
    enqueue(0, { epoch: 2 })
    assert.equal(await dispatcher.move(epochOf(0, 2), 1), true)
    assert.deepEqual(threads.openBatchIds, [])
    await time.advance(BACKOFF_MS)
    assert.equal(threads.batch(2).call.ask.thread, 1)
  })

  test('a batch that failed as often as it may, in epochs that ended, is answered and not run', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dispatcher, threads, memory, answered, dropped, time, whenStateLost } = made
    await start(0)
    enqueue(0)
    await failUntilLast(made, 1)
    whenStateLost.push(() => dispatcher.renew(epochOf(0), epochOf(0, 2), false))
    await threads.exit(0)
    assert.equal(time.pendingCount, 0, 'no wait: it is not run again')
    await threads.replace(0)
    const runCount = threads.runs.all.length
    answered.always = undefined
    enqueue(0, { epoch: 2, startOffset: 10n })
    enqueue(0, { epoch: 2, startOffset: 20n })
    const answer = answered.asks[0]?.answer
    assert.ok(answer?.kind === 'failed' && answer.failure.code === 'THREAD_LOST')
    assert.deepEqual(answersOf(made), [`2 failed ${ATTEMPTS}`], 'of its last attempt')
    assert.deepEqual([memory.openCount, memory.openBytes, threads.runs.all.length], [0, 0, runCount])
    assert.equal(dispatcher.waitOf(epochOf(0, 2)), 'settling')
    assert.deepEqual(threads.openBatchIds, [], 'I2: not before that is dealt with')
    answered.only.answer()
    await turn()
    assert.deepEqual([threads.openBatchIds, dropped], [[3], [1]])
    assert.deepEqual([memory.openCount, threads.batch(3).task.attempt], [1, 1])
  })
})

describe('resultsMax', () => {
  test('no more batches are open or wait for onResult', BOUNDED, async () => {
    const { threads, start, enqueue, answered } = bench({ resultsMax: 2 })
    await start(0, 1, 2)
    for (const partition of [0, 1, 2]) enqueue(partition)
    assert.deepEqual(threads.openBatchIds, [1, 2])
    answered.always = undefined
    await threads.finish(1)
    assert.deepEqual([threads.openBatchIds, answered.open.length], [[2], 1], 'its result is not taken yet')
    answered.only.answer()
    await turn()
    assert.deepEqual(threads.openBatchIds, [2, 3])
  })

  test('one that waits for its next attempt has no result to wait for', BOUNDED, async () => {
    const made = bench({ resultsMax: 1 })
    const { threads, start, enqueue, time } = made
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    await fail(made, 1)
    assert.deepEqual(threads.openBatchIds, [2])
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.openBatchIds, [2])
    await threads.finish(2)
    assert.deepEqual(threads.openBatchIds, [1])
  })

  test('without onResult there is no such limit', BOUNDED, async () => {
    const { threads, start, enqueue } = bench({ threads: 2 })
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    assert.deepEqual(threads.openBatchIds, [1, 2])
  })

  test('threads take turns: none starves, though each has one to open at any time', BOUNDED, async () => {
    const { threads, start, enqueue } = bench({ threads: 2, resultsMax: 1 })
    await start(0, 1)
    for (let round = 0; round < 4; round++) for (const partition of [0, 1]) enqueue(partition)
    const order: number[] = []
    for (let count = 0; count < 8; count++) {
      const [batchId, ...others] = threads.openBatchIds
      assert.ok(batchId !== undefined && others.length === 0)
      order.push(threads.batch(batchId).call.ask.thread)
      await threads.finish(batchId)
    }
    assert.deepEqual(order, [0, 1, 0, 1, 0, 1, 0, 1])
  })
})

describe('what a partition waits for', () => {
  test('its processor, its answer, its next attempt, its thread, its turn, or nothing', BOUNDED, async () => {
    const made = bench({ batchesPerThread: 1 })
    const { threads, start, enqueue, answered, dispatcher, time } = made
    const waits = () => [0, 1].map(partition => dispatcher.waitOf(epochOf(partition)))
    await start(0, 1)
    assert.deepEqual(waits(), [undefined, undefined])
    enqueue(0)
    enqueue(1)
    assert.deepEqual(waits(), ['processor', 'lane'])
    await fail(made, 1)
    assert.deepEqual(waits(), ['backoff', 'processor'])
    answered.always = undefined
    await threads.finish(2)
    assert.deepEqual(waits(), ['backoff', 'settling'])
    answered.only.answer()
    await threads.exit(0)
    await time.advance(BACKOFF_MS)
    assert.deepEqual(waits(), ['thread', undefined])
    threads.doneAtOnce.delete('assign')
    await threads.replace(0)
    assert.deepEqual(waits(), ['thread', undefined], 'its assign has not returned')
    threads.hook('assign 0@0').answer({ kind: 'done' })
    await turn()
    assert.deepEqual(waits(), ['processor', undefined])
    assert.equal(dispatcher.waitOf(epochOf(0, 2)), undefined, 'of no such epoch')
  })

  test('results that are not taken', BOUNDED, async () => {
    const { threads, start, enqueue, answered, dispatcher } = bench({ resultsMax: 1 })
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    answered.always = undefined
    await threads.finish(1)
    assert.deepEqual(
      [0, 1].map(partition => dispatcher.waitOf(epochOf(partition))),
      ['settling', 'results']
    )
  })
})

describe('rest', () => {
  test('comes when no batch of the partition is open, its answer included', BOUNDED, async () => {
    const made = bench()
    const { threads, start, enqueue, answered, dispatcher } = made
    await start(0)
    await dispatcher.rest(epochOf(0))
    enqueue(0)
    const rested = dispatcher.rest(epochOf(0))
    answered.always = undefined
    await threads.finish(1)
    assert.equal(await stateOf(rested), 'pending')
    answered.only.answer()
    await rested
  })

  test('comes when it has failed and waits for its next attempt', BOUNDED, async () => {
    const made = bench()
    const { start, enqueue, dispatcher } = made
    await start(0)
    enqueue(0)
    const rested = dispatcher.rest(epochOf(0))
    await fail(made, 1)
    await rested
  })
})

test('the processor’s words reach the consumer: its policy, and a save in revoke', BOUNDED, async () => {
  const { threads, start, policies, saved } = bench()
  await start(0)
  threads.tell(0, { kind: 'policy', onFailure: 'park' })
  threads.tell(0, { kind: 'saved', ...epochOf(0) })
  assert.deepEqual([policies, saved], [['park'], [epochOf(0)]])
})

test(
  'a failed batch of a partition that another one’s end cut short waits for its thread, then runs',
  BOUNDED,
  async () => {
    const made = bench()
    const { threads, start, enqueue, dispatcher, time } = made
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    const drained = dispatcher.drain(epochOf(1), 0, 'lost')
    await time.advance(GRACE_MS - 1)
    await fail(made, 1)
    await time.advance(1)
    await time.advance(BACKOFF_MS)
    await threads.exit(0)
    await drained
    assert.deepEqual(threads.openBatchIds, [], 'its time has come, and its thread has not')
    await threads.replace(0)
    assert.deepEqual([threads.openBatchIds, threads.batch(1).task.attempt], [[1], 2])
  }
)
