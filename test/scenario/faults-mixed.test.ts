/** Faults of the server as a whole: its limits, its clock, and everything at once. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Fault, FaultRule } from '../../src/emulator/start.ts'
import { finishSound } from './harness/ending.ts'
import { hasTold, playFaulted } from './harness/faulted.ts'
import { play } from './harness/play.ts'
import { until } from './harness/until.ts'
import type { Exchange } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const TEN_MINUTES_MS = 600_000

describe('faults of the server as a whole', { concurrency: 2 }, () => {
  test(
    'under the service’s rate limits a backlog of tiny pulls loses nothing, and stays below the limit',
    TIMEOUT,
    () =>
      play({ partitionCount: 1, rateLimits: 'service' }, async stage => {
        const tap = await stage.tap()
        const [lane] = stage.producer.lanes(stage.topicId, 1)
        assert.ok(lane !== undefined)
        // Each log alone is as large as a pull: a pull a log, at loopback's speed.
        await stage.producer.send(lane, 400, () => 'x'.repeat(1200))
        const options = { pullBytes: 1024, commitIntervalMs: 50, pollIntervalMs: 50 }
        stage.run('run', { options })
        await finishSound(stage)
        const throttled = tap.of('pull_log').filter(({ answer }) => answer?.status === 429)
        assert.deepEqual(throttled, [], 'the consumer keeps to 200 pulls a second by itself')
      })
  )

  test('hasty committers that meet the service’s limit of 20 requests a second lose nothing', TIMEOUT, () =>
    play({ partitionCount: 3, rateLimits: 'service' }, async stage => {
      const tap = await stage.tap()
      const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 3))
      // The smallest interval is 20 a second of one consumer alone: it takes more of them.
      const options = { commitIntervalMs: 50, pollIntervalMs: 50 }
      const runs = ['A', 'B', 'C'].map(name => stage.run(name, { options }))
      const isThrottled = ({ answer }: Exchange): boolean => answer?.body.includes('"RequestLimitExceeded') === true
      await stage.until('commits meet the limit', () => tap.of('CommitConsumerOffsets').some(isThrottled))
      await stage.until('a consumer says so', () => runs.some(run => hasTold(run, 'API_THROTTLED')))
      await load.rounds(5)
      await load.stop()
      await finishSound(stage)
    })
  )

  for (const [title, jumpMs] of [
    ['ahead', TEN_MINUTES_MS],
    ['back', -TEN_MINUTES_MS]
  ] as const) {
    test(`a server whose clock jumps 10 minutes ${title} while a consumer runs is followed`, TIMEOUT, () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 2))
        const run = stage.run('run')
        await run.holds(2)
        await load.rounds(5)
        await stage.emulator.setClockSkew(jumpMs)
        await until('it has measured the skew', () => /API_CLOCK_SKEWED/.test(run.log()))
        await tap.granted('SendConsumerHeartbeat', 2)
        await load.stop()
        await finishSound(stage)
      })
    )
  }

  test('everything at once, every few requests, and nothing is lost', TIMEOUT, () => {
    const faults: readonly Fault[] = [
      { kind: 'delay', ms: 30 },
      { kind: 'error', code: 'InternalError' },
      { kind: 'status', status: 502 },
      { kind: 'drop', when: 'before' },
      { kind: 'drop', when: 'body' },
      { kind: 'drop', when: 'answer' },
      { kind: 'truncate' }
    ]
    const rules = faults.flatMap((fault, index): FaultRule[] => [
      { action: 'pull_log', fault, every: 7 + index },
      { action: 'CommitConsumerOffsets', fault, every: 5 + index }
    ])
    return playFaulted({ title: 'everything', rules, struckCount: 1 })
  })
})
