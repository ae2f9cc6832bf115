import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeLogGroup, encodeLogGroup, type LogGroup } from '../../../src/cls/log-group.ts'
import { ClsConsumerError } from '../../../src/errors.ts'
import {
  GROUP,
  GROUP_WORDS,
  indexLogGroup,
  LOG,
  LOG_WORDS,
  PAIR,
  PAIR_WORDS
} from '../../../workers/kernel/log-group-index.ts'
import { align, END_FLAG, END_MASK, type KernelMemory } from '../../../workers/kernel/memory.ts'
import { Bench, ROUNDS } from './setup.ts'

const bench = new Bench()

/** The group as its index has it; `undefined` where it is poisoned. */
function index(payload: Uint8Array): LogGroup | undefined {
  const [span] = bench.place(payload)
  assert.ok(span !== undefined)
  const table = align(span.end + 64)
  const end = indexLogGroup(bench.memory, span, table)
  bench.assertUntouched(span)
  assert.ok(bench.read(span).equals(payload), 'the payload was written')
  if (typeof end !== 'number') {
    assert.match(end.reason, /LogGroup: \w/)
    assert.ok(end.bytePosition !== undefined && end.bytePosition >= 0 && end.bytePosition <= payload.length)
    return undefined
  }
  return readGroup(bench.memory, table, end)
}

function readGroup({ words, times, bytes }: KernelMemory, table: number, blockEnd: number): LogGroup {
  const word = (at: number): number => words[at] ?? 0
  const textAt = (at: number): string => {
    const [start, end] = [word(at), word(at + 1) & END_MASK]
    const text = bytes.subarray(start, end)
    assert.equal(
      (word(at + 1) & END_FLAG) !== 0,
      text.some(byte => byte > 127),
      'the flag says that there is a byte over 127'
    )
    return text.toString()
  }
  const pairAt = (at: number) => ({ key: textAt(at + PAIR.key), value: textAt(at + PAIR.value) })
  const optional = (name: 'contextFlow' | 'filename' | 'source' | 'hostname') =>
    word(head + GROUP[name]) === 0 ? {} : { [name]: textAt(head + GROUP[name]) }

  const head = table / 4
  let at = head + GROUP_WORDS
  const logs = Array.from({ length: word(head + GROUP.logCount) }, () => {
    const log = at
    at += LOG_WORDS
    const contents = Array.from({ length: word(log + LOG.contentCount) }, () => {
      at += PAIR_WORDS
      return pairAt(at - PAIR_WORDS)
    })
    const time = times[(log + LOG.time) / 2] ?? 0n
    const collectTime = times[(log + LOG.collectTime) / 2] ?? 0n
    return { time, contents, ...(word(log + LOG.hasCollectTime) === 0 ? {} : { collectTime }) }
  })
  assert.equal(word(head + GROUP.tagsAt), at * 4)
  const logTags = Array.from({ length: word(head + GROUP.tagCount) }, (_, number) => pairAt(at + number * PAIR_WORDS))
  assert.equal(word(head + GROUP.end), blockEnd)
  assert.equal(blockEnd, (at + logTags.length * PAIR_WORDS) * 4)
  return {
    logs,
    logTags,
    ...optional('contextFlow'),
    ...optional('filename'),
    ...optional('source'),
    ...optional('hostname')
  }
}

function present(payload: Uint8Array): LogGroup | undefined {
  try {
    return decodeLogGroup(payload)
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError, String(error))
    return undefined
  }
}

function assertSame(payload: Uint8Array): boolean {
  const found = index(payload)
  assert.deepEqual(found, present(payload), Buffer.from(payload).toString('hex'))
  return found !== undefined
}

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
  fc.string({ unit: 'grapheme-ascii', minLength: 120, maxLength: 300 })
)
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const pair = fc.record({ key: text, value: text }, { noNullPrototype: true })
const log = fc.record(
  { time: int64, contents: fc.array(pair, { maxLength: 5 }), collectTime: int64 },
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

// Wire bytes, built by hand so that fields come in any order, of any wire type, with lengths longer than need be.
const varint = fc
  .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(10))
  .map(([value, size]) => varintOf(value, size))
const small = fc.tuple(fc.integer({ min: 0, max: 40 }), fc.nat(4)).map(([value, size]) => varintOf(BigInt(value), size))
const bytes = fc.uint8Array({ maxLength: 40 }).map(each => Buffer.from(each))
const fieldNumber = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 8 }), weight: 8 },
  { arbitrary: fc.constantFrom(0, 15, 16, 2 ** 29 - 1), weight: 1 }
)
const lengthSize = fc.oneof({ arbitrary: fc.constant(0), weight: 8 }, { arbitrary: fc.nat(6), weight: 1 })

function varintOf(value: bigint, leastBytes = 0): Buffer {
  const made: number[] = []
  for (let rest = value; rest > 0n || made.length === 0; rest >>= 7n) made.push(Number(rest & 127n))
  while (made.length < leastBytes) made.push(0)
  return Buffer.from(made.map((byte, at) => (at < made.length - 1 ? byte | 128 : byte)))
}

function field(number: number, wireType: number, ...rest: Uint8Array[]): Buffer {
  return Buffer.concat([varintOf(BigInt(number) * 8n + BigInt(wireType)), ...rest])
}

function lengthOf(content: Uint8Array, leastBytes = 0): Buffer {
  return Buffer.concat([varintOf(BigInt(content.length), leastBytes), content])
}

const unknown: fc.Arbitrary<Buffer> = fc.letrec<{ field: Buffer }>(tie => ({
  field: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.tuple(fieldNumber, varint).map(([number, value]) => field(number, 0, value)),
    fc
      .tuple(fieldNumber, fc.uint8Array({ minLength: 8, maxLength: 8 }))
      .map(([number, rest]) => field(number, 1, rest)),
    fc.tuple(fieldNumber, bytes, lengthSize).map(([number, rest, size]) => field(number, 2, lengthOf(rest, size))),
    fc
      .tuple(fieldNumber, fc.uint8Array({ minLength: 4, maxLength: 4 }))
      .map(([number, rest]) => field(number, 5, rest)),
    fc
      .tuple(fieldNumber, fc.array(tie('field'), { maxLength: 3 }))
      .map(([number, inner]) => field(number, 3, ...inner, field(number, 4)))
  )
})).field

/** Any number of these fields, in any order, with others between them. */
const messageOf = (...own: fc.Arbitrary<Buffer>[]) =>
  fc
    .array(fc.oneof(...own.map(arbitrary => ({ arbitrary, weight: 4 })), { arbitrary: unknown, weight: 1 }), {
      maxLength: 7
    })
    .map(fields => Buffer.concat(fields))
const textField = (number: number) =>
  fc.tuple(bytes, lengthSize).map(([content, size]) => field(number, 2, lengthOf(content, size)))
const nested = (number: number, message: fc.Arbitrary<Buffer>) =>
  fc.tuple(message, lengthSize).map(([content, size]) => field(number, 2, lengthOf(content, size)))
const wirePair = fc.oneof(
  { arbitrary: fc.tuple(textField(1), textField(2)).map(both => Buffer.concat(both)), weight: 5 },
  { arbitrary: messageOf(textField(1), textField(2)), weight: 1 }
)
const timeField = fc.oneof(varint, small).map(value => field(1, 0, value))
const wireLog = fc
  .tuple(
    timeField,
    messageOf(
      timeField,
      nested(2, wirePair),
      varint.map(value => field(3, 0, value))
    )
  )
  .map(all => Buffer.concat(all))
const wireGroup = messageOf(
  nested(1, wireLog),
  nested(1, wireLog),
  textField(2),
  textField(3),
  textField(4),
  nested(5, wirePair),
  textField(6)
)

describe("the kernel's index", () => {
  test('I10: what the service writes is indexed as protobufjs decodes it, with exact times', () => {
    fc.assert(
      fc.property(group, each => {
        assert.ok(assertSame(encodeLogGroup(each)))
      }),
      { numRuns: ROUNDS * 2 }
    )
  })

  test('fields in any order and of any wire type, groups, repeated fields, long varints: verdict and values are those of protobufjs', () => {
    let goodCount = 0
    fc.assert(
      fc.property(wireGroup, payload => {
        if (assertSame(payload)) goodCount++
      }),
      { numRuns: ROUNDS * 10 }
    )
    // Both verdicts are met often.
    assert.ok(goodCount > ROUNDS && goodCount < ROUNDS * 9, `${goodCount} of ${ROUNDS * 10} were good`)
  })

  test('with bytes changed, left out or put in, verdict and values are those of protobufjs', () => {
    const edit = fc.tuple(fc.nat(), fc.nat(255), fc.nat(2), fc.boolean())
    let goodCount = 0
    fc.assert(
      fc.property(
        fc.oneof(group.map(encodeLogGroup), wireGroup),
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        (payload, edits) => {
          let changed = Buffer.from(payload)
          for (const [at, byte, cut, isPut] of edits) {
            const place = at % (changed.length + 1)
            const put = Buffer.from(isPut ? [byte] : [])
            changed = Buffer.concat([changed.subarray(0, place), put, changed.subarray(place + cut)])
          }
          if (assertSame(changed)) goodCount++
        }
      ),
      { numRuns: ROUNDS * 10 }
    )
    assert.ok(goodCount > ROUNDS / 2, `only ${goodCount} were good`)
  })

  test('a payload cut at any length gets the verdict of protobufjs', () => {
    const payload = encodeLogGroup({
      logs: [
        {
          time: -1n,
          contents: [
            { key: 'status', value: '500' },
            { key: 'text', value: '中文'.repeat(60) }
          ],
          collectTime: 2n ** 62n
        },
        { time: 1n, contents: [] }
      ],
      logTags: [{ key: 'k', value: 'v' }],
      hostname: 'host',
      source: ''
    })
    for (let length = 0; length <= payload.length; length++) assertSame(payload.subarray(0, length))
  })

  test('each byte of a payload set to each value gets the verdict and the values of protobufjs', () => {
    const payload = encodeLogGroup({
      logs: [
        {
          time: 300n,
          contents: [
            { key: 'a', value: '\u00e4' },
            { key: '', value: '' }
          ]
        }
      ],
      logTags: [{ key: 'k', value: 'v' }],
      source: 's'
    })
    for (let at = 0; at < payload.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = Buffer.from(payload)
        changed[at] = byte
        assertSame(changed)
      }
    }
  })

  const log1 = (...fields: Buffer[]) => field(1, 2, lengthOf(Buffer.concat([field(1, 0, varintOf(1n)), ...fields])))
  const groups = (depth: number) =>
    Buffer.concat([
      ...Array.from({ length: depth }, () => field(9, 3)),
      ...Array.from({ length: depth }, () => field(9, 4))
    ])
  for (const [title, payload, isGood] of [
    ['no bytes', Buffer.alloc(0), true],
    ['a time of ten bytes', field(1, 2, lengthOf(field(1, 0, Buffer.from('80808080808080808001', 'hex')))), true],
    [
      'a time of ten bytes, the last of them with bits to spare',
      field(1, 2, lengthOf(field(1, 0, Buffer.from('8080808080808080807f', 'hex')))),
      true
    ],
    ['a time of eleven bytes', field(1, 2, lengthOf(field(1, 0, Buffer.from('8080808080808080808001', 'hex')))), false],
    ['an unknown varint of eleven bytes', field(9, 0, Buffer.from('8080808080808080808001', 'hex')), true],
    [
      'a tag of five bytes',
      Buffer.concat([Buffer.from('8a80808000', 'hex'), lengthOf(field(1, 0, varintOf(1n)))]),
      true
    ],
    [
      'a tag of six bytes',
      Buffer.concat([Buffer.from('8a8080808000', 'hex'), lengthOf(field(1, 0, varintOf(1n)))]),
      false
    ],
    ['a tag of 33 bits', Buffer.from('8a8080801000', 'hex'), false],
    ['a length of five bytes', Buffer.concat([Buffer.from('2281808080', 'hex'), Buffer.from('0061', 'hex')]), true],
    ['a length of six bytes', Buffer.from('2281808080800061', 'hex'), false],
    ['a length of 2^31', Buffer.from('2280808080087f', 'hex'), false],
    ['the field number 0', Buffer.from('0000', 'hex'), false],
    ['wire type 6', Buffer.from('0e00', 'hex'), false],
    ['an end of a group that was not begun', field(9, 4), false],
    ['a group that another ends', Buffer.concat([field(9, 3), field(8, 4)]), false],
    ['a group that does not end', field(9, 3), false],
    ['groups 100 deep', groups(100), true],
    ['groups 101 deep', groups(101), true],
    ['groups 102 deep', groups(102), false],
    [
      'a known field of another wire type',
      Buffer.concat([field(1, 0, varintOf(5n)), field(4, 5, Buffer.alloc(4))]),
      true
    ],
    ['a log without time', field(1, 2, lengthOf(Buffer.alloc(0))), false],
    ['a log whose time is of another wire type', field(1, 2, lengthOf(field(1, 5, Buffer.alloc(4)))), false],
    ['a content without value', log1(field(2, 2, lengthOf(field(1, 2, lengthOf(Buffer.from('k')))))), false],
    ['a content without key', log1(field(2, 2, lengthOf(field(2, 2, lengthOf(Buffer.from('v')))))), false],
    ['a tag without value', field(5, 2, lengthOf(field(1, 2, lengthOf(Buffer.from('k'))))), false],
    [
      'a text longer than its content',
      log1(field(2, 2, Buffer.from('060a016b120576', 'hex'), Buffer.alloc(20))),
      false
    ],
    // The last two bytes of the value would be a field of the group.
    [
      'a content longer than its log',
      Buffer.concat([field(1, 2, varintOf(9n)), Buffer.from('0801' + '1207' + '0a016b' + '12024801', 'hex')]),
      false
    ],
    ['invalid UTF-8', log1(field(2, 2, lengthOf(Buffer.from('0a01ff1202c328', 'hex')))), true]
  ] as const) {
    test(`${title}: ${isGood ? 'read' : 'poisoned'}, as by protobufjs`, () => {
      assert.equal(assertSame(payload), isGood)
    })
  }

  test('a poisoned group is told with the place where it stops being one', () => {
    const [span] = bench.place(Buffer.concat([log1(), field(9, 4)]))
    assert.ok(span !== undefined)
    assert.deepEqual(indexLogGroup(bench.memory, span, align(span.end + 64)), {
      reason: '5 bytes are not a LogGroup: a field has a wire type that does not exist',
      bytePosition: 5
    })
  })

  test('a group whose table is far larger than the group is indexed, in memory that grows for it', () => {
    const small = Buffer.concat(
      Array.from({ length: 40_000 }, () => field(2, 2, lengthOf(Buffer.from('0a001200', 'hex'))))
    )
    const payload = field(1, 2, lengthOf(Buffer.concat([field(1, 0, varintOf(1n)), small])))
    const found = index(payload)
    assert.equal(found?.logs[0]?.contents.length, 40_000)
  })

  test('texts of every length up to 70, with a byte over 127 at each place or nowhere, have the right flag', () => {
    for (let length = 0; length <= 70; length++) {
      for (let wide = 0; wide <= length; wide++) {
        const value = Buffer.alloc(length, 0x61)
        if (wide < length) value[wide] = 0xc3
        for (const behind of [Buffer.alloc(0), field(9, 2, lengthOf(Buffer.alloc(40, 0xff)))]) {
          assert.ok(
            assertSame(
              log1(
                field(
                  2,
                  2,
                  lengthOf(Buffer.concat([field(1, 2, lengthOf(Buffer.from('k'))), field(2, 2, lengthOf(value))]))
                ),
                behind
              )
            )
          )
        }
      }
    }
  })
})
