/** Several consumers on one thread: each has its own processor, options, aborts and end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ThreadTask } from '../../src/dispatch/messages.ts'
import { TOPIC_ID } from './bodies.ts'
import { bench, processed, twoLogs } from './thread-bench.ts'

const BOUNDED = { timeout: 10_000 }
const COUNTING_CLASS = `export default class {
  constructor (options) { this.made = options.name; this.calls = 0 }
  start ({ options }) { this.started = options.name }
  process (batch, { options }) { this.calls += 1; return [this.made, this.started, options.name, this.calls] }
}`

const withOptions = (start: ThreadTask, options: unknown): ThreadTask => {
  assert.ok(start.kind === 'start')
  return { ...start, processor: { ...start.processor, options } }
}

test('two consumers with one module have each their own instance and options', BOUNDED, async t => {
  const { runFor, start } = await bench(t, COUNTING_CLASS)
  for (const [client, name] of [
    [4, 'x'],
    [7, 'y']
  ] as const) {
    assert.deepEqual(await runFor(client, withOptions(start, { name })), { kind: 'done' })
  }
  const resultFor = async (client: number) => processed(await runFor(client, twoLogs())).result
  assert.deepEqual(await resultFor(4), ['x', 'x', 'x', 1])
  assert.deepEqual(await resultFor(4), ['x', 'x', 'x', 2])
  assert.deepEqual(await resultFor(7), ['y', 'y', 'y', 1])
})

test('a module is loaded once: what stands at its top level is shared', BOUNDED, async t => {
  const { runFor, start } = await bench(t, 'let calls = 0; export default () => ++calls')
  for (const client of [0, 1]) await runFor(client, start)
  assert.equal(processed(await runFor(0, twoLogs())).result, 1)
  assert.equal(processed(await runFor(1, twoLogs())).result, 2)
})

test('a consumer that stops leaves the other as it is, and is known no more', BOUNDED, async t => {
  const { runFor, start } = await bench(t, COUNTING_CLASS)
  await runFor(0, withOptions(start, { name: 'x' }))
  await runFor(1, withOptions(start, { name: 'y' }))
  await runFor(1, twoLogs())
  assert.deepEqual(await runFor(0, { kind: 'stop' }), { kind: 'done' })
  assert.deepEqual(processed(await runFor(1, twoLogs())).result, ['y', 'y', 'y', 2])
  const late = await runFor(0, twoLogs())
  assert.ok(late.kind === 'failed' && late.failure.code === 'INVARIANT_BROKEN')
})

test('a start that throws is one consumer’s alone', BOUNDED, async t => {
  const { runFor, start } = await bench(
    t,
    'export default { start ({ options }) { if (options) throw new Error("mine") }, process () { return "up" } }'
  )
  await runFor(1, withOptions(start, false))
  const answer = await runFor(0, withOptions(start, true))
  assert.ok(answer.kind === 'failed' && answer.failure.code === 'PROCESSOR_START_FAILED')
  assert.equal(processed(await runFor(1, twoLogs())).result, 'up')
})

test('a constructor that throws is a start that failed, and may be tried again', BOUNDED, async t => {
  const { runFor, start } = await bench(
    t,
    'export default class { constructor (options) { if (options) throw new Error("no disk") } process () { return "up" } }'
  )
  const answer = await runFor(0, withOptions(start, true))
  assert.ok(answer.kind === 'failed' && answer.failure.code === 'PROCESSOR_START_FAILED')
  assert.ok(answer.failure.message.includes('no disk'))
  await runFor(0, withOptions(start, false))
  assert.equal(processed(await runFor(0, twoLogs())).result, 'up')
})

test('an abort is for the batch of its consumer, though another has one of the same number', BOUNDED, async t => {
  const { runFor, start, port } = await bench(
    t,
    `export default (batch, { signal, options }) => new Promise(resolve => {
       signal.addEventListener('abort', () => resolve([options, signal.reason.message]))
     })`
  )
  await runFor(0, withOptions(start, 'x'))
  await runFor(1, withOptions(start, 'y'))
  const task = twoLogs()
  const runs = [runFor(0, task), runFor(1, task)]
  port.postMessage({ kind: 'abort', client: 1, batchId: task.batchId, attempt: 1, reason: 'revoked' })
  assert.deepEqual(processed(await Promise.any(runs)).result, ['y', 'revoked'])
  port.postMessage({ kind: 'abort', client: 0, batchId: task.batchId, attempt: 1, reason: 'lost' })
  assert.deepEqual(
    (await Promise.all(runs)).map(answer => processed(answer).result),
    [
      ['x', 'lost'],
      ['y', 'revoked']
    ]
  )
})

test('an abort that came first keeps one consumer’s batch from starting, and no other’s', BOUNDED, async t => {
  const { runFor, start, port } = await bench(t, 'export default () => "ran"')
  for (const client of [0, 1]) await runFor(client, start)
  const task = twoLogs()
  port.postMessage({ kind: 'abort', client: 0, batchId: task.batchId, attempt: 1, reason: 'revoked' })
  assert.equal(processed(await runFor(1, task)).result, 'ran')
  assert.deepEqual(await runFor(0, task), { kind: 'not-started', reason: 'aborted' })
})

test('what a consumer’s processor says carries its number', BOUNDED, async t => {
  const { runFor, start, said } = await bench(t, 'export default (batch, { log }) => log.info("in")')
  for (const client of [3, 5]) await runFor(client, start)
  await runFor(5, twoLogs())
  await runFor(3, twoLogs())
  assert.deepEqual(
    said().map(({ kind, client }) => `${kind} ${client}`),
    ['next-offset 5', 'log 5', 'next-offset 3', 'log 3']
  )
})

test('I12: each consumer has its own lease', BOUNDED, async t => {
  const { runFor, start, clock } = await bench(t, 'export default () => "ran"')
  assert.ok(start.kind === 'start')
  await runFor(0, start)
  const leaseEndMs = new SharedArrayBuffer(8)
  new Float64Array(leaseEndMs)[0] = 5000
  await runFor(1, { ...start, leaseEndMs })
  clock.nowMs = 3000
  assert.deepEqual(await runFor(0, twoLogs()), { kind: 'not-started', reason: 'lease-ended' })
  assert.equal(processed(await runFor(1, twoLogs())).result, 'ran')
})

test('assign and revoke are the consumer’s whose partition comes and goes', BOUNDED, async t => {
  const { runFor, start } = await bench(
    t,
    `export default class {
       constructor () { this.seen = [] }
       assign ({ partition }) { this.seen.push('+' + partition) }
       revoke ({ partition }) { this.seen.push('-' + partition) }
       process () { return this.seen }
     }`
  )
  for (const client of [0, 1]) await runFor(client, start)
  await runFor(0, { kind: 'assign', topicId: TOPIC_ID, partition: 3, epoch: 1 })
  await runFor(1, { kind: 'assign', topicId: TOPIC_ID, partition: 3, epoch: 1 })
  await runFor(0, { kind: 'revoke', topicId: TOPIC_ID, partition: 3, epoch: 1 })
  assert.deepEqual(processed(await runFor(0, twoLogs())).result, ['+3', '-3'])
  assert.deepEqual(processed(await runFor(1, twoLogs())).result, ['+3'])
})
