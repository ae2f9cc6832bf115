/** What is given up, as dead letters: every message once, each with what is known of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ClsConsumerError } from '../../src/errors.ts'
import { type DeadLetter, letterId } from '../../src/failure/dead-letter.ts'
import { decodeRecord, encodeRecord } from '../../src/failure/dead-letter-record.ts'
import {
  bodyLetter,
  harvestBeforeEnd,
  messageLetters,
  poisonLetters,
  processorLetters
} from '../../src/failure/letters.ts'
import { bodyOf } from '../support/fake-data.ts'
import { batchOf, failedOf, harvestOf, START } from './given-up.ts'

const NEXT = START + 100n
const PLACE = { topicId: 'topic-a', partition: 3, startOffset: START, nextOffset: NEXT, attempt: 5 }
const POISON = { messageIndex: 1, bytePosition: 9, reason: 'a length is cut off', raw: Buffer.from('"bad"') }

/** As a file has it. */
function stored(letter: DeadLetter) {
  const record = encodeRecord(letter, { timeMs: 0, group: 'g', consumer: 'c' })
  const reading = decodeRecord(record.subarray(0, -1))
  assert.ok(reading.kind === 'letter', reading.kind === 'damage' ? reading.what : '')
  return reading.letter
}

test('a failed batch has one letter a message, with what the attempt failed of', () => {
  const failed = failedOf()
  const letters = messageLetters(failed, harvestOf(3))
  const { code, message, stack } = failed.error
  const reason = `PROCESSOR_FAILED: ${message}`
  assert.match(reason, /the sink is gone \(topic topic-a, partition 3, offset 1152921504606846976\)/)
  assert.deepEqual(
    letters,
    [0, 1, 2].map(messageIndex => ({
      kind: 'message',
      ...PLACE,
      messageIndex,
      reason,
      error: { code, message, stack },
      raw: Buffer.from(`"message ${messageIndex}"`)
    }))
  )
  // An error's place holds a bigint, which no JSON has.
  for (const letter of letters) assert.deepEqual(stored(letter).error, { code, message, stack })
})

test('a poison message of a failed batch has its own reason, the others that of the batch', () => {
  const letters = messageLetters(failedOf({ poison: [POISON] }), harvestOf(3))
  assert.deepEqual(
    letters.map(({ reason, error }) => [reason.split(':')[0], error?.code]),
    [
      ['PROCESSOR_FAILED', 'PROCESSOR_FAILED'],
      ['MESSAGE_CORRUPT', undefined],
      ['PROCESSOR_FAILED', 'PROCESSOR_FAILED']
    ]
  )
  assert.equal(letters[1]?.reason, 'MESSAGE_CORRUPT: a length is cut off at byte 9')
})

test('poison messages alone have a letter each, in place', () => {
  const bytes = Buffer.from('7')
  const letters = poisonLetters({ batch: batchOf(), attempt: 2 }, NEXT, [
    POISON,
    { messageIndex: 4, bytePosition: undefined, reason: 'it is no text', raw: bytes }
  ])
  const head = { kind: 'message', ...PLACE, attempt: 2, error: undefined }
  assert.deepEqual(letters, [
    { ...head, messageIndex: 1, reason: 'MESSAGE_CORRUPT: a length is cut off at byte 9', raw: POISON.raw },
    { ...head, messageIndex: 4, reason: 'MESSAGE_CORRUPT: it is no text', raw: bytes }
  ])
})

test('a log, or a group, that a processor singles out has a letter with its reason', () => {
  const log = { kind: 'log', messageIndex: 2, logIndex: 7, reason: 'no such user', raw: Buffer.from('group') } as const
  const group = { kind: 'group', messageIndex: 5, reason: 'no such host', raw: Buffer.from('whole') } as const
  const letters = processorLetters({ batch: batchOf(), attempt: 1 }, undefined, [log, group])
  const head = { ...PLACE, nextOffset: undefined, attempt: 1, error: undefined }
  assert.deepEqual(letters, [
    { ...head, ...log },
    { ...head, ...group }
  ])
  assert.deepEqual(letters.map(letterId), [`topic-a/3/${START}/2/7`, `topic-a/3/${START}/5`])
  for (const letter of letters) assert.deepEqual(stored(letter).readRaw(), letter.raw)
})

test('a body that cannot be read is one letter of the bytes that were received, and no more of the memory', () => {
  const whole = bodyOf('{"Response":', 'lz4')
  const body = { ...whole, byteCount: whole.byteCount - 2 }
  const unreadable = new ClsConsumerError('BODY_CORRUPT', 'not JSON')
  const letter = bodyLetter(failedOf({ batch: batchOf({ body }) }), unreadable)
  assert.deepEqual([letter.kind, letter.nextOffset, letter.attempt], ['body', undefined, 5])
  assert.match(letter.reason, /^PROCESSOR_FAILED: the sink is gone .*; set aside as a whole: not JSON$/)
  const sameError = bodyLetter(failedOf({ error: unreadable }), unreadable)
  assert.equal(sameError.reason, 'BODY_CORRUPT: not JSON')
  const read = stored(letter)
  assert.deepEqual(read.readRaw(), Buffer.from(new Uint8Array(whole.bytes, 0, whole.byteCount - 2)))
  assert.ok(read.kind === 'body' && read.compression === 'lz4')
})

test('a letter of a body keeps its bytes, whatever comes into the body’s memory later', () => {
  const body = bodyOf('no JSON')
  const received = Buffer.from(new Uint8Array(body.bytes, 0, body.byteCount).slice())
  const unreadable = new ClsConsumerError('BODY_CORRUPT', 'not JSON')
  const { raw } = bodyLetter(failedOf({ batch: batchOf({ body }), error: unreadable }), unreadable)
  new Uint8Array(body.bytes).fill(0xa5)
  assert.deepEqual(Buffer.from(raw), received)
})

test('what a bounded run has cut off is not set aside: it was never tried', () => {
  const batch = batchOf({ endOffset: START + 2n })
  const dense = harvestOf(3, START + 3n)
  assert.equal(messageLetters(failedOf({ batch }), dense).length, 2)
  assert.equal(messageLetters(failedOf({ batch }), dense)[0]?.nextOffset, START + 2n)
  assert.equal(harvestBeforeEnd(batch, dense).nextOffset, START + 2n)
  // With gaps any message may be the one before the end.
  assert.equal(messageLetters(failedOf({ batch }), harvestOf(3, START + 4n)).length, 3)
})

test('every message before the end has a letter, in order, whatever the response says of its offsets', () => {
  const offset = fc.option(fc.bigInt({ min: -1n, max: START + 12n }), { nil: undefined })
  const near = fc.option(
    fc.bigInt({ min: -3n, max: 12n }).map(by => START + by),
    { nil: undefined }
  )
  fc.assert(
    fc.property(fc.nat({ max: 8 }), fc.oneof(offset, near), near, (count, nextOffset, endOffset) => {
      const letters = messageLetters(failedOf({ batch: batchOf({ endOffset }) }), { ...harvestOf(count), nextOffset })
      const isDense = nextOffset === START + BigInt(count)
      // Message i of a dense response has offset start + i.
      const expected = Array.from({ length: count }, (_, index) => index).filter(
        index => !isDense || endOffset === undefined || START + BigInt(index) < endOffset
      )
      assert.deepEqual(
        letters.map(letter => (letter.kind === 'message' ? letter.messageIndex : -1)),
        expected
      )
      assert.deepEqual(
        letters.map(({ raw }) => Buffer.from(raw).toString()),
        expected.map(index => `"message ${index}"`)
      )
    })
  )
})
