import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compress, decompress } from '../../src/cls/compression.ts'
import { signQ } from '../../src/cls/sign-q.ts'
import type { Compression } from '../../src/world.ts'
import { rejection } from './fakes.ts'
import { refusal, type Scripted } from './scripted-server.ts'
import { CREDENTIALS, LIMIT, PULL, setUpService } from './service-setup.ts'

const RESPONSE = Buffer.from('{"Response":{"NextOffset":1002,"Message":["eHg=","eHg="],"RequestId":"r"}}')
const snappy = (plain: string | Uint8Array): Scripted => ({ body: compress(Buffer.from(plain), 'snappy') })

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
    [400, '{"errorcode":"TopicClosed","errormessage":"m"}', 'API_REFUSED'],
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
