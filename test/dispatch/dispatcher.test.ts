import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ClsConsumerError, toFailure } from '../../src/errors.ts'
import { rejection } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { processed } from '../support/fake-threads.ts'
import {
  ATTEMPTS,
  BACKOFF_MS,
  BODY,
  BOUNDED,
  bench,
  EXIT_MS,
  epochOf,
  GRACE_MS,
  HOOK_MS,
  PATIENCE_MS,
  PLANTED,
  stateOf
} from './dispatcher-bench.ts'

describe('dispatcher: starting', () => {
  test('every thread gets the processor, its limits and the lease before any batch', BOUNDED, async () => {
    const { threads, start, leaseEndMs } = bench({ threads: 2 })
    await start()
    assert.deepEqual(
      threads.runs.asks.map(({ thread, task }) => ({ thread, task })),
      [0, 1].map(thread => ({
        thread,
        task: {
          kind: 'start',
          processor: { file: '/processor.mjs', options: { some: 'option' } },
          limits: { responseBytesMax: 1000, keptBytesMax: 1000 },
          commitMode: 'auto',
          deadLetters: 'off',
          leaseEndMs
        }
      }))
    )
  })

  test('a processor whose start fails keeps the dispatcher from starting, with its own error', BOUNDED, async () => {
    const { threads, dispatcher } = bench()
    threads.doneAtOnce.delete('start')
    const started = dispatcher.start()
    await turn()
    const failure = toFailure(new ClsConsumerError('PROCESSOR_NOT_FOUND', 'no such file'), 'PROCESSOR_START_FAILED')
    threads.hook('start@0').answer({ kind: 'failed', stage: 'lifecycle', failure })
    await rejection('PROCESSOR_NOT_FOUND', started)
  })

  test('I8: a start that never returns is an error after its limit', BOUNDED, async () => {
    const { threads, dispatcher, time } = bench()
    threads.doneAtOnce.delete('start')
    const { message } = await rejection('PROCESSOR_STUCK', time.settle(dispatcher.start()))
    assert.equal(time.clock.monotonic(), HOOK_MS)
    assert.match(message, /start, .*hookTimeoutMs.*file \/processor\.mjs/)
  })
})

describe('dispatcher: a stop while start runs', () => {
  const STOPPING = new ClsConsumerError('CONSUMER_STATE', 'the consumer is stopping')
  const FAILURE = toFailure(new Error('no disk'), 'PROCESSOR_START_FAILED')

  /** Two threads with `start` under way on each, and the signal aborted. */
  async function interrupted() {
    const made = bench({ threads: 2 })
    made.threads.doneAtOnce.delete('start')
    made.threads.exitsWhenKilled = true
    const stopping = new AbortController()
    const rejected = rejection('CONSUMER_STATE', made.dispatcher.start(stopping.signal))
    await turn()
    stopping.abort(STOPPING)
    await rejected
    assert.equal(made.time.clock.monotonic(), 0, 'at once')
    return made
  }

  test(
    'I8: start() rejects at once; what does not return within abortGraceMs ends with its thread',
    BOUNDED,
    async () => {
      const { threads, dispatcher, time, broken, log } = await interrupted()
      threads.hook('start@1').answer({ kind: 'done' })
      const stopped = dispatcher.stop()
      await time.advance(GRACE_MS - 1)
      assert.deepEqual([threads.kills.asks, threads.closeCount], [[], 0])
      await time.advance(1)
      await stopped
      assert.deepEqual([threads.kills.asks, threads.tasks.slice(2), threads.closeCount], [[0], ['stop@1'], 1])
      assert.deepEqual([broken, time.pendingCount], [[], 0])
      assert.deepEqual(
        log.lines.map(({ level, message, fields }) => `${level} ${message} ${fields.thread}`),
        ['warn terminating a thread whose start does not return 0']
      )
    }
  )

  test('a start that returns within abortGraceMs has its stop', BOUNDED, async () => {
    const { threads, dispatcher, time } = await interrupted()
    const stopped = dispatcher.stop()
    await time.advance(GRACE_MS - 1)
    for (const thread of [0, 1]) threads.hook(`start@${thread}`).answer({ kind: 'done' })
    await stopped
    assert.deepEqual([threads.tasks.slice(2), threads.kills.asks], [['stop@0', 'stop@1'], []])
  })

  test('a start that fails then is a warning: nobody waits for it', BOUNDED, async () => {
    const { threads, dispatcher, broken, log } = await interrupted()
    threads.hook('start@0').answer({ kind: 'failed', stage: 'lifecycle', failure: FAILURE })
    threads.hook('start@1').answer({ kind: 'done' })
    await dispatcher.stop()
    assert.deepEqual([broken, threads.tasks.slice(2)], [[], ['stop@1']])
    assert.match(JSON.stringify(log.lines), /processor start failed.*no disk/)
  })

  test('a thread that is replaced then gets no start', BOUNDED, async () => {
    const { threads, dispatcher, broken } = await interrupted()
    await threads.exit(0)
    await threads.replace(0)
    threads.hook('start@1').answer({ kind: 'done' })
    await dispatcher.stop()
    assert.deepEqual([broken, threads.tasks], [[], ['start@0', 'start@1', 'stop@1']])
  })

  test('nothing starts where the signal aborts before the threads have booted', BOUNDED, async () => {
    for (const isBooting of [true, false]) {
      const { threads, dispatcher } = bench()
      const stopping = new AbortController()
      if (!isBooting) stopping.abort(STOPPING)
      const rejected = rejection('CONSUMER_STATE', dispatcher.start(stopping.signal))
      stopping.abort(STOPPING)
      await rejected
      await dispatcher.stop()
      assert.deepEqual([threads.tasks, threads.closeCount], [[], 1])
    }
  })

  test('a signal that aborts later changes nothing', BOUNDED, async () => {
    const { threads, dispatcher, broken } = bench()
    const stopping = new AbortController()
    await dispatcher.start(stopping.signal)
    stopping.abort(STOPPING)
    await threads.exit(0)
    await threads.replace(0)
    assert.deepEqual([threads.tasks, broken], [['start@0', 'start@0'], []])
  })

  test('I8: stop() without a signal ends start() too', BOUNDED, async () => {
    const { threads, dispatcher, time } = bench()
    threads.doneAtOnce.delete('start')
    threads.exitsWhenKilled = true
    const rejected = rejection('CONSUMER_STATE', dispatcher.start())
    await turn()
    const stopped = dispatcher.stop()
    await rejected
    await time.settle(stopped)
    assert.equal(time.clock.monotonic(), GRACE_MS)
  })
})

describe('dispatcher: batches', () => {
  test('a task carries the batch as it is, the body without a copy', BOUNDED, async () => {
    const { threads, start, batchOf, dispatcher } = bench()
    await start(3)
    dispatcher.enqueue(batchOf(3, { startOffset: 2n ** 60n, endOffset: 2n ** 61n }))
    const { task } = threads.batch(1)
    assert.equal(task.body, BODY.bytes)
    const { body: _, ...rest } = task
    assert.deepEqual(rest, {
      kind: 'batch',
      topicId: 't',
      partition: 3,
      epoch: 1,
      batchId: 1,
      startOffset: 2n ** 60n,
      endOffset: 2n ** 61n,
      byteCount: BODY.byteCount,
      compression: 'snappy',
      attempt: 1
    })
  })

  test('batches enqueued before assign has returned wait for it', BOUNDED, async () => {
    const { threads, dispatcher, enqueue } = bench()
    threads.doneAtOnce.delete('assign')
    await dispatcher.start()
    dispatcher.assign(epochOf(0))
    enqueue(0)
    await turn()
    assert.deepEqual(threads.openBatchIds, [])
    threads.hook('assign 0@0').answer({ kind: 'done' })
    await turn()
    assert.deepEqual(threads.openBatchIds, [1])
  })

  test(
    'I2: the next batch of a partition starts only after the answer to its last one was dealt with',
    BOUNDED,
    async () => {
      const { threads, start, enqueue, answered } = bench()
      await start(0)
      enqueue(0)
      enqueue(0)
      answered.always = undefined
      assert.deepEqual(threads.openBatchIds, [1])
      await threads.finish(1)
      assert.deepEqual([threads.openBatchIds, answered.open.length], [[], 1], 'its result is being delivered')
      answered.only.answer()
      await turn()
      assert.deepEqual(threads.openBatchIds, [2])
    }
  )

  test('a thread opens no more than batchesPerThread, of different partitions', BOUNDED, async () => {
    const { threads, start, enqueue } = bench({ batchesPerThread: 2 })
    await start(0, 1, 2)
    for (const partition of [0, 1, 2]) enqueue(partition)
    assert.deepEqual(threads.openBatchIds, [1, 2])
    await threads.finish(1)
    assert.deepEqual(threads.openBatchIds, [2, 3])
  })

  test('a partition stays on its thread', BOUNDED, async () => {
    const { threads, start, enqueue } = bench({ threads: 2 })
    await start(0, 1)
    for (let round = 0; round < 3; round++) {
      const ids = [enqueue(0), enqueue(1)]
      assert.deepEqual(
        ids.map(
          batchId =>
            threads.runs.open.find(({ ask }) => ask.task.kind === 'batch' && ask.task.batchId === batchId)?.ask.thread
        ),
        [0, 1]
      )
      for (const batchId of ids) await threads.finish(batchId)
    }
  })

  test(
    'I3: a batch that may not start does not start, nor stops others for longer than its epoch takes to end',
    BOUNDED,
    async () => {
      const { threads, start, enqueue, forbidden, dispatcher, dropped } = bench({ batchesPerThread: 1 })
      await start(0, 1)
      forbidden.add(1)
      enqueue(0)
      enqueue(1)
      assert.deepEqual(threads.openBatchIds, [])
      const drained = dispatcher.drain(epochOf(0), 0, 'lost')
      assert.deepEqual([threads.openBatchIds, dropped], [[2], [1]])
      await drained
    }
  )

  test('a batch of an epoch that is not seated is dropped', BOUNDED, async () => {
    const { start, enqueue, dropped, threads } = bench()
    await start(0)
    enqueue(0, { epoch: 9 })
    enqueue(5)
    assert.deepEqual([dropped, threads.openBatchIds], [[1, 2], []])
  })

  test('the next offset is told of the open batch, and of nothing else', BOUNDED, async () => {
    const { threads, start, enqueue, nextOffsets } = bench()
    await start(0)
    enqueue(0)
    threads.tell(0, { kind: 'next-offset', batchId: 1, nextOffset: 2n ** 60n, messageCount: 1 })
    threads.tell(0, { kind: 'next-offset', batchId: 77, nextOffset: 5n, messageCount: 1 })
    assert.deepEqual(nextOffsets, [`1 ${2n ** 60n}`])
  })

  test('a line of the processor goes to the log', BOUNDED, async () => {
    const { threads, start, log } = bench()
    await start()
    threads.tell(0, { kind: 'log', level: 'warn', message: 'from the thread', fields: { a: 1 } })
    assert.deepEqual(log.lines, [{ level: 'warn', message: 'from the thread', fields: { a: 1 } }])
  })

  test('dropQueued drops what waits, and leaves the open batch', BOUNDED, async () => {
    const { threads, start, enqueue, dropped, dispatcher, answeredIds } = bench()
    await start(0)
    for (let count = 0; count < 3; count++) enqueue(0)
    dispatcher.dropQueued(epochOf(0))
    assert.deepEqual(dropped, [2, 3])
    await threads.finish(1)
    assert.deepEqual(answeredIds(), ['1 processed'])
  })

  test('I2: in order, one at a time per partition, within every limit, under random schedules', BOUNDED, async () => {
    const act = fc.record({
      kind: fc.constantFrom('enqueue', 'finish', 'die', 'kill', 'move', 'wait'),
      pick: fc.nat(99)
    })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.array(act, { maxLength: 60 }),
        async (threadCount, batchesPerThread, acts) => {
          const made = bench({ threads: threadCount, batchesPerThread, memoryBytes: 500 })
          const { threads, start, enqueue, answered, memory, dispatcher, time } = made
          await start(0, 1, 2, 3)
          const queued = new Map<number, number[]>([0, 1, 2, 3].map(partition => [partition, []]))
          const check = () => {
            const open = threads.runs.open.flatMap(({ ask: { thread, task } }) =>
              task.kind === 'batch' ? [{ thread, task }] : []
            )
            const partitions = open.map(({ task }) => task.partition)
            assert.equal(new Set(partitions).size, partitions.length, 'one batch of a partition')
            assert.equal(memory.openCount, open.length)
            assert.ok(memory.openBytes <= 500)
            for (const { thread, task } of open) {
              assert.equal(threads.homeOf(task.partition), thread, 'where `assign` ran last, and no `revoke` since')
              assert.equal(task.batchId, queued.get(task.partition)?.[0], 'in order')
              assert.ok(open.filter(each => each.thread === thread).length <= batchesPerThread)
            }
            return open
          }
          for (const { kind, pick } of acts) {
            const open = check()
            const chosen = open[pick % Math.max(1, open.length)]
            if (kind === 'enqueue') queued.get(pick % 4)?.push(enqueue(pick % 4))
            else if (kind === 'wait') await time.advance(10 * pick)
            else if (kind === 'move') void dispatcher.move(epochOf(pick % 4), pick % threadCount)
            else if (kind === 'finish' && chosen !== undefined) {
              queued.get(chosen.task.partition)?.shift()
              await threads.finish(chosen.task.batchId)
            } else if (chosen !== undefined) {
              if (kind === 'kill') void threads.kill(chosen.thread)
              await threads.exit(chosen.thread)
              // Answered by its last attempt.
              for (const list of queued.values()) if (isAnswered(made, list[0])) list.shift()
              check()
              await threads.replace(chosen.thread)
            }
          }
          for (let round = 0; round < 200 && [...queued.values()].flat().length > 0; round++) {
            await time.advance(ATTEMPTS * BACKOFF_MS)
            for (const { task } of check()) {
              queued.get(task.partition)?.shift()
              await threads.finish(task.batchId)
            }
          }
          assert.deepEqual([...queued.values()].flat(), [], 'every batch was answered')
          assert.equal(new Set(answered.asks.map(({ batch }) => batch.batchId)).size, answered.all.length)
        }
      ),
      { numRuns: 150 }
    )
  })

  test('what user code did outside of any task stops the consumer, with its own error', BOUNDED, async () => {
    const { threads, start, broken } = bench()
    await start()
    const failure = toFailure(new ClsConsumerError('BATCH_CLOSED', 'too late'), 'BATCH_CLOSED')
    threads.tell(0, { kind: 'broken', failure })
    assert.deepEqual(broken, ['BATCH_CLOSED'])
  })
})

/** Whether the batch has had its last answer. */
function isAnswered({ answered }: ReturnType<typeof bench>, batchId: number | undefined): boolean {
  return answered.asks.some(({ batch }) => batch.batchId === batchId)
}

describe('dispatcher: memory', () => {
  test('a batch waits for memory, and opens when a batch closes', BOUNDED, async () => {
    const { threads, start, enqueue } = bench({ memoryBytes: 150 })
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    assert.deepEqual(threads.openBatchIds, [1])
    await threads.finish(1)
    assert.deepEqual(threads.openBatchIds, [2])
  })

  test('no thread starves: the one that has waited longest for memory comes first', BOUNDED, async () => {
    const { threads, start, enqueue } = bench({ threads: 3, memoryBytes: 100 })
    await start(0, 1, 2)
    for (let round = 0; round < 4; round++) for (const partition of [0, 1, 2]) enqueue(partition)
    const order: number[] = []
    for (let count = 0; count < 12; count++) {
      const [batchId] = threads.openBatchIds
      assert.ok(batchId !== undefined)
      order.push(threads.batch(batchId).task.partition)
      await threads.finish(batchId)
    }
    assert.deepEqual(order, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2])
  })

  test('a batch larger than all memory opens alone, and is not overtaken for ever', BOUNDED, async () => {
    const { threads, start, enqueue, memory } = bench({ threads: 2, memoryBytes: 250 })
    await start(0, 1, 2)
    enqueue(0)
    enqueue(2)
    const large = enqueue(1, { decodedBytes: 1000 })
    for (let count = 0; count < 3; count++) enqueue(0)
    assert.deepEqual(threads.openBatchIds, [1, 2])
    await threads.finish(1)
    await threads.finish(2)
    assert.deepEqual(threads.openBatchIds, [large])
    assert.equal(memory.openBytes, 1000)
    await threads.finish(large)
    assert.deepEqual(threads.openBatchIds, [4])
  })

  test('who waits no longer keeps nobody waiting', BOUNDED, async () => {
    const { threads, start, enqueue, dispatcher } = bench({ threads: 3, memoryBytes: 250 })
    await start(0, 1, 2)
    enqueue(0)
    enqueue(1, { decodedBytes: 1000 })
    enqueue(2)
    assert.deepEqual(threads.openBatchIds, [1])
    await dispatcher.drain(epochOf(1), 0, 'revoked')
    assert.deepEqual(threads.openBatchIds, [1, 3])
  })

  test('memory is free for others while a result is still being delivered', BOUNDED, async () => {
    const { threads, start, enqueue, answered } = bench({ threads: 2, memoryBytes: 100 })
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    answered.always = undefined
    await threads.finish(1)
    assert.equal(answered.open.length, 1)
    assert.deepEqual(threads.openBatchIds, [2])
  })
})

describe('dispatcher: drain', () => {
  test('an idle partition is revoked and unseated at once', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue, dropped } = bench()
    await start(0)
    await dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    assert.deepEqual(threads.tasks.slice(-1), ['revoke 0@0'])
    enqueue(0)
    assert.deepEqual(dropped, [1])
    await dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    assert.equal(threads.tasks.filter(task => task === 'revoke 0@0').length, 1)
  })

  test(
    'waiting batches are dropped, the open one ends, then revoke runs ahead of what waits on the thread',
    BOUNDED,
    async () => {
      const { threads, start, dispatcher, enqueue, dropped, answeredIds } = bench({ batchesPerThread: 1 })
      await start(0, 1)
      enqueue(0)
      enqueue(0)
      enqueue(1)
      threads.doneAtOnce.delete('revoke')
      const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
      assert.deepEqual(dropped, [2])
      await turn()
      assert.ok(!threads.tasks.includes('revoke 0@0'), 'not while a batch is open')
      await threads.finish(1)
      assert.deepEqual(answeredIds(), ['1 processed'])
      assert.deepEqual(threads.tasks.slice(-2), ['revoke 0@0', 'batch 3@0'])
      assert.equal(await stateOf(drained), 'pending')
      threads.hook('revoke 0@0').answer({ kind: 'done' })
      await drained
      assert.deepEqual(threads.openBatchIds, [3])
      assert.deepEqual(threads.posted, [])
    }
  )

  test(
    'I8: patience ends with the abort, grace with the end of the thread, and only its exit ends the drain',
    BOUNDED,
    async () => {
      const { threads, time, start, dispatcher, enqueue, dropped, answeredIds } = bench()
      await start(0)
      enqueue(0)
      const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
      await time.advance(PATIENCE_MS - 1)
      assert.deepEqual([threads.posted.length, threads.kills.all.length], [0, 0])
      await time.advance(1)
      assert.deepEqual(threads.posted, [
        { thread: 0, message: { kind: 'abort', batchId: 1, attempt: 1, reason: 'revoked' } }
      ])
      await time.advance(GRACE_MS - 1)
      assert.equal(threads.kills.all.length, 0)
      await time.advance(1)
      assert.deepEqual(threads.kills.asks, [0])
      await time.advance(10 * EXIT_MS)
      assert.equal(await stateOf(drained), 'pending', 'I2: it runs until it has exited')
      await threads.exit(0)
      await drained
      assert.deepEqual([dropped, answeredIds()], [[1], []])
      assert.ok(!threads.tasks.includes('revoke 0@0'), 'not on a dead thread')
    }
  )

  test('a batch that heeds the abort keeps its thread', BOUNDED, async () => {
    const { threads, time, start, dispatcher, enqueue } = bench()
    await start(0)
    enqueue(0)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await time.advance(PATIENCE_MS)
    await threads.finish(1)
    await drained
    await time.advance(GRACE_MS + EXIT_MS)
    assert.equal(threads.kills.all.length, 0)
    assert.ok(threads.tasks.includes('revoke 0@0'))
  })

  test('without patience the abort comes at once', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue } = bench()
    await start(0)
    enqueue(0)
    const drained = dispatcher.drain(epochOf(0), 0, 'lost')
    await turn()
    assert.equal(threads.posted.length, 1)
    await threads.finish(1)
    await drained
  })

  test('a drain that becomes urgent aborts the open batch at once, and both end together', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue } = bench()
    await start(0)
    enqueue(0)
    const patient = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await turn()
    const urgent = dispatcher.drain(epochOf(0), 0, 'lost')
    assert.deepEqual(threads.posted, [
      { thread: 0, message: { kind: 'abort', batchId: 1, attempt: 1, reason: 'lost' } }
    ])
    assert.equal(await stateOf(urgent), 'pending')
    await threads.finish(1)
    await Promise.all([patient, urgent])
    assert.equal(threads.tasks.filter(task => task === 'revoke 0@0').length, 1)
  })

  test('I4: a thread that does not exit keeps its partition held: the drain rejects', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue, time } = bench()
    await start(0)
    enqueue(0)
    const drained = dispatcher.drain(epochOf(0), 0, 'lost')
    await time.advance(GRACE_MS)
    threads.kills.only.refuse(new ClsConsumerError('THREAD_STUCK', 'it did not exit'))
    await rejection('THREAD_STUCK', drained)
    assert.throws(() => dispatcher.assign(epochOf(0, 2)), { code: 'INVARIANT_BROKEN' })
  })

  test('I8: an onResult that never returns costs no thread, and ends the drain with an error', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue, time, answered } = bench()
    await start(0)
    answered.always = undefined
    enqueue(0)
    await threads.finish(1)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    const error = await rejection('DRAIN_TIMEOUT', time.settle(drained))
    assert.match(error.message, /onResult/)
    assert.deepEqual([error.place.topicId, error.place.partition], ['t', 0])
    assert.equal(time.clock.monotonic(), PATIENCE_MS + GRACE_MS + EXIT_MS)
    assert.equal(threads.kills.all.length, 0)
  })

  test('a drain while assign runs waits for it, and revokes what was assigned', BOUNDED, async () => {
    const { threads, dispatcher, enqueue, dropped } = bench()
    threads.doneAtOnce.delete('assign')
    await dispatcher.start()
    dispatcher.assign(epochOf(0))
    enqueue(0)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    assert.equal(await stateOf(drained), 'pending')
    enqueue(0)
    assert.deepEqual(dropped, [1, 2], 'nothing is taken any more')
    threads.hook('assign 0@0').answer({ kind: 'done' })
    await drained
    assert.deepEqual(threads.tasks.slice(1), ['assign 0@0', 'revoke 0@0'])
  })

  test('a revoke that fails is logged, and the partition leaves', BOUNDED, async () => {
    const { threads, start, dispatcher, log, broken } = bench()
    await start(0)
    threads.doneAtOnce.delete('revoke')
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await turn()
    const failure = toFailure(new Error('flush failed'), 'PROCESSOR_FAILED')
    threads.hook('revoke 0@0').answer({ kind: 'failed', stage: 'lifecycle', failure })
    await drained
    assert.deepEqual(broken, [])
    assert.match(JSON.stringify(log.lines), /revoke failed.*flush failed/)
    dispatcher.assign(epochOf(0, 2))
  })

  test(
    'of a thread that is dying, or dies, nobody is told that revoke failed: what it died of is',
    BOUNDED,
    async () => {
      for (const moment of ['before', 'meanwhile'] as const) {
        const { threads, start, dispatcher, log } = bench()
        await start(0)
        threads.doneAtOnce.delete('revoke')
        if (moment === 'before') threads.handlers.onFailing(0)
        const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
        await turn()
        if (moment === 'meanwhile') threads.handlers.onFailing(0)
        assert.equal(await stateOf(drained), 'pending', 'I2: it runs until it has exited')
        await threads.exit(0, { fault: 'own' })
        await drained
        assert.deepEqual(JSON.stringify(log.lines).match(/revoke failed/g), null, moment)
      }
    }
  )

  test('a revoke that is cut off with its thread, for the sake of another, is logged', BOUNDED, async () => {
    const { threads, start, dispatcher, log } = bench()
    await start(0)
    threads.doneAtOnce.delete('revoke')
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await turn()
    void threads.kill(0)
    await threads.exit(0)
    await drained
    assert.match(JSON.stringify(log.lines), /revoke failed.*thread 0 ended/)
  })

  test('I8: a revoke that never returns ends with its thread, after its limit', BOUNDED, async () => {
    const { threads, start, dispatcher, time } = bench()
    await start(0)
    threads.doneAtOnce.delete('revoke')
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await time.advance(HOOK_MS - 1)
    assert.equal(threads.kills.all.length, 0)
    await time.advance(1)
    assert.deepEqual(threads.kills.asks, [0])
    assert.equal(await stateOf(drained), 'pending')
    await threads.exit(0)
    await drained
  })

  test('I2: a partition that comes back is seated only after its last epoch has left', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue } = bench()
    await start(0)
    enqueue(0)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    assert.throws(() => dispatcher.assign(epochOf(0, 2)), { code: 'INVARIANT_BROKEN' })
    await threads.finish(1)
    await drained
    dispatcher.assign(epochOf(0, 2))
    await turn()
    enqueue(0, { epoch: 2 })
    assert.deepEqual(threads.openBatchIds, [2])
  })
})

describe('dispatcher: a new epoch of a partition', () => {
  test(
    'I2: waiting batches are dropped, the open one is aborted, and the new epoch starts after its answer',
    BOUNDED,
    async () => {
      const { threads, start, dispatcher, enqueue, dropped, answeredIds } = bench()
      await start(0)
      enqueue(0)
      enqueue(0)
      dispatcher.renew(epochOf(0), epochOf(0, 2), true)
      assert.deepEqual(dropped, [2])
      assert.deepEqual(
        threads.posted.map(({ message }) => message.batchId),
        [1]
      )
      enqueue(0, { epoch: 2 })
      enqueue(0)
      assert.deepEqual([threads.openBatchIds, dropped], [[1], [2, 4]])
      await threads.finish(1)
      assert.deepEqual(answeredIds(), ['1 processed'])
      assert.deepEqual(threads.openBatchIds, [3])
    }
  )

  test('I3: a batch of the old epoch that is lost with its thread is dropped, not run again', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue, dropped, time } = bench()
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    dispatcher.renew(epochOf(0), epochOf(0, 2), true)
    const drained = dispatcher.drain(epochOf(1), 0, 'lost')
    await time.advance(GRACE_MS)
    await threads.exit(0)
    await drained
    await threads.replace(0)
    assert.deepEqual([dropped, threads.openBatchIds], [[1, 2], []])
  })
})

describe('dispatcher: threads that end', () => {
  test(
    'batches that only shared a terminated thread are run again, in order, as a further attempt',
    BOUNDED,
    async () => {
      const { threads, start, dispatcher, enqueue, time, answeredIds, dropped } = bench()
      await start(0, 1)
      enqueue(0)
      enqueue(1)
      enqueue(1)
      const drained = dispatcher.drain(epochOf(0), 0, 'lost')
      await time.advance(GRACE_MS)
      await threads.exit(0)
      await drained
      assert.deepEqual([threads.openBatchIds, dropped, answeredIds()], [[], [1], []])
      await threads.replace(0)
      assert.deepEqual(threads.openBatchIds, [2])
      assert.equal(threads.batch(2).task.attempt, 2)
      await threads.finish(2)
      assert.deepEqual(answeredIds(), ['2 processed'])
      assert.equal(threads.batch(3).task.attempt, 1)
    }
  )

  test('a replacement that dies by itself is to blame: no death is forgiven twice', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue, time, retried } = bench()
    await start(0, 1)
    enqueue(0)
    enqueue(1)
    const drained = dispatcher.drain(epochOf(0), 0, 'lost')
    await time.advance(GRACE_MS)
    await threads.exit(0)
    await drained
    await threads.replace(0)
    assert.deepEqual([threads.openBatchIds, retried], [[2], []])
    await threads.exit(0)
    assert.deepEqual(retried, [`2 THREAD_LOST ${BACKOFF_MS}`])
  })

  test('a replacement runs start, then assign for every partition of its lane, before any batch', BOUNDED, async () => {
    const { threads, start, enqueue } = bench({ threads: 2 })
    await start(0, 1, 2)
    const before = threads.tasks.length
    await threads.exit(0)
    enqueue(0)
    enqueue(1)
    assert.deepEqual(threads.openBatchIds, [2], 'the other thread goes on')
    for (const hook of ['start', 'assign'] as const) threads.doneAtOnce.delete(hook)
    await threads.replace(0)
    assert.deepEqual(threads.tasks.slice(before + 1), ['start@0'])
    threads.hook('start@0').answer({ kind: 'done' })
    await turn()
    assert.deepEqual(threads.tasks.slice(before + 2), ['assign 0@0', 'assign 2@0'])
    threads.hook('assign 2@0').answer({ kind: 'done' })
    await turn()
    assert.deepEqual(threads.openBatchIds, [2])
    threads.hook('assign 0@0').answer({ kind: 'done' })
    await turn()
    assert.deepEqual(threads.openBatchIds, [2, 1])
  })

  test('a partition that comes while its thread is down is assigned on the replacement, once', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue } = bench()
    await start()
    await threads.exit(0)
    dispatcher.assign(epochOf(0))
    enqueue(0)
    await turn()
    assert.ok(!threads.tasks.includes('assign 0@0'))
    await threads.replace(0)
    assert.deepEqual(threads.tasks.filter(task => task === 'assign 0@0').length, 1)
    assert.deepEqual(threads.openBatchIds, [1])
  })

  test('an assign that dies with its thread runs on the replacement', BOUNDED, async () => {
    const { threads, dispatcher, enqueue, broken } = bench()
    threads.doneAtOnce.delete('assign')
    await dispatcher.start()
    dispatcher.assign(epochOf(0))
    enqueue(0)
    await threads.exit(0)
    threads.doneAtOnce.add('assign')
    await threads.replace(0)
    assert.deepEqual([threads.openBatchIds, broken], [[1], []])
  })

  test('revoke does not run on a replacement that has not run assign', BOUNDED, async () => {
    const { threads, start, dispatcher, enqueue, answered } = bench()
    await start(0)
    enqueue(0)
    answered.always = undefined
    await threads.finish(1)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await turn()
    // Its result is still being delivered when the thread dies and is replaced.
    await threads.exit(0)
    await threads.replace(0)
    answered.only.answer()
    await drained
    assert.ok(!threads.tasks.includes('revoke 0@0'), `${threads.tasks}`)
  })

  test('a partition that is drained while its thread is down leaves without revoke', BOUNDED, async () => {
    const { threads, start, dispatcher } = bench()
    await start(0)
    await threads.exit(0)
    await dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await threads.replace(0)
    assert.deepEqual(
      threads.tasks.filter(task => task.includes('0@0')),
      ['assign 0@0']
    )
  })

  for (const [hook, code] of [
    ['start', 'PROCESSOR_START_FAILED'],
    ['assign', 'PROCESSOR_FAILED']
  ] as const) {
    test(`a replacement whose ${hook} fails breaks the dispatcher`, BOUNDED, async () => {
      const { threads, start, broken } = bench()
      await start(0)
      await threads.exit(0)
      threads.doneAtOnce.delete(hook)
      await threads.replace(0)
      const failure = toFailure(new Error('no'), code)
      threads.hook(hook === 'start' ? 'start@0' : 'assign 0@0').answer({ kind: 'failed', stage: 'lifecycle', failure })
      await turn()
      assert.deepEqual(broken, [code])
    })
  }

  test('I8: an assign that never returns breaks the dispatcher after its limit', BOUNDED, async () => {
    const { threads, dispatcher, broken, time } = bench()
    threads.doneAtOnce.delete('assign')
    await dispatcher.start()
    dispatcher.assign(epochOf(0))
    await time.advance(HOOK_MS - 1)
    assert.deepEqual(broken, [])
    await time.advance(1)
    assert.deepEqual(broken, ['PROCESSOR_STUCK'])
    // It may still run: the partition is drained only once its thread has exited.
    assert.deepEqual(threads.kills.asks, [0])
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'stopping')
    assert.equal(await stateOf(drained), 'pending')
    await threads.exit(0)
    await drained
  })

  test('a pool beyond repair is told', BOUNDED, async () => {
    const { threads, start, broken } = bench()
    await start()
    threads.handlers.onBroken(new ClsConsumerError('POOL_BROKEN', 'no'))
    threads.handlers.onBroken(new Error('what is this'))
    assert.deepEqual(broken, ['POOL_BROKEN', 'POOL_BROKEN'])
  })

  test('a batch that is answered as a hook is breaks an invariant, and counts as failed', BOUNDED, async () => {
    const { threads, start, enqueue, answered } = bench()
    await start(0)
    enqueue(0)
    threads.batch(1).call.answer({ kind: 'done' })
    await turn()
    const answer = answered.asks[0]?.answer
    assert.ok(answer?.kind === 'failed', answer?.kind)
    assert.equal(answer.failure.code, 'INVARIANT_BROKEN')
  })

  test('an error of the pool is an answer, not a crash', BOUNDED, async () => {
    const { threads, start, enqueue, answeredIds } = bench()
    await start(0)
    enqueue(0)
    threads.batch(1).call.refuse(new TypeError('not cloneable'))
    await turn()
    assert.deepEqual(answeredIds(), ['1 failed'])
  })
})

describe('dispatcher: stopping', () => {
  test('stop runs on every thread that is up, then all threads end', BOUNDED, async () => {
    const { threads, start, dispatcher } = bench({ threads: 3 })
    await start()
    await threads.exit(1)
    threads.doneAtOnce.delete('stop')
    const stopped = dispatcher.stop()
    await turn()
    assert.deepEqual(threads.tasks.slice(-2), ['stop@0', 'stop@2'])
    threads.hook('stop@0').answer({ kind: 'done' })
    await turn()
    assert.equal(threads.closeCount, 0)
    threads.hook('stop@2').answer({ kind: 'done' })
    await stopped
    assert.equal(threads.closeCount, 1)
  })

  test('I8: a stop that fails or never returns does not keep the threads from ending', BOUNDED, async () => {
    const { threads, start, dispatcher, time, log } = bench({ threads: 2 })
    await start()
    threads.doneAtOnce.delete('stop')
    const stopped = dispatcher.stop()
    await turn()
    const failure = toFailure(new Error('cannot flush'), 'PROCESSOR_FAILED')
    threads.hook('stop@0').answer({ kind: 'failed', stage: 'lifecycle', failure })
    await time.settle(stopped)
    assert.equal(threads.closeCount, 1)
    assert.deepEqual(
      log.lines.map(({ message, fields }) => `${message} ${fields.thread}`),
      ['processor stop failed 0', 'processor stop failed 1']
    )
  })

  test('a dispatcher that never started only ends its threads', BOUNDED, async () => {
    const { threads, dispatcher } = bench()
    await dispatcher.stop()
    assert.deepEqual([threads.tasks, threads.closeCount], [[], 1])
  })
})

test('a batch task is answered as processed with what the thread says', BOUNDED, async () => {
  const { threads, start, enqueue, answered } = bench()
  await start(0)
  enqueue(0)
  await threads.finish(1, { nextOffset: 2n ** 62n, result: { errors: 3 } })
  assert.deepEqual(answered.asks[0]?.answer, processed({ nextOffset: 2n ** 62n, result: { errors: 3 } }))
})

test('an invariant that breaks on a word of a thread stops the consumer, and not the process', BOUNDED, async () => {
  const { threads, broken, start, enqueue } = bench()
  await start(0)
  const batchId = enqueue(0)
  threads.tell(0, { kind: 'next-offset', batchId, nextOffset: PLANTED, messageCount: 1 })
  assert.deepEqual(broken, ['INVARIANT_BROKEN'])
})
