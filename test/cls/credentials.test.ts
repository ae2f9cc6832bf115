import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { createCredentials } from '../../src/cls/credentials.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { Credentials, CredentialsProvider } from '../../src/options.ts'
import { createFakeTime, createKeptLog, rejection } from './fakes.ts'

const SECRET = 'a-very-secret-key'
const MINUTE_MS = 60_000

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
    assert.equal(source.renew(fixed), false)
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
    assert.equal(source.renew(refused), true)
    const fresh = await source.get()
    assert.equal(source.renew(refused), true)
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
