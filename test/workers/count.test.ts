import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openBatch } from '../../workers/batch-view.ts'
import type { ProcessorContext } from '../../workers/define-processor.ts'
import count from '../../workers/processors/count.ts'
import { groupOf, indexGroups } from './bodies.ts'

const LOGS = [{ status: '200' }, { status: '404' }, { status: '200' }, { path: '/' }, { status: '500' }]

function contextWith(options: unknown): ProcessorContext {
  const line = () => {}
  const log = { debug: line, info: line, warn: line, error: line }
  const { signal } = new AbortController()
  const marks = { save: line, rewind: line, deadLetter: line }
  return { options, log, topicId: 't', partition: 0, attempt: 1, signal, ...marks }
}

function run(options: unknown) {
  const head = { topicId: 't', partition: 0, startOffset: 0n, nextOffset: 1n, messageCount: 1 }
  return count.process(openBatch(head, indexGroups([groupOf(LOGS)])).batch, contextWith(options))
}

test('without a key, logs are counted in all', () => {
  assert.deepEqual(run(undefined), { logCount: 5, values: new Map(), otherCount: 0 })
})

test('with a key, logs are counted by its value, and those without it by none', () => {
  const values = new Map([
    ['200', 2],
    ['404', 1],
    ['500', 1]
  ])
  assert.deepEqual(run({ key: 'status' }), { logCount: 5, values, otherCount: 0 })
})

test('values past valuesMax are counted together', () => {
  assert.deepEqual(run({ key: 'status', valuesMax: 1 }), {
    logCount: 5,
    values: new Map([['200', 2]]),
    otherCount: 2
  })
})

for (const options of [{ key: 5 }, { key: 'status', valuesMax: 'many' }, { valuesMax: -1 }]) {
  test(`options ${JSON.stringify(options)} are refused at start`, () => {
    assert.throws(() => count.start(contextWith(options)), { code: 'OPTIONS_INVALID' })
  })
}
