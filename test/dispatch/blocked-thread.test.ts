/** Processors that do not return, or take all memory, on real threads. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ATTEMPTS, BOUNDED, folder, processorFile, sharers } from './real-dispatch.ts'

/** Longer than a thread takes to come up and begin, on a busy machine. */
const LIMITS = { processTimeoutMs: 400, abortGraceMs: 50 }

const HANGS = [
  ['an endless loop', 'while (true) {}'],
  ['a blocking call', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'],
  ['a promise that never settles', 'return new Promise(() => {})']
] as const

describe('a process that does not return, on a real thread', () => {
  for (const [name, hang] of HANGS) {
    test(`${name}: it runs again on another thread, after start and assign, and others go on`, BOUNDED, async t => {
      const { consumer } = sharers(t, { threads: 1 })
      const { enqueue, answers, retried, broken } = await consumer(
        `export default class {
          constructor () { this.seen = [] }
          start () { this.seen.push('start') }
          assign ({ partition }) { this.seen.push('assign ' + partition) }
          process (batch, { partition, attempt }) {
            if (partition === 0 && attempt === 1) { ${hang} }
            return partition === 0 ? { attempt, seen: this.seen.toSorted() } : 'beside it'
          }
        }`,
        LIMITS
      )
      enqueue(0)
      enqueue(1)
      const found = await answers(2)
      const result = (batchId: number) => found.find(answer => answer.batchId === batchId)?.result
      assert.deepEqual(result(1), { attempt: 2, seen: ['assign 0', 'assign 1', 'assign 2', 'start'] })
      assert.equal(result(2), 'beside it')
      assert.deepEqual([retried, broken], [['1 PROCESSOR_TIMEOUT'], []])
    })
  }

  test('each time: it has failed after its attempts, and the thread serves others again', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 1 })
    const { enqueue, answers, failures, retried, openCount } = await consumer(
      'export default (batch, { partition }) => { while (partition === 0) {} return "up" }',
      LIMITS
    )
    enqueue(0)
    const [failure] = await failures(1)
    assert.match(failure ?? '', new RegExp(`^1 ${ATTEMPTS} process did not return within 400 ms`))
    assert.equal(retried.length, ATTEMPTS - 1)
    enqueue(1)
    assert.deepEqual(await answers(1), [{ batchId: 2, result: 'up' }])
    assert.equal(openCount(), 0)
  })

  test('but heeds its signal: what it answers counts, and its thread lives on', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 1 })
    const { enqueue, answers, retried } = await consumer(
      `import { threadId } from 'node:worker_threads'
       export default (batch, { partition, signal }) =>
         partition === 0
           ? new Promise(resolve => signal.addEventListener('abort', () => resolve({ threadId, reason: String(signal.reason) })))
           : { threadId }`,
      { processTimeoutMs: 100, abortGraceMs: 10_000 }
    )
    enqueue(0)
    await answers(1)
    enqueue(1)
    const [aborted, next] = await answers(2)
    assert.match(JSON.stringify(aborted?.result), /did not return within 100 ms/)
    assert.match(JSON.stringify(aborted?.result), new RegExp(JSON.stringify(next?.result).slice(1, -1)))
    assert.deepEqual(retried, [])
  })
})

/** How a process of its own has ended, and what it has said. */
function runScript(
  script: string
): Promise<{ readonly exit: string; readonly stdout: string; readonly stderr: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, [script], { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ exit: error === null ? 'ok' : `code ${error.code}, signal ${error.signal}`, stdout, stderr })
    )
  })
}

test('heap exhaustion costs the batch an attempt, and its thread alone is replaced; or it ends the process, as kill -9 does', {
  timeout: 90_000
}, async t => {
  const file = await processorFile(
    `export default (batch, { partition, attempt }) => {
         const kept = []
         while (partition === 0 && attempt === 1) kept.push(Array.from({ length: 10_000 }, (_, index) => ({ index })))
         return { partition, attempt }
       }`
  )
  const script = join(folder(), 'exhaust.test-child.mjs')
  const bench = JSON.stringify(new URL('./real-dispatch.js', import.meta.url).href)
  await writeFile(
    script,
    `import { test } from 'node:test'
       import { sharers } from ${bench}
       test('exhaust', async t => {
         const { consumer } = sharers(t, { threads: 1, threadHeapMb: 32 })
         const { enqueue, answers, retried } = await consumer({ file: ${JSON.stringify(file)}, options: null })
         enqueue(0)
         enqueue(1)
         const found = await answers(2)
         process.stderr.write('ENDED ' + JSON.stringify({ found, retried }) + '\\n')
       })`
  )
  const { exit, stdout, stderr } = await runScript(script)
  const said = /ENDED (.*)/.exec(stdout + stderr)?.[1]
  if (said === undefined) {
    assert.match(stdout + stderr, /heap out of memory|allocation failed/i, `${exit}\n${stdout}${stderr}`)
    assert.notEqual(exit, 'ok')
    t.diagnostic(`the process has ended: ${exit}`)
    return
  }
  const { found, retried } = JSON.parse(said)
  const results = new Map(found.map(({ batchId, result }: { batchId: number; result: unknown }) => [batchId, result]))
  assert.deepEqual(results.get(1), { partition: 0, attempt: 2 })
  assert.ok(results.has(2))
  assert.ok(retried.includes('1 THREAD_LOST'), said)
  t.diagnostic('the thread has ended alone')
})
