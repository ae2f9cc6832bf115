/** Between the verdict on a batch and what follows from it, an epoch may end: nothing of it may be committed then. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOUNDED, bench } from '../support/consumer-bench.ts'
import { processed } from '../support/fake-threads.ts'

/** More than the answer takes to be dealt with. */
const MICROTASKS_MAX = 24

test('I3: a seek at any moment after a batch’s answer is what is committed last', BOUNDED, async t => {
  for (let microtasks = 0; microtasks <= MICROTASKS_MAX; microtasks++) {
    const { start, fill, idFrom, threads, consumer, time, committed, data } = bench(t)
    const failures: string[] = []
    consumer.on('failed', ({ message }) => failures.push(message))
    await start()
    await fill(90n)
    threads.batch(idFrom(90n)).call.answer(processed({ nextOffset: 100n }))
    for (let passed = 0; passed < microtasks; passed++) await undefined
    assert.equal(await consumer.seek('topic-a', 0, 40n), 40n)
    await time.advance(3000)
    const seen = [failures, committed.get(0), data.openOffsets]
    assert.deepEqual(seen, [[], 40n, [40n]], `after ${microtasks} microtasks`)
  }
})
