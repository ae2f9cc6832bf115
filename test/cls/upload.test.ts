import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { decompress } from '../../src/cls/compression.ts'
import { createCredentials } from '../../src/cls/credentials.ts'
import { createHttp } from '../../src/cls/http.ts'
import { decodeLogGroupList, type LogGroup } from '../../src/cls/log-group.ts'
import { createServiceClock } from '../../src/cls/service-clock.ts'
import { createUploadApi, type UploadRequest } from '../../src/cls/upload.ts'
import { UPLOAD_LIMITS } from '../../src/cls/upload-limits.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { realClock, realTimers } from '../../src/real-world.ts'
import type { CallOptions, Compression } from '../../src/world.ts'
import { chance, createKeptLog, rejection } from './fakes.ts'
import { type Scripted, startServer } from './scripted-server.ts'

const LIMIT = { timeout: 20_000 }
const GROUP: LogGroup = { logs: [{ time: 1n, contents: [{ key: 'k', value: 'v' }] }], logTags: [], source: 's' }

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.reverse()) await close()
  open = []
})

async function setUp(
  script: readonly Scripted[] = [],
  change: { readonly origin?: string; readonly hearsLate?: boolean } = {}
) {
  const server = await startServer((_request, index) => script[index] ?? { headers: { 'X-Cls-Requestid': 'r-3' } })
  const http = createHttp({ requestTimeoutMs: 5000 })
  open.push(server.close, http.close)
  const log = createKeptLog()
  const bodies: Uint8Array[] = []
  const origin = change.origin ?? server.origin
  const api = createUploadApi({
    clock: realClock,
    timers: realTimers,
    random: chance(0),
    log,
    endpoints: { controlOrigin: origin, dataOrigin: origin, region: undefined },
    signing: {
      credentials: createCredentials(
        { secretId: 'id', secretKey: 'k' },
        { now: realClock.now, timers: realTimers, log }
      ),
      serviceClock: createServiceClock(realClock),
      log
    },
    http: {
      ...http,
      request(request) {
        assert.ok(typeof request.body !== 'string')
        bodies.push(request.body)
        if (change.hearsLate !== true) return http.request(request)
        return http.request(request).catch(async error => {
          await new Promise(resolve => setImmediate(resolve))
          throw error
        })
      }
    },
    callTimeoutMs: 10_000
  })
  const tries = { retryCount: 0, unsureCount: 0 }
  const counted = { onRetry: () => void tries.retryCount++, onUnsure: () => void tries.unsureCount++ }
  const upload = (request: Partial<UploadRequest> = {}, call?: CallOptions) =>
    api.upload({ topicId: 't', groups: [GROUP], ...counted, ...request }, call)
  return { server, bodies, log, upload, tries }
}

describe('upload', () => {
  for (const compression of ['lz4', 'none'] as const) {
    test(`the groups arrive as they were: ${compression}`, LIMIT, async () => {
      const { server, bodies, upload } = await setUp()
      const groups = [GROUP, { ...GROUP, source: 'other' }]
      assert.deepEqual(await upload({ groups, compression, hashKey: 'AB'.repeat(16) }), { requestId: 'r-3' })
      const { url, headers } = server.received[0] ?? assert.fail('nothing was sent')
      assert.equal(url, '/structuredlog?topic_id=t')
      assert.equal(headers['content-type'], 'application/x-protobuf')
      assert.equal(headers['x-cls-compress-type'], compression === 'lz4' ? 'lz4' : undefined)
      assert.equal(headers['x-cls-hashkey'], 'AB'.repeat(16))
      assert.equal(headers['content-length'], String(bodies[0]?.length))
      const used: Compression = compression
      const plain = decompress(bodies[0] ?? new Uint8Array(), used, 10_000)
      assert.deepEqual(decodeLogGroupList(plain), groups)
    })
  }

  test('lz4 where nothing is said', LIMIT, async () => {
    const { server, upload } = await setUp()
    await upload()
    assert.equal(server.received[0]?.headers['x-cls-compress-type'], 'lz4')
  })

  test('tried again by remedy, with a log line', LIMIT, async () => {
    const { server, log, upload } = await setUp([
      { status: 429, body: '{"errorcode":"SpeedQuotaExceed"}' },
      { status: 500 }
    ])
    await upload()
    assert.equal(server.received.length, 3)
    assert.deepEqual(
      log.lines.map(({ fields }) => fields.code),
      ['API_THROTTLED', 'API_UNAVAILABLE']
    )
  })

  test('with whenUnsure fail, only what was surely not stored is sent again', LIMIT, async () => {
    const { server, upload } = await setUp([{ status: 429 }, { status: 500 }])
    await rejection('API_UNAVAILABLE', upload({ whenUnsure: 'fail' }))
    assert.equal(server.received.length, 2)
  })

  test('an error with status 200 is an error', LIMIT, async () => {
    const { upload } = await setUp([{ body: '{"errorcode":"TopicClosed","errormessage":"closed"}' }])
    await rejection('API_TOPIC_CLOSED', upload())
  })

  test('a page with status 200 that is not the service’s does not mean stored', LIMIT, async () => {
    for (const body of ['<html>sign in</html>', '{"errorco']) {
      const { upload, tries } = await setUp([{ body }])
      const error = await rejection('API_MALFORMED', upload({ whenUnsure: 'fail' }))
      assert.equal(error.place.httpStatus, 200)
      assert.equal(tries.unsureCount, 1)
    }
    for (const body of ['', ' \n', '{"Response":{"RequestId":"r"}}']) await (await setUp([{ body }])).upload()
  })

  const cut: Scripted = response => response.destroy()
  const silent: Scripted = () => undefined
  const half: Scripted = response => {
    response.writeHead(200, { 'content-length': '100' }).write('{"Resp')
    setImmediate(() => response.destroy())
  }
  const unsure: readonly (readonly [string, Scripted])[] = [
    ['a connection that breaks after the request was sent', cut],
    ['an answer that breaks off', half],
    ['HTTP 500', { status: 500 }],
    ['HTTP 503 of something on the way', { status: 503, body: '<html>' }],
    ['an error of the service that names its inside', { status: 200, body: '{"errorcode":"InternalError"}' }],
    ['an answer far too long', { body: 'x'.repeat(100_000) }]
  ]
  for (const [name, scripted] of unsure) {
    test(
      `nobody knows whether the logs are stored after ${name}: it is told, and not sent again unasked`,
      LIMIT,
      async () => {
        const { server, upload, tries } = await setUp([scripted])
        await assert.rejects(upload({ whenUnsure: 'fail' }))
        assert.deepEqual(tries, { retryCount: 0, unsureCount: 1 })
        assert.equal(server.received.length, 1)
      }
    )
  }

  test('each unsure try counts once, also where the call succeeds in the end', LIMIT, async () => {
    const { server, upload, tries } = await setUp([cut, { status: 429 }, { status: 500 }, half])
    await upload()
    assert.deepEqual(tries, { retryCount: 4, unsureCount: 3 })
    assert.equal(server.received.length, 5)
  })

  test(
    'a deadline that passes while a try is under way leaves it unsure, told before the rejection',
    LIMIT,
    async () => {
      const { upload, tries } = await setUp([{ status: 429 }, silent])
      await rejection('API_TIMEOUT', upload({}, { deadlineMs: 300 }))
      assert.deepEqual(tries, { retryCount: 1, unsureCount: 1 })
      await new Promise(resolve => setImmediate(resolve))
      assert.equal(tries.unsureCount, 1, 'and once only')
    }
  )

  test('the same where the try hears of the deadline later than the caller', LIMIT, async () => {
    const { upload, tries } = await setUp([silent], { hearsLate: true })
    await rejection('API_TIMEOUT', upload({}, { deadlineMs: 200 }))
    assert.equal(tries.unsureCount, 1)
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
    assert.equal(tries.unsureCount, 1, 'and once only')
  })

  test('a caller who leaves while a try is under way hears that it is unsure', LIMIT, async () => {
    const controller = new AbortController()
    const leave: Scripted = () => controller.abort(new Error('left'))
    const { upload, tries } = await setUp([leave])
    await assert.rejects(upload({}, { signal: controller.signal }), /left/)
    assert.equal(tries.unsureCount, 1)
  })

  test(
    'what was never sent is certain: nobody listens, so it is tried again also with whenUnsure fail',
    LIMIT,
    async () => {
      const gone = await startServer(() => ({}))
      await gone.close()
      const { upload, tries } = await setUp([], { origin: gone.origin })
      const error = await upload({ whenUnsure: 'fail' }, { deadlineMs: 300 }).then(
        () => assert.fail('stored'),
        (thrown: unknown) => thrown
      )
      assert.ok(error instanceof ClsConsumerError && ['API_UNREACHABLE', 'API_TIMEOUT'].includes(error.code))
      assert.ok(tries.retryCount > 0)
      assert.equal(tries.unsureCount, 0)
    }
  )

  test('what the service refused is certain, whatever it refused it for', LIMIT, async () => {
    const refusals: readonly (readonly [number, string])[] = [
      [400, 'InvalidParam'],
      [401, 'Unauthorized'],
      [403, 'NotAllowed'],
      [404, 'TopicNotExist'],
      [413, 'LogSizeExceed']
    ]
    for (const [status, errorcode] of refusals) {
      const { upload, tries } = await setUp([{ status, body: JSON.stringify({ errorcode, errormessage: 'no' }) }])
      await assert.rejects(upload())
      assert.deepEqual(tries, { retryCount: 0, unsureCount: 0 }, errorcode)
    }
  })

  const long = (bytes: number) => 'v'.repeat(bytes)
  const over: readonly (readonly [string, Partial<UploadRequest>, RegExp])[] = [
    ['groups', { groups: new Array<LogGroup>(11).fill(GROUP) }, /11 log groups/],
    [
      'logs of a group',
      { groups: [{ ...GROUP, logs: new Array(10_001).fill({ time: 1n, contents: [] }) }] },
      /10001 logs/
    ],
    [
      'bytes of a value',
      { groups: [oneValue([long(UPLOAD_LIMITS.valueBytes - 1), `${long(1024 * 1024 - 1)}é`])] },
      /1048577 bytes in one value/
    ],
    ['bytes of a group', { groups: [oneValue(new Array(6).fill(long(1_000_000)))] }, /6000000 bytes of values/],
    ['bytes of a body', { groups: new Array<LogGroup>(7).fill(oneValue([long(1_000_000)])) }, /bytes in the body/],
    ['hash key', { hashKey: 'xyz' }, /"xyz" is not 32 hex digits/]
  ]
  for (const [name, change, message] of over) {
    test(`over a limit (${name}), nothing is sent and the error says which`, LIMIT, async () => {
      const { server, upload } = await setUp()
      const error = await rejection('OPTIONS_INVALID', upload(change))
      assert.match(error.message, message)
      assert.equal(server.received.length, 0)
    })
  }
})

function oneValue(values: readonly string[]): LogGroup {
  return { logs: [{ time: 1n, contents: values.map(value => ({ key: 'k', value })) }], logTags: [] }
}
