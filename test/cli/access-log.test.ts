/** Access-log lines: as they should be, and as they are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAccessLine, parseAccessTime, printAccessTime, splitRequest } from '../../src/cli/access-log.ts'

const GOOD =
  '83.149.9.216 - frank [17/May/2015:10:05:03 +0000] "GET /a/b.png?x=1 HTTP/1.1" 200 203023 "http://e.com/" "Mozilla/5.0 (X11)"'

test('a line in the combined format becomes its fields', () => {
  assert.deepEqual(parseAccessLine(GOOD), {
    exact: true,
    fields: {
      ip: '83.149.9.216',
      user: 'frank',
      time: '17/May/2015:10:05:03 +0000',
      request: 'GET /a/b.png?x=1 HTTP/1.1',
      status: '200',
      bytes: '203023',
      referrer: 'http://e.com/',
      agent: 'Mozilla/5.0 (X11)'
    }
  })
})

test('quotes escaped inside a value do not end it', () => {
  const line = '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /\\"a HTTP/1.1" 200 - "-" "say \\"hi\\" \\\\"'
  const parsed = parseAccessLine(line)
  assert.equal(parsed?.fields.request, 'GET /\\"a HTTP/1.1')
  assert.equal(parsed?.fields.agent, 'say \\"hi\\" \\\\')
  assert.equal(parsed?.exact, true)
})

test('a line cut off in its last value, or without the last two, still tells its status, but is not exact', () => {
  const cut = parseAccessLine(GOOD.slice(0, -4))
  assert.equal(cut?.fields.status, '200')
  assert.equal(cut?.fields.agent, 'Mozilla/5.0 (X')
  assert.equal(cut?.exact, false)
  const cutInReferrer = parseAccessLine(GOOD.slice(0, GOOD.indexOf('e.com')))
  assert.equal(cutInReferrer?.fields.referrer, 'http://')
  assert.equal(cutInReferrer?.exact, false)
  const common = parseAccessLine(GOOD.slice(0, GOOD.indexOf(' "http:')))
  assert.deepEqual([common?.fields.status, common?.fields.referrer, common?.exact], ['200', undefined, true])
})

test('a line with an identity is not exact, since no field holds it', () => {
  assert.equal(parseAccessLine(GOOD.replace(' - frank', ' ident frank'))?.exact, false)
})

test('what is no access-log line is not taken for one', () => {
  for (const line of [
    '',
    'hello',
    '{"status":200}',
    GOOD.replace(' 200 ', ' 20 '),
    GOOD.replace('[', ''),
    `${GOOD} more`
  ]) {
    assert.equal(parseAccessLine(line), undefined, line)
  }
})

test('a line of a megabyte is parsed or refused without trouble', { timeout: 5000 }, () => {
  const long = 'x'.repeat(1_000_000)
  assert.equal(parseAccessLine(GOOD.replace('Mozilla', long))?.fields.agent?.length, 1_000_010)
  assert.equal(parseAccessLine(long), undefined)
  assert.equal(parseAccessLine(`1.1.1.1 - - [t] "${'\\"'.repeat(400_000)}`), undefined)
})

test('a request has parts only where it is one', () => {
  assert.deepEqual(splitRequest('GET /a HTTP/1.1'), { method: 'GET', path: '/a', protocol: 'HTTP/1.1' })
  assert.deepEqual(splitRequest('PRI * HTTP/2.0'), { method: 'PRI', path: '*', protocol: 'HTTP/2.0' })
  for (const odd of ['-', '\\x16\\x03\\x01', 'GET /a', 'GET /a b HTTP/1.1', '\\x16 /a HTTP/1.1', ''])
    assert.equal(splitRequest(odd), undefined)
})

test('times are Unix milliseconds with their zone, both ways, or undefined', () => {
  assert.equal(parseAccessTime('17/May/2015:10:05:03 +0000'), Date.UTC(2015, 4, 17, 10, 5, 3))
  assert.equal(parseAccessTime('01/Jan/2026:00:30:00 +0830'), Date.UTC(2025, 11, 31, 16, 0, 0))
  assert.equal(printAccessTime(Date.UTC(2015, 11, 7, 1, 2, 3, 999)), '07/Dec/2015:01:02:03 +0000')
  for (const odd of ['', '17/Foo/2015:10:05:03 +0000', '41/May/2015:10:05:03 +0000', '17/May/2015:10:05:03']) {
    assert.equal(parseAccessTime(odd), undefined, odd)
  }
})
