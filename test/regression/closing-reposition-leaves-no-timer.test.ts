/** What stays behind when a partition closes whose new start is not committed yet keeps the process up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turn } from '../support/calls.ts'
import { BOUNDED, bench, fail } from '../support/consumer-bench.ts'

test('I8: a stop while the commit of a new start is tried again leaves no timer behind', BOUNDED, async t => {
  const { start, control, consumer, time } = bench(t)
  await start()
  const accept = control.commits.always
  control.commits.always = undefined
  const sought = consumer.seek('topic-a', 0, 40n)
  await turn()
  control.commits.only.refuse(fail('API_UNAVAILABLE'))
  await turn()
  control.commits.always = accept
  await time.settle(consumer.stop())
  assert.equal(time.pendingCount, 0)
  assert.equal(await sought, undefined)
})
