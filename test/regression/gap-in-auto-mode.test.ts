/** A range without logs must move the frontier in every commit mode. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOUNDED, bench } from '../support/consumer-bench.ts'
import { withoutMessages } from '../support/fake-data.ts'

for (const commitMode of ['auto', 'manual'] as const) {
  test(`I1: commit mode ${commitMode}: a range without logs is passed, and committed`, BOUNDED, async t => {
    const { start, data, time, committed } = bench(t, { commitMode })
    await start()
    await data.from(90n).complete(withoutMessages(130n))
    await time.advance(3000)
    assert.equal(committed.get(0), 130n)
  })
}
