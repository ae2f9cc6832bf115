import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutAtEnd, decodeMessages, openResponse } from '../../workers/decode.ts'
import { batchTask, groupOf, messageOf, messagesOf, responseText } from './bodies.ts'

const LIMIT = 1 << 20

for (const compression of ['snappy', 'lz4', 'none'] as const) {
  test(`a ${compression} body in shared memory is opened, and only its own bytes`, () => {
    const text = responseText(102n, messagesOf({ a: '1' }, { a: '2' }))
    const opened = openResponse(batchTask(text, { compression }), LIMIT)
    assert.equal(opened.nextOffset, 102n)
    assert.equal(opened.messages.length, 2)
    assert.equal(opened.responseBytes, text.length)
  })
}

test('a body that declares more than responseBytesMax is refused', () => {
  const task = batchTask(responseText(102n, messagesOf({ a: 'x'.repeat(2000) })))
  assert.throws(() => openResponse(task, 1000), { code: 'BODY_TOO_LARGE' })
})

test('a body that is not a block is BODY_CORRUPT with its place', () => {
  const task = { ...batchTask('{}'), body: new SharedArrayBuffer(50), byteCount: 50 }
  new Uint8Array(task.body).fill(0x81)
  assert.throws(() => openResponse(task, LIMIT), {
    code: 'BODY_CORRUPT',
    place: { topicId: task.topicId, partition: 3, offset: 100n }
  })
})

for (const nextOffset of [100n, 99n, 0n, -1n, null, undefined]) {
  test(`messages with the next offset ${nextOffset} after a start at 100 are stuck`, () => {
    const task = batchTask(responseText(nextOffset, messagesOf({ a: '1' })))
    assert.throws(() => openResponse(task, LIMIT), { code: 'NEXT_OFFSET_STUCK' })
  })
  test(`the next offset ${nextOffset} without messages passes as it is`, () => {
    const task = batchTask(responseText(nextOffset, []))
    assert.equal(openResponse(task, LIMIT).nextOffset, nextOffset ?? undefined)
  })
}

test('messages with the next offset -1, the end of a bounded pull, pass', () => {
  const task = { ...batchTask(responseText(-1n, messagesOf({ a: '1' }))), endOffset: 200n }
  assert.equal(openResponse(task, LIMIT).nextOffset, -1n)
})

test('one bad message costs no other', () => {
  const [good = '', other = ''] = messagesOf({ a: '1' }, { a: '2' })
  const bytes = Buffer.from(good, 'base64')
  const badVersion = Buffer.from(bytes).fill(9, 0, 4).toString('base64')
  const badLength = Buffer.from(bytes)
  badLength.writeInt32BE(bytes.length, 92)
  const badProtobuf = Buffer.from(bytes).fill(0xff, 96).toString('base64')
  const messages = [good, '***', badVersion, other, badLength.toString('base64'), badProtobuf, 7, good.slice(0, 40)]
  const { groups, logCount, poison } = decodeMessages(messages)
  assert.deepEqual(
    groups.map(group => group.logs[0]?.contents[0]?.value),
    ['1', '2']
  )
  assert.equal(logCount, 2)
  assert.deepEqual(
    poison.map(({ messageIndex }) => messageIndex),
    [1, 2, 4, 5, 6, 7]
  )
  const positions = poison.map(({ bytePosition }) => bytePosition)
  assert.deepEqual([positions[0], positions[1], positions[2]], [undefined, 0, 92])
  assert.ok((positions[3] ?? 0) >= 96, 'a position in the payload counts from the start of the message')
  assert.ok(poison.every(({ reason }) => reason.length > 0 && !reason.includes('byte ')))
})

test('an empty payload is a group without logs, not poison', () => {
  const { groups, poison } = decodeMessages([messageOf(groupOf([]))])
  assert.deepEqual([groups.length, groups[0]?.logs.length, poison.length], [1, 0, 0])
})

test('base64 is taken exactly where the standard alphabet, length and padding are right', () => {
  const alphabet = fc.constantFrom(...'ABab01+/=-_ \n\u00c1\u0141')
  const rule = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 12 }), characters => {
      const text = characters.join('')
      // Short ones are no message either way; the reason tells which check refused them.
      const [note] = decodeMessages([text]).poison
      assert.equal(note?.reason !== 'the message is not base64', rule.test(text), JSON.stringify(text))
    }),
    { numRuns: 5000 }
  )
})

const MESSAGES = ['m0', 'm1', 'm2', 'm3']

test('past the end of a bounded run nothing of a dense response is processed', () => {
  const cut = cutAtEnd({ nextOffset: 104n, messages: MESSAGES }, 100n, 102n)
  assert.deepEqual(cut, { nextOffset: 102n, messages: ['m0', 'm1'] })
})

test('I10: the cut counts exactly above 2^53', () => {
  const start = 2n ** 62n + 1n
  const cut = cutAtEnd({ nextOffset: start + 4n, messages: MESSAGES }, start, start + 3n)
  assert.deepEqual(cut, { nextOffset: start + 3n, messages: ['m0', 'm1', 'm2'] })
})

for (const [name, nextOffset, endOffset] of [
  ['whose offsets have gaps', 110n, 102n],
  ['that ends at the end', 104n, 104n],
  ['that ends before the end', 104n, 200n],
  ['of an unbounded run', 104n, undefined],
  ['that ends a bounded pull with -1', -1n, 102n]
] as const) {
  test(`a response ${name} is processed whole`, () => {
    assert.deepEqual(cutAtEnd({ nextOffset, messages: MESSAGES }, 100n, endOffset), { nextOffset, messages: MESSAGES })
  })
}

test('a dense response that begins at the end of a bounded run is cut to nothing', () => {
  assert.deepEqual(cutAtEnd({ nextOffset: 104n, messages: MESSAGES }, 100n, 100n), { nextOffset: 100n, messages: [] })
})
