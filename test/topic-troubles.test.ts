import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError } from '../src/errors.ts'
import { isTopicTrouble, TopicTroubles } from '../src/topic-troubles.ts'

const CLOSED = new ClsConsumerError('API_TOPIC_CLOSED', 'closed')
const DENIED = new ClsConsumerError('API_UNAUTHORIZED', 'denied')

describe('topics that are refused', () => {
  test('the first refusal is news, and is kept', () => {
    const troubles = new TopicTroubles(['a', 'b'])
    assert.deepEqual([troubles.refuse('a', 'pull', CLOSED), troubles.refuse('a', 'positions', DENIED)], [true, false])
    assert.deepEqual([troubles.isRefused('a'), troubles.isRefused('b')], [true, false])
    assert.equal(troubles.firstError, CLOSED)
  })

  test('a topic is restored by a success of what was refused, and by nothing else', () => {
    const troubles = new TopicTroubles(['a', 'b'])
    troubles.refuse('a', 'commit', DENIED)
    assert.equal(troubles.restore('a', 'pull'), false)
    assert.equal(troubles.restore('b', 'commit'), false)
    assert.ok(troubles.isRefused('a'))
    assert.equal(troubles.restore('a', 'commit'), true)
    assert.deepEqual(
      [troubles.isRefused('a'), troubles.restore('a', 'commit'), troubles.firstError],
      [false, false, undefined]
    )
  })

  test('only where every topic is refused nothing is left to read', () => {
    const troubles = new TopicTroubles(['a', 'b'])
    assert.equal(troubles.isEveryTopicRefused, false)
    troubles.refuse('a', 'pull', CLOSED)
    assert.equal(troubles.isEveryTopicRefused, false)
    troubles.refuse('b', 'pull', DENIED)
    assert.equal(troubles.isEveryTopicRefused, true)
    troubles.restore('a', 'pull')
    assert.equal(troubles.isEveryTopicRefused, false)
  })

  test('permission, absence and being closed are a topic’s own; what time mends or nobody knows is not', () => {
    for (const code of ['API_UNAUTHORIZED', 'API_NOT_FOUND', 'API_TOPIC_CLOSED'] as const) {
      assert.ok(isTopicTrouble(new ClsConsumerError(code, '')))
    }
    for (const code of ['API_UNAVAILABLE', 'API_REFUSED', 'API_INVALID_OFFSET', 'INVARIANT_BROKEN'] as const) {
      assert.ok(!isTopicTrouble(new ClsConsumerError(code, '')))
    }
  })
})
