import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError, fromFailure, REMEDIES, assert as sure, toClsError, toFailure } from '../src/errors.ts'

describe('errors', () => {
  test('the message is complete by itself: what happened, and where', () => {
    const place = {
      action: 'pull_log',
      topicId: 'topic-a',
      partition: 0,
      offset: 2n ** 63n - 1n,
      file: '/p.mjs',
      httpStatus: 429,
      serviceCode: 'SpeedQuotaExceed',
      requestId: 'r-1'
    }
    const error = new ClsConsumerError('API_THROTTLED', 'too fast', place)
    assert.equal(
      error.message,
      'too fast (action pull_log, topic topic-a, partition 0, offset 9223372036854775807, file /p.mjs, HTTP 429, code SpeedQuotaExceed, request r-1)'
    )
    assert.deepEqual([error.code, error.remedy, error.place], ['API_THROTTLED', 'retry', place])
  })

  test('without a place nothing is appended, and the cause is kept', () => {
    const cause = new Error('why')
    const error = new ClsConsumerError('BODY_CORRUPT', 'broken', { cause })
    assert.equal(error.message, 'broken')
    assert.equal(error.cause, cause)
    assert.ok(!('cause' in new ClsConsumerError('BODY_CORRUPT', 'broken')))
    assert.ok(!('cause' in error.place))
  })

  test('every code has one of four remedies', () => {
    for (const [code, remedy] of Object.entries(REMEDIES)) {
      assert.match(code, /^[A-Z_]+$/)
      assert.ok(['retry', 'rejoin', 'stop', 'fix-input'].includes(remedy), code)
    }
  })

  test('an error crosses a thread boundary as data, and comes back the same', () => {
    const error = new ClsConsumerError('MESSAGE_CORRUPT', 'cut', { topicId: 't', offset: 5n })
    const failure = structuredClone(toFailure(error, 'PROCESSOR_FAILED', { partition: 3 }))
    const back = fromFailure(failure)
    assert.ok(back instanceof ClsConsumerError)
    assert.deepEqual([back.code, back.message, back.stack], [error.code, error.message, error.stack])
    assert.deepEqual(back.place, { topicId: 't', offset: 5n, partition: 3 })
  })

  for (const [title, thrown, message] of [
    ['an error of the user', new RangeError('out of range'), 'RangeError: out of range'],
    ['a text', 'just a text', 'thrown: just a text'],
    ['undefined', undefined, 'thrown: undefined'],
    ['an object', { some: 'thing' }, 'thrown: [object Object]'],
    ['an object without a prototype', Object.create(null), 'thrown: [Object: null prototype] {}']
  ] as const) {
    test(`${title} becomes the fallback, with its own words`, () => {
      const { code, message: words, stack } = toFailure(thrown, 'PROCESSOR_FAILED')
      assert.deepEqual([code, words], ['PROCESSOR_FAILED', message])
      assert.ok(stack.length > 0)
    })
  }

  test('what is not ours is a broken invariant, what is ours stays itself', () => {
    const ours = new ClsConsumerError('LEASE_LOST', 'gone')
    assert.equal(toClsError(ours), ours)
    const theirs = toClsError(new TypeError('x is undefined'), { topicId: 't' })
    assert.deepEqual([theirs.code, theirs.place], ['INVARIANT_BROKEN', { topicId: 't' }])
    assert.match(theirs.message, /TypeError: x is undefined/)
  })

  test('a broken invariant stops us, with its number', () => {
    assert.doesNotThrow(() => sure(true, 'I1: fine'))
    assert.throws(() => sure(false, 'I1: broken'), { code: 'INVARIANT_BROKEN', message: 'I1: broken' })
  })
})
