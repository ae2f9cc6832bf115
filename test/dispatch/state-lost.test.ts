/** When the consumer is told that what a processor kept for a partition is gone. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { turn } from '../support/calls.ts'
import { BOUNDED, bench, epochOf, PATIENCE_MS } from './dispatcher-bench.ts'

describe('what a processor kept is gone', () => {
  test('with its thread: told of every partition that was assigned there, of no other, and once', BOUNDED, async () => {
    const { threads, start, dispatcher, stateLost } = bench({ threads: 2 })
    await start(0, 1, 2)
    threads.doneAtOnce.delete('assign')
    dispatcher.assign(epochOf(3))
    dispatcher.assign(epochOf(4))
    await turn()
    assert.deepEqual(stateLost, [])
    await threads.exit(0)
    assert.deepEqual(stateLost, [epochOf(0), epochOf(2)], 'partition 4 kept nothing yet')
    await threads.replace(0)
    threads.handlers.onExit(0, { fault: 'none', exitCode: 1, error: undefined, idleCount: 0 })
    assert.equal(stateLost.length, 2, 'its assign has not run again')
  })

  test('before anybody hears what became of its batches', BOUNDED, async () => {
    const { threads, start, enqueue, whenStateLost, retried } = bench()
    await start(0)
    enqueue(0)
    const order: string[] = []
    whenStateLost.push(() => order.push(`lost, ${retried.length} retried`))
    await threads.exit(0)
    assert.deepEqual([order, retried.length], [['lost, 0 retried'], 1])
  })

  test('with a killed thread as well', BOUNDED, async () => {
    const { threads, start, stateLost } = bench()
    await start(0)
    void threads.kill(0)
    assert.deepEqual(stateLost, [], 'not before its exit')
    await threads.exit(0)
    assert.deepEqual(stateLost, [epochOf(0)])
  })

  test(
    'with a move: after revoke has returned, which may save, and before the partition sits elsewhere',
    BOUNDED,
    async () => {
      const { threads, start, dispatcher, stateLost, saved, whenStateLost } = bench({ threads: 2 })
      await start(0)
      threads.doneAtOnce.delete('revoke')
      const seen: string[] = []
      whenStateLost.push(() => seen.push(`${saved.length} saved`, ...threads.tasks.slice(-1)))
      const moved = dispatcher.move(epochOf(0), 1)
      await turn()
      assert.deepEqual(stateLost, [])
      threads.tell(0, { kind: 'saved', ...epochOf(0) })
      threads.hook('revoke 0@0').answer({ kind: 'done' })
      assert.equal(await moved, true)
      assert.deepEqual([stateLost, seen], [[epochOf(0)], ['1 saved', 'revoke 0@0']])
    }
  )

  test(
    'with a move: where that renews the partition, assign is of the new epoch, and nothing old runs there',
    BOUNDED,
    async () => {
      const { threads, start, dispatcher, enqueue, dropped, whenStateLost } = bench({ threads: 2 })
      await start(0)
      threads.doneAtOnce.delete('revoke')
      whenStateLost.push(() => dispatcher.renew(epochOf(0), epochOf(0, 2), false))
      const moved = dispatcher.move(epochOf(0), 1)
      enqueue(0)
      await turn()
      threads.hook('revoke 0@0').answer({ kind: 'done' })
      assert.equal(await moved, true)
      const assigned = threads.runs.asks.at(-1)
      assert.ok(assigned?.task.kind === 'assign')
      assert.deepEqual([assigned.thread, assigned.task.epoch, dropped], [1, 2, [1]])
      enqueue(0, { epoch: 2 })
      assert.deepEqual(threads.openBatchIds, [2])
    }
  )

  test('is not told of a partition that leaves: drained, or drained while it moves', BOUNDED, async () => {
    for (const isMoving of [false, true]) {
      const { threads, start, dispatcher, stateLost } = bench({ threads: 2 })
      await start(0)
      threads.doneAtOnce.delete('revoke')
      if (isMoving) void dispatcher.move(epochOf(0), 1)
      await turn()
      const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
      await turn()
      threads.hook('revoke 0@0').answer({ kind: 'done' })
      await drained
      assert.deepEqual(stateLost, [])
    }
  })

  test('is told with the epoch of now', BOUNDED, async () => {
    const { threads, start, dispatcher, stateLost } = bench()
    await start(0)
    dispatcher.renew(epochOf(0), epochOf(0, 2), true)
    await threads.exit(0)
    assert.deepEqual(stateLost, [epochOf(0, 2)])
  })
})
