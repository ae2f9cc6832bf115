import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { EngineHooks } from '../../src/dispatch/engine.ts'
import { ThreadPool } from '../../src/dispatch/thread-pool.ts'
import { realTimers } from '../../src/real-world.ts'
import { turn } from '../support/calls.ts'
import { HandEngine } from './hand-engine.ts'

const BOUNDED = { timeout: 10_000 }

async function bench(t: TestContext, count: number) {
  const happened: string[] = []
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
    onExit: thread => happened.push(`exit ${thread}`),
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
  return { pool, engine, workers, happened }
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
  assert.deepEqual(happened, [])
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
  assert.deepEqual(happened, [])
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
  assert.deepEqual(happened.slice(1), ['exit 0', 'exit 1'])
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
