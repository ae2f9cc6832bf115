import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type MessagePort, Worker } from 'node:worker_threads'
import type { Engine, EngineHooks } from '../../src/dispatch/engine.ts'
import type { ThreadAnswer } from '../../src/dispatch/messages.ts'
import { ThreadPool } from '../../src/dispatch/thread-pool.ts'
import { realTimers } from '../../src/real-world.ts'

const BOUNDED = { timeout: 10_000 }
const turn = () => new Promise(resolve => setImmediate(resolve))

/** An engine whose Workers live and die by hand: real ones that do nothing, and whose events the test emits. */
class HandEngine implements Engine {
  readonly hooks: EngineHooks
  readonly ports: MessagePort[] = []
  readonly runs: { readonly resolve: (answer: ThreadAnswer) => void; readonly reject: (error: Error) => void }[] = []
  #workers: Worker[] = []

  constructor(hooks: EngineHooks) {
    this.hooks = hooks
  }

  ready(): Worker {
    const worker = new Worker('setInterval(() => {}, 60_000)', { eval: true })
    worker.unref()
    this.#workers.push(worker)
    this.hooks.onReady(worker)
    return worker
  }

  workers(): Worker[] {
    return this.#workers
  }

  async run(_tenant: unknown, task: Parameters<Engine['run']>[1]): Promise<ThreadAnswer> {
    if (task.kind !== 'hello') return new Promise((resolve, reject) => this.runs.push({ resolve, reject }))
    this.ports.push(task.port)
    await turn() // an answer of a thread takes one at least
    return { kind: 'done' }
  }

  async destroy(): Promise<void> {
    const workers = this.#workers
    this.#workers = []
    await Promise.all(workers.map(worker => worker.terminate()))
  }
}

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
