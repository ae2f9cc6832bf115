/** Small bodies that claim to be, or that become, large ones: told as what they are, before memory is taken for them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compress } from '../../src/cls/compression.ts'
import type { BatchTask } from '../../src/dispatch/messages.ts'
import { decodeResponse } from '../../workers/decode.ts'
import { KernelMemory } from '../../workers/kernel/memory.ts'
import { encodeFields } from '../fuzz/wire.ts'
import { batchTask, groupOf, messageOf, responseText } from './bodies.ts'

const MIB = 2 ** 20
const PAGE_BYTES = 2 ** 16
/** The default of `responseBytesMax`. */
const LIMIT = 64 * MIB

/** As it is: `batchTask` compresses. */
function taskOf(bytes: Uint8Array, compression: BatchTask['compression']): BatchTask {
  const body = new SharedArrayBuffer(bytes.length)
  new Uint8Array(body).set(bytes)
  return { ...batchTask('', { compression }), body, byteCount: bytes.length }
}

function noOutline(): never {
  assert.fail('a bomb has no outline')
}

/** @returns Bytes that the memory grew by. */
function growthOf(task: BatchTask, code: string, responseBytesMax = LIMIT): number {
  const memory = new KernelMemory()
  const before = memory.byteCount
  assert.throws(() => decodeResponse(task, memory, responseBytesMax, noOutline), { code })
  return memory.byteCount - before
}

/** A snappy block of 100 bytes that begins with this size. */
function snappyClaim(plainBytes: number): Buffer {
  const block = Buffer.alloc(100)
  for (let at = 0, rest = plainBytes; rest > 0; at++, rest = Math.floor(rest / 128)) {
    block[at] = (rest % 128) + (rest >= 128 ? 128 : 0)
  }
  return block
}

/** An lz4 block: one literal, then one match of 255 bytes for each further byte, then the last literals. */
function lz4Bomb(byteCount: number): Buffer {
  const head = Buffer.from([0x1f, 0x61, 0x01, 0x00])
  const end = Buffer.from([0x00, 0x50, 0x61, 0x61, 0x61, 0x61, 0x61])
  return Buffer.concat([head, Buffer.alloc(byteCount - head.length - end.length, 0xff), end])
}

test('100 bytes of snappy that declare 4 GB are BODY_TOO_LARGE and cost no memory', () => {
  assert.equal(growthOf(taskOf(snappyClaim(2 ** 32 - 1), 'snappy'), 'BODY_TOO_LARGE'), 0)
})

test('100 bytes of snappy that declare as much as is allowed, which they cannot hold, are BODY_CORRUPT and cost no memory', () => {
  assert.equal(growthOf(taskOf(snappyClaim(LIMIT), 'snappy'), 'BODY_CORRUPT'), 0)
})

test('100 bytes of lz4 that hold more than is allowed are BODY_TOO_LARGE and cost no memory', () => {
  assert.equal(growthOf(taskOf(lz4Bomb(100), 'lz4'), 'BODY_TOO_LARGE', 10_000), 0)
})

test('20 MB of lz4 that hold 5 GB are BODY_TOO_LARGE and cost no more than their own size', () => {
  const byteCount = 20_000_000
  const growth = growthOf(taskOf(lz4Bomb(byteCount), 'lz4'), 'BODY_TOO_LARGE')
  assert.ok(growth <= byteCount + PAGE_BYTES, `${growth} bytes`)
})

test('a body that is not compressed and over the limit is BODY_TOO_LARGE and costs no memory', () => {
  assert.equal(growthOf(taskOf(Buffer.alloc(2 * MIB, 0x20), 'none'), 'BODY_TOO_LARGE', MIB), 0)
})

test('a bomb in a memory that is in use takes nothing of it, and the next response is read', () => {
  const memory = new KernelMemory()
  const read = () => decodeResponse(batchTask(responseText(100n, [])), memory, LIMIT, () => undefined)
  assert.equal(read().messageCount, 0)
  const before = memory.byteCount
  for (const bomb of [taskOf(snappyClaim(2 ** 32 - 1), 'snappy'), taskOf(lz4Bomb(100), 'lz4')]) {
    assert.throws(() => decodeResponse(bomb, memory, 10_000, noOutline), { code: 'BODY_TOO_LARGE' })
  }
  assert.equal(read().messageCount, 0)
  assert.equal(memory.byteCount, before)
})

test('a response of empty logs, whose index is larger than any, takes a known multiple of its size', () => {
  const log = encodeFields([{ wire: 'bytes', number: 1, content: [{ wire: 'varint', number: 1, value: 0n }] }])
  const payload = Buffer.alloc(2 * MIB, log)
  const header = Buffer.alloc(96)
  header.writeInt32BE(130)
  header.writeInt32BE(payload.length, 92)
  const text = responseText(101n, [Buffer.concat([header, payload]).toString('base64')])
  const body = compress(Buffer.from(text), 'snappy')
  const memory = new KernelMemory()
  const decoded = decodeResponse(taskOf(body, 'snappy'), memory, LIMIT, () => undefined)
  assert.equal(decoded.logCount, payload.length / log.length)
  assert.ok(memory.byteCount < 8 * text.length, `${memory.byteCount} bytes for ${text.length}`)
})

test('millions of messages that are none are one corrupt body, not millions of notes', () => {
  for (const message of ['""', '7']) {
    const text = `{"Response":{"NextOffset":999999999,"Message":[${`${message},`.repeat(2_000_000)}${message}]}}`
    const memory = new KernelMemory()
    const began = process.memoryUsage().heapUsed
    assert.throws(() => decodeResponse(batchTask(text), memory, LIMIT, () => undefined), {
      code: 'BODY_CORRUPT',
      message: /^more than 65536 messages .* the first is message 0: /
    })
    assert.ok(process.memoryUsage().heapUsed - began < 400 * MIB)
  }
})

test('as many bad messages as may be are each told, and cost no other', () => {
  const good = JSON.stringify(messageOf(groupOf([{ a: '1' }])))
  const text = `{"Response":{"NextOffset":999999999,"Message":[${'"",'.repeat(65_536)}${good}]}}`
  const { poison, logCount } = decodeResponse(batchTask(text), new KernelMemory(), LIMIT, () => undefined)
  assert.deepEqual([poison.length, logCount], [65_536, 1])
  assert.ok(poison.every(({ raw }) => Buffer.from(raw).equals(Buffer.from('""'))))
})
