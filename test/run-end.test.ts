/** How a bounded run ends, within its consumer on virtual time, where not all of it could be read. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { BOUNDED, bench, INTERVAL_MS } from './support/consumer-bench.ts'
import { withMessages } from './support/fake-data.ts'

/** Partition 0 is parked at 10, partition 1 is still read. */
async function half(t: TestContext) {
  const made = bench(t, { stopAt: 'now', startFrom: 'begin', onFailure: 'park', attempts: 1 })
  made.grant(0, 1)
  await made.start()
  const [zero, one] = [0, 1].map(id => made.data.pulls.find(({ request }) => request.partition === id))
  await zero?.complete(withMessages(90n))
  await made.failBatch(10n)
  assert.deepEqual(
    made.consumer.snapshot().partitions.map(({ state }) => state),
    ['parked', 'running']
  )
  return {
    ...made,
    finishOther: async () => {
      await one?.complete(withMessages(90n))
      await made.finish(10n, { nextOffset: 90n })
    }
  }
}

test(
  'I1: a run whose last partition is parked ends with that, and what the others have read is committed',
  BOUNDED,
  async t => {
    const { consumer, time, finishOther, committed } = await half(t)
    await finishOther()
    await assert.rejects(time.settle(consumer.finished), {
      code: 'PARTITION_PARKED',
      place: { topicId: 'topic-a', partition: 0, offset: 10n }
    })
    assert.deepEqual([...committed].sort(), [
      [0, 10n],
      [1, 90n]
    ])
  }
)

test('while another partition is read it goes on, and a resume in time makes it end well', BOUNDED, async t => {
  const { consumer, time, finishOther, data, committed, finish } = await half(t)
  await time.advance(INTERVAL_MS)
  assert.equal(consumer.snapshot().phase, 'running')
  assert.equal(await consumer.resume(), 1)
  await data.pulls.at(-1)?.complete(withMessages(90n))
  await finish(10n, { nextOffset: 90n })
  await finishOther()
  await time.settle(consumer.finished)
  assert.deepEqual([...committed].sort(), [
    [0, 90n],
    [1, 90n]
  ])
})

test('a partition that is paused keeps the run from its end', BOUNDED, async t => {
  const { consumer, time, grant, data, start, finish } = bench(t, { stopAt: 'now', startFrom: 'begin' })
  grant(0)
  await start()
  consumer.pause('topic-a', 0)
  await time.advance(20 * INTERVAL_MS)
  assert.equal(consumer.snapshot().phase, 'running')
  await consumer.resume()
  await data.from(10n).complete(withMessages(90n))
  await finish(10n, { nextOffset: 90n })
  await time.settle(consumer.finished)
})
