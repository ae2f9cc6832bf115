/** What was lost while an epoch was being opened is lost once: commits of that partition stood still for good. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turn } from '../support/calls.ts'
import { BOUNDED, bench, INTERVAL_MS } from '../support/consumer-bench.ts'

const TOPIC = 'topic-a'

test(
  'a thread dies while a seek is being committed, and again later with all saved: later saves count',
  BOUNDED,
  async t => {
    const { start, fill, finish, control, consumer, threads, time, data, committed } = bench(t, {
      commitMode: 'manual'
    })
    await start()
    await fill(90n, 2)
    await finish(90n, { isSaved: true })
    const accept = control.commits.always
    control.commits.always = undefined
    const sought = consumer.seek(TOPIC, 0, 42n)
    await turn()
    await threads.exit(0)
    await threads.replace(0)
    control.commits.always = accept
    for (const call of control.commits.open) call.answer(accept?.(call.ask))
    await time.settle(sought)
    assert.deepEqual(data.openOffsets, [42n])

    await threads.exit(0)
    await threads.replace(0)
    await fill(42n, 1)
    await finish(42n, { isSaved: true })
    await time.advance(INTERVAL_MS)
    assert.equal(committed.get(0), 52n)
  }
)
