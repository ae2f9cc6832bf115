import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  decodeLogGroup,
  decodeLogGroupList,
  decodeMessageHeader,
  encodeLogGroup,
  encodeLogGroupList,
  encodeMessage,
  type LogGroup,
  MESSAGE_HEADER_BYTES,
  splitLogGroupList
} from '../../src/cls/log-group.ts'
import { ClsConsumerError } from '../../src/errors.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const pair = fc.record({ key: text, value: text }, { noNullPrototype: true })
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const log = fc.record(
  { time: int64, contents: fc.array(pair, { maxLength: 4 }), collectTime: int64 },
  { requiredKeys: ['time', 'contents'], noNullPrototype: true }
)
const group = fc.record(
  {
    logs: fc.array(log, { maxLength: 5 }),
    contextFlow: text,
    filename: text,
    source: text,
    logTags: fc.array(pair, { maxLength: 3 }),
    hostname: text
  },
  { requiredKeys: ['logs', 'logTags'], noNullPrototype: true }
)

const GROUP: LogGroup = {
  logs: [{ time: 2n ** 53n + 1n, contents: [{ key: 'k', value: 'v' }] }],
  logTags: [],
  source: '10.0.0.1'
}
/** `GROUP`, by hand: time is the varint of 2^53 + 1. */
const GROUP_HEX = `0a11${'088180808080808010'}${'1206'}${'0a016b'}${'120176'}220831302e302e302e31`

describe('log groups', () => {
  test('I10: what is encoded comes back, with exact times, alone and in lists', () => {
    fc.assert(
      fc.property(fc.array(group, { maxLength: 4 }), groups => {
        for (const each of groups) assert.deepEqual(decodeLogGroup(encodeLogGroup(each)), each)
        const list = encodeLogGroupList(groups)
        assert.deepEqual(decodeLogGroupList(list), groups)
        assert.deepEqual(splitLogGroupList(list).map(decodeLogGroup), groups)
      })
    )
  })

  test('the bytes are those of the published format', () => {
    assert.equal(Buffer.from(encodeLogGroup(GROUP)).toString('hex'), GROUP_HEX)
    assert.deepEqual(decodeLogGroup(Buffer.from(GROUP_HEX, 'hex')), GROUP)
  })

  test('unknown fields are skipped, at each level', () => {
    const unknown = '9a0603616263' // field 99, "abc"
    const inner = `0a14${'088180808080808010'}${'1206'}${'0a016b'}${'120176'}`
    const inLog = Buffer.from(`${inner.replace('0a14', '0a17')}${unknown}220831302e302e302e31${unknown}`, 'hex')
    assert.deepEqual(decodeLogGroup(inLog), GROUP)
    const list = Buffer.from(`${unknown}0a${inLog.length.toString(16)}${inLog.toString('hex')}${unknown}`, 'hex')
    assert.deepEqual(decodeLogGroupList(list), [GROUP])
    assert.deepEqual(
      splitLogGroupList(list).map(each => Buffer.from(each)),
      [inLog]
    )
  })

  test('invalid UTF-8 becomes U+FFFD as a TextDecoder makes it, and the log is kept', () => {
    for (const bytes of [
      [0xff, 0x41],
      [0xe6, 0x97],
      [0xf0, 0x9f, 0x98, 0x41],
      [0xed, 0xa0, 0x80],
      [0xc0, 0x80]
    ]) {
      const value = Buffer.from(bytes)
      const content = Buffer.concat([Buffer.from([0x0a, 1, 0x6b, 0x12, value.length]), value])
      const log = Buffer.concat([Buffer.from([0x08, 1, 0x12, content.length]), content])
      const decoded = decodeLogGroup(Buffer.concat([Buffer.from([0x0a, log.length]), log]))
      assert.equal(decoded.logs[0]?.contents[0]?.value, new TextDecoder().decode(value))
    }
  })

  test('a log without its time, or a content without its value, is MESSAGE_CORRUPT', () => {
    corrupt(() => decodeLogGroup(Buffer.from('0a00', 'hex')), /missing required 'time' \(byte 2\)/)
    corrupt(() => decodeLogGroup(Buffer.from('0a07080112030a016b', 'hex')), /missing required 'value'/)
  })

  test('every cut of a group is MESSAGE_CORRUPT with a byte position, or a group by itself', () => {
    const bytes = Buffer.from(GROUP_HEX, 'hex')
    const whole = [0, 19] // nothing, and the end of the log
    for (let end = 0; end < bytes.length; end++) {
      if (whole.includes(end)) assert.ok(decodeLogGroup(bytes.subarray(0, end)))
      else corrupt(() => decodeLogGroup(bytes.subarray(0, end)), /\(byte \d+\)/)
    }
  })

  test('a nested length that runs past its parent is MESSAGE_CORRUPT, not a read of the next field', () => {
    const bytes = Buffer.from(GROUP_HEX.replace('1206', '1207'), 'hex')
    corrupt(() => decodeLogGroup(bytes), /\(byte \d/)
    corrupt(() => splitLogGroupList(Buffer.from('0a05', 'hex')), /\(byte \d/)
  })

  test('random bytes are a group or MESSAGE_CORRUPT', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        try {
          decodeLogGroupList(bytes)
        } catch (error) {
          assert.ok(error instanceof ClsConsumerError && error.code === 'MESSAGE_CORRUPT', String(error))
        }
      }),
      { numRuns: 2000 }
    )
  })

  test('views on a SharedArrayBuffer are decoded', () => {
    const bytes = encodeLogGroup(GROUP)
    const view = new Uint8Array(new SharedArrayBuffer(bytes.length + 3), 3)
    view.set(bytes)
    assert.deepEqual(decodeLogGroup(view), GROUP)
  })
})

describe('message envelope', () => {
  const header = {
    timestamp: 1_700_000_000_123n,
    accountUin: 2n ** 53n + 1n,
    logsetId: '6f6ded3f-948c-4616-9c7c-956a95d8c1a3',
    topicId: 'short-topic'
  }

  test('header and payload come back; ids that are not 36 bytes are padded or cut', () => {
    const payload = encodeLogGroup(GROUP)
    const message = encodeMessage({ ...header, logsetId: `${header.logsetId}-and-more` }, payload)
    assert.deepEqual(decodeMessageHeader(message), { ...header, payloadBytes: payload.length })
    assert.deepEqual(decodeLogGroup(message.subarray(MESSAGE_HEADER_BYTES)), GROUP)
    assert.equal(message.subarray(0, 12).toString('hex'), '000000820000018bcfe5687b')
    assert.equal(message.readInt32BE(92), payload.length)
  })

  test('an empty payload is legal, and bytes after the payload are ignored', () => {
    const message = Buffer.concat([encodeMessage(header, new Uint8Array()), Buffer.from('trailing')])
    assert.equal(decodeMessageHeader(message).payloadBytes, 0)
  })

  test('a short header, another version and a payload that is not all there are MESSAGE_CORRUPT', () => {
    const message = encodeMessage(header, encodeLogGroup(GROUP))
    corrupt(() => decodeMessageHeader(message.subarray(0, 95)), /95 bytes is shorter than its header \(byte 95\)/)
    corrupt(() => decodeMessageHeader(message.subarray(0, message.length - 1)), /but 28 follow \(byte 92\)/)
    const negative = Buffer.from(message)
    negative.writeInt32BE(-1, 92)
    corrupt(() => decodeMessageHeader(negative), /payload of -1 bytes/)
    const other = Buffer.from(message)
    other.writeInt32BE(131, 0)
    corrupt(() => decodeMessageHeader(other), /version 131/)
  })
})

function corrupt(run: () => unknown, message: RegExp): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof ClsConsumerError, String(error))
    assert.equal(error.code, 'MESSAGE_CORRUPT')
    assert.match(error.message, message)
    return true
  })
}
