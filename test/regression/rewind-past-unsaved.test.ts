/** In commit mode manual a rewind must not commit past what the processor keeps and has not saved. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turn } from '../support/calls.ts'
import { BOUNDED, bench } from '../support/consumer-bench.ts'

test(
  'I1: a rewind in commit mode manual commits no more than the last save, and a death goes back there',
  BOUNDED,
  async t => {
    const { start, fill, finish, idFrom, threads, time, committed, data } = bench(t, { commitMode: 'manual' })
    await start()
    await fill(90n, 2)
    await finish(90n)
    threads.batch(idFrom(100n)).call.answer({ kind: 'rewound', offset: 100n })
    await time.advance(3000)
    assert.deepEqual([committed.get(0), data.openOffsets], [90n, [100n]])
    await threads.exit(0)
    await threads.replace(0)
    await turn()
    assert.deepEqual(data.openOffsets, [90n])
  }
)
