import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { BatchTask, FromThread, StartTask } from '../../src/dispatch/messages.ts'
import { createThreads, type ThreadsOptions } from '../../src/dispatch/pool.ts'
import { describeEnd } from '../../src/dispatch/thread-end.ts'
import { workerEnvironment } from '../../src/dispatch/worker-environment.ts'
import { realClock, realTimers } from '../../src/real-world.ts'
import type { ThreadEnd, Threads, Timers } from '../../src/world.ts'
import { batchTask, messagesOf, responseText } from '../workers/bodies.ts'

const RUN_BATCH = new URL('../../workers/run-batch.js', import.meta.url)
const BOUNDED = { timeout: 20_000 }
let folder = ''
let moduleCount = 0

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-pool-'))
})
after(() => rm(folder, { recursive: true }))

type Happening = readonly [
  kind: 'exit' | 'failing' | 'replaced' | 'broken' | 'message' | 'rejected' | 'killing' | 'killed',
  what: unknown
]

interface Bench {
  readonly threads: Threads
  /** All that happened, in order. */
  readonly happened: Happening[]
  /** The first happening of a kind, once there is one. */
  readonly when: (kind: Happening[0], what?: unknown) => Promise<Happening>
  readonly log: string[]
  /** How threads ended. */
  readonly ends: ThreadEnd[]
  /** What must be let go before the pool can close. */
  readonly letGo: (() => Promise<void>)[]
}

function bench(t: TestContext, options: Partial<ThreadsOptions> = {}): Bench & { boot: () => Promise<void> } {
  const happened: Happening[] = []
  const waiting = new Set<() => void>()
  const log: string[] = []
  const ends: ThreadEnd[] = []
  const letGo: (() => Promise<void>)[] = []
  const note = (...happening: Happening) => {
    happened.push(happening)
    for (const look of waiting) look()
  }
  const line = (message: string, fields?: object) => void log.push(`${message} ${JSON.stringify(fields)}`)
  const threads = createThreads({
    count: 1,
    batchesPerThread: 4,
    threadExitMs: 10_000,
    env: process.env,
    log: { debug: line, info: line, warn: line, error: line },
    clock: realClock,
    timers: realTimers,
    ...options
  })
  // An idle pool lets the process end: what is awaited here would never come.
  const stayUp = setInterval(() => {}, 60_000)
  t.after(async () => {
    clearInterval(stayUp)
    for (const release of letGo) await release()
    await threads.close()
  })
  return {
    threads,
    happened,
    log,
    ends,
    letGo,
    boot: () =>
      threads.boot({
        onMessage: (thread, message) => note('message', `${thread} ${told(message)}`),
        onKilled: thread => note('killing', thread),
        onFailing: thread => note('failing', thread),
        onExit: (thread, end) => {
          ends.push(end)
          note('exit', thread)
        },
        onReplaced: thread => note('replaced', thread),
        onBroken: error => note('broken', 'code' in error ? error.code : error)
      }),
    when: (kind, what) =>
      new Promise(resolve => {
        const look = () => {
          const found = happened.find(
            happening => happening[0] === kind && (what === undefined || happening[1] === what)
          )
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      })
  }
}

function told(message: FromThread): string {
  return message.kind === 'log' ? message.message : message.kind
}

async function booted(t: TestContext, options: Partial<ThreadsOptions> = {}): Promise<Bench> {
  const made = bench(t, options)
  await made.boot()
  return made
}

const LEASE = new SharedArrayBuffer(8)
new Float64Array(LEASE)[0] = Number.POSITIVE_INFINITY

async function startTask(source: string, options: unknown = null): Promise<StartTask> {
  const limits = { responseBytesMax: 1 << 20, keptBytesMax: 1 << 24 }
  const file = join(folder, `processor-${moduleCount++}.mjs`)
  await writeFile(file, source)
  return {
    kind: 'start',
    processor: { file, options },
    limits,
    commitMode: 'auto',
    deadLetters: 'off',
    leaseEndMs: LEASE
  }
}

async function startAll(threads: Threads, source: string, options: unknown = null): Promise<StartTask> {
  const task = await startTask(source, options)
  for (let thread = 0; thread < threads.count; thread++) {
    assert.deepEqual(await threads.run(thread, task), { kind: 'done' })
  }
  return task
}

const someLogs = (overrides: Partial<BatchTask> = {}) =>
  batchTask(responseText(101n, messagesOf({ a: '1' })), overrides)

async function resultOf(threads: Threads, thread: number): Promise<unknown> {
  const answer = await threads.run(thread, someLogs())
  assert.ok(
    answer.kind === 'processed',
    JSON.stringify(answer, (_, value) => `${value}`)
  )
  return answer.result
}

test('each task runs on the thread that it is addressed to', BOUNDED, async t => {
  const { threads } = await booted(t, { count: 3 })
  await startAll(threads, 'import { threadId } from "node:worker_threads"; export default () => threadId')
  const ids = [await resultOf(threads, 0), await resultOf(threads, 1), await resultOf(threads, 2)]
  assert.equal(new Set(ids).size, 3)
  for (const thread of [2, 0, 1, 1, 0, 2]) assert.equal(await resultOf(threads, thread), ids[thread])
})

test('a blocked thread keeps no other from its tasks', BOUNDED, async t => {
  const { threads, when } = await booted(t, { count: 2 })
  await startAll(
    threads,
    'export default (b, { partition, log }) => { if (partition === 9) { log.info("in"); while (true) {} } return "free" }'
  )
  const blocked = threads.run(0, someLogs({ partition: 9 }))
  blocked.catch(() => {})
  await when('message', '0 in')
  const behind = threads.run(0, someLogs())
  behind.catch(() => {})
  for (let i = 0; i < 20; i++) assert.equal(await resultOf(threads, 1), 'free')
})

test('several batches are open on one thread at a time', BOUNDED, async t => {
  const { threads } = await booted(t)
  await startAll(
    threads,
    `const open = []
     export default () => new Promise(resolve => {
       open.push(resolve)
       if (open.length === 4) for (const done of open) done('together')
     })`
  )
  const results = await Promise.all([1, 2, 3, 4].map(() => resultOf(threads, 0)))
  assert.deepEqual(results, ['together', 'together', 'together', 'together'])
})

test('what a thread said before it answered is told before the answer', BOUNDED, async t => {
  const { threads, happened } = await booted(t)
  await startAll(threads, 'export default (batch, { log }) => { for (let i = 0; i < 50; i++) log.info(String(i)) }')
  for (let round = 1; round <= 20; round++) {
    await threads.run(0, someLogs())
    assert.equal(happened.length, round * 51)
  }
  assert.deepEqual(happened[0], ['message', '0 next-offset'])
})

test('an abort reaches the batch by the port of its thread', BOUNDED, async t => {
  const { threads, when } = await booted(t, { count: 2 })
  await startAll(
    threads,
    `export default (batch, { signal, log }) => new Promise(resolve => {
       signal.addEventListener('abort', () => resolve(signal.reason.message))
       log.info('open')
     })`
  )
  const task = someLogs()
  const answer = threads.run(1, task)
  await when('message', '1 open')
  threads.post(1, { kind: 'abort', batchId: task.batchId, attempt: 1, reason: 'revoked' })
  const aborted = await answer
  assert.ok(aborted.kind === 'processed' && aborted.result === 'revoked')
})

test('options that cannot be copied are refused, and the thread lives', BOUNDED, async t => {
  const { threads } = await booted(t)
  const task = await startTask('export default () => "up"', { onDone() {} })
  await assert.rejects(threads.run(0, task), { code: 'OPTIONS_INVALID' })
  await startAll(threads, 'export default () => "up"')
  assert.equal(await resultOf(threads, 0), 'up')
})

for (const [name, body, says] of [
  ['process.exit', 'process.exit(7)', /exit code 7/],
  [
    'an uncaught error',
    'setImmediate(() => { throw new RangeError("oops") }); return new Promise(() => {})',
    /RangeError: oops/
  ],
  [
    'a promise rejected and not awaited',
    'Promise.reject(new RangeError("oops")); return new Promise(() => {})',
    /RangeError: oops/
  ]
] as const) {
  test(`a thread that dies of ${name} is told of once, loses its runs, and is replaced`, BOUNDED, async t => {
    const { threads, happened, when } = await booted(t, { count: 2 })
    const start = await startAll(
      threads,
      `export default (batch, { partition, log }) => { if (partition !== 9) return 'alive'; log.info('last words'); ${body} }`
    )
    // A run that was lost together with the one that killed the thread.
    const lost = [threads.run(0, someLogs({ partition: 9 })), threads.run(0, someLogs({ partition: 9 }))]
    for (const run of lost) run.catch(() => happened.push(['rejected', 0]))
    await assert.rejects(Promise.all(lost), { code: 'THREAD_LOST', message: says })
    await when('replaced', 0)
    await Promise.allSettled(lost)
    assert.deepEqual(
      happened.filter(([kind]) => kind !== 'message' && kind !== 'failing').map(([kind, what]) => `${kind} ${what}`),
      ['exit 0', 'rejected 0', 'rejected 0', 'replaced 0']
    )
    assert.ok(happened.some(([, what]) => what === '0 last words'))
    assert.equal(await resultOf(threads, 1), 'alive')
    // The replacement is bare.
    assert.equal((await threads.run(0, someLogs())).kind, 'failed')
    assert.deepEqual(await threads.run(0, start), { kind: 'done' })
    assert.equal(await resultOf(threads, 0), 'alive')
  })
}

for (const [name, begin, says] of [
  ['an Error', "throw new Error('out of the blue')", 'exit code 1, of Error: out of the blue'],
  ['null', 'throw null', 'exit code 1, of thrown: null'],
  ['a value that cannot be copied', 'throw { a () {} }', /^exit code 1, of thrown: /],
  ['process.exit', 'process.exit(7)', 'exit code 7']
] as const) {
  test(`a thread that dies of ${name} without work on it is told of with its cause, and replaced`, BOUNDED, async t => {
    const { threads, happened, when, ends } = await booted(t)
    const doom = new Int32Array(new SharedArrayBuffer(4))
    await startAll(
      threads,
      `export default {
         start ({ options }) { setInterval(() => { if (Atomics.load(options, 0) === 1) { ${begin} } }, 1) },
         process () {}
       }`,
      doom
    )
    Atomics.store(doom, 0, 1)
    await when('replaced')
    assert.deepEqual(
      happened.filter(([kind]) => kind !== 'failing'),
      [
        ['exit', 0],
        ['replaced', 0]
      ]
    )
    assert.equal(happened[0]?.[0], begin.startsWith('throw') ? 'failing' : 'exit')
    const [end] = ends
    assert.ok(end !== undefined && end.fault === 'own' && end.idleCount === 1)
    assert.match(describeEnd(end), typeof says === 'string' ? new RegExp(`^${says}$`) : says)
  })
}

test('a thread that dies of null under a batch loses it, and no more', BOUNDED, async t => {
  const { threads, ends } = await booted(t)
  await startAll(threads, 'export default () => { setImmediate(() => { throw null }); return new Promise(() => {}) }')
  await assert.rejects(threads.run(0, someLogs()), { code: 'THREAD_LOST', message: /exit code 1, of thrown: null/ })
  assert.equal(ends[0]?.fault, 'work')
})

test('I2: a thread in an endless loop is killed; its run rejects after its exit', BOUNDED, async t => {
  const { threads, happened, when } = await booted(t)
  const start = await startAll(
    threads,
    'export default (b, { log, partition }) => { log.info("in"); while (partition === 9) {} return 1 }'
  )
  const run = threads.run(0, someLogs({ partition: 9 }))
  run.catch(() => happened.push(['rejected', 0]))
  await when('message', '0 in')
  await threads.kill(0)
  assert.ok(
    happened.some(([kind]) => kind === 'exit'),
    'kill resolves at the exit, not before'
  )
  await assert.rejects(run, { code: 'THREAD_LOST' })
  await when('replaced')
  assert.deepEqual(
    happened.map(([kind]) => kind).filter(kind => kind !== 'message'),
    ['killing', 'exit', 'rejected', 'replaced']
  )
  await threads.run(0, start)
  assert.equal(await resultOf(threads, 0), 1)
})

const turn = () => new Promise(resolve => setImmediate(resolve))

/** A batch that blocks in a system call, where no thread can be terminated, until it is let go. */
async function blockThread(
  t: TestContext,
  { threads, letGo }: Bench
): Promise<{ readonly run: Promise<unknown>; readonly release: () => Promise<void> }> {
  const fifo = join(folder, `fifo-${moduleCount++}`)
  await promisify(execFile)('mkfifo', [fifo])
  await startAll(
    threads,
    "import { readFileSync } from 'node:fs'; export default (b, { options }) => readFileSync(options, 'utf8')",
    fifo
  )
  const run = threads.run(0, someLogs())
  for (;;) {
    t.signal.throwIfAborted()
    // Refused until the thread has the other end open; from then on it is in a call that ends when this end closes.
    const end = await open(fifo, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined)
    if (end !== undefined) {
      const release = () => end.close()
      letGo.push(release)
      return { run, release }
    }
    await turn()
  }
}

test('I2: a killed thread that cannot exit yet still counts as running', BOUNDED, async t => {
  const made = await booted(t)
  const { threads, happened } = made
  const { run, release } = await blockThread(t, made)
  run.catch(() => happened.push(['rejected', 'the open run']))
  const kill = threads.kill(0)
  const killed = kill.then(() => happened.push(['killed', 0]))
  threads.run(0, someLogs()).catch(() => happened.push(['rejected', 'a later run']))
  for (let i = 0; i < 100; i++) await turn()
  const before = [
    ['message', '0 next-offset'],
    ['killing', 0]
  ]
  assert.deepEqual(happened, before, 'the exit is still to come')
  await release()
  await killed
  await assert.rejects(run, { code: 'THREAD_LOST' })
  await turn()
  const [, , first, ...rest] = happened.map(String)
  assert.equal(first, 'exit,0')
  assert.deepEqual(rest.filter(what => what !== 'replaced,0').sort(), [
    'killed,0',
    'rejected,a later run',
    'rejected,the open run'
  ])
})

test('a thread that does not exit in time is THREAD_STUCK, told to the killer and to the handler', BOUNDED, async t => {
  const made = await booted(t, { threadExitMs: 50 })
  const { threads, happened, when } = made
  const { run, release } = await blockThread(t, made)
  run.catch(() => happened.push(['rejected', 'the open run']))
  await assert.rejects(threads.kill(0), { code: 'THREAD_STUCK' })
  // What the thread said before it blocked comes by its port, when it comes.
  assert.deepEqual(
    happened.filter(([kind]) => kind !== 'message'),
    [
      ['killing', 0],
      ['broken', 'THREAD_STUCK']
    ]
  )
  await release()
  await when('exit')
})

test('killing a thread twice, or one that has ended, is one end', BOUNDED, async t => {
  const { threads, happened, when } = await booted(t)
  await Promise.all([threads.kill(0), threads.kill(0)])
  await threads.kill(0)
  await when('replaced')
  assert.deepEqual(happened, [
    ['killing', 0],
    ['exit', 0],
    ['replaced', 0]
  ])
})

test('a killed idle thread is replaced, again and again', BOUNDED, async t => {
  const { threads, happened, when } = await booted(t, { count: 2 })
  for (let round = 1; round <= 3; round++) {
    await threads.kill(1)
    await when('replaced')
    assert.deepEqual(happened.splice(0), [
      ['killing', 1],
      ['exit', 1],
      ['replaced', 1]
    ])
  }
  await startAll(threads, 'export default () => "up"')
  assert.equal(await resultOf(threads, 1), 'up')
})

test('a message to a thread that is gone is dropped', BOUNDED, async t => {
  const { threads } = await booted(t)
  const kill = threads.kill(0)
  threads.post(0, { kind: 'abort', batchId: 1, attempt: 1, reason: 'x' })
  await kill
  threads.post(0, { kind: 'abort', batchId: 1, attempt: 1, reason: 'x' })
})

for (const [name, source] of [
  ['throws', 'throw new Error("no boot")'],
  ['exits', 'process.exit(3)'],
  ['exports nothing', 'export {}'],
  ['answers nonsense', 'export default () => ({ kind: "failed" })']
] as const) {
  test(`a pool whose module ${name} does not boot`, BOUNDED, async t => {
    const file = join(folder, `boot-${name.replace(' ', '-')}.mjs`)
    await writeFile(file, source)
    // Boot timers that are never turned: it must be seen at once.
    const made = bench(t, { count: 2, file: pathToFileURL(file), timers: bootTimers().timers, threadBootMs: 1234 })
    await assert.rejects(made.boot(), { code: 'POOL_BROKEN' })
    assert.deepEqual(made.happened, [])
  })
}

/** Timers of which those of boot are turned by hand. */
function bootTimers(): { readonly timers: Timers; readonly turn: () => void } {
  const due = new Set<() => void>()
  const after: Timers['after'] = (delayMs, fire) => {
    assert.equal(delayMs, 1234, 'only boots are timed so')
    due.add(fire)
    return { cancel: () => due.delete(fire) }
  }
  return { timers: { ...realTimers, after }, turn: () => due.forEach(fire => void fire()) }
}

test('a pool whose module never loads does not boot, within threadBootMs', BOUNDED, async t => {
  const file = join(folder, 'boot-never.mjs')
  await writeFile(file, 'await new Promise(() => setInterval(() => {}, 1000))')
  const { timers, turn: turnClock } = bootTimers()
  const boot = bench(t, { timers, threadBootMs: 1234, file: pathToFileURL(file) }).boot()
  turnClock()
  await assert.rejects(boot, { code: 'POOL_BROKEN', message: /1234 ms/ })
})

test('threads that are up are not overdue', BOUNDED, async t => {
  const { timers, turn: turnClock } = bootTimers()
  const { threads, happened, when } = await booted(t, { count: 2, timers, threadBootMs: 1234 })
  turnClock()
  await threads.kill(0)
  await when('replaced')
  turnClock()
  assert.ok(!happened.some(([kind]) => kind === 'broken'))
})

for (const [name, then] of [
  ['throws', 'throw new Error("no boot")'],
  ['exits', 'process.exit(3)'],
  ['never comes up', 'await new Promise(() => setInterval(() => {}, 1000))']
] as const) {
  test(`a replacement that ${name} breaks the pool, and says so once`, BOUNDED, async t => {
    const flag = join(folder, `flag-${name.replaceAll(' ', '-')}`)
    const file = `${flag}.mjs`
    await writeFile(
      file,
      `import { existsSync } from 'node:fs'
       if (existsSync(${JSON.stringify(flag)})) { ${then} }
       const { default: run } = await import(${JSON.stringify(RUN_BATCH.href)})
       export default run`
    )
    const { timers, turn: turnClock } = bootTimers()
    const { threads, happened, when } = await booted(t, {
      count: 2,
      file: pathToFileURL(file),
      timers,
      threadBootMs: 1234
    })
    await writeFile(flag, '')
    await threads.kill(0)
    if (name === 'never comes up') turnClock()
    await when('broken')
    assert.deepEqual(happened, [
      ['killing', 0],
      ['exit', 0],
      ['broken', 'POOL_BROKEN']
    ])
    await assert.rejects(threads.run(0, someLogs()), { code: 'THREAD_LOST' })
  })
}

test('close ends every thread, loses what runs, and resolves after the last exit', BOUNDED, async t => {
  const { threads, happened, when } = await booted(t, { count: 2 })
  await startAll(threads, 'export default (b, { log }) => { log.info("in"); while (true) {} }')
  const run = threads.run(1, someLogs())
  const lost = assert.rejects(run, { code: 'THREAD_LOST' })
  await when('message', '1 in')
  await threads.close()
  assert.deepEqual(happened.flatMap(([kind, what]) => (kind === 'message' ? [] : [`${kind} ${what}`])).sort(), [
    'exit 0',
    'exit 1'
  ])
  await lost
  await assert.rejects(threads.run(0, someLogs()), { code: 'THREAD_LOST' })
  await threads.close()
})

test('close while a thread is dying ends it and its replacement too', BOUNDED, async t => {
  const { threads, happened } = await booted(t, { count: 2 })
  const kill = threads.kill(0)
  await threads.close()
  await kill
  assert.equal(happened.filter(([kind]) => kind === 'exit').length, 2)
  assert.ok(!happened.some(([kind]) => kind === 'replaced' || kind === 'broken'))
})

test('close while the pool boots ends the boot', BOUNDED, async t => {
  const made = bench(t, { count: 2 })
  const boot = made.boot()
  const ended = assert.rejects(boot, { code: 'POOL_BROKEN' })
  await made.threads.close()
  await ended
})

test('a pool that never booted closes', BOUNDED, async t => {
  await bench(t).threads.close()
})

test("I9: no secret reaches a worker's environment, the rest does", BOUNDED, async t => {
  const secrets = { CLS_SECRET_ID: 'id', CLS_SECRET_KEY: 'key', CLS_TOKEN: 'token', TENCENTCLOUD_SECRET_KEY: 'key2' }
  const { threads } = await booted(t, { env: { ...process.env, ...secrets, CLS_REGION: 'ap-guangzhou' } })
  await startAll(threads, 'export default () => ({ ...process.env })')
  const env = await resultOf(threads, 0)
  assert.ok(typeof env === 'object' && env !== null)
  for (const name of Object.keys(secrets)) assert.equal(name in env, false, name)
  assert.equal(Reflect.get(env, 'CLS_REGION'), 'ap-guangzhou')
  assert.deepEqual(workerEnvironment({ cls_secret_key: 'k', TencentCloud_Token: 't', A: undefined, B: 'b' }), {
    B: 'b'
  })
})

test('the event loop of an idle thread runs on', BOUNDED, async t => {
  const { threads, when } = await booted(t)
  await startAll(
    threads,
    'export default { start ({ log }) { setTimeout(() => log.info("tick"), 20) }, process () {} }'
  )
  await when('message', '0 tick')
})

test('an idle pool does not keep the process up, and a task does', BOUNDED, async () => {
  const start = await startTask(
    'export default { start: () => new Promise(resolve => setTimeout(resolve, 200)), process () {} }'
  )
  const script = join(folder, 'main.mjs')
  const done = join(folder, 'main-done')
  const here = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  await writeFile(
    script,
    `import { writeFileSync } from 'node:fs'
     import { createThreads } from ${here('../../src/dispatch/pool.js')}
     import { realClock, realTimers } from ${here('../../src/real-world.js')}
     const line = () => {}
     const threads = createThreads({ count: 2, batchesPerThread: 4, threadExitMs: 5000, env: process.env,
       log: { debug: line, info: line, warn: line, error: line }, clock: realClock, timers: realTimers })
     await threads.boot({ onMessage () {}, onKilled () {}, onFailing () {}, onExit () {}, onReplaced () {}, onBroken () {} })
     await threads.run(0, { kind: 'start', processor: ${JSON.stringify(start.processor)},
       limits: { responseBytesMax: 1000, keptBytesMax: 1000 }, leaseEndMs: new SharedArrayBuffer(8) })
     writeFileSync(${JSON.stringify(done)}, 'done')`
  )
  await promisify(execFile)(process.execPath, [script], {
    timeout: 10_000,
    cwd: fileURLToPath(new URL('.', import.meta.url))
  })
  assert.equal(await readFile(done, 'utf8'), 'done')
})

test(
  'how long a thread was busy is told while it is in a call that does not return, and not of one that waits',
  BOUNDED,
  async t => {
    const made = await booted(t, { count: 2 })
    const { threads } = made
    const { run, release } = await blockThread(t, made)
    const [blocked, idle] = [threads.work(0).busyMs, threads.work(1).busyMs]
    const beganMs = realClock.monotonic()
    // The thread goes on being blocked for as long as this test likes.
    while (threads.work(0).busyMs < blocked + 300) await realTimers.sleep(10, t.signal)
    const elapsedMs = realClock.monotonic() - beganMs
    assert.ok(threads.work(0).busyMs - blocked <= elapsedMs + 10, 'as long as it was')
    assert.ok(threads.work(1).busyMs - idle < 0.5 * elapsedMs, 'the other waits for its work')
    await release()
    await run
    assert.ok(threads.work(0).batchMs >= 300, 'and what the batch took counts once it has ended')
  }
)
