import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError } from '../../src/errors.ts'
import { ByteBudget } from '../../src/fetch/budget.ts'
import { PULLED_SHARE } from '../../src/options.ts'
import { createFakeTime } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { withError, withFewMessages, withLateOffset, withMessages, withoutMessages } from '../support/fake-data.ts'
import { BOUNDED, bench, fail, news, PULL_BYTES, RESPONSE_BYTES_MAX } from './chain-bench.ts'

describe('pull chain: what it does not believe', () => {
  test('I5: a body that declares 4 GB is not counted as that', BOUNDED, async () => {
    const { data, chain, batches } = bench()
    chain.pump()
    // A preamble of 2^32 - 1 plain bytes, and a literal that is cut off.
    const bomb = Buffer.concat([
      Buffer.from('ffffffff0f', 'hex'),
      Buffer.from([0xf4, 0xff, 0xff]),
      Buffer.alloc(2000, 1)
    ])
    const bytes = new SharedArrayBuffer(bomb.length)
    new Uint8Array(bytes).set(bomb)
    await data.from(100n).completeWith({ bytes, byteCount: bomb.length, compression: 'snappy', requestId: 'r' })
    assert.deepEqual(
      batches.map(({ decodedBytes }) => decodedBytes),
      [3 * RESPONSE_BYTES_MAX]
    )
  })

  test(
    'an invariant that breaks while a batch is handed on fails the chain, and not the process',
    BOUNDED,
    async () => {
      const { data, chain, told } = bench({
        onBatch: () => {
          throw new ClsConsumerError('INVARIANT_BROKEN', 'I2: planted')
        }
      })
      chain.pump()
      await data.from(100n).complete(withLateOffset(110n))
      assert.deepEqual(told, ['failed INVARIANT_BROKEN 100'])
    }
  )
})

describe('pull chain: ahead of arrival', () => {
  test('the next pull leaves while the body still arrives', BOUNDED, () => {
    const { data, chain } = bench()
    chain.pump()
    const text = withMessages(110n)
    data.from(100n).arrive(text, 10)
    assert.deepEqual(data.openOffsets, [100n])
    data.from(100n).arrive(text, 60)
    assert.deepEqual(data.openOffsets, [100n, 110n])
    data.from(100n).arrive(text)
    data.from(110n).arrive(withMessages(2n ** 63n - 5n))
    assert.deepEqual(data.openOffsets, [100n, 110n, 9223372036854775803n])
  })

  test('the request says what the settings say, and no end where there is none', BOUNDED, () => {
    const plain = bench()
    plain.chain.pump()
    assert.deepEqual(plain.data.pulls[0]?.request, {
      topicId: 't',
      partition: 3,
      startOffset: 100n,
      sizeBytes: PULL_BYTES
    })
    const full = bench({ query: 'q', bound: { endOffset: 200n, endTime: 1_700_000_000 } })
    full.chain.pump()
    assert.deepEqual(full.data.pulls[0]?.request, {
      topicId: 't',
      partition: 3,
      startOffset: 100n,
      sizeBytes: PULL_BYTES,
      query: 'q',
      endTime: 1_700_000_000
    })
  })

  test('responses are handed on in offset order, whatever the order of their arrival', BOUNDED, async () => {
    const { data, chain, told } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    data.from(110n).arrive(withMessages(120n))
    await data.from(120n).complete(withMessages(130n))
    await data.from(110n).complete(withMessages(120n))
    assert.deepEqual(told, [])
    assert.equal(chain.pendingCount, 3)
    await data.from(100n).complete(withMessages(110n))
    assert.deepEqual(told, ['batch 100', 'batch 110', 'batch 120'])
    assert.equal(chain.pendingCount, 1)
  })

  test('a batch carries what the stages need, exactly', BOUNDED, async () => {
    const { data, chain, batchFrom } = bench({ startOffset: 2n ** 53n + 1n })
    chain.pump()
    const text = withMessages(2n ** 53n + 3n)
    await data.from(2n ** 53n + 1n).complete(text)
    const batch = batchFrom(2n ** 53n + 1n)
    const { topicId, partition, epoch, startOffset, endOffset, peekedOffset, decodedBytes } = batch
    assert.deepEqual(
      { topicId, partition, epoch, startOffset, endOffset, peekedOffset },
      {
        topicId: 't',
        partition: 3,
        epoch: 7,
        startOffset: 2n ** 53n + 1n,
        endOffset: undefined,
        peekedOffset: 2n ** 53n + 3n
      }
    )
    assert.ok(decodedBytes >= text.length, 'what it decodes to is estimated upward')
  })

  test(
    'an offset behind the messages is waited for, and pulled from as soon as the worker tells it',
    BOUNDED,
    async () => {
      const { data, chain, told, batchFrom } = bench()
      chain.pump()
      data.from(100n).arrive(withLateOffset(110n))
      await data.from(100n).complete(withLateOffset(110n))
      assert.deepEqual(data.openOffsets, [])
      assert.deepEqual(told, ['batch 100'])
      assert.equal(chain.confirm(batchFrom(100n), 110n), true)
      assert.deepEqual(data.openOffsets, [110n])
      assert.equal(chain.confirm(batchFrom(100n), 110n), true, 'the answer says it again')
      assert.deepEqual(data.openOffsets, [110n])
    }
  )

  test('a small response with messages needs no worker to go on', BOUNDED, async () => {
    const { data, chain, told } = bench()
    chain.pump()
    await data.from(100n).complete(withFewMessages(110n), 'none')
    assert.deepEqual(told, ['batch 100'])
    assert.deepEqual(data.openOffsets, [110n])
  })
})

describe('pull chain: peeks that turn out wrong', () => {
  test('a confirmed peek changes nothing', BOUNDED, async () => {
    const { data, chain, batchFrom } = bench()
    chain.pump()
    await data.from(100n).complete(withMessages(110n))
    assert.equal(chain.confirm(batchFrom(100n), 110n), true)
    assert.deepEqual(data.openOffsets, [110n])
    assert.equal(data.from(110n).isAborted, false)
  })

  test('a wrong one drops every pull behind it, and goes on from the right offset', BOUNDED, async () => {
    const { data, chain, told, batchFrom } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    data.from(110n).arrive(withMessages(120n))
    const wrong = [data.from(110n), data.from(120n)]
    await data.from(100n).complete(withMessages(110n))
    assert.equal(chain.confirm(batchFrom(100n), 105n), false)
    assert.deepEqual(
      wrong.map(({ isAborted }) => isAborted),
      [true, true]
    )
    assert.deepEqual(data.openOffsets, [105n])
    await turn()
    await data.from(105n).complete(withMessages(115n))
    assert.deepEqual(told, ['batch 100', 'batch 105'])
  })

  test('it goes on at once, also where a pull behind it had begun to wait', BOUNDED, async () => {
    const { data, chain, told, batchFrom } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    await data.from(100n).complete(withMessages(110n))
    await data.from(110n).fail(fail('API_UNAVAILABLE'))
    assert.deepEqual(data.openOffsets, [])
    assert.equal(chain.confirm(batchFrom(100n), 105n), false)
    assert.deepEqual(data.openOffsets, [105n])
    assert.deepEqual(told, ['batch 100', 'retried API_UNAVAILABLE 110 75'])
  })

  test('a wrong one behind which the chain had failed for good brings it back to life', BOUNDED, async () => {
    const { data, chain, batchFrom } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    await data.from(100n).complete(withMessages(110n))
    await data.from(110n).fail(fail('API_INVALID_OFFSET'))
    assert.equal(chain.confirm(batchFrom(100n), 105n), false)
    assert.deepEqual(data.openOffsets, [105n])
  })

  test('a whole response that says other than its front is left to the worker', BOUNDED, async () => {
    const { data, chain, told, batchFrom } = bench()
    const text = '{"Response":{"NextOffset":110,"NextOffset":105,"Message":[]}}'
    chain.pump()
    data.from(100n).arrive(text)
    assert.deepEqual(data.openOffsets, [100n, 110n])
    await data.from(100n).complete(text)
    assert.deepEqual(told, ['batch 100'])
    assert.equal(chain.confirm(batchFrom(100n), 105n), false)
    assert.deepEqual(data.openOffsets, [105n])
  })

  test('a word on a batch of before the last restart changes nothing', BOUNDED, async () => {
    const { data, chain, batchFrom } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    await data.from(100n).complete(withMessages(110n))
    await data.from(110n).complete(withMessages(120n))
    chain.confirm(batchFrom(100n), 110n)
    chain.confirm(batchFrom(110n), 120n)
    assert.equal(chain.confirm(batchFrom(100n), 999n), true)
    assert.deepEqual(data.openOffsets, [120n])
  })
})

describe('pull chain: responses without messages', () => {
  test('an advance is told, and the chain goes on there', BOUNDED, async () => {
    const { data, chain, told } = bench()
    chain.pump()
    await data.from(100n).complete(withoutMessages(200n))
    assert.deepEqual(told, ['advanced 100 200'])
    assert.deepEqual(data.openOffsets, [200n])
  })

  test('an advance keeps its place between the batches', BOUNDED, async () => {
    const { data, chain, told } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    data.from(110n).arrive(withoutMessages(150n))
    data.from(150n).arrive(withMessages(160n))
    await data.from(150n).complete(withMessages(160n))
    await data.from(110n).complete(withoutMessages(150n))
    await data.from(100n).complete(withMessages(110n))
    assert.deepEqual(told, ['batch 100', 'advanced 110 150', 'batch 150'])
  })

  for (const [title, nextOffset] of [
    ['the same offset', 100n],
    ['offset 0', 0n],
    ['no offset', undefined],
    ['-1 in a pull without an end', -1n]
  ] as const) {
    test(
      `${title} means nothing new: asked again from the same offset after 50 ms, then less often`,
      BOUNDED,
      async () => {
        const { time, data, chain, told, budget } = bench()
        chain.pump()
        for (const waitMs of [50, 75, 112.5]) {
          await data.from(100n).complete(withoutMessages(nextOffset))
          assert.deepEqual([data.openOffsets, budget.heldBytes], [[], 0])
          await time.advance(waitMs - 1)
          assert.deepEqual(data.openOffsets, [])
          await time.advance(1)
          assert.deepEqual(data.openOffsets, [100n])
        }
        assert.deepEqual(told, [])
      }
    )
  }

  test('logs end the idle pace', BOUNDED, async () => {
    const { time, data, chain } = bench({ pollIntervalMs: 60 })
    chain.pump()
    await data.from(100n).complete(withoutMessages(100n))
    await time.advance(50)
    await data.from(100n).complete(withoutMessages(100n))
    await time.advance(60)
    await data.from(100n).complete(withMessages(110n))
    await data.from(110n).complete(withoutMessages(110n))
    await time.advance(49)
    assert.deepEqual(data.openOffsets, [])
    await time.advance(1)
    assert.deepEqual(data.openOffsets, [110n])
  })

  test('an offset that goes back is an error, not a position', BOUNDED, async () => {
    const { data, chain, told } = bench()
    chain.pump()
    await data.from(100n).complete(withoutMessages(50n))
    assert.deepEqual(told, ['retried NEXT_OFFSET_STUCK 100 75'])
  })

  test('messages without an advance are handed on: the worker fails them', BOUNDED, async () => {
    for (const nextOffset of [100n, 50n, undefined]) {
      const { data, chain, told } = bench()
      chain.pump()
      await data.from(100n).complete(withFewMessages(nextOffset))
      assert.deepEqual(told, ['batch 100'])
      assert.deepEqual(data.openOffsets, [])
    }
  })
})

describe('pull chain: errors', () => {
  for (const code of ['API_THROTTLED', 'API_UNAVAILABLE', 'API_UNREACHABLE', 'BODY_CORRUPT'] as const) {
    test(`${code} is retried from the same offset, each time later`, BOUNDED, async () => {
      const { time, data, chain, told, budget } = bench()
      const fresh = news(told)
      chain.pump()
      for (const waitMs of [75, 150, 300]) {
        await data.from(100n).fail(fail(code))
        assert.deepEqual(fresh(), [`retried ${code} 100 ${waitMs}`])
        assert.equal(budget.heldBytes, 0)
        await time.advance(waitMs - 1)
        assert.deepEqual(data.openOffsets, [])
        await time.advance(1)
        assert.deepEqual(data.openOffsets, [100n])
      }
      chain.pump()
      assert.deepEqual(data.openOffsets, [100n])
    })
  }

  test('the backoff of one chain leaves others alone', BOUNDED, async () => {
    const time = createFakeTime()
    const budget = new ByteBudget(100 * PULL_BYTES)
    const [throttled, other] = [bench({ time, budget }), bench({ time, budget })]
    throttled.chain.pump()
    other.chain.pump()
    await throttled.data.from(100n).fail(fail('API_THROTTLED'))
    await other.data.from(100n).complete(withMessages(110n))
    assert.deepEqual([throttled.data.openOffsets, other.data.openOffsets], [[], [110n]])
    throttled.chain.pump()
    assert.deepEqual(throttled.data.openOffsets, [], 'freed bytes do not end a backoff')
  })

  test('an error inside a 200 is an error, retried or final as its code says', BOUNDED, async () => {
    for (const [code, expected] of [
      ['SpeedQuotaExceed', 'retried API_THROTTLED 100 75'],
      ['InternalError', 'retried API_UNAVAILABLE 100 75'],
      ['InvalidParameter.InvalidOffset', 'failed API_INVALID_OFFSET 100'],
      ['FailedOperation', 'failed API_REFUSED 100']
    ] as const) {
      const { data, chain, told, budget } = bench()
      chain.pump()
      await data.from(100n).complete(withError(code))
      assert.deepEqual(told, [expected])
      assert.deepEqual([data.openOffsets, budget.heldBytes], [[], 0])
    }
  })

  test('a pull that breaks behind others drops what was based on it, and no more', BOUNDED, async () => {
    const { time, data, chain, told } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    data.from(110n).arrive(withMessages(120n))
    const behind = data.from(120n)
    await data.from(110n).fail(fail('API_UNREACHABLE'))
    assert.equal(behind.isAborted, true)
    assert.deepEqual(data.openOffsets, [100n])
    await data.from(100n).complete(withMessages(110n))
    assert.deepEqual(told, ['retried API_UNREACHABLE 110 75', 'batch 100'])
    await time.advance(75)
    assert.deepEqual(data.openOffsets, [110n])
  })

  test('a final failure is told with its offset; what is in front of it is still handed on', BOUNDED, async () => {
    const { time, data, chain, told } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    await data.from(110n).fail(fail('API_INVALID_OFFSET'))
    assert.deepEqual(told, ['failed API_INVALID_OFFSET 110'])
    assert.equal(chain.pendingCount, 1)
    await data.from(100n).complete(withMessages(110n))
    assert.deepEqual(told, ['failed API_INVALID_OFFSET 110', 'batch 100'])
    chain.pump()
    await time.advance(60_000)
    assert.deepEqual(data.openOffsets, [])
  })

  test('a final failure behind a pull that breaks is forgotten: it was based on that one', BOUNDED, async () => {
    const { time, data, chain, told } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    await data.from(110n).fail(fail('API_INVALID_OFFSET'))
    await data.from(100n).fail(fail('API_UNREACHABLE'))
    assert.deepEqual(told, ['failed API_INVALID_OFFSET 110', 'retried API_UNREACHABLE 100 75'])
    await time.advance(75)
    assert.deepEqual(data.openOffsets, [100n])
  })

  test('what is thrown by mistake is a failure for good', BOUNDED, async () => {
    const { data, chain, told } = bench()
    chain.pump()
    await data.from(100n).fail(new TypeError('a bug'))
    assert.deepEqual(told, ['failed INVARIANT_BROKEN 100'])
  })
})

describe('pull chain: a bounded run', () => {
  const BOUND = { endOffset: 200n, endTime: 1_700_000_000 }

  test('-1 is its end, also where nothing came', BOUNDED, async () => {
    const { data, chain, told } = bench({ bound: BOUND })
    chain.pump()
    await data.from(100n).complete(withoutMessages(-1n))
    assert.deepEqual(told, ['advanced 100 200', 'ended'])
    chain.pump()
    assert.deepEqual([data.openOffsets, told.length], [[], 2])
  })

  test('-1 with messages: they are handed on, and the end comes with the word of the worker', BOUNDED, async () => {
    const { data, chain, told, batchFrom } = bench({ bound: BOUND })
    chain.pump()
    await data.from(100n).complete(withMessages(-1n))
    assert.deepEqual(told, ['batch 100'])
    assert.equal(batchFrom(100n).endOffset, 200n)
    assert.equal(chain.confirm(batchFrom(100n), -1n), true)
    assert.deepEqual([data.openOffsets, told], [[], ['batch 100', 'ended']])
  })

  test('the end offset is not pulled from, nor anything behind it', BOUNDED, async () => {
    for (const nextOffset of [200n, 250n]) {
      const { data, chain, told, batchFrom } = bench({ bound: BOUND })
      chain.pump()
      await data.from(100n).complete(withMessages(nextOffset))
      assert.deepEqual([data.openOffsets, told], [[], ['batch 100', 'ended']])
      chain.confirm(batchFrom(100n), nextOffset)
      chain.free(batchFrom(100n))
      chain.pump()
      assert.deepEqual(told, ['batch 100', 'ended'])
    }
  })

  test('a partition that is at its end already ends without a pull', BOUNDED, () => {
    for (const [startOffset, endOffset] of [
      [200n, 200n],
      [300n, 200n],
      [-1n, -1n]
    ] as const) {
      const { data, chain, told } = bench({ startOffset, bound: { ...BOUND, endOffset } })
      chain.pump()
      assert.deepEqual([data.pulls.length, told], [0, ['ended']])
    }
  })

  test(
    '-1 answered to a pull that was sent before the bound means "nothing now": nothing is skipped',
    BOUNDED,
    async () => {
      const { time, data, chain, told } = bench()
      chain.pump()
      chain.hold()
      chain.setBound(BOUND)
      await data.from(100n).complete(withoutMessages(-1n))
      assert.deepEqual(told, [])
      await time.advance(50)
      assert.equal(data.from(100n).request.endTime, BOUND.endTime)
    }
  )

  test('-1 with messages to a pull that was sent before the bound does not end the run', BOUNDED, async () => {
    const { time, data, chain, told, batchFrom } = bench()
    chain.pump()
    chain.hold()
    chain.setBound(BOUND)
    await data.from(100n).complete(withMessages(-1n))
    assert.equal(batchFrom(100n).endOffset, undefined)
    chain.confirm(batchFrom(100n), -1n)
    await time.advance(50)
    assert.deepEqual([data.openOffsets, told], [[100n], ['batch 100']])
  })

  test(
    'a chain that is held sends nothing, hands on what is under way, and goes on with the bound',
    BOUNDED,
    async () => {
      const { time, data, chain, told } = bench()
      chain.pump()
      chain.hold()
      data.from(100n).arrive(withMessages(110n))
      await data.from(100n).complete(withMessages(110n))
      chain.pump()
      await time.advance(60_000)
      assert.deepEqual([data.openOffsets, told], [[], ['batch 100']])
      chain.setBound(BOUND)
      assert.equal(data.from(110n).request.endTime, BOUND.endTime)
    }
  )

  test('a wrong peek while it is held does not make it pull', BOUNDED, async () => {
    const { data, chain, batchFrom } = bench()
    chain.pump()
    await data.from(100n).complete(withMessages(110n))
    chain.hold()
    await data.from(110n).fail(fail('API_UNREACHABLE'))
    assert.equal(chain.confirm(batchFrom(100n), 105n), false)
    assert.deepEqual(data.openOffsets, [])
    chain.setBound(BOUND)
    assert.deepEqual(data.openOffsets, [105n])
  })
})

describe('pull chain: the budget', () => {
  test('I5: every byte is reserved before its pull, and given back once', BOUNDED, async () => {
    const { data, chain, budget, batchFrom } = bench()
    chain.pump()
    assert.equal(budget.heldBytes, PULL_BYTES)
    data.from(100n).arrive(withMessages(110n))
    assert.equal(budget.heldBytes, 2 * PULL_BYTES)
    await data.from(100n).complete(withMessages(110n))
    const { byteCount } = batchFrom(100n).body
    const overheadBytes = 8 * 1024 // of a batch beside its bytes
    assert.equal(budget.heldBytes, PULL_BYTES + byteCount + overheadBytes)
    chain.free(batchFrom(100n))
    assert.equal(budget.heldBytes, PULL_BYTES)
    chain.stop()
    assert.equal(budget.heldBytes, 0)
  })

  test('I5: a partition waits for its share, and goes on once bytes are freed', BOUNDED, async () => {
    const { data, chain, batchFrom, batches } = bench({ heldBytesMax: (3 * PULL_BYTES) / PULLED_SHARE })
    chain.pump()
    for (const offset of [100n, 110n, 120n]) data.from(offset).arrive(withMessages(offset + 10n))
    assert.deepEqual(data.openOffsets, [100n, 110n, 120n])
    await data.from(100n).complete(withMessages(110n))
    chain.pump()
    assert.deepEqual(data.openOffsets, [110n, 120n], 'the batch still holds its bytes')
    assert.equal(batches.length, 1)
    chain.free(batchFrom(100n))
    chain.pump()
    assert.deepEqual(data.openOffsets, [110n, 120n, 130n])
  })

  test('I5: a batch is freed once, also where others hold bytes that would cover it', BOUNDED, async () => {
    const budget = new ByteBudget(100 * PULL_BYTES)
    budget.tryPull(10 * PULL_BYTES, 0, 1)
    const { data, chain, batchFrom } = bench({ budget })
    chain.pump()
    await data.from(100n).complete(withFewMessages(100n))
    chain.free(batchFrom(100n))
    assert.throws(() => chain.free(batchFrom(100n)), { code: 'INVARIANT_BROKEN' })
  })

  test('I5: a response without messages leaves nothing to free', BOUNDED, async () => {
    const { data, chain, batchFrom, budget } = bench()
    chain.pump()
    await data.from(100n).complete(withoutMessages(undefined))
    assert.equal(budget.heldBytes, 0)
    assert.throws(() => batchFrom(100n))
  })
})

describe('pull chain: stopping', () => {
  test('pulls under way are aborted, what arrives after is not handed on, and nothing follows', BOUNDED, async () => {
    const { time, data, chain, told, budget } = bench()
    chain.pump()
    data.from(100n).arrive(withMessages(110n))
    const [head, tip] = [data.from(100n), data.from(110n)]
    await tip.complete(withMessages(120n))
    chain.stop()
    assert.equal(head.isAborted, true)
    await turn()
    chain.pump()
    chain.restart(100n)
    chain.setBound({ endOffset: 500n, endTime: 1 })
    await time.advance(60_000)
    assert.deepEqual([data.openOffsets, told, budget.heldBytes, time.pendingCount], [[], [], 0, 0])
  })

  test('a wait is ended', BOUNDED, async () => {
    const { time, data, chain } = bench()
    chain.pump()
    await data.from(100n).fail(fail('API_THROTTLED'))
    assert.equal(time.pendingCount, 1)
    chain.stop()
    assert.equal(time.pendingCount, 0)
  })

  test('handed-on batches are freed after the stop too', BOUNDED, async () => {
    const { data, chain, budget, batchFrom } = bench()
    chain.pump()
    await data.from(100n).complete(withMessages(110n))
    chain.stop()
    assert.ok(budget.heldBytes > 0)
    chain.free(batchFrom(100n))
    assert.equal(budget.heldBytes, 0)
  })

  test('a word on a batch after the stop is heard without a pull', BOUNDED, async () => {
    const { data, chain, batchFrom } = bench()
    chain.pump()
    await data.from(100n).complete(withLateOffset(110n))
    chain.stop()
    assert.equal(chain.confirm(batchFrom(100n), 110n), true)
    assert.deepEqual(data.openOffsets, [])
  })
})

describe('pull chain: what it waits for', () => {
  test('an answer; a word on where to go on; its time; nothing once it is stopped', BOUNDED, async () => {
    const { chain, data } = bench()
    chain.pump()
    assert.equal(chain.waitsFor(), 'answer')
    await data.from(100n).complete(withLateOffset(200n))
    assert.equal(chain.waitsFor(), 'offset')
    chain.restart(100n, 500)
    assert.equal(chain.waitsFor(), 'pace')
    chain.stop()
    assert.equal(chain.waitsFor(), undefined)
  })

  test('the end of a bounded run, while that is not known', BOUNDED, async () => {
    const { chain } = bench()
    chain.hold()
    chain.pump()
    assert.equal(chain.waitsFor(), 'bound')
  })

  test('bytes, where the budget has none for a further pull', BOUNDED, async () => {
    const { chain, data } = bench({ heldBytesMax: PULL_BYTES })
    chain.pump()
    data.from(100n).arrive(withMessages(200n))
    await data.from(100n).complete(withMessages(200n))
    assert.deepEqual([data.openOffsets, chain.waitsFor()], [[], 'bytes'])
  })

  test('nothing where it has failed, or is at the end of its run', BOUNDED, async () => {
    const failed = bench()
    failed.chain.pump()
    await failed.data.from(100n).fail(new ClsConsumerError('API_INVALID_OFFSET', 'gone'))
    const ended = bench({ bound: { endOffset: 100n, endTime: 1 } })
    ended.chain.pump()
    assert.deepEqual([failed.chain.waitsFor(), ended.chain.waitsFor()], [undefined, undefined])
  })
})
