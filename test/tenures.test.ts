/** Tenures within their consumer, on virtual time: service and threads answer when the test says so. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { turn } from './support/calls.ts'
import { BOUNDED, bench, fail, INTERVAL_MS, NOW_S } from './support/consumer-bench.ts'
import { withError, withMessages, withoutMessages } from './support/fake-data.ts'

describe('opening a partition', () => {
  test('I11: a start that came from startFrom is committed before the first pull from it', BOUNDED, async t => {
    const { start, news, control, data } = bench(t)
    control.commits.always = undefined
    await start()
    assert.deepEqual([news(), data.pulls.length], [['heartbeat -'], 0])
    assert.deepEqual(control.commits.only.ask.offsets, [{ topicId: 'topic-a', partition: 0, offset: 90n }])
    control.commits.only.answer()
    await turn()
    assert.deepEqual(news(), ['pull 0:90'])
  })

  test('the committed offset is gone on from, whatever startFrom says', BOUNDED, async t => {
    const { start, news, committed } = bench(t, { startFrom: 'begin' })
    committed.set(0, 55n)
    await start()
    assert.deepEqual(news(), ['heartbeat -', 'commit 0:55', 'pull 0:55'])
  })

  test('I6: positions that cannot be told are asked for again, and nothing is pulled meanwhile', BOUNDED, async t => {
    const { start, time, control, data, hasLogged, consumer } = bench(t)
    const answer = control.offsets.always
    control.offsets.always = () => {
      throw fail('API_UNAVAILABLE')
    }
    await start()
    await time.advance(10_000)
    assert.ok(hasLogged('the positions of a topic are not known yet'))
    assert.deepEqual([data.pulls.length, consumer.snapshot().phase], [0, 'running'])
    control.offsets.always = answer
    await time.advance(1000)
    assert.deepEqual(data.openOffsets, [90n])
  })

  test('I6: positions that are refused for good stop the consumer', BOUNDED, async t => {
    const { start, time, control, data, consumer } = bench(t)
    control.offsets.always = () => {
      throw fail('API_NOT_FOUND')
    }
    await start()
    await assert.rejects(time.settle(consumer.finished), { code: 'API_NOT_FOUND' })
    assert.equal(data.pulls.length, 0)
  })

  test(
    'a partition that is revoked while its start is committed is never pulled, and is released',
    BOUNDED,
    async t => {
      const { start, time, control, data, grant, news } = bench(t)
      control.commits.always = undefined
      await start()
      grant()
      await time.advance(INTERVAL_MS)
      control.commits.only.answer()
      await turn()
      assert.equal(data.pulls.length, 0)
      assert.deepEqual(news().slice(-2), ['heartbeat 0', 'heartbeat -'])
    }
  )
})

describe('closing a partition', () => {
  test(
    'I4: its open batch ends, revoke runs, it is committed, and only then the heartbeat omits it',
    BOUNDED,
    async t => {
      const { start, time, data, threads, grant, news, idFrom, committed } = bench(t)
      await start()
      data.from(90n).arrive(withMessages(100n))
      await data.from(90n).complete(withMessages(100n))
      grant()
      await time.advance(INTERVAL_MS)
      assert.deepEqual(data.openOffsets, [], 'it pulls no more')
      await time.advance(10_000)
      news()
      threads.doneAtOnce.delete('revoke')
      await threads.finish(idFrom(90n), { nextOffset: 100n })
      assert.deepEqual(news(), [])
      threads.hook('revoke 0@0').answer({ kind: 'done' })
      await turn()
      assert.deepEqual(news(), ['commit 0:100', 'heartbeat -'])
      assert.equal(committed.get(0), 100n)
    }
  )

  test(
    'its last commit is sent once more: a late one of its former owner may have been taken over it',
    BOUNDED,
    async t => {
      const { start, time, data, threads, grant, news, idFrom, consumer } = bench(t)
      const committed: bigint[] = []
      consumer.on('committed', ({ offset }) => committed.push(offset))
      await start()
      await data.from(90n).complete(withMessages(100n))
      await threads.finish(idFrom(90n), { nextOffset: 100n })
      await time.advance(5000)
      assert.ok(news().includes('commit 0:100'))
      grant()
      await time.advance(INTERVAL_MS)
      assert.deepEqual(news().slice(-3), ['heartbeat 0', 'commit 0:100', 'heartbeat -'])
      assert.deepEqual(committed, [90n, 100n], 'told once')
    }
  )

  test('I3: a late result of a partition that was lost is not committed', BOUNDED, async t => {
    const { start, time, control, data, threads, news, idFrom, committed } = bench(t)
    await start()
    await data.from(90n).complete(withMessages(100n))
    control.heartbeats.always = () => {
      throw fail('API_UNREACHABLE')
    }
    await time.advance(2 * INTERVAL_MS)
    assert.deepEqual(new Set(threads.posted.map(({ message }) => message.reason)), new Set(['the lease has ended']))
    news()
    await threads.finish(idFrom(90n), { nextOffset: 100n })
    await time.advance(60_000)
    assert.deepEqual(
      news().filter(line => line.startsWith('commit')),
      []
    )
    assert.equal(committed.get(0), 90n)
  })

  test('I12: a process that was stopped past its lease starts and commits nothing when it wakes', BOUNDED, async t => {
    const { start, data, threads, stopProcess, news, idFrom, consumer, committed } = bench(t)
    const lost: number[] = []
    consumer.on('leaseLost', ({ partitions }) => lost.push(partitions.length))
    await start()
    for (const offset of [90n, 100n]) {
      data.from(offset).arrive(withMessages(offset + 10n))
      await data.from(offset).complete(withMessages(offset + 10n))
    }
    news()
    stopProcess(2 * INTERVAL_MS)
    await threads.finish(idFrom(90n), { nextOffset: 100n })
    assert.deepEqual(threads.openBatchIds, [], 'the next batch does not start')
    assert.deepEqual(lost, [1])
    assert.equal(committed.get(0), 90n)
    assert.deepEqual(
      [...new Set(news().filter(line => line.startsWith('commit')))],
      ['commit 0:90'],
      'a new epoch begins anew'
    )
  })

  test('I3: what a lost epoch had settled is not committed once the lease is back', BOUNDED, async t => {
    const { start, time, data, threads, stopProcess, news, idFrom, control } = bench(t)
    await start()
    for (const offset of [90n, 100n]) {
      data.from(offset).arrive(withMessages(offset + 10n))
      await data.from(offset).complete(withMessages(offset + 10n))
    }
    await threads.finish(idFrom(90n), { nextOffset: 100n })
    news()
    stopProcess(2 * INTERVAL_MS)
    // The next heartbeat is answered: the lease is back, and the lost batch still runs.
    await time.advance(2 * INTERVAL_MS)
    assert.equal(control.heartbeats.asks.at(-1)?.held[0]?.partitions.length, 1)
    assert.deepEqual(
      news().filter(line => line.startsWith('commit')),
      []
    )
  })

  test('I3: nothing of an epoch whose commit was refused is delivered or committed', BOUNDED, async t => {
    const delivered: bigint[] = []
    const onResult = (_: unknown, { startOffset }: { readonly startOffset: bigint }) => void delivered.push(startOffset)
    const { start, time, data, threads, idFrom, news, control } = bench(t, { onResult })
    await start()
    for (const offset of [90n, 100n]) {
      data.from(offset).arrive(withMessages(offset + 10n))
      await data.from(offset).complete(withMessages(offset + 10n))
    }
    await threads.finish(idFrom(90n), { nextOffset: 100n })
    const accept = control.commits.always
    control.commits.always = () => {
      throw fail('API_REFUSED')
    }
    await time.advance(3000)
    control.commits.always = accept
    news()
    await threads.finish(idFrom(100n), { nextOffset: 110n })
    await time.advance(10_000)
    assert.deepEqual(delivered, [90n])
    assert.ok(!news().includes('commit 0:110'))
  })

  test('a refused commit ends its epoch alone, and the partition comes back in a new one', BOUNDED, async t => {
    const { start, time, control, data, threads, grant, idFrom, news, consumer } = bench(t, { commitIntervalMs: 1000 })
    grant(0, 1)
    await start()
    const epochs = () => consumer.snapshot().partitions.map(({ partition, epoch }) => [partition, epoch])
    const before = epochs()
    const zero = data.pulls.find(({ request }) => request.partition === 0)
    await zero?.complete(withMessages(100n))
    await threads.finish(idFrom(90n), { nextOffset: 100n })
    const accept = control.commits.always
    control.commits.always = () => {
      throw fail('API_REFUSED')
    }
    await time.advance(1000)
    control.commits.always = accept
    await time.advance(1000)
    const after = epochs()
    assert.deepEqual(after[1], before[1])
    assert.ok((after[0]?.[1] ?? 0) > (before[1]?.[1] ?? 0), `${before} → ${after}`)
    assert.ok(news().includes('heartbeat 1'), 'it was released in between')
  })
})

describe('a bounded run', () => {
  test('the end that becomes known while a start is committed bounds the pulls from there', BOUNDED, async t => {
    const stopAt = NOW_S + 10
    const { start, time, control, data } = bench(t, { stopAt, startFrom: 'begin' })
    control.commits.always = undefined
    await start()
    // One guard past the time: holding and known have passed while the commit is on its way.
    await time.advance(13_000)
    assert.equal(data.pulls.length, 0)
    control.commits.only.answer()
    await turn()
    const pull = data.pulls.at(-1)
    assert.equal(pull?.request.endTime, stopAt)
  })

  test('it ends by itself once every partition is done, with everything committed', BOUNDED, async t => {
    const { start, time, data, threads, idFrom, committed, consumer, grant, control } = bench(t, {
      stopAt: 'now',
      startFrom: 'begin'
    })
    grant(0)
    await start()
    await data.from(10n).complete(withMessages(90n))
    control.heartbeats.always = () => []
    await threads.finish(idFrom(10n), { nextOffset: 90n })
    await time.settle(consumer.finished)
    assert.equal(committed.get(0), 90n)
  })
})

describe('an offset that is gone', () => {
  for (const [onInvalidOffset, startOffset] of [
    ['begin', 10n],
    ['end', 90n]
  ] as const) {
    test(
      `I6: onInvalidOffset ${onInvalidOffset} goes on there in a new epoch, says so, and commits it before the first pull`,
      BOUNDED,
      async t => {
        const { start, data, committed, news, hasLogged, consumer } = bench(t, { onInvalidOffset })
        committed.set(0, 5n)
        await start()
        const epoch = consumer.snapshot().partitions[0]?.epoch ?? 0
        news()
        const assigned: [bigint, string][] = []
        consumer.on('assigned', event => assigned.push([event.startOffset, event.reason]))
        await data.from(5n).complete(withError('InvalidParameter.InvalidOffset'))
        assert.deepEqual(news(), [`commit 0:${startOffset}`, `pull 0:${startOffset}`])
        assert.deepEqual(assigned, [[startOffset, `offset 5 is gone, onInvalidOffset ${onInvalidOffset}`]])
        assert.ok(hasLogged('an offset is gone: going on elsewhere'))
        assert.ok((consumer.snapshot().partitions[0]?.epoch ?? 0) > epoch)
      }
    )
  }

  test('I6: by default it stops the consumer, and nothing is skipped', BOUNDED, async t => {
    const { start, time, data, committed, consumer } = bench(t)
    committed.set(0, 5n)
    await start()
    await data.from(5n).complete(withError('InvalidParameter.InvalidOffset'))
    await assert.rejects(time.settle(consumer.finished), { code: 'API_INVALID_OFFSET' })
    assert.equal(committed.get(0), 5n)
  })

  test(
    'I6: the very offset that was refused is the committed one: another group is asked for the log’s own',
    BOUNDED,
    async t => {
      const { start, time, data, committed, control } = bench(t, { onInvalidOffset: 'begin' })
      committed.set(0, 5n)
      control.offsets.always = ({ from, group }) =>
        new Map([[0, (group === 'group' ? committed.get(0) : undefined) ?? (from === 'begin' ? 10n : 90n)]])
      control.created.always = () => true
      control.deleted.always = () => undefined
      await start()
      await data.from(5n).complete(withError('InvalidParameter.InvalidOffset'))
      await time.advance(10)
      assert.deepEqual([data.openOffsets, committed.get(0)], [[10n], 10n])
      assert.deepEqual(control.deleted.asks, [control.created.asks[0]?.group])
    }
  )

  test('a stop waits until the group made for the question is deleted', BOUNDED, async t => {
    const { start, time, data, committed, consumer, control, news } = bench(t, { onInvalidOffset: 'begin' })
    committed.set(0, 10n)
    control.created.always = () => true
    await start()
    await data.from(10n).complete(withError('InvalidParameter.InvalidOffset'))
    const stopped = consumer.stop()
    await time.advance(1000)
    assert.ok(!news().includes('closed'))
    control.deleted.only.answer()
    await time.settle(stopped)
    assert.ok(news().includes('closed'))
  })

  test('the very offset that was refused is no way out', BOUNDED, async t => {
    const { start, time, data, committed, consumer, control } = bench(t, { onInvalidOffset: 'begin' })
    committed.set(0, 10n)
    control.created.always = () => true
    control.deleted.always = () => undefined
    await start()
    await data.from(10n).complete(withError('InvalidParameter.InvalidOffset'))
    await assert.rejects(time.settle(consumer.finished), { code: 'API_INVALID_OFFSET' })
  })

  test('I8: a new start that cannot be committed before the lease ends does not spin', BOUNDED, async t => {
    const { start, time, data, committed, control, stopProcess, log, threads } = bench(t, { onInvalidOffset: 'begin' })
    committed.set(0, 5n)
    await start()
    control.commits.always = undefined
    control.heartbeats.always = () => {
      throw fail('API_UNREACHABLE')
    }
    await data.from(5n).complete(withError('InvalidParameter.InvalidOffset'))
    stopProcess(2 * INTERVAL_MS)
    control.commits.only.refuse(fail('API_TIMEOUT'))
    await time.advance(5000)
    const lines = log.lines.filter(({ message }) => message === 'the new start is not committed yet').length
    assert.ok(lines >= 1 && lines <= 10, `${lines} lines`)
    assert.deepEqual([data.openOffsets, threads.openBatchIds], [[], []])
  })
})

describe('stopping', () => {
  test(
    'I4: stop drains, commits, releases, tells the last heartbeat, and only then ends threads and connections',
    BOUNDED,
    async t => {
      const { start, data, threads, news, idFrom, consumer, time } = bench(t)
      await start()
      await data.from(90n).complete(withMessages(100n))
      news()
      const stopped = consumer.stop()
      await turn()
      assert.deepEqual([news(), threads.closeCount, data.openOffsets], [[], 0, []])
      await threads.finish(idFrom(90n), { nextOffset: 100n })
      await time.settle(stopped)
      assert.deepEqual(news(), ['commit 0:100', 'heartbeat -', 'heartbeat -', 'closed'])
      assert.deepEqual(threads.tasks.slice(-2), ['revoke 0@0', 'stop@0'])
      assert.equal(threads.closeCount, 1)
      assert.equal(time.pendingCount, 0, 'nothing is left behind')
      await consumer.finished
    }
  )

  test('I8: a service that refuses commits for good does not make stop wait for its deadlines', BOUNDED, async t => {
    const { start, time, data, threads, control, idFrom, consumer } = bench(t)
    await start()
    await data.from(90n).complete(withMessages(100n))
    control.commits.always = () => {
      throw fail('API_UNAUTHORIZED')
    }
    await threads.finish(idFrom(90n), { nextOffset: 100n })
    const before = time.clock.monotonic()
    await assert.rejects(time.settle(consumer.finished), { code: 'API_UNAUTHORIZED' })
    assert.ok(time.clock.monotonic() - before < 5000, `${time.clock.monotonic() - before} ms`)
  })

  test('threads that do not exit are an error, and the connections are closed all the same', BOUNDED, async t => {
    const { start, threads, consumer, time, news } = bench(t)
    await start()
    threads.closeError = fail('THREAD_STUCK')
    await time.settle(consumer.stop())
    await assert.rejects(consumer.finished, { code: 'THREAD_STUCK' })
    assert.equal(news().at(-1), 'closed')
  })

  test('an idle partition has nothing to wait for', BOUNDED, async t => {
    const { start, data, consumer, time, committed } = bench(t)
    await start()
    await data.from(90n).complete(withoutMessages(95n))
    await time.settle(consumer.stop())
    assert.equal(committed.get(0), 95n)
    assert.equal(time.clock.monotonic(), 0)
  })
})
