import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { createCredentials } from '../../src/cls/credentials.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { Credentials, CredentialsProvider } from '../../src/options.ts'
import { createFakeTime, createKeptLog, rejection } from './fakes.ts'

const SECRET = 'a-very-secret-key'
const MINUTE_MS = 60_000
const SURELY = { scope: 'pull_log t', isExpired: 'surely' } as const
const MAYBE = { scope: 'pull_log t', isExpired: 'maybe' } as const

function build(given: Credentials | CredentialsProvider) {
  const time = createFakeTime()
  const log = createKeptLog()
  return { ...time, time, log, source: createCredentials(given, { now: time.clock.now, timers: time.timers, log }) }
}

/** A provider whose n-th answer is named by n and lives for `lifeMs`. */
function numbered(lifeMs: number | undefined, nowMs: () => number) {
  let count = 0
  const provider = async (): Promise<Credentials> => {
    count++
    const secrets = { secretId: `id-${count}`, secretKey: SECRET, token: `token-${count}` }
    return lifeMs === undefined ? secrets : { ...secrets, expiresAtMs: nowMs() + lifeMs }
  }
  return { provider, count: () => count }
}

describe('credentials', () => {
  test('fixed ones are given as they are, and cannot be renewed', async () => {
    const fixed = { secretId: 'id', secretKey: SECRET }
    const { source } = build(fixed)
    assert.equal(await source.get(), fixed)
    source.worked(fixed, SURELY.scope)
    assert.deepEqual([source.renew(fixed, SURELY), source.renew(fixed, MAYBE)], [false, false])
  })

  test('a provider is asked once until a minute before expiry', async () => {
    let nowMs = () => 0
    const { provider, count } = numbered(10 * MINUTE_MS, () => nowMs())
    const { source, clock, advance } = build(provider)
    nowMs = clock.now
    const first = await source.get()
    await advance(9 * MINUTE_MS - 1)
    assert.equal(await source.get(), first)
    await advance(1)
    assert.equal((await source.get()).secretId, 'id-2')
    assert.equal(count(), 2)
  })

  test('credentials that live less than two minutes are renewed halfway', async () => {
    let nowMs = () => 0
    const { provider, count } = numbered(20_000, () => nowMs())
    const { source, clock, advance } = build(provider)
    nowMs = clock.now
    await source.get()
    await advance(9999)
    await source.get()
    assert.equal(count(), 1)
    await advance(1)
    await source.get()
    assert.equal(count(), 2)
  })

  test('one call of the provider serves all who wait', async () => {
    const { provider, count } = numbered(undefined, () => 0)
    const { source } = build(provider)
    const all = await Promise.all([source.get(), source.get(), source.get()])
    assert.equal(new Set(all).size, 1)
    assert.equal(count(), 1)
  })

  test('renewed when the service calls them expired, once for all who were refused', async () => {
    const { provider, count } = numbered(undefined, () => 0)
    const { source } = build(provider)
    const refused = await source.get()
    source.worked(refused, 'heartbeat')
    assert.equal(source.renew(refused, SURELY), true)
    const fresh = await source.get()
    assert.equal(source.renew(refused, SURELY), true)
    assert.equal(await source.get(), fresh)
    assert.equal(count(), 2)
  })

  test('a renewal that fails leaves the old ones in use until they expire, and is tried again after a pause', async () => {
    let fails = false
    let asked = 0
    let expiresAtMs = 0
    const { source, clock, advance, log } = build(() => {
      asked++
      if (fails) throw new Error(SECRET)
      return { secretId: 'id', secretKey: SECRET, expiresAtMs }
    })
    expiresAtMs = clock.now() + 2 * MINUTE_MS
    const old = await source.get()
    fails = true
    await advance(MINUTE_MS)
    assert.equal(await source.get(), old)
    assert.equal(await source.get(), old)
    assert.equal(asked, 2)
    await advance(5000)
    assert.equal(await source.get(), old)
    assert.equal(asked, 3)
    await advance(55_000)
    await rejection('CREDENTIALS_UNAVAILABLE', source.get())
    assert.deepEqual(new Set(log.lines.map(({ message }) => message)), new Set(['credentials not renewed']))
    assert.ok(!inspect(log.lines, { depth: 9 }).includes(SECRET))
  })

  test('I9: a provider that fails, throws at once or returns nonsense is CREDENTIALS_UNAVAILABLE without its words', async () => {
    const providers = [
      async () => {
        throw new TypeError(`cannot read ${SECRET}`)
      },
      () => {
        throw Object.assign(new Error(SECRET), { config: { headers: { Authorization: SECRET } } })
      },
      () => Promise.reject(SECRET),
      () => Promise.reject(new ClsConsumerError('API_REFUSED', SECRET))
    ]
    for (const provider of providers) {
      const error = await rejection('CREDENTIALS_UNAVAILABLE', build(provider).source.get())
      assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(SECRET), inspect(error))
    }
    const { source } = build(() => JSON.parse(`{"secretId":"${SECRET}"}`))
    const error = await rejection('CREDENTIALS_UNAVAILABLE', source.get())
    assert.ok(!inspect(error).includes(SECRET))
  })

  test('a provider that hangs is given up after 10 s, and asked anew', async () => {
    let asked = 0
    const { source, settle, clock, time } = build(() => {
      asked++
      return new Promise<Credentials>(() => {})
    })
    await rejection('CREDENTIALS_UNAVAILABLE', settle(source.get()))
    assert.equal(clock.monotonic(), 10_000)
    await rejection('CREDENTIALS_UNAVAILABLE', settle(source.get()))
    assert.equal(asked, 2)
    assert.equal(time.pendingCount, 0)
  })

  test('no timer is left behind', async () => {
    const time = createFakeTime()
    const log = createKeptLog()
    const source = createCredentials(() => ({ secretId: 'i', secretKey: 'k' }), {
      now: time.clock.now,
      timers: time.timers,
      log
    })
    await source.get()
    await time.advance(0)
    assert.equal(time.pendingCount, 0)
  })
})

describe('credentials that are refused', () => {
  function given() {
    const { provider, count } = numbered(undefined, () => 0)
    return { ...build(provider), count }
  }

  for (const why of [SURELY, MAYBE]) {
    test(`have worked anywhere: ${why.isExpired} expired, renewed as often as that happens`, async () => {
      const { source, count } = given()
      for (let round = 1; round <= 5; round++) {
        const credentials = await source.get()
        assert.equal(credentials.secretId, `id-${round}`)
        source.worked(credentials, round === 1 ? 'heartbeat' : why.scope)
        assert.equal(source.renew(credentials, why), true)
      }
      assert.equal(count(), 5)
    })
  }

  test('fresh ones that never worked are bad, also where the service calls them expired', async () => {
    for (const why of [SURELY, MAYBE]) {
      const { source } = given()
      const first = await source.get()
      source.worked(first, why.scope)
      source.renew(first, why)
      const fresh = await source.get()
      assert.equal(source.renew(fresh, why), false)
      assert.equal(await source.get(), fresh, 'nobody is asked again')
    }
  })

  test('the very first ones may be old where the service says that they are, and once', async () => {
    const { source } = given()
    assert.equal(source.renew(await source.get(), SURELY), true)
    assert.equal(source.renew(await source.get(), SURELY), false)
    const other = given().source
    assert.equal(other.renew(await other.get(), MAYBE), false)
  })

  test('what is forbidden in one scope stays so with fresh ones: they are asked for once, whatever works elsewhere', async () => {
    const { source, count } = given()
    const first = await source.get()
    source.worked(first, 'heartbeat')
    assert.equal(source.renew(first, MAYBE), true)
    const fresh = await source.get()
    source.worked(fresh, 'heartbeat')
    for (let time = 0; time < 3; time++) assert.equal(source.renew(fresh, MAYBE), false)
    assert.equal(source.renew(fresh, { ...MAYBE, scope: 'pull_log other' }), true, 'another scope may renew them')
    assert.equal(count(), 2)
  })

  test('several scopes that are forbidden are asked about once each: none forgets another', async () => {
    const { source, count } = given()
    const inScope = (scope: string) => ({ ...MAYBE, scope })
    source.worked(await source.get(), 'heartbeat')
    const renewed: string[] = []
    for (let round = 0; round < 5; round++) {
      for (const scope of ['pull_log a', 'pull_log b', 'pull_log c']) {
        const credentials = await source.get()
        source.worked(credentials, 'heartbeat')
        if (source.renew(credentials, inScope(scope))) renewed.push(scope)
      }
    }
    assert.deepEqual(renewed, ['pull_log a', 'pull_log b', 'pull_log c'])
    assert.equal((await source.get()).secretId, 'id-4')
    assert.equal(count(), 4)
  })

  test('a scope that has worked again may expire again, and the others stay forbidden', async () => {
    const { source } = given()
    const b = { ...MAYBE, scope: 'pull_log b' }
    for (const why of [MAYBE, b]) {
      const credentials = await source.get()
      source.worked(credentials, 'heartbeat')
      assert.equal(source.renew(credentials, why), true)
    }
    const permitted = await source.get()
    source.worked(permitted, MAYBE.scope)
    assert.equal(source.renew(permitted, b), false)
    assert.equal(source.renew(permitted, MAYBE), true)
  })

  test('what is forbidden stays so when credentials are renewed for their age', async () => {
    let nowMs = () => 0
    const { provider, count } = numbered(10 * MINUTE_MS, () => nowMs())
    const { source, clock, advance } = build(provider)
    nowMs = clock.now
    for (let round = 0; round < 2; round++) {
      const credentials = await source.get()
      source.worked(credentials, 'heartbeat')
      assert.equal(source.renew(credentials, MAYBE), round === 0)
    }
    await advance(9 * MINUTE_MS)
    const aged = await source.get()
    source.worked(aged, 'heartbeat')
    assert.equal(source.renew(aged, MAYBE), false)
    assert.equal(count(), 3)
  })

  test('renewed ones that are called expired are renewed again, also in the scope where they worked', async () => {
    const { source } = given()
    const first = await source.get()
    source.worked(first, 'heartbeat')
    source.renew(first, SURELY)
    const fresh = await source.get()
    source.worked(fresh, 'heartbeat')
    assert.equal(source.renew(fresh, SURELY), true)
  })

  test('a late word that the old ones worked is none on the new ones', async () => {
    const { source } = given()
    const first = await source.get()
    source.worked(first, 'a')
    source.renew(first, SURELY)
    const fresh = await source.get()
    source.worked(first, 'b')
    assert.equal(source.renew(fresh, SURELY), false)
  })

  test('a provider that still gives the refused ones is asked again each second, until it has others', async () => {
    let answer: Credentials = { secretId: 'id', secretKey: SECRET, token: 'old', expiresAtMs: 2e12 }
    let asked = 0
    const { source, advance } = build(async () => {
      asked++
      return { ...answer, expiresAtMs: 2e12 + asked }
    })
    const old = await source.get()
    source.worked(old, 'heartbeat')
    assert.equal(source.renew(old, SURELY), true)
    const error = await rejection('CREDENTIALS_UNAVAILABLE', source.get())
    assert.match(error.message, /still gives/)
    await advance(999)
    await rejection('CREDENTIALS_UNAVAILABLE', source.get())
    assert.equal(asked, 2)
    await advance(1)
    await rejection('CREDENTIALS_UNAVAILABLE', source.get())
    assert.equal(asked, 3)
    answer = { ...answer, token: 'new' }
    await advance(1000)
    const fresh = await source.get()
    assert.equal(fresh.token, 'new')
    assert.equal(source.renew(fresh, SURELY), false, 'those are fresh')
    assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(SECRET))
  })

  test('a provider that gives the same again which never worked is asked twice, and then they are bad', async () => {
    let asked = 0
    const { source } = build(() => {
      asked++
      return { secretId: 'id', secretKey: SECRET, token: 'bad' }
    })
    assert.equal(source.renew(await source.get(), SURELY), true)
    assert.equal(source.renew(await source.get(), SURELY), false)
    assert.equal(asked, 2)
  })
})
