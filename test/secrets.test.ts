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
    'cookie',
    'sk',
    'ak',
    'db.sk',
    'redisPass',
    'SMTP_PASS',
    'dsn',
    'sentry-dsn',
    'pwd',
    'connectionString',
    'AccountKey',
    'X-Amz-Signature'
  ]) {
    assert.ok(looksSecret(name), name)
  }
  for (const name of [
    'key',
    'group',
    'topicIds',
    'keyField',
    'path',
    'author',
    '',
    '日志',
    'task',
    'bypassCache',
    'compass'
  ]) {
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

test('I9: the value of a secret name is masked in queries and connection strings, and nothing else in them', () => {
  for (const [text, masked] of [
    ['https://h/?token=s11&x=1', 'https://h/?token=***&x=1'],
    ['https://h/?x=1&access_token=s11', 'https://h/?x=1&access_token=***'],
    ['Server=x;Password=s4;', 'Server=x;Password=***;'],
    ['Server=x;Pwd = s 4 ;Port=1', 'Server=x;Pwd = ***;Port=1'],
    ['AccountName=n;Account Key=abc==;Suffix=s', 'AccountName=n;Account Key=***;Suffix=s'],
    ['host=h password=s4 user=u', 'host=h password=***'],
    [`Server=x;Password="a;b";Port=1`, 'Server=x;Password=***'],
    ['https://me:hush@h/?sig=s1&token=s2', 'https://***@h/?sig=***&token=***'],
    ['first\npassword=s4\nlast=1', 'first\npassword=***\nlast=1'],
    ['https://h/my-token/dt=2026-01-31?a=1', 'https://h/my-token/dt=2026-01-31?a=1'],
    ['the token bucket rate=5', 'the token bucket rate=5'],
    ['token=', 'token='],
    ['a=b;c=d', 'a=b;c=d']
  ] as const) {
    assert.equal(maskText(text), masked)
    assert.equal(maskText(masked), masked, 'masked once more')
  }
})

test('a long text is masked in little time', () => {
  const long = 'a'.repeat(200_000)
  assert.equal(maskText(`${long}&token=s`), `${long}&token=***`)
})

test('I9: secrets are masked at any depth, whatever they are, and nothing else is changed', () => {
  const value = {
    url: 'https://me:hush@host',
    password: 'hush',
    pin: 5,
    sk: 's8',
    connectionString: 'Server=x;Password=s4;',
    list: [{ apiKey: ['hush'], name: 'n' }, 'http://me:hush@h', null, true],
    token: null,
    credentials: { user: 'hush' }
  }
  assert.deepEqual(maskSecrets(value), {
    url: 'https://***@host',
    password: '***',
    pin: 5,
    sk: '***',
    connectionString: '***',
    list: [{ apiKey: '***', name: 'n' }, 'http://***@h', null, true],
    token: null,
    credentials: '***'
  })
  const odd: unknown = JSON.parse('{"__proto__": {"secret": "hush"}}')
  assert.equal(JSON.stringify(maskSecrets(odd)), '{"__proto__":{"secret":"***"}}')
})

test('what was masked is recognised, and nothing else is', () => {
  for (const value of [
    '***',
    { a: [{ b: '***' }] },
    'http://***@host',
    ['x http://***@host'],
    'Server=x;Password=***;',
    'http://h?token=***'
  ]) {
    assert.ok(holdsMask(value), JSON.stringify(value))
  }
  for (const value of ['', 'a *** b', '****', 'a=***', { '***': 1 }, null, 5, ['**'], {}]) {
    assert.ok(!holdsMask(value), JSON.stringify(value))
  }
})
