/** While the end of a bounded run is looked up for a partition that is repositioned, other things happen. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ConsumerOptions } from '../../src/options.ts'
import { turn } from '../support/calls.ts'
import { BOUNDED, bench, fail } from '../support/consumer-bench.ts'

/** Two batches are processed; the partition seeks behind them, and the service has not told yet where the run ends. */
async function seeking(t: TestContext, options: Partial<ConsumerOptions> = {}) {
  const made = bench(t, { stopAt: 'now', startFrom: 'begin', ...options })
  await made.start()
  await made.fill(10n, 2)
  await made.finish(10n)
  await made.finish(20n)
  const answer = made.control.offsets.always
  made.control.offsets.always = undefined
  const sought = made.consumer.seek('topic-a', 0, 30n)
  await turn()
  assert.deepEqual([made.partition().state, made.control.offsets.open.length > 0], ['opening', true])
  return { ...made, answer, sought }
}

test('I1: a stop meanwhile begins no pull past an end that nobody knows', BOUNDED, async t => {
  const { control, answer, sought, consumer, time, news } = await seeking(t)
  for (const call of control.offsets.open) call.refuse(fail('API_UNAVAILABLE'))
  await turn()
  news()
  // It waits to ask again: the stop wakes it before it closes the partition.
  control.offsets.always = answer
  const stopped = consumer.stop()
  await time.settle(stopped)
  assert.equal(await sought, undefined)
  assert.deepEqual(
    news().filter(line => line.startsWith('pull')),
    []
  )
})

test('I1: commit mode manual: a death meanwhile sends it back to its last save', BOUNDED, async t => {
  const { control, answer, sought, threads, time, data } = await seeking(t, { commitMode: 'manual' })
  await threads.exit(0)
  await threads.replace(0)
  control.offsets.always = answer
  for (const call of control.offsets.open) call.answer(answer?.(call.ask) ?? new Map())
  await time.settle(sought)
  assert.deepEqual(data.openOffsets, [10n])
})

test(
  'an end that is refused for good stops the consumer: the partition would stand still unheard',
  BOUNDED,
  async t => {
    const { control, sought, consumer, time } = await seeking(t)
    const refuse = (): never => {
      throw fail('API_REFUSED')
    }
    control.offsets.always = refuse
    control.created.always = refuse
    control.deleted.always = () => undefined
    for (const call of control.offsets.open) call.refuse(fail('API_REFUSED'))
    await assert.rejects(time.settle(consumer.finished), { code: 'API_REFUSED' })
    assert.equal(await sought, undefined)
  }
)
