/** A partition moves by itself to a thread that idles; and what may come between. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CommitMode } from '../../src/dispatch/messages.ts'
import { turn } from '../support/calls.ts'
import { BOUNDED, bench, epochOf, PATIENCE_MS } from './dispatcher-bench.ts'

const WINDOW_MS = 10_000
const MOVES = 'a partition moves to an idler thread'

/** Of a window: 0 is the one that helps most where it goes. */
const costOf = (partition: number): number => (partition === 0 ? 0.4 : 0.6)

interface Options {
  readonly threads?: number
  readonly balanceIntervalMs?: number
  readonly commitMode?: CommitMode
}

/** Partitions 0 and 2 on thread 0, 1 on thread 1, one batch open at a time. */
async function seated({ threads: threadCount = 2, balanceIntervalMs = WINDOW_MS, commitMode = 'auto' }: Options = {}) {
  const made = bench({ threads: threadCount, batchesPerThread: 1, balanceIntervalMs, commitMode })
  const { threads, time, enqueue, log, dispatcher } = made
  await made.start(0, 1, 2)
  const before = threads.tasks.length
  const hooks = (): string[] => threads.tasks.slice(before).filter(task => !task.startsWith('batch'))

  /** A window in which thread 0 works on 0 and 2 in turn and falls behind, and the others do so much. */
  async function window({ busyShare = 1, otherShare = 0.1, ms = WINDOW_MS } = {}): Promise<void> {
    const share = (thread: number): number => (thread === 0 ? busyShare : otherShare)
    for (const thread of Array.from({ length: threadCount }).keys()) {
      const { busyMs, batchMs } = threads.work(thread)
      threads.works[thread] = { busyMs: busyMs + ms * share(thread), batchMs: batchMs + (thread === 0 ? ms : 0) }
    }
    for (const partition of [0, 2]) {
      const batchId = enqueue(partition)
      // Others of a lane that was moved away from wait for nobody.
      for (let open = threads.openBatchIds; open.includes(batchId); open = threads.openBatchIds) {
        await threads.finish(batchId, { decodeMs: ms / 10, processMs: ms * (costOf(partition) - 0.1) })
      }
    }
    const waiting = [enqueue(0), enqueue(2)]
    await time.advance(ms)
    for (const batchId of waiting) if (threads.openBatchIds.includes(batchId)) await threads.finish(batchId)
    for (const batchId of waiting) if (threads.openBatchIds.includes(batchId)) await threads.finish(batchId)
    await turn()
  }
  const moves = () => log.lines.filter(({ message }) => message === MOVES).map(({ fields }) => fields)
  return { ...made, hooks, window, moves, dispatcher }
}

describe('where one thread is full and another idles', () => {
  test('a partition moves after two windows, by revoke and assign, and the log says why', BOUNDED, async () => {
    const { window, hooks, moves, dispatcher } = await seated()
    await window()
    assert.deepEqual(hooks(), [])
    await window()
    assert.deepEqual(hooks(), ['revoke 0@0', 'assign 0@1'])
    const [fields] = moves()
    const why = { thread: 0, busyPercent: 100, partitionPercent: 40, toThread: 1, toBusyPercent: 10 }
    assert.deepEqual(fields, { topicId: 't', partition: 0, ...why })
    assert.equal(dispatcher.moveCount, 1)
  })

  test('nothing moves where the other is busy too, or the one keeps up', BOUNDED, async () => {
    for (const shares of [{ otherShare: 0.8 }, { busyShare: 0.7 }]) {
      const { window, hooks } = await seated()
      for (let count = 0; count < 5; count++) await window(shares)
      assert.deepEqual(hooks(), [], JSON.stringify(shares))
    }
  })

  test('in commit mode manual nothing moves by itself', BOUNDED, async () => {
    const { window, hooks } = await seated({ commitMode: 'manual' })
    for (let count = 0; count < 5; count++) await window()
    assert.deepEqual(hooks(), [])
  })

  test('with an interval of 0, or one thread, there is not even a timer', BOUNDED, async () => {
    for (const options of [{ balanceIntervalMs: 0 }, { threads: 1 }]) {
      const { time } = await seated(options)
      assert.equal(time.pendingCount, 0)
    }
    const { time, dispatcher } = await seated()
    assert.equal(time.pendingCount, 1)
    await dispatcher.stop()
    assert.equal(time.pendingCount, 0)
  })

  test('a partition that may not go on stays: it is paused, or its lease is over', BOUNDED, async () => {
    const { window, hooks, forbidden, time, enqueue, threads, dispatcher } = await seated()
    await window()
    // Of each of the two a batch waits that must not start.
    for (const partition of [0, 2]) forbidden.add(enqueue(partition))
    threads.works[0] = { busyMs: 2 * WINDOW_MS, batchMs: 2 * WINDOW_MS }
    await time.advance(WINDOW_MS)
    assert.deepEqual(hooks(), [])
    dispatcher.dropQueued(epochOf(0))
    dispatcher.dropQueued(epochOf(2))
  })

  test('a partition that comes is seated where the least was done', BOUNDED, async () => {
    const { window, dispatcher, threads } = await seated()
    // Thread 1 has the fewer, and does the more.
    await window({ busyShare: 0.1, otherShare: 0.8 })
    dispatcher.assign(epochOf(5))
    await turn()
    assert.equal(threads.homeOf(5), 0)
  })
})

describe('a move by itself', () => {
  test('is the only one: no window counts before it has ended', BOUNDED, async () => {
    const { window, hooks, threads, time } = await seated()
    threads.doneAtOnce.delete('revoke')
    await window()
    await window()
    assert.deepEqual([hooks(), time.pendingCount > 0], [['revoke 0@0'], true])
    await window()
    await window()
    assert.deepEqual(hooks(), ['revoke 0@0'], 'nothing else, however long it takes')
    threads.hook('revoke 0@0').answer({ kind: 'done' })
    await turn()
    assert.deepEqual(hooks(), ['revoke 0@0', 'assign 0@1'])
  })

  test('I4: gives up where its partition is drained while it waits for the open batch', BOUNDED, async () => {
    const { hooks, threads, dispatcher, time, enqueue, moves, log } = await pressed()
    assert.deepEqual([moves().length, hooks()], [1, []], 'decided, and its batch is open')
    const drained = dispatcher.drain(epochOf(0), PATIENCE_MS, 'revoked')
    for (const batchId of threads.openBatchIds) await threads.finish(batchId)
    await drained
    await turn()
    assert.deepEqual([hooks(), dispatcher.moveCount], [['revoke 0@0'], 0])
    assert.ok(log.lines.some(({ level, message }) => level === 'debug' && message.includes('has not moved')))
    // And windows go on.
    enqueue(2)
    await time.advance(WINDOW_MS)
    assert.ok(time.pendingCount > 0)
    for (let open = threads.openBatchIds; open.length > 0; open = threads.openBatchIds) {
      for (const batchId of open) await threads.finish(batchId)
    }
    await dispatcher.stop()
    assert.equal(time.pendingCount, 0)
  })

  test('I2: meets the end of the thread it leaves: the batch runs again on the other', BOUNDED, async () => {
    const { hooks, threads, time, moves } = await pressed()
    assert.equal(moves().length, 1)
    const [batchId] = threads.openBatchIds
    await threads.exit(0)
    assert.deepEqual(hooks(), ['assign 0@1'])
    await time.advance(1000)
    assert.equal(threads.batch(batchId ?? 0).call.ask.thread, 1)
  })

  test('meets a stop: no timer is left, whatever comes of the move', BOUNDED, async () => {
    const { threads, dispatcher, time, hooks } = await pressed()
    const drains = [0, 1, 2].map(partition => dispatcher.drain(epochOf(partition), PATIENCE_MS, 'stopping'))
    const stopped = Promise.all(drains).then(() => dispatcher.stop())
    for (let open = threads.openBatchIds; open.length > 0; open = threads.openBatchIds) {
      for (const batchId of open) await threads.finish(batchId)
    }
    await stopped
    await turn()
    assert.equal(time.pendingCount, 0)
    assert.deepEqual(
      hooks().filter(hook => hook.startsWith('assign')),
      []
    )
  })

  test('that is still under way when the dispatcher stops begins no further window', BOUNDED, async () => {
    const { threads, dispatcher, time, window } = await seated()
    threads.doneAtOnce.delete('revoke')
    await window()
    await window()
    await dispatcher.stop()
    threads.hook('revoke 0@0').answer({ kind: 'done' })
    await turn()
    for (let open = threads.openBatchIds; open.length > 0; open = threads.openBatchIds) {
      for (const batchId of open) await threads.finish(batchId)
    }
    assert.equal(time.pendingCount, 0)
  })

  test('does not follow at once on one of the user’s, nor undo it', BOUNDED, async () => {
    const { window, hooks, dispatcher } = await seated()
    await window()
    assert.equal(await dispatcher.move(epochOf(1), 0), true)
    await window()
    assert.deepEqual(hooks(), ['revoke 1@1', 'assign 1@0'], 'what was measured before says little of now')
    await window()
    assert.deepEqual(hooks().slice(2), ['revoke 0@0', 'assign 0@1'], 'another one than the user’s')
  })

  test('is not decided on a window in which a thread was replaced', BOUNDED, async () => {
    const { window, hooks, threads } = await seated()
    await window()
    await threads.exit(1)
    await threads.replace(1)
    const before = hooks().length
    await window()
    assert.deepEqual(hooks().slice(before), [])
    await window()
    assert.deepEqual(hooks().slice(before), ['revoke 0@0', 'assign 0@1'])
  })
})

/** Two windows have gone by in which thread 0 fell behind; partition 0 is to move, and has a batch open. */
async function pressed() {
  const made = await seated()
  const { window, enqueue, threads, time } = made
  await window()
  for (const partition of [0, 2]) {
    const batchId = enqueue(partition)
    await threads.finish(batchId, { decodeMs: 0, processMs: WINDOW_MS * costOf(partition) })
  }
  const open = enqueue(0)
  enqueue(2)
  assert.deepEqual(threads.openBatchIds, [open])
  threads.works[0] = { busyMs: 2 * WINDOW_MS, batchMs: 2 * WINDOW_MS }
  threads.works[1] = { busyMs: 0.2 * WINDOW_MS, batchMs: 0 }
  await time.advance(WINDOW_MS)
  return made
}
