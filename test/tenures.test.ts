/** Tenures within their consumer, on virtual time: service and threads answer when the test says so. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ConsumerOptions } from '../src/options.ts'
import { Calls, turn } from './support/calls.ts'
import { BOUNDED, bench, fail, INTERVAL_MS, NOW_S } from './support/consumer-bench.ts'
import { withError, withMessages, withoutMessages } from './support/fake-data.ts'
import { systemError } from './support/fake-files.ts'

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
        assert.ok(hasLogged('an offset is gone: repositioning'))
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

describe('dead letters', () => {
  const LETTERS = [{ kind: 'log', messageIndex: 0, logIndex: 3, reason: 'odd', raw: Buffer.from('log') }] as const
  const POISON = [{ messageIndex: 4, bytePosition: 96, reason: 'cut', raw: Buffer.from('"QQ=="') }]
  const options = {
    deadLetterDirectory: '/dead',
    onFailure: 'dead-letter',
    attempts: 1,
    commitIntervalMs: 1000
  } as const

  for (const [what, answer] of [
    ['logs that a processor sets aside', { letters: LETTERS }],
    ['messages that cannot be decoded', { poison: POISON }]
  ] as const) {
    test(`I1: ${what}: nothing is committed while their sync hangs, and all of it after`, BOUNDED, async t => {
      const { start, fill, finish, files, time, committed } = bench(t, options)
      await start()
      await fill(90n)
      const synced = new Calls<void, undefined>()
      files.fault = call => (call === 'sync' ? synced.make() : undefined)
      await finish(90n, answer)
      await time.advance(20_000)
      assert.deepEqual([committed.get(0), synced.open.length], [90n, 1])
      synced.always = () => undefined
      for (const call of synced.open) call.answer(undefined)
      await time.advance(1000)
      assert.equal(committed.get(0), 100n)
    })
  }

  test('I1: a batch that failed: nothing is committed while the sync of its messages hangs', BOUNDED, async t => {
    const { start, fill, failBatch, files, time, committed, scout, threads, idFrom } = bench(t, options)
    scout.harvests.always = () => ({ nextOffset: 100n, messages: [Buffer.from('"one"'), Buffer.from('"two"')] })
    await start()
    await fill(90n)
    const synced = new Calls<void, undefined>()
    files.fault = call => (call === 'sync' ? synced.make() : undefined)
    threads.tell(0, { kind: 'next-offset', batchId: idFrom(90n), nextOffset: 100n, messageCount: 2 })
    await failBatch(90n)
    await time.advance(20_000)
    assert.equal(committed.get(0), 90n)
    synced.always = () => undefined
    for (const call of synced.open) call.answer(undefined)
    await time.advance(1000)
    assert.equal(committed.get(0), 100n)
  })

  test('letters of an attempt that fails are not written', BOUNDED, async t => {
    const { start, fill, failBatch, finish, files, time, idFrom, threads } = bench(t, { ...options, attempts: 2 })
    await start()
    await fill(90n)
    const before = files.calls.length
    await failBatch(90n)
    await time.advance(1000)
    assert.equal(threads.batch(idFrom(90n)).task.attempt, 2)
    await finish(90n)
    assert.equal(files.calls.length, before)
  })

  test(
    'I1: a full disk: tried again, then parked; the others go on; after resume() nothing is lost',
    BOUNDED,
    async t => {
      const { start, grant, fill, finish, files, time, committed, data, consumer, partition, threads } = bench(t, {
        ...options,
        attempts: 2
      })
      grant(0, 1)
      committed.set(0, 50n)
      const told: string[] = []
      consumer.on('retried', ({ error }) => told.push(`retried ${error.code}`))
      consumer.on('parked', ({ offset, error }) => told.push(`parked ${offset} ${error.code}`))
      consumer.on('deadLettered', ({ startOffset, letterCount }) => told.push(`letters ${startOffset} ${letterCount}`))
      await start()
      files.fault = call => {
        if (call === 'write') throw systemError('ENOSPC')
        return undefined
      }
      await data.from(50n).complete(withMessages(60n))
      await finish(50n, { letters: LETTERS })
      await time.advance(2000)
      assert.deepEqual(told, ['retried DEAD_LETTER_WRITE', 'parked 50 DEAD_LETTER_WRITE'])
      await fill(90n)
      await finish(90n)
      await time.advance(1000)
      assert.deepEqual([partition(0).state, committed.get(0), committed.get(1)], ['parked', 50n, 100n])
      files.fault = () => undefined
      assert.equal(await consumer.resume('topic-a', 0), 1)
      await data.from(50n).complete(withMessages(60n))
      assert.equal(threads.openBatchIds.length, 1)
      await finish(50n, { letters: LETTERS })
      await time.advance(1000)
      assert.deepEqual([committed.get(0), told.at(-1)], [60n, 'letters 50 1'])
    }
  )

  for (const how of ['revoked', 'stopped', 'lost'] as const) {
    test(
      `I1: ${how} while letters cannot be written: it is released, and stays before their batch`,
      BOUNDED,
      async t => {
        const { start, fill, finish, files, time, committed, grant, control, consumer } = bench(t, {
          ...options,
          attempts: 100,
          backoffMs: 60_000,
          backoffMaxMs: 60_000
        })
        await start()
        await fill(90n)
        files.fault = call => {
          if (call === 'write') throw systemError('ENOSPC')
          return undefined
        }
        await finish(90n, { letters: LETTERS })
        await time.advance(100)
        if (how === 'stopped') await time.settle(consumer.stop())
        else {
          grant()
          if (how === 'lost') {
            control.heartbeats.always = () => {
              throw fail('API_UNREACHABLE')
            }
          }
          await time.advance(2 * INTERVAL_MS)
        }
        assert.deepEqual([consumer.snapshot().partitions, committed.get(0)], [[], 90n])
      }
    )
  }

  test('the processor’s own onFailure goes before the option', BOUNDED, async t => {
    const { start, fill, failBatch, threads, idFrom, time, committed, consumer } = bench(t, {
      ...options,
      onFailure: 'stop'
    })
    await start()
    threads.tell(0, { kind: 'policy', onFailure: 'skip' })
    await fill(90n)
    threads.tell(0, { kind: 'next-offset', batchId: idFrom(90n), nextOffset: 100n, messageCount: 2 })
    await failBatch(90n)
    await time.advance(1000)
    assert.deepEqual([committed.get(0), consumer.snapshot().skippedBatchCount], [100n, 1])
  })
})

describe('a batch that backs off', () => {
  for (const how of ['revoked', 'stopped', 'lost'] as const) {
    test(`I1: ${how} meanwhile: it is released before it, and not tried again`, BOUNDED, async t => {
      const { start, fill, failBatch, time, committed, grant, control, consumer, threads } = bench(t, {
        backoffMs: 60_000,
        backoffMaxMs: 60_000
      })
      await start()
      await fill(90n, 2)
      await failBatch(90n)
      if (how === 'stopped') await time.settle(consumer.stop())
      else {
        grant()
        if (how === 'lost') {
          control.heartbeats.always = () => {
            throw fail('API_UNREACHABLE')
          }
        }
        await time.advance(2 * INTERVAL_MS)
      }
      assert.deepEqual([consumer.snapshot().partitions, committed.get(0)], [[], 90n])
      await time.advance(60_000)
      assert.equal(threads.tasks.filter(task => task.startsWith('batch')).length, 1)
    })
  }
})

describe('commit mode manual', () => {
  /** 90–100 is processed and not saved, 100–110 is open. */
  async function unsaved(t: TestContext, options: Partial<ConsumerOptions> = {}) {
    const made = bench(t, { commitMode: 'manual', commitIntervalMs: 1000, threads: 2, ...options })
    await made.start()
    await made.fill(90n, 3)
    await made.finish(90n)
    return { ...made, home: made.threads.homeOf(0) ?? assert.fail('it is assigned') }
  }

  test('I1: nothing is committed that is not saved; a save covers what was before it', BOUNDED, async t => {
    const { time, committed, finish } = await unsaved(t)
    await time.advance(1000)
    assert.equal(committed.get(0), 90n)
    await finish(100n, { isSaved: true })
    await finish(110n)
    await time.advance(1000)
    assert.equal(committed.get(0), 110n)
  })

  test('I1: a thread that dies: the partition restarts at its last save, in a new epoch', BOUNDED, async t => {
    const { threads, home, data, partition, finish, time, committed, fill } = await unsaved(t)
    const { epoch } = partition()
    await threads.exit(home)
    await threads.replace(home)
    assert.ok(partition().epoch > epoch)
    assert.deepEqual(data.openOffsets, [90n])
    await fill(90n)
    await time.advance(5000)
    await finish(90n, { isSaved: true })
    await time.advance(1000)
    assert.equal(committed.get(0), 100n)
  })

  test('with everything saved it goes on in its epoch, with the batch that was open', BOUNDED, async t => {
    const { threads, home, data, partition, finish, idFrom, time } = await unsaved(t)
    await finish(100n, { isSaved: true })
    const { epoch } = partition()
    await threads.exit(home)
    await threads.replace(home)
    await time.advance(5000)
    assert.deepEqual([partition().epoch, data.openOffsets], [epoch, [120n]])
    assert.ok(idFrom(110n) > 0)
  })

  test('I3: a result that waits to be taken when the thread dies does not count', BOUNDED, async t => {
    const results = new Calls<bigint, void>()
    const { threads, start, fill, finish, time, committed, partition, data } = bench(t, {
      commitMode: 'manual',
      commitIntervalMs: 1000,
      onResult: (_, { startOffset }) => results.make(startOffset)
    })
    await start()
    await fill(90n)
    await finish(90n)
    const { epoch } = partition()
    await threads.exit(0)
    await threads.replace(0)
    assert.ok(partition().epoch > epoch)
    results.only.answer()
    await time.advance(2000)
    assert.deepEqual([committed.get(0), partition().nextOffset, data.openOffsets], [90n, 90n, [90n]])
  })

  for (const isSaved of [true, false]) {
    test(
      `I1: moved to another thread ${isSaved ? 'with a save in revoke, it goes on' : 'without a save, it restarts at its last one'}`,
      BOUNDED,
      async t => {
        const { threads, home, data, finish, consumer, partition, idFrom } = await unsaved(t)
        const { epoch } = partition()
        threads.doneAtOnce.delete('revoke')
        const moved = consumer.moveToThread({ topicId: 'topic-a', partition: 0 }, 1 - home)
        await finish(100n)
        if (isSaved) threads.tell(home, { kind: 'saved', topicId: 'topic-a', partition: 0, epoch })
        threads.hook(`revoke 0@${home}`).answer({ kind: 'done' })
        assert.equal(await moved, true)
        await turn()
        assert.equal(partition().epoch === epoch, isSaved)
        if (isSaved) assert.ok(idFrom(110n) > 0)
        else assert.deepEqual(data.openOffsets, [90n])
      }
    )
  }

  test('revoke may save: that is committed with the release', BOUNDED, async t => {
    const { threads, home, finish, grant, time, committed, partition } = await unsaved(t)
    const { epoch } = partition()
    threads.doneAtOnce.delete('revoke')
    grant()
    await time.advance(INTERVAL_MS)
    await finish(100n)
    threads.tell(home, { kind: 'saved', topicId: 'topic-a', partition: 0, epoch })
    threads.hook(`revoke 0@${home}`).answer({ kind: 'done' })
    await time.advance(100)
    assert.equal(committed.get(0), 110n)
  })

  test('saves outlive a pause: what the processor kept is not read again', BOUNDED, async t => {
    const { finish, consumer, time, committed, data, fill } = await unsaved(t)
    consumer.pause('topic-a', 0)
    await finish(100n)
    assert.equal(await consumer.resume(), 1)
    await time.advance(1000)
    assert.deepEqual([committed.get(0), data.openOffsets], [90n, [110n]])
    await fill(110n)
    await finish(110n, { isSaved: true })
    await time.advance(1000)
    assert.equal(committed.get(0), 120n)
  })

  test(
    'I1: nor does the pause make it saved: the thread dies after the resume → back to the last save',
    BOUNDED,
    async t => {
      const { finish, consumer, threads, home, data } = await unsaved(t)
      consumer.pause('topic-a', 0)
      await finish(100n)
      await consumer.resume()
      await threads.exit(home)
      await threads.replace(home)
      assert.deepEqual(data.openOffsets, [90n])
    }
  )

  test(
    'a batch that threads die of gets the policy all the same, though each death begins a new epoch',
    BOUNDED,
    async t => {
      const { threads, home, time, fill, finish, partition, consumer } = await unsaved(t, {
        attempts: 3,
        onFailure: 'park',
        backoffMs: 100
      })
      const parked: bigint[] = []
      consumer.on('parked', ({ offset }) => parked.push(offset))
      for (let deaths = 0; deaths < 3; deaths++) {
        await threads.exit(home)
        await threads.replace(home)
        assert.equal(partition().startOffset, 90n, 'each time it begins at its last save')
        await fill(90n, 2)
        await time.advance(1000)
        await finish(90n)
      }
      assert.deepEqual([parked, partition().state, threads.openBatchIds], [[100n], 'parked', []])
    }
  )
})
