/** What the network, the clock and the credentials do to a consumer: the documented error, or recovery without loss. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClsConsumerError } from '../../src/errors.ts'
import { REMEDIES } from '../../src/errors.ts'
import type { ChildConsumer } from './harness/consumers.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import { GROUP_TIMEOUT_MS } from './harness/stage.ts'
import { nowMs, until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const TEN_MINUTES_MS = 600_000

describe('trouble', { concurrency: 2 }, () => {
  test('I9: a wrong secret ends start() with API_UNAUTHORIZED, and is in no line of the log', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const { secretId } = stage.emulator
      const secretKey = 'a-secret-that-is-wrong-4711'
      const run = stage.run('run', { options: { credentials: { secretId, secretKey } } })
      const failed = await run.event('start-failed')
      assert.equal(failed.code, 'API_UNAUTHORIZED')
      assert.equal((await run.finished()).code, 'API_UNAUTHORIZED')
      assert.doesNotMatch(`${failed.text}${run.log()}`, /4711/)
      assert.deepEqual((await stage.snapshot()).groups, [], 'no group was made')
    })
  )

  test('an unknown topic ends start() with API_NOT_FOUND, which names it', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const run = stage.run('run', { options: { topicIds: ['no-such-topic'] } })
      const failed = await run.event('start-failed')
      assert.equal(failed.code, 'API_NOT_FOUND')
      assert.match(failed.text ?? '', /no-such-topic/)
      assert.equal((await run.finished()).code, 'API_NOT_FOUND')
    })
  )

  for (const [title, clockSkewMs] of [
    ['behind', TEN_MINUTES_MS],
    ['ahead', -TEN_MINUTES_MS]
  ] as const) {
    test(`a clock that is 10 minutes ${title} is measured and corrected, and nothing is lost`, TIMEOUT, () =>
      play({ partitionCount: 2, clockSkewMs }, async stage => {
        for (const lane of stage.producer.lanes(stage.topicId, 2)) await stage.producer.send(lane, 20)
        const run = stage.run('run')
        await stage.processed(stage.producer.ids())
        await run.stop()
        assertSound(stage.evidence())
        assert.deepEqual(await stage.committed(), await stage.ends())
      })
    )
  }

  test(
    'a server that is down at the start and stays so ends start() with an error whose remedy is retry',
    TIMEOUT,
    () =>
      play({ partitionCount: 1 }, async stage => {
        await stage.emulator.suspend()
        const callTimeoutMs = 2000
        const startedMs = nowMs()
        const run = stage.run('run', { options: { callTimeoutMs } })
        const failed = await run.event('start-failed')
        assert.equal(remedyOf(failed.code), 'retry', `${failed.code}: ${failed.text}`)
        assert.ok(failed.atMs - startedMs < callTimeoutMs + 1500, 'within callTimeoutMs')
        assert.equal((await run.finished()).code, failed.code)
      })
  )

  test('a server that comes up within callTimeoutMs is joined', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      await stage.producer.send(lane, 20)
      await stage.emulator.suspend()
      const run = stage.run('run')
      await until('it has tried in vain', () => /retried/.test(run.log()))
      await stage.emulator.resume()
      await stage.processed(stage.producer.ids())
      await run.stop()
      assertSound(stage.evidence())
    })
  )

  test('I12: a server down for 3 s ends all leases; both consumers join anew, and nothing is lost', TIMEOUT, () =>
    play({ partitionCount: 4 }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 4)
      const part = { behaviour: { batchMs: 20 }, onResult: {} }
      const [a, b] = [stage.fork('A', part), stage.fork('B', part)]
      const load = stage.producer.keepSending(lanes)
      await Promise.all([a.holds(2), b.holds(2)])
      await load.rounds(20)
      await stage.emulator.suspend()
      const downMs = nowMs()
      await until('3 s have passed', () => nowMs() > downMs + 3000)
      const losses = await Promise.all([a, b].map(consumer => leaseLoss(consumer, downMs)))
      const interruptions = await Promise.all(
        losses.map(({ consumer, atMs }) => stage.interruptions(consumer, 'lease-lost', atMs))
      )
      await stage.emulator.resume()
      await until('all is held again', () => a.held().length + b.held().length === 4)
      await load.rounds(10)
      await load.stop()
      await stage.processed(stage.producer.ids())
      await stage.allCommitted()
      await Promise.all([a.stop(), b.stop()])

      assertSound(stage.evidence({ interruptions: interruptions.flat() }))
      for (const { consumer, atMs } of losses) {
        const delivered = consumer.events('deliver', event => event.atMs > atMs && event.atMs < downMs + 3000)
        assert.deepEqual(delivered, [], `I3: ${consumer.name} delivered nothing past its lease`)
      }
    })
  )

  test('a server down for less than the lease costs nothing: no lease is lost, nothing is repeated', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 2))
      const run = stage.run('run', { options: { heartbeatIntervalMs: 3000 } })
      await run.holds(2)
      await load.rounds(10)
      await stage.emulator.suspend()
      await until('pulls have failed', () => run.events('retried').length > 1)
      await stage.emulator.resume()
      await load.rounds(10)
      await load.stop()
      await stage.processed(stage.producer.ids())
      await run.stop()
      assert.deepEqual(assertSound(stage.evidence()).explained, [])
      assert.deepEqual(run.events('leaseLost'), [])
    })
  )

  test(
    'answers of pulls and commits that never arrive are asked for again: nothing is lost, nothing repeated',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        const seen = new Map<string, number>()
        tap.tamper = ({ action }) => {
          if (action !== 'pull_log' && action !== 'CommitConsumerOffsets') return undefined
          const count = (seen.get(action) ?? 0) + 1
          seen.set(action, count)
          // The server has done it, and the client cannot know.
          return count % 4 === 3 ? 'lost' : undefined
        }
        const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 2))
        const run = stage.run('run')
        await until('commits were lost', () => (seen.get('CommitConsumerOffsets') ?? 0) > 8)
        await load.stop()
        await stage.processed(stage.producer.ids())
        tap.tamper = () => undefined
        await run.stop()
        assert.deepEqual(assertSound(stage.evidence()).explained, [])
        assert.deepEqual(await stage.committed(), await stage.ends())
      })
  )
})

/** When its lease ended: told at the latest one group timeout after the server was seen last. */
async function leaseLoss(consumer: ChildConsumer, downMs: number) {
  const { atMs } = await consumer.event('leaseLost')
  assert.ok(atMs <= downMs + GROUP_TIMEOUT_MS + 1000, 'the lease ends without the server')
  return { consumer, atMs }
}

function remedyOf(code: string | undefined): ClsConsumerError['remedy'] | undefined {
  return Object.entries(REMEDIES).find(([known]) => known === code)?.[1]
}
