/** Consumers that share a pool come and go; threads live and die by hand, for orders that cannot be forced otherwise. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { PoolMembers } from '../../src/dispatch/pool-members.ts'
import { type ScoutPool, ScoutThread } from '../../src/dispatch/scout.ts'
import { ThreadPool } from '../../src/dispatch/thread-pool.ts'
import { realClock, realTimers } from '../../src/real-world.ts'
import type { Threads } from '../../src/world.ts'
import { createKeptLog } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { bodyOf } from '../support/fake-data.ts'
import { HandEngine } from './hand-engine.ts'

const BOUNDED = { timeout: 10_000 }
const BATCHES_PER_THREAD = 3

function bench(t: TestContext, count = 1, threadExitMs = 5000) {
  const engines: HandEngine[] = []
  const log = createKeptLog()
  const scoutPool = (): ScoutPool => ({
    boot: async () => void happened.push('scout boots'),
    settled: async () => undefined,
    run: async () => ({ kind: 'scouted', nextOffset: 5n }),
    kill: async () => undefined,
    close: async () => void happened.push('scout closes')
  })
  const happened: string[] = []
  const faults: string[] = []
  const members = new PoolMembers(
    { count, batchesPerThread: BATCHES_PER_THREAD },
    () =>
      new ThreadPool({ count, threadExitMs, threadBootMs: 5000, timers: realTimers }, hooks => {
        const engine = new HandEngine(hooks)
        engines.push(engine)
        return engine
      }),
    () => new ScoutThread({ clock: realClock, timers: realTimers, log }, scoutPool)
  )
  const made: Threads[] = []
  t.after(async () => {
    for (const threads of made) await threads.close().catch(() => undefined)
    for (const engine of engines) await engine.destroy()
  })
  const client = (name: string) => {
    const threads = members.client(log)
    made.push(threads)
    const boot = () =>
      threads.boot({
        onMessage: (thread, message) => happened.push(`${name} message ${thread} ${message.kind}`),
        onKilled: thread => happened.push(`${name} killed ${thread}`),
        onFailing: thread => happened.push(`${name} failing ${thread}`),
        onExit: (thread, { fault }) => {
          happened.push(`${name} exit ${thread}`)
          faults.push(`${name} ${fault}`)
        },
        onReplaced: thread => happened.push(`${name} replaced ${thread}`),
        onBroken: error => happened.push(`${name} broken ${'code' in error ? error.code : error}`)
      })
    return { threads, boot }
  }
  const engine = (life = 0): HandEngine => {
    const found = engines[life]
    assert.ok(found !== undefined, `${engines.length} lives so far`)
    return found
  }
  /** The engine of a later life, once that has begun. */
  const begun = async (life: number): Promise<HandEngine> => {
    while (engines[life] === undefined) await turn()
    return engine(life)
  }
  /** A consumer whose threads are up. */
  const joined = async (name: string): Promise<Threads> => {
    const { threads, boot } = client(name)
    const isFirst = engines.length === 0
    const booted = boot()
    if (isFirst) for (let thread = 0; thread < count; thread++) engine().ready()
    await booted
    return threads
  }
  return { members, engines, engine, begun, client, joined, happened, faults, log }
}

test('threads boot with the first consumer, end with the last, and boot anew', BOUNDED, async t => {
  const { engines, engine, begun, client, joined } = bench(t)
  const x = await joined('x')
  const y = await joined('y')
  assert.equal(engines.length, 1)
  await x.close()
  assert.equal(engine().workers().length, 1)
  await y.close()
  assert.equal(engine().workers().length, 0)
  const z = client('z')
  const booted = z.boot()
  const next = await begun(1)
  next.ready()
  await booted
})

test('a consumer that starts while the last one’s threads still end waits for their end', BOUNDED, async t => {
  const { engines, begun, client, joined } = bench(t)
  const x = await joined('x')
  const closed = x.close()
  const booted = client('y').boot()
  await turn()
  assert.equal(engines.length, 1)
  await closed
  const next = await begun(1)
  next.ready()
  await booted
})

test('a consumer that gives up while it waits boots nothing', BOUNDED, async t => {
  const { engines, client, joined } = bench(t)
  const x = await joined('x')
  const closed = x.close()
  const y = client('y')
  const refused = assert.rejects(y.boot(), { code: 'POOL_BROKEN' })
  await y.threads.close()
  await closed
  await refused
  assert.equal(engines.length, 1)
})

test('all that join while threads boot share them, and their failure', BOUNDED, async t => {
  const { engines, engine, begun, client } = bench(t)
  const clients = [client('x'), client('y')]
  const refused = clients.map(({ boot }) => assert.rejects(boot(), { code: 'POOL_BROKEN' }))
  await turn()
  assert.equal(engines.length, 1)
  engine().hooks.onNotReplaced()
  await Promise.all(refused)
  for (const { threads } of clients) await threads.close()
  const booted = client('z').boot()
  const next = await begun(1)
  next.ready()
  await booted
})

test('each hears its own messages alone, and none after it has left', BOUNDED, async t => {
  const { engine, joined, happened } = bench(t)
  const x = await joined('x')
  await joined('y')
  const say = async (client: number) => {
    engine().ports[0]?.postMessage({ kind: 'log', client, level: 'info', message: 'm', fields: {} })
    for (let i = 0; i < 5; i++) await turn()
  }
  await say(1)
  await say(0)
  assert.deepEqual(happened.splice(0), ['y message 0 log', 'x message 0 log'])
  await x.close()
  await say(0)
  await say(7)
  assert.deepEqual(happened, [])
})

test('each hears of every thread’s end, and of what ends the pool', BOUNDED, async t => {
  const { engine, joined, happened } = bench(t)
  const [x] = [await joined('x'), await joined('y')]
  await x.kill(0)
  engine().ready()
  for (let i = 0; i < 10; i++) await turn()
  engine().hooks.onNotReplaced()
  assert.deepEqual(happened, [
    'x killed 0',
    'y killed 0',
    'x exit 0',
    'y exit 0',
    'x replaced 0',
    'y replaced 0',
    'x broken POOL_BROKEN',
    'y broken POOL_BROKEN'
  ])
})

test('each hears whose fault a thread’s end was, as it sees it', BOUNDED, async t => {
  const { engine, client, joined, faults } = bench(t, 2)
  const [x, y] = [await joined('x'), await joined('y')]
  // Of a consumer whose threads are up, and whose code has run on none.
  await client('z').boot()
  const replace = async () => {
    engine().ready()
    for (let i = 0; i < 10; i++) await turn()
  }
  const assign = { kind: 'assign', topicId: 't', partition: 0, epoch: 1 } as const
  const done = async (threads: Threads) => {
    const assigned = threads.run(1, assign)
    engine().runs.at(-1)?.resolve({ kind: 'done' })
    await assigned
  }
  const end = async () => {
    engine().workers().at(-1)?.emit('error', new Error('late'))
    await engine().workers().at(-1)?.terminate()
    await replace()
    return faults.splice(0)
  }
  assert.deepEqual(await end(), ['x unknown', 'y unknown', 'z unknown'], 'nothing had run there')
  await done(x)
  assert.deepEqual(await end(), ['x own', 'y none', 'z none'])
  await done(x)
  await done(y)
  assert.deepEqual(await end(), ['x unknown', 'y unknown', 'z none'])
  await done(x)
  y.run(1, assign).catch(() => undefined)
  assert.deepEqual(await end(), ['x others', 'y work', 'z none'])
  await done(x)
  await done(y)
  await x.close()
  assert.deepEqual(await end(), ['y unknown', 'z none'], 'what has left may have left something behind')
  y.run(1, assign).catch(() => undefined)
  await y.kill(1)
  await replace()
  assert.deepEqual(faults, ['y none', 'z none'])
})

test('tasks and aborts carry the number of their consumer', BOUNDED, async t => {
  const { engine, joined } = bench(t)
  const [x, y] = [await joined('x'), await joined('y')]
  for (const threads of [y, x]) threads.run(0, { kind: 'stop' }).catch(() => undefined)
  assert.deepEqual(
    engine().runs.map(({ task }) => task),
    [
      { kind: 'stop', client: 1 },
      { kind: 'stop', client: 0 }
    ]
  )
  const posted: unknown[] = []
  engine().ports[0]?.on('message', message => posted.push(message))
  y.post(0, { kind: 'abort', batchId: 4, attempt: 1, reason: 'r' })
  for (let i = 0; i < 5; i++) await turn()
  assert.deepEqual(posted, [{ kind: 'abort', batchId: 4, attempt: 1, reason: 'r', client: 1 }])
})

test('a consumer that leaves with something running takes that thread along, and no other', BOUNDED, async t => {
  const { engine, joined, happened } = bench(t, 2)
  const [x, y] = [await joined('x'), await joined('y')]
  const stuck = x.run(1, { kind: 'stop' })
  stuck.catch(() => happened.push('x lost'))
  const done = x.run(0, { kind: 'stop' })
  engine().runs[1]?.resolve({ kind: 'done' })
  await done
  const other = y.run(1, { kind: 'stop' })
  other.catch(() => happened.push('y lost'))
  await x.close()
  await turn()
  assert.deepEqual(happened, ['y killed 1', 'y exit 1', 'x lost', 'y lost'])
})

test('I4: a thread that does not exit is told to the one that leaves and to all that stay', BOUNDED, async t => {
  const { engine, joined, happened } = bench(t, 1, 20)
  const [x] = [await joined('x'), await joined('y')]
  const [worker] = engine().workers()
  assert.ok(worker !== undefined)
  const terminate = worker.terminate.bind(worker)
  worker.terminate = () => new Promise(() => undefined)
  x.run(0, { kind: 'stop' }).catch(() => undefined)
  await assert.rejects(x.close(), { code: 'THREAD_STUCK' })
  assert.deepEqual(happened, ['y killed 0', 'y broken THREAD_STUCK'])
  await terminate()
})

test(
  'a consumer that joins while a thread is being replaced waits for it, and is told nothing before',
  BOUNDED,
  async t => {
    const { engine, client, joined, happened } = bench(t, 2)
    const x = await joined('x')
    await x.kill(1)
    const y = client('y')
    const booted = y.boot().then(() => happened.push('y booted'))
    for (let i = 0; i < 10; i++) await turn()
    assert.ok(!happened.includes('y booted'))
    engine().ready()
    await booted
    assert.deepEqual(happened.slice(2), ['x replaced 1', 'y booted'])
  }
)

test('consumers begin on different threads, with so many batches each', BOUNDED, async t => {
  const { client } = bench(t, 2)
  const [x, y, z] = [client('x').threads, client('y').threads, client('z').threads]
  assert.deepEqual([x.firstThread, y.firstThread, z.firstThread], [0, 1, 0])
  for (const threads of [x, y, z]) {
    assert.deepEqual([threads.count, threads.batchesPerThread], [2, BATCHES_PER_THREAD])
  }
})

test('what concerns all is in the log of each that uses the threads, and of no other', BOUNDED, async t => {
  const { members, joined } = bench(t)
  const logs = [createKeptLog(), createKeptLog()]
  const [here, gone] = logs
  assert.ok(here !== undefined && gone !== undefined)
  await joined('x')
  const handlers = { onMessage() {}, onKilled() {}, onFailing() {}, onExit() {}, onReplaced() {}, onBroken() {} }
  const stayer = members.client(here)
  await stayer.boot(handlers)
  const leaver = members.client(gone)
  await leaver.boot(handlers)
  await leaver.close()
  t.after(() => stayer.close())
  members.warn('a thread has failed', { error: 'oops' })
  assert.deepEqual(
    [here.lines, gone.lines],
    [[{ level: 'warn', message: 'a thread has failed', fields: { error: 'oops' } }], []]
  )
})

test('all share one scout, which ends with the last of them', BOUNDED, async t => {
  const { members, joined, happened } = bench(t)
  const ask = () => members.scout(bodyOf('x'), 1000)
  assert.equal(await ask(), undefined, 'nobody’s threads are up')
  const [x, y] = [await joined('x'), await joined('y')]
  assert.deepEqual([await ask(), await ask()], [5n, 5n])
  await x.close()
  assert.equal(await ask(), 5n)
  await y.close()
  assert.equal(await ask(), undefined)
  assert.deepEqual(happened, ['scout boots', 'scout closes', 'y exit 0'])
})

test('close is one end, however often it is asked for', BOUNDED, async t => {
  const { joined, engine } = bench(t)
  const x = await joined('x')
  const y = await joined('y')
  await Promise.all([x.close(), x.close()])
  await x.close()
  assert.equal(engine().workers().length, 1, 'nobody else’s end')
  await Promise.all([y.close(), y.close()])
  assert.equal(engine().workers().length, 0)
})
