import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { compress, decompress } from '../../src/cls/compression.ts'
import { signQ } from '../../src/cls/sign-q.ts'
import { ClsConsumerError, fromFailure, toFailure } from '../../src/errors.ts'
import type { Compression } from '../../src/world.ts'
import { rejection } from './fakes.ts'
import { refusal, type Scripted } from './scripted-server.ts'
import { CREDENTIALS, LIMIT, PULL, setUpService } from './service-setup.ts'

const RESPONSE = Buffer.from('{"Response":{"NextOffset":1002,"Message":["eHg=","eHg="],"RequestId":"r"}}')
const body = (plain: string | Uint8Array) => ({ body: compress(Buffer.from(plain), 'snappy') })
const snappy = (plain: string | Uint8Array): Scripted => body(plain)

describe('data API: requests', () => {
  test('I10: the body has an exact start offset, and only what was asked for', LIMIT, async () => {
    const { server, pull } = await setUpService(() => snappy(RESPONSE))
    await pull()
    await pull({ startOffset: -1n, endTime: 1_700_000_000, query: 'log_keep(op_eq(v("a"),"b"))' })
    assert.equal(
      server.received[0]?.body,
      '{"StartOffset":9007199254740993,"StartTime":0,"Size":2097152,"CompressType":"snappy","PartitionId":3}'
    )
    assert.equal(
      server.received[1]?.body,
      '{"StartOffset":-1,"StartTime":0,"Size":2097152,"CompressType":"snappy","PartitionId":3,' +
        '"EndTime":1700000000,"Query":"log_keep(op_eq(v(\\"a\\"),\\"b\\"))"}'
    )
  })

  test('path, headers and signature as the protocol has them', LIMIT, async () => {
    const { server, pull } = await setUpService(() => snappy(RESPONSE), {
      credentials: { ...CREDENTIALS, token: 'tok' }
    })
    await pull()
    const { url, headers } = server.received[0] ?? assert.fail('nothing was sent')
    assert.equal(url, '/pull_log?topic_id=t%2A1')
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['x-cls-token'], 'tok')
    const startSeconds = Number(/q-sign-time=(\d+);/.exec(headers.authorization ?? '')?.[1])
    assert.ok(Math.abs(startSeconds + 60 - Date.now() / 1000) < 10)
    const signed = signQ({
      ...CREDENTIALS,
      method: 'POST',
      path: '/pull_log',
      query: { topic_id: 't*1' },
      headers: { host: headers.host ?? '', 'content-type': 'application/json' },
      nowSeconds: startSeconds + 60,
      expireSeconds: 300
    })
    assert.equal(headers.authorization, signed)
  })
})

describe('data API: answers', () => {
  const ways: readonly (readonly [string, Compression, string | undefined])[] = [
    ['snappy by default', 'snappy', undefined],
    ['snappy by header', 'snappy', 'Snappy'],
    ['lz4 by header', 'lz4', 'lz4'],
    ['none by header', 'none', 'none'],
    ['none by its first bytes', 'none', undefined]
  ]
  for (const [name, compression, header] of ways) {
    test(`the body comes as it was sent, with its compression: ${name}`, LIMIT, async () => {
      const headers = { 'X-Cls-Requestid': 'r-1', ...(header === undefined ? {} : { 'x-cls-compress-type': header }) }
      const { service } = await setUpService(() => ({ headers, body: compress(RESPONSE, compression) }))
      const seen: Compression[] = []
      const body = await service.data.pull(PULL, {
        signal: new AbortController().signal,
        onProgress: progress => seen.push(progress.compression)
      })
      assert.equal(body.compression, compression)
      assert.equal(body.requestId, 'r-1')
      assert.equal(body.byteCount, body.bytes.byteLength)
      const plain = decompress(new Uint8Array(body.bytes, 0, body.byteCount), body.compression, 1000)
      assert.deepEqual(Buffer.from(plain), RESPONSE)
      assert.deepEqual(new Set(seen), new Set([compression]))
    })
  }

  test(
    'a snappy body of 123 plain bytes, which begins with "{", is taken for snappy, whatever the text begins with',
    LIMIT,
    async () => {
      for (const start of [
        '{"Response":{"NextOffset":1}}',
        ' \n{ "Response":{"NextOffset":1}}',
        '{\n\n  "Response":{}}'
      ]) {
        const body = compress(Buffer.from(start.padEnd(123)), 'snappy')
        assert.equal(body[0], 0x7b)
        const { pull } = await setUpService(() => ({ body }))
        assert.equal((await pull()).compression, 'snappy')
      }
    }
  )

  test('an error in the clear with status 200 is the typed error', LIMIT, async () => {
    const bodies = [
      refusal('InvalidParameter.InvalidOffset', 'expired').body ?? '',
      '{ "errorcode": "InvalidOffset", "errormessage": "expired" }',
      '{\n  "errorcode": "InvalidOffset", "errormessage": "expired" }'
    ]
    for (const body of bodies) {
      const { pull } = await setUpService(() => ({ body }))
      const error = await rejection('API_INVALID_OFFSET', pull())
      assert.equal(error.place.offset, 2n ** 53n + 1n)
      assert.match(error.message, /expired.*pull_log, topic t\*1, partition 3, offset 9007199254740993/)
    }
  })

  const statuses = [
    [400, '{"errorcode":"InvalidAuthorization","errormessage":"m"}', 'API_UNAUTHORIZED'],
    [401, '{"errorcode":"Unauthorized","errormessage":"m"}', 'API_UNAUTHORIZED'],
    [403, '{"errorcode":"NotAllowed","errormessage":"m"}', 'API_UNAUTHORIZED'],
    [404, '{"errorcode":"TopicNotExist","errormessage":"m"}', 'API_NOT_FOUND'],
    [400, '{"errorcode":"TopicClosed","errormessage":"m"}', 'API_TOPIC_CLOSED'],
    [413, '', 'API_REFUSED'],
    [429, '{"errorcode":"SpeedQuotaExceed","errormessage":"m"}', 'API_THROTTLED'],
    [500, '{"errorcode":"InternalError","errormessage":"m"}', 'API_UNAVAILABLE'],
    [503, '<html>', 'API_UNAVAILABLE'],
    [200, '', 'API_MALFORMED']
  ] as const
  for (const [status, body, code] of statuses) {
    test(`HTTP ${status} ${body.slice(0, 40)} is ${code}, after one try`, LIMIT, async () => {
      const { server, pull } = await setUpService(() => ({ status, body, headers: { 'X-Cls-Requestid': 'r-2' } }))
      const error = await rejection(code, pull())
      assert.equal(error.place.httpStatus, status)
      assert.equal(error.place.requestId, 'r-2')
      assert.equal(server.received.length, 1)
    })
  }

  test('a page of something on the way, and a compression never asked for, are API_MALFORMED', LIMIT, async () => {
    const headers = [{ 'Content-Type': 'text/html' }, { 'x-cls-compress-type': 'zstd' }]
    for (const each of headers) {
      const { pull } = await setUpService(() => ({ headers: each, body: '<html>log in</html>' }))
      await rejection('API_MALFORMED', pull())
    }
  })

  test('a body over bodyBytesMax is BODY_TOO_LARGE', LIMIT, async () => {
    const { pull } = await setUpService(() => ({ body: Buffer.alloc(2000) }), { bodyBytesMax: 1999 })
    await rejection('BODY_TOO_LARGE', pull())
  })

  test('I8: a body that trickles in is given up at callTimeoutMs', LIMIT, async () => {
    const { pull } = await setUpService(
      () => response => {
        const trickle = setInterval(() => response.write('x'), 20)
        response.on('close', () => clearInterval(trickle))
      },
      { callTimeoutMs: 200 }
    )
    const error = await rejection('API_TIMEOUT', pull())
    assert.match(error.message, /not whole within 200 ms/)
  })

  test('an abort ends the pull with the signal’s reason', LIMIT, async () => {
    const controller = new AbortController()
    const reason = new Error('revoked')
    const { pull } = await setUpService(() => () => controller.abort(reason))
    await assert.rejects(pull({}, controller.signal), reason)
  })
})

describe('data API: refusals found inside a compressed body', () => {
  /** As a thread tells it: over its boundary, without knowing what was signed. */
  const found = (serviceCode: string, words = 'no', offset = PULL.startOffset) => {
    const { topicId, partition } = PULL
    const error = new ClsConsumerError('API_REFUSED', words, { topicId, partition, offset, serviceCode })
    return fromFailure(toFailure(error, 'BODY_CORRUPT'))
  }
  function provider() {
    let count = 0
    return { asked: () => count, get: () => ({ secretId: 'id', secretKey: 'a-secret-key', token: `token-${++count}` }) }
  }

  for (const [serviceCode, code] of [
    ['InvalidParameter.InvalidOffset', 'API_INVALID_OFFSET'],
    ['SpeedQuotaExceed', 'API_THROTTLED'],
    ['InternalError', 'API_UNAVAILABLE'],
    ['TopicClosed', 'API_TOPIC_CLOSED'],
    ['NotAllowed', 'API_UNAUTHORIZED'],
    ['FailedOperation', 'API_REFUSED']
  ] as const) {
    test(`${serviceCode} is heeded as ${code}, with its place`, LIMIT, async () => {
      const { service } = await setUpService(() => snappy(RESPONSE))
      const error = service.data.heed(found(serviceCode))
      const { topicId, partition, startOffset: offset } = PULL
      assert.equal(error.code, code)
      assert.deepEqual(error.place, { topicId, partition, offset, serviceCode, action: 'pull_log' })
    })
  }

  test('what is no word of the service is returned as it is', LIMIT, async () => {
    const { service } = await setUpService(() => snappy(RESPONSE))
    const error = new ClsConsumerError('BODY_TOO_LARGE', 'x')
    assert.equal(service.data.heed(error), error)
  })

  test('I9: what the pull was signed with is masked, also after it was renewed', LIMIT, async () => {
    const { get } = provider()
    const { service, pull } = await setUpService(() => snappy(RESPONSE), { credentials: get })
    await pull()
    service.data.heed(found('AuthFailure.TokenFailure'))
    await pull({ startOffset: 5n })
    const error = service.data.heed(found('FailedOperation', 'signed by a-secret-key and token-1, not by token-2'))
    assert.match(error.message, /signed by \*\*\* and \*\*\*, not by token-2/)
    assert.ok(!/a-secret-key|token-1/.test(inspect(error, { depth: 9 })))
  })

  test('an expired token is renewed, as for a refusal in the clear', LIMIT, async () => {
    const { get, asked } = provider()
    const { service, server, pull } = await setUpService(() => snappy(RESPONSE), { credentials: get })
    await pull()
    assert.equal(service.data.heed(found('AuthFailure.TokenFailure')).code, 'API_TOKEN_EXPIRED')
    await pull({ startOffset: 5n })
    assert.deepEqual(
      server.received.map(({ headers }) => headers['x-cls-token']),
      ['token-1', 'token-2']
    )
    assert.equal(asked(), 2)
  })

  test(
    'a late word on what was signed with the old token is none on the new one, which has not worked yet',
    LIMIT,
    async () => {
      const { get, asked } = provider()
      const { service, server, pull } = await setUpService(
        (_request, index) => (index < 2 ? snappy(RESPONSE) : response => response.destroy()),
        { credentials: get }
      )
      await pull({ startOffset: 1n })
      await pull({ startOffset: 2n })
      assert.equal(service.data.heed(found('AuthFailure.TokenFailure', 'no', 1n)).code, 'API_TOKEN_EXPIRED')
      await rejection('API_UNREACHABLE', pull({ startOffset: 3n }))
      assert.equal(server.received.at(-1)?.headers['x-cls-token'], 'token-2')
      assert.equal(service.data.heed(found('AuthFailure.TokenFailure', 'no', 2n)).code, 'API_TOKEN_EXPIRED')
      await rejection('API_UNREACHABLE', pull({ startOffset: 4n }))
      assert.equal(asked(), 2, 'the new one is kept')
    }
  )

  /** A consumer's heartbeat works, its pull is refused inside a compressed 200; by the end, this often. */
  async function refuseAgainAndAgain(serviceCode: string, rounds: number) {
    const { get, asked } = provider()
    const { service, pull, read } = await setUpService(
      request => (request.url === '/' ? { body: '{"Response":{"RequestId":"r"}}' } : snappy(RESPONSE)),
      { credentials: get }
    )
    const codes: string[] = []
    for (let round = 0; round < rounds; round++) {
      await service.control.commitConsumerOffsets({ group: 'g', consumer: 'c', offsets: [] })
      await pull()
      codes.push(service.data.heed(found(serviceCode)).code)
    }
    return { codes, asked, service, pull, read }
  }

  test('a topic forbidden there is API_UNAUTHORIZED after one renewal, however often', LIMIT, async () => {
    const { codes, asked } = await refuseAgainAndAgain('Unauthorized', 4)
    assert.deepEqual(codes, ['API_TOKEN_EXPIRED', 'API_UNAUTHORIZED', 'API_UNAUTHORIZED', 'API_UNAUTHORIZED'])
    assert.equal(asked(), 2)
  })

  test('a topic whose response was read, and held no refusal, may expire again', LIMIT, async () => {
    const { codes, asked, service, pull, read } = await refuseAgainAndAgain('Unauthorized', 2)
    assert.deepEqual([codes.at(-1), asked()], ['API_UNAUTHORIZED', 2])
    await read()
    assert.equal(service.data.heed(found('Unauthorized')).code, 'API_TOKEN_EXPIRED')
    await pull()
    assert.equal(asked(), 3)
  })

  test('a word on a response that nobody remembers is none', LIMIT, async () => {
    const { codes, service } = await refuseAgainAndAgain('Unauthorized', 2)
    service.data.worked({ ...PULL, startOffset: 1n })
    assert.equal(service.data.heed(found('Unauthorized')).code, codes.at(-1))
  })

  test('fixed credentials that expired are API_UNAUTHORIZED', LIMIT, async () => {
    const { service, pull } = await setUpService(() => snappy(RESPONSE))
    await pull()
    assert.equal(service.data.heed(found('AuthFailure.TokenFailure')).code, 'API_UNAUTHORIZED')
  })

  test('a clock that is off is corrected, and measured by what the pull was signed with', LIMIT, async () => {
    const headers = { Date: new Date(Date.now() + 600_000).toUTCString() }
    const { server, service, pull, log } = await setUpService(() => ({ headers, ...body(RESPONSE) }))
    await pull({ startOffset: 1n })
    await pull({ startOffset: 2n })
    assert.equal(service.data.heed(found('AuthFailure.SignatureExpire', 'no', 1n)).code, 'API_CLOCK_SKEWED')
    // Signed before the correction: not to be taken for bad credentials after it.
    assert.equal(service.data.heed(found('Unauthorized', 'no', 2n)).code, 'API_CLOCK_SKEWED')
    await pull({ startOffset: 3n })
    const startSeconds = Number(/q-sign-time=(\d+);/.exec(server.received.at(-1)?.headers.authorization ?? '')?.[1])
    assert.ok(Math.abs(startSeconds + 60 - 600 - Date.now() / 1000) < 10)
    assert.deepEqual(new Set(log.lines.map(({ message }) => message)), new Set(['clock corrected']))
  })
})
