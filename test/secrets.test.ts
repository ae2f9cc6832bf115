/** Secrets in values that users fill: found by name and in URLs, at any depth. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holdsMask, looksSecret, maskSecrets, maskText } from '../src/secrets.ts'

test('I9: names of secrets are known in every spelling', () => {
  for (const name of [
    'secretKey',
    'CLS_SECRET_ID',
    'password',
    'DB_PASSWORD',
    'userPwd',
    'token',
    'accessToken',
    'api-key',
    'apiKey',
    'access_key_id',
    'privateKey',
    'credentials',
    'Authorization',
    'cookie'
  ]) {
    assert.ok(looksSecret(name), name)
  }
  for (const name of ['key', 'group', 'topicIds', 'keyField', 'path', 'author', '', '日志']) {
    assert.ok(!looksSecret(name), name)
  }
})

test('I9: user and password of a URL are masked wherever it stands in a text, also with an @ in them', () => {
  for (const [text, masked] of [
    ['https://me:hush@host/path', 'https://***@host/path'],
    ['mongodb://me:hu@sh@a,b/db', 'mongodb://***@a,b/db'],
    ['to redis://:hush@h and http://me@h', 'to redis://***@h and http://***@h'],
    ['http://host/a@b', 'http://host/a@b'],
    ['mail@host', 'mail@host'],
    ['http://host?to=a@b', 'http://host?to=a@b']
  ] as const) {
    assert.equal(maskText(text), masked)
  }
})

test('I9: secrets are masked at any depth, whatever they are, and nothing else is changed', () => {
  const value = {
    url: 'https://me:hush@host',
    password: 'hush',
    pin: 5,
    list: [{ apiKey: ['hush'], name: 'n' }, 'http://me:hush@h', null, true],
    token: null,
    credentials: { user: 'hush' }
  }
  assert.deepEqual(maskSecrets(value), {
    url: 'https://***@host',
    password: '***',
    pin: 5,
    list: [{ apiKey: '***', name: 'n' }, 'http://***@h', null, true],
    token: null,
    credentials: '***'
  })
  const odd: unknown = JSON.parse('{"__proto__": {"secret": "hush"}}')
  assert.equal(JSON.stringify(maskSecrets(odd)), '{"__proto__":{"secret":"***"}}')
})

test('what was masked is recognised, and nothing else is', () => {
  for (const value of ['***', { a: [{ b: '***' }] }, 'http://***@host', ['x http://***@host']]) {
    assert.ok(holdsMask(value), JSON.stringify(value))
  }
  for (const value of ['', 'a *** b', '****', { '***': 1 }, null, 5, ['**'], {}]) {
    assert.ok(!holdsMask(value), JSON.stringify(value))
  }
})
