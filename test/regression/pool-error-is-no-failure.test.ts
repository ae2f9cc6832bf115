/** A batch that the pool could not give to a thread was never tried: no policy may pass it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClsConsumerError } from '../../src/errors.ts'
import { BOUNDED, bench } from '../support/consumer-bench.ts'

test(
  'I1: onFailure skip passes no batch that met an error of the pool: the consumer stops before it',
  BOUNDED,
  async t => {
    const { start, fill, idFrom, threads, scout, time, consumer, committed } = bench(t, {
      onFailure: 'skip',
      attempts: 1
    })
    const skipped: bigint[] = []
    consumer.on('skipped', ({ startOffset }) => skipped.push(startOffset))
    scout.calls.always = () => 100n
    await start()
    await fill(90n)
    threads.batch(idFrom(90n)).call.refuse(new ClsConsumerError('POOL_BROKEN', 'thread 0 is not there'))
    await assert.rejects(time.settle(consumer.finished), { code: 'POOL_BROKEN' })
    assert.deepEqual([skipped, committed.get(0)], [[], 90n])
  }
)
