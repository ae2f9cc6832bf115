/** Chunks: each fits an upload, a lane's logs stay in order, and what is held is known. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Chunks, type Lane } from '../../src/cli/chunks.ts'
import type { Log } from '../../src/cls/log-group.ts'
import { logBytes } from '../../src/cls/upload-limits.ts'

const CHUNK_BYTES = 1_500_000

function logOf(valueBytes: number): Log {
  return { time: 1n, contents: [{ key: 'k', value: 'v'.repeat(valueBytes) }] }
}

function lane(id: string): Lane {
  return { id, topicId: 't', hashKey: id }
}

test('a chunk is full at its number of logs, or its bytes', () => {
  const chunks = new Chunks(3)
  assert.deepEqual(
    [1, 2, 3].map(line => chunks.add(lane('a'), logOf(1), line, 0)),
    [false, false, true]
  )
  assert.equal(chunks.take('a')?.logs.length, 3)
  assert.equal(chunks.add(lane('a'), logOf(CHUNK_BYTES - 100), 4, 0), false)
  assert.equal(chunks.isTooFullFor(lane('a'), logOf(200)), true)
  assert.equal(chunks.isTooFullFor(lane('b'), logOf(200)), false)
  assert.equal(chunks.add(lane('b'), logOf(4_000_000), 5, 0), true, 'one that is larger has a chunk of its own')
})

test('the oldest chunk comes first; one that was taken begins anew at the end, with its own first line and time', () => {
  const chunks = new Chunks(100)
  for (const [line, id] of ['a', 'b', 'c', 'a'].entries()) chunks.add(lane(id), logOf(1), line + 1, 10 * line)
  assert.equal(chunks.take('a')?.logs.length, 2)
  assert.equal(chunks.take('a'), undefined)
  chunks.add(lane('a'), logOf(1), 5, 40)
  assert.deepEqual(
    [...chunks.values()].map(({ lane, firstLine, openedMs }) => [lane.id, firstLine, openedMs]),
    [
      ['b', 2, 10],
      ['c', 3, 20],
      ['a', 5, 40]
    ]
  )
})

test('what is held is what was added and not taken, with a share for each chunk; nothing held is 0', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ add: fc.constantFrom('a', 'b', 'c'), bytes: fc.nat(2000) }),
      fc.record({ take: fc.constantFrom('a', 'b', 'c') })
    ),
    { maxLength: 60 }
  )
  fc.assert(
    fc.property(steps, script => {
      const chunks = new Chunks(1000)
      for (const step of script) {
        if ('take' in step) chunks.take(step.take)
        else chunks.add(lane(step.add), logOf(step.bytes), undefined, 0)
        const open = [...chunks.values()]
        const bytes = open.reduce((sum, { logs }) => sum + logs.reduce((all, log) => all + logBytes(log), 0), 0)
        assert.ok(chunks.heldBytes >= bytes && chunks.heldBytes <= bytes + 1000 * open.length)
        assert.equal(chunks.heldBytes > bytes, open.length > 0)
      }
    })
  )
})
