/** Responses larger than the limits are asked for in smaller pieces; one message that is larger stops the consumer. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { finishSound } from './harness/ending.ts'
import { untilStruck } from './harness/faulted.ts'
import { noise } from './harness/noise.ts'
import { play } from './harness/play.ts'
import type { Part } from './harness/stage.ts'

const TIMEOUT = { timeout: 60_000 }
const KIB = 1024
const LIMIT_BYTES = 24 * KIB

type Limit = 'bodyBytesMax' | 'responseBytesMax'

/** What hardly compresses is too large as a body, what compresses well only as a response. */
const TEXTS: readonly (readonly [limit: Limit, text: (seed: number) => string])[] = [
  ['bodyBytesMax', seed => noise(seed, 2000)],
  ['responseBytesMax', () => 'x'.repeat(2000)]
]

/** As many bytes are asked for as are accepted; but the service counts what it stores, which base64 makes more of. */
const limited = (limit: Limit): NonNullable<Part['options']> => ({ pullBytes: LIMIT_BYTES, [limit]: LIMIT_BYTES })

describe('responses that are too large', { concurrency: 2 }, () => {
  for (const [limit, text] of TEXTS) {
    for (const size of ['bytes', 'log-groups'] as const) {
      const title = `responses over ${limit} are asked for in smaller pieces where Size counts ${size}: nothing is lost`
      test(title, TIMEOUT, () =>
        play({ partitionCount: 2, quirks: { size } }, async stage => {
          const tap = await stage.tap()
          const lanes = stage.producer.lanes(stage.topicId, 2)
          for (const lane of lanes) await stage.producer.send(lane, 60, text)
          const run = stage.run('run', { options: limited(limit) })
          await finishSound(stage)
          assert.match(run.log(), /BODY_TOO_LARGE/)
          const asked = tap.of('pull_log').map(({ request }) => Number(request.Size))
          assert.ok(Math.min(...asked) < Math.max(...asked), 'less was asked for')
        })
      )
    }

    test(`I1: one message over ${limit} stops the consumer with BODY_TOO_LARGE, which names the option`, TIMEOUT, () =>
      play({ partitionCount: 1 }, async stage => {
        const [lane] = stage.producer.lanes(stage.topicId, 1)
        assert.ok(lane !== undefined)
        await stage.producer.send(lane, 20, text)
        await stage.producer.send(lane, 1, seed => text(seed).repeat(40) + noise(seed, 40_000))
        await stage.producer.send(lane, 20, text)
        const run = stage.run('run', { options: limited(limit) })
        const { code, text: words } = await run.finished()
        assert.equal(code, 'BODY_TOO_LARGE')
        assert.match(words ?? '', new RegExp(limit))
        assert.match(words ?? '', /partition 0, offset 20/)
        assert.deepEqual([...(await stage.committed())], [[0, 20n]], 'committed is where the large one begins')

        stage.run('next')
        await finishSound(stage)
      })
    )
  }

  test('a response that is too large by chance, whatever was asked for, is pulled again', TIMEOUT, () =>
    play(
      {
        partitionCount: 1,
        faults: [{ action: 'pull_log', fault: { kind: 'too-large', bytes: 2048 * KIB }, every: 3, times: 4 }]
      },
      async stage => {
        const [lane] = stage.producer.lanes(stage.topicId, 1)
        assert.ok(lane !== undefined)
        for (let round = 0; round < 4; round++) await stage.producer.send(lane, 30, () => 'x'.repeat(1000))
        const run = stage.run('run', { options: { pullBytes: 16 * KIB, responseBytesMax: 1024 * KIB } })
        await untilStruck(stage, 4)
        await finishSound(stage)
        assert.match(run.log(), /BODY_TOO_LARGE/)
      }
    )
  )
})
