import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeMessageHeader, encodeMessage } from '../../../src/cls/log-group.ts'
import { ClsConsumerError } from '../../../src/errors.ts'
import { decodeMessageText, payloadOf } from '../../../workers/kernel/message.ts'
import { decodeMessages } from '../reference-decode.ts'
import { Bench, ROUNDS } from './setup.ts'

const bench = new Bench()
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** In its own place, and again into a place of its own of exactly the decoded length. */
function decode(text: string): Buffer | undefined {
  const latin1 = Buffer.from(text, 'latin1')
  const [apart] = bench.place(latin1)
  assert.ok(apart !== undefined)
  const message = decodeMessageText(bench.memory, apart)
  bench.assertUntouched(apart)
  const inPlace = 'reason' in message ? undefined : Buffer.from(bench.read(message))

  const [source, output] = bench.place(latin1, new Uint8Array(inPlace?.length ?? Math.floor((text.length * 3) / 4)))
  assert.ok(source !== undefined && output !== undefined)
  const byteCount = bench.memory.kernel.decodeBase64(source.start, source.end, output.start)
  bench.assertUntouched(source)
  bench.assertUntouched(output)
  assert.ok(bench.read(source).equals(latin1), 'the text was written')
  assert.equal(byteCount < 0 ? undefined : byteCount, inPlace?.length)
  if (inPlace !== undefined) assert.deepEqual(Buffer.from(bench.read(output)), inPlace)
  return inPlace
}

/** As the reference judges: it is no base64, or some other reason, or a group. */
function isBase64(text: string): boolean {
  return decodeMessages([text]).poison[0]?.reason !== 'the message is not base64'
}

function firstWrongFour(text: string): number | undefined {
  for (let at = 0; at < text.length; at += 4) {
    const four = text.slice(at, at + 4)
    const isLast = at + 4 >= text.length
    const rule = isLast ? /^[A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{2}|[A-Za-z0-9+/]=|==)$/ : /^[A-Za-z0-9+/]{4}$/
    if (!rule.test(four)) return at
  }
  return undefined
}

describe("the kernel's base64", () => {
  test('what is encoded comes back, at every length up to 200 and for random bytes', () => {
    for (let length = 0; length <= 200; length++) {
      const bytes = Buffer.from(Array.from({ length }, (_, index) => (index * 37 + length) & 255))
      assert.deepEqual(decode(bytes.toString('base64')), bytes)
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500, size: 'max' }), bytes => {
        assert.deepEqual(decode(Buffer.from(bytes).toString('base64')), Buffer.from(bytes))
      }),
      { numRuns: ROUNDS }
    )
  })

  test('each of the 256 characters at each place of a text is taken or refused as the reference does', () => {
    for (const length of [4, 8, 32, 48, 64]) {
      const text = ALPHABET.slice(0, length)
      for (let at = 0; at < length; at++) {
        for (let code = 0; code < 256; code++) {
          const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
          assert.equal(decode(changed) !== undefined, isBase64(changed), `${code} at ${at} of ${length}`)
        }
      }
    }
  })

  test('any characters, in texts of up to twelve, get the verdict and the bytes of the reference', () => {
    const character = fc.constantFrom(...'AZaz09+/==-_ \n\\\u00ff')
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 12, size: 'max' }), text => {
        const bytes = decode(text)
        assert.equal(bytes !== undefined, isBase64(text))
        if (bytes !== undefined) assert.deepEqual(bytes, Buffer.from(text, 'base64'))
      }),
      { numRuns: ROUNDS * 4 }
    )
  })

  test('what is no base64 is told with its first four characters that do not fit, and the bytes before them are there', () => {
    const character = fc.oneof(
      { arbitrary: fc.constantFrom(...ALPHABET), weight: 60 },
      { arbitrary: fc.constantFrom(...'=-_ \n\\\u00ff'), weight: 1 }
    )
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 150, size: 'max' }), text => {
        const wrongAt = firstWrongFour(text)
        const [span] = bench.place(Buffer.from(text, 'latin1'))
        assert.ok(span !== undefined)
        const message = decodeMessageText(bench.memory, span)
        if (wrongAt === undefined) return assert.ok(!('reason' in message), text)
        const bytePosition = (wrongAt / 4) * 3
        assert.deepEqual(message, { reason: `the message is not base64 from character ${wrongAt} on`, bytePosition })
        const decoded = bench.read({ start: span.start, end: span.start + bytePosition })
        assert.deepEqual(decoded, Buffer.from(text.slice(0, wrongAt), 'base64'))
        assert.equal(bench.read({ start: span.start + wrongAt, end: span.end }).toString('latin1'), text.slice(wrongAt))
      }),
      { numRuns: ROUNDS * 4 }
    )
  })

  test('nothing is read behind a text where the memory ends', () => {
    for (let length = 0; length <= 200; length++) {
      const plain = Buffer.alloc(length, 'a message')
      const text = bench.placeLast(Buffer.from(plain.toString('base64')))
      const message = decodeMessageText(bench.memory, text)
      assert.ok(!('reason' in message) && bench.read(message).equals(plain), `${length}`)
    }
  })

  test('a text that base64 follows is read to its own end, no further', () => {
    const plain = Buffer.from('a message that is long enough for vectors and some more bytes')
    const whole = Buffer.from(plain.toString('base64'))
    for (let length = 0; length < whole.length; length++) {
      const [source, output] = bench.place(whole, new Uint8Array(Math.floor(length / 4) * 3))
      assert.ok(source !== undefined && output !== undefined)
      const { start } = source
      const byteCount = bench.memory.kernel.decodeBase64(start, start + length, output.start)
      bench.assertUntouched(output)
      if (length % 4 !== 0) assert.ok(byteCount < 0, `${length} characters`)
      else assert.deepEqual(Buffer.from(bench.read(output)), plain.subarray(0, byteCount))
    }
  })

  test('a text cut at any length is whole quartets, or refused', () => {
    const text = Buffer.from('a message that is long enough for vectors and some more bytes').toString('base64')
    for (let length = 0; length <= text.length; length++) {
      assert.equal(decode(text.slice(0, length)) !== undefined, length % 4 === 0, `cut at ${length}`)
    }
  })
})

describe("the kernel's header", () => {
  const message = encodeMessage(
    { timestamp: 1n, accountUin: 2n, logsetId: 'logset', topicId: 'topic' },
    Buffer.from('payload')
  )

  /** Payload, or reason and place. */
  function check(bytes: Uint8Array): unknown {
    const [span] = bench.place(bytes)
    assert.ok(span !== undefined)
    const payload = payloadOf(bench.memory, span)
    if ('reason' in payload) return payload
    return { from: payload.start - span.start, payloadBytes: payload.end - payload.start }
  }

  function present(bytes: Uint8Array): unknown {
    try {
      return { from: 96, payloadBytes: decodeMessageHeader(bytes).payloadBytes }
    } catch (error) {
      assert.ok(error instanceof ClsConsumerError)
      return { reason: error.what, bytePosition: error.place.bytePosition }
    }
  }

  test('cut at any length, it is judged as the reference judges, word for word', () => {
    for (let length = 0; length <= message.length; length++) {
      assert.deepEqual(check(message.subarray(0, length)), present(message.subarray(0, length)))
    }
    const longer = Buffer.concat([message, Buffer.from('more')])
    assert.deepEqual(check(longer), { from: 96, payloadBytes: 7 })
  })

  test('any version and any payload length are judged as the reference judges', () => {
    const int32 = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.constantFrom(130, 0, 7, 8, -1))
    fc.assert(
      fc.property(int32, int32, (version, payloadBytes) => {
        const changed = Buffer.from(message)
        changed.writeInt32BE(version, 0)
        assert.deepEqual(check(changed), present(changed))
        changed.writeInt32BE(130, 0)
        changed.writeInt32BE(payloadBytes, 92)
        assert.deepEqual(check(changed), present(changed))
      }),
      { numRuns: ROUNDS }
    )
  })
})
