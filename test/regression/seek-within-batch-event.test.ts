/** Whoever hears of a batch may reposition its partition at once: the batch must have been settled by then. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOUNDED, bench } from '../support/consumer-bench.ts'

test(
  'I3: seek() within a batch listener goes there, and the batch it heard of is not committed after',
  BOUNDED,
  async t => {
    const { start, fill, finish, consumer, news, time, data } = bench(t)
    const failures: string[] = []
    consumer.on('failed', ({ code }) => failures.push(code))
    await start()
    await fill(90n, 2)
    const sought: Promise<bigint | undefined>[] = []
    consumer.once('batch', () => sought.push(consumer.seek('topic-a', 0, 40n)))
    news()
    await finish(90n)
    assert.deepEqual(await Promise.all(sought), [40n])
    await time.advance(3000)
    assert.deepEqual([news(), data.openOffsets, failures], [['commit 0:40', 'pull 0:40'], [40n], []])
  }
)
