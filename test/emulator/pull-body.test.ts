/** How the body of a pull is written: the same content under every quirk, and damage that no strict decoder passes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compress, decompress } from '../../src/cls/compression.ts'
import { isRecord, type Json, parseJson } from '../../src/cls/json.ts'
import { encodeLogGroup, encodeMessage, MESSAGE_HEADER_BYTES } from '../../src/cls/log-group.ts'
import { damageBlock } from '../../src/emulator/damage.ts'
import { type PullContent, type PullFlaw, packPullBody } from '../../src/emulator/pull-body.ts'
import { DEFAULT_QUIRKS, QUIRKS, type Quirks } from '../../src/emulator/quirks.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { Compression } from '../../src/world.ts'
import { readResponse } from '../../workers/response.ts'
import { decodeMessages } from '../workers/reference-decode.ts'

const MANY = { numRuns: 300 }
const PLAIN_BYTES_MAX = 64 * 1024 * 1024
const COMPRESSIONS: readonly Compression[] = ['snappy', 'lz4', 'none']

/** Text of some length, so that bodies have from one to many elements of their compression. */
const message = fc
  .record({ words: fc.array(fc.string({ maxLength: 40 }), { maxLength: 60 }), repeat: fc.integer({ min: 1, max: 30 }) })
  .map(({ words, repeat }) => {
    const contents = [{ key: 'text', value: words.join(' ').repeat(repeat) }]
    const payload = encodeLogGroup({ logs: [{ time: 1n, contents }], logTags: [] })
    return encodeMessage({ timestamp: 1n, accountUin: 2n, logsetId: 'l', topicId: 't' }, payload)
  })

const content: fc.Arbitrary<PullContent> = fc
  .record({ messages: fc.array(message, { maxLength: 8 }), fromOffset: fc.bigInt({ min: 0n, max: 2n ** 62n }) })
  .map(({ messages, fromOffset }) => {
    const nextOffset = fromOffset + BigInt(messages.length)
    return { messages, fromOffset, nextOffset, requestId: 'r-"1"' }
  })

const written = fc.record({
  nextOffset: fc.constantFrom(...QUIRKS.nextOffset.values),
  whiteSpace: fc.constantFrom(...QUIRKS.whiteSpace.values),
  base64: fc.constantFrom(...QUIRKS.base64.values),
  extraKeys: fc.constantFrom(...QUIRKS.extraKeys.values),
  emptyMessages: fc.constantFrom(...QUIRKS.emptyMessages.values)
})

const compression = fc.constantFrom(...COMPRESSIONS)

function pack(
  given: PullContent,
  quirks: Partial<Quirks> = {},
  how: { readonly compression?: Compression; readonly flaw?: PullFlaw | undefined } = {}
): Buffer {
  return packPullBody(given, {
    quirks: { ...DEFAULT_QUIRKS, ...quirks },
    compression: how.compression ?? 'none',
    flaw: how.flaw
  })
}

const CONTENT: PullContent = {
  messages: [Buffer.from([0xfb, 0xff, 0xbf]), Buffer.from('b')],
  fromOffset: 5n,
  nextOffset: 7n,
  requestId: 'r'
}
const EMPTY: PullContent = { messages: [], fromOffset: 5n, nextOffset: 5n, requestId: 'r' }

test('under every quirk a parser of JSON finds the same messages and the same next offset', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(content, written, compression, (given, quirks, chosen) => {
      const plain = decompress(pack(given, quirks, { compression: chosen }), chosen, PLAIN_BYTES_MAX)
      const { nextOffset, messages } = readResponse(plain, {})
      assert.equal(nextOffset, given.nextOffset)
      assert.deepEqual(
        messages.map(text => Buffer.from(String(text), 'base64')),
        given.messages.map(bytes => Buffer.from(bytes))
      )
      const response = Object(parseJson(plain.toString())).Response
      assert.equal(response.RequestId, given.requestId)
    }),
    MANY
  )
})

test('by default a body is short, with the next offset first', () => {
  assert.equal(pack(CONTENT).toString(), '{"Response":{"NextOffset":7,"Message":["+/+/","Yg=="],"RequestId":"r"}}')
  assert.equal(pack(EMPTY).toString(), '{"Response":{"NextOffset":5,"Message":[],"RequestId":"r"}}')
})

test('nextOffset last and lying: at the end alone, or there after a larger one at the front', () => {
  const end = ',"RequestId":"r","NextOffset":7}}'
  assert.equal(pack(CONTENT, { nextOffset: 'last' }).toString(), `{"Response":{"Message":["+/+/","Yg=="]${end}`)
  const lying = pack(CONTENT, { nextOffset: 'lying' }).toString()
  assert.equal(lying, `{"Response":{"NextOffset":8,"Message":["+/+/","Yg=="]${end}`)
  const bounded = pack({ ...EMPTY, nextOffset: -1n }, { nextOffset: 'lying' }).toString()
  assert.match(bounded, /^\{"Response":\{"NextOffset":6,.*"NextOffset":-1\}\}$/)
  assert.ok(!pack({ ...EMPTY, nextOffset: undefined }, { nextOffset: 'lying' }).includes('NextOffset'))
})

test('base64 escaped: slashes and pluses are written with escapes', () => {
  assert.ok(pack(CONTENT, { base64: 'escaped' }).includes('"\\u002b\\/\\u002b\\/"'))
})

test('whiteSpace spaces: every kind between all parts, in front of a compressed body, and not of one in the clear', () => {
  const gap = ' \r\n\t'
  const spaced = (...parts: readonly string[]) => `${parts.join(gap)}${gap}`
  const parts = [
    '{',
    '"Response"',
    ':',
    '{',
    '"NextOffset"',
    ':',
    '5',
    ',',
    '"Message"',
    ':',
    '[',
    ']',
    ',',
    '"RequestId"',
    ':',
    '"r"',
    '}',
    '}'
  ]
  const inClear = pack(EMPTY, { whiteSpace: 'spaces' }).toString()
  assert.equal(inClear.replace(`[${gap}${gap}]`, `[${gap}]`), spaced(...parts))
  const packed = pack(EMPTY, { whiteSpace: 'spaces' }, { compression: 'snappy' })
  assert.equal(decompress(packed, 'snappy', PLAIN_BYTES_MAX).toString(), `${gap}${inClear}`)
})

test('extraKeys nested: look-alikes of known keys stand before, inside and after Response, none of them where it counts', () => {
  const text = pack(CONTENT, { extraKeys: 'nested' }).toString()
  const front = text.slice(0, text.indexOf('"NextOffset":7'))
  const rest = text.slice(text.indexOf('"NextOffset":7') + 14)
  for (const part of [front, rest]) assert.match(part, /"NextOffset":\[?\d/)
  assert.match(front, /"Message":\["/)
  assert.match(front, /"Error":\{/)
  assert.match(front, /\\"NextOffset\\":3,/)
  const body = parseJson(text)
  assert.ok(isRecord(body))
  assert.deepEqual(Object.keys(body), ['Meta', 'Response', 'Cost'])
})

test('padding makes a body decompress to the size that is asked for, and changes nothing else', {
  timeout: 60_000
}, () => {
  const sizes = fc.integer({ min: 1, max: 300_000 })
  fc.assert(
    fc.property(content, written, compression, sizes, (given, quirks, chosen, plainBytes) => {
      const flaw = { kind: 'padding', plainBytes } as const
      const plain = decompress(pack(given, quirks, { compression: chosen, flaw }), chosen, PLAIN_BYTES_MAX)
      assert.ok(plain.length >= plainBytes, `${plain.length} of ${plainBytes}`)
      const unpadded = pack(given, quirks).length
      assert.ok(plain.length <= Math.max(plainBytes, unpadded) + 100)
      const { nextOffset, messages } = readResponse(plain, {})
      assert.deepEqual([nextOffset, messages.length], [given.nextOffset, given.messages.length])
    }),
    { numRuns: 100 }
  )
})

/** What the client's decoders make of a body: the layer that stopped them, or how many messages each could read. */
function read(body: Buffer, chosen: Compression): { stopped: 'block' | 'json' } | { reasons: readonly string[] } {
  let plain: Buffer
  try {
    plain = decompress(body, chosen, PLAIN_BYTES_MAX)
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError && error.code === 'BODY_CORRUPT', String(error))
    return { stopped: 'block' }
  }
  let messages: readonly Json[]
  try {
    messages = readResponse(plain, {}).messages
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError && error.code === 'BODY_CORRUPT', String(error))
    return { stopped: 'json' }
  }
  return { reasons: decodeMessages(messages).poison.map(({ messageIndex, reason }) => `${messageIndex}: ${reason}`) }
}

test('damaged bytes are no block of their compression, whatever is in them', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(content, written, compression, (given, quirks, chosen) => {
      const flaw = { kind: 'damage', layer: 'bytes' } as const
      const body = pack(given, quirks, { compression: chosen, flaw })
      assert.deepEqual(read(body, chosen), { stopped: chosen === 'none' ? 'json' : 'block' })
      assert.equal(body.length, pack(given, quirks, { compression: chosen }).length)
    }),
    MANY
  )
})

test('any block at all, damaged, does not decompress; what was damaged stays as it was', { timeout: 60_000 }, () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 3000 })
  fc.assert(
    fc.property(bytes, fc.nat(40), fc.constantFrom('snappy', 'lz4'), (part, repeat, chosen) => {
      const block = compress(Buffer.concat(Array.from({ length: repeat + 1 }, () => part)), chosen)
      const before = Buffer.from(block)
      const damaged = damageBlock(block, chosen)
      assert.deepEqual(block, before)
      assert.throws(() => decompress(damaged, chosen, PLAIN_BYTES_MAX), { code: 'BODY_CORRUPT' })
    }),
    MANY
  )
})

test('the first half of a large block is as it was: what is believed of it before turns out wrong later', () => {
  const text = Buffer.from(Array.from({ length: 5000 }, (_, index) => `line ${index * 7919}`).join('\n'))
  for (const chosen of COMPRESSIONS) {
    const block = compress(text, chosen)
    const half = Math.floor(block.length / 2)
    assert.deepEqual(damageBlock(block, chosen).subarray(0, half), block.subarray(0, half), chosen)
  }
})

test('damaged JSON lies in a sound block', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(content, written, compression, (given, quirks, chosen) => {
      const flaw = { kind: 'damage', layer: 'json' } as const
      assert.deepEqual(read(pack(given, quirks, { compression: chosen, flaw }), chosen), { stopped: 'json' })
    }),
    MANY
  )
})

test('damage inside a message spoils that message alone, in the middle', { timeout: 60_000 }, () => {
  const layers = fc.constantFrom('base64', 'header', 'protobuf')
  const reasons = { base64: /base64/, header: /version 131/, protobuf: /LogGroup/ }
  fc.assert(
    fc.property(content, written, compression, layers, (given, quirks, chosen, layer) => {
      const found = read(pack(given, quirks, { compression: chosen, flaw: { kind: 'damage', layer } }), chosen)
      // Where there is no message, it is the JSON.
      if (given.messages.length === 0) return assert.deepEqual(found, { stopped: 'json' })
      assert.ok('reasons' in found, JSON.stringify(found))
      assert.equal(found.reasons.length, 1)
      assert.match(found.reasons[0] ?? '', reasons[layer])
      assert.match(found.reasons[0] ?? '', new RegExp(`^${Math.floor(given.messages.length / 2)}: `))
    }),
    MANY
  )
})

test('damage does not touch what is stored', () => {
  const stored = Buffer.alloc(MESSAGE_HEADER_BYTES + 10, 1)
  for (const layer of ['base64', 'header', 'protobuf'] as const) {
    pack({ ...CONTENT, messages: [stored] }, {}, { flaw: { kind: 'damage', layer } })
    assert.deepEqual(stored, Buffer.alloc(MESSAGE_HEADER_BYTES + 10, 1))
  }
})
