/** Topics that the service refuses, and a group that somebody deletes: within a whole consumer, on virtual time. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError } from '../src/errors.ts'
import { BOUNDED, bench, fail, INTERVAL_MS, NOW_S } from './support/consumer-bench.ts'
import { withError, withMessages, withoutMessages } from './support/fake-data.ts'

const TWO = { topicIds: ['topic-a', 'topic-b'], backoffMs: 1000, backoffMaxMs: 8000 }

type Bench = ReturnType<typeof bench>

function watch({ consumer }: Bench): string[] {
  const told: string[] = []
  consumer.on('topicRefused', ({ topicId, error }) => told.push(`refused ${topicId} ${error.code}`))
  consumer.on('topicRestored', ({ topicId }) => told.push(`restored ${topicId}`))
  consumer.on('groupLost', ({ group }) => told.push(`lost ${group}`))
  consumer.on('failed', error => told.push(`failed ${error.code}`))
  return told
}

const pullsOf = ({ data }: Bench, topicId: string) => data.pulls.filter(({ request }) => request.topicId === topicId)

/** Refuses the newest pull of the topic. */
async function refusePull(it: Bench, topicId: string, code: 'API_TOPIC_CLOSED' | 'API_UNAUTHORIZED') {
  await pullsOf(it, topicId).at(-1)?.fail(fail(code))
}

describe('a topic whose pulls are refused', () => {
  for (const code of ['API_TOPIC_CLOSED', 'API_UNAUTHORIZED'] as const) {
    test(`${code}: it is told once and tried again, and the other topic goes on`, BOUNDED, async t => {
      const it = bench(t, TWO)
      const told = watch(it)
      await it.start()
      await refusePull(it, 'topic-b', code)
      assert.deepEqual(told, [`refused topic-b ${code}`])
      assert.ok(it.hasLogged('a topic is refused: it is tried again, the others go on'))

      await it.time.advance(1000)
      assert.equal(pullsOf(it, 'topic-b').length, 2, 'tried again')
      await refusePull(it, 'topic-b', code)
      await it.time.advance(2000)
      assert.equal(pullsOf(it, 'topic-b').length, 3, 'and again, later')
      assert.equal(told.length, 1, 'told once')

      await pullsOf(it, 'topic-a').at(-1)?.complete(withMessages(100n))
      await it.threads.finish(it.idFrom(90n), { nextOffset: 100n })
      await it.time.advance(3000)
      assert.ok(it.news().includes('commit 0:100'), 'the other topic is read and committed')
      assert.equal(it.consumer.snapshot().phase, 'running')
    })
  }

  test('it is restored by a pull that is answered', BOUNDED, async t => {
    const it = bench(t, TWO)
    const told = watch(it)
    await it.start()
    await refusePull(it, 'topic-b', 'API_TOPIC_CLOSED')
    await it.time.advance(1000)
    await pullsOf(it, 'topic-b').at(-1)?.complete(withMessages(100n))
    await it.threads.finish(it.idFrom(90n), { nextOffset: 100n })
    assert.deepEqual(told, ['refused topic-b API_TOPIC_CLOSED', 'restored topic-b'])
  })

  test('after an answer the next refusal is waited for as the first one was', BOUNDED, async t => {
    const it = bench(t, TWO)
    await it.start()
    for (let refusal = 0; refusal < 4; refusal++) {
      await refusePull(it, 'topic-b', 'API_TOPIC_CLOSED')
      await it.time.advance(8000)
    }
    await pullsOf(it, 'topic-b').at(-1)?.complete(withoutMessages(90n))
    await it.time.advance(100)
    const count = pullsOf(it, 'topic-b').length
    await refusePull(it, 'topic-b', 'API_TOPIC_CLOSED')
    await it.time.advance(1000)
    assert.equal(pullsOf(it, 'topic-b').length, count + 1)
  })

  test(
    'it is not restored by an answer to another partition, whose pull had left before the refusal',
    BOUNDED,
    async t => {
      const it = bench(t, TWO)
      const told = watch(it)
      it.grant(0, 1)
      await it.start()
      const [first, second] = pullsOf(it, 'topic-b')
      await second?.fail(fail('API_TOPIC_CLOSED'))
      await first?.complete(withoutMessages(90n))
      assert.deepEqual(told, ['refused topic-b API_TOPIC_CLOSED'])
      await it.time.advance(1000)
      for (const pull of pullsOf(it, 'topic-b').slice(2))
        await pull.complete(withoutMessages(90n)).catch(() => undefined)
      assert.deepEqual(told, ['refused topic-b API_TOPIC_CLOSED', 'restored topic-b'])
    }
  )

  test('it is restored by any answer once the partition that was refused is gone', BOUNDED, async t => {
    const it = bench(t, TWO)
    const told = watch(it)
    it.grant(0, 1)
    await it.start()
    await pullsOf(it, 'topic-b')[1]?.fail(fail('API_TOPIC_CLOSED'))
    it.grant(0)
    await it.time.advance(INTERVAL_MS)
    await pullsOf(it, 'topic-b')[0]?.complete(withoutMessages(90n))
    assert.deepEqual(told.slice(0, 2), ['refused topic-b API_TOPIC_CLOSED', 'restored topic-b'])
  })

  test('where every topic is refused, the consumer stops with the error', BOUNDED, async t => {
    const it = bench(t, TWO)
    const told = watch(it)
    await it.start()
    await refusePull(it, 'topic-b', 'API_TOPIC_CLOSED')
    await refusePull(it, 'topic-a', 'API_UNAUTHORIZED')
    await assert.rejects(it.time.settle(it.consumer.finished), { code: 'API_UNAUTHORIZED' })
    assert.equal(told.at(-1), 'failed API_UNAUTHORIZED')
  })

  test('I8: a stop does not wait for the next attempt', BOUNDED, async t => {
    const it = bench(t, TWO)
    await it.start()
    await refusePull(it, 'topic-b', 'API_TOPIC_CLOSED')
    await it.time.settle(it.consumer.stop())
    assert.ok(it.time.clock.monotonic() < 1000, `stopped after ${it.time.clock.monotonic()} ms`)
    assert.equal(it.time.pendingCount, 0, 'no timer is left')
  })

  test('a bounded run ends, with the error, once the others are done', BOUNDED, async t => {
    const it = bench(t, { ...TWO, stopAt: 'now', startFrom: 'begin' })
    it.committed.set(0, 80n)
    await it.start()
    await refusePull(it, 'topic-b', 'API_TOPIC_CLOSED')
    await pullsOf(it, 'topic-a').at(-1)?.complete(withMessages(90n))
    await it.threads.finish(it.idFrom(80n), { nextOffset: 90n })
    await assert.rejects(it.time.settle(it.consumer.finished), { code: 'API_TOPIC_CLOSED' })
    assert.ok(it.news().includes('commit 0:90'))
  })
})

describe('a topic whose positions are refused', () => {
  const denied = (it: Bench) => {
    const answer = it.control.partitions.always
    it.control.partitions.always = topicId => {
      if (topicId === 'topic-b') throw fail('API_UNAUTHORIZED')
      return answer?.(topicId) ?? []
    }
    return () => {
      it.control.partitions.always = answer
    }
  }

  test('the consumer starts all the same, and reads the other', BOUNDED, async t => {
    const it = bench(t, TWO)
    const told = watch(it)
    denied(it)
    await it.start()
    assert.deepEqual(told, ['refused topic-b API_UNAUTHORIZED'])
    assert.deepEqual([pullsOf(it, 'topic-a').length, pullsOf(it, 'topic-b').length], [1, 0])
  })

  test('once permitted, it is opened as if it had been from the start', BOUNDED, async t => {
    const it = bench(t, { ...TWO, startFrom: 'end' })
    const told = watch(it)
    const permit = denied(it)
    const starts: bigint[] = []
    it.consumer.on('assigned', ({ topicId, startOffset }) => topicId === 'topic-b' && starts.push(startOffset))
    await it.start()
    permit()
    await it.time.advance(10_000)
    assert.deepEqual(told, ['refused topic-b API_UNAUTHORIZED', 'restored topic-b'])
    assert.deepEqual(starts, [90n], 'its partitions are not taken for new ones')
  })
})

describe('a topic whose commits are refused', () => {
  test('its epochs end, and the other topic goes on', BOUNDED, async t => {
    const it = bench(t, TWO)
    const told = watch(it)
    const accept = it.control.commits.always
    await it.start()
    it.control.commits.always = ask => {
      if (ask.offsets.some(({ topicId }) => topicId === 'topic-b')) throw fail('API_UNAUTHORIZED')
      return accept?.(ask)
    }
    for (const pull of it.data.pulls) await pull.complete(withMessages(100n))
    for (const { ask } of it.threads.runs.open)
      if (ask.task.kind === 'batch') await it.threads.finish(ask.task.batchId, { nextOffset: 100n })
    await it.time.advance(4000)
    assert.deepEqual(told, ['refused topic-b API_UNAUTHORIZED'])
    assert.ok(it.news().includes('commit 0:100'))
    assert.equal(it.consumer.snapshot().phase, 'running')
  })
})

describe('what one topic or one moment is to blame for', () => {
  test('a topic whose commits stay refused is opened less and less often', BOUNDED, async t => {
    const it = bench(t, TWO)
    const accept = it.control.commits.always
    it.control.commits.always = ask => {
      if (ask.offsets.some(({ topicId }) => topicId === 'topic-b')) throw fail('API_UNAUTHORIZED')
      return accept?.(ask)
    }
    await it.start()
    await it.time.advance(60_000)
    const opened = it.control.offsets.asks.filter(({ topicId }) => topicId === 'topic-b').length
    // 1, 2, 4, 8, 8 … seconds, and a few looks each.
    assert.ok(opened < 60, `${opened} looks in a minute`)
    it.control.commits.always = accept
    await it.time.advance(10_000)
    assert.ok(it.hasLogged('a topic that was refused is read again'))
  })

  test('the end of a bounded run that is throttled once is asked for again', BOUNDED, async t => {
    const it = bench(t, { stopAt: NOW_S + 10, startFrom: 'begin' })
    await it.start()
    const answer = it.control.offsets.always
    let refusals = 1
    it.control.offsets.always = ask => {
      if (refusals-- > 0) throw fail('API_THROTTLED')
      return answer?.(ask) ?? new Map()
    }
    await it.time.advance(15_000)
    assert.deepEqual([refusals < 0, it.consumer.snapshot().phase], [true, 'running'])
    await it.data.from(10n).complete(withMessages(90n))
    await it.threads.finish(it.idFrom(10n), { nextOffset: 90n })
    await it.time.settle(it.consumer.finished)
    assert.equal(it.committed.get(0), 90n)
  })

  test('whether others are at their end is asked again where one answer is an error', BOUNDED, async t => {
    const it = bench(t, { stopAt: 'now', startFrom: 'begin' })
    it.committed.set(0, 80n)
    it.committed.set(1, 90n)
    await it.start()
    await it.data.from(80n).complete(withMessages(90n))
    const answer = it.control.offsets.always
    let refusals = 2
    it.control.offsets.always = ask => {
      if (refusals-- > 0) throw fail('API_UNAVAILABLE')
      return answer?.(ask) ?? new Map()
    }
    await it.threads.finish(it.idFrom(80n), { nextOffset: 90n })
    await it.time.settle(it.consumer.finished)
    assert.deepEqual([refusals < 0, it.committed.get(0)], [true, 90n])
  })

  test(
    'an offset that is gone in a topic whose positions are refused leaves the other topic alone',
    BOUNDED,
    async t => {
      const it = bench(t, { ...TWO, onInvalidOffset: 'begin' })
      const told = watch(it)
      await it.start()
      const answer = it.control.offsets.always
      it.control.offsets.always = ask => {
        if (ask.topicId === 'topic-b') throw fail('API_UNAUTHORIZED')
        return answer?.(ask) ?? new Map()
      }
      await pullsOf(it, 'topic-b').at(-1)?.complete(withError('InvalidParameter.InvalidOffset'))
      await it.time.advance(20_000)
      assert.deepEqual([told, it.consumer.snapshot().phase], [['refused topic-b API_UNAUTHORIZED'], 'running'])
      it.control.offsets.always = answer
      await it.time.advance(10_000)
      assert.deepEqual(told, ['refused topic-b API_UNAUTHORIZED', 'restored topic-b'])
      assert.equal(pullsOf(it, 'topic-b').at(-1)?.request.startOffset, 10n)
    }
  )
})

describe('a group that somebody deletes', () => {
  async function deleteGroup(it: Bench) {
    const answer = it.control.heartbeats.always
    it.control.heartbeats.always = () => {
      throw fail('API_NOT_FOUND')
    }
    it.control.groups.always = () => []
    it.committed.clear()
    it.control.created.always = () => {
      it.control.heartbeats.always = answer
      return true
    }
    await it.time.advance(INTERVAL_MS)
  }

  test('is made again, and every partition goes on where it was left, whatever startFrom says', BOUNDED, async t => {
    const it = bench(t, { startFrom: 'end' })
    const told = watch(it)
    await it.start()
    await it.data.from(90n).complete(withMessages(100n))
    await it.threads.finish(it.idFrom(90n), { nextOffset: 100n })
    await it.time.advance(3000)
    it.news()
    await deleteGroup(it)
    await it.time.advance(1000)
    assert.deepEqual(told, ['lost group'])
    const assigned = it.log.lines.filter(({ message }) => message === 'assigned').at(-1)
    assert.equal(assigned?.fields?.startOffset, 100n)
    assert.ok(it.news().includes('commit 0:100'), 'I11: committed before the first pull')
    assert.deepEqual(it.data.openOffsets, [100n])
  })

  test('I6: what another consumer had is read from its beginning, whatever startFrom says', BOUNDED, async t => {
    const it = bench(t, { startFrom: 'end' })
    it.committed.set(1, 50n)
    await it.start()
    await deleteGroup(it)
    it.grant(0, 1)
    await it.time.advance(INTERVAL_MS)
    const starts = it.consumer.snapshot().partitions.map(({ partition, startOffset }) => [partition, startOffset])
    assert.deepEqual(starts, [
      [0, 90n],
      [1, 10n]
    ])
  })

  test(
    'I6: and another consumer makes it again between two heartbeats: what is held is committed anew',
    BOUNDED,
    async t => {
      const it = bench(t, { startFrom: 'end' })
      await it.start()
      await it.data.from(90n).complete(withMessages(100n))
      await it.threads.finish(it.idFrom(90n), { nextOffset: 100n })
      await it.time.advance(3000)
      assert.equal(it.committed.get(0), 100n)
      it.committed.clear()
      it.grant(0, 1)
      await it.time.advance(INTERVAL_MS + 4000)
      assert.equal(it.committed.get(0), 100n)
      const second = it.consumer.snapshot().partitions.find(({ partition }) => partition === 1)
      assert.equal(second?.startOffset, 10n, 'what another had is read from its beginning')
      assert.ok(it.hasLogged('committed offsets are gone: somebody deleted the group'))
    }
  )

  test('is joined again at once, also by who holds nothing', BOUNDED, async t => {
    const it = bench(t)
    it.grant()
    await it.start()
    it.news()
    await deleteGroup(it)
    assert.deepEqual(it.news(), ['heartbeat -'], 'the refused ones are not seen here')
  })

  test('I12: nothing of the epochs before is committed to the new group', BOUNDED, async t => {
    const it = bench(t, { startFrom: 'end' })
    await it.start()
    await it.data.from(90n).complete(withMessages(100n))
    const batchId = it.idFrom(90n)
    await deleteGroup(it)
    it.news()
    await it.threads.finish(batchId, { nextOffset: 100n })
    await it.time.advance(INTERVAL_MS)
    const commits = it.news().filter(line => line.startsWith('commit'))
    assert.deepEqual(commits, ['commit 0:90'], 'the new epoch begins where the old one had settled')
  })

  test('is tried again where the service is down, and given up where it refuses', BOUNDED, async t => {
    const it = bench(t)
    await it.start()
    let lookCount = 0
    it.control.heartbeats.always = () => {
      throw fail('API_NOT_FOUND')
    }
    it.control.groups.always = () => {
      lookCount += 1
      throw lookCount < 3 ? fail('API_UNAVAILABLE') : fail('API_UNAUTHORIZED')
    }
    await it.time.advance(INTERVAL_MS)
    await assert.rejects(it.time.settle(it.consumer.finished), { code: 'API_UNAUTHORIZED' })
    assert.equal(lookCount, 3)
  })

  test('"not found" for positions is taken for the group where that is gone', BOUNDED, async t => {
    const it = bench(t)
    const told = watch(it)
    const answer = it.control.offsets.always
    it.control.offsets.always = () => {
      throw fail('API_NOT_FOUND')
    }
    const groups = it.control.groups.always
    let lookCount = 0
    it.control.groups.always = topicIds => {
      lookCount += 1
      return lookCount === 1 ? (groups?.(topicIds) ?? []) : []
    }
    await it.start()
    assert.deepEqual([told, lookCount], [[], 2])
    assert.equal(it.news().filter(line => line.startsWith('heartbeat')).length, 2, 'the next heartbeat tells at once')
    it.control.offsets.always = answer
    it.control.groups.always = groups
    await it.time.advance(5000)
    assert.deepEqual([told, it.data.openOffsets], [[], [90n]])
  })
})

describe('a result that onResult refuses', () => {
  test('is offered again alone: the batch is not processed again, and its order holds', BOUNDED, async t => {
    const offered: bigint[] = []
    let failures = 2
    const onResult = (_: unknown, { startOffset }: { readonly startOffset: bigint }) => {
      offered.push(startOffset)
      if (failures-- > 0) throw new Error('sink is down')
    }
    const it = bench(t, { onResult, backoffMs: 100, backoffMaxMs: 100 })
    const retried: string[] = []
    it.consumer.on('retried', ({ error, place }) => retried.push(`${error.code} ${place.offset}`))
    await it.start()
    for (const offset of [90n, 100n]) {
      it.data.from(offset).arrive(withMessages(offset + 10n))
      await it.data.from(offset).complete(withMessages(offset + 10n))
    }
    await it.threads.finish(it.idFrom(90n), { nextOffset: 100n })
    assert.deepEqual(it.threads.openBatchIds, [], 'the next batch waits for the result')
    await it.time.advance(250)
    assert.deepEqual(offered, [90n, 90n, 90n])
    assert.deepEqual(retried, ['ON_RESULT_FAILED 90', 'ON_RESULT_FAILED 90'])
    await it.threads.finish(it.idFrom(100n), { nextOffset: 110n })
    assert.deepEqual(offered, [90n, 90n, 90n, 100n])
    await it.time.advance(3000)
    assert.equal(it.committed.get(0), 110n)
  })

  test('I1: refused to the last attempt, it stops the consumer before its batch', BOUNDED, async t => {
    const onResult = () => {
      throw new Error('sink is down')
    }
    const it = bench(t, { onResult, attempts: 3, backoffMs: 100 })
    await it.start()
    await it.data.from(90n).complete(withMessages(100n))
    await it.threads.finish(it.idFrom(90n), { nextOffset: 100n })
    await assert.rejects(it.time.settle(it.consumer.finished), (error: unknown) => {
      assert.ok(error instanceof ClsConsumerError && error.code === 'ON_RESULT_FAILED')
      assert.match(error.message, /sink is down/)
      return true
    })
    assert.equal(it.committed.get(0), 90n)
  })

  test('I12: a process that was stopped past its lease offers nothing when it wakes', BOUNDED, async t => {
    let offerCount = 0
    const onResult = () => {
      offerCount += 1
      throw new Error('sink is down')
    }
    const it = bench(t, { onResult, backoffMs: 1000, backoffMaxMs: 1000 })
    await it.start()
    await it.data.from(90n).complete(withMessages(100n))
    await it.threads.finish(it.idFrom(90n), { nextOffset: 100n })
    it.stopProcess(2 * INTERVAL_MS)
    await it.time.advance(1000)
    assert.equal(offerCount, 1)
  })

  test(
    'I8: a partition that is revoked meanwhile does not wait for further attempts; its batch repeats elsewhere',
    BOUNDED,
    async t => {
      const onResult = () => {
        throw new Error('sink is down')
      }
      const it = bench(t, { onResult, attempts: 1000, backoffMs: 600_000, backoffMaxMs: 600_000 })
      await it.start()
      await it.data.from(90n).complete(withMessages(100n))
      await it.threads.finish(it.idFrom(90n), { nextOffset: 100n })
      it.grant()
      it.news()
      await it.time.advance(INTERVAL_MS)
      await it.time.advance(1)
      assert.ok(it.news().includes('heartbeat -'), 'released at once')
      assert.equal(it.committed.get(0), 90n)
      assert.equal(it.consumer.snapshot().phase, 'running', 'that is no failure')
    }
  )
})
