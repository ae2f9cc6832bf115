/** The time for which a partition was paused must not count as a stall once it is given up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOUNDED, bench, INTERVAL_MS } from '../support/consumer-bench.ts'

const STALL_MS = 60_000

test(
  'a partition that was paused for longer than a stall takes is revoked without a word of a stall',
  BOUNDED,
  async t => {
    const { start, consumer, grant, time, threads } = bench(t, { onStall: 'stop', stallMs: STALL_MS })
    const stalled: number[] = []
    consumer.on('stalled', ({ stalledMs }) => stalled.push(stalledMs))
    await start()
    consumer.pause('topic-a', 0)
    await time.advance(2 * STALL_MS)
    threads.doneAtOnce.delete('revoke')
    grant()
    await time.advance(INTERVAL_MS + STALL_MS / 2)
    assert.ok(threads.hook('revoke 0@0').isOpen, 'it is still being given up')
    assert.deepEqual([stalled, consumer.snapshot().phase], [[], 'running'])
    // Counted from where it began to close, it is one.
    await time.advance(STALL_MS)
    assert.ok(stalled.every(ms => ms < 2 * STALL_MS) && stalled.length === 1, `told: ${stalled}`)
  }
)
