/** Partitions that are repositioned, within their consumer, on virtual time. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ConsumerOptions } from '../src/options.ts'
import { turn } from './support/calls.ts'
import { BOUNDED, bench, fail, INTERVAL_MS, NOW_S } from './support/consumer-bench.ts'
import { withError, withMessages } from './support/fake-data.ts'

const TOPIC = 'topic-a'
const COMMIT_MS = 3000
const commitsIn = (seen: readonly string[]) => seen.filter(line => line.startsWith('commit'))

/** Running at 90; with `open`, a batch 90–100 is with the thread and one more waits. */
async function running(t: TestContext, options: Partial<ConsumerOptions> = {}, open = true) {
  const made = bench(t, options)
  await made.start()
  if (open) await made.fill(90n, 2)
  made.news()
  return {
    ...made,
    rewind: async (from: bigint, offset: bigint) => {
      made.threads.batch(made.idFrom(from)).call.answer({ kind: 'rewound', offset })
      await turn()
    },
    logged: (message: string) => made.log.lines.filter(line => line.message === message).map(({ fields }) => fields)
  }
}

describe('rewind', () => {
  test(
    'I3: it begins a new epoch, what waited is dropped, and its start is committed before the first pull',
    BOUNDED,
    async t => {
      const { rewind, news, partition, control, threads, finish, data } = await running(t)
      const { epoch } = partition()
      const accept = control.commits.always
      control.commits.always = undefined
      await rewind(90n, 40n)
      assert.deepEqual([threads.openBatchIds, data.openOffsets, news()], [[], [], []])
      assert.equal(partition().state, 'opening')
      control.commits.always = accept
      control.commits.only.answer()
      await turn()
      assert.deepEqual(news(), ['pull 0:40'])
      assert.ok(partition().epoch > epoch)
      await data.from(40n).complete(withMessages(50n))
      await finish(40n)
    }
  )

  test('I1: the next commit goes backwards, and that is told at info', BOUNDED, async t => {
    const { rewind, news, finish, time, logged, committed, log } = await running(t)
    await finish(90n)
    await time.advance(COMMIT_MS)
    assert.deepEqual([commitsIn(news()), committed.get(0)], [['commit 0:100'], 100n])
    await rewind(100n, 40n)
    assert.equal(committed.get(0), 40n)
    const told = log.lines.find(({ message }) => message === 'the committed offset goes back')
    assert.deepEqual([told?.level, told?.fields], ['info', { topicId: TOPIC, partition: 0, from: 100n, to: 40n }])
    assert.deepEqual(logged('repositioned'), [
      { topicId: TOPIC, partition: 0, from: 100n, to: 40n, reason: 'rewind to 40' }
    ])
  })

  test('while it is paused, the partition stays paused, and goes on there when resumed', BOUNDED, async t => {
    const { rewind, consumer, data, partition } = await running(t)
    consumer.pause(TOPIC, 0)
    await rewind(90n, 40n)
    assert.deepEqual([partition().state, data.openOffsets], ['paused', []])
    assert.equal(await consumer.resume(), 1)
    assert.deepEqual(data.openOffsets, [40n])
  })

  test('of a partition that is being given up does not count', BOUNDED, async t => {
    const { rewind, grant, time, news, committed } = await running(t)
    grant()
    await time.advance(INTERVAL_MS)
    news()
    await rewind(90n, 40n)
    assert.deepEqual([committed.get(0), news().filter(line => line.startsWith('pull'))], [90n, []])
  })
})

describe('seek', () => {
  for (const [position, expected] of [
    [42n, 42n],
    ['begin', 10n],
    ['end', 90n],
    [NOW_S, 55n],
    [new Date(NOW_S * 1000), 55n]
  ] as const) {
    test(
      `to ${typeof position === 'object' ? 'a Date' : position}: an open batch is aborted and does not count`,
      BOUNDED,
      async t => {
        const { consumer, control, news, threads, finish, data, committed, time } = await running(t)
        const answer = control.offsets.always
        // What is committed is not taken for a position of the log itself: another group knows of no commit.
        control.offsets.always = ask =>
          ask.from === NOW_S
            ? new Map([[0, 55n]])
            : (answer?.({ ...ask, own: ask.own ?? ask.group !== 'group' }) ?? new Map())
        const answered: string[] = []
        consumer.on('repositioned', ({ fromOffset, toOffset }) => answered.push(`${fromOffset} ${toOffset}`))
        control.created.always = () => true
        control.deleted.always = () => undefined
        const seeking = consumer.seek(TOPIC, 0, position)
        assert.equal(await time.settle(seeking), expected)
        assert.deepEqual([news(), answered], [[`commit 0:${expected}`, `pull 0:${expected}`], [`90 ${expected}`]])
        assert.equal(threads.posted.at(-1)?.message.kind, 'abort')
        await finish(90n)
        await time.advance(COMMIT_MS)
        assert.deepEqual([committed.get(0), data.openOffsets], [expected, [expected]])
      }
    )
  }

  test('a partition that is not held, is opened or is given up is not sought', BOUNDED, async t => {
    const { start, consumer, control, grant, time, fill } = bench(t)
    control.commits.always = undefined
    await start()
    assert.equal(await consumer.seek(TOPIC, 1, 42n), undefined, 'not held')
    assert.equal(await consumer.seek(TOPIC, 0, 42n), undefined, 'opening')
    control.commits.only.answer()
    control.commits.always = () => undefined
    await turn()
    await fill(90n)
    grant()
    await time.advance(INTERVAL_MS)
    assert.equal(await consumer.seek(TOPIC, 0, 42n), undefined, 'closing')
  })

  test('a wrong position is refused, and nothing changes', BOUNDED, async t => {
    const { consumer, partition } = await running(t)
    const { epoch } = partition()
    await assert.rejects(consumer.seek(TOPIC, 0, -1n), { code: 'OPTIONS_INVALID' })
    assert.deepEqual([partition().epoch, partition().state], [epoch, 'running'])
  })

  test(
    'I6: a position that the service refuses to tell goes to the caller, and the partition goes on where it was',
    BOUNDED,
    async t => {
      const { consumer, control, partition, finish, committed, time } = await running(t)
      control.offsets.always = () => {
        throw fail('API_UNAVAILABLE')
      }
      await assert.rejects(consumer.seek(TOPIC, 0, 'begin'), { code: 'API_UNAVAILABLE' })
      control.offsets.always = () => new Map()
      control.created.always = () => true
      control.deleted.always = () => undefined
      await assert.rejects(time.settle(consumer.seek(TOPIC, 0, 'begin')), { code: 'API_REFUSED' })
      await finish(90n)
      await time.advance(COMMIT_MS)
      assert.deepEqual([partition().state, committed.get(0)], ['running', 100n])
    }
  )

  test('a paused partition stays paused, and goes on there when resumed', BOUNDED, async t => {
    const { consumer, data, partition, finish } = await running(t)
    consumer.pause(TOPIC, 0)
    assert.equal(await consumer.seek(TOPIC, 0, 42n), 42n)
    assert.deepEqual([partition().state, data.openOffsets], ['paused', []])
    const resumed = consumer.resume(TOPIC, 0)
    await turn()
    assert.deepEqual(data.openOffsets, [], 'I2: its aborted batch may still run')
    await finish(90n)
    assert.equal(await resumed, 1)
    assert.deepEqual(data.openOffsets, [42n])
  })

  test('a parked partition goes on there at once', BOUNDED, async t => {
    const { consumer, data, partition, failBatch } = await running(t, { onFailure: 'park', attempts: 1 })
    await failBatch(90n)
    assert.equal(partition().state, 'parked')
    assert.equal(await consumer.seek(TOPIC, 0, 100n), 100n)
    assert.deepEqual([partition().state, data.openOffsets], ['running', [100n]])
  })

  test('I1: a partition that a bounded run had done is read from there to its end again', BOUNDED, async t => {
    const options = { stopAt: 'now', startFrom: 'begin' } as const
    const { start, consumer, grant, data, finish, partition, time, committed } = bench(t, options)
    grant(0, 1)
    await start()
    const [first] = data.pulls.filter(({ request }) => request.partition === 0)
    await first?.complete(withMessages(90n))
    await finish(10n, { nextOffset: 90n })
    assert.equal(partition().state, 'done')
    assert.equal(await consumer.seek(TOPIC, 0, 80n), 80n)
    await data.from(80n).complete(withMessages(90n))
    await finish(80n)
    await data.from(10n).complete(withMessages(90n))
    await finish(10n, { nextOffset: 90n })
    await time.settle(consumer.finished)
    assert.deepEqual(
      [...committed],
      [
        [0, 90n],
        [1, 90n]
      ]
    )
  })

  test('of two at a time one has its way, and the other hears that it has not', BOUNDED, async t => {
    const { consumer, data } = await running(t)
    const sought = await Promise.all([consumer.seek(TOPIC, 0, 'begin'), consumer.seek(TOPIC, 0, 42n)])
    assert.deepEqual([sought, data.openOffsets], [[undefined, 42n], [42n]])
  })
})

describe('beyond the end of the log', () => {
  const END = 120n

  /** As `running`, and the log ends at 120. `questions`: who was asked for the end, since the last look. */
  async function ending(t: TestContext, options: Partial<ConsumerOptions> = {}) {
    const made = await running(t, options)
    const { control } = made
    control.offsets.always = () => new Map([[0, END]])
    const asked = control.offsets.all.length
    return { ...made, questions: () => control.offsets.asks.slice(asked).map(({ group, from }) => `${group} ${from}`) }
  }

  test('seek there is refused, with the end, and nothing changes; to the end itself it is not', BOUNDED, async t => {
    const { consumer, partition, news, finish, time, committed, logged, data } = await ending(t)
    const before = partition()
    const refused = consumer.seek(TOPIC, 0, END + 1n)
    await assert.rejects(refused, {
      code: 'OPTIONS_INVALID',
      what: `offset ${END + 1n} is beyond the end of the log, ${END}`,
      place: { topicId: TOPIC, partition: 0 }
    })
    assert.deepEqual([partition(), news(), logged('repositioned')], [before, [], []])
    await finish(90n)
    await time.advance(COMMIT_MS)
    assert.equal(committed.get(0), 100n)
    assert.equal(await consumer.seek(TOPIC, 0, END), END)
    assert.deepEqual(data.openOffsets, [END])
  })

  test('where pulls have come already, nothing is asked', BOUNDED, async t => {
    const { consumer, rewind, questions, finish, fill } = await ending(t)
    assert.equal(await consumer.seek(TOPIC, 0, 110n), 110n)
    await finish(90n)
    await fill(110n, 2)
    await rewind(110n, 20n)
    await fill(20n, 2)
    await rewind(20n, 30n)
    assert.deepEqual(questions(), [])
  })

  test('a site that only tells what is committed is asked by another group', BOUNDED, async t => {
    const { consumer, control, questions } = await ending(t)
    control.offsets.always = ({ group }) => new Map([[0, group === 'group' ? 100n : END]])
    control.created.always = () => true
    control.deleted.always = () => undefined
    assert.equal(await consumer.seek(TOPIC, 0, 115n), 115n)
    const [first, second] = questions()
    assert.equal(first, 'group end')
    assert.match(second ?? '', /^cls-consumer-positions-\w+ end$/)
  })

  test('where the service refuses to tell, the offset is taken, and that is told at warn', BOUNDED, async t => {
    const { consumer, control, data, log } = await ending(t)
    control.offsets.always = () => {
      throw fail('API_UNAUTHORIZED')
    }
    assert.equal(await consumer.seek(TOPIC, 0, 999n), 999n)
    assert.deepEqual(data.openOffsets, [999n])
    const told = log.lines.find(({ message }) => message === 'where the log ends is not known')
    const error = { code: 'API_UNAUTHORIZED', error: 'said API_UNAUTHORIZED' }
    const fields = { topicId: TOPIC, partition: 0, offset: 999n, ...error }
    assert.deepEqual([told?.level, told?.fields], ['warn', fields])
  })

  for (const [how, code] of [
    ['fails to tell', 'API_UNAVAILABLE'],
    ['has lost the group, which is about to be made again', 'API_NOT_FOUND']
  ] as const) {
    test(`I6: where the service ${how}, the seek is refused with its error, and nothing changes`, BOUNDED, async t => {
      const { consumer, control, data, logged, partition } = await ending(t)
      const before = partition()
      control.offsets.always = () => {
        throw fail(code)
      }
      await assert.rejects(consumer.seek(TOPIC, 0, 999n), { code })
      assert.deepEqual([partition(), logged('repositioned'), data.openOffsets.includes(999n)], [before, [], false])
    })
  }

  test('I1: where the service fails to tell, a rewind is a failed attempt, and nothing is passed', BOUNDED, async t => {
    const { control, rewind, time, threads, idFrom, logged, committed } = await ending(t, {
      attempts: 2,
      backoffMs: 100
    })
    control.offsets.always = () => {
      throw fail('API_UNAVAILABLE')
    }
    await rewind(90n, 999n)
    await time.advance(100)
    assert.equal(threads.batch(idFrom(90n)).task.attempt, 2)
    const [retry] = logged('retried')
    const error = 'context.rewind(): whether the log goes as far as 999 is not known: said API_UNAVAILABLE'
    assert.deepEqual([retry?.code, retry?.error], ['PROCESSOR_FAILED', error])
    assert.deepEqual([logged('repositioned'), committed.get(0)], [[], 90n])
  })

  test('I3: revoked while the service is asked: the seek hears that it has not gone there', BOUNDED, async t => {
    const { consumer, control, grant, time, finish, news, committed } = await ending(t)
    control.offsets.always = undefined
    const sought = consumer.seek(TOPIC, 0, 115n)
    grant()
    await time.advance(INTERVAL_MS)
    assert.equal(await sought, undefined)
    await finish(90n)
    await time.advance(COMMIT_MS)
    assert.deepEqual([news().filter(line => line.startsWith('pull')), committed.get(0)], [[], 100n])
  })

  test(
    'I1: a rewind there is a failed attempt: again after its backoff, then the policy has its word',
    BOUNDED,
    async t => {
      const { consumer, rewind, partition, time, threads, idFrom, committed, logged, data } = await ending(t, {
        attempts: 2,
        backoffMs: 100,
        onFailure: 'park'
      })
      const { epoch } = partition()
      const told: string[] = []
      consumer.on('retried', ({ error }) => told.push(`retried ${error.message}`))
      consumer.on('parked', ({ error, offset }) => told.push(`parked ${offset} ${error.code} ${error.message}`))
      await rewind(90n, 999n)
      assert.deepEqual(threads.openBatchIds, [], 'I2: nothing behind it starts')
      await time.advance(100)
      assert.equal(threads.batch(idFrom(90n)).task.attempt, 2)
      await rewind(90n, 999n)
      const what = 'context.rewind(): offset 999 is beyond the end of the log, 120'
      assert.equal(told.length, 2)
      assert.ok(told[0]?.startsWith(`retried ${what}`), told[0])
      assert.ok(told[1]?.startsWith(`parked 90 PROCESSOR_FAILED ${what}`), told[1])
      assert.deepEqual([partition().epoch, partition().state, data.openOffsets], [epoch, 'parked', []])
      assert.deepEqual([logged('repositioned'), committed.get(0)], [[], 90n])
    }
  )

  test('a rewind ahead, within the log, goes there', BOUNDED, async t => {
    const { rewind, data, committed } = await ending(t)
    await rewind(90n, END)
    assert.deepEqual([data.openOffsets, committed.get(0)], [[END], END])
  })

  describe('while the service is asked where a rewind goes', () => {
    async function asking(t: TestContext) {
      const made = await ending(t, { attempts: 2, backoffMs: 100 })
      made.control.offsets.always = undefined
      await made.rewind(90n, 999n)
      const question = made.control.offsets.only
      return { ...made, answer: () => question.answer(new Map([[0, END]])) }
    }

    test('I2: nothing of the partition starts', BOUNDED, async t => {
      const { threads, time, answer } = await asking(t)
      await time.advance(COMMIT_MS)
      assert.deepEqual(threads.openBatchIds, [])
      answer()
      await time.advance(100)
      assert.equal(threads.openBatchIds.length, 1)
    })

    test('paused: it counts no attempt, and the batch is read again after the resume', BOUNDED, async t => {
      const { consumer, answer, time, data, partition, fill, threads, idFrom } = await asking(t)
      consumer.pause(TOPIC, 0)
      const resumed = consumer.resume(TOPIC, 0)
      await turn()
      assert.equal(partition().state, 'paused', 'I2: it waits for the open batch')
      answer()
      assert.equal(await time.settle(resumed), 1)
      assert.deepEqual(data.openOffsets, [90n])
      await fill(90n)
      assert.equal(threads.batch(idFrom(90n)).task.attempt, 1)
    })

    test('I3: sought elsewhere: that counts, and the rewind does not', BOUNDED, async t => {
      const { consumer, time, data, committed, logged, fill, threads, idFrom } = await asking(t)
      assert.equal(await consumer.seek(TOPIC, 0, 40n), 40n)
      await fill(40n)
      assert.equal(threads.batch(idFrom(40n)).task.attempt, 1, 'nor does it wait for the answer')
      await time.advance(COMMIT_MS)
      assert.deepEqual([data.openOffsets, committed.get(0)], [[50n], 40n])
      assert.deepEqual(logged('retried'), [])
    })

    test('I4: revoked: nobody waits for the group made for the question to be deleted', BOUNDED, async t => {
      const { consumer, control, grant, time, rewind } = await ending(t, { attempts: 2 })
      control.offsets.always = () => new Map([[0, 100n]])
      await rewind(90n, 999n)
      assert.equal(control.created.open.length, 1)
      grant()
      await time.advance(INTERVAL_MS)
      assert.deepEqual([consumer.snapshot().partitions, control.deleted.open.length], [[], 1])
      control.deleted.only.answer()
    })

    for (const how of ['revoked', 'stopped', 'lost'] as const) {
      test(`I4: ${how}: it is released before its batch, without an answer`, BOUNDED, async t => {
        const { consumer, control, grant, time, committed, logged, hasLogged } = await asking(t)
        if (how === 'stopped') await time.settle(consumer.stop())
        else {
          if (how === 'revoked') grant()
          else {
            control.heartbeats.always = () => {
              throw fail('API_UNREACHABLE')
            }
          }
          await time.advance(how === 'lost' ? 2 * INTERVAL_MS : INTERVAL_MS)
        }
        assert.deepEqual([consumer.snapshot().partitions, committed.get(0)], [[], 90n])
        assert.deepEqual([logged('retried'), hasLogged('where the log ends is not known')], [[], false])
      })
    }
  })
})

describe('an offset that has expired', () => {
  for (const onInvalidOffset of ['stop', 'begin'] as const) {
    test(`sought, is dealt with as onInvalidOffset ${onInvalidOffset} says, not silently`, BOUNDED, async t => {
      const { consumer, data, time, logged, committed, finish } = await running(t, { onInvalidOffset })
      const place = { topicId: TOPIC, partition: 0 }
      assert.equal(await consumer.seek(TOPIC, 0, 0n), 0n)
      await finish(90n)
      await data.from(0n).complete(withError('InvalidParameter.InvalidOffset'))
      if (onInvalidOffset === 'stop') {
        await assert.rejects(time.settle(consumer.finished), {
          code: 'API_INVALID_OFFSET',
          message: /topic topic-a, partition 0, offset 0/
        })
        return
      }
      await time.advance(100)
      assert.deepEqual([data.openOffsets, committed.get(0)], [[10n], 10n])
      assert.deepEqual(logged('an offset is gone: repositioning'), [
        { ...place, offset: 0n, startOffset: 10n, onInvalidOffset }
      ])
    })
  }
})

describe('I11: while the new start is committed', () => {
  async function seeking(t: TestContext) {
    const made = await running(t)
    const accept = made.control.commits.always
    made.control.commits.always = undefined
    const sought = made.consumer.seek(TOPIC, 0, 42n)
    // What waits for the stop hears of it.
    sought.catch(() => undefined)
    await turn()
    await made.finish(90n)
    return { ...made, accept, sought }
  }

  test('a commit that fails is sent again, and nothing is pulled before', BOUNDED, async t => {
    const { control, accept, sought, time, data, news } = await seeking(t)
    control.commits.only.refuse(fail('API_UNAVAILABLE'))
    control.commits.always = accept
    assert.equal(await time.settle(sought), 42n)
    assert.deepEqual([news(), data.openOffsets], [['commit 0:42', 'pull 0:42'], [42n]])
  })

  test('I3: revoked meanwhile: nothing is pulled, and it is released', BOUNDED, async t => {
    const { control, accept, sought, time, data, grant, consumer } = await seeking(t)
    grant()
    await time.advance(INTERVAL_MS)
    control.commits.always = accept
    for (const call of control.commits.open) call.answer()
    assert.equal(await time.settle(sought), undefined)
    assert.deepEqual([data.openOffsets, consumer.snapshot().partitions], [[], []])
  })

  test('I12: the lease ends meanwhile: nothing is pulled in that epoch', BOUNDED, async t => {
    const { control, sought, time, data, consumer } = await seeking(t)
    control.heartbeats.always = () => {
      throw fail('API_UNREACHABLE')
    }
    await time.advance(2 * INTERVAL_MS)
    for (const call of control.commits.open) call.refuse(fail('API_TIMEOUT'))
    assert.equal(await time.settle(sought), undefined)
    assert.deepEqual([data.openOffsets, consumer.snapshot().partitions], [[], []])
  })

  test('stopped meanwhile: the stop ends, and the caller hears that it has not gone there', BOUNDED, async t => {
    const { control, accept, sought, time, data, consumer } = await seeking(t)
    const stopped = consumer.stop()
    control.commits.always = accept
    for (const call of control.commits.open) call.refuse(fail('API_TIMEOUT'))
    await time.settle(stopped)
    assert.deepEqual([await sought, data.openOffsets], [undefined, []])
  })

  test('sought again meanwhile: the second is told that it is being opened', BOUNDED, async t => {
    const { control, accept, sought, data, consumer } = await seeking(t)
    assert.equal(await consumer.seek(TOPIC, 0, 50n), undefined)
    control.commits.always = accept
    control.commits.only.answer()
    assert.equal(await sought, 42n)
    assert.deepEqual(data.openOffsets, [42n])
  })

  test('paused meanwhile: it stands there without a pull until it is resumed', BOUNDED, async t => {
    const { control, accept, sought, data, consumer, partition, news } = await seeking(t)
    assert.equal(consumer.pause(TOPIC, 0), true)
    control.commits.always = accept
    control.commits.only.answer()
    assert.equal(await sought, 42n)
    assert.deepEqual([partition().state, news(), data.openOffsets], ['paused', [], []])
    assert.equal(await consumer.resume(), 1)
    assert.deepEqual(data.openOffsets, [42n])
  })
})

describe('while the end of a bounded run is looked up for the new epoch', () => {
  async function looking(t: TestContext, options: Partial<ConsumerOptions> = {}) {
    const made = bench(t, { stopAt: 'now', startFrom: 'begin', ...options })
    await made.start()
    await made.fill(10n, 2)
    await made.finish(10n)
    made.consumer.pause(TOPIC, 0)
    await made.finish(20n)
    const answer = made.control.offsets.always
    made.control.offsets.always = undefined
    const resumed = made.consumer.resume()
    await turn()
    assert.equal(made.partition().state, 'opening')
    made.news()
    return { ...made, answer, resumed }
  }

  test(
    'what is refused for good stops the consumer: the partition would stand still without a word',
    BOUNDED,
    async t => {
      const { control, resumed, consumer, time } = await looking(t)
      const refuse = (): never => {
        throw fail('API_REFUSED')
      }
      control.offsets.always = refuse
      // Nor may it ask by a group of its own.
      control.created.always = refuse
      control.deleted.always = () => undefined
      for (const call of control.offsets.open) call.refuse(fail('API_REFUSED'))
      await assert.rejects(time.settle(consumer.finished), { code: 'API_REFUSED' })
      assert.equal(await resumed, 0)
    }
  )

  test('I1: commit mode manual: the thread dies meanwhile: it goes on from its last save', BOUNDED, async t => {
    const { control, answer, resumed, threads, data, time, partition } = await looking(t, { commitMode: 'manual' })
    assert.equal(partition().nextOffset, undefined)
    await threads.exit(0)
    await threads.replace(0)
    control.offsets.always = answer
    for (const call of control.offsets.open) call.answer(answer?.(call.ask) ?? new Map())
    await time.settle(resumed)
    assert.deepEqual(data.openOffsets, [10n])
  })
})

describe('pause and resume', () => {
  test(
    'the open batch counts, bytes are given back, the heartbeat goes on, and nothing is repeated',
    BOUNDED,
    async t => {
      const { consumer, finish, news, data, time, committed, threads } = await running(t)
      const heldBytes = consumer.snapshot().heldBytes
      assert.equal(consumer.pause(TOPIC, 0), true)
      assert.deepEqual(data.openOffsets, [])
      assert.ok(consumer.snapshot().heldBytes < heldBytes)
      await finish(90n)
      assert.deepEqual([consumer.snapshot().heldBytes, threads.openBatchIds], [0, []])
      await time.advance(INTERVAL_MS)
      assert.deepEqual([news(), committed.get(0)], [['commit 0:100', 'heartbeat 0'], 100n])
      assert.equal(await consumer.resume(), 1)
      assert.deepEqual(
        news().filter(line => line.startsWith('pull')),
        ['pull 0:100']
      )
    }
  )

  test('resumed while the batch is open, it goes on once that is settled, behind it', BOUNDED, async t => {
    const { consumer, finish, data } = await running(t)
    consumer.pause(TOPIC, 0)
    const resumed = consumer.resume()
    await turn()
    assert.deepEqual(data.openOffsets, [])
    await finish(90n)
    assert.deepEqual([await resumed, data.openOffsets], [1, [100n]])
  })

  test('paused again before that, it stays paused, and the first resume has not gone on', BOUNDED, async t => {
    const { consumer, finish, data, partition } = await running(t)
    consumer.pause(TOPIC, 0)
    const resumed = consumer.resume()
    consumer.pause(TOPIC, 0)
    await finish(90n)
    assert.deepEqual([await resumed, partition().state, data.openOffsets], [0, 'paused', []])
    assert.equal(await consumer.resume(), 1)
  })

  test('two at a time are one', BOUNDED, async t => {
    const { consumer, finish, data } = await running(t)
    consumer.pause(TOPIC, 0)
    const both = Promise.all([consumer.resume(), consumer.resume()])
    await finish(90n)
    assert.deepEqual([await both, data.openOffsets], [[1, 0], [100n]])
  })

  test(
    'paused while its batch backs off, it reads that again after the resume, with all its attempts',
    BOUNDED,
    async t => {
      const { consumer, failBatch, fill, time, threads } = await running(t, { attempts: 3 })
      await failBatch(90n)
      consumer.pause(TOPIC, 0)
      await time.advance(COMMIT_MS)
      assert.deepEqual([threads.openBatchIds, consumer.snapshot().heldBytes], [[], 0])
      assert.equal(await consumer.resume(), 1)
      await fill(90n)
      assert.equal(threads.batch(threads.openBatchIds[0] ?? 0).task.attempt, 1)
    }
  )

  test('a batch that fails while its partition is paused is read again after the resume', BOUNDED, async t => {
    const { consumer, failBatch, finish, data, time, committed, threads } = await running(t, { attempts: 3 })
    consumer.pause(TOPIC, 0)
    await failBatch(90n)
    await time.advance(COMMIT_MS)
    assert.deepEqual([threads.openBatchIds, committed.get(0)], [[], 90n])
    assert.equal(await consumer.resume(), 1)
    await data.from(90n).complete(withMessages(100n))
    const { attempt } = threads.batch(threads.openBatchIds[0] ?? 0).task
    await finish(90n)
    await time.advance(COMMIT_MS)
    assert.deepEqual([attempt, committed.get(0)], [1, 100n])
  })

  test(
    'paused while it opens: its start is committed, and nothing is pulled before it is resumed',
    BOUNDED,
    async t => {
      const { start, consumer, control, news, committed, partition } = bench(t)
      const accept = control.commits.always
      control.commits.always = undefined
      await start()
      assert.equal(consumer.pause(TOPIC, 0), true)
      control.commits.always = accept
      control.commits.only.answer()
      await turn()
      assert.deepEqual([news(), partition().state], [['heartbeat -'], 'paused'])
      assert.equal(await consumer.resume(), 1)
      assert.deepEqual([news(), committed.get(0)], [['pull 0:90'], undefined])
    }
  )

  test('resumed while it still opens, it runs as if it had never been paused', BOUNDED, async t => {
    const { start, consumer, control, news } = bench(t)
    control.commits.always = undefined
    await start()
    consumer.pause(TOPIC, 0)
    assert.equal(await consumer.resume(), 1)
    control.commits.only.answer()
    await turn()
    assert.deepEqual(news(), ['heartbeat -', 'pull 0:90'])
  })

  test('what is not held is neither paused nor resumed; a release ends a pause', BOUNDED, async t => {
    const { consumer, grant, time, data, finish } = await running(t)
    assert.deepEqual([consumer.pause(TOPIC, 1), await consumer.resume()], [false, 0])
    consumer.pause(TOPIC, 0)
    await finish(90n)
    grant()
    await time.advance(INTERVAL_MS)
    grant(0)
    await time.advance(INTERVAL_MS)
    assert.deepEqual(data.openOffsets, [100n])
  })

  test('one that is being given up is not paused', BOUNDED, async t => {
    const { consumer, grant, time, data, finish } = await running(t)
    grant()
    await time.advance(INTERVAL_MS)
    assert.equal(consumer.pause(TOPIC, 0), false)
    await finish(90n)
    assert.deepEqual(data.openOffsets, [])
  })

  for (const how of ['revoked', 'stopped', 'lost'] as const) {
    test(
      `I4: ${how} while paused with an open batch: it is released after that, ${how === 'lost' ? 'and the batch does not count' : 'with it committed'}`,
      BOUNDED,
      async t => {
        const { consumer, grant, time, finish, committed, control, news, threads } = await running(t)
        consumer.pause(TOPIC, 0)
        const resumed = consumer.resume()
        let stopped = Promise.resolve()
        if (how === 'revoked') grant()
        if (how === 'lost') {
          control.heartbeats.always = () => {
            throw fail('API_UNREACHABLE')
          }
        }
        if (how === 'stopped') stopped = consumer.stop()
        else await time.advance(how === 'lost' ? 2 * INTERVAL_MS : INTERVAL_MS)
        assert.equal(consumer.snapshot().partitions.length, 1, 'its batch is open')
        await finish(90n)
        await time.settle(Promise.all([stopped, resumed]))
        assert.deepEqual([await resumed, consumer.snapshot().partitions], [0, []])
        assert.equal(committed.get(0), how === 'lost' ? 90n : 100n)
        assert.ok(threads.tasks.includes('revoke 0@0') && !news().some(line => line.startsWith('pull')))
      }
    )
  }
})

describe('a parked partition', () => {
  test('resumed, its batch is tried afresh, with all its attempts', BOUNDED, async t => {
    const { consumer, failBatch, finish, fill, time, committed, partition, threads } = await running(t, {
      onFailure: 'park',
      attempts: 2,
      backoffMs: 100
    })
    const parked: string[] = []
    consumer.on('parked', ({ offset, error }) => parked.push(`${offset} ${error.code}`))
    await failBatch(90n)
    await time.advance(100)
    await failBatch(90n)
    assert.deepEqual([partition().state, parked, consumer.snapshot().heldBytes], ['parked', ['90 PROCESSOR_FAILED'], 0])
    assert.equal(await consumer.resume(), 1)
    await fill(90n)
    assert.equal(threads.batch(threads.openBatchIds[0] ?? 0).task.attempt, 1)
    await failBatch(90n)
    await time.advance(100)
    await finish(90n)
    await time.advance(COMMIT_MS)
    assert.deepEqual([parked.length, committed.get(0)], [1, 100n])
  })

  test('I1: commit mode manual: its thread ends: it stays parked, and goes on from its last save', BOUNDED, async t => {
    const { consumer, finish, failBatch, partition, threads, time, data } = await running(t, {
      commitMode: 'manual',
      onFailure: 'park',
      attempts: 1
    })
    await finish(90n)
    await failBatch(100n)
    await threads.exit(0)
    await threads.replace(0)
    await time.settle(Promise.resolve())
    assert.deepEqual([partition().state, partition().nextOffset, data.openOffsets], ['parked', 100n, []])
    assert.equal(await consumer.resume(), 1)
    assert.deepEqual([partition().state, data.openOffsets], ['running', [90n]])
  })

  test('the others go on, and the heartbeat lists it', BOUNDED, async t => {
    const { start, grant, data, failBatch, threads, news, time, committed, consumer } = bench(t, {
      onFailure: 'park',
      attempts: 1
    })
    grant(0, 1)
    committed.set(0, 80n)
    await start()
    await data.from(80n).complete(withMessages(90n))
    await failBatch(80n)
    news()
    await data.from(90n).complete(withMessages(100n))
    await threads.finish(threads.openBatchIds[0] ?? 0, { nextOffset: 100n })
    await time.advance(INTERVAL_MS)
    assert.ok(news().includes('heartbeat 0+1'))
    assert.deepEqual([...committed].sort(), [
      [0, 80n],
      [1, 100n]
    ])
    assert.deepEqual(
      consumer.snapshot().partitions.map(({ state }) => state),
      ['parked', 'running']
    )
  })

  for (const how of ['revoked', 'stopped', 'lost'] as const) {
    test(`I1: ${how}: it is released, and stays before its batch`, BOUNDED, async t => {
      const { consumer, grant, time, failBatch, committed, control } = await running(t, {
        onFailure: 'park',
        attempts: 1
      })
      await failBatch(90n)
      if (how === 'stopped') await time.settle(consumer.stop())
      else {
        if (how === 'revoked') grant()
        else {
          control.heartbeats.always = () => {
            throw fail('API_UNREACHABLE')
          }
        }
        await time.advance(2 * INTERVAL_MS)
      }
      assert.deepEqual([consumer.snapshot().partitions, committed.get(0)], [[], 90n])
    })
  }
})

describe('an offset that is gone, and somebody else at work', () => {
  for (const how of ['paused', 'sought'] as const) {
    test(`I3: ${how} while the service is asked where to go on: its answer comes too late`, BOUNDED, async t => {
      const { consumer, control, data, partition, time } = await running(t, { onInvalidOffset: 'begin' }, false)
      const answer = control.offsets.always
      control.offsets.always = undefined
      await data.from(90n).complete(withError('InvalidParameter.InvalidOffset'))
      const asked = control.offsets.only
      control.offsets.always = answer
      if (how === 'paused') consumer.pause(TOPIC, 0)
      else assert.equal(await consumer.seek(TOPIC, 0, 50n), 50n)
      const { epoch } = partition()
      asked.answer(new Map([[0, 10n]]))
      await time.advance(100)
      assert.deepEqual([partition().epoch, data.openOffsets], [epoch, how === 'paused' ? [] : [50n]])
    })
  }
})
