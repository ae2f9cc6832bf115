import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Batch, Epoch } from '../src/batch.ts'
import { Saves } from '../src/commit/saves.ts'
import { Dispatcher } from '../src/dispatch/dispatcher.ts'
import type { ProcessedAnswer } from '../src/dispatch/messages.ts'
import { ClsConsumerError, type ErrorCode, toFailure } from '../src/errors.ts'
import { SetAside } from '../src/failure/set-aside.ts'
import { ByteBudget } from '../src/fetch/budget.ts'
import { type PullBound, PullChain } from '../src/fetch/pull-chain.ts'
import { LastResort } from '../src/last-resort.ts'
import type { ConsumerOptions, ResultPlace } from '../src/options.ts'
import { Tenure } from '../src/tenure.ts'
import { chance, createFakeTime, createKeptLog } from './cls/fakes.ts'
import { Calls, turn, until } from './support/calls.ts'
import {
  createFakeData,
  createFakeScout,
  withError,
  withLateOffset,
  withMessages,
  withoutMessages
} from './support/fake-data.ts'
import { FakeFiles } from './support/fake-files.ts'
import { FakeThreads } from './support/fake-threads.ts'
import { settingsWith } from './support/settings.ts'

const BOUNDED = { timeout: 10_000 }
const EPOCH = { topicId: 't', partition: 3, epoch: 7 }
const LETTERS = [{ kind: 'log', messageIndex: 2, logIndex: 4, reason: 'odd', raw: Buffer.from('log') }] as const
const fail = (code: ErrorCode) => new ClsConsumerError(code, `said ${code}`)

interface BenchOptions {
  readonly startOffset?: bigint
  readonly bound?: PullBound
  readonly hasOnResult?: boolean
  readonly saves?: Saves
  readonly options?: Partial<ConsumerOptions>
}

/** A tenure on a real chain, a real dispatcher and a real frontier; service and threads are the test's. */
async function bench({ startOffset = 100n, bound, hasOnResult = false, saves, options = {} }: BenchOptions = {}) {
  const time = createFakeTime()
  const threads = new FakeThreads(1)
  const data = createFakeData()
  const budget = new ByteBudget(1e9)
  const scout = createFakeScout()
  const files = new FakeFiles()
  const settings = settingsWith({ heldBytesMax: 1e9, abortGraceMs: 1000, threadExitMs: 1000, ...options })
  /** Whether the log has anything from there on. */
  const looks = new Calls<{ readonly epoch: Epoch; readonly offset: bigint }, boolean | undefined>()
  const results = new Calls<{ result: unknown; place: ResultPlace }, void>()
  const told: string[] = []
  const progress: bigint[] = []
  let isLeaseHeld = true
  const owned = new WeakMap<Batch, Tenure>()
  const dispatcher: Dispatcher = new Dispatcher({
    world: { clock: time.clock, timers: time.timers, threads, log: createKeptLog() },
    settings,
    processor: { file: '/p.mjs', options: undefined },
    leaseEndMs: new SharedArrayBuffer(8),
    handlers: {
      mayStart: batch => owned.get(batch)?.mayStart() === true,
      tryOpen: bytes => budget.tryOpen(bytes),
      close: bytes => budget.close(bytes),
      nextOffset: (batch, nextOffset, messageCount) => owned.get(batch)?.outlined(batch, { nextOffset, messageCount }),
      answered: async (batch, answer, attempt) => await owned.get(batch)?.answered(batch, answer, attempt),
      dropped: batch => owned.get(batch)?.dropped(batch),
      rewindFault: async () => undefined,
      retryDelayMs: () => undefined,
      retried: () => assert.fail('no thread dies here'),
      policy: () => assert.fail('no processor starts here'),
      saved: () => tenure.save(),
      stateLost: () => undefined,
      broken: error => told.push(`broken ${error.code}`)
    }
  })
  const lastResort = new LastResort({
    world: { scout: scout.api },
    policy: settings.onFailure,
    setAside: new SetAside({
      world: { clock: time.clock, timers: time.timers, random: chance(0.5), files, scout: scout.api },
      settings,
      consumer: 'c'
    }),
    handlers: {
      skipped: ({ startOffset: from, nextOffset, error }) => told.push(`skipped ${from} ${nextOffset} ${error.code}`),
      deadLettered: ({ startOffset: from, nextOffset, letterCount }) =>
        told.push(`letters ${from} ${nextOffset} ${letterCount}`),
      retried: (error, { offset }, waitMs) => told.push(`retried ${error.code} ${offset} ${waitMs}`),
      hasLogsFrom: (epoch, offset) => looks.make({ epoch, offset })
    }
  })
  const tenure: Tenure = new Tenure(EPOCH, dispatcher, lastResort, {
    nowMs: () => time.clock.monotonic(),
    checkLease: () => isLeaseHeld,
    dispatched: batch => void owned.set(batch, tenure),
    progressed: offset => progress.push(offset),
    deliver: hasOnResult ? (result, place) => results.make({ result, place }).then(() => true) : undefined,
    processed: (batch, _answer, nextOffset) => told.push(`processed ${batch.startOffset} ${nextOffset}`),
    retried: (error, { offset }, waitMs) => told.push(`retried ${error.code} ${offset} ${waitMs}`),
    repulled: (error, { offset }, waitMs) => told.push(`retried ${error.code} ${offset} ${waitMs}`),
    repullDelayMs: count => (count > 3 ? undefined : 500),
    answered: () => undefined,
    stuck: (error, offset) => told.push(`stuck ${error.code} ${offset}`),
    failed: error => told.push(`failed ${error.code} ${error.place.offset}`),
    parked: error => told.push(`parked ${error.code} ${error.place.offset}`),
    rewound: offset => told.push(`rewound ${offset}`),
    done: nextOffset => told.push(`done ${nextOffset}`),
    freed: () => tenure.supply.pump()
  })
  await dispatcher.start()
  dispatcher.assign(EPOCH)
  await turn()
  let batchCount = 0
  tenure.run(
    { startOffset, saves },
    handlers =>
      new PullChain({
        world: {
          clock: time.clock,
          timers: time.timers,
          random: chance(0.5),
          data: data.api,
          scout: { ...scout.api, nextOffset: async () => undefined }
        },
        settings: { pullBytes: 64 * 1024, responseBytesMax: 1e6, pollIntervalMs: 1000, query: undefined },
        epoch: EPOCH,
        startOffset,
        bound,
        budget,
        partitionCount: () => 1,
        nextBatchId: () => {
          batchCount += 1
          return batchCount
        },
        handlers
      })
  )
  /** The number of the batch that a thread has, by its start. */
  const idFrom = (offset: bigint): number => {
    for (const { task } of threads.runs.open.map(({ ask }) => ask))
      if (task.kind === 'batch' && task.startOffset === offset) return task.batchId
    assert.fail(`no batch from ${offset} is with a thread`)
  }
  return {
    time,
    threads,
    data,
    scout,
    files,
    looks,
    budget,
    results,
    told,
    progress,
    tenure,
    dispatcher,
    idFrom,
    endLease: () => {
      isLeaseHeld = false
    },
    finish: (offset: bigint, answer: Partial<ProcessedAnswer>) => threads.finish(idFrom(offset), answer),
    async failBatch(offset: bigint, stage: 'decode' | 'process', code: ErrorCode): Promise<void> {
      threads
        .batch(idFrom(offset))
        .call.answer({ kind: 'failed', stage, failure: toFailure(fail(code), code, { offset }) })
      await turn()
    },
    /** Three batches, 100, 110 and 120, of which the first is open, and a fourth pull. */
    async fill(): Promise<void> {
      for (const offset of [100n, 110n, 120n]) {
        data.from(offset).arrive(withMessages(offset + 10n))
        await data.from(offset).complete(withMessages(offset + 10n))
      }
    }
  }
}

describe('tenure: progress', () => {
  test('I1: what is tracked is the end of the longest settled prefix, batch by batch', BOUNDED, async () => {
    const { fill, finish, progress, told, tenure } = await bench()
    assert.equal(tenure.nextOffset, 100n)
    await fill()
    assert.deepEqual(progress, [])
    await finish(100n, { nextOffset: 110n })
    await finish(110n, { nextOffset: 120n })
    assert.deepEqual(progress, [110n, 120n])
    assert.deepEqual(told, ['processed 100 110', 'processed 110 120'])
  })

  test('I1: a range without logs counts only once the batch before it is settled', BOUNDED, async () => {
    const { data, finish, progress } = await bench()
    data.from(100n).arrive(withMessages(110n))
    await data.from(100n).complete(withMessages(110n))
    await data.from(110n).complete(withoutMessages(500n))
    assert.deepEqual(progress, [])
    await finish(100n, { nextOffset: 110n })
    assert.deepEqual(progress, [500n])
  })

  test('I10: offsets beyond 2^53 come through the whole tenure exactly', BOUNDED, async () => {
    const start = 2n ** 62n + 1n
    const { data, finish, progress } = await bench({ startOffset: start })
    data.from(start).arrive(withMessages(start + 2n))
    await data.from(start).complete(withMessages(start + 2n))
    await finish(start, { nextOffset: start + 2n })
    assert.deepEqual(progress, [4_611_686_018_427_387_907n])
  })

  test('all bytes are given back at the end of each batch', BOUNDED, async () => {
    const { fill, finish, budget, tenure } = await bench()
    await fill()
    tenure.close()
    const held = budget.heldBytes
    await finish(100n, { nextOffset: 110n })
    assert.ok(budget.heldBytes < held && budget.heldBytes > 0)
  })
})

describe('tenure: results', () => {
  test('I1: the frontier moves only after the result is delivered, in order', BOUNDED, async () => {
    const { fill, finish, progress, results, threads } = await bench({ hasOnResult: true })
    await fill()
    await finish(100n, { nextOffset: 110n, result: 'a', logCount: 5 })
    assert.deepEqual(progress, [])
    assert.deepEqual(results.asks, [
      { result: 'a', place: { topicId: 't', partition: 3, startOffset: 100n, nextOffset: 110n, logCount: 5 } }
    ])
    assert.deepEqual(threads.openBatchIds, [], 'the next batch waits for it')
    results.only.answer()
    await turn()
    assert.deepEqual(progress, [110n])
    assert.equal(threads.openBatchIds.length, 1)
  })

  test('a batch without logs has no result to deliver', BOUNDED, async () => {
    const { fill, finish, progress, results } = await bench({ hasOnResult: true })
    await fill()
    await finish(100n, { nextOffset: 110n, logCount: 0 })
    assert.deepEqual([results.all.length, progress], [0, [110n]])
  })

  test('a result that is refused fails the partition, and the frontier stays', BOUNDED, async () => {
    const { fill, finish, progress, results, told, threads, data } = await bench({ hasOnResult: true })
    await fill()
    await finish(100n, { nextOffset: 110n })
    results.only.refuse(new Error('the sink is full'))
    await turn()
    assert.deepEqual([progress, told], [[], ['failed ON_RESULT_FAILED 100']])
    assert.deepEqual([threads.openBatchIds, data.openOffsets], [[], []])
  })

  test('I3: a result of an epoch that has ended is not delivered', BOUNDED, async () => {
    const { fill, finish, progress, results, told, tenure } = await bench({ hasOnResult: true })
    await fill()
    tenure.end()
    await finish(100n, { nextOffset: 110n })
    assert.deepEqual([results.all.length, progress, told], [0, [], []])
  })

  test('I3: an epoch that ends while its result is delivered is not tracked', BOUNDED, async () => {
    const { fill, finish, progress, results, told, tenure } = await bench({ hasOnResult: true })
    await fill()
    await finish(100n, { nextOffset: 110n })
    tenure.end()
    results.only.answer()
    await turn()
    assert.deepEqual([progress, told], [[], []])
  })

  test('I12: past the lease nothing is delivered', BOUNDED, async () => {
    const { fill, finish, results, progress, endLease } = await bench({ hasOnResult: true })
    await fill()
    endLease()
    await finish(100n, { nextOffset: 110n })
    assert.deepEqual([results.all.length, progress], [0, []])
  })

  test('I12: a lease that ends during the delivery lets nothing be tracked', BOUNDED, async () => {
    const { fill, finish, results, progress, endLease } = await bench({ hasOnResult: true })
    await fill()
    await finish(100n, { nextOffset: 110n })
    endLease()
    results.only.answer()
    await turn()
    assert.deepEqual(progress, [])
  })

  test('I12: past the lease no batch starts', BOUNDED, async () => {
    const { fill, endLease, threads } = await bench()
    endLease()
    await fill()
    assert.deepEqual(threads.openBatchIds, [])
  })
})

describe('tenure: closing', () => {
  test('the open batch still counts, what waits is not started, and nothing more is pulled', BOUNDED, async () => {
    const { fill, finish, progress, tenure, threads, data } = await bench()
    await fill()
    tenure.close()
    assert.deepEqual(data.openOffsets, [])
    await finish(100n, { nextOffset: 110n })
    assert.deepEqual([progress, threads.openBatchIds], [[110n], []])
  })

  test('a batch that fails while closing is left to the successor', BOUNDED, async () => {
    const { fill, failBatch, progress, told, tenure } = await bench()
    await fill()
    tenure.close()
    await failBatch(100n, 'process', 'PROCESSOR_FAILED')
    assert.deepEqual([progress, told], [[], []])
  })

  test('closing and ending twice is as once', BOUNDED, async () => {
    const { tenure } = await bench()
    tenure.close()
    tenure.close()
    tenure.end()
    tenure.end()
    tenure.close()
    assert.equal(tenure.phase, 'ended')
  })
})

describe('tenure: wrong peeks', () => {
  test(
    'what was pulled behind a wrong peek is dropped and pulled again, and the frontier does not pass it',
    BOUNDED,
    async () => {
      const { fill, finish, threads, idFrom, data, progress, told } = await bench()
      await fill()
      const batchId = idFrom(100n)
      threads.tell(0, { kind: 'next-offset', batchId, nextOffset: 105n, messageCount: 1 })
      assert.deepEqual(data.openOffsets, [105n])
      await finish(100n, { nextOffset: 105n })
      assert.deepEqual([progress, threads.openBatchIds], [[105n], []])
      data.from(105n).arrive(withMessages(115n))
      await data.from(105n).complete(withMessages(115n))
      await finish(105n, { nextOffset: 115n })
      assert.deepEqual(
        [progress, told],
        [
          [105n, 115n],
          ['processed 100 105', 'processed 105 115']
        ]
      )
    }
  )

  test('I1: a gap behind a wrong peek is forgotten with it', BOUNDED, async () => {
    const { data, finish, progress, told } = await bench()
    data.from(100n).arrive(withMessages(110n))
    await data.from(100n).complete(withMessages(110n))
    await data.from(110n).complete(withoutMessages(500n))
    await finish(100n, { nextOffset: 105n })
    assert.deepEqual([progress, told], [[105n], ['processed 100 105']])
    assert.deepEqual(data.openOffsets, [105n])
  })

  test('the answer alone is word enough', BOUNDED, async () => {
    const { fill, finish, data, progress } = await bench()
    await fill()
    await finish(100n, { nextOffset: 105n })
    assert.deepEqual([data.openOffsets, progress], [[105n], [105n]])
  })

  test('a failure for good that a wrong peek led to is forgotten', BOUNDED, async () => {
    const { data, finish, told } = await bench()
    data.from(100n).arrive(withMessages(110n))
    await data.from(100n).complete(withMessages(110n))
    await data.from(110n).fail(fail('API_INVALID_OFFSET'))
    await finish(100n, { nextOffset: 105n })
    assert.deepEqual([told, data.openOffsets], [['processed 100 105'], [105n]])
  })

  test(
    'an offset that only the worker can tell lets the chain go on before the batch is processed',
    BOUNDED,
    async () => {
      const { data, threads, idFrom } = await bench()
      await data.from(100n).complete(withLateOffset(110n))
      assert.deepEqual(data.openOffsets, [])
      threads.tell(0, { kind: 'next-offset', batchId: idFrom(100n), nextOffset: 110n, messageCount: 1 })
      assert.deepEqual(data.openOffsets, [110n])
    }
  )
})

describe('tenure: failures', () => {
  test('I1: a broken body is pulled again, with what was pulled behind it, gaps too', BOUNDED, async () => {
    const { time, data, failBatch, finish, told, progress, budget } = await bench()
    data.from(100n).arrive(withMessages(110n))
    await data.from(100n).complete(withMessages(110n))
    data.from(110n).arrive(withMessages(120n))
    await data.from(110n).complete(withMessages(120n))
    await data.from(120n).complete(withoutMessages(500n))
    await failBatch(100n, 'decode', 'BODY_CORRUPT')
    assert.deepEqual([told, data.openOffsets, budget.heldBytes], [['retried BODY_CORRUPT 100 500'], [], 0])
    await time.advance(500)
    data.from(100n).arrive(withMessages(110n))
    await data.from(100n).complete(withMessages(110n))
    await finish(100n, { nextOffset: 110n })
    assert.deepEqual([progress, told.slice(1)], [[110n], ['processed 100 110']])
  })

  test(
    'I8: a response that stays broken is pulled three times more, and then fails; the frontier stays before it',
    BOUNDED,
    async () => {
      const { time, data, failBatch, told, progress } = await bench()
      for (let count = 0; count < 4; count++) {
        await data.from(100n).complete(withMessages(110n))
        await failBatch(100n, 'decode', 'BODY_CORRUPT')
        await time.advance(500)
      }
      assert.deepEqual(told, [...new Array(3).fill('retried BODY_CORRUPT 100 500'), 'failed BODY_CORRUPT 100'])
      assert.deepEqual([progress, data.openOffsets], [[], []])
    }
  )

  test('a processed batch gives the next one its own tries', BOUNDED, async () => {
    const { time, data, failBatch, finish, told } = await bench()
    for (const offset of [100n, 110n]) {
      for (let count = 0; count < 3; count++) {
        await data.from(offset).complete(withMessages(offset + 10n))
        await failBatch(offset, 'decode', 'BODY_CORRUPT')
        await time.advance(500)
      }
      await data.from(offset).complete(withMessages(offset + 10n))
      await finish(offset, { nextOffset: offset + 10n })
    }
    assert.ok(!told.some(line => line.startsWith('failed')), `${told}`)
  })

  test('so does an empty response: a quiet partition meets a broken body now and then, for ever', BOUNDED, async () => {
    const { time, data, failBatch, told } = await bench()
    for (let count = 0; count < 10; count++) {
      await data.from(100n).complete(withMessages(undefined))
      await failBatch(100n, 'decode', 'BODY_CORRUPT')
      await time.advance(500)
      await data.from(100n).complete(withoutMessages(100n))
      await time.advance(1000)
    }
    assert.deepEqual(told, new Array(10).fill('retried BODY_CORRUPT 100 500'))
  })

  for (const [stage, code] of [
    ['process', 'PROCESSOR_FAILED'],
    ['process', 'THREAD_LOST']
  ] as const) {
    test(`I1: ${code} stops the partition before the batch`, BOUNDED, async () => {
      const { fill, failBatch, told, progress, data, threads, time } = await bench()
      await fill()
      await failBatch(100n, stage, code)
      await time.advance(60_000)
      assert.deepEqual([told, progress], [[`failed ${code} 100`], []])
      assert.deepEqual([data.openOffsets, threads.openBatchIds], [[], []])
    })
  }

  test(
    'a response too large for the threads is asked for in smaller pieces, and what waited behind it is dropped',
    BOUNDED,
    async () => {
      const { fill, failBatch, told, progress, data } = await bench()
      await fill()
      const before = data.pulls[0]?.request.sizeBytes ?? 0
      await failBatch(100n, 'decode', 'BODY_TOO_LARGE')
      assert.deepEqual([told, progress], [['retried BODY_TOO_LARGE 100 0'], []])
      assert.deepEqual([data.openOffsets, data.pulls.at(-1)?.request.sizeBytes], [[100n], before / 2])
    }
  )

  for (const code of ['API_THROTTLED', 'API_UNAVAILABLE'] as const) {
    test(`${code} inside a body is no fault of the body: it backs off, however often`, BOUNDED, async () => {
      const { fill, failBatch, told, data, time } = await bench()
      await fill()
      for (let tries = 0; tries < 8; tries++) {
        await failBatch(100n, 'decode', code)
        await time.advance(20_000)
        await data.from(100n).complete(withMessages(110n))
      }
      assert.ok(!told.some(line => line.startsWith('failed')), `${told}`)
      assert.equal(told.filter(line => line.startsWith(`retried ${code} 100`)).length, 8)
    })
  }

  test(
    'a topic that refuses inside a body is told of once everything before is settled, and tried again',
    BOUNDED,
    async () => {
      const { fill, failBatch, told, data, tenure } = await bench()
      await fill()
      await failBatch(100n, 'decode', 'API_TOPIC_CLOSED')
      assert.deepEqual(told, ['stuck API_TOPIC_CLOSED 100'])
      assert.deepEqual([tenure.supply.refused(), tenure.supply.refused()], [1, 2])
      tenure.retry(100n)
      assert.deepEqual(data.openOffsets, [100n])
    }
  )

  test(
    'messages that cannot be decoded stop the partition before their batch, with the first one named',
    BOUNDED,
    async () => {
      const { fill, finish, told, progress } = await bench()
      await fill()
      await finish(100n, {
        nextOffset: 110n,
        poison: [{ messageIndex: 4, bytePosition: 96, reason: 'cut', raw: new Uint8Array() }]
      })
      assert.deepEqual([told, progress], [['failed MESSAGE_CORRUPT 100'], []])
    }
  )

  test(
    'messages without an offset to go on from are pulled again, then fail: neither dropped nor repeated for ever',
    BOUNDED,
    async () => {
      for (const nextOffset of [undefined, 100n, 50n, -1n]) {
        const { time, data, finish, told, progress } = await bench()
        for (let count = 0; count < 4; count++) {
          await data.from(100n).complete(withLateOffset(nextOffset ?? 0n))
          await finish(100n, { nextOffset, messageCount: 3 })
          await time.advance(500)
        }
        assert.deepEqual(told, [
          ...new Array(3).fill('retried NEXT_OFFSET_STUCK 100 500'),
          'failed NEXT_OFFSET_STUCK 100'
        ])
        assert.deepEqual([progress, data.openOffsets], [[], []])
      }
    }
  )

  test('a final failure of a pull is told once everything before it is settled', BOUNDED, async () => {
    const { fill, finish, data, told } = await bench()
    await fill()
    await data.from(130n).fail(fail('API_INVALID_OFFSET'))
    assert.deepEqual(told, [])
    for (const offset of [100n, 110n, 120n]) await finish(offset, { nextOffset: offset + 10n })
    assert.deepEqual(told.at(-1), 'stuck API_INVALID_OFFSET 130')
    assert.equal(told.join().split('stuck').length, 2)
  })

  test('with nothing before it, it is told at once', BOUNDED, async () => {
    const { data, told } = await bench()
    await data.from(100n).complete(withError('InvalidParameter.InvalidOffset'))
    assert.deepEqual(told, ['stuck API_INVALID_OFFSET 100'])
  })

  test('an offset that is gone, found in a large response, is told with the batch’s start', BOUNDED, async () => {
    const { fill, failBatch, told, data } = await bench()
    await fill()
    await failBatch(100n, 'decode', 'API_INVALID_OFFSET')
    assert.deepEqual([told, data.openOffsets], [['stuck API_INVALID_OFFSET 100'], []])
  })

  test('a batch that a thread did not start is pulled again while its epoch goes on', BOUNDED, async () => {
    const { time, fill, threads, idFrom, data, told } = await bench()
    await fill()
    threads.batch(idFrom(100n)).call.answer({ kind: 'not-started', reason: 'lease-ended' })
    await turn()
    await time.advance(500)
    assert.deepEqual([data.openOffsets, told], [[100n], []])
  })
})

describe('tenure: a bounded run', () => {
  const bound = { endOffset: 120n, endTime: 1 }

  test('it is done once everything up to the end is settled', BOUNDED, async () => {
    const { data, finish, told, tenure, progress } = await bench({ bound })
    await data.from(100n).complete(withMessages(120n))
    assert.equal(tenure.phase, 'running')
    await finish(100n, { nextOffset: 120n })
    assert.deepEqual([told, progress, tenure.phase], [['processed 100 120', 'done 120'], [120n], 'done'])
  })

  test('-1 with messages: they are processed, and the end position is tracked', BOUNDED, async () => {
    const { data, finish, told, progress } = await bench({ bound })
    await data.from(100n).complete(withMessages(-1n))
    await finish(100n, { nextOffset: -1n, messageCount: 3 })
    assert.deepEqual([told, progress], [['processed 100 120', 'done 120'], [120n]])
  })

  test('-1 without messages: the end position is tracked', BOUNDED, async () => {
    const { data, told, progress } = await bench({ bound })
    await data.from(100n).complete(withoutMessages(-1n))
    assert.deepEqual([told, progress], [['done 120'], [120n]])
  })

  test('a partition at its end is done at once, and tracks nothing', BOUNDED, async () => {
    const { told, progress, data } = await bench({ bound, startOffset: 120n })
    assert.deepEqual([told, progress, data.pulls.length], [['done 120'], [], 0])
  })

  test(
    'I1: a run ends also where a peek fell short of the end, and the worker says that it is reached',
    BOUNDED,
    async () => {
      const { data, finish, told, progress } = await bench({ bound: { endOffset: 200n, endTime: 1_700_000_000 } })
      data.from(100n).arrive(withMessages(150n))
      await data.from(100n).complete(withMessages(150n))
      await finish(100n, { nextOffset: 200n })
      assert.deepEqual([progress, told], [[200n], ['processed 100 200', 'done 200']])
    }
  )

  test('a wrong peek past the end is taken back before the run is done', BOUNDED, async () => {
    const { data, finish, told } = await bench({ bound })
    data.from(100n).arrive(withMessages(120n))
    await data.from(100n).complete(withMessages(120n))
    await finish(100n, { nextOffset: 110n })
    assert.deepEqual([told, data.openOffsets], [['processed 100 110'], [110n]])
  })
})

describe('tenure: given up', () => {
  const skip = { options: { onFailure: 'skip' } } as const

  test('I1: a batch that is skipped is passed, and the next one is opened', BOUNDED, async () => {
    const { fill, failBatch, finish, told, progress, threads, idFrom } = await bench(skip)
    await fill()
    threads.tell(0, { kind: 'next-offset', batchId: idFrom(100n), nextOffset: 110n, messageCount: 3 })
    await failBatch(100n, 'process', 'PROCESSOR_FAILED')
    await finish(110n, { nextOffset: 120n })
    assert.deepEqual(progress, [110n, 120n])
    assert.deepEqual(told, ['skipped 100 110 PROCESSOR_FAILED', 'processed 110 120'])
  })

  test('I1: skipped behind a wrong peek, whose thread never told: it ends where the scout says', BOUNDED, async () => {
    const { fill, failBatch, scout, told, progress, data } = await bench(skip)
    scout.calls.always = () => 105n
    await fill()
    await failBatch(100n, 'process', 'THREAD_LOST')
    assert.deepEqual([told, progress, data.openOffsets], [['skipped 100 105 THREAD_LOST'], [105n], [105n]])
  })

  test(
    'I1: a body that cannot be read is passed by one offset, and what was pulled behind it is pulled again',
    BOUNDED,
    async () => {
      const { data, time, failBatch, looks, told, progress } = await bench(skip)
      looks.always = () => true
      for (let tries = 0; tries < 4; tries++) {
        await data.from(100n).complete(withMessages(110n))
        await failBatch(100n, 'decode', 'BODY_CORRUPT')
        await time.advance(500)
      }
      assert.deepEqual(told.slice(3), ['skipped 100 101 BODY_CORRUPT'])
      assert.deepEqual([progress, data.openOffsets], [[101n], [101n]])
    }
  )

  test('I1: at the end of the log it is not passed: it rests, and has its tries again', BOUNDED, async () => {
    const { data, time, failBatch, looks, told, progress } = await bench(skip)
    looks.always = () => false
    for (let round = 0; round < 2; round++) {
      for (let tries = 0; tries < 4; tries++) {
        await data.from(100n).complete(withMessages(110n))
        await failBatch(100n, 'decode', 'BODY_CORRUPT')
        await time.advance(tries === 3 ? 5000 : 500)
      }
    }
    const round = [...new Array(3).fill('retried BODY_CORRUPT 100 500'), 'retried BODY_CORRUPT 100 5000']
    assert.deepEqual([told, progress, data.openOffsets], [[...round, ...round], [], [100n]])
  })

  test('I3: an epoch that ends at any moment after its result was taken tracks nothing', BOUNDED, async () => {
    for (let ticks = 0; ticks < 12; ticks++) {
      const { fill, finish, results, progress, tenure } = await bench({ hasOnResult: true })
      await fill()
      await finish(100n, { nextOffset: 110n })
      results.only.answer()
      for (let tick = 0; tick < ticks; tick++) await undefined
      tenure.end()
      const atEnd = progress.length
      await turn()
      assert.equal(progress.length, atEnd, `it ended after ${ticks} ticks`)
    }
  })

  test('I1: one that ends while letters are on their way to the disk tracks nothing', BOUNDED, async () => {
    const { fill, finish, files, progress, tenure, told } = await bench({ options: { deadLetterDirectory: '/dead' } })
    const synced = new Calls<void, undefined>()
    files.fault = call => (call === 'sync' ? synced.make() : undefined)
    await fill()
    await finish(100n, { nextOffset: 110n, letters: LETTERS })
    await until(() => synced.open.length > 0)
    tenure.end()
    files.fault = () => undefined
    synced.only.answer(undefined)
    for (let turns = 0; turns < 10; turns++) await turn()
    assert.deepEqual([progress, told.filter(line => !line.startsWith('letters'))], [[], []])
  })
})

describe('tenure: commit mode manual', () => {
  test('I1: what is tracked is the lower of the last save and the frontier', BOUNDED, async () => {
    const { fill, finish, progress, tenure } = await bench({ saves: new Saves(100n) })
    await fill()
    await finish(100n, { nextOffset: 110n })
    assert.deepEqual([progress, tenure.hasUnsaved], [[], true])
    await finish(110n, { nextOffset: 120n, isSaved: true })
    assert.deepEqual([progress, tenure.hasUnsaved], [[120n], false])
    await finish(120n, { nextOffset: 130n })
    assert.deepEqual([progress, tenure.committableOffset, tenure.nextOffset], [[120n], 120n, 130n])
  })

  test('I1: a save counts once its batch settles: not before its result is taken', BOUNDED, async () => {
    const { fill, finish, progress, results } = await bench({ saves: new Saves(100n), hasOnResult: true })
    await fill()
    await finish(100n, { nextOffset: 110n, isSaved: true })
    assert.deepEqual(progress, [])
    results.only.answer()
    await turn()
    assert.deepEqual(progress, [110n])
  })

  test('a save counts once its batch settles, also where its result is given up', BOUNDED, async () => {
    const skipping = { saves: new Saves(100n), hasOnResult: true, options: { onFailure: 'skip' } } as const
    const { fill, finish, progress, results, told, threads, idFrom } = await bench(skipping)
    await fill()
    threads.tell(0, { kind: 'next-offset', batchId: idFrom(100n), nextOffset: 110n, messageCount: 1 })
    await finish(100n, { nextOffset: 110n, isSaved: true })
    results.only.refuse(new Error('the sink is full'))
    for (let turns = 0; turns < 10; turns++) await turn()
    assert.deepEqual([progress, told], [[110n], ['skipped 100 110 ON_RESULT_FAILED']])
  })

  test('what the processor keeps is unsaved while its result waits to be taken', BOUNDED, async () => {
    const { fill, finish, tenure } = await bench({ saves: new Saves(100n), hasOnResult: true })
    await fill()
    assert.equal(tenure.hasUnsaved, false)
    await finish(100n, { nextOffset: 110n })
    assert.equal(tenure.hasUnsaved, true)
  })

  test('a range without logs, and a batch without logs, need no save', BOUNDED, async () => {
    const { data, finish, progress } = await bench({ saves: new Saves(100n) })
    await data.from(100n).complete(withoutMessages(110n))
    data.from(110n).arrive(withMessages(120n))
    await data.from(110n).complete(withMessages(120n))
    await finish(110n, { nextOffset: 120n, logCount: 0 })
    assert.deepEqual(progress, [110n, 120n])
  })

  test('revoke may save, while the partition closes', BOUNDED, async () => {
    const { fill, finish, progress, tenure, threads } = await bench({ saves: new Saves(100n) })
    await fill()
    tenure.close()
    await finish(100n, { nextOffset: 110n })
    threads.tell(0, { kind: 'saved', ...EPOCH })
    assert.deepEqual(progress, [110n])
  })

  test('I3: a save of an epoch that has ended counts for nothing', BOUNDED, async () => {
    const { fill, finish, progress, tenure, threads } = await bench({ saves: new Saves(100n) })
    await fill()
    await finish(100n, { nextOffset: 110n })
    tenure.end()
    threads.tell(0, { kind: 'saved', ...EPOCH })
    assert.deepEqual(progress, [])
  })
})
