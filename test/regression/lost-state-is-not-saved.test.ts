/** A partition that stands still when its thread dies must not be saved past what that thread had saved. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turn } from '../support/calls.ts'
import { BOUNDED, bench, INTERVAL_MS } from '../support/consumer-bench.ts'

const TOPIC = 'topic-a'

for (const how of ['parked', 'paused'] as const) {
  test(
    `I1: ${how}, its thread dead, then revoked: a save by the new thread passes nothing unsaved`,
    BOUNDED,
    async t => {
      const { start, fill, finish, failBatch, consumer, threads, grant, time, committed, partition } = bench(t, {
        commitMode: 'manual',
        onFailure: 'park',
        attempts: 1
      })
      await start()
      await fill(90n, 2)
      await finish(90n)
      if (how === 'parked') await failBatch(100n)
      else {
        consumer.pause(TOPIC, 0)
        await finish(100n)
      }
      assert.equal(partition().state, how)
      await threads.exit(0)
      await threads.replace(0)
      threads.doneAtOnce.delete('revoke')
      grant()
      await time.advance(INTERVAL_MS)
      const revoke = threads.hook('revoke 0@0')
      threads.tell(0, { kind: 'saved', topicId: TOPIC, partition: 0, epoch: partition().epoch })
      revoke.answer({ kind: 'done' })
      await turn()
      await time.settle(consumer.stop())
      assert.equal(committed.get(0), 90n)
    }
  )
}
