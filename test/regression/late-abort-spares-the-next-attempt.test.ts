/** An abort that comes when its attempt has ended must not keep the next attempt at the batch from starting. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClsConsumerError, toFailure } from '../../src/errors.ts'
import { BACKOFF_MS, BOUNDED, bench as dispatching, epochOf, PROCESS_MS } from '../dispatch/dispatcher-bench.ts'
import { turn } from '../support/calls.ts'
import { processed, started, twoLogs } from '../workers/thread-bench.ts'

test('a batch is tried again on its thread, though the abort of its last attempt came late', BOUNDED, async t => {
  const { run, port } = await started(
    t,
    'export default (batch, { attempt, signal }) => { if (attempt === 1) throw 1; return signal.aborted }'
  )
  const task = twoLogs()
  const { batchId } = task
  assert.equal((await run(task)).kind, 'failed')
  port.postMessage({ kind: 'abort', client: 0, batchId, attempt: 1, reason: 'process took too long' })
  assert.equal(processed(await run({ ...task, attempt: 2 })).result, false)
  // Of what is aborted itself nothing starts.
  port.postMessage({ kind: 'abort', client: 0, batchId, attempt: 3, reason: 'process took too long' })
  assert.deepEqual(await run({ ...task, attempt: 3 }), { kind: 'not-started', reason: 'aborted' })
})

test('an abort of an attempt that has ended leaves the one that is open alone', BOUNDED, async t => {
  const { run, port } = await started(
    t,
    `export default (batch, { signal }) =>
       new Promise(resolve => signal.addEventListener('abort', () => resolve(signal.reason.message)))`
  )
  const task = twoLogs({ attempt: 2 })
  const { batchId } = task
  const answer = run(task)
  port.postMessage({ kind: 'abort', client: 0, batchId, attempt: 1, reason: 'of the first' })
  port.postMessage({ kind: 'abort', client: 0, batchId, attempt: 2, reason: 'of the second' })
  assert.equal(processed(await answer).result, 'of the second')
})

/** Batch 1 on its second attempt. */
async function tryingAgain() {
  const made = dispatching()
  const { start, enqueue, threads, time } = made
  await start(0)
  enqueue(0)
  const failure = toFailure(new ClsConsumerError('PROCESSOR_FAILED', 'the sink is down'), 'PROCESSOR_FAILED')
  threads.batch(1).call.answer({ kind: 'failed', stage: 'process', failure })
  await turn()
  await time.advance(BACKOFF_MS)
  assert.equal(threads.batch(1).task.attempt, 2)
  return made
}

test('an abort names the attempt that is with the thread, whatever is forgiven meanwhile', BOUNDED, async () => {
  const { dispatcher, threads, time } = await tryingAgain()
  threads.tell(0, { kind: 'next-offset', batchId: 1, nextOffset: 100n, messageCount: 1 })
  dispatcher.renew(epochOf(0), epochOf(0, 2), true)
  await time.advance(PROCESS_MS)
  assert.deepEqual(
    threads.posted.map(({ message }) => message.kind === 'abort' && [message.batchId, message.attempt]),
    [
      [1, 2],
      [1, 2]
    ]
  )
})

test('a batch that its thread has answered is not aborted there, though onResult has it yet', BOUNDED, async () => {
  const { dispatcher, threads, answered } = await tryingAgain()
  answered.always = undefined
  await threads.finish(1)
  dispatcher.renew(epochOf(0), epochOf(0, 2), true)
  assert.deepEqual(threads.posted, [])
})
