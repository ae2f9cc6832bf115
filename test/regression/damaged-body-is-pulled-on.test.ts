/** A damaged body may be a fault of the transport: it is pulled again as often as the user has said. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOUNDED, bench } from '../support/consumer-bench.ts'

test(
  'I1: a body that is damaged four times in a row, with eight attempts, is pulled again and read',
  BOUNDED,
  async t => {
    const { start, fill, failBatch, finish, data, time, consumer, committed } = bench(t, {
      onFailure: 'skip',
      attempts: 8
    })
    const skipped: bigint[] = []
    consumer.on('skipped', ({ startOffset }) => skipped.push(startOffset))
    await start()
    for (let damages = 1; damages <= 4; damages++) {
      await fill(90n)
      await failBatch(90n, 'BODY_CORRUPT', 'decode')
      for (let waits = 0; !data.openOffsets.includes(90n) && waits < 60; waits++) await time.advance(500)
    }
    await fill(90n)
    await finish(90n)
    await time.advance(3000)
    assert.deepEqual([skipped, committed.get(0)], [[], 100n])
  }
)
