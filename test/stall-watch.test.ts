/** Partitions that stand still, and those that merely have nothing to do, within their consumer on virtual time. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ConsumerOptions } from '../src/options.ts'
import { until } from './support/calls.ts'
import { BOUNDED, bench, fail, INTERVAL_MS } from './support/consumer-bench.ts'
import { withMessages, withoutMessages } from './support/fake-data.ts'
import { systemError } from './support/fake-files.ts'

const TOPIC = 'topic-a'
const STALL_MS = 10_000

/** `stalled`: what was told since the last look. */
function watched(t: TestContext, options: Partial<ConsumerOptions> = {}) {
  const made = bench(t, { stallMs: STALL_MS, attempts: 2, ...options })
  const events: [offset: bigint | undefined, stalledMs: number, reason: string][] = []
  made.consumer.on('stalled', ({ topicId, offset, stalledMs, reason }) => {
    if (topicId === TOPIC) events.push([offset, stalledMs, reason])
  })
  return { ...made, stalled: () => events.splice(0) }
}

type Watched = ReturnType<typeof watched>

/** How each reason comes about. */
const REASONS: readonly (readonly [
  reason: RegExp,
  options: Partial<ConsumerOptions>,
  begin: (made: Watched) => Promise<unknown>
])[] = [
  [
    /^its start position is not known or not committed yet$/,
    {},
    async ({ control, start }) => {
      control.commits.always = undefined
      await start()
    }
  ],
  [/^processor running for \d+ s$/, {}, async ({ start, fill }) => void (await start().then(() => fill(90n)))],
  [
    /^onResult has not returned, or dead letters are not written yet$/,
    { onResult: () => new Promise(() => undefined) },
    async ({ start, fill, finish }) => {
      await start()
      await fill(90n)
      await finish(90n)
    }
  ],
  [
    /^its batch has failed, and waits for the next attempt$/,
    { backoffMs: 60_000, backoffMaxMs: 60_000 },
    async ({ start, fill, failBatch }) => {
      await start()
      await fill(90n)
      await failBatch(90n)
    }
  ],
  [
    /^its thread is not up, or the assign hook has not returned$/,
    {},
    async ({ start, fill, threads }) => {
      threads.doneAtOnce.delete('assign')
      await start()
      await fill(90n)
    }
  ],
  [
    /^it is parked after a failure: resume\(\) tries again$/,
    { onFailure: 'park', attempts: 1 },
    async ({ start, fill, failBatch }) => {
      await start()
      await fill(90n)
      await failBatch(90n)
    }
  ],
  [
    /^it is parked after a failure/,
    { deadLetterDirectory: '/dead', attempts: 1 },
    async ({ start, fill, finish, files, partition }) => {
      await start()
      await fill(90n)
      files.fault = call => {
        if (call === 'write') throw systemError('ENOSPC')
        return undefined
      }
      await finish(90n, {
        letters: [{ kind: 'log', messageIndex: 0, logIndex: 0, reason: 'odd', raw: Buffer.from('log') }]
      })
      await until(() => partition().state === 'parked')
    }
  ],
  [/^the service has not answered its pull$/, {}, async ({ start }) => await start()],
  [
    /^the service refuses its topic$/,
    { topicIds: [TOPIC, 'topic-b'], backoffMs: 60_000, backoffMaxMs: 60_000 },
    async ({ start, data }) => {
      await start()
      await data.pulls.find(({ request }) => request.topicId === TOPIC)?.fail(fail('API_TOPIC_CLOSED'))
      await data.pulls.find(({ request }) => request.topicId !== TOPIC)?.complete(withMessages(95n))
    }
  ],
  [
    /^its pulls fail: said API_UNAVAILABLE$/,
    {},
    async ({ start, data, time }) => {
      await start()
      for (let tries = 0; tries < 10; tries++) {
        await data.from(90n).fail(fail('API_UNAVAILABLE'))
        if (tries < 9) await time.advance(30_000)
      }
    }
  ],
  [
    /^its pulls fail: throttled by the service: said API_THROTTLED$/,
    {},
    async ({ start, data }) => {
      await start()
      await data.from(90n).fail(fail('API_THROTTLED'))
    }
  ]
]

describe('a partition that stalls', () => {
  for (const [reason, options, begin] of REASONS) {
    test(`is told with what it waits for, and again after as long: ${reason.source}`, BOUNDED, async t => {
      const made = watched(t, options)
      await begin(made)
      made.stalled()
      await made.time.advance(STALL_MS * 1.25)
      const [first, ...others] = made.stalled()
      assert.ok(first !== undefined && others.length === 0, 'it is told once')
      assert.match(first[2], reason)
      await made.time.advance(STALL_MS)
      const [again, ...more] = made.stalled()
      assert.ok(again !== undefined && more.length === 0 && again[1] >= first[1] + STALL_MS, `${again?.[1]} ms`)
    })
  }

  test('is told with its frontier, how long, at warn', BOUNDED, async t => {
    const { start, fill, finish, time, stalled, log } = watched(t)
    await start()
    await fill(90n, 2)
    await finish(90n)
    await time.advance(STALL_MS - 1)
    assert.deepEqual(stalled(), [])
    await time.advance(STALL_MS / 4)
    assert.deepEqual(stalled(), [[100n, STALL_MS, 'processor running for 10 s']])
    const line = log.lines.find(({ message }) => message === 'stalled')
    const place = { topicId: TOPIC, partition: 0, offset: 100n }
    assert.deepEqual(
      [line?.level, line?.fields],
      ['warn', { ...place, stalledMs: STALL_MS, reason: 'processor running for 10 s' }]
    )
  })

  test('and closes is told, too', BOUNDED, async t => {
    const { start, fill, time, grant, stalled } = watched(t, {
      heartbeatIntervalMs: INTERVAL_MS,
      drainTimeoutMs: 600_000
    })
    await start()
    await fill(90n)
    grant()
    await time.advance(INTERVAL_MS)
    stalled()
    await time.advance(STALL_MS)
    assert.deepEqual(
      stalled().map(([, , reason]) => reason),
      ['it is being given up']
    )
  })

  test(
    'of a processor it is told how long it has run: since this attempt was given to the thread',
    BOUNDED,
    async t => {
      const { start, fill, failBatch, time, stalled } = watched(t, { backoffMs: 1000, backoffMaxMs: 1000 })
      await start()
      await fill(90n)
      await time.advance(STALL_MS - 2000)
      await failBatch(90n)
      await time.advance(STALL_MS - 7000)
      assert.deepEqual(stalled(), [[90n, STALL_MS, 'processor running for 1 s']])
    }
  )

  test('and is paused is told while the batch from before hangs in its processor', BOUNDED, async t => {
    const { start, fill, finish, time, consumer, stalled } = watched(t)
    await start()
    await fill(90n, 2)
    consumer.pause(TOPIC, 0)
    await time.advance(STALL_MS)
    assert.deepEqual(stalled(), [
      [90n, STALL_MS, 'its batch from before the pause is still open: processor running for 10 s']
    ])
    await finish(90n)
    await time.advance(10 * STALL_MS)
    assert.deepEqual(stalled(), [], 'nor is anything else to be done')
  })

  test('and is resumed is told while the resume waits for an onResult that hangs', BOUNDED, async t => {
    const { start, fill, finish, time, consumer, stalled } = watched(t, {
      onResult: () => new Promise(() => undefined)
    })
    await start()
    await fill(90n)
    await finish(90n)
    consumer.pause(TOPIC, 0)
    const resumed = consumer.resume(TOPIC, 0)
    await time.advance(STALL_MS)
    const reason =
      'its batch from before the pause is still open: onResult has not returned, or dead letters are not written yet'
    assert.deepEqual(stalled(), [[90n, STALL_MS, reason]])
    await time.settle(consumer.stop())
    assert.equal(await resumed, 0)
  })

  test('progress ends it: the next time counts from there', BOUNDED, async t => {
    const { start, fill, finish, time, stalled } = watched(t)
    await start()
    await fill(90n, 3)
    await time.advance(STALL_MS)
    assert.equal(stalled().length, 1)
    await finish(90n)
    await time.advance(STALL_MS - 1)
    assert.deepEqual(stalled(), [])
    await time.advance(STALL_MS / 4)
    assert.equal(stalled().length, 1)
  })

  test('a stop of the consumer ends the watch', BOUNDED, async t => {
    const { start, time, consumer, stalled } = watched(t)
    await start()
    await time.settle(consumer.stop())
    await time.advance(10 * STALL_MS)
    assert.deepEqual([stalled(), time.pendingCount], [[], 0])
  })

  test('onStall stop: the consumer stops in order, with the partition and the reason', BOUNDED, async t => {
    const { start, fill, finish, time, consumer, stalled, committed } = watched(t, { onStall: 'stop' })
    await start()
    await fill(90n, 2)
    await finish(90n)
    await time.advance(STALL_MS)
    assert.equal(stalled().length, 1)
    await finish(100n)
    await assert.rejects(time.settle(consumer.finished), {
      code: 'PARTITION_STALLED',
      place: { topicId: TOPIC, partition: 0, offset: 100n }
    })
    assert.equal(committed.get(0), 110n, 'what was open still counts')
  })
})

describe('no stall', () => {
  test('a partition that has nothing new, however long', BOUNDED, async t => {
    const { start, data, time, stalled } = watched(t)
    await start()
    for (let polls = 0; polls < 60; polls++) {
      await data.from(90n).complete(withoutMessages(90n))
      await time.advance(1000)
    }
    assert.deepEqual(stalled(), [])
  })

  test('a partition that has nothing new, and asks less often than a stall takes', BOUNDED, async t => {
    const { start, data, time, stalled } = watched(t, { stallMs: 2000, pollIntervalMs: 5000 })
    await start()
    for (let polls = 0; polls < 30; polls++) {
      for (let waits = 0; data.openOffsets.length === 0 && waits < 100; waits++) await time.advance(100)
      await time.advance(300)
      await data.from(90n).complete(withoutMessages(90n))
    }
    assert.deepEqual(stalled(), [])
  })

  test('a partition that the user has paused, once its open batch has ended', BOUNDED, async t => {
    const { start, fill, finish, time, consumer, stalled } = watched(t)
    await start()
    await fill(90n, 2)
    consumer.pause(TOPIC, 0)
    await finish(90n)
    await time.advance(10 * STALL_MS)
    assert.deepEqual(stalled(), [])
  })

  test('a partition that a bounded run has done', BOUNDED, async t => {
    const { start, grant, data, finish, time, stalled, consumer } = watched(t, { stopAt: 'now', startFrom: 'begin' })
    grant(0, 1)
    await start()
    await data.pulls.find(({ request }) => request.partition === 0)?.complete(withMessages(90n))
    await finish(10n, { nextOffset: 90n })
    const told: number[] = []
    consumer.on('stalled', ({ partition }) => told.push(partition))
    await time.advance(2 * STALL_MS)
    assert.deepEqual([...new Set(told)], [1], 'the other one has not been answered')
    stalled()
  })

  test('a partition that is resumed after a long pause counts from there', BOUNDED, async t => {
    const { start, time, consumer, stalled } = watched(t)
    await start()
    consumer.pause(TOPIC, 0)
    await time.advance(10 * STALL_MS)
    await consumer.resume()
    await time.advance(STALL_MS - 1)
    assert.deepEqual(stalled(), [])
    await time.advance(STALL_MS / 2)
    assert.equal(stalled().length, 1)
  })
})
