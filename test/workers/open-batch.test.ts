/** One batch on its thread: what is told of work that outlives it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BatchAnswer, BrokenMessage, FromThread } from '../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { LogBatch } from '../../workers/batch-view.ts'
import type { ProcessFunction } from '../../workers/define-processor.ts'
import { MemoryList } from '../../workers/kernel/memory-list.ts'
import { runBatch } from '../../workers/open-batch.ts'
import { worldOf } from './batch-world.ts'
import { batchTask, messagesOf, responseText, TOPIC_ID } from './bodies.ts'

interface Played {
  readonly batch: LogBatch
  readonly answer: BatchAnswer
  readonly broken: () => BrokenMessage[]
}

const oneLog = () => batchTask(responseText(101n, messagesOf({ a: '1' })))

/** Runs a batch of one log; `kept` is what the processor keeps of it beyond its end. */
async function play(process: ProcessFunction): Promise<Played> {
  const said: FromThread[] = []
  let kept: LogBatch | undefined
  const keep: ProcessFunction = (batch, context) => {
    kept = batch
    return process(batch, context)
  }
  const answer = await runBatch(oneLog(), worldOf(keep, { post: message => void said.push(message) }))
  assert.ok(kept !== undefined)
  return { batch: kept, answer, broken: () => said.filter(message => message.kind === 'broken') }
}

test('a batch used after it was processed stops the consumer: told once, with the file and the place', async () => {
  const { batch, answer, broken } = await play(() => 'done')
  assert.equal(answer.kind, 'processed')
  assert.deepEqual(broken(), [])
  for (let use = 0; use < 2; use++) {
    assert.throws(() => batch.logCount, { code: 'BATCH_CLOSED', message: /file \/my\/processor\.mjs/ })
  }
  const [told, ...more] = broken()
  assert.deepEqual(more, [])
  assert.equal(told?.failure.code, 'BATCH_CLOSED')
  assert.deepEqual(told?.failure.place, { topicId: TOPIC_ID, partition: 3, offset: 100n, file: '/my/processor.mjs' })
  assert.deepEqual(structuredClone(told), told)
})

test('it is told too where the user catches it, of every view of the batch', async () => {
  let views: readonly { toObject(): object }[] = []
  const { broken } = await play(batch => {
    views = [...batch]
  })
  await assert.rejects(async () => views.map(view => view.toObject()), { code: 'BATCH_CLOSED' })
  assert.equal(broken().length, 1)
})

for (const [name, process] of [
  ['failed', () => Promise.reject(new Error('the sink is full'))],
  ['returned what cannot be sent', () => () => {}]
] as const) {
  test(`what goes on after a batch that ${name} is no reason to stop: the batch is read again`, async () => {
    const { batch, answer, broken } = await play(process)
    assert.equal(answer.kind, 'failed')
    assert.throws(() => [...batch], { code: 'BATCH_CLOSED', message: /file \/my\/processor\.mjs/ })
    assert.deepEqual(broken(), [])
  })
}

for (const [name, make, says] of [
  ['logs in a Map', (batch: LogBatch) => new Map([['500', { logs: [...batch] }]]), /holds a view/],
  ['logs in a Set', (batch: LogBatch) => ({ seen: new Set(batch) }), /holds a view/],
  ['logs as keys', (batch: LogBatch) => new Map([...batch].map(log => [log, 1])), /holds a view/],
  ['a Promise', () => Promise.resolve(1).then(() => ({ later: Promise.resolve(2) })), /holds a Promise: await it/],
  [
    'a getter that throws',
    () => ({
      get late() {
        throw new Error('no value yet')
      }
    }),
    /no value yet: return plain data/
  ]
] as const) {
  test(`${name} as result is RESULT_NOT_CLONEABLE, with the file and the cure`, async () => {
    const { answer } = await play(make)
    assert.ok(answer.kind === 'failed' && answer.failure.code === 'RESULT_NOT_CLONEABLE')
    assert.match(answer.failure.message, says)
    assert.match(answer.failure.message, /file \/my\/processor\.mjs/)
  })
}

test('where the host has no memory left the batch fails as one that is too large, and may be tried again', async t => {
  const { take } = MemoryList.prototype
  const noRoom = t.mock.method(MemoryList.prototype, 'take', () => {
    throw new ClsConsumerError('BODY_TOO_LARGE', 'the host has no room')
  })
  const task = oneLog()
  const world = worldOf(() => 'done')
  const answer = await runBatch(task, world)
  assert.ok(answer.kind === 'failed' && answer.stage === 'decode')
  assert.equal(answer.failure.code, 'BODY_TOO_LARGE')
  assert.deepEqual(answer.failure.place, { topicId: TOPIC_ID, partition: 3, offset: 100n })
  noRoom.mock.mockImplementation(take)
  assert.equal((await runBatch(task, world)).kind, 'processed')
})
