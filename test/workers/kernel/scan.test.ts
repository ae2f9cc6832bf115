import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ClsConsumerError } from '../../../src/errors.ts'
import { KernelMemory } from '../../../workers/kernel/memory.ts'
import { decodeMessageText } from '../../../workers/kernel/message.ts'
import { messageText, scanResponse } from '../../../workers/kernel/scan.ts'
import { readResponse } from '../../../workers/response.ts'
import { decodeMessages } from '../reference-decode.ts'
import { Bench, ROUNDS } from './setup.ts'

const bench = new Bench()

interface Found {
  readonly nextOffset: bigint | undefined
  /** Hex of what each is in base64; `undefined` for what is none. */
  readonly messages: readonly (string | undefined)[]
}

/** `undefined`: left to the full parser. */
function scan(text: string | Uint8Array): Found | undefined {
  const [span] = bench.place(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  assert.ok(span !== undefined)
  const before = Buffer.from(bench.read(span))
  const scanned = scanResponse(bench.memory, span)
  assert.ok(bench.read(span).equals(before), 'the text was written')
  if (scanned === undefined) return undefined
  const messages = Array.from({ length: scanned.messageCount }, (_, index) => {
    const message = decodeMessageText(bench.memory, messageText(bench.memory, scanned, index))
    return 'reason' in message ? undefined : bench.read(message).toString('hex')
  })
  return { nextOffset: scanned.nextOffset, messages }
}

/** As the reference reads it; `undefined` where it refuses. */
function read(text: string | Uint8Array): Found | undefined {
  try {
    const { nextOffset, messages } = readResponse(Buffer.from(text as string, 'latin1'), {})
    return { nextOffset, messages: messages.map(bytesOf) }
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError, String(error))
    return undefined
  }
}

function bytesOf(message: unknown): string | undefined {
  const [poison] = decodeMessages([message as string]).poison
  const isText = typeof message === 'string' && poison?.reason !== 'the message is not base64'
  return isText ? Buffer.from(message, 'base64').toString('hex') : undefined
}

/** Taken, and as the full parser reads it. */
function assertTaken(text: string): void {
  const found = scan(text)
  assert.notEqual(found, undefined, `left to the full parser: ${text.slice(0, 200)}`)
  assert.deepEqual(found, read(text))
}

/** Never taken where the full parser refuses, or reads otherwise. @returns Whether it was taken. */
function assertNotOtherwise(text: string): boolean {
  const found = scan(text)
  if (found !== undefined) assert.deepEqual(found, read(text), text)
  return found !== undefined
}

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n\t', '  ')
const base64 = fc.uint8Array({ maxLength: 60, size: 'max' }).map(bytes => Buffer.from(bytes).toString('base64'))
/** The same text with some characters escaped. */
const escaped = fc.tuple(base64, fc.infiniteStream(fc.nat(9))).map(([text, dice]) =>
  [...text]
    .map(character => {
      const { value: die } = dice.next()
      const hex = character.charCodeAt(0).toString(16).padStart(4, '0')
      if (die === 0) return `\\u${hex}`
      if (die === 1) return `\\u${hex.toUpperCase()}`
      return die < 7 && character === '/' ? '\\/' : character
    })
    .join('')
)
const message = fc.oneof(
  { arbitrary: base64, weight: 6 },
  { arbitrary: escaped, weight: 3 },
  { arbitrary: fc.constantFrom('\\n', '\\u4e2d', '\\\\', '\\"]}', 'a\u00ffb=', '\\b\\f\\r\\t'), weight: 1 }
)
const offset = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  fc.constantFrom('0', '-0', '-1', 'null', '9223372036854775807', '-9223372036854775808')
)
/** Other values, with what looks like the members that count inside them. */
const other = fc.oneof(
  fc.json({ maxDepth: 3 }).map(json => json.replace(/[\u007f-\uffff]/g, '?')),
  fc.constantFrom(
    '{"Response":{"Message":["no"],"NextOffset":1}}',
    '["Message",{"Error":{"Code":"no"}}]',
    '"\\"Message\\":[\\"no\\"]"',
    '-1.5e+10',
    'true',
    'false',
    'null'
  )
)
const name = fc.constantFrom(
  'RequestId',
  'A',
  '',
  'Messages',
  'Messag',
  'message',
  'NextOffse',
  'NextOffset2',
  'Respons'
)

const member = fc.oneof(
  fc.tuple(fc.constant('NextOffset'), offset),
  fc.tuple(
    fc.constant('Message'),
    fc.tuple(fc.array(message, { maxLength: 6 }), space).map(([all, gap]) => {
      return `[${gap}${all.map(each => `"${each}"`).join(`${gap},${gap}`)}${gap}]`
    })
  ),
  fc.constantFrom(['Message', 'null'], ['Error', 'null']),
  fc.tuple(name, other)
)

/** Beside the Response: other members, what only looks like its own, and Responses before the one that counts. */
const beside = fc.oneof(
  { arbitrary: fc.tuple(name, other), weight: 4 },
  { arbitrary: fc.tuple(fc.constantFrom('Message', 'NextOffset', 'Error'), other), weight: 1 }
)

/** A pull response as a service might write it; members may be repeated, and so may the Response. */
const response = fc
  .tuple(
    fc.array(beside, { maxLength: 2 }),
    fc.array(fc.array(member, { maxLength: 6 }), { minLength: 1, maxLength: 2 }),
    fc.array(beside, { maxLength: 2 }),
    space
  )
  .map(([before, responses, behind, gap]) => {
    const object = (pairs: readonly (readonly [string, string] | readonly string[])[]) =>
      `{${gap}${pairs.map(([key, value]) => `"${key}"${gap}:${gap}${value}${gap}`).join(`,${gap}`)}}`
    return `${gap}${object([...before, ...responses.map(members => ['Response', object(members)]), ...behind])}${gap}`
  })

describe("the kernel's JSON scan", () => {
  test('I10: any key order, white space, other keys, repeated keys and escapes: read as the full parser does', () => {
    fc.assert(fc.property(response, assertTaken), { numRuns: ROUNDS * 4 })
  })

  test('with bytes changed, left out or put in, nothing is taken that the full parser reads otherwise', () => {
    const edit = fc.tuple(
      fc.nat(),
      fc.constantFrom('', 'x', '"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', '.', 'e', '\u0001', '\u00e4', ' '),
      fc.nat(2)
    )
    let takenCount = 0
    fc.assert(
      fc.property(response, fc.array(edit, { minLength: 1, maxLength: 3 }), (text, edits) => {
        let changed = text
        for (const [at, put, cut] of edits) {
          const place = at % (changed.length + 1)
          changed = changed.slice(0, place) + put + changed.slice(place + cut)
        }
        if (assertNotOtherwise(changed)) takenCount++
      }),
      { numRuns: ROUNDS * 8 }
    )
    assert.ok(takenCount > ROUNDS, `only ${takenCount} were taken`)
  })

  test('a response cut at any length is left to the full parser', () => {
    const text =
      ' {"A":[1,{"b":null}],"Response":{"NextOffset":8,"Message":["YQ==","Y\\u0051=="],"X":-1.5e3,"Y":"\\\\"}} '
    for (let length = 0; length < text.length - 1; length++) {
      assert.equal(scan(text.slice(0, length)), undefined, `cut at ${length}`)
    }
    assertTaken(text)
  })

  test('each byte of a response set to each value: never read otherwise than by the full parser', () => {
    const text = '{"Response":{"NextOffset":18,"Message":["YQ==","Y\\/8="],"Error":null,"Id":"x y"},"B":[true,-0.5]}'
    for (let at = 0; at < text.length; at++) {
      for (let code = 0; code < 256; code++) {
        assertNotOtherwise(text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1))
      }
    }
  })

  for (const [title, text] of [
    [
      'members of nested objects are not taken',
      '{"Response":{"X":{"NextOffset":1,"Message":["bm8="]},"NextOffset":8,"Message":["YQ=="]}}'
    ],
    [
      'nor those beside the Response',
      '{"NextOffset":1,"Message":["bm8="],"Response":{"Message":["YQ=="]},"Error":{"Code":"X"}}'
    ],
    ['nor those of a Response within another value', '{"A":{"Response":{"NextOffset":1}},"Response":{}}'],
    [
      'of repeated keys the last counts',
      '{"Response":{"NextOffset":1,"Message":["bm8="],"Message":["YQ=="],"NextOffset":2}}'
    ],
    [
      'of a repeated Response nothing of the first remains',
      '{"Response":{"NextOffset":1,"Message":["bm8="],"Error":{"Code":"X"}},"Response":{}}'
    ],
    [
      'an Error that a later null takes back is none',
      '{"Response":{"Error":{"Code":"X"},"Error":null,"NextOffset":1}}'
    ],
    ['a Message that a later null takes back is none', '{"Response":{"Message":["bm8="],"Message":null}}'],
    ['an empty Response', '{"Response":{}}'],
    [
      'escapes that only look like base64 poison their message alone',
      '{"Response":{"Message":["\\u0141AAA","\\nAAA","\\bAAA","\\u0041AAA","\\/AAA"]}}'
    ],
    ['an empty message', '{"Response":{"Message":[""]}}']
  ] as const) {
    test(title, () => assertTaken(text))
  }

  for (const [title, text] of [
    ['an error', '{"Response":{"Error":{"Code":"X"}}}'],
    ['an error after messages', '{"Response":{"Message":["YQ=="],"Error":{"Code":"X"}}}'],
    ['an error that is a text', '{"Response":{"Error":"broken"}}'],
    ['a flat error', '{"errorcode":"X","errormessage":"Y"}'],
    ['no Response', '{"A":1}'],
    ['a Response that is a list', '{"Response":[]}'],
    ['a Response that is null', '{"Response":null}'],
    ['an empty object', '{}'],
    ['nothing', ''],
    ['a list', '[]'],
    ['an escaped key', '{"Response":{"NextOffse\\u0074":8}}'],
    ['an escaped Response', '{"Respons\\u0065":{}}'],
    ['a message that is no text', '{"Response":{"Message":["YQ==",1]}}'],
    ['a Message that is an object', '{"Response":{"Message":{}}}'],
    ['an offset in a text', '{"Response":{"NextOffset":"8"}}'],
    ['an offset past int64', '{"Response":{"NextOffset":9223372036854775808}}'],
    ['an offset far past int64', '{"Response":{"NextOffset":18446744073709551617}}'],
    ['an offset below int64', '{"Response":{"NextOffset":-9223372036854775809}}'],
    ['an offset with a fraction', '{"Response":{"NextOffset":8.0}}'],
    ['an offset with an exponent', '{"Response":{"NextOffset":1e3}}'],
    ['something behind', '{"Response":{}} x'],
    ['a byte-order mark', '\u00ef\u00bb\u00bf{"Response":{}}'],
    ['a control character in a text', '{"Response":{"A":"\u0001"}}'],
    ['an unknown escape', '{"Response":{"A":"\\x"}}'],
    ['half an escape', '{"Response":{"A":"\\u00'],
    ['deep nesting', `{"Response":{"A":${'['.repeat(5000)}`],
    ['lists deeper than the full parser takes', `{"Response":{"A":${'['.repeat(300)}${']'.repeat(300)}}}`],
    ['an integer of 2,000 digits', `{"Response":{"A":${'1'.repeat(2000)}}}`]
  ] as const) {
    test(`${title} is the full parser's`, () => assert.equal(scan(text), undefined))
  }

  test('a quote, an escape and a control character are met at every place of a long text', () => {
    for (let at = 0; at <= 100; at++) {
      const withAt = (middle: string) =>
        `{"Response":{"Message":["${'A'.repeat(at)}${middle}${'A'.repeat(100 - at)}"]}}`
      assert.equal(scan(withAt('\u001f')), undefined)
      assert.equal(scan(withAt('"')), undefined)
      assertTaken(withAt('\\/AAA'))
      assertTaken(withAt('\u007f'))
      assertTaken(withAt('\u00ff'))
    }
  })

  test('more messages than the table first has room for are all found, and repeated lists do not add up', () => {
    const list = JSON.stringify(Array.from({ length: 30_000 }, () => 'YQ=='))
    assertTaken(`{"Response":{"Message":${list},"NextOffset":30001}}`)
    assertTaken(`{"Response":{"Message":${list},"NextOffset":30001,"Message":["YQ=="]}}`)
  })

  test('nothing is read behind a response where the memory ends', () => {
    const { memory } = bench
    for (let length = 0; length <= 200; length += 4) {
      const text = Buffer.from(`{"Response":{"Message":["${'A'.repeat(length)}"],"NextOffset":8}}`)
      for (let cut = 0; cut <= text.length; cut++) {
        const { start, end } = bench.placeLast(text.subarray(0, cut))
        const verdict = memory.kernel.scanResponse(start, end, memory.start, memory.start + 800)
        assert.equal(verdict === 0, cut === text.length, `${length}, ${cut}`)
      }
    }
  })

  test('the table takes no more memory than a response of its length may need', () => {
    const memory = new KernelMemory()
    const text = Buffer.from(`{"Response":{"Message":[${'"",'.repeat(99_999)}""]}}`)
    const span = { start: memory.start, end: memory.start + text.length }
    memory.reserve(span.end)
    memory.bytes.set(text, span.start)
    assert.equal(scanResponse(memory, span)?.messageCount, 100_000)
    assert.ok(memory.byteCount < span.end + 8 * (text.length / 3) + 2 ** 17, `${memory.byteCount}`)
  })
})
