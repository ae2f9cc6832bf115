/** A partition that has nothing new must not be taken for one that stalls, however seldom it asks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOUNDED, bench } from '../support/consumer-bench.ts'
import { withoutMessages } from '../support/fake-data.ts'

const STALL_MS = 2000
const POLL_MS = 5000

test('an idle partition that asks less often than a stall takes does not end the consumer', BOUNDED, async t => {
  const { start, data, time, consumer } = bench(t, { onStall: 'stop', stallMs: STALL_MS, pollIntervalMs: POLL_MS })
  const stalled: string[] = []
  consumer.on('stalled', ({ reason }) => stalled.push(reason))
  await start()
  // It asks less and less often, up to every POLL_MS.
  for (let polls = 0; polls < 30; polls++) {
    for (let waits = 0; data.openOffsets.length === 0 && waits < 100; waits++) await time.advance(100)
    // The answer takes its time as well.
    await time.advance(300)
    await data.from(90n).complete(withoutMessages(90n))
  }
  assert.deepEqual([stalled, consumer.snapshot().phase], [[], 'running'])
})
