import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compress, decompress } from '../../src/cls/compression.ts'
import { int64, isRecord, parseJson } from '../../src/cls/json.ts'
import { declaredBytes, PEEK_BYTES, type Peek, peek } from '../../src/fetch/peek.ts'
import type { Compression } from '../../src/world.ts'

const COMPRESSIONS = ['snappy', 'none', 'lz4'] as const
const MESSAGE = 'QUJD'.repeat(3000)

function peekText(text: string, compression: Compression = 'snappy', byteCount = Number.POSITIVE_INFINITY): Peek {
  const body = compress(Buffer.from(text), compression)
  return peek({ received: body.subarray(0, byteCount), compression }, byteCount >= body.length)
}

function offsetIn(text: string): bigint | undefined {
  const found = peekText(text, 'none')
  if (found.kind === 'whole') return offsetIn(text.replace(/\}\}\s*$/, `,"Message":["${MESSAGE}"]}}`))
  return found.kind === 'offset' ? found.nextOffset : undefined
}

describe('peek: where the offset stands', () => {
  for (const [title, text, expected] of [
    ['first', '{"Response":{"NextOffset":1002,"Message":[]}}', 1002n],
    ['behind scalars', '{"Response":{"RequestId":"a\\"b","Done":true,"Count":1.5,"NextOffset":7,"Message":[]}}', 7n],
    ['with white space of every kind', ' {\n\t"Response" :\r\n{ "NextOffset" :\t 12 , "Message":[]}}', 12n],
    ['I10: beyond 2^53', '{"Response":{"NextOffset":9007199254740993,"Message":[]}}', 9007199254740993n],
    ['I10: the largest int64', '{"Response":{"NextOffset":9223372036854775807,"Message":[]}}', 9223372036854775807n],
    ['minus one', '{"Response":{"NextOffset":-1,"Message":[]}}', -1n],
    ['behind the messages', `{"Response":{"Message":["${MESSAGE}"],"NextOffset":5}}`, undefined],
    ['behind an error', `{"Response":{"Error":{"Code":"x"},"NextOffset":5,"RequestId":"${MESSAGE}"}}`, undefined],
    ['in another object', `{"NextOffset":5,"Response":{"Message":["${MESSAGE}"]}}`, undefined],
    ['in a text', `{"Response":{"RequestId":"NextOffset\\":5,","Message":["${MESSAGE}"]}}`, undefined],
    ['written as a text', `{"Response":{"NextOffset":"5","Message":["${MESSAGE}"]}}`, undefined],
    ['written with a fraction', `{"Response":{"NextOffset":5.0,"Message":["${MESSAGE}"]}}`, undefined],
    ['beyond int64', `{"Response":{"NextOffset":9223372036854775808,"Message":["${MESSAGE}"]}}`, undefined],
    ['null', `{"Response":{"NextOffset":null,"Message":["${MESSAGE}"]}}`, undefined],
    ['nowhere', `{"Response":{"Message":["${MESSAGE}"]}}`, undefined]
  ] as const) {
    test(`${title}: ${expected === undefined ? 'left to the worker' : 'found'}`, () =>
      assert.equal(offsetIn(text), expected))
  }

  test('a number is believed only with the comma behind it: the next chunk may go on with digits', () => {
    const text = `{"Response":{"NextOffset":1002,"Message":["${MESSAGE}"]}}`
    const end = text.indexOf('2,') + 1
    assert.deepEqual(peekText(text, 'none', end - 1), { kind: 'more' })
    assert.deepEqual(peekText(text, 'none', end), { kind: 'more' })
    assert.deepEqual(peekText(text, 'none', end + 1), { kind: 'offset', nextOffset: 1002n })
  })

  test('a key or a text that is cut in the middle asks for more', () => {
    const text = `{"Response":{"RequestId":"a\\"bc","NextOffset":7,"Message":["${MESSAGE}"]}}`
    for (let length = 0; length < text.indexOf('7,') + 2; length++)
      assert.equal(peekText(text, 'none', length).kind, 'more', text.slice(0, length))
  })

  test('an offset that does not stand at the front is given up, not waited for', () => {
    const text = `{"Response":{"Message":["${MESSAGE}"],"NextOffset":5}}`
    assert.equal(peekText(text, 'none', 40).kind, 'not-at-front')
    assert.equal(peekText(`{"Response":{"RequestId":"${MESSAGE}","NextOffset":5}}`, 'none', 5000).kind, 'not-at-front')
  })

  test('a small response is told whole once it is complete, and not before', () => {
    const text = '{"Response":{"Message":null,"RequestId":"ä"}}'
    const body = compress(Buffer.from(text), 'snappy')
    assert.deepEqual(peek({ received: body, compression: 'snappy' }, true), { kind: 'whole', text })
    assert.notEqual(peek({ received: body, compression: 'snappy' }, false).kind, 'whole')
    assert.deepEqual(peekText(text, 'none'), { kind: 'whole', text })
  })

  test('I7: a response of one byte more than the limit is not told whole', () => {
    for (const compression of COMPRESSIONS) {
      const text = `{"Response":{"NextOffset":5,"RequestId":"${'x'.repeat(PEEK_BYTES)}"}}`.slice(0, PEEK_BYTES)
      assert.equal(peekText(text, compression).kind, 'whole')
      assert.deepEqual(peekText(`${text} `, compression), { kind: 'offset', nextOffset: 5n })
    }
  })

  test('it is found as early in lz4, and a small response is told whole only once it is complete', () => {
    const text = `{"Response":{"NextOffset":1002,"Message":["${MESSAGE}"]}}`
    assert.deepEqual(peekText(text, 'lz4', 40), { kind: 'offset', nextOffset: 1002n })
    const small = '{"Response":{"NextOffset":5,"Message":[],"RequestId":"ä"}}'
    const body = compress(Buffer.from(small), 'lz4')
    assert.deepEqual(peek({ received: body, compression: 'lz4' }, true), { kind: 'whole', text: small })
    assert.deepEqual(peek({ received: body, compression: 'lz4' }, false), { kind: 'offset', nextOffset: 5n })
  })
})

/** Responses as a server may write them: any key order, white space, odd scalars, repetitive and random messages. */
const space = fc.constantFrom('', ' ', '\n', '\t \r\n')
const scalar = fc.oneof(
  fc.string().map(text => JSON.stringify(text)),
  fc.string({ unit: 'binary', maxLength: 200 }).map(text => JSON.stringify(text)),
  fc.constantFrom('null', 'true', '1.5e3', '-0', '0'),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
)
const messages = fc.oneof(
  fc.constantFrom('null', '[]'),
  fc.array(fc.base64String({ maxLength: 300 }), { maxLength: 12 }).map(all => JSON.stringify(all)),
  fc.nat(300).map(count => JSON.stringify(new Array(count).fill('c2FtZQ==')))
)
const member = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom('NextOffset'), fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }).map(String))
  },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('NextOffset'), scalar) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('Message'), messages) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('RequestId', 'Key_2', 'ä', 'N\\u0065xtOffset'), scalar) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('Error', 'Extra'), fc.constant('{"Code":"x","NextOffset":3}')) }
)
const response = fc
  .tuple(
    fc.uniqueArray(member, { selector: ([key]) => key.replace('\\u0065', 'e'), maxLength: 5 }),
    fc.array(space, { minLength: 30, maxLength: 30 })
  )
  .map(([members, spaces]) => {
    let used = 0
    const gap = (): string => spaces[used++ % spaces.length] ?? ''
    const body = members.map(([key, value]) => `${gap()}"${key}"${gap()}:${gap()}${value}${gap()}`).join(',')
    return `${gap()}{${gap()}"Response"${gap()}:${gap()}{${body}}${gap()}}${gap()}`
  })

/** What the worker will find: the last word. */
function truth(text: string): bigint | undefined {
  const parsed = parseJson(text)
  const inner = isRecord(parsed) ? parsed.Response : undefined
  return isRecord(inner) ? int64(inner.NextOffset) : undefined
}

describe('peek: properties', () => {
  test('for any response and any chunks, it never contradicts the content, and once told it stays told', () => {
    const kinds = new Map<string, number>()
    fc.assert(
      fc.property(
        response,
        fc.constantFrom(...COMPRESSIONS),
        fc.array(fc.nat(), { maxLength: 8 }),
        (text, compression, cuts) => {
          const body = compress(Buffer.from(text), compression)
          const expected = truth(text)
          const lengths = [
            ...cuts.map(cut => cut % (body.length + 1)),
            ...Array.from({ length: 40 }, (_, i) => Math.min(i, body.length))
          ]
          let told: bigint | undefined
          let isGivenUp = false
          for (const length of lengths.sort((a, b) => a - b)) {
            const found = peek({ received: body.subarray(0, length), compression }, false)
            kinds.set(found.kind, (kinds.get(found.kind) ?? 0) + 1)
            assert.notEqual(found.kind, 'whole')
            if (found.kind === 'offset') assert.equal(found.nextOffset, expected)
            if (told !== undefined) assert.deepEqual(found, { kind: 'offset', nextOffset: told })
            if (isGivenUp) assert.equal(found.kind, 'not-at-front')
            if (found.kind === 'offset') told = found.nextOffset
            if (found.kind === 'not-at-front') isGivenUp = true
          }
          const last = peek({ received: body, compression }, true)
          kinds.set(last.kind, (kinds.get(last.kind) ?? 0) + 1)
          assert.notEqual(last.kind, 'more')
          if (last.kind === 'offset') assert.equal(last.nextOffset, expected)
          if (last.kind === 'whole') assert.equal(last.text, text)
          assert.equal(last.kind === 'whole', Buffer.byteLength(text) <= PEEK_BYTES)
        }
      ),
      { numRuns: 1500 }
    )
    assert.deepEqual([...kinds.keys()].sort(), ['more', 'not-at-front', 'offset', 'whole'], 'all outcomes are met')
  })

  test('on garbage it never throws, and never tells whole what the decompressor refuses', () => {
    const damaged = fc
      .tuple(
        response,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.uint8Array({ maxLength: 3 }),
        fc.nat()
      )
      .map(([text, changes, tail, cut]) => {
        const body = Buffer.concat([compress(Buffer.from(text.slice(0, 900)), 'snappy'), tail])
        for (const [at, value] of changes) if (body.length > 0) body[at % body.length] = value
        return body.subarray(0, changes.length === 0 ? cut % (body.length + 1) : body.length)
      })
    let refusedCount = 0
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 300 })), fc.boolean(), (received, isComplete) => {
        const found = peek({ received, compression: 'snappy' }, isComplete)
        let plain: string | undefined
        try {
          plain = decompress(received, 'snappy', 1e6).toString('utf8')
        } catch {
          refusedCount += 1
        }
        if (found.kind === 'whole') assert.equal(found.text, plain)
      }),
      { numRuns: 3000 }
    )
    assert.ok(refusedCount > 100, 'the garbage is garbage')
  })

  for (const [title, ...bytes] of [
    ['a copy that goes beyond the declared size', 5, 0x00, 0x61, 0x1d, 0x01],
    ['a literal that goes beyond the declared size', 1, 0x04, 0x61, 0x62],
    ['a copy of distance 0', 6, 0x04, 0x61, 0x62, 0x01, 0x00, 0x63, 0x64, 0x65, 0x66],
    ['a copy from before the start', 5, 0x00, 0x61, 0x01, 0x02],
    ['bytes behind the end', 1, 0x00, 0x61, 0x00],
    ['fewer bytes than declared', 9, 0x00, 0x61]
  ] as const) {
    test(`${title} makes no whole response`, () => {
      const received = Buffer.from(bytes)
      assert.throws(() => decompress(received, 'snappy', 1000), { code: 'BODY_CORRUPT' })
      assert.notEqual(peek({ received, compression: 'snappy' }, true).kind, 'whole')
    })
  }

  test('I7: it never tells more than PEEK_BYTES, whatever a body declares', () => {
    fc.assert(
      fc.property(fc.nat(4000), fc.constantFrom(...COMPRESSIONS), (length, compression) => {
        const found = peekText('x'.repeat(length), compression)
        assert.ok(found.kind !== 'whole' || found.text.length <= PEEK_BYTES)
      })
    )
    const declaring = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0xf0, 0x00])
    assert.equal(declaredBytes({ received: declaring, compression: 'snappy' }), 2 ** 32 - 1)
    assert.equal(peek({ received: declaring, compression: 'snappy' }, true).kind, 'not-at-front')
  })

  test('the declared size is the plain size of snappy, unknown for lz4 and for a cut preamble', () => {
    const text = 'x'.repeat(100_000)
    const sizeOf = (compression: Compression): number | undefined =>
      declaredBytes({ received: compress(Buffer.from(text), compression), compression })
    assert.deepEqual(COMPRESSIONS.map(sizeOf), [100_000, 100_000, undefined])
    assert.equal(declaredBytes({ received: Buffer.from([0xff, 0xff]), compression: 'snappy' }), undefined)
    assert.equal(declaredBytes({ received: Buffer.alloc(9, 0xff), compression: 'snappy' }), undefined)
  })
})
