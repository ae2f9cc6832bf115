import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClsConsumerError } from '../../src/errors.ts'
import { readResponse } from '../../workers/response.ts'

const PLACE = { topicId: 'topic', partition: 1, offset: 7n }
const read = (text: string) => readResponse(Buffer.from(text), PLACE)

for (const [name, digits] of [
  ['2^53+1', '9007199254740993'],
  ['2^63-1', '9223372036854775807'],
  ['-1', '-1'],
  ['0', '0']
] as const) {
  test(`I10: NextOffset ${name} is read with all its digits`, () => {
    assert.equal(read(`{"Response":{"NextOffset":${digits},"Message":[]}}`).nextOffset, BigInt(digits))
  })
}

test('key order, white space and other keys are the choice of the service', () => {
  const text =
    ' {"A":{"Message":["no"]},\n"Response" :\t{"Extra":{"NextOffset":1,"Message":["no"]},"Message":["YQ=="],"NextOffset" : 8 } } '
  assert.deepEqual(read(text), { nextOffset: 8n, messages: ['YQ=='] })
})

test('escapes in messages are undone', () => {
  assert.deepEqual(read('{"Response":{"Message":["a\\/b\\u002b"],"NextOffset":8}}').messages, ['a/b+'])
})

for (const message of ['null', '[]', undefined]) {
  test(`Message ${message ?? 'absent'} is no messages`, () => {
    const member = message === undefined ? '' : `,"Message":${message}`
    assert.deepEqual(read(`{"Response":{"NextOffset":8${member}}}`), { nextOffset: 8n, messages: [] })
  })
}

for (const member of ['', '"NextOffset":null,']) {
  test(`a response with ${member === '' ? 'no' : 'a null'} NextOffset has none`, () => {
    assert.equal(read(`{"Response":{${member}"Message":[]}}`).nextOffset, undefined)
  })
}

for (const [serviceCode, code] of [
  ['InvalidParameter.InvalidOffset', 'API_INVALID_OFFSET'],
  ['FailedOperation.invalidoffset', 'API_INVALID_OFFSET'],
  ['RequestLimitExceeded.InvalidOffset', 'API_INVALID_OFFSET'],
  ['RequestLimitExceeded', 'API_THROTTLED'],
  ['SpeedQuotaExceed', 'API_THROTTLED'],
  ['InternalError', 'API_UNAVAILABLE'],
  ['FailedOperation.Timeout', 'API_UNAVAILABLE'],
  ['AuthFailure.SignatureFailure', 'API_UNAUTHORIZED'],
  ['ResourceNotFound.TopicNotExist', 'API_NOT_FOUND'],
  ['FailedOperation', 'API_REFUSED']
] as const) {
  test(`I6: an error ${serviceCode} inside a 200 is ${code}`, () => {
    const text = `{"Response":{"Error":{"Code":"${serviceCode}","Message":"消费失败"},"RequestId":"r-1"}}`
    assert.throws(
      () => read(text),
      (error: unknown) =>
        error instanceof ClsConsumerError &&
        error.code === code &&
        error.place.serviceCode === serviceCode &&
        error.place.requestId === 'r-1' &&
        error.place.partition === 1 &&
        error.message.includes('消费失败')
    )
  })
}

test('I6: a flat error inside a 200 is an error', () => {
  assert.throws(() => read('{"errorcode":"TopicClosed","errormessage":"closed"}'), { code: 'API_REFUSED' })
})

for (const [name, text] of [
  ['no Response', '{"Answer":{}}'],
  ['a Response that is a list', '{"Response":[]}'],
  ['an Error that is a text', '{"Response":{"Error":"x"}}'],
  ['a Message that is a text', '{"Response":{"Message":"YQ==","NextOffset":8}}'],
  ['a NextOffset with a fraction', '{"Response":{"NextOffset":8.5,"Message":[]}}'],
  ['a NextOffset past int64', '{"Response":{"NextOffset":9223372036854775808,"Message":[]}}'],
  ['a NextOffset that is no number', '{"Response":{"NextOffset":"soon","Message":[]}}'],
  ['nothing at all', ''],
  ['HTML', '<html></html>']
] as const) {
  test(`I6: a body with ${name} is BODY_CORRUPT, never an empty answer`, () => {
    assert.throws(() => read(text), { code: 'BODY_CORRUPT' })
  })
}

test('a body that is not JSON is refused with the byte position, not the character position', () => {
  assert.throws(() => read('{"Response":{"X":"中文中文",]}}'), /position 32\b/)
})
