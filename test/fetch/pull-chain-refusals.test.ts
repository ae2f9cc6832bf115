import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError } from '../../src/errors.ts'
import { withError, withFewMessages, withLateOffset, withMessages, withoutMessages } from '../support/fake-data.ts'
import { BOUNDED, bench, fail, news, PULL_BYTES } from './chain-bench.ts'

const refusal = (serviceCode: string) => fail('API_REFUSED', { serviceCode })

/** A chain with the batch from 100 with a worker, one behind it queued, and a pull under way. */
async function reading(options: Parameters<typeof bench>[0] = {}) {
  const it = bench(options)
  it.chain.pump()
  await it.data.from(100n).complete(withMessages(110n))
  await it.data.from(110n).complete(withMessages(120n))
  /** What the tenure does when the worker fails a batch: drop what is queued, then tell. */
  const refuse = (error: ClsConsumerError): void => {
    it.chain.free(it.batchFrom(110n))
    it.chain.refused(error, 100n)
    it.chain.free(it.batchFrom(100n))
  }
  it.told.splice(0)
  return { ...it, refuse }
}

describe('pull chain: refused by a thread', () => {
  test('a retryable error of the service backs off by the pace of the chain, each time later', BOUNDED, async () => {
    const { time, data, told, chain, refuse, batchFrom } = await reading()
    const fresh = news(told)
    const behind = data.from(120n)
    refuse(refusal('SpeedQuotaExceed'))
    assert.deepEqual(fresh(), ['retried API_THROTTLED 100 75'])
    assert.deepEqual([behind.isAborted, data.openOffsets], [true, []])
    chain.pump()
    assert.deepEqual(data.openOffsets, [], 'freed bytes do not end a backoff')
    for (const [beforeMs, waitMs] of [
      [75, 150],
      [150, 300]
    ] as const) {
      await time.advance(beforeMs - 1)
      assert.deepEqual(data.openOffsets, [])
      await time.advance(1)
      // Too many words to be seen here.
      await data.from(100n).complete(withError('RequestLimitExceeded', 'x'.repeat(2000)))
      chain.refused(refusal('RequestLimitExceeded'), 100n)
      chain.free(batchFrom(100n))
      assert.deepEqual(fresh(), ['batch 100', `retried API_THROTTLED 100 ${waitMs}`])
    }
  })

  test('a final one is told once, and nothing follows', BOUNDED, async () => {
    for (const [serviceCode, code] of [
      ['InvalidParameter.InvalidOffset', 'API_INVALID_OFFSET'],
      ['TopicClosed', 'API_TOPIC_CLOSED'],
      ['NotAllowed', 'API_UNAUTHORIZED'],
      ['Whatever', 'API_REFUSED']
    ] as const) {
      const { time, data, told, budget, refuse } = await reading()
      refuse(refusal(serviceCode))
      await time.advance(60_000)
      assert.deepEqual([told, data.openOffsets, budget.heldBytes], [[`failed ${code} 100`], [], 0])
    }
  })

  test(
    'every error of the service is heeded before anything is told of it: in a small body and by a thread',
    BOUNDED,
    async () => {
      const { data, refuse } = await reading()
      const byThread = refusal('AuthFailure.TokenFailure')
      refuse(byThread)
      assert.deepEqual(data.heeded, [byThread])

      const small = bench()
      small.chain.pump()
      await small.data.from(100n).complete(withError('AuthFailure.TokenFailure'))
      assert.deepEqual(
        small.data.heeded.map(({ place }) => [place.serviceCode, place.topicId, place.partition, place.offset]),
        [['AuthFailure.TokenFailure', 't', 3, 100n]]
      )
      assert.deepEqual(small.told, ['retried API_TOKEN_EXPIRED 100 75'])
    }
  )

  test('after the end of a bounded run, it goes back', BOUNDED, async () => {
    const { time, data, told, chain, batchFrom } = bench({ bound: { endOffset: 110n, endTime: 1 } })
    chain.pump()
    await data.from(100n).complete(withMessages(110n))
    assert.equal(chain.hasEnded, true)
    chain.refused(refusal('InternalError'), 100n)
    chain.free(batchFrom(100n))
    assert.equal(chain.hasEnded, false)
    await time.advance(75)
    assert.deepEqual(data.openOffsets, [100n])
    assert.deepEqual(told, ['batch 100', 'ended', 'retried API_UNAVAILABLE 100 75'])
  })

  test('where a pull behind had failed for good, that is forgotten', BOUNDED, async () => {
    const { time, data, told, refuse } = await reading()
    await data.from(120n).fail(fail('API_NOT_FOUND'))
    refuse(refusal('InternalError'))
    await time.advance(75)
    assert.deepEqual(data.openOffsets, [100n])
    assert.deepEqual(told, ['failed API_NOT_FOUND 120', 'retried API_UNAVAILABLE 100 75'])
  })

  test('while the chain is held it backs off, and pulls after the bound is known', BOUNDED, async () => {
    const { time, data, chain, refuse } = await reading()
    chain.hold()
    refuse(refusal('InternalError'))
    await time.advance(60_000)
    assert.deepEqual(data.openOffsets, [])
    chain.setBound({ endOffset: 200n, endTime: 1 })
    assert.deepEqual(data.openOffsets, [100n])
  })

  test('after the stop it is heard without a word', BOUNDED, async () => {
    const { data, told, chain } = await reading()
    chain.stop()
    chain.refused(refusal('InternalError'), 100n)
    assert.deepEqual([data.openOffsets, told, data.heeded], [[], [], []])
  })
})

describe('pull chain: a response that made no sense', () => {
  for (const [title, text] of [
    ['its front tells', withMessages(110n)],
    ['its front does not tell', withLateOffset(110n)],
    ['it is small', withFewMessages(110n)]
  ] as const) {
    test(`is pulled again alone, where ${title}: what follows waits for the word of the worker`, BOUNDED, async () => {
      const { time, data, scout, told, chain, batchFrom } = await reading()
      chain.free(batchFrom(110n))
      chain.restart(100n, 500, 'ignored')
      chain.free(batchFrom(100n))
      await time.advance(499)
      assert.deepEqual(data.openOffsets, [])
      await time.advance(1)
      data.from(100n).arrive(text)
      await data.from(100n).complete(text)
      assert.deepEqual([told, data.openOffsets, scout.calls.asks.length], [['batch 100'], [], 0])
      assert.equal(chain.confirm(batchFrom(100n), 110n), true)
      data.from(110n).arrive(withMessages(120n))
      assert.deepEqual(data.openOffsets, [110n, 120n], 'and then it reads ahead again')
    })
  }

  for (const [title, failed] of [
    ['an error of the transport', it => it.data.from(100n).fail(fail('API_UNREACHABLE'))],
    ['a small refusal', it => it.data.from(100n).complete(withError('SpeedQuotaExceed'))],
    [
      'a refusal that a thread found',
      async it => {
        await it.data.from(100n).complete(withMessages(110n))
        it.chain.refused(refusal('SpeedQuotaExceed'), 100n)
      }
    ]
  ] satisfies readonly (readonly [string, (it: Awaited<ReturnType<typeof reading>>) => Promise<void>])[]) {
    test(`is pulled alone until it is answered: also after ${title}`, BOUNDED, async () => {
      const it = await reading()
      const { time, data, chain, batchFrom } = it
      chain.restart(100n, 500, 'ignored')
      await time.advance(500)
      await failed(it)
      await time.advance(75)
      data.from(100n).arrive(withMessages(110n))
      await data.from(100n).complete(withMessages(110n))
      assert.deepEqual(data.openOffsets, [], 'nothing is pulled behind it before the word of the worker')
      chain.confirm(batchFrom(100n), 110n)
      data.from(110n).arrive(withMessages(120n))
      assert.deepEqual(data.openOffsets, [110n, 120n])
    })
  }

  test('may hold no log after all', BOUNDED, async () => {
    const { time, data, told, chain } = await reading()
    chain.restart(100n, 500, 'ignored')
    await time.advance(500)
    await data.from(100n).complete(withoutMessages(130n))
    assert.deepEqual([told, data.openOffsets], [['advanced 100 130'], [130n]])
  })

  test('after the stop is left alone', BOUNDED, async () => {
    const { time, data, chain } = await reading()
    chain.stop()
    chain.restart(100n, 500, 'ignored')
    await time.advance(500)
    assert.deepEqual([data.openOffsets, time.pendingCount], [[], 0])
  })
})

describe('pull chain: an answer that is one', () => {
  test(
    'is told for each response: at once where it was empty, else with the word of the worker, once',
    BOUNDED,
    async () => {
      const { data, chain, batchFrom, answeredCount } = bench()
      chain.pump()
      await data.from(100n).complete(withoutMessages(110n))
      assert.equal(answeredCount(), 1)
      await data.from(110n).complete(withMessages(120n))
      assert.equal(answeredCount(), 1, 'it might be a refusal of many words')
      chain.confirm(batchFrom(110n), 120n)
      chain.confirm(batchFrom(110n), 120n)
      assert.equal(answeredCount(), 2)
    }
  )

  test('is told to the service client with the start of its pull, no sooner', BOUNDED, async () => {
    const { data, chain, batchFrom } = bench()
    chain.pump()
    await data.from(100n).complete(withoutMessages(110n))
    await data.from(110n).complete(withMessages(120n))
    assert.deepEqual(data.worked, [100n])
    chain.confirm(batchFrom(110n), 120n)
    assert.deepEqual(data.worked, [100n, 110n])
  })

  test('is told before the advance, which may bring out that the pull behind was refused', BOUNDED, async () => {
    const { data, chain, told } = bench({ onAnswered: it => it.push('answered') })
    chain.pump()
    data.from(100n).arrive(withoutMessages(110n))
    await data.from(110n).fail(fail('API_UNAUTHORIZED'))
    await data.from(100n).complete(withoutMessages(110n))
    assert.deepEqual(told, ['failed API_UNAUTHORIZED 110', 'answered', 'advanced 100 110'])
  })

  test('may stop the chain: nothing more is told then', BOUNDED, async () => {
    const it = bench({ onAnswered: () => it.chain.stop() })
    it.chain.pump()
    await it.data.from(100n).complete(withoutMessages(110n))
    assert.deepEqual([it.told, it.data.openOffsets, it.budget.heldBytes, it.time.pendingCount], [[], [], 0, 0])
    const quiet = bench({ onAnswered: () => quiet.chain.stop() })
    quiet.chain.pump()
    await quiet.data.from(100n).complete(withoutMessages(100n))
    assert.deepEqual([quiet.told, quiet.errors, quiet.time.pendingCount], [[], [], 0])
  })

  test('is not told of refusals', BOUNDED, async () => {
    const { data, chain, answeredCount, refuse } = await reading()
    refuse(refusal('TopicClosed'))
    chain.restart(100n)
    await data.from(100n).complete(withError('NotAllowed'))
    chain.restart(100n)
    await data.from(100n).fail(fail('API_UNAUTHORIZED'))
    assert.deepEqual([answeredCount(), data.worked], [0, []])
  })
})

describe('pull chain: responses too large', () => {
  test('by http: asked for again at once, half as much, down to the least there is', BOUNDED, async () => {
    const { data, chain, told, budget } = bench()
    chain.pump()
    const asked: number[] = []
    for (;;) {
      const [offset] = data.openOffsets
      if (offset === undefined) break
      const pull = data.from(offset)
      asked.push(pull.request.sizeBytes)
      await pull.fail(fail('BODY_TOO_LARGE'))
    }
    assert.deepEqual(
      asked,
      Array.from({ length: 17 }, (_, index) => PULL_BYTES / 2 ** index)
    )
    assert.equal(told.filter(each => each === 'retried BODY_TOO_LARGE 100 0').length, 16)
    assert.equal(told.at(-1), 'failed BODY_TOO_LARGE 100')
    assert.equal(budget.heldBytes, 0)
  })

  test('the last word names the cure', BOUNDED, async () => {
    const { data, chain, errors } = bench({ pullBytes: 1 })
    chain.pump()
    const error = new ClsConsumerError('BODY_TOO_LARGE', '9 bytes are too many', { topicId: 't', offset: 100n })
    await data.from(100n).fail(error)
    assert.match(errors[0]?.message ?? '', /^9 bytes .*raise bodyBytesMax or responseBytesMax/)
    assert.equal(errors[0]?.place.offset, 100n)
  })

  test('by a thread: the same, from the offset of the batch, and what is behind is dropped', BOUNDED, async () => {
    const { data, told, refuse } = await reading()
    const behind = data.from(120n)
    refuse(fail('BODY_TOO_LARGE'))
    assert.deepEqual([behind.isAborted, data.openOffsets], [true, [100n]])
    assert.equal(data.from(100n).request.sizeBytes, PULL_BYTES / 2)
    assert.deepEqual(told, ['retried BODY_TOO_LARGE 100 0'])
  })

  test('what was asked for counts, not what is asked for now', BOUNDED, async () => {
    const { data, refuse } = await reading()
    await data.from(120n).fail(fail('BODY_TOO_LARGE'))
    assert.equal(data.from(120n).request.sizeBytes, PULL_BYTES / 2)
    refuse(fail('BODY_TOO_LARGE'))
    assert.equal(data.from(100n).request.sizeBytes, PULL_BYTES / 2, 'both had asked for the whole')
  })

  test('the size grows back once batches hold, by the word of the worker', BOUNDED, async () => {
    const { data, chain, batchFrom } = bench()
    chain.pump()
    await data.from(100n).fail(fail('BODY_TOO_LARGE'))
    const asked: number[] = []
    for (let offset = 100n; offset < 200n; offset += 10n) {
      asked.push(data.from(offset).request.sizeBytes)
      await data.from(offset).complete(withFewMessages(offset + 10n))
      chain.confirm(batchFrom(offset), offset + 10n)
      chain.free(batchFrom(offset))
    }
    // The pull behind a batch leaves before the worker's word on it.
    assert.deepEqual(asked, [...new Array(9).fill(PULL_BYTES / 2), PULL_BYTES])
  })

  test('I5: a smaller size reserves no less: nobody knows what the service counts', BOUNDED, async () => {
    const { data, chain, budget } = bench()
    chain.pump()
    await data.from(100n).fail(fail('BODY_TOO_LARGE'))
    assert.equal(budget.heldBytes, PULL_BYTES)
  })
})
