/** Faults of the server as a whole: its limits, its clock, and everything at once. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Fault, FaultRule } from '../../src/emulator/start.ts'
import { finishSound } from './harness/ending.ts'
import { playFaulted } from './harness/faulted.ts'
import { play } from './harness/play.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const TEN_MINUTES_MS = 600_000

describe('faults of the server as a whole', { concurrency: 2 }, () => {
  test('under the service’s rate limits a backlog of tiny pulls and a hasty committer lose nothing', TIMEOUT, () =>
    play({ partitionCount: 1, rateLimits: 'service' }, async stage => {
      const tap = await stage.tap()
      const lanes = stage.producer.lanes(stage.topicId, 2)
      // Each log alone is as large as a pull: a pull a log, at loopback's speed.
      for (const lane of lanes) await stage.producer.send(lane, 450, () => 'x'.repeat(1200))
      const options = { pullBytes: 1024, commitIntervalMs: 50, pollIntervalMs: 50 }
      stage.run('run', { options })
      await finishSound(stage)
      const throttled = tap.of('pull_log').filter(({ answer }) => answer?.status === 429)
      assert.deepEqual(throttled, [], 'the consumer keeps to 200 pulls a second by itself')
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
