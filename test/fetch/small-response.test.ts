import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { retyped } from '../../src/cls/answer.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { readSmallResponse, type SmallResponse } from '../../src/fetch/small-response.ts'
import { readResponse } from '../../workers/response.ts'

const PLACE = { topicId: 't', partition: 3, offset: 2n ** 60n }
const read = (text: string) => readSmallResponse(text, PLACE)

describe('small responses', () => {
  for (const [text, kind, nextOffset] of [
    ['{"Response":{"NextOffset":5,"Message":[]}}', 'empty', 5n],
    ['{"Response":{"NextOffset":5,"Message":null}}', 'empty', 5n],
    ['{"Response":{"NextOffset":5}}', 'empty', 5n],
    ['{"Response":{}}', 'empty', undefined],
    ['{"Response":{"NextOffset":null,"Error":null,"Message":[]}}', 'empty', undefined],
    ['{"Response":{"NextOffset":-1,"Message":[]}}', 'empty', -1n],
    ['{"Response":{"NextOffset":0,"Message":[]}}', 'empty', 0n],
    ['{"Response":{"NextOffset":9223372036854775807,"Message":[]}}', 'empty', 2n ** 63n - 1n],
    ['{"Response":{"NextOffset":"9007199254740993","Message":[]}}', 'empty', 2n ** 53n + 1n],
    ['{"Response":{"NextOffset":6,"Message":["QQ=="]}}', 'messages', 6n],
    ['{"Response":{"Message":["QQ=="]}}', 'messages', undefined]
  ] as const) {
    test(`${text} is ${kind}, and goes on at ${nextOffset}`, () => assert.deepEqual(read(text), { kind, nextOffset }))
  }

  for (const [title, text, code] of [
    [
      'an error inside a 200',
      '{"Response":{"Error":{"Code":"FailedOperation","Message":"x"},"RequestId":"r"}}',
      'API_REFUSED'
    ],
    [
      'an expired offset',
      '{"Response":{"Error":{"Code":"InvalidParameter.InvalidOffset","Message":"x"}}}',
      'API_INVALID_OFFSET'
    ],
    ['a throttled pull', '{"Response":{"Error":{"Code":"SpeedQuotaExceed","Message":"x"}}}', 'API_THROTTLED'],
    ['the flat form of an error', '{"errorcode":"InternalError","errormessage":"x"}', 'API_UNAVAILABLE'],
    ['I6: an error without a code', '{"Response":{"Error":{"Message":"boom"},"NextOffset":5}}', 'BODY_CORRUPT'],
    ['I6: an error that is a text', '{"Response":{"Error":"boom","NextOffset":5,"Message":[]}}', 'BODY_CORRUPT'],
    ['I6: an empty error', '{"Response":{"Error":{}}}', 'BODY_CORRUPT'],
    ['no JSON', '<html>', 'BODY_CORRUPT'],
    ['nothing', '', 'BODY_CORRUPT'],
    ['JSON that is cut', '{"Response":{"NextOffset":5', 'BODY_CORRUPT'],
    ['no Response', '{"NextOffset":5}', 'BODY_CORRUPT'],
    ['a Response that is a list', '{"Response":[]}', 'BODY_CORRUPT'],
    ['an offset beyond int64', '{"Response":{"NextOffset":9223372036854775808}}', 'BODY_CORRUPT'],
    ['an offset that is no number', '{"Response":{"NextOffset":"soon"}}', 'BODY_CORRUPT'],
    ['a Message that is no list', '{"Response":{"NextOffset":5,"Message":"QQ=="}}', 'BODY_CORRUPT']
  ] as const) {
    test(`${title} is ${code}, with its place`, () => {
      const found = read(text)
      assert.ok(found.kind === 'error', found.kind)
      assert.equal(found.error.code, code, found.error.message)
      const { topicId, partition, offset } = found.error.place
      assert.deepEqual({ topicId, partition, offset }, PLACE)
    })
  }
})

/** Responses in which keys repeat, at every level. */
const inner = fc
  .array(
    fc.constantFrom(
      '"NextOffset":5',
      '"NextOffset":9223372036854775807',
      '"NextOffset":-1',
      '"NextOffset":null',
      '"NextOffset":"soon"',
      '"Message":[]',
      '"Message":["QQ=="]',
      '"Message":null',
      '"Message":"QQ=="',
      '"Error":{"Code":"SpeedQuotaExceed","Message":"slow"}',
      '"Error":{"Code":"InvalidOffset"}',
      '"Error":{}',
      '"Error":{"Code":5}',
      '"Error":null',
      '"Error":"boom"',
      '"RequestId":"r"',
      '"RequestId":7',
      '"Next\\u004fffset":8',
      '"Extra":{"NextOffset":1,"Error":{"Code":"x"}}'
    ),
    { maxLength: 6 }
  )
  .map(members => `{${members.join(',')}}`)
const outer = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: inner.map(text => `"Response":${text}`) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('"Response":null', '"errorcode":"TopicClosed"', '"errorcode":""', '"A":1')
      }
    ),
    { maxLength: 3 }
  )
  .map(members => `{${members.join(',')}}`)

describe('small responses and the worker', () => {
  test('read every response alike, also where keys repeat: the last one counts', () => {
    const kinds = new Map<string, number>()
    fc.assert(
      fc.property(outer, text => {
        const small = read(text)
        const kind = small.kind === 'error' ? small.error.code : small.kind
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
        assert.deepEqual(shown(small), byWorker(text), text)
      }),
      { numRuns: 3000 }
    )
    const met = ['empty', 'messages', 'BODY_CORRUPT', 'API_THROTTLED', 'API_INVALID_OFFSET', 'API_TOPIC_CLOSED']
    for (const kind of met) assert.ok((kinds.get(kind) ?? 0) > 5, `${kind} is met`)
  })
})

function shown(small: SmallResponse): object {
  return small.kind === 'error' ? { code: small.error.code } : small
}

/** What it says, in the terms of a small response; its errors as the main thread takes them. */
function byWorker(text: string): object {
  try {
    const { nextOffset, messages } = readResponse(Buffer.from(text), PLACE)
    return { kind: messages.length > 0 ? 'messages' : 'empty', nextOffset }
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError)
    return { code: retyped(error, { place: {}, secrets: [] }).code }
  }
}
