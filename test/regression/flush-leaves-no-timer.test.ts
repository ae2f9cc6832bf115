/** What stays behind when a flush ends keeps the process up after the consumer has stopped. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Committer } from '../../src/commit/committer.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { createFakeTime } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { createFakeControl } from '../support/fake-control.ts'

test('I8: a flush that is given up between two calls leaves no timer behind', { timeout: 10_000 }, async () => {
  const time = createFakeTime()
  const control = createFakeControl()
  const epoch = { topicId: 't', partition: 0, epoch: 1 }
  const nothing = (): void => undefined
  const committer = new Committer({
    world: { timers: time.timers, control: control.api },
    settings: { group: 'group', commitIntervalMs: 3000, callTimeoutMs: 60_000 },
    consumer: 'me',
    handlers: {
      committed: nothing,
      wentBack: nothing,
      failed: nothing,
      refused: nothing,
      broken: nothing,
      leaseRemainingMs: () => 1e9
    }
  })
  const stop = new AbortController()
  committer.track(epoch, 1n)
  const flushed = committer.flush([epoch], 60_000, stop.signal)
  await turn()
  control.commits.only.refuse(new ClsConsumerError('API_UNAVAILABLE', 'not now'))
  await turn()
  assert.equal(time.pendingCount, 2, 'the deadline, and the wait for the next call')
  stop.abort()
  assert.equal(await flushed, false)
  assert.equal(time.pendingCount, 0)
})
