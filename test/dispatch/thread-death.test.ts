/** Threads that end under their work: whose fault it was, what runs again, and when it is given up. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError, type Failure } from '../../src/errors.ts'
import { rejection } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import {
  ATTEMPTS,
  BACKOFF_MS,
  BOUNDED,
  bench,
  epochOf,
  GRACE_MS,
  HOOK_MS,
  PATIENCE_MS,
  stateOf
} from './dispatcher-bench.ts'

describe('a thread that dies by itself', () => {
  test('costs each of its batches an attempt: they wait, then run again from the held bytes', BOUNDED, async () => {
    const { threads, start, enqueue, time, answeredIds, dropped, retried, memory } = bench()
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    const { body } = threads.batch(1).task
    await threads.exit(0)
    await threads.replace(0)
    assert.deepEqual(retried, [`1 THREAD_LOST ${BACKOFF_MS}`, `2 THREAD_LOST ${BACKOFF_MS}`])
    assert.deepEqual([threads.openBatchIds, dropped, answeredIds()], [[], [], []])
    assert.equal(memory.openCount, 0, 'waiting takes no decoded memory')
    await time.advance(BACKOFF_MS - 1)
    assert.deepEqual(threads.openBatchIds, [])
    await time.advance(1)
    const [first] = threads.openBatchIds
    assert.equal(first, 1)
    assert.deepEqual([threads.batch(1).task.attempt, threads.batch(1).task.body === body], [2, true])
    await threads.finish(1)
    await threads.finish(2)
    assert.deepEqual(answeredIds(), ['1 processed', '2 processed'])
  })

  test('I2: nothing of a partition starts before its batch that waits for the next attempt', BOUNDED, async () => {
    const { threads, start, enqueue, time } = bench()
    await start(0)
    enqueue(0)
    enqueue(0)
    await threads.exit(0)
    await threads.replace(0)
    enqueue(0)
    assert.deepEqual(threads.openBatchIds, [])
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.openBatchIds, [1])
  })

  test('other partitions go on while a batch waits for its next attempt', BOUNDED, async () => {
    const { threads, start, enqueue, answeredIds } = bench()
    await start(0, 1)
    enqueue(0)
    await threads.exit(0)
    await threads.replace(0)
    for (let count = 0; count < 3; count++) {
      const batchId = enqueue(1)
      assert.deepEqual(threads.openBatchIds, [batchId])
      await threads.finish(batchId)
    }
    assert.equal(answeredIds().length, 3)
  })

  test(
    'the batch that kills threads fails after its attempts, saying so, and takes no other with it',
    BOUNDED,
    async () => {
      const { threads, start, enqueue, time, answered, answeredIds } = bench()
      await start(0, 1, 2)
      for (const partition of [0, 1, 2]) enqueue(partition)
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        // Whatever is open beside it dies with it; all others end as they should.
        for (const batchId of threads.openBatchIds) if (attempt > 1 && batchId !== 1) await threads.finish(batchId)
        await time.advance(attempt * BACKOFF_MS)
        while (!threads.openBatchIds.includes(1)) {
          const [other] = threads.openBatchIds
          assert.ok(other !== undefined, 'something is open')
          await threads.finish(other)
          await time.advance(BACKOFF_MS)
        }
        await threads.exit(0)
        await threads.replace(0)
      }
      await time.advance(ATTEMPTS * BACKOFF_MS)
      for (const batchId of threads.openBatchIds) await threads.finish(batchId)
      assert.deepEqual(answeredIds().sort(), ['1 failed', '2 processed', '3 processed'])
      const failed = answered.asks.find(({ batch }) => batch.batchId === 1)?.answer
      assert.ok(failed?.kind === 'failed' && failed.failure.code === 'THREAD_LOST' && failed.stage === 'process')
      assert.match(failed.failure.message, /^3 threads have died with this batch: thread 0 ended/)
      assert.deepEqual(failed.failure.place, { topicId: 't', partition: 0, offset: 10n, file: '/processor.mjs' })
      assert.match(failed.failure.message, /partition 0, offset 10, file \/processor\.mjs\)$/)
    }
  )

  test('a batch under which a thread died runs alone, so that the next death has one cause', BOUNDED, async () => {
    const { threads, start, enqueue, time } = bench()
    await start(0, 1, 2)
    enqueue(0)
    enqueue(1)
    await threads.exit(0)
    await threads.replace(0)
    enqueue(2)
    assert.deepEqual(threads.openBatchIds, [3], 'while they wait, others run')
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.openBatchIds, [3], 'not beside what was open')
    enqueue(2)
    await threads.finish(3)
    assert.deepEqual(threads.openBatchIds, [1], 'nor does anything else start before')
    await threads.finish(1)
    assert.deepEqual(threads.openBatchIds, [2])
    await threads.finish(2)
    assert.deepEqual(threads.openBatchIds, [4])
  })

  test('a batch that succeeds at last leaves no blame to the one behind it', BOUNDED, async () => {
    const { threads, start, enqueue, time, retried } = bench()
    await start(0, 1)
    enqueue(0)
    await threads.exit(0)
    await threads.replace(0)
    await time.advance(BACKOFF_MS)
    enqueue(0)
    await threads.finish(1)
    assert.equal(threads.batch(2).task.attempt, 1)
    enqueue(1)
    assert.deepEqual(threads.openBatchIds, [2, 3])
    await threads.exit(0)
    assert.deepEqual(retried.slice(1), [`2 THREAD_LOST ${BACKOFF_MS}`, `3 THREAD_LOST ${BACKOFF_MS}`])
  })

  test('a partition that is drained while its batch waits drops it, and no timer stays behind', BOUNDED, async () => {
    const { threads, start, enqueue, time, dispatcher, dropped } = bench()
    await start(0)
    enqueue(0)
    await threads.exit(0)
    await threads.replace(0)
    assert.equal(time.pendingCount, 1)
    await dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    assert.deepEqual([dropped, time.pendingCount], [[1], 0])
  })

  test('a batch whose thread dies while its partition drains is dropped, and the drain ends', BOUNDED, async () => {
    const { threads, start, enqueue, dispatcher, dropped, retried } = bench()
    await start(0)
    enqueue(0)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await turn()
    await threads.exit(0)
    await drained
    assert.deepEqual([dropped, retried], [[1], []])
  })

  test('I3: a new epoch does not wait for a batch of the old one, nor inherits its attempts', BOUNDED, async () => {
    const { threads, start, enqueue, dispatcher, dropped, time } = bench()
    await start(0)
    enqueue(0)
    await threads.exit(0)
    await threads.replace(0)
    dispatcher.renew(epochOf(0), epochOf(0, 2), true)
    enqueue(0, { epoch: 2 })
    assert.deepEqual([dropped, threads.openBatchIds], [[1], [2]])
    assert.equal(threads.batch(2).task.attempt, 1)
    await threads.finish(2)
    assert.equal(time.pendingCount, 0)
  })

  test('a thread that another consumer had terminated is no failed attempt', BOUNDED, async () => {
    const { threads, start, enqueue, retried } = bench()
    await start(0)
    enqueue(0)
    for (let round = 0; round < 2 * ATTEMPTS; round++) {
      void threads.kill(0)
      await threads.exit(0)
      await threads.replace(0)
      assert.deepEqual([threads.openBatchIds, retried], [[1], []])
    }
  })

  test('no batch is given to a thread that is being terminated', BOUNDED, async () => {
    const { threads, start, enqueue } = bench()
    await start(0)
    void threads.kill(0)
    enqueue(0)
    assert.deepEqual(threads.openBatchIds, [])
    await threads.exit(0)
    await threads.replace(0)
    assert.deepEqual(threads.openBatchIds, [1])
  })
})

describe('a thread that is known to be failing', () => {
  test('gets no batch, so that none is charged for an end that it did not see', BOUNDED, async () => {
    const { threads, start, enqueue, retried } = bench()
    await start(0, 1)
    enqueue(0)
    threads.handlers.onFailing(0)
    enqueue(1)
    assert.deepEqual(threads.openBatchIds, [1])
    await threads.exit(0)
    await threads.replace(0)
    assert.deepEqual(retried, [`1 THREAD_LOST ${BACKOFF_MS}`])
    assert.deepEqual([threads.openBatchIds, threads.batch(2).task.attempt], [[2], 1])
  })

  test('gets no assign; the partition waits for the replacement', BOUNDED, async () => {
    const { threads, start, dispatcher, broken } = bench()
    await start()
    threads.handlers.onFailing(0)
    dispatcher.assign(epochOf(0))
    await turn()
    assert.deepEqual(threads.tasks, ['start@0'])
    await threads.exit(0)
    await threads.replace(0)
    assert.deepEqual([threads.tasks, broken], [['start@0', 'start@0', 'assign 0@0'], []])
  })

  test('gets no stop', BOUNDED, async () => {
    const { threads, start, dispatcher } = bench({ threads: 2 })
    await start()
    threads.handlers.onFailing(0)
    await dispatcher.stop()
    assert.deepEqual(threads.tasks.slice(2), ['stop@1'])
  })
})

/** Of code that nobody awaits. */
const LATE: Failure = {
  code: 'THREAD_LOST',
  message: 'Error: late',
  stack:
    'Error: late\n    at Timeout.later [as _onTimeout] (file:///home/me/sink.mjs:3:7)\n    at listOnTimeout (node:internal/timers:581:17)',
  place: {}
}

describe('a thread that ends by itself with no work on it', () => {
  test(
    'stops a consumer that is alone there, with the place and the cure, and is not started again',
    BOUNDED,
    async () => {
      const { threads, start, enqueue, errors, time, dispatcher } = bench()
      await start(0)
      enqueue(0)
      await threads.finish(1)
      await threads.exit(0, { fault: 'own', error: LATE, idleCount: 1 })
      await threads.replace(0)
      enqueue(0)
      const [error, ...more] = errors
      assert.ok(error !== undefined && more.length === 0)
      assert.equal(error.code, 'PROCESSOR_FAILED')
      assert.match(
        error.message,
        /^code that the processor had started and not awaited ended its thread: Error: late at \/home\/me\/sink\.mjs:3:7; await everything that process starts.* \(file \/processor\.mjs\)$/
      )
      assert.equal(error.stack, LATE.stack)
      assert.deepEqual([threads.tasks, time.pendingCount], [['start@0', 'assign 0@0', 'batch 1@0'], 0])
      await dispatcher.drain(epochOf(0), PATIENCE_MS, 'stopping')
      await dispatcher.stop()
      assert.equal(threads.closeCount, 1)
    }
  )

  test('is told with its exit code where process.exit ended it', BOUNDED, async () => {
    const { threads, start, errors } = bench()
    await start()
    await threads.exit(0, { fault: 'own', exitCode: 3, idleCount: 1 })
    assert.match(
      errors[0]?.message ?? '',
      /not awaited ended its thread with exit code 3; .*instead of calling process\.exit/
    )
  })

  test('stops the consumer also while it is stopping: its batches count as done', BOUNDED, async () => {
    const { threads, start, broken, dispatcher } = bench({ threads: 2 })
    await start()
    threads.doneAtOnce.delete('stop')
    const stopped = dispatcher.stop()
    await turn()
    await threads.exit(1, { fault: 'own', error: LATE, idleCount: 1 })
    await threads.replace(1)
    threads.hook('stop@0').answer({ kind: 'done' })
    await stopped
    assert.deepEqual(broken, ['PROCESSOR_FAILED'])
  })

  test(
    'on shared threads is told at error; start runs again only after the backoff, and up to `attempts`',
    BOUNDED,
    async () => {
      const { threads, start, enqueue, errors, log, time } = bench()
      await start(0)
      const starts = () => threads.tasks.filter(task => task === 'start@0').length
      for (let idleCount = 1; idleCount < ATTEMPTS; idleCount++) {
        await threads.exit(0, { fault: 'unknown', error: LATE, idleCount })
        await threads.replace(0)
        const waitMs = idleCount * BACKOFF_MS
        await time.advance(waitMs - 1)
        assert.equal(starts(), idleCount, 'its replacement is left alone')
        const batchId = enqueue(0)
        assert.deepEqual(threads.openBatchIds, [])
        await time.advance(1)
        assert.deepEqual([starts(), threads.openBatchIds], [idleCount + 1, [batchId]])
        await threads.finish(batchId)
        assert.deepEqual(log.lines.splice(0), [
          {
            level: 'error',
            message: 'a shared thread ended by itself, of code that a processor had started and not awaited',
            fields: { thread: 0, error: 'exit code 1, of Error: late', ends: idleCount, waitMs }
          }
        ])
      }
      assert.equal(errors.length, 0)
      await threads.exit(0, { fault: 'unknown', error: LATE, idleCount: ATTEMPTS })
      await threads.replace(0)
      await time.advance(10 * BACKOFF_MS)
      assert.equal(starts(), ATTEMPTS)
      const [error, ...more] = errors.splice(0)
      assert.ok(error?.code === 'PROCESSOR_FAILED' && more.length === 0)
      assert.match(
        error.message,
        /ended thread 0 3 times in a row: Error: late at \/home\/me\/sink\.mjs:3:7; .*cannot be told whose.*file \/processor\.mjs/
      )
    }
  )

  test('whose replacement comes after the backoff starts there at once', BOUNDED, async () => {
    const { threads, start, time } = bench()
    await start()
    await threads.exit(0, { fault: 'unknown', idleCount: 1 })
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.tasks, ['start@0'])
    await threads.replace(0)
    assert.deepEqual(threads.tasks, ['start@0', 'start@0'])
  })

  test('and again while it rests, rests anew: one start, one timer', BOUNDED, async () => {
    const { threads, start, time } = bench()
    await start()
    for (const idleCount of [1, 2]) {
      await threads.exit(0, { fault: 'unknown', idleCount })
      await threads.replace(0)
    }
    assert.equal(time.pendingCount, 1)
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.tasks, ['start@0'])
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.tasks, ['start@0', 'start@0'])
  })

  test('leaves no timer behind a consumer that stops while it rests', BOUNDED, async () => {
    const { threads, start, time, dispatcher } = bench()
    await start()
    await threads.exit(0, { fault: 'unknown', idleCount: 1 })
    await threads.replace(0)
    await dispatcher.stop()
    assert.equal(time.pendingCount, 0)
    await threads.exit(0, { fault: 'unknown', idleCount: 2 })
    assert.deepEqual([threads.tasks, time.pendingCount, threads.closeCount], [['start@0'], 0, 1])
  })

  test('keeps a consumer from starting where it happens too often while its start is still due', BOUNDED, async () => {
    const { threads, dispatcher, broken } = bench({ threads: 2 })
    threads.doneAtOnce.delete('start')
    const rejected = rejection('PROCESSOR_FAILED', dispatcher.start())
    await turn()
    void threads.kill(0)
    await threads.exit(0)
    await threads.exit(0, { fault: 'unknown', idleCount: ATTEMPTS })
    threads.hook('start@1').answer({ kind: 'done' })
    await rejected
    assert.deepEqual(broken, [])
  })
})

test(
  'a thread that ends with work of another consumer on it is told at error, and goes on at once',
  BOUNDED,
  async () => {
    const { threads, start, broken, log, time } = bench()
    await start(0)
    await threads.exit(0, { fault: 'others', exitCode: 7 })
    await threads.replace(0)
    assert.deepEqual(log.lines, [
      {
        level: 'error',
        message: 'a shared thread ended by itself, with work of another consumer on it',
        fields: { thread: 0, error: 'exit code 7' }
      }
    ])
    assert.deepEqual([threads.tasks.slice(2), broken, time.pendingCount], [['start@0', 'assign 0@0'], [], 0])
  }
)

describe('threads that end under a hook', () => {
  test(
    'a start that dies with its thread runs again on the replacement, before start() resolves',
    BOUNDED,
    async () => {
      const { threads, dispatcher, broken } = bench({ threads: 2 })
      threads.doneAtOnce.delete('start')
      const started = dispatcher.start()
      await turn()
      threads.hook('start@1').answer({ kind: 'done' })
      await threads.exit(0)
      assert.equal(await stateOf(started), 'pending')
      await threads.replace(0)
      threads.hook('start@0').answer({ kind: 'done' })
      await started
      assert.deepEqual(broken, [])
    }
  )

  test(
    'I8: a start that threads die of is tried so often, then keeps the consumer from starting',
    BOUNDED,
    async () => {
      const { threads, dispatcher } = bench()
      threads.doneAtOnce.delete('start')
      const rejected = rejection('PROCESSOR_START_FAILED', dispatcher.start())
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        await turn()
        assert.equal(threads.runs.open.length, 1)
        await threads.exit(0)
        await threads.replace(0)
      }
      await rejected
      assert.equal(threads.tasks.length, ATTEMPTS)
    }
  )

  test('a start that has failed for good does not run again on a replacement', BOUNDED, async () => {
    const { threads, dispatcher } = bench({ threads: 2 })
    threads.doneAtOnce.delete('start')
    const rejected = rejection('PROCESSOR_START_FAILED', dispatcher.start())
    await turn()
    const failure = { code: 'PROCESSOR_START_FAILED', message: 'no', stack: '', place: {} } as const
    threads.hook('start@0').answer({ kind: 'failed', stage: 'lifecycle', failure })
    await turn()
    void threads.kill(0)
    await threads.exit(0)
    await threads.replace(0)
    assert.deepEqual(threads.tasks, ['start@0', 'start@1'])
    threads.hook('start@1').answer({ kind: 'done' })
    await rejected
  })

  test('a start whose thread was terminated for others is tried as often as it takes', BOUNDED, async () => {
    const { threads, dispatcher } = bench()
    threads.doneAtOnce.delete('start')
    const started = dispatcher.start()
    for (let round = 0; round < 2 * ATTEMPTS; round++) {
      await turn()
      void threads.kill(0)
      await threads.exit(0)
      await threads.replace(0)
    }
    threads.hook('start@0').answer({ kind: 'done' })
    await started
  })

  test('a pool that breaks while start runs keeps the consumer from starting, with its error', BOUNDED, async () => {
    const { threads, dispatcher } = bench()
    threads.doneAtOnce.delete('start')
    const rejected = rejection('POOL_BROKEN', dispatcher.start())
    await turn()
    await threads.exit(0)
    threads.handlers.onBroken(new ClsConsumerError('POOL_BROKEN', 'no replacement'))
    await rejected
  })

  test(
    'start() fails only once start has ended on every thread, so that stop runs where it succeeded',
    BOUNDED,
    async () => {
      const { threads, dispatcher } = bench({ threads: 2 })
      threads.doneAtOnce.delete('start')
      const started = dispatcher.start()
      started.catch(() => undefined)
      await turn()
      const failure = { code: 'PROCESSOR_START_FAILED', message: 'no', stack: '', place: {} } as const
      threads.hook('start@0').answer({ kind: 'failed', stage: 'lifecycle', failure })
      assert.equal(await stateOf(started), 'pending')
      threads.hook('start@1').answer({ kind: 'done' })
      await rejection('PROCESSOR_START_FAILED', started)
      await dispatcher.stop()
      assert.deepEqual(threads.tasks.slice(2), ['stop@1'])
    }
  )

  test('stop() waits for a start on a replacement, and runs stop there too', BOUNDED, async () => {
    const { threads, start, dispatcher } = bench()
    await start()
    threads.doneAtOnce.delete('start')
    await threads.exit(0)
    await threads.replace(0)
    const stopped = dispatcher.stop()
    await turn()
    assert.equal(threads.closeCount, 0)
    threads.hook('start@0').answer({ kind: 'done' })
    await stopped
    assert.deepEqual([threads.tasks.at(-1), threads.closeCount], ['stop@0', 1])
  })

  test('a replacement that comes while the consumer stops is not started', BOUNDED, async () => {
    const { threads, start, dispatcher } = bench({ threads: 2 })
    await start()
    threads.doneAtOnce.delete('stop')
    const stopped = dispatcher.stop()
    await turn()
    await threads.exit(1)
    await threads.replace(1)
    assert.equal(threads.tasks.filter(task => task === 'start@1').length, 1)
    threads.hook('stop@0').answer({ kind: 'done' })
    await stopped
  })

  test('a thread given up before its start could begin keeps the consumer from starting', BOUNDED, async () => {
    const { threads, dispatcher, broken } = bench({ threads: 2 })
    const rejected = rejection('PROCESSOR_FAILED', dispatcher.start())
    // In the very turn in which the threads have booted.
    void threads.exit(0, { fault: 'own', error: LATE, idleCount: 1 })
    await rejected
    assert.deepEqual([threads.tasks, broken], [['start@1'], []])
  })

  test('a thread terminated before its start could begin starts as its replacement', BOUNDED, async () => {
    const { threads, dispatcher } = bench()
    const started = dispatcher.start()
    void threads.kill(0)
    await turn()
    assert.deepEqual(threads.tasks, [])
    await threads.exit(0)
    await threads.replace(0)
    await started
    assert.deepEqual(threads.tasks, ['start@0'])
  })

  test('a replacement that rests and is terminated is not started before the next one is there', BOUNDED, async () => {
    const { threads, start, time } = bench()
    await start()
    await threads.exit(0, { fault: 'unknown', idleCount: 1 })
    await threads.replace(0)
    void threads.kill(0)
    await time.advance(BACKOFF_MS)
    assert.deepEqual(threads.tasks, ['start@0'])
    await threads.exit(0)
    await threads.replace(0)
    assert.deepEqual(threads.tasks, ['start@0', 'start@0'])
  })

  test('I8: an assign that threads die of is tried so often, then stops the consumer', BOUNDED, async () => {
    const { threads, dispatcher, broken } = bench()
    threads.doneAtOnce.delete('assign')
    await dispatcher.start()
    dispatcher.assign(epochOf(0))
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      assert.deepEqual(broken, [])
      threads.hook('assign 0@0')
      await threads.exit(0)
      await threads.replace(0)
    }
    assert.deepEqual(broken, ['PROCESSOR_FAILED'])
  })

  test(
    'I4: an assign that never returns on a thread that does not exit keeps its partition held',
    BOUNDED,
    async () => {
      const { threads, dispatcher, broken, time } = bench()
      threads.doneAtOnce.delete('assign')
      await dispatcher.start()
      dispatcher.assign(epochOf(0))
      await time.advance(HOOK_MS)
      const drained = rejection('THREAD_STUCK', dispatcher.drain(epochOf(0), GRACE_MS, 'stopping'))
      threads.kills.only.refuse(new ClsConsumerError('THREAD_STUCK', 'it did not exit'))
      await drained
      assert.deepEqual(broken, ['PROCESSOR_STUCK', 'THREAD_STUCK'])
    }
  )
})
