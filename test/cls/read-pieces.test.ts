import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { connectReusing } from '../../src/cls/http.ts'
import { ReadPieces } from '../../src/cls/read-pieces.ts'

/** A connection that hangs fails. */
const BOUNDED = { timeout: 10_000 }

const BYTES = 1_000_000
const SENT_AT_ONCE = 10_000
/** What a socket takes before it stops reading. */
const QUEUE_BYTES = 64 * 1024

/** No two pieces of it are alike. */
const SENT = Buffer.from(Uint32Array.from({ length: BYTES / 4 }, (_, index) => index).buffer)

async function connect(t: TestContext): Promise<Socket> {
  const server = createServer(async peer => {
    for (let at = 0; at < BYTES; at += SENT_AT_ONCE) {
      peer.write(SENT.subarray(at, at + SENT_AT_ONCE))
      await new Promise(resolve => setImmediate(resolve))
    }
    peer.end()
  })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const port = String(address.port)
  const socket = await new Promise<Socket>((resolve, reject) => {
    connectReusing(1000)(
      { hostname: '127.0.0.1', host: `127.0.0.1:${port}`, protocol: 'http:', port },
      (...[error, opened]) => (error === null ? resolve(opened) : reject(error))
    )
  })
  t.after(() => socket.destroy())
  return socket
}

describe('connections that read into memory that is used again', () => {
  test('what nobody takes for a while is kept as it came', BOUNDED, async t => {
    const socket = await connect(t)
    // Of several reads: what came first must outlive the next ones.
    const queued = new Promise<void>(resolve => {
      const look = () => (socket.readableLength >= QUEUE_BYTES ? resolve() : setImmediate(look))
      socket.on('readable', () => undefined)
      look()
    })
    await queued
    const taken: Buffer[] = []
    const ended = once(socket, 'end')
    const take = () => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read())
        taken.push(Buffer.from(chunk))
    }
    socket.on('readable', take)
    take()
    await ended
    assert.deepEqual(Buffer.concat(taken), SENT)
  })

  test('what is taken at once needs two pieces of memory, whatever comes', BOUNDED, async t => {
    const socket = await connect(t)
    const memories = new Set<ArrayBufferLike>()
    let byteCount = 0
    const ended = once(socket, 'end')
    socket.on('readable', () => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        memories.add(chunk.buffer)
        assert.deepEqual(chunk, SENT.subarray(byteCount, byteCount + chunk.length))
        byteCount += chunk.length
      }
    })
    await ended
    assert.equal(byteCount, BYTES)
    assert.ok(memories.size <= 2, `${memories.size} pieces of memory`)
  })
})

describe('the pieces', () => {
  test('take turns while each is taken before the next read, and are left alone while they are not', () => {
    let unreadBytes = 0
    const pieces = new ReadPieces(() => unreadBytes)
    const first = pieces.next()
    unreadBytes = 10
    pieces.filled(10)
    const second = pieces.next()
    assert.notEqual(second, first)
    // The first was taken, and so was the second but for what it brought last.
    unreadBytes = 7
    pieces.filled(7)
    assert.equal(pieces.next(), first)
    // 7 of the second, 5 of the first: neither may be read into.
    unreadBytes = 12
    pieces.filled(5)
    const third = pieces.next()
    assert.ok(third !== first && third !== second)
  })
})
