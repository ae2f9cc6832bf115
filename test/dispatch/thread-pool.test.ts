import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import type { EngineHooks } from '../../src/dispatch/engine.ts'
import type { BatchAnswer } from '../../src/dispatch/messages.ts'
import type { PoolEnd } from '../../src/dispatch/thread-end.ts'
import { ThreadPool } from '../../src/dispatch/thread-pool.ts'
import { realTimers } from '../../src/real-world.ts'
import { turn } from '../support/calls.ts'
import { processed } from '../support/fake-threads.ts'
import { batchTask } from '../workers/bodies.ts'
import { HandEngine } from './hand-engine.ts'

const BOUNDED = { timeout: 10_000 }

async function bench(t: TestContext, count: number) {
  const happened: string[] = []
  const ends: PoolEnd[] = []
  const engines: HandEngine[] = []
  const start = (hooks: EngineHooks) => {
    const engine = new HandEngine(hooks)
    engines.push(engine)
    return engine
  }
  const pool = new ThreadPool({ count, threadExitMs: 5000, threadBootMs: 5000, timers: realTimers }, start)
  const booted = pool.boot({
    onMessage: (thread, message) => happened.push(`message ${thread} ${message.kind === 'log' ? message.message : ''}`),
    onKilled: thread => happened.push(`killed ${thread}`),
    onFailing: thread => happened.push(`failing ${thread}`),
    onExit: (thread, end) => {
      happened.push(`exit ${thread}`)
      ends.push(end)
    },
    onReplaced: thread => happened.push(`replaced ${thread}`),
    onBroken: error => happened.push(`broken ${error.message}`)
  })
  const [engine] = engines
  assert.ok(engine !== undefined)
  t.after(async () => {
    await engine.destroy()
    await pool.close()
  })
  const workers = Array.from({ length: count }, () => engine.ready())
  await booted
  return { pool, engine, workers, happened, ends }
}

test('what a thread said last is told before its exit, though both are noticed in one turn', BOUNDED, async t => {
  const { engine, workers, happened } = await bench(t, 1)
  engine.ports[0]?.postMessage({ kind: 'log', client: 0, level: 'info', message: 'last words', fields: {} })
  workers[0]?.emit('exit', 1)
  assert.deepEqual(happened, ['message 0 last words', 'exit 0'])
})

test('what is delivered after the exit is told of nobody', BOUNDED, async t => {
  const { engine, workers, happened } = await bench(t, 1)
  workers[0]?.emit('exit', 1)
  engine.ports[0]?.postMessage({ kind: 'log', client: 0, level: 'info', message: 'a ghost', fields: {} })
  for (let i = 0; i < 10; i++) await turn()
  assert.deepEqual(happened, ['exit 0'])
})

test('I2: a run whose thread has failed is not rejected before the exit', BOUNDED, async t => {
  const { pool, engine, workers, happened } = await bench(t, 1)
  pool.run(0, { kind: 'stop', client: 0 }).catch(error => happened.push(`rejected ${error.code}: ${error.message}`))
  // The order of Piscina: it rejects within the event of the error; the exit comes later.
  workers[0]?.once('error', error => engine.runs[0]?.reject(error))
  workers[0]?.emit('error', new RangeError('oops'))
  for (let i = 0; i < 10; i++) await turn()
  assert.deepEqual(happened.splice(0), ['failing 0'])
  workers[0]?.emit('exit', 1)
  await turn()
  assert.deepEqual(happened, ['exit 0', 'rejected THREAD_LOST: thread 0 ended with exit code 1, of RangeError: oops'])
})

test('I2: a replacement that is up early waits for the exit of its predecessor', BOUNDED, async t => {
  const { pool, engine, workers, happened } = await bench(t, 2)
  workers[1]?.emit('error', new Error('oops'))
  engine.ready()
  for (let i = 0; i < 10; i++) await turn()
  assert.equal(engine.ports.length, 2, 'it has no port yet')
  const late = pool.run(1, { kind: 'stop', client: 0 })
  late.catch(() => happened.push('rejected'))
  await turn()
  assert.deepEqual(happened.splice(0), ['failing 1'])
  workers[1]?.emit('exit', 1)
  for (let i = 0; i < 10; i++) await turn()
  assert.deepEqual(happened, ['exit 1', 'rejected', 'replaced 1'])
  assert.equal(engine.runs.length, 0, 'the run was never given to the engine')
})

test('a thread that is lost for good breaks the pool once', BOUNDED, async t => {
  const { engine, happened } = await bench(t, 1)
  engine.hooks.onNotReplaced()
  engine.hooks.onNotReplaced()
  assert.deepEqual(happened, ['broken a thread ended before it was ready, and is not replaced'])
})

test('close also ends a thread that the engine starts while it closes', BOUNDED, async t => {
  const { pool, engine, workers } = await bench(t, 1)
  workers[0]?.once('exit', () => engine.ready())
  await pool.close()
  assert.deepEqual(engine.workers(), [])
})

test('a kill is told before the exit, once; a thread that has failed by itself was not killed', BOUNDED, async t => {
  const { pool, workers, happened } = await bench(t, 2)
  const kills = [pool.kill(0), pool.kill(0)]
  assert.deepEqual(happened, ['killed 0'])
  await Promise.all(kills)
  workers[1]?.emit('error', new Error('oops'))
  await pool.kill(1)
  assert.deepEqual(happened.slice(1), ['exit 0', 'failing 1', 'exit 1'])
})

/** What is said of the end of thread 0 after `before`. */
async function endAfter(t: TestContext, before: (pool: ThreadPool, engine: HandEngine, worker: Worker) => unknown) {
  const { pool, engine, workers, ends } = await bench(t, 1)
  const [worker] = workers
  assert.ok(worker !== undefined)
  await before(pool, engine, worker)
  worker.emit('exit', 1)
  const [end, ...more] = ends
  assert.ok(end !== undefined && more.length === 0)
  return end
}

const ASSIGN = { kind: 'assign', topicId: 't', partition: 0, epoch: 1 } as const
const lost = (run: Promise<unknown>) => void run.catch(() => undefined)

test('an end says who had work there, and whose code had run there', BOUNDED, async t => {
  const end = await endAfter(t, async (pool, engine) => {
    const done = pool.run(0, { ...ASSIGN, client: 1 })
    engine.runs[0]?.resolve({ kind: 'done' })
    await done
    for (const client of [2, 3, 3]) lost(pool.run(0, { ...ASSIGN, client }))
    // Neither of these is run again on a replacement: nobody's loss, and so nobody's answer.
    for (const kind of ['revoke', 'stop'] as const) lost(pool.run(0, { ...ASSIGN, kind, client: 4 }))
  })
  assert.deepEqual([end.cause, [...end.atWork], [...end.users]], ['by-itself', [2, 3], [1, 2, 3, 4]])
})

test('work that a failing thread takes along was there at its end', BOUNDED, async t => {
  const end = await endAfter(t, async (pool, engine, worker) => {
    lost(pool.run(0, { ...ASSIGN, client: 1 }))
    // As Piscina does, long before the exit.
    worker.once('error', error => engine.runs[0]?.reject(error))
    worker.emit('error', new Error('oops'))
    for (let i = 0; i < 5; i++) await turn()
  })
  assert.deepEqual([end.cause, [...end.atWork], end.error?.message], ['by-itself', [1], 'Error: oops'])
})

test('a task that never reached the thread, which lives on, is no work there', BOUNDED, async t => {
  const end = await endAfter(t, async (pool, engine) => {
    const refused = pool.run(0, { ...ASSIGN, client: 1 })
    engine.runs[0]?.reject(new Error('cannot be copied'))
    await assert.rejects(refused, /cannot be copied/)
  })
  assert.deepEqual([...end.atWork], [])
})

test('what came first decides whether a thread was terminated or ended by itself', BOUNDED, async t => {
  const killed = await endAfter(t, (pool, _, worker) => {
    worker.terminate = () => new Promise(() => undefined)
    lost(pool.kill(0))
    worker.emit('error', new Error('on its way out'))
  })
  assert.equal(killed.cause, 'terminated')
  const failed = await endAfter(t, (pool, _, worker) => {
    worker.emit('error', new Error('oops'))
    worker.terminate = () => new Promise(() => undefined)
    lost(pool.kill(0))
  })
  assert.equal(failed.cause, 'by-itself')
  const closed = await endAfter(t, pool => lost(pool.close()))
  assert.equal(closed.cause, 'terminated')
})

test('ends with no work there are counted in a row, per thread, until a batch is processed there', BOUNDED, async t => {
  const { pool, engine, workers, ends } = await bench(t, 2)
  const end = async (thread: number, cause: 'by-itself' | 'terminated' = 'by-itself') => {
    const worker = workers[thread]
    assert.ok(worker !== undefined)
    if (cause === 'terminated') lost(pool.kill(thread))
    worker.emit('exit', 1)
    workers[thread] = engine.ready()
    for (let i = 0; i < 5; i++) await turn()
    return ends.at(-1)?.idleCount
  }
  const process = async (thread: number, answer: BatchAnswer) => {
    const answered = pool.run(thread, { ...batchTask('{}'), client: 0 })
    engine.runs.at(-1)?.resolve(answer)
    await answered
  }
  assert.deepEqual([await end(0), await end(0), await end(1)], [1, 2, 1])
  await process(0, { kind: 'not-started', reason: 'aborted' })
  assert.deepEqual([await end(0, 'terminated'), await end(0)], [2, 3])
  lost(pool.run(0, { ...ASSIGN, client: 0 }))
  assert.equal(await end(0), 3, 'somebody has work there, and hears of its loss')
  await process(0, processed())
  assert.deepEqual([await end(0), await end(1)], [1, 2])
})

test('settled waits for the replacement of a thread, and for nothing where there is none to come', BOUNDED, async t => {
  const { pool, engine, workers, happened } = await bench(t, 2)
  await pool.settled()
  workers[0]?.emit('exit', 1)
  const settled = pool.settled().then(() => happened.push('settled'))
  for (let i = 0; i < 10; i++) await turn()
  assert.deepEqual(happened, ['exit 0'])
  engine.ready()
  await settled
  assert.deepEqual(happened, ['exit 0', 'replaced 0', 'settled'])
})

test('settled rejects where the pool breaks or closes instead', BOUNDED, async t => {
  const { pool, engine, workers } = await bench(t, 1)
  workers[0]?.emit('exit', 1)
  const settled = pool.settled()
  engine.hooks.onNotReplaced()
  await assert.rejects(settled, { code: 'POOL_BROKEN' })
  await assert.rejects(pool.settled(), { code: 'POOL_BROKEN' })
  const other = await bench(t, 1)
  other.workers[0]?.emit('exit', 1)
  const waiting = assert.rejects(other.pool.settled(), { code: 'POOL_BROKEN' })
  await other.engine.destroy()
  await other.pool.close()
  await waiting
})

test(
  'what was done under a number only grows: over a replacement, and where a thread that has exited says less',
  BOUNDED,
  async t => {
    const { pool, engine, workers } = await bench(t, 1)
    const [first] = workers
    assert.ok(first !== undefined)
    engine.busy.set(first, 300)
    assert.deepEqual(pool.work(0), { busyMs: 300, batchMs: 0 })
    const run = pool.run(0, { ...batchTask(''), client: 0 })
    engine.runs[0]?.resolve(processed({ decodeMs: 20, processMs: 50 }))
    await run
    engine.busy.set(first, 0)
    assert.deepEqual(pool.work(0), { busyMs: 300, batchMs: 70 }, 'Node tells of none any more')
    first.emit('exit', 1)
    assert.deepEqual(pool.work(0), { busyMs: 300, batchMs: 70 }, 'nobody is there')
    const next = engine.ready()
    for (let i = 0; i < 10; i++) await turn()
    engine.busy.set(next, 40)
    assert.deepEqual(pool.work(0), { busyMs: 340, batchMs: 70 })
  }
)
