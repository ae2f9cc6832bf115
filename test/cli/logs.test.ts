/** From line to log: nothing of the line is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineToLog } from '../../src/cli/logs.ts'

const LINE = '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a?b HTTP/1.1" 404 12 "-" "curl"'

function asObject(line: string, id?: number) {
  const { time, contents } = lineToLog(line, 5000, id)
  return { logTime: time, ...Object.fromEntries(contents.map(({ key, value }) => [key, value])) }
}

test('an access-log line becomes fields at its own time, without a copy of the line', () => {
  assert.deepEqual(asObject(LINE, 17), {
    logTime: BigInt(Date.UTC(2015, 4, 17, 10, 5, 3)),
    id: '17',
    ip: '1.2.3.4',
    user: '-',
    time: '17/May/2015:10:05:03 +0000',
    method: 'GET',
    path: '/a?b',
    protocol: 'HTTP/1.1',
    status: '404',
    bytes: '12',
    referrer: '-',
    agent: 'curl'
  })
})

test('any other line becomes `message`, at the time of now', () => {
  assert.deepEqual(asObject('disk full'), { logTime: 5000n, message: 'disk full' })
})

test('a line that fields cannot hold word for word keeps its text beside them', () => {
  const cut = LINE.slice(0, -1)
  const log = lineToLog(cut, 5000)
  const value = (key: string) => log.contents.find(content => content.key === key)?.value
  assert.equal(value('message'), cut)
  assert.equal(value('status'), '404')
})

test('a request that is none is kept as it is', () => {
  const log = lineToLog(LINE.replace('GET /a?b HTTP/1.1', '\\x16\\x03'), 5000)
  const keys = log.contents.map(({ key }) => key)
  assert.ok(keys.includes('request') && !keys.includes('method') && !keys.includes('message'), keys.join())
})
