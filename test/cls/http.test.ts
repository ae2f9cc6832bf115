import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { createHttp, type Http, type HttpRequest } from '../../src/cls/http.ts'
import { type BodyMemory, Slabs } from '../../src/cls/slabs.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { realClock } from '../../src/real-world.ts'
import { rejection } from './fakes.ts'
import { type Received, type Scripted, type ScriptedServer, startServer } from './scripted-server.ts'

const LIMIT = { timeout: 20_000 }
const MIB = 1024 * 1024
const BODY = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7 + (n >> 8)) & 0xff))

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.reverse()) await close()
  open = []
})

async function setUp(
  answer: (request: Received, index: number) => Scripted,
  requestTimeoutMs = 60_000,
  memory?: BodyMemory
) {
  const server = await startServer(answer)
  const http = createHttp({ requestTimeoutMs, memory })
  open.push(server.close, http.close)
  return { server, http }
}

function to(server: Pick<ScriptedServer, 'origin'>, change: Partial<HttpRequest> = {}): HttpRequest {
  return {
    origin: server.origin,
    path: '/pull_log?topic_id=t',
    headers: { 'X-Cls-Token': 'token-that-is-secret', 'Content-Type': 'application/json' },
    body: '{}',
    signal: new AbortController().signal,
    place: { action: 'pull_log', partition: 4 },
    bodyBytesMax: MIB,
    ...change
  }
}

/** Both ways to ask. */
const WAYS: readonly (readonly [string, (http: Http, request: HttpRequest) => Promise<unknown>])[] = [
  ['request', (http, request) => http.request(request)],
  ['pull', (http, request) => http.pull(request)]
]

describe('http', () => {
  test('request: sends what it is given, and gives status, headers and body', LIMIT, async () => {
    const { server, http } = await setUp(() => ({ headers: { 'X-Cls-Requestid': 'r' }, body: '{"a":1}' }))
    const answer = await http.request(to(server, { body: 'what is asked' }))
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('x-cls-requestid'), 'r')
    assert.equal(new TextDecoder().decode(answer.body), '{"a":1}')
    const [received] = server.received
    assert.equal(received?.url, '/pull_log?topic_id=t')
    assert.equal(received?.body, 'what is asked')
    assert.equal(received?.headers['x-cls-token'], 'token-that-is-secret')
    assert.equal(`http://${received?.headers.host}`, server.origin)
  })

  for (const [name, send] of WAYS) {
    test(`${name}: what onSend throws, once there is a connection, ends it, and nothing leaves`, LIMIT, async () => {
      const { server, http } = await setUp(() => ({ body: 'x' }))
      const withdrawn = new ClsConsumerError('CALL_WITHDRAWN', 'it holds no longer')
      const onSend = () => {
        throw withdrawn
      }
      assert.equal(await rejection('CALL_WITHDRAWN', send(http, to(server, { onSend }))), withdrawn)
      let sentCount = 0
      await send(http, to(server, { onSend: () => void sentCount++ }))
      assert.deepEqual([server.received.length, sentCount], [1, 1])
    })
  }

  test('connections are kept and used again', LIMIT, async () => {
    const { server, http } = await setUp(() => ({ body: 'x' }))
    for (let n = 0; n < 20; n++) await http.request(to(server))
    // The next request may come before the connection of the last one is free.
    assert.ok(server.connectionCount <= 2, `${server.connectionCount}`)
  })

  test('requests at the same time have connections of their own', LIMIT, async () => {
    const waiting: ServerResponse[] = []
    const { server, http } = await setUp(() => response => {
      waiting.push(response)
      if (waiting.length === 3) for (const each of waiting) each.end('x')
    })
    await Promise.all([http.request(to(server)), http.request(to(server)), http.pull(to(server))])
    assert.equal(server.connectionCount, 3)
  })

  test('pull: a body of known length is written into shared memory of exactly that size', LIMIT, async () => {
    const { server, http } = await setUp(() => ({ headers: { 'Content-Length': String(BODY.length) }, body: BODY }))
    const { bytes, byteCount } = await http.pull(to(server))
    assert.ok(bytes instanceof SharedArrayBuffer)
    assert.deepEqual([bytes.byteLength, byteCount], [BODY.length, BODY.length])
    assert.deepEqual(Buffer.from(bytes), BODY)
  })

  test('pull: a chunked body grows, in memory of at most twice its size', LIMIT, async () => {
    const { server, http } = await setUp(() => response => {
      response.write(BODY.subarray(0, 10))
      response.write(BODY.subarray(10, 200_000))
      response.end(BODY.subarray(200_000))
    })
    const { bytes, byteCount } = await http.pull(to(server))
    assert.equal(byteCount, BODY.length)
    assert.ok(bytes.byteLength <= 2 * BODY.length)
    assert.deepEqual(Buffer.from(bytes, 0, byteCount), BODY)
  })

  test('pull: bodies go to memory that was freed before', LIMIT, async () => {
    const answer = () => ({ headers: { 'Content-Length': String(BODY.length) }, body: BODY })
    const { server, http } = await setUp(answer, 5000, new Slabs(10 * MIB, realClock))
    const first = await http.pull(to(server))
    const second = await http.pull(to(server))
    assert.notEqual(second.bytes, first.bytes)
    new Uint8Array(first.bytes).fill(0)
    http.free(first.bytes)
    const third = await http.pull(to(server))
    assert.equal(third.bytes, first.bytes)
    for (const { bytes, byteCount } of [second, third]) assert.deepEqual(Buffer.from(bytes, 0, byteCount), BODY)
  })

  test('pull: what is given up gives its memory back', LIMIT, async () => {
    const slabs = new Slabs(10 * MIB, realClock)
    const answer = () => (response: ServerResponse) => {
      response.writeHead(200, { 'Content-Length': String(BODY.length) })
      response.write(BODY.subarray(0, 1000))
    }
    const { server, http } = await setUp(answer, 5000, slabs)
    const caller = new AbortController()
    const pulled = http.pull(to(server, { signal: caller.signal }), () => caller.abort(new Error('not wanted')))
    await assert.rejects(pulled, { message: 'not wanted' })
    assert.equal(slabs.inUseBytes, 0)
    assert.ok(slabs.idleBytes > 0)
  })

  for (const framing of ['known length', 'chunked'] as const) {
    test(`pull: what has arrived is shown while the rest is on its way (${framing})`, LIMIT, async () => {
      let proceed = () => {}
      const { server, http } = await setUp(() => response => {
        response.writeHead(200, framing === 'chunked' ? {} : { 'Content-Length': String(BODY.length) })
        response.write(BODY.subarray(0, 1000))
        proceed = () => response.end(BODY.subarray(1000))
      })
      const counts: number[] = []
      const { bytes, byteCount } = await http.pull(to(server), (received, headers) => {
        assert.ok(headers.has('date'))
        assert.deepEqual(Buffer.from(received), BODY.subarray(0, received.length))
        assert.ok(received.buffer instanceof SharedArrayBuffer)
        counts.push(received.length)
        if (received.length === 1000) proceed()
      })
      assert.deepEqual(Buffer.from(bytes, 0, byteCount), BODY)
      assert.equal(counts[0], 1000)
      // Where the length is known, the whole body is no progress: it is there.
      assert.equal(counts.at(-1) === BODY.length, framing === 'chunked')
    })
  }

  for (const [name, ask] of WAYS) {
    test(`${name}: a body whose length is over the limit is refused before its first byte`, LIMIT, async () => {
      const { server, http } = await setUp(() => response => {
        response.writeHead(200, { 'Content-Length': String(MIB + 1) }).flushHeaders() // and no byte of it
      })
      const error = await rejection('BODY_TOO_LARGE', ask(http, to(server)))
      assert.match(error.message, /1048577 bytes is more than the 1048576 accepted/)
      assert.equal(error.place.partition, 4)
    })

    test(
      `${name}: a chunked body is refused as soon as it is over the limit, and its connection closed`,
      LIMIT,
      async () => {
        let closed: Promise<unknown> = Promise.resolve()
        const { server, http } = await setUp(() => response => {
          closed = once(response, 'close')
          response.write(Buffer.alloc(MIB))
          response.write('x') // and no end
        })
        await rejection('BODY_TOO_LARGE', ask(http, to(server)))
        await closed
      }
    )

    test(`${name}: a body exactly at the limit is accepted`, LIMIT, async () => {
      const { server, http } = await setUp((_request, index) =>
        index === 0 ? { body: Buffer.alloc(MIB) } : response => response.write(Buffer.alloc(MIB), () => response.end())
      )
      await ask(http, to(server))
      await ask(http, to(server))
    })

    test(`${name}: an error page over the limit is cut, not refused: its status counts`, LIMIT, async () => {
      const { server, http } = await setUp(() => response => {
        response.writeHead(503)
        response.write(Buffer.alloc(MIB + 1, 'x'))
        response.write('more')
      })
      const answer = await (name === 'pull' ? http.pull(to(server)) : http.request(to(server)))
      assert.equal(answer.status, 503)
      assert.equal(answer.body.length, 64 * 1024)
    })

    test(`${name}: a body cut short is API_UNREACHABLE, never a shorter body`, LIMIT, async () => {
      const { server, http } = await setUp((_request, index) => response => {
        if (index === 0) response.writeHead(200, { 'Content-Length': '1000' })
        response.write('the first part', () => response.destroy())
      })
      await rejection('API_UNREACHABLE', ask(http, to(server)))
      await rejection('API_UNREACHABLE', ask(http, to(server)))
    })

    test(
      `${name}: a connection closed without an answer is API_UNREACHABLE, with the place and no header`,
      LIMIT,
      async () => {
        const { server, http } = await setUp(() => response => response.destroy())
        const error = await rejection('API_UNREACHABLE', ask(http, to(server)))
        assert.equal(error.place.action, 'pull_log')
        assert.ok(!JSON.stringify(error).includes('token-that-is-secret'))
      }
    )

    test(`${name}: nobody listening is API_UNREACHABLE`, LIMIT, async () => {
      const { server, http } = await setUp(() => ({}))
      await server.close()
      const error = await rejection('API_UNREACHABLE', ask(http, to(server)))
      assert.match(error.message, /ECONNREFUSED/)
    })

    test(`${name}: no HTTP at all is API_UNREACHABLE`, LIMIT, async () => {
      const { http } = await setUp(() => ({}))
      const server = createServer(socket => socket.end('SSH-2.0-OpenSSH\r\n'))
      await once(server.listen(0, '127.0.0.1'), 'listening')
      open.push(async () => void server.close())
      const address = server.address()
      assert.ok(typeof address === 'object' && address !== null)
      await rejection('API_UNREACHABLE', ask(http, to({ origin: `http://127.0.0.1:${address.port}` })))
    })

    test(`${name}: silence before the answer, and within a body, is API_TIMEOUT`, LIMIT, async () => {
      const { server, http } = await setUp(
        (_request, index) => response => {
          if (index > 0) response.write('a little')
        },
        100
      )
      await rejection('API_TIMEOUT', ask(http, to(server)))
      await rejection('API_TIMEOUT', ask(http, to(server)))
    })

    test(`${name}: a connection that does not come about is API_TIMEOUT after requestTimeoutMs`, LIMIT, async () => {
      // Accepted, but never a word of TLS: connecting over https is not done before the handshake.
      const sockets: Socket[] = []
      const server = createServer(socket => void sockets.push(socket.on('error', () => undefined)))
      await once(server.listen(0, '127.0.0.1'), 'listening')
      open.push(async () => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
      const http = createHttp({ requestTimeoutMs: 100 })
      open.push(http.close)
      const address = server.address()
      assert.ok(typeof address === 'object' && address !== null)
      const error = await rejection('API_TIMEOUT', ask(http, to({ origin: `https://127.0.0.1:${address.port}` })))
      assert.match(error.message, /UND_ERR_CONNECT_TIMEOUT.*timeout: 100ms/)
      assert.equal(error.place.action, 'pull_log')
    })

    test(`${name}: an abort ends it at once with the signal’s reason, and closes the connection`, LIMIT, async () => {
      const controller = new AbortController()
      const reason = new Error('enough')
      let closed: Promise<unknown> = Promise.resolve()
      const { server, http } = await setUp(() => response => {
        closed = once(response, 'close')
        response.write('x')
        controller.abort(reason)
      })
      await assert.rejects(ask(http, to(server, { signal: controller.signal })), reason)
      await closed
      await assert.rejects(ask(http, to(server, { signal: controller.signal })), reason)
      assert.equal(server.received.length, 1)
    })

    test(`${name}: close ends what is under way`, LIMIT, async () => {
      const { server, http } = await setUp(() => () => void http.close())
      await rejection('API_UNREACHABLE', ask(http, to(server)))
      await rejection('API_UNREACHABLE', ask(http, to(server)))
    })
  }

  test('pull: an error of who looks at the bytes ends the pull with that error', LIMIT, async () => {
    const { server, http } = await setUp(() => ({ body: BODY }))
    const bug = new TypeError('bug')
    const look = () => {
      throw bug
    }
    await assert.rejects(http.pull(to(server), look), bug)
  })

  test('a header that HTTP cannot carry is one of our errors', LIMIT, async () => {
    const { server, http } = await setUp(() => ({}))
    await rejection('API_UNREACHABLE', http.request(to(server, { headers: { 'X-Cls-Token': 'two\nlines' } })))
  })
})
