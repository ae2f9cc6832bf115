import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { makePayload, type Payload } from '../../bench/corpus.ts'
import { digestOfObjects } from '../../bench/digest.ts'
import { PAYLOAD_NAMES, PAYLOADS, type PayloadName } from '../../bench/payloads.ts'
import { decompress } from '../../src/cls/compression.ts'
import { isRecord, parseJson } from '../../src/cls/json.ts'
import { decodeLogGroup, MESSAGE_HEADER_BYTES } from '../../src/cls/log-group.ts'

describe('the corpus', () => {
  const payloads = new Map<PayloadName, Payload>()
  before(() => {
    for (const name of PAYLOAD_NAMES) {
      const payload = makePayload(name)
      if (payload !== undefined) payloads.set(name, payload)
    }
  })
  const of = (name: PayloadName) => payloads.get(name) ?? assert.fail(`${name} is missing`)

  test('all but the real access log can be made anywhere', () => {
    assert.deepEqual(
      PAYLOAD_NAMES.filter(name => !payloads.has(name) && name !== 'access-real'),
      []
    )
  })

  test('the access logs are of the size that their names say, one in 20 with Chinese text', () => {
    for (const [name, bytes] of [
      ['access-4mb', 4e6],
      ['access-1mb', 1e6]
    ] as const) {
      const { jsonBytes, nonAsciiLogCount, logCount } = of(name).size
      assert.ok(Math.abs(jsonBytes / bytes - 1) < 0.1, `${name} has ${jsonBytes} bytes`)
      assert.ok(Math.abs(nonAsciiLogCount / logCount - 1 / 20) < 0.01, `${nonAsciiLogCount} of ${logCount}`)
    }
  })

  test('the others are what they are called', () => {
    assert.equal(of('tiny').size.logCount, 1)
    assert.equal(of('chinese').size.nonAsciiLogCount, of('chinese').size.logCount)
    const { jsonBytes, snappyBytes } = of('incompressible').size
    assert.ok(snappyBytes > 0.95 * jsonBytes, `${snappyBytes} of ${jsonBytes} bytes are left`)
    assert.ok(logsOf(of('wide')).every(({ contents }) => contents.length === 60))
    assert.ok(logsOf(of('long')).every(({ contents }) => contents.some(({ value }) => value.length === 8192)))
  })

  test('a body holds the logs that the expected answers were taken from', () => {
    for (const payload of payloads.values()) {
      const { key, text } = PAYLOADS[payload.name].filter
      const logs = logsOf(payload).map(({ contents }) =>
        Object.fromEntries(contents.map(each => [each.key, each.value]))
      )
      assert.equal(digestOfObjects(logs), payload.expected.objects, payload.name)
      assert.equal(String(logs.filter(log => log[key] === text).length), payload.expected.filter, payload.name)
      assert.equal(String(logs.length), payload.expected.index, payload.name)
    }
  })

  test('a filter finds some logs, and of many not all', () => {
    for (const { name, expected, size } of payloads.values()) {
      const found = Number(expected.filter)
      assert.ok(found > 0 && (found < size.logCount || size.logCount === 1), `${name}: ${found} of ${size.logCount}`)
    }
  })

  test('the same name gives the same bytes', () => {
    assert.deepEqual(makePayload('access-1mb'), of('access-1mb'))
  })
})

function logsOf({ bytes }: Payload) {
  const body = parseJson(decompress(bytes, 'snappy', 2 ** 26).toString())
  const response = isRecord(body) ? body.Response : undefined
  assert.ok(isRecord(response) && Array.isArray(response.Message))
  return response.Message.flatMap(message => {
    const decoded = Buffer.from(String(message), 'base64')
    return decodeLogGroup(decoded.subarray(MESSAGE_HEADER_BYTES)).logs
  })
}
