import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Printable } from '../../src/cls/json.ts'
import type { BatchTask } from '../../src/dispatch/messages.ts'
import { openBatch } from '../../workers/batch-view.ts'
import { cutAtEnd, type DecodedResponse, decodeResponse, type Outline } from '../../workers/decode.ts'
import { KernelMemory } from '../../workers/kernel/memory.ts'
import { batchTask, groupOf, messageOf, messagesOf, responseText } from './bodies.ts'

const LIMIT = 1 << 20

function decode(task: BatchTask, limit = LIMIT): DecodedResponse {
  return decodeResponse(task, new KernelMemory(), limit, () => undefined)
}

/** Every value of a key, in order. */
function valuesOf(decoded: DecodedResponse, key: string): (string | undefined)[] {
  const head = { topicId: 'topic', partition: 3, startOffset: 100n, nextOffset: decoded.nextOffset, messageCount: 1 }
  return [...openBatch(head, decoded).batch].map(log => log.get(key))
}

/** The messages of a response that is whole but for them. */
function decodeMessages(messages: Printable): DecodedResponse {
  return decode(batchTask(responseText(200n, messages)))
}

for (const compression of ['snappy', 'lz4', 'none'] as const) {
  test(`a ${compression} body in shared memory is decoded, and only its own bytes`, () => {
    const text = responseText(102n, messagesOf({ a: '1' }, { a: '2' }))
    const decoded = decode(batchTask(text, { compression }))
    assert.equal(decoded.nextOffset, 102n)
    assert.deepEqual([decoded.messageCount, decoded.groupCount, decoded.logCount], [2, 2, 2])
    assert.equal(decoded.responseBytes, text.length)
    assert.deepEqual(valuesOf(decoded, 'a'), ['1', '2'])
  })
}

test('a response that only the full parser reads gives the same as any other', () => {
  const [one = '', other = ''] = messagesOf({ a: '1' }, { a: '2' })
  // A message that is no text, and a next offset that is one, are the full parser's. So are escapes, then.
  const escaped = `\\u00${one.charCodeAt(0).toString(16)}${one.slice(1)}`
  const text = `{"Response":{"NextOffset":"102","Message":["${escaped}",7,"${other}","${one.slice(0, -4)}\\u0141AAA"]}}`
  const decoded = decode(batchTask(text))
  assert.deepEqual([decoded.nextOffset, decoded.poison.length], [102n, 2])
  assert.deepEqual(valuesOf(decoded, 'a'), ['1', '2'])
})

test('a body that declares more than responseBytesMax is refused', () => {
  const task = batchTask(responseText(102n, messagesOf({ a: 'x'.repeat(2000) })))
  assert.throws(() => decode(task, 1000), { code: 'BODY_TOO_LARGE' })
})

test('a body that is not a block is BODY_CORRUPT with its place', () => {
  const task = { ...batchTask('{}'), body: new SharedArrayBuffer(50), byteCount: 50 }
  new Uint8Array(task.body).fill(0x81)
  assert.throws(() => decode(task), {
    code: 'BODY_CORRUPT',
    place: { topicId: task.topicId, partition: 3, offset: 100n }
  })
})

test('what the response has is told before it is cut, and not where it cannot be used', () => {
  const told: Outline[] = []
  const tell = ({ nextOffset, messageCount }: Outline) => void told.push({ nextOffset, messageCount })
  const messages = messagesOf({ a: '1' }, { a: '2' })
  const task = { ...batchTask(responseText(102n, messages)), endOffset: 101n }
  const decoded = decodeResponse(task, new KernelMemory(), LIMIT, tell)
  assert.deepEqual(told, [{ nextOffset: 102n, messageCount: 2 }])
  assert.deepEqual([decoded.nextOffset, decoded.messageCount, decoded.logCount], [101n, 1, 1])
  const stuck = batchTask(responseText(100n, messages))
  assert.throws(() => decodeResponse(stuck, new KernelMemory(), LIMIT, tell), { code: 'NEXT_OFFSET_STUCK' })
  assert.equal(told.length, 1)
})

for (const nextOffset of [100n, 99n, 0n, -1n, null, undefined]) {
  test(`messages with the next offset ${nextOffset} after a start at 100 are stuck`, () => {
    const task = batchTask(responseText(nextOffset, messagesOf({ a: '1' })))
    assert.throws(() => decode(task), { code: 'NEXT_OFFSET_STUCK' })
  })
  test(`the next offset ${nextOffset} without messages passes as it is`, () => {
    const task = batchTask(responseText(nextOffset, []))
    assert.equal(decode(task).nextOffset, nextOffset ?? undefined)
  })
}

test('messages with the next offset -1, the end of a bounded pull, pass', () => {
  const task = { ...batchTask(responseText(-1n, messagesOf({ a: '1' }))), endOffset: 200n }
  assert.equal(decode(task).nextOffset, -1n)
})

test('one bad message costs no other, and is kept as it stood', () => {
  const [good = '', other = ''] = messagesOf({ a: '1' }, { a: '2' })
  const bytes = Buffer.from(good, 'base64')
  const badVersion = Buffer.from(bytes).fill(9, 0, 4).toString('base64')
  const badLength = Buffer.from(bytes)
  badLength.writeInt32BE(bytes.length, 92)
  const badProtobuf = Buffer.from(bytes).fill(0xff, 96).toString('base64')
  const texts = [good, '***', badVersion, other, badLength.toString('base64'), badProtobuf, good.slice(0, 40)]
  // Once as the scan reads it, once as the full parser must.
  for (const messages of [texts, [...texts, 7, null, { a: '\u0141\u00e9' }]]) {
    const decoded = decodeMessages(messages)
    const { poison } = decoded
    assert.deepEqual(valuesOf(decoded, 'a'), ['1', '2'])
    assert.deepEqual([decoded.messageCount, decoded.groupCount, decoded.logCount], [messages.length, 2, 2])
    assert.deepEqual(
      poison.map(({ messageIndex }) => messageIndex),
      [1, 2, 4, 5, 6, 7, 8, 9].slice(0, messages.length - 2)
    )
    const positions = poison.map(({ bytePosition }) => bytePosition)
    assert.deepEqual([positions[1], positions[2]], [0, 92])
    assert.ok((positions[3] ?? 0) >= 96, 'a position in the payload counts from the start of the message')
    assert.ok(poison.every(({ reason }) => reason.length > 0 && !reason.includes('byte ')))
    assert.deepEqual(
      poison.map(({ raw }) => Buffer.from(raw).toString()),
      poison.map(({ messageIndex }) => JSON.stringify(messages[messageIndex]))
    )
  }
})

test('a bad message with escapes and bytes that are no text is kept byte for byte', () => {
  const raw = Buffer.concat([Buffer.from('"**\\/\\u0041'), Buffer.from([0xff, 0xe4]), Buffer.from('\\n"')])
  const around = responseText(200n, ['@'])
  const at = around.indexOf('"@"')
  const text = Buffer.concat([Buffer.from(around.slice(0, at)), raw, Buffer.from(around.slice(at + 3))])
  assert.deepEqual(Buffer.from(decode(batchTask(text)).poison[0]?.raw ?? []), raw)
})

test('a message that JSON cannot say again is kept as far as it can, and costs no other', () => {
  const [good] = messagesOf({ a: '1' })
  const text = `{"Response":{"NextOffset":200,"Message":["${good}",{"a":[1e999,"\u00e9\u0141",12345678901234567890]},-1e999]}}`
  const decoded = decode(batchTask(text))
  assert.deepEqual(valuesOf(decoded, 'a'), ['1'])
  assert.deepEqual(
    decoded.poison.map(({ raw }) => Buffer.from(raw).toString()),
    ['{"a":[null,"\u00e9\u0141",12345678901234567890]}', 'null']
  )
})

test('the next offset is told before any message is decoded', () => {
  const messages = messagesOf({ a: '1' }, { a: '2' })
  const memory = new KernelMemory()
  const areTexts = () => messages.map(message => memory.bytes.includes(message))
  let before: boolean[] = []
  decodeResponse(batchTask(responseText(102n, messages)), memory, LIMIT, () => {
    before = areTexts()
  })
  assert.deepEqual(
    [before, areTexts()],
    [
      [true, true],
      [false, false]
    ]
  )
})

test('an empty payload is a group without logs, not poison', () => {
  const { groupCount, logCount, poison } = decodeMessages([messageOf(groupOf([]))])
  assert.deepEqual([groupCount, logCount, poison.length], [1, 0, 0])
})

test('past the end of a bounded run nothing of a dense response is processed', () => {
  const cut = cutAtEnd({ nextOffset: 104n, messageCount: 4 }, 100n, 102n)
  assert.deepEqual(cut, { nextOffset: 102n, messageCount: 2 })
})

test('I10: the cut counts exactly above 2^53', () => {
  const start = 2n ** 62n + 1n
  const cut = cutAtEnd({ nextOffset: start + 4n, messageCount: 4 }, start, start + 3n)
  assert.deepEqual(cut, { nextOffset: start + 3n, messageCount: 3 })
})

for (const [name, nextOffset, endOffset] of [
  ['whose offsets have gaps', 110n, 102n],
  ['that ends at the end', 104n, 104n],
  ['that ends before the end', 104n, 200n],
  ['of an unbounded run', 104n, undefined],
  ['that ends a bounded pull with -1', -1n, 102n]
] as const) {
  test(`a response ${name} is processed whole`, () => {
    assert.deepEqual(cutAtEnd({ nextOffset, messageCount: 4 }, 100n, endOffset), { nextOffset, messageCount: 4 })
  })
}

test('a dense response that begins at the end of a bounded run is cut to nothing', () => {
  assert.deepEqual(cutAtEnd({ nextOffset: 104n, messageCount: 4 }, 100n, 100n), { nextOffset: 100n, messageCount: 0 })
})
