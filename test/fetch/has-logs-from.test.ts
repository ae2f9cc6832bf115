import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hasLogsFrom } from '../../src/fetch/has-logs-from.ts'
import {
  createFakeData,
  createFakeScout,
  withError,
  withFewMessages,
  withMessages,
  withoutMessages
} from '../support/fake-data.ts'
import { BOUNDED, fail } from './chain-bench.ts'

/** Asks at 100; `word` is the scout's, where it is asked. */
function ask(word?: bigint) {
  const data = createFakeData()
  const scout = createFakeScout()
  scout.calls.always = () => word
  const world = { data: data.api, scout: scout.api }
  const answer = hasLogsFrom(world, { topicId: 't', partition: 3 }, 100n, new AbortController().signal)
  return { data, answer, pull: data.from(100n) }
}

describe('whether a partition has logs from an offset', () => {
  for (const [text, hasLogs] of [
    [withFewMessages(101n), true],
    [withoutMessages(100n), false]
  ] as const) {
    test(`a small response tells, and the service client hears of it: ${hasLogs}`, BOUNDED, async () => {
      const { data, answer, pull } = ask()
      await pull.complete(text)
      assert.equal(await answer, hasLogs)
      assert.deepEqual(data.worked, [100n])
    })
  }

  test(
    'a large one tells at its front, else by the scout; I6: where neither does, that is an error',
    BOUNDED,
    async () => {
      for (const [text, word] of [
        [withMessages(110n), undefined],
        [withMessages(undefined), 110n]
      ] as const) {
        const { data, answer, pull } = ask(word)
        await pull.complete(text)
        assert.equal(await answer, true)
        assert.deepEqual(data.worked, [], 'nobody has read the whole')
      }
      const { answer, pull } = ask()
      await Promise.all([assert.rejects(answer, { code: 'API_MALFORMED' }), pull.complete(withMessages(undefined))])
    }
  )

  test('a refusal is heeded and passes; an offset that is not of this log is not where it ends', BOUNDED, async () => {
    const refused = ask()
    await Promise.all([
      assert.rejects(refused.answer, { code: 'API_UNAUTHORIZED' }),
      refused.pull.complete(withError('NotAllowed'))
    ])
    assert.deepEqual([refused.data.heeded.length, refused.data.worked], [1, []])
    const gone = ask()
    await gone.pull.fail(fail('API_INVALID_OFFSET'))
    assert.equal(await gone.answer, true)
  })
})
