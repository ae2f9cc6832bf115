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
    if (url.startsWith('/structuredlog')) return { headers: dated }
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
    assert.match(error.message, /called expired, and there are no others: no provider/)
    assert.equal(server.received.length, 1)
  })

  /** Accepts the token of now; refuses others as each plane does, or as the test says. */
  function rotating(refuse: (plane: 'control' | 'data') => Scripted) {
    const state = { accepted: 'token-1', asked: 0 }
    const answer = ({ url, headers }: Received): Scripted => {
      if (headers['x-cls-token'] !== state.accepted) return refuse(url === '/' ? 'control' : 'data')
      return url === '/' ? ok({}) : { body: compress(Buffer.from('{"Response":{"NextOffset":1}}'), 'snappy') }
    }
    const credentials = () => {
      state.asked += 1
      return { secretId: 'id', secretKey: 'a-secret-key', token: state.accepted }
    }
    return { state, answer, credentials }
  }
  const flat = (status: number, errorcode: string): Scripted => ({ status, body: JSON.stringify({ errorcode }) })

  for (const [title, control, data] of [
    ['TokenFailure', expired, flat(401, 'AuthFailure.TokenFailure')],
    ['SecretIdNotFound, Unauthorized', refusal('AuthFailure.SecretIdNotFound'), flat(401, 'Unauthorized')],
    [
      'SignatureFailure, InvalidAuthorization',
      refusal('AuthFailure.SignatureFailure'),
      flat(400, 'InvalidAuthorization')
    ],
    ['InvalidSecretId, a bare 401', refusal('AuthFailure.InvalidSecretId'), { status: 401, body: '<html>' }]
  ] as const) {
    test(`that worked and are refused with ${title} are renewed, on both planes, each time`, LIMIT, async () => {
      const { state, answer, credentials } = rotating(plane => (plane === 'control' ? control : data))
      const { service, pull, read } = await setUpService(answer, { credentials })
      await service.control.deleteConsumerGroup('g')
      for (let round = 2; round < 5; round++) {
        state.accepted = `token-${round}`
        await service.control.deleteConsumerGroup('g')
        assert.equal(state.asked, 2 * round - 2)
        state.accepted = `token-${round} of the data plane`
        const error = await rejection('API_TOKEN_EXPIRED', pull())
        assert.equal(error.remedy, 'retry')
        await read()
      }
    })
  }

  test('that worked, and are refused to many pulls at once, are renewed once', LIMIT, async () => {
    const { state, answer, credentials } = rotating(() => flat(401, 'Unauthorized'))
    const { service, pull } = await setUpService(answer, { credentials })
    await service.control.deleteConsumerGroup('g')
    state.accepted = 'token-2'
    await Promise.all([1, 2, 3, 4].map(() => rejection('API_TOKEN_EXPIRED', pull())))
    await Promise.all([1, 2, 3, 4].map(() => pull()))
    assert.equal(state.asked, 2)
  })

  test('fresh ones that never work are API_UNAUTHORIZED, and nobody asks on', LIMIT, async () => {
    const { state, answer, credentials } = rotating(plane =>
      plane === 'control' ? expired : flat(401, 'Unauthorized')
    )
    const { service, server, pull } = await setUpService(answer, {
      credentials: () => ({ ...credentials(), token: `bad-${state.asked}` })
    })
    await rejection('API_UNAUTHORIZED', pull())
    const error = await rejection('API_UNAUTHORIZED', service.control.deleteConsumerGroup('g'))
    assert.match(error.message, /called expired, and there are no others/)
    assert.deepEqual([state.asked, server.received.length], [2, 3])
  })

  for (const [status, code] of [
    [403, 'NotAllowed'],
    [403, 'Whatever'],
    [400, 'UnauthorizedOperation.Cam'],
    [400, 'AuthFailure.UnauthorizedOperation']
  ] as const) {
    test(`a matter of permission, ${code} at HTTP ${status}, is not renewed for`, LIMIT, async () => {
      let asked = 0
      const credentials = () => ({ secretId: 'id', secretKey: 'k', token: `t${++asked}` })
      const { service, pull } = await setUpService(({ url }) => (url === '/' ? ok({}) : flat(status, code)), {
        credentials
      })
      await service.control.deleteConsumerGroup('g')
      await rejection('API_UNAUTHORIZED', pull())
      await rejection('API_UNAUTHORIZED', pull())
      assert.equal(asked, 1)
    })
  }

  test(
    'one topic of two that is refused as if the credentials were bad is so in the end, and the other goes on',
    LIMIT,
    async () => {
      let asked = 0
      const credentials = () => ({ secretId: 'id', secretKey: 'k', token: `t${++asked}` })
      const { pull, read } = await setUpService(
        ({ url }) =>
          url.endsWith('closed')
            ? flat(401, 'Unauthorized')
            : { body: compress(Buffer.from('{"Response":{}}'), 'snappy') },
        { credentials }
      )
      await read({ topicId: 'open' })
      await rejection('API_TOKEN_EXPIRED', pull({ topicId: 'closed' }))
      for (let round = 0; round < 3; round++) {
        await read({ topicId: 'open' })
        await rejection('API_UNAUTHORIZED', pull({ topicId: 'closed' }))
      }
      assert.equal(asked, 2)
    }
  )

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
