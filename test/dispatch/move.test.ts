/** A partition moves to another thread: in order, whatever comes between. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError, toFailure } from '../../src/errors.ts'
import { rejection } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { processed } from '../support/fake-threads.ts'
import { BACKOFF_MS, BOUNDED, bench, epochOf, HOOK_MS, PATIENCE_MS, stateOf } from './dispatcher-bench.ts'

/** Partition 0 sits on thread 0 of two. */
async function seated() {
  const made = bench({ threads: 2 })
  await made.start(0)
  const { threads } = made
  const before = threads.tasks.length
  return { ...made, since: () => threads.tasks.slice(before) }
}

describe('a move', () => {
  test('runs revoke there, then assign here, then goes on here', BOUNDED, async () => {
    const { dispatcher, enqueue, since, threads } = await seated()
    assert.equal(await dispatcher.move(epochOf(0), 1), true)
    enqueue(0)
    await threads.finish(1)
    enqueue(0)
    assert.deepEqual(since(), ['revoke 0@0', 'assign 0@1', 'batch 1@1', 'batch 2@1'])
  })

  test(
    'I2: waits for the open batch and for its answer; what comes meanwhile follows on the new thread, in order',
    BOUNDED,
    async () => {
      const { dispatcher, enqueue, since, threads, answered } = await seated()
      answered.always = undefined
      for (let count = 0; count < 2; count++) enqueue(0)
      const moved = dispatcher.move(epochOf(0), 1)
      enqueue(0)
      await turn()
      assert.deepEqual(since(), ['batch 1@0'])
      await threads.finish(1)
      assert.deepEqual([since(), answered.open.length], [['batch 1@0'], 1], 'its result is being delivered')
      answered.only.answer()
      assert.equal(await moved, true)
      assert.deepEqual(since(), ['batch 1@0', 'revoke 0@0', 'assign 0@1', 'batch 2@1'])
      await threads.finish(2)
      answered.only.answer()
      await turn()
      assert.deepEqual(threads.openBatchIds, [3])
    }
  )

  test('I2: nothing starts here before revoke there and assign here have returned', BOUNDED, async () => {
    const { dispatcher, enqueue, threads } = await seated()
    threads.doneAtOnce.delete('revoke')
    threads.doneAtOnce.delete('assign')
    const moved = dispatcher.move(epochOf(0), 1)
    enqueue(0)
    await turn()
    assert.ok(!threads.tasks.includes('assign 0@1'))
    threads.hook('revoke 0@0').answer({ kind: 'done' })
    await turn()
    assert.deepEqual([threads.openBatchIds, await stateOf(moved)], [[], 'pending'])
    threads.hook('assign 0@1').answer({ kind: 'done' })
    assert.equal(await moved, true)
    assert.deepEqual(threads.openBatchIds, [1])
  })

  test(
    'is refused where the partition is there already, moving, draining, gone, or of another epoch',
    BOUNDED,
    async () => {
      const { dispatcher, enqueue, threads, since } = await seated()
      assert.equal(await dispatcher.move(epochOf(0), 0), false)
      assert.equal(await dispatcher.move(epochOf(7), 1), false)
      assert.equal(await dispatcher.move(epochOf(0, 2), 1), false)
      enqueue(0)
      const moving = dispatcher.move(epochOf(0), 1)
      assert.equal(await dispatcher.move(epochOf(0), 1), false)
      await threads.finish(1)
      assert.equal(await moving, true)
      enqueue(0)
      const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
      assert.equal(await dispatcher.move(epochOf(0), 0), false)
      await threads.finish(2)
      await drained
      assert.equal(await dispatcher.move(epochOf(0), 0), false)
      assert.deepEqual(since(), ['batch 1@0', 'revoke 0@0', 'assign 0@1', 'batch 2@1', 'revoke 0@1'])
    }
  )

  test('to a thread that does not exist is an error that says which there are', BOUNDED, async () => {
    const { dispatcher, since } = await seated()
    for (const thread of [2, -1, 0.5, Number.NaN]) {
      const { message } = await rejection('OPTIONS_INVALID', dispatcher.move(epochOf(0), thread))
      assert.match(message, /0 to 1/)
    }
    assert.deepEqual(since(), [])
  })

  test('while assign still runs waits for it, and for nothing else of the lane', BOUNDED, async () => {
    const { dispatcher, threads, start } = bench({ threads: 2 })
    await start()
    threads.doneAtOnce.delete('assign')
    dispatcher.assign(epochOf(0))
    const moved = dispatcher.move(epochOf(0), 1)
    await turn()
    assert.ok(!threads.tasks.includes('revoke 0@0'))
    threads.doneAtOnce.add('assign')
    threads.hook('assign 0@0').answer({ kind: 'done' })
    assert.equal(await moved, true)
    assert.deepEqual(threads.tasks.slice(2), ['assign 0@0', 'revoke 0@0', 'assign 0@1'])
  })

  test('leaves the rest of its lane running, and the line for memory moving', BOUNDED, async () => {
    const { dispatcher, threads, start, enqueue } = bench({ threads: 3, memoryBytes: 250 })
    await start(0, 1, 2)
    enqueue(0)
    // First in line for memory, before partition 2.
    enqueue(1, { decodedBytes: 1000 })
    enqueue(2)
    assert.deepEqual(threads.openBatchIds, [1])
    threads.doneAtOnce.delete('revoke')
    void dispatcher.move(epochOf(1), 0)
    assert.deepEqual(threads.openBatchIds, [1, 3])
  })
})

describe('a move that meets an end', () => {
  test('a drain while it waits for the open batch: the move gives up, revoke runs there, once', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, since } = await seated()
    enqueue(0)
    const moved = dispatcher.move(epochOf(0), 1)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    await threads.finish(1)
    assert.equal(await moved, false)
    await drained
    assert.deepEqual(since(), ['batch 1@0', 'revoke 0@0'])
    dispatcher.assign(epochOf(0, 2))
  })

  test('a loss while it waits aborts the open batch', BOUNDED, async () => {
    const { dispatcher, enqueue, threads } = await seated()
    enqueue(0)
    const moved = dispatcher.move(epochOf(0), 1)
    const drained = dispatcher.drain(epochOf(0), 0, 'lost')
    await turn()
    assert.deepEqual(threads.posted, [
      { thread: 0, message: { kind: 'abort', batchId: 1, attempt: 1, reason: 'lost' } }
    ])
    await threads.finish(1)
    assert.equal(await moved, false)
    await drained
  })

  test('I4: a drain while revoke runs waits for it, and assign does not begin', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, since, dropped } = await seated()
    threads.doneAtOnce.delete('revoke')
    const moved = dispatcher.move(epochOf(0), 1)
    enqueue(0)
    await turn()
    const drained = dispatcher.drain(epochOf(0), 0, 'lost')
    assert.equal(await stateOf(drained), 'pending')
    assert.deepEqual(dropped, [1])
    threads.hook('revoke 0@0').answer({ kind: 'done' })
    await drained
    assert.equal(await moved, false)
    assert.deepEqual(since(), ['revoke 0@0'])
    dispatcher.assign(epochOf(0, 2))
  })

  test('I4: a drain while assign runs waits for it, then revokes on the new thread', BOUNDED, async () => {
    const { dispatcher, threads, since } = await seated()
    threads.doneAtOnce.delete('assign')
    const moved = dispatcher.move(epochOf(0), 1)
    await turn()
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    assert.equal(await stateOf(drained), 'pending')
    threads.hook('assign 0@1').answer({ kind: 'done' })
    await drained
    assert.equal(await moved, false)
    assert.deepEqual(since(), ['revoke 0@0', 'assign 0@1', 'revoke 0@1'])
  })

  test(
    'I4: a drain and a move that wait for the same assign: revoke runs once, before the drain ends',
    BOUNDED,
    async () => {
      const { dispatcher, threads, start } = bench({ threads: 2 })
      await start()
      threads.doneAtOnce.delete('assign')
      threads.doneAtOnce.delete('revoke')
      dispatcher.assign(epochOf(0))
      const moved = dispatcher.move(epochOf(0), 1)
      const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
      threads.hook('assign 0@0').answer({ kind: 'done' })
      assert.equal(await stateOf(drained), 'pending')
      threads.hook('revoke 0@0').answer({ kind: 'done' })
      await drained
      assert.equal(await moved, false)
      assert.deepEqual(threads.tasks.slice(2), ['assign 0@0', 'revoke 0@0'])
    }
  )

  test('I4: a drain at any moment of a move: each assign has its revoke, before the drain ends', BOUNDED, async () => {
    const hookCounts = new Set<number>()
    for (let moment = 0; moment < 80; moment++) {
      const isSlow = moment % 2 === 0
      const { dispatcher, enqueue, threads, since, dropped, answeredIds } = await seated()
      if (isSlow) threads.doneAtOnce.delete('revoke')
      const revokes = () => threads.runs.open.filter(({ ask }) => ask.task.kind === 'revoke')
      enqueue(0)
      enqueue(0)
      const moved = dispatcher.move(epochOf(0), 1)
      threads.batch(1).call.answer(processed({}))
      // Everything of a move is microtasks here: this is between two of them.
      for (let count = 0; count < moment / 2; count++) await undefined
      const drained = dispatcher.drain(epochOf(0), 0, 'lost')
      await turn()
      for (const batchId of threads.openBatchIds) await threads.finish(batchId)
      for (let open = revokes(); open.length > 0; open = revokes()) {
        assert.equal(await stateOf(drained), 'pending', `${moment}: not before revoke has returned`)
        open[0]?.answer({ kind: 'done' })
        await turn()
      }
      await drained
      const hooks = since().filter(task => !task.startsWith('batch'))
      const alternating = hooks.map((_, index) => (index % 2 === 0 ? 'revoke' : 'assign'))
      assert.deepEqual(
        hooks.map(hook => hook.split(' ')[0]),
        alternating,
        `${moment}: ${since()}`
      )
      assert.equal(threads.homeOf(0), undefined, `${moment}: revoked where it was`)
      assert.equal(answeredIds().length + dropped.length, 2)
      const isMoved = await moved
      assert.equal(isMoved && hooks.length === 1, false, `${moment}: not told of a move that was not made`)
      dispatcher.assign(epochOf(0, 2))
      hookCounts.add(hooks.length)
    }
    assert.deepEqual(hookCounts, new Set([1, 3]), 'some gave up, some had moved')
  })

  test('stopping while it waits ends it within the deadlines of the stop', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, time } = await seated()
    enqueue(0)
    const moved = dispatcher.move(epochOf(0), 1)
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'stopping')
    threads.exitsWhenKilled = true
    await time.settle(drained)
    assert.equal(await moved, false)
    await dispatcher.stop()
    assert.equal(threads.closeCount, 1)
  })
})

describe('a move that meets a new epoch', () => {
  test(
    'before its last batch there has ended: it stays where it is, assigned, and goes on there',
    BOUNDED,
    async () => {
      const { dispatcher, enqueue, threads, since } = await seated()
      enqueue(0)
      const moved = dispatcher.move(epochOf(0), 1)
      dispatcher.renew(epochOf(0), epochOf(0, 2), true)
      enqueue(0, { epoch: 2 })
      await threads.finish(1)
      assert.equal(await moved, false)
      assert.deepEqual(since(), ['batch 1@0', 'batch 2@0'])
    }
  )

  test('while revoke runs: it moves on, in the new epoch', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, since } = await seated()
    threads.doneAtOnce.delete('revoke')
    const moved = dispatcher.move(epochOf(0), 1)
    await turn()
    dispatcher.renew(epochOf(0), epochOf(0, 2), true)
    enqueue(0, { epoch: 2 })
    threads.hook('revoke 0@0').answer({ kind: 'done' })
    assert.equal(await moved, true)
    assert.deepEqual(since(), ['revoke 0@0', 'assign 0@1', 'batch 1@1'])
  })

  test('while its thread dies: the partition stays, and is assigned on the replacement', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, since } = await seated()
    enqueue(0)
    const moved = dispatcher.move(epochOf(0), 1)
    dispatcher.renew(epochOf(0), epochOf(0, 2), true)
    enqueue(0, { epoch: 2 })
    await threads.exit(0)
    assert.equal(await moved, false)
    await threads.replace(0)
    assert.deepEqual(since(), ['batch 1@0', 'start@0', 'assign 0@0', 'batch 2@0'])
  })
})

test('a move that gives up after its thread was replaced: assign runs there before any batch', BOUNDED, async () => {
  const { dispatcher, enqueue, threads, since, answered } = await seated()
  answered.always = undefined
  enqueue(0)
  const moved = dispatcher.move(epochOf(0), 1)
  await threads.finish(1)
  // Its result is still being delivered when the thread dies and is replaced.
  await threads.exit(0)
  await threads.replace(0)
  dispatcher.renew(epochOf(0), epochOf(0, 2), true)
  enqueue(0, { epoch: 2 })
  answered.only.answer()
  assert.equal(await moved, false)
  await turn()
  assert.deepEqual(since(), ['batch 1@0', 'start@0', 'assign 0@0', 'batch 2@0'])
})

describe('a move that meets the end of a thread', () => {
  test('the old one, under the open batch: nothing to revoke, and the batch runs again here', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, time, since } = await seated()
    enqueue(0)
    enqueue(0)
    const moved = dispatcher.move(epochOf(0), 1)
    await threads.exit(0)
    assert.equal(await moved, true)
    assert.deepEqual(since(), ['batch 1@0', 'assign 0@1'])
    await time.advance(BACKOFF_MS)
    await threads.replace(0)
    assert.deepEqual(since().slice(2), ['batch 1@1', 'start@0'])
    assert.equal(threads.batch(1).task.attempt, 2)
    await threads.finish(1)
    assert.deepEqual(threads.openBatchIds, [2])
  })

  test('the old one, under revoke: the partition goes on here', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, since } = await seated()
    threads.doneAtOnce.delete('revoke')
    const moved = dispatcher.move(epochOf(0), 1)
    enqueue(0)
    await turn()
    await threads.exit(0)
    assert.equal(await moved, true)
    await threads.replace(0)
    assert.deepEqual(since(), ['revoke 0@0', 'assign 0@1', 'batch 1@1', 'start@0'])
  })

  test('the new one, under revoke there: assign runs on the replacement, once', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, since } = await seated()
    threads.doneAtOnce.delete('revoke')
    const moved = dispatcher.move(epochOf(0), 1)
    enqueue(0)
    await turn()
    await threads.exit(1)
    threads.hook('revoke 0@0').answer({ kind: 'done' })
    assert.equal(await moved, true)
    assert.deepEqual(threads.openBatchIds, [])
    await threads.replace(1)
    assert.deepEqual(since(), ['revoke 0@0', 'start@1', 'assign 0@1', 'batch 1@1'])
  })

  test('the new one, under assign: it runs again on the replacement, and the batches after it', BOUNDED, async () => {
    const { dispatcher, enqueue, threads, since, broken } = await seated()
    threads.doneAtOnce.delete('assign')
    const moved = dispatcher.move(epochOf(0), 1)
    enqueue(0)
    await turn()
    await threads.exit(1)
    assert.equal(await moved, true)
    threads.doneAtOnce.add('assign')
    await threads.replace(1)
    assert.deepEqual(since(), ['revoke 0@0', 'assign 0@1', 'start@1', 'assign 0@1', 'batch 1@1'])
    assert.deepEqual(broken, [])
  })

  test('both: the partition goes on here once its thread is back', BOUNDED, async () => {
    const { dispatcher, enqueue, threads } = await seated()
    enqueue(0)
    const moved = dispatcher.move(epochOf(0), 1)
    void threads.kill(0)
    await threads.exit(1)
    await threads.exit(0)
    assert.equal(await moved, true)
    await threads.replace(0)
    assert.deepEqual(threads.openBatchIds, [])
    await threads.replace(1)
    assert.deepEqual([threads.openBatchIds, threads.homeOf(0)], [[1], 1])
  })
})

describe('a move whose hooks fail', () => {
  test('a revoke that throws is logged, and the partition moves', BOUNDED, async () => {
    const { dispatcher, threads, since, log, broken } = await seated()
    threads.doneAtOnce.delete('revoke')
    const moved = dispatcher.move(epochOf(0), 1)
    await turn()
    const failure = toFailure(new Error('flush failed'), 'PROCESSOR_FAILED')
    threads.hook('revoke 0@0').answer({ kind: 'failed', stage: 'lifecycle', failure })
    assert.equal(await moved, true)
    assert.deepEqual(since(), ['revoke 0@0', 'assign 0@1'])
    assert.match(JSON.stringify(log.lines), /revoke failed.*flush failed/)
    assert.deepEqual(broken, [])
  })

  test(
    'I2: a revoke that never returns ends with its thread, and only its exit lets assign begin',
    BOUNDED,
    async () => {
      const { dispatcher, threads, since, time } = await seated()
      threads.doneAtOnce.delete('revoke')
      const moved = dispatcher.move(epochOf(0), 1)
      await time.advance(HOOK_MS)
      assert.deepEqual([threads.kills.asks, since()], [[0], ['revoke 0@0']])
      assert.equal(await stateOf(moved), 'pending')
      await threads.exit(0)
      assert.equal(await moved, true)
      assert.deepEqual(since(), ['revoke 0@0', 'assign 0@1'])
    }
  )

  test('I4: a thread that does not exit keeps the partition held: move and drain reject', BOUNDED, async () => {
    const { dispatcher, threads, since, time } = await seated()
    threads.doneAtOnce.delete('revoke')
    const moved = rejection('THREAD_STUCK', dispatcher.move(epochOf(0), 1))
    await time.advance(HOOK_MS)
    const drained = rejection('THREAD_STUCK', dispatcher.drain(epochOf(0), 0, 'stopping'))
    threads.kills.only.refuse(new ClsConsumerError('THREAD_STUCK', 'it did not exit'))
    await Promise.all([moved, drained])
    assert.deepEqual(since(), ['revoke 0@0'])
    assert.throws(() => dispatcher.assign(epochOf(0, 2)), { code: 'INVARIANT_BROKEN' })
  })

  test('an assign that throws here stops the consumer, and nothing starts', BOUNDED, async () => {
    const { dispatcher, threads, enqueue, broken } = await seated()
    threads.doneAtOnce.delete('assign')
    const moved = dispatcher.move(epochOf(0), 1)
    enqueue(0)
    await turn()
    const failure = toFailure(new Error('no table'), 'PROCESSOR_FAILED')
    threads.hook('assign 0@1').answer({ kind: 'failed', stage: 'lifecycle', failure })
    await moved
    assert.deepEqual([broken, threads.openBatchIds], [['PROCESSOR_FAILED'], []])
    await dispatcher.drain(epochOf(0), PATIENCE_MS, 'stopping')
    assert.ok(!threads.tasks.includes('revoke 0@1'))
  })
})
