/** A processor that rewinds its partition again and again to the same place must not pass for one that gets on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turn } from '../support/calls.ts'
import { BOUNDED, bench } from '../support/consumer-bench.ts'

test('a partition that is rewound again and again to where it stands is told as stalled', BOUNDED, async t => {
  const { start, fill, idFrom, threads, time, consumer } = bench(t, { stallMs: 2000 })
  const stalled: (bigint | undefined)[] = []
  consumer.on('stalled', ({ offset }) => stalled.push(offset))
  await start()
  for (let rewinds = 0; rewinds < 10; rewinds++) {
    await fill(90n)
    await time.advance(400)
    threads.batch(idFrom(90n)).call.answer({ kind: 'rewound', offset: 90n })
    await turn()
    await time.advance(100)
  }
  assert.ok(stalled.length > 0, 'nothing was told')
})
