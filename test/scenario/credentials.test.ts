/** Temporary credentials that expire while a consumer runs: the provider's fresh ones take over, and no log waits for long. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import type { Credentials } from '../../src/options.ts'
import { finishSound } from './harness/ending.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const TOKENS = ['token-number-one', 'token-number-two', 'token-number-three'] as const
const SECRETS = /token-number|secret-number/

describe('temporary credentials', { concurrency: 2 }, () => {
  test('I9: tokens that expire are renewed on both planes: no error, no gap, and none is in the log', TIMEOUT, () =>
    play({ partitionCount: 2, token: TOKENS[0] }, async stage => {
      const tap = await stage.tap()
      let askedCount = 0
      const credentials = async (): Promise<Credentials> => {
        askedCount += 1
        return stage.credentials
      }
      const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 2))
      const run = stage.run('run', { options: { credentials } })
      await run.holds(2)
      for (const token of TOKENS.slice(1)) {
        const [batchCount, commitCount, before] = [
          run.events('batch').length,
          run.events('committed').length,
          askedCount
        ]
        await load.rounds(3)
        await expire(stage, { ...stage.credentials, token })
        await until('the provider is asked for fresh ones', () => askedCount > before)
        await stage.until('logs and commits come again', () => {
          return run.events('batch').length > batchCount + 2 && run.events('committed').length > commitCount + 2
        })
      }
      await tap.granted('SendConsumerHeartbeat', 1)
      await load.stop()
      await finishSound(stage)
      assert.deepEqual(run.events('failed'), [])
      assert.doesNotMatch(`${run.log()}${inspect(run.events('retried'), { depth: 9 })}`, SECRETS)
      assert.ok(askedCount < 20, `asked ${askedCount} times: only when the old ones were refused`)
    })
  )

  test('a whole key that is exchanged, id, secret and token, is followed', TIMEOUT, () =>
    play({ partitionCount: 2, token: TOKENS[0] }, async stage => {
      const tap = await stage.tap()
      const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 2))
      const run = stage.run('run', { options: { credentials: async () => stage.credentials } })
      await run.holds(2)
      await load.rounds(3)
      const fresh = { secretId: 'AKIDfresh', secretKey: 'secret-number-two', token: TOKENS[1] }
      await expire(stage, fresh)
      const commitCount = run.events('committed').length
      await stage.until('it commits again', () => run.events('committed').length > commitCount + 2)
      await tap.granted('SendConsumerHeartbeat', 1)
      await load.stop()
      await finishSound(stage)
      assert.doesNotMatch(run.log(), SECRETS)
    })
  )

  test(
    'I9: a provider that fails for a while is asked again: nothing is lost, and its words are in no log',
    TIMEOUT,
    () =>
      play({ partitionCount: 2, token: TOKENS[0] }, async stage => {
        let isDown = false
        let failureCount = 0
        const credentials = async (): Promise<Credentials> => {
          if (!isDown) return stage.credentials
          failureCount += 1
          throw new Error('no secret-number-one to be had')
        }
        const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 2))
        // A lease that outlasts the provider's absence, whatever the machine does meanwhile.
        const run = stage.run('run', { options: { credentials, heartbeatIntervalMs: 5000 } })
        await run.holds(2)
        await load.rounds(3)
        isDown = true
        await expire(stage, { ...stage.credentials, token: TOKENS[1] })
        await stage.until('it was asked in vain', () => failureCount >= 3)
        isDown = false
        await load.rounds(10)
        await load.stop()
        await finishSound(stage)
        assert.match(run.log(), /CREDENTIALS_UNAVAILABLE/)
        assert.doesNotMatch(run.log(), SECRETS)
      })
  )

  const NEVER_RIGHT: readonly (readonly [title: string, wrong: (askedCount: number) => Partial<Credentials>])[] = [
    ['gives the same expired token again and again', () => ({ token: TOKENS[2] })],
    ['gives one token after the other that never works', count => ({ token: `token-number-${count}0` })],
    ['gives a wrong secret', () => ({ secretKey: 'secret-number-9' })]
  ]
  for (const [title, wrong] of NEVER_RIGHT) {
    test(`I9: a provider that ${title} ends start() with API_UNAUTHORIZED, and no secret is in the log`, TIMEOUT, () =>
      play({ partitionCount: 1, token: TOKENS[0] }, async stage => {
        let askedCount = 0
        const credentials = async (): Promise<Credentials> => {
          askedCount += 1
          return { ...stage.credentials, ...wrong(askedCount) }
        }
        const run = stage.run('run', { options: { credentials, callTimeoutMs: 2000 } })
        const failed = await run.event('start-failed')
        assert.equal(failed.code, 'API_UNAUTHORIZED', failed.text)
        assert.equal((await run.finished()).code, 'API_UNAUTHORIZED')
        assert.doesNotMatch(`${failed.text}${run.log()}`, SECRETS)
      })
    )
  }
})

/** The server takes others from now on; so do producer and provider. */
async function expire(stage: Stage, fresh: Credentials): Promise<void> {
  stage.credentials = fresh
  await stage.emulator.setCredentials(fresh)
}
