import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ByteBudget } from '../../src/fetch/budget.ts'
import { PULLS_PER_WINDOW } from '../../src/fetch/pull-rate.ts'
import { PULLED_SHARE } from '../../src/options.ts'
import { createFakeTime } from '../cls/fakes.ts'
import { withFewMessages, withMessages, withoutMessages } from '../support/fake-data.ts'
import { BOUNDED, bench, PULL_BYTES } from './chain-bench.ts'

type Bench = ReturnType<typeof bench>

/** What a full response counts while it is held. */
const BODY_BYTES = PULL_BYTES + 8 * 1024

describe('pull chain: the rate of the service', () => {
  for (const [title, text] of [
    ['one message each', withFewMessages],
    ['nothing but an advance', withoutMessages]
  ] as const) {
    test(
      `small responses at loopback speed, ${title}: never more than 200 pulls in a second, and no fewer than it may`,
      BOUNDED,
      async () => {
        const { time, data, chain, batches } = bench()
        const sentMs: number[] = []
        chain.pump()
        while (sentMs.length < 3 * PULLS_PER_WINDOW) {
          const [offset] = data.openOffsets
          if (offset === undefined) {
            await time.advance(1)
            continue
          }
          sentMs.push(time.clock.monotonic())
          await data.from(offset).complete(text(offset + 1n))
          for (const batch of batches.splice(0)) {
            chain.confirm(batch, offset + 1n)
            chain.free(batch)
          }
        }
        for (const [index, atMs] of sentMs.entries()) {
          const before = sentMs[index - 200]
          assert.ok(before === undefined || atMs - before >= 1000, `pull ${index} at ${atMs} ms`)
        }
        assert.equal(sentMs.at(-1), 2000, 'three windows of them take two seconds')
      }
    )
  }

  test('one partition at its rate leaves others alone, and a stop ends its wait', BOUNDED, async () => {
    const time = createFakeTime()
    const [busy, other] = [bench({ time }), bench({ time })]
    busy.chain.pump()
    for (let count = 0; count < PULLS_PER_WINDOW; count++) {
      const [offset = 0n] = busy.data.openOffsets
      await busy.data.from(offset).complete(withoutMessages(offset + 1n))
    }
    assert.deepEqual(busy.data.openOffsets, [])
    other.chain.pump()
    assert.deepEqual(other.data.openOffsets, [100n])
    busy.chain.stop()
    assert.equal(time.pendingCount, 0)
  })

  test('a wrong peek does not get around it', BOUNDED, async () => {
    const { time, data, chain, batchFrom } = bench()
    chain.pump()
    for (let count = 1; count < PULLS_PER_WINDOW; count++) {
      const [offset = 0n] = data.openOffsets
      await data.from(offset).complete(withoutMessages(offset + 1n))
    }
    const [last = 0n] = data.openOffsets
    await data.from(last).complete(withMessages(last + 50n))
    chain.confirm(batchFrom(last), last + 10n)
    await time.advance(999)
    assert.deepEqual(data.openOffsets, [])
    await time.advance(1)
    assert.deepEqual(data.openOffsets, [last + 10n])
  })
})

describe('pull chain: many partitions of several topics', () => {
  /** 12 partitions of 3 topics share what eight pulls take. */
  function group() {
    const time = createFakeTime()
    const budget = new ByteBudget((8 * PULL_BYTES) / PULLED_SHARE)
    const all: Bench[] = []
    for (const topicId of ['t1', 't2', 't3'])
      for (let partition = 0; partition < 4; partition++)
        all.push(bench({ time, budget, topicId, partition, partitionCount: () => all.length }))
    const [huge, ...others] = all
    assert.ok(huge !== undefined)
    for (const { chain } of all) chain.pump()
    return { time, budget, all, huge, others }
  }

  test(
    'one with a huge backlog and a slow processor takes its share and no more, though nobody else needs theirs yet',
    BOUNDED,
    async () => {
      const time = createFakeTime()
      const budget = new ByteBudget((8 * BODY_BYTES) / PULLED_SHARE)
      const all = [0, 1, 2, 3].map(partition => bench({ time, budget, partition, partitionCount: () => 4 }))
      const [huge, ...others] = all
      assert.ok(huge !== undefined)
      for (const { chain } of all) chain.pump()
      for (const { data } of others) await data.from(100n).complete(withoutMessages(100n))
      for (let round = 0; round < 20; round++) await feed(huge)
      assert.deepEqual([huge.batches.length, huge.data.openOffsets], [2, []], 'a quarter of eight')
      await time.advance(50)
      for (const other of others) {
        await feed(other)
        assert.equal(other.data.openOffsets.length, 1, 'and reads ahead')
      }
    }
  )

  /** Answers the pull of a partition with a whole pull's worth of messages. */
  async function feed({ data, told }: Bench): Promise<void> {
    const [offset] = data.openOffsets
    if (offset === undefined) return
    const before = told.length
    const body = {
      bytes: new SharedArrayBuffer(PULL_BYTES),
      byteCount: 0,
      compression: 'none',
      requestId: 'r'
    } as const
    const text = Buffer.from(`{"Response":{"NextOffset":${offset + 10n},"Message":["${'A'.repeat(PULL_BYTES / 2)}"]}}`)
    new Uint8Array(body.bytes).set(text)
    await data.from(offset).completeWith({ ...body, byteCount: text.length })
    assert.equal(told[before], `batch ${offset}`)
  }

  test(
    'one with a huge backlog and a slow processor takes its share, and every other still has a pull under way',
    BOUNDED,
    async () => {
      const { all, huge, others } = group()
      for (let round = 0; round < 50; round++) {
        await feed(huge)
        for (const { chain } of all) chain.pump()
      }
      assert.deepEqual(huge.data.openOffsets, [], 'it holds its share')
      assert.equal(huge.batches.length, 1)
      assert.ok(others.every(({ data }) => data.openOffsets.length === 1))
    }
  )

  test('where all have more than fits, each is pulled as often as any other', BOUNDED, async () => {
    const { all } = group()
    let count = 0
    for (let round = 0; round < 40; round++) {
      for (const each of all) {
        await feed(each)
        const [batch] = each.batches.splice(0, 1)
        if (batch === undefined) continue
        count += 1
        each.chain.confirm(batch, batch.startOffset + 10n)
        each.chain.free(batch)
        // As the tenures do: whoever was there first asks first.
        for (const { chain } of all) chain.pump()
      }
    }
    assert.equal(count, 40 * all.length)
    assert.deepEqual(new Set(all.map(({ data }) => data.pulls.length)), new Set([41]))
  })

  test(
    'a silent partition that gets logs again is read at its next poll, however full the others are',
    BOUNDED,
    async () => {
      const { time, all, others } = group()
      const [silent] = others
      assert.ok(silent !== undefined)
      await silent.data.from(100n).complete(withoutMessages(100n))
      for (const each of all) if (each !== silent) await feed(each)
      for (const { chain } of all) chain.pump()
      await time.advance(50)
      assert.deepEqual(silent.data.openOffsets, [100n])
      await feed(silent)
      assert.deepEqual(silent.told, ['batch 100'])
    }
  )
})
