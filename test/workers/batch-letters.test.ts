/** A group, or one log out of it: against protobufjs, on groups as writers write them and as no writer would. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { decodeLogGroup, encodeLogGroup, type LogGroup } from '../../src/cls/log-group.ts'
import type { ThreadLetter } from '../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { BatchLetters } from '../../workers/batch-letters.ts'
import { BatchReader } from '../../workers/batch-reader.ts'
import { Dice } from '../fuzz/dice.ts'
import { drawGroup } from '../fuzz/draw-group.ts'
import { encodeFields } from '../fuzz/wire.ts'
import { groupOf, indexPayloads } from './bodies.ts'
import { ROUNDS } from './kernel/setup.ts'

const LOG_TAG = 10

/** Every group, by its place. */
function groupsOf(reader: BatchReader): number[] {
  const groups: number[] = []
  let group = reader.firstGroup
  for (let groupsLeft = reader.groupCount; groupsLeft > 0; groupsLeft--) {
    groups.push(group)
    group = reader.groupAfter(group)
  }
  return groups
}

/** Every log of each group, by its place. */
function logsOf(reader: BatchReader): number[] {
  return groupsOf(reader).flatMap(group => {
    const logs: number[] = []
    let log = reader.firstLog(group)
    for (let logsLeft = reader.logCount(group); logsLeft > 0; logsLeft--) {
      logs.push(log)
      log = reader.logAfter(log)
    }
    return logs
  })
}

/** A letter of every log, asked for in this order. */
function lettersOf(reader: BatchReader, order: readonly number[]): readonly ThreadLetter[] {
  const letters = new BatchLetters()
  for (const log of order) letters.addLog(reader, log, 'why')
  return letters.all
}

function decoded(payload: Buffer): LogGroup | undefined {
  try {
    return decodeLogGroup(payload)
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError)
    return undefined
  }
}

/** The fields of a group as protobufjs tells them apart, and which of them are logs. */
function fieldsOf(payload: Buffer): { readonly bytes: Buffer; readonly isLog: boolean }[] {
  const reader = protobuf.Reader.create(payload)
  const fields: { bytes: Buffer; isLog: boolean }[] = []
  while (reader.pos < reader.len) {
    const start = reader.pos
    const tag = reader.uint32()
    reader.skipType(tag & 7, 0, tag >>> 3)
    fields.push({ bytes: payload.subarray(start, reader.pos), isLog: tag === LOG_TAG })
  }
  return fields
}

/** The whole fields of a group but the other logs. */
function cutOf(payload: Buffer, logIndex: number): Buffer {
  let logCount = 0
  const kept = fieldsOf(payload).filter(({ isLog }) => !isLog || logCount++ === logIndex)
  return Buffer.concat(kept.map(({ bytes }) => bytes))
}

let soundCount = 0
let logCount = 0

test('a letter decodes to its group with that log alone, and is its payload but for whole fields of other logs', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.constantFrom(4, 40), (seed, oddOneIn) => {
      const dice = new Dice(seed)
      const payloads = dice.list(3, () => encodeFields(drawGroup(dice, oddOneIn))).filter(each => decoded(each))
      soundCount += payloads.length
      const reader = new BatchReader(indexPayloads(payloads))
      const logs = logsOf(reader)
      logCount += logs.length
      const order = dice.shuffled(logs.map((_, at) => at))
      const letters = lettersOf(
        reader,
        order.map(at => logs[at] ?? 0)
      )
      const wanted = payloads.flatMap(payload => {
        const group = decodeLogGroup(payload)
        return group.logs.map((log, logIndex) => ({ payload, logIndex, group: { ...group, logs: [log] } }))
      })
      assert.equal(letters.length, wanted.length)
      for (const [index, letter] of letters.entries()) {
        const log = wanted[order[index] ?? 0]
        assert.ok(log !== undefined)
        assert.ok(letter.kind === 'log')
        assert.equal(letter.logIndex, log.logIndex)
        assert.deepEqual(Buffer.from(letter.raw), cutOf(log.payload, log.logIndex))
        assert.deepEqual(decodeLogGroup(letter.raw), log.group)
      }
    }),
    { numRuns: ROUNDS }
  )
  assert.ok(soundCount > ROUNDS && logCount > ROUNDS, `${soundCount} sound groups, ${logCount} logs`)
})

test('a letter of a group is exactly the payload that was uploaded, whatever stands in it', () => {
  let groupCount = 0
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.constantFrom(4, 40), (seed, oddOneIn) => {
      const dice = new Dice(seed)
      const payloads = dice.list(3, () => encodeFields(drawGroup(dice, oddOneIn))).filter(each => decoded(each))
      groupCount += payloads.length
      const reader = new BatchReader(indexPayloads(payloads))
      const groups = groupsOf(reader)
      const letters = new BatchLetters()
      const order = dice.shuffled(payloads.map((_, at) => at))
      for (const at of order) {
        // Those of its logs, before and after, leave it as it is.
        if (dice.oneIn(2)) for (const log of logsOf(reader)) letters.addLog(reader, log, 'why')
        letters.addGroup(reader, groups[at] ?? 0, `group ${at}`)
      }
      assert.deepEqual(
        letters.all.filter(({ kind }) => kind === 'group').map(({ raw, reason }) => [Buffer.from(raw), reason]),
        order.map(at => [payloads[at], `group ${at}`])
      )
    }),
    { numRuns: ROUNDS }
  )
  assert.ok(groupCount > ROUNDS, `${groupCount} groups`)
})

test('unknown fields of every wire type stay, and one that only has the number of a log', () => {
  const [one, two] = [
    { time: 1n, contents: [] },
    { time: 2n, contents: [] }
  ]
  const bytes = (log: LogGroup['logs'][number]) => encodeLogGroup({ logs: [log], logTags: [] }).subarray(2)
  const odd = encodeFields([
    { wire: 'varint', number: 1, value: -1n, valueBytes: 12 },
    { wire: 'bytes', number: 1, content: Buffer.from(bytes(one)), tagBytes: 5, lengthBytes: 4 },
    { wire: 'fixed32', number: 1, bytes: Buffer.alloc(4, 0xff) },
    { wire: 'group', number: 1, fields: [{ wire: 'bytes', number: 1, content: Buffer.from(bytes(two)) }] },
    { wire: 'bytes', number: 1, content: Buffer.from(bytes(two)) },
    { wire: 'fixed64', number: 7, bytes: Buffer.alloc(8, 0x0a) }
  ])
  const reader = new BatchReader(indexPayloads([odd]))
  const letters = lettersOf(reader, logsOf(reader))
  assert.deepEqual(
    letters.map(({ raw }) => Buffer.from(raw)),
    [cutOf(odd, 0), cutOf(odd, 1)]
  )
  assert.deepEqual(
    letters.map(({ raw }) => decodeLogGroup(raw).logs),
    [[one], [two]]
  )
})

test('a letter is a copy in memory of its own, which what comes into the batch’s memory later does not change', () => {
  const payload = encodeLogGroup(groupOf([{ a: '1' }, { a: '2' }], { source: 'here' }))
  const indexed = indexPayloads([payload])
  const reader = new BatchReader(indexed)
  const letters = lettersOf(reader, logsOf(reader))
  const whole = new BatchLetters()
  whole.addGroup(reader, reader.firstGroup, 'why')
  indexed.memory.bytes.fill(0xa5)
  for (const { raw } of whole.all) {
    assert.deepEqual(Buffer.from(raw), payload)
    assert.equal(raw.buffer.byteLength, raw.length)
  }
  for (const [index, { raw }] of letters.entries()) {
    assert.deepEqual(decodeLogGroup(raw), groupOf([{ a: `${index + 1}` }], { source: 'here' }))
    assert.equal(raw.buffer.byteLength, raw.length)
  }
})

test('of a log or group given twice the first reason stays, in one letter; a long reason is cut', () => {
  const reader = new BatchReader(indexPayloads([encodeLogGroup(groupOf([{ a: '1' }, { a: '2' }]))]))
  const [one = 0, two = 0] = logsOf(reader)
  const letters = new BatchLetters()
  letters.addLog(reader, two, 'x'.repeat(4097))
  letters.addLog(reader, one, 'first')
  letters.addLog(reader, one, 'second')
  letters.addGroup(reader, reader.firstGroup, 'x'.repeat(4097))
  letters.addGroup(reader, reader.firstGroup, 'second')
  assert.deepEqual(
    letters.all.map(letter => [letter.kind === 'log' && letter.logIndex, letter.reason]),
    [
      [1, `${'x'.repeat(4096)}…`],
      [0, 'first'],
      [false, `${'x'.repeat(4096)}…`]
    ]
  )
})

test('the letters of a batch have a limit in bytes, though each takes a large head along', () => {
  const group = groupOf([{ a: '1' }, { a: '2' }, { a: '3' }], { logTags: [{ key: 'k', value: 'v'.repeat(1000) }] })
  const reader = new BatchReader(indexPayloads([encodeLogGroup(group)]))
  const [one = 0, two = 0, three = 0] = logsOf(reader)
  const letters = new BatchLetters(2500)
  letters.addLog(reader, one, 'why')
  letters.addLog(reader, two, 'why')
  letters.addLog(reader, two, 'again, which takes nothing')
  assert.throws(() => letters.addLog(reader, three, 'why'), { code: 'DEAD_LETTER_TOO_LARGE', message: /2500 bytes/ })
  assert.throws(() => letters.addGroup(reader, reader.firstGroup, 'why'), { code: 'DEAD_LETTER_TOO_LARGE' })
  assert.equal(letters.all.length, 2)
})
