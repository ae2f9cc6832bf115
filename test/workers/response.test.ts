import assert from 'node:assert/strict'
import { constants } from 'node:buffer'
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

for (const serviceCode of ['InvalidParameter.InvalidOffset', 'SpeedQuotaExceed', 'InternalError', 'FailedOperation']) {
  test(`I6: an error ${serviceCode} inside a 200 is API_REFUSED with that code, whatever it means`, () => {
    const text = `{"Response":{"Error":{"Code":"${serviceCode}","Message":"消费失败"},"RequestId":"r-1"}}`
    assert.throws(
      () => read(text),
      (error: unknown) =>
        error instanceof ClsConsumerError &&
        error.code === 'API_REFUSED' &&
        error.place.serviceCode === serviceCode &&
        error.place.requestId === 'r-1' &&
        error.place.partition === 1 &&
        error.message.includes('消费失败')
    )
  })
}

test('an error of megabytes is cut, far behind where the main thread still looks for secrets', () => {
  assert.throws(
    () => read(`{"Response":{"Error":{"Code":"X","Message":"${'y'.repeat(3_000_000)}"}}}`),
    (error: unknown) =>
      error instanceof ClsConsumerError && error.message.length > 60_000 && error.message.length < 70_000
  )
})

test('of equal keys the last one counts, at every level', () => {
  const text =
    '{"Response":{"NextOffset":1,"Message":["no"]},"Response":{"NextOffset":2,"Message":["bm8="],"NextOffset":8,"Message":["YQ=="],"Error":{"Code":"X"},"Error":null}}'
  assert.deepEqual(read(text), { nextOffset: 8n, messages: ['YQ=='] })
  assert.throws(() => read('{"Response":{"Error":null,"NextOffset":8,"Error":{"Code":"X"}}}'), { code: 'API_REFUSED' })
})

test('I6: a flat error inside a 200 is an error', () => {
  assert.throws(() => read('{"errorcode":"TopicClosed","errormessage":"closed"}'), { code: 'API_REFUSED' })
})

for (const [name, text] of [
  ['no Response', '{"Answer":{}}'],
  ['a Response that is a list', '{"Response":[]}'],
  ['an Error that is a text', '{"Response":{"Error":"x"}}'],
  ['an Error without a Code', '{"Response":{"Error":{"Message":"x"},"NextOffset":8}}'],
  ['an empty Error', '{"Response":{"Error":{},"NextOffset":8,"Message":[]}}'],
  ['an errorcode that is no text', '{"errorcode":5}'],
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

for (const [name, sound, rest] of [
  ['a comma before the end of an object', '{"Response":{"X":"中文中文",', ']}}'],
  ['a control character within a text', '{"中文":"中', '\u0001文"}'],
  ['an unknown escape', '{"Response":{"X":"中\\\\","Y":"文', '\\x"}}'],
  ['a text that does not end', '{"Response":{"X":"中文","Y":', '"文']
] as const) {
  test(`what is not JSON is refused with the position of the byte, not of the character: ${name}`, () => {
    assert.throws(() => read(sound + rest), {
      code: 'BODY_CORRUPT',
      place: { ...PLACE, bytePosition: Buffer.byteLength(sound) }
    })
  })
}

test('a response that no text can hold is too large, not corrupt: a smaller one can be read', () => {
  assert.throws(() => readResponse(Buffer.alloc(constants.MAX_STRING_LENGTH + 1), PLACE), { code: 'BODY_TOO_LARGE' })
})
