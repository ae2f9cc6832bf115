import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { compress } from '../../src/cls/compression.ts'
import { rejection } from './fakes.ts'
import { ok, type Received, refusal, type Scripted } from './scripted-server.ts'
import { LIMIT, setUpService } from './service-setup.ts'

const TEN_MINUTES_S = 600

/** A server whose clock is off, and which refuses what is not signed within 5 minutes of it, as each plane does. */
function skewedServer(offSeconds: number) {
  const nowSeconds = () => Math.floor(Date.now() / 1000) + offSeconds
  return ({ url, headers }: Received): Scripted => {
    const dated = { Date: new Date(nowSeconds() * 1000).toUTCString() }
    if (url === '/') {
      const isTimely = Math.abs(Number(headers['x-tc-timestamp']) - nowSeconds()) <= 300
      return { headers: dated, ...(isTimely ? ok({}) : refusal('AuthFailure.SignatureExpire')) }
    }
    const [, from, to] = /q-sign-time=(\d+);(\d+)/.exec(headers.authorization ?? '') ?? []
    const isTimely = Number(from) <= nowSeconds() && nowSeconds() <= Number(to)
    // The data plane has no code of its own for a clock that is off.
    if (!isTimely) return { status: 401, headers: dated, body: '{"errorcode":"Unauthorized","errormessage":"no"}' }
    return { headers: dated, body: compress(Buffer.from('{"Response":{"NextOffset":1}}'), 'snappy') }
  }
}

describe('clock skew', () => {
  for (const offSeconds of [TEN_MINUTES_S, -TEN_MINUTES_S]) {
    test(
      `a server ${offSeconds} s off is recovered from within one call, and no call after it is refused`,
      LIMIT,
      async () => {
        const { server, service, pull, log } = await setUpService(skewedServer(offSeconds))
        await service.control.deleteConsumerGroup('g')
        assert.equal(server.received.length, 2)
        await service.control.deleteConsumerGroup('g')
        await pull()
        assert.equal(server.received.length, 4)
        assert.deepEqual(
          log.lines.map(({ message }) => message),
          ['clock corrected', 'retried']
        )
      }
    )

    test(
      `a pull refused by a server ${offSeconds} s off is API_CLOCK_SKEWED, and the next is signed right`,
      LIMIT,
      async () => {
        const { pull } = await setUpService(skewedServer(offSeconds))
        const error = await rejection('API_CLOCK_SKEWED', pull())
        assert.equal(error.remedy, 'retry')
        assert.equal(error.place.httpStatus, 401)
        await pull()
      }
    )
  }

  test('pulls refused together for the clock are all API_CLOCK_SKEWED: none stops the consumer', LIMIT, async () => {
    const { pull } = await setUpService(skewedServer(TEN_MINUTES_S))
    await Promise.all([1, 2, 3, 4].map(() => rejection('API_CLOCK_SKEWED', pull())))
    await pull()
  })

  test('uploads recover too', LIMIT, async () => {
    const { service, server } = await setUpService(skewedServer(TEN_MINUTES_S))
    await service.upload.upload({ topicId: 't', groups: [] })
    assert.equal(server.received.length, 2)
  })

  test('a server that calls every time wrong is given up after two corrections', LIMIT, async () => {
    const { service, server } = await setUpService(() => refusal('AuthFailure.SignatureExpire'))
    await rejection('API_CLOCK_SKEWED', service.control.deleteConsumerGroup('g'))
    assert.equal(server.received.length, 3)
  })

  test('bad credentials are not taken for a clock that is off', LIMIT, async () => {
    const { service, server, pull } = await setUpService(() => ({ status: 401, body: '{"errorcode":"Unauthorized"}' }))
    await rejection('API_UNAUTHORIZED', service.control.deleteConsumerGroup('g'))
    await rejection('API_UNAUTHORIZED', pull())
    assert.equal(server.received.length, 2)
  })

  test('bad credentials stay bad when the clock is off as well', LIMIT, async () => {
    const headers = { Date: new Date(Date.now() + 600_000).toUTCString() }
    const { service, server } = await setUpService(() => ({
      headers,
      status: 401,
      body: '{"errorcode":"Unauthorized"}'
    }))
    await rejection('API_UNAUTHORIZED', service.control.deleteConsumerGroup('g'))
    assert.equal(server.received.length, 2)
  })
})

describe('temporary credentials', () => {
  function provider() {
    let count = 0
    return () => ({ secretId: 'id', secretKey: 'a-secret-key', token: `token-${++count}` })
  }
  const expired: Scripted = refusal('AuthFailure.TokenFailure')
  const onlyToken2 = ({ url, headers }: Received): Scripted => {
    if (headers['x-cls-token'] !== 'token-2') return expired
    return url === '/' ? ok({}) : { body: compress(Buffer.from('{}'), 'snappy') }
  }

  test('a token called expired is renewed within the call', LIMIT, async () => {
    const { service, server } = await setUpService(onlyToken2, { credentials: provider() })
    await service.control.deleteConsumerGroup('g')
    assert.deepEqual(
      server.received.map(({ headers }) => headers['x-tc-token']),
      ['token-1', 'token-2']
    )
  })

  test('a pull refused for its token is API_TOKEN_EXPIRED, and the next has a new one', LIMIT, async () => {
    const { pull } = await setUpService(onlyToken2, { credentials: provider() })
    await rejection('API_TOKEN_EXPIRED', pull())
    await pull()
  })

  test('fixed credentials that expired stop the consumer, as no try can mend that', LIMIT, async () => {
    const { service, server } = await setUpService(() => expired)
    const error = await rejection('API_UNAUTHORIZED', service.control.deleteConsumerGroup('g'))
    assert.match(error.message, /expired, and there is no provider/)
    assert.equal(server.received.length, 1)
  })

  test('a provider that fails for a while is asked again within the call', LIMIT, async () => {
    let asked = 0
    const credentials = () => {
      if (++asked < 3) throw new Error('offline')
      return { secretId: 'id', secretKey: 'k' }
    }
    const { service } = await setUpService(() => ok({}), { credentials })
    await service.control.deleteConsumerGroup('g')
    assert.equal(asked, 3)
  })
})

test(
  'I9: no secret is in an error, a log line or the service itself, even if the server echoes it',
  LIMIT,
  async () => {
    const secrets = ['a-secret-key', 'a-secret-token']
    const echo = ({ headers }: Received): Scripted => ({
      status: 500,
      body: `<html>${secrets[0]} ${JSON.stringify(headers)}</html>`
    })
    const credentials = { secretId: 'id', secretKey: 'a-secret-key', token: 'a-secret-token' }
    const { service, log, pull } = await setUpService(echo, { credentials })
    const errors = [
      await service.control.deleteConsumerGroup('g', { deadlineMs: 100 }).catch((error: unknown) => error),
      await pull().catch((error: unknown) => error)
    ]
    const shown = inspect([errors, log.lines, service], { depth: 20, showHidden: true })
    assert.ok(shown.includes('pull_log'))
    for (const secret of secrets) assert.ok(!shown.includes(secret), secret)
  }
)
