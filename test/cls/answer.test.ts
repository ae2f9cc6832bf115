import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import {
  type Answer,
  errorCodeOf,
  findDataError,
  readControlAnswer,
  readDataError,
  retyped,
  saysExpired
} from '../../src/cls/answer.ts'
import { ClsConsumerError, type ErrorCode, fromFailure, toFailure } from '../../src/errors.ts'

const asked = {
  place: { action: 'DescribeConsumerOffsets', topicId: 't', partition: 3 },
  secrets: ['sEcret', 'tok/en']
}

function answer(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: new Map(Object.entries(headers)), body: Buffer.from(body) }
}

function controlError(given: Answer): ClsConsumerError {
  try {
    readControlAnswer(given, asked)
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError)
    return error
  }
  return assert.fail('read as a success')
}

const refused = (code: string) => `{"Response":{"Error":{"Code":"${code}","Message":"m"},"RequestId":"r-1"}}`

describe('error codes of the service', () => {
  const rows: readonly (readonly [string, number, ErrorCode])[] = [
    ['InvalidParameter.InvalidOffset', 200, 'API_INVALID_OFFSET'],
    ['invalidoffset', 400, 'API_INVALID_OFFSET'],
    ['AuthFailure.INVALIDOFFSET', 403, 'API_INVALID_OFFSET'],
    ['RequestLimitExceeded', 200, 'API_THROTTLED'],
    ['RequestLimitExceeded.UinLimitExceeded', 200, 'API_THROTTLED'],
    ['SpeedQuotaExceed', 200, 'API_THROTTLED'],
    ['Whatever', 429, 'API_THROTTLED'],
    ['AuthFailure.SignatureExpire', 200, 'API_CLOCK_SKEWED'],
    ['AuthFailure.TokenFailure', 200, 'API_TOKEN_EXPIRED'],
    ['AuthFailure.SignatureFailure', 200, 'API_UNAUTHORIZED'],
    ['AuthFailure', 200, 'API_UNAUTHORIZED'],
    ['UnauthorizedOperation.Cam', 200, 'API_UNAUTHORIZED'],
    ['InvalidAuthorization', 400, 'API_UNAUTHORIZED'],
    ['Unauthorized', 400, 'API_UNAUTHORIZED'],
    ['NotAllowed', 400, 'API_UNAUTHORIZED'],
    ['Whatever', 401, 'API_UNAUTHORIZED'],
    ['Whatever', 403, 'API_UNAUTHORIZED'],
    ['Whatever', 408, 'API_TIMEOUT'],
    ['InternalError', 200, 'API_UNAVAILABLE'],
    ['FailedOperation.Timeout', 200, 'API_UNAVAILABLE'],
    ['Whatever', 503, 'API_UNAVAILABLE'],
    ['ResourceNotFound.TopicNotExist', 200, 'API_NOT_FOUND'],
    ['Whatever', 404, 'API_NOT_FOUND'],
    ['FailedOperation', 200, 'API_REFUSED'],
    ['OperationDenied.ACLFailed', 200, 'API_REFUSED'],
    ['TopicClosed', 400, 'API_TOPIC_CLOSED'],
    ['TopicClosed', 200, 'API_TOPIC_CLOSED'],
    ['OperationDenied.TopicClosed', 200, 'API_TOPIC_CLOSED'],
    ['TopicClosedNot', 200, 'API_REFUSED'],
    ['InvalidParam', 400, 'API_REFUSED'],
    ['InternalErrors', 200, 'API_REFUSED']
  ]
  for (const [service, status, code] of rows) {
    test(`${service} with HTTP ${status} is ${code}`, () => assert.equal(errorCodeOf(service, status), code))
  }
})

describe('answers of the management plane', () => {
  test('a success is its Response, with exact integers', () => {
    const { response } = readControlAnswer(answer(200, '{"Response":{"Offset":9007199254740993,"Error":null}}'), asked)
    assert.equal(response.Offset, 9007199254740993n)
  })

  for (const status of [200, 400, 500]) {
    test(`Response.Error at HTTP ${status} has code, message, status, request id and place`, () => {
      const error = controlError(answer(status, refused('ResourceNotFound')))
      assert.equal(error.code, 'API_NOT_FOUND')
      const { httpStatus, serviceCode, requestId, action, topicId, partition } = error.place
      assert.deepEqual([httpStatus, serviceCode, requestId], [status, 'ResourceNotFound', 'r-1'])
      assert.deepEqual({ action, topicId, partition }, asked.place)
      assert.match(error.message, /refused the request: m \(action DescribeConsumerOffsets, topic t, partition 3, HTTP/)
    })
  }

  const shapes: readonly (readonly [string, Answer, ErrorCode, RegExp])[] = [
    ['flat at 400', answer(400, '{"errorcode":"InvalidParam","errormessage":"bad"}'), 'API_REFUSED', /: bad/],
    ['flat at 200', answer(200, '{"errorcode":"TopicClosed","errormessage":"bad"}'), 'API_TOPIC_CLOSED', /: bad/],
    ['HTML at 200', answer(200, '<html>portal</html>'), 'API_MALFORMED', /not JSON.*<html>portal/],
    ['HTML at 502', answer(502, '<html>bad gateway</html>'), 'API_UNAVAILABLE', /bad gateway/],
    ['HTML at 403', answer(403, '<html>no</html>'), 'API_UNAUTHORIZED', /not JSON/],
    ['HTML at 404', answer(404, '<html>no</html>'), 'API_NOT_FOUND', /not JSON/],
    ['HTML at 413', answer(413, '<html>no</html>'), 'API_REFUSED', /not JSON/],
    ['a redirect', answer(302, '<html>there</html>'), 'API_MALFORMED', /not JSON/],
    ['empty at 200', answer(200, ''), 'API_MALFORMED', /empty/],
    ['white space at 200', answer(200, ' \r\n'), 'API_MALFORMED', /empty/],
    ['empty at 500', answer(500, ''), 'API_UNAVAILABLE', /empty/],
    ['empty at 429', answer(429, ''), 'API_THROTTLED', /empty/],
    ['truncated', answer(200, '{"Response":{"TopicPartitionOff'), 'API_MALFORMED', /not all of it/],
    ['a list', answer(200, '[]'), 'API_MALFORMED', /not a JSON object/],
    ['a word', answer(200, 'null'), 'API_MALFORMED', /not a JSON object/],
    ['other keys', answer(200, '{"error":"x"}'), 'API_MALFORMED', /neither Response nor errorcode/],
    ['Response that is a list', answer(200, '{"Response":[]}'), 'API_MALFORMED', /neither Response/],
    [
      'Error that is a text',
      answer(200, '{"Response":{"Error":"x","RequestId":"r"}}'),
      'API_MALFORMED',
      /without a Code/
    ],
    ['Error without Code', answer(200, '{"Response":{"Error":{"Message":"x"}}}'), 'API_MALFORMED', /without a Code/],
    ['Error without Code at 500', answer(500, '{"Response":{"Error":{}}}'), 'API_UNAVAILABLE', /without a Code/],
    ['no error at 500', answer(500, '{"Response":{"RequestId":"r"}}'), 'API_UNAVAILABLE', /HTTP 500 and no error/],
    ['no error at 202', answer(202, '{"Response":{"RequestId":"r"}}'), 'API_MALFORMED', /HTTP 202 and no error/]
  ]
  for (const [name, given, code, message] of shapes) {
    test(`I6: ${name} is ${code}`, () => {
      const error = controlError(given)
      assert.equal(error.code, code)
      assert.match(error.message, message)
      assert.equal(error.place.httpStatus, given.status)
    })
  }
})

describe('answers of the data plane', () => {
  test('the request id is a header', () => {
    const body = '{"errorcode":"SpeedQuotaExceed","errormessage":"slow down"}'
    const error = readDataError(answer(429, body, { 'x-cls-requestid': 'r-9' }), asked)
    assert.equal(error.code, 'API_THROTTLED')
    assert.equal(error.place.requestId, 'r-9')
    assert.equal(error.place.serviceCode, 'SpeedQuotaExceed')
  })

  test('an uncompressed 200 is an error where it says so, and none where it does not', () => {
    assert.equal(findDataError(answer(200, refused('x.invalidOffset')), asked)?.code, 'API_INVALID_OFFSET')
    assert.equal(findDataError(answer(200, '{"errorcode":"TopicClosed"}'), asked)?.code, 'API_TOPIC_CLOSED')
    assert.equal(findDataError(answer(200, '{"Response":{"NextOffset":5}}'), asked), undefined)
  })
})

describe('a refusal found inside a response', () => {
  const place = { topicId: 't', partition: 3, offset: 7n, serviceCode: 'SpeedQuotaExceed', requestId: 'r' }

  test('comes under the code that its service code has, with its place, and that of who asks', () => {
    const error = retyped(new ClsConsumerError('API_REFUSED', 'too fast', place), {
      place: { action: 'pull_log' },
      secrets: []
    })
    assert.equal(error.code, 'API_THROTTLED')
    assert.deepEqual(error.place, { ...place, action: 'pull_log' })
  })

  test('came over a thread boundary: its place is not told twice', () => {
    const crossed = fromFailure(toFailure(new ClsConsumerError('API_REFUSED', 'too fast', place), 'API_REFUSED'))
    const { message } = retyped(crossed, { place: {}, secrets: [] })
    assert.equal(message.split('topic t').length, 2, message)
  })

  test('I9: holds no secret any more: not in message, stack, code or request id, and not half a one at a cut', () => {
    const secret = 'sEcret'
    const words = `${'x'.repeat(2045)}${secret}`
    const given = { ...place, serviceCode: `A.${secret}`, requestId: secret }
    for (const what of [words, `before ${secret} behind`]) {
      const error = retyped(new ClsConsumerError('API_REFUSED', what, given), { place: {}, secrets: [secret] })
      assert.ok(!/sEc/.test(inspect(error, { depth: 9 })), error.message.slice(-100))
      assert.ok(!(error.stack ?? '').includes('sEc'))
      assert.ok(error.message.length < 2100)
    }
  })

  test('without a service code, it is none: it stays what it is', () => {
    const error = new ClsConsumerError('BODY_TOO_LARGE', 'x', { topicId: 't' })
    assert.equal(retyped(error, { place: { action: 'a' }, secrets: ['x'] }), error)
  })
})

describe('what may be due to credentials that have expired', () => {
  const rows: readonly (readonly [string | undefined, number, boolean, 'surely' | 'maybe' | undefined])[] = [
    ['AuthFailure.TokenFailure', 200, true, 'surely'],
    ['AuthFailure.TokenFailure', 401, false, 'surely'],
    ['Unauthorized', 401, false, 'maybe'],
    ['Unauthorized', 400, true, 'maybe'],
    ['InvalidAuthorization', 400, false, 'maybe'],
    [undefined, 401, false, 'maybe'],
    ['AuthFailure.SecretIdNotFound', 200, true, 'maybe'],
    ['AuthFailure.SignatureFailure', 200, true, 'maybe'],
    ['AuthFailure', 200, true, 'maybe'],
    ['AuthFailure.SecretIdNotFound', 200, false, undefined],
    ['AuthFailure.UnauthorizedOperation', 200, true, undefined],
    ['UnauthorizedOperation.Cam', 200, true, undefined],
    ['NotAllowed', 403, true, undefined],
    [undefined, 403, true, undefined],
    ['ResourceNotFound', 404, true, undefined],
    ['InternalError', 401, true, undefined]
  ]
  for (const [serviceCode, httpStatus, isTemporary, expected] of rows) {
    test(`${serviceCode} at HTTP ${httpStatus} of ${isTemporary ? 'temporary' : 'lasting'} ones: ${expected ?? 'no'}`, () => {
      const place = { httpStatus, ...(serviceCode === undefined ? {} : { serviceCode }) }
      const error = new ClsConsumerError(errorCodeOf(serviceCode, httpStatus), 'x', place)
      assert.equal(saysExpired(error, isTemporary), expected)
    })
  }
})

describe('what a server says is not repeated blindly', () => {
  test('I9: a secret that comes back is hidden, in messages, pages and codes', () => {
    const echoes = [
      answer(400, '{"errorcode":"X","errormessage":"your key sEcret and tok/en"}'),
      answer(502, `<html>${'x'.repeat(110)}sEcret`),
      answer(400, '{"errorcode":"tok/en","errormessage":""}'),
      answer(400, refused('X').replace('r-1', 'r-sEcret')),
      answer(502, '', { 'x-cls-requestid': 'tok/en' })
    ]
    for (const echo of echoes) {
      const shown = inspect(controlError(echo), { depth: 9 })
      assert.ok(!/sEc|tok\/en/.test(shown), shown)
    }
  })

  test('long texts are cut', () => {
    assert.ok(controlError(answer(502, '<'.repeat(100_000))).message.length < 500)
    assert.ok(
      controlError(answer(400, `{"errorcode":"X","errormessage":"${'y'.repeat(100_000)}"}`)).message.length < 1500
    )
  })
})
