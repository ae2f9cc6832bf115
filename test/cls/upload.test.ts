import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { decompress } from '../../src/cls/compression.ts'
import { createHttp } from '../../src/cls/http.ts'
import { decodeLogGroupList, type LogGroup } from '../../src/cls/log-group.ts'
import { createServiceClock } from '../../src/cls/service-clock.ts'
import { createUploadApi, UPLOAD_LIMITS, type UploadRequest } from '../../src/cls/upload.ts'
import { realClock, realTimers } from '../../src/real-world.ts'
import type { Compression } from '../../src/world.ts'
import { chance, createKeptLog, rejection } from './fakes.ts'
import { type Reply, startServer } from './scripted-server.ts'

const LIMIT = { timeout: 20_000 }
const GROUP: LogGroup = { logs: [{ time: 1n, contents: [{ key: 'k', value: 'v' }] }], logTags: [], source: 's' }

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.reverse()) await close()
  open = []
})

async function setUp(script: readonly Reply[] = []) {
  const server = await startServer((_request, index) => script[index] ?? { headers: { 'X-Cls-Requestid': 'r-3' } })
  const http = createHttp({ requestTimeoutMs: 5000 })
  open.push(server.close, http.close)
  const log = createKeptLog()
  const bodies: Uint8Array[] = []
  const api = createUploadApi({
    clock: realClock,
    timers: realTimers,
    random: chance(0),
    log,
    endpoints: { controlOrigin: server.origin, dataOrigin: server.origin, region: undefined },
    signing: {
      credentials: { get: async () => ({ secretId: 'id', secretKey: 'k' }), renew: () => false },
      serviceClock: createServiceClock(realClock),
      log
    },
    http: {
      ...http,
      request(request) {
        assert.ok(typeof request.body !== 'string')
        bodies.push(request.body)
        return http.request(request)
      }
    },
    callTimeoutMs: 10_000
  })
  const upload = (change: Partial<UploadRequest> = {}) => api.upload({ topicId: 't', groups: [GROUP], ...change })
  return { server, bodies, log, upload }
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
    await rejection('API_REFUSED', upload())
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
