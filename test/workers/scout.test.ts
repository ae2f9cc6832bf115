import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ScoutedAnswer, ScoutTask } from '../../src/dispatch/messages.ts'
import type { Compression } from '../../src/world.ts'
import { MemoryList } from '../../workers/kernel/memory-list.ts'
import { scout as scoutIn } from '../../workers/scout.ts'
import { batchTask, messagesOf, responseText } from './bodies.ts'
import { bench } from './thread-bench.ts'

const LIMIT = 1 << 20
const memories = new MemoryList(1 << 22, () => 0)

function scout(task: ScoutTask): ScoutedAnswer {
  return scoutIn(task, memories)
}

function scoutTask(text: string | Uint8Array, compression: Compression = 'snappy', max = LIMIT): ScoutTask {
  const { body, byteCount } = batchTask(text, { compression })
  return { kind: 'scout', body, byteCount, compression, responseBytesMax: max }
}

for (const compression of ['snappy', 'lz4', 'none'] as const) {
  test(`the next offset is found behind the messages of a body with ${compression}, exactly`, () => {
    const messages = JSON.stringify(messagesOf({ a: '1' }, { a: '2' }))
    const text = `{"Response":{"Message":${messages},"NextOffset":9007199254740993,"RequestId":"r"}}`
    assert.deepEqual(scout(scoutTask(text, compression)), { kind: 'scouted', nextOffset: 2n ** 53n + 1n })
  })
}

for (const [name, task] of [
  ['no next offset', scoutTask(responseText(undefined, []))],
  ['an error of the service', scoutTask('{"Response":{"Error":{"Code":"X","Message":"m"}}}')],
  ['HTML', scoutTask('<html>')],
  ['more than the limit', scoutTask(responseText(5n, ['x'.repeat(2000)]), 'snappy', 1000)],
  ['another compression than it says', { ...scoutTask(responseText(5n, [])), compression: 'lz4' }],
  ['no bytes at all', { ...scoutTask(responseText(5n, [])), byteCount: 0 }]
] satisfies [string, ScoutTask][]) {
  test(`a body with ${name} is answered with nothing, and is no error`, () => {
    assert.deepEqual(scout(task), { kind: 'scouted', nextOffset: undefined })
  })
}

test('no body whatever makes it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom('snappy', 'lz4', 'none'), (bytes, compression) => {
      const body = new SharedArrayBuffer(bytes.length)
      new Uint8Array(body).set(bytes)
      const task = { kind: 'scout', body, byteCount: bytes.length, compression, responseBytesMax: LIMIT } as const
      assert.equal(scout(task).kind, 'scouted')
    }),
    { numRuns: 500 }
  )
})

test('a thread scouts without any consumer', async t => {
  const { runAny } = await bench(t, 'export default () => {}')
  assert.deepEqual(await runAny(scoutTask(responseText(77n, []))), { kind: 'scouted', nextOffset: 77n })
})
