import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { turn } from '../support/calls.ts'
import {
  withError,
  withFewMessages,
  withLateOffset,
  withLie,
  withMessages,
  withoutMessages
} from '../support/fake-data.ts'
import { BOUNDED, bench, fail } from './chain-bench.ts'

/** A chain whose first batch, from 100, keeps its next offset at the end: the scout has been asked. */
async function awaiting(options: Parameters<typeof bench>[0] = {}) {
  const it = bench(options)
  it.chain.pump()
  await it.data.from(100n).complete(withLateOffset(110n))
  const answer = async (nextOffset: bigint | undefined): Promise<void> => {
    it.scout.calls.only.answer(nextOffset)
    await turn()
  }
  return { ...it, first: it.batchFrom(100n), answer }
}

describe('pull chain: the scout', () => {
  test(
    'is asked for the body of a batch whose front does not tell, and the pull leaves before the worker',
    BOUNDED,
    async () => {
      const { data, scout, told, first, answer, chain } = await awaiting()
      assert.deepEqual([scout.calls.asks, told, data.openOffsets], [[first.body], ['batch 100'], []])
      await answer(110n)
      assert.deepEqual(data.openOffsets, [110n])
      assert.equal(first.peekedOffset, undefined, 'what the front said')
      assert.equal(chain.confirm(first, 110n), true)
      assert.deepEqual([data.openOffsets, data.from(110n).isAborted], [[110n], false])
    }
  )

  test('is asked of each batch in turn, and the worker confirms them behind', BOUNDED, async () => {
    const { data, scout, told, answer, chain, batchFrom } = await awaiting()
    await answer(110n)
    await data.from(110n).complete(withLateOffset(120n))
    assert.equal(scout.calls.asks.length, 2)
    await answer(120n)
    await data.from(120n).complete(withMessages(130n))
    assert.deepEqual(told, ['batch 100', 'batch 110', 'batch 120'])
    for (const offset of [100n, 110n, 120n]) assert.equal(chain.confirm(batchFrom(offset), offset + 10n), true)
    assert.deepEqual(data.openOffsets, [130n])
  })

  test('is not asked where the front or the whole told, or where nothing came', BOUNDED, async () => {
    for (const text of [
      withMessages(110n),
      withFewMessages(110n),
      withFewMessages(100n),
      withFewMessages(undefined),
      withoutMessages(110n),
      withError('SpeedQuotaExceed')
    ]) {
      const { data, scout, chain } = bench()
      chain.pump()
      await data.from(100n).complete(text)
      assert.equal(scout.calls.asks.length, 0, text.slice(0, 60))
    }
  })

  test('answers after the worker has: nothing is pulled twice', BOUNDED, async () => {
    const { data, first, answer, chain } = await awaiting()
    assert.equal(chain.confirm(first, 110n), true)
    await data.from(110n).complete(withMessages(120n))
    await answer(110n)
    assert.deepEqual(data.openOffsets, [120n])
    assert.equal(data.pulls.length, 3)
  })

  test('and answers something else than the worker had: ignored', BOUNDED, async () => {
    const { data, first, answer, chain } = await awaiting()
    chain.confirm(first, 110n)
    await answer(999n)
    assert.deepEqual(data.openOffsets, [110n])
  })

  test(
    'was wrong: what it led to is dropped, also what was handed on, and the chain goes on from the right offset',
    BOUNDED,
    async () => {
      const { data, told, first, answer, chain, budget, batchFrom } = await awaiting()
      await answer(500n)
      await data.from(500n).complete(withMessages(510n))
      const behind = data.from(510n)
      assert.deepEqual(told, ['batch 100', 'batch 500'])
      assert.equal(chain.confirm(first, 110n), false, 'batch 500 must be dropped')
      chain.free(batchFrom(500n))
      assert.equal(behind.isAborted, true)
      assert.deepEqual(data.openOffsets, [110n])
      await data.from(110n).complete(withMessages(120n))
      assert.deepEqual(told, ['batch 100', 'batch 500', 'batch 110'])
      chain.free(first)
      chain.free(batchFrom(110n))
      chain.stop()
      assert.equal(budget.heldBytes, 0)
    }
  )

  test('was wrong, and led past the end: that failure is forgotten', BOUNDED, async () => {
    const { data, told, first, answer, chain } = await awaiting()
    await answer(500n)
    await data.from(500n).fail(fail('API_INVALID_OFFSET'))
    assert.deepEqual(told, ['batch 100', 'failed API_INVALID_OFFSET 500'])
    assert.equal(chain.confirm(first, 110n), false)
    assert.deepEqual(data.openOffsets, [110n])
  })

  for (const nextOffset of [undefined, 100n, 50n, 0n, -1n]) {
    test(`has ${nextOffset} to say, which does not lead on: the worker has the word`, BOUNDED, async () => {
      const { data, first, answer, chain } = await awaiting()
      await answer(nextOffset)
      assert.deepEqual(data.openOffsets, [])
      assert.equal(chain.confirm(first, 110n), true)
      assert.deepEqual(data.openOffsets, [110n])
    })
  }

  test('is silent for ever: the worker tells', BOUNDED, async () => {
    const { data, first, chain } = await awaiting()
    assert.equal(chain.confirm(first, 110n), true)
    assert.deepEqual(data.openOffsets, [110n])
  })

  test('answers after a restart from elsewhere: ignored, even from the same offset', BOUNDED, async () => {
    const { data, scout, answer, chain } = await awaiting()
    chain.restart(100n)
    await answer(110n)
    assert.deepEqual(data.openOffsets, [100n])
    await data.from(100n).complete(withLateOffset(110n))
    assert.equal(scout.calls.asks.length, 2)
    await answer(110n)
    assert.deepEqual(data.openOffsets, [110n])
  })

  test('answers after its batch was refused: ignored', BOUNDED, async () => {
    const { time, data, answer, chain } = await awaiting()
    chain.refused(fail('API_REFUSED', { serviceCode: 'SpeedQuotaExceed' }), 100n)
    await answer(110n)
    assert.deepEqual(data.openOffsets, [])
    await time.advance(75)
    assert.deepEqual(data.openOffsets, [100n])
  })

  test('answers after the stop: nothing is pulled, and the worker is still heard', BOUNDED, async () => {
    const { time, data, first, answer, chain } = await awaiting()
    chain.stop()
    await answer(110n)
    assert.equal(chain.confirm(first, 110n), true)
    await time.advance(60_000)
    assert.deepEqual([data.openOffsets, time.pendingCount], [[], 0])
  })

  test('answers after its batch was dropped and freed: ignored', BOUNDED, async () => {
    const { data, told, first, answer, chain } = await awaiting()
    chain.free(first)
    await answer(110n)
    assert.deepEqual([data.openOffsets, told], [[], ['batch 100']])
  })

  test('answers while the chain is held: the pull waits for the bound', BOUNDED, async () => {
    const { data, answer, chain } = await awaiting()
    chain.hold()
    await answer(110n)
    assert.deepEqual(data.openOffsets, [])
    chain.setBound({ endOffset: 200n, endTime: 1_700_000_000 })
    assert.deepEqual(data.openOffsets, [110n])
  })

  test(
    'leads to the end of a bounded run: it ends, and the worker comes back to it if that was wrong',
    BOUNDED,
    async () => {
      for (const truth of [200n, 150n]) {
        const { data, told, first, answer, chain } = await awaiting({ bound: { endOffset: 200n, endTime: 1 } })
        await answer(200n)
        assert.deepEqual([told, chain.hasEnded], [['batch 100', 'ended'], true])
        assert.equal(chain.confirm(first, truth), truth === 200n)
        assert.deepEqual([data.openOffsets, chain.hasEnded], truth === 200n ? [[], true] : [[150n], false])
      }
    }
  )

  test('waits for the budget as any pull does', BOUNDED, async () => {
    const { data, first, answer, chain } = await awaiting({ heldBytesMax: 1, pullBytes: 4 * 1024 })
    await answer(110n)
    assert.deepEqual(data.openOffsets, [])
    chain.confirm(first, 110n)
    chain.free(first)
    chain.pump()
    assert.deepEqual(data.openOffsets, [110n])
  })
})

describe('pull chain: a front that lies', () => {
  for (const [title, messages] of [
    ['a large response', 'many'],
    ['a small response', 'few'],
    ['an empty response', 'none']
  ] as const) {
    test(`${title} that lies to where there are logs: they are dropped, nothing is lost`, BOUNDED, async () => {
      const { data, told, chain, batchFrom } = bench()
      chain.pump()
      const text = withLie(500n, 110n, messages)
      data.from(100n).arrive(text)
      await data.from(500n).complete(withMessages(510n))
      await data.from(100n).complete(text)
      assert.deepEqual(told, ['batch 100', 'batch 500'], 'handed on already')
      assert.equal(chain.confirm(batchFrom(100n), 110n), false)
      chain.free(batchFrom(500n))
      assert.deepEqual(data.openOffsets, [110n])
      await data.from(110n).complete(withMessages(500n))
      await data.from(500n).complete(withMessages(510n))
      assert.deepEqual(told.slice(2), ['batch 110', 'batch 500'])
      for (const [offset, next] of [
        [110n, 500n],
        [500n, 510n]
      ] as const)
        assert.equal(chain.confirm(batchFrom(offset), next), true)
    })

    test(
      `${title} that lies past the end: the refusal there stops nothing once the worker has told`,
      BOUNDED,
      async () => {
        const { data, told, chain, batchFrom } = bench()
        chain.pump()
        const text = withLie(500n, 110n, messages)
        data.from(100n).arrive(text)
        await data.from(500n).fail(fail('API_INVALID_OFFSET'))
        assert.equal(chain.pendingCount, 1, 'what comes before it is still under way')
        await data.from(100n).complete(text)
        assert.deepEqual(told, ['failed API_INVALID_OFFSET 500', 'batch 100'])
        assert.equal(chain.confirm(batchFrom(100n), 110n), false)
        assert.deepEqual(data.openOffsets, [110n])
      }
    )
  }

  test('a body that still arrives after its pull was dropped tells nothing any more', BOUNDED, async () => {
    const { data, told, chain } = bench()
    chain.pump()
    const dropped = data.from(100n)
    chain.restart(200n)
    dropped.arrive(withMessages(110n))
    assert.deepEqual([data.openOffsets, told], [[200n], []])
    dropped.arrive(withLateOffset(110n))
    await data.from(200n).complete(withMessages(210n))
    assert.deepEqual([data.openOffsets, told], [[210n], ['batch 200']])
  })

  test('every response lies, one behind the other: each is put right in its turn', BOUNDED, async () => {
    const { data, told, chain, batchFrom } = bench()
    chain.pump()
    for (let offset = 100n; offset < 130n; offset += 10n) {
      const text = withLie(offset + 400n, offset + 10n)
      data.from(offset).arrive(text)
      data.from(offset + 400n).arrive(withMessages(offset + 450n))
      await data.from(offset).complete(text)
      assert.equal(chain.confirm(batchFrom(offset), offset + 10n), false)
    }
    assert.deepEqual(told, ['batch 100', 'batch 110', 'batch 120'])
    assert.deepEqual(data.openOffsets, [130n])
  })

  test('a lie that led past the end of a bounded run is undone', BOUNDED, async () => {
    const { data, told, chain, batchFrom } = bench({ bound: { endOffset: 200n, endTime: 1 } })
    chain.pump()
    await data.from(100n).complete(withLie(999n, 110n))
    assert.deepEqual([told, chain.hasEnded], [['batch 100', 'ended'], true])
    assert.equal(chain.confirm(batchFrom(100n), 110n), false)
    assert.deepEqual([data.openOffsets, chain.hasEnded], [[110n], false])
  })

  test(
    'a lie past the end, found while the chain is held for a bound: nothing is pulled before the bound',
    BOUNDED,
    async () => {
      const { time, data, chain, batchFrom } = bench()
      chain.pump()
      await data.from(100n).complete(withLie(500n, 110n))
      chain.hold()
      await data.from(500n).fail(fail('API_INVALID_OFFSET'))
      assert.equal(chain.confirm(batchFrom(100n), 110n), false)
      await time.advance(60_000)
      assert.deepEqual(data.openOffsets, [])
      chain.setBound({ endOffset: 200n, endTime: 1_700_000_000 })
      assert.equal(data.from(110n).request.endTime, 1_700_000_000)
    }
  )

  test(
    'in lz4 too the next pull leaves while the body arrives, and an empty response needs no worker',
    BOUNDED,
    async () => {
      const { data, told, scout, chain } = bench()
      chain.pump()
      data.from(100n).arrive(withMessages(110n), 40, 'lz4')
      assert.deepEqual(data.openOffsets, [100n, 110n])
      await data.from(100n).complete(withMessages(110n), 'lz4')
      await data.from(110n).complete(withoutMessages(150n), 'lz4')
      assert.deepEqual(told, ['batch 100', 'advanced 110 150'])
      await data.from(150n).complete(withError('SpeedQuotaExceed'), 'lz4')
      assert.deepEqual(told.slice(2), ['retried API_THROTTLED 150 75'])
      assert.equal(scout.calls.asks.length, 0)
    }
  )
})
