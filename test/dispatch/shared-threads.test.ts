/** Consumers on shared threads, with real threads: what one does must not disturb another. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { SharedThreads, type SharedThreadsOptions } from '../../src/dispatch/shared-threads.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { realClock, realTimers } from '../../src/real-world.ts'
import { createKeptLog } from '../cls/fakes.ts'
import { ATTEMPTS, BOUNDED, folder, PARTITION, processorFile, sharers } from './real-dispatch.ts'

describe('consumers on shared threads', () => {
  test(
    'a processor that hangs is terminated, and the other consumer’s batch runs again after start and assign',
    BOUNDED,
    async t => {
      const { consumer } = sharers(t, { threads: 1 })
      const x = await consumer('export default (b, { log }) => { log.info("in"); while (true) {} }')
      const y = await consumer(`
      export default class {
        constructor () { this.seen = [] }
        start () { this.seen.push('start') }
        assign ({ partition }) { if (partition === 0) this.seen.push('assign') }
        process (batch, { attempt, log }) {
          this.seen.push('process')
          log.info('in')
          return attempt === 1 ? new Promise(() => {}) : this.seen
        }
      }`)
      y.enqueue()
      await y.said('in')
      x.enqueue()
      await x.said('in')
      await x.dispatcher.drain(PARTITION, 0, 'lost')
      const [answer] = await y.answers(1)
      assert.deepEqual(answer, { batchId: 1, result: ['start', 'assign', 'process'] })
      assert.deepEqual([y.retried, y.broken], [[], []])
    }
  )

  test('a consumer that stops leaves the state of the other on the threads as it is', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 2 })
    const counting = 'export default class { process () { this.calls = (this.calls ?? 0) + 1; return this.calls } }'
    const x = await consumer(counting)
    const y = await consumer(counting)
    for (const each of [x, y]) {
      each.enqueue()
      await each.answers(1)
    }
    await x.stop()
    y.enqueue()
    assert.deepEqual(
      (await y.answers(2)).map(({ result }) => result),
      [1, 2]
    )
    assert.deepEqual(y.broken, [])
  })

  test(
    'a start that throws is the error of its own consumer; the other goes on, its threads untouched',
    BOUNDED,
    async t => {
      const { consumer } = sharers(t, { threads: 2 })
      const y = await consumer('import { threadId } from "node:worker_threads"; export default () => threadId')
      y.enqueue()
      const [before] = await y.answers(1)
      await assert.rejects(consumer('export default { start () { throw new Error("no disk") }, process () {} }'), {
        code: 'PROCESSOR_START_FAILED',
        message: /no disk/
      })
      y.enqueue()
      const [, after] = await y.answers(2)
      assert.equal(after?.result, before?.result)
    }
  )

  test(
    'a start that never returns costs its consumer the start, and the thread it blocks is replaced',
    BOUNDED,
    async t => {
      const { consumer } = sharers(t, { threads: 1 })
      const y = await consumer('export default () => "up"')
      const blocked = consumer('export default { start () { while (true) {} }, process () {} }', { hookTimeoutMs: 100 })
      await assert.rejects(blocked, { code: 'PROCESSOR_STUCK', message: /hookTimeoutMs/ })
      y.enqueue()
      assert.equal((await y.answers(1))[0]?.result, 'up')
    }
  )

  test('a consumer that starts while a thread is being replaced starts, works and stops', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 2 })
    const x = await consumer('export default () => "up"')
    const killed = x.threads.kill(0)
    const y = await consumer('export default () => "up"')
    await killed
    y.enqueue()
    assert.equal((await y.answers(1))[0]?.result, 'up')
    await y.stop()
    assert.deepEqual([x.broken, y.broken, y.lines], [[], [], []])
  })

  for (const [name, hang] of [
    ['blocks its thread', 'while (true) {}'],
    ['waits for ever', 'return new Promise(() => {})']
  ] as const) {
    test(
      `I8: a consumer that is stopped while its start ${name} ends after abortGraceMs; the other goes on`,
      BOUNDED,
      async t => {
        const { consumer, idle } = sharers(t, { threads: 1 })
        const y = await consumer('export default () => "up"')
        // Its limit is longer than the test's.
        const x = await idle(`export default { start ({ log }) { log.info('in'); ${hang} }, process () {} }`, {
          abortGraceMs: 50,
          hookTimeoutMs: 60_000
        })
        const stopping = new AbortController()
        const rejected = assert.rejects(x.start(stopping.signal), { code: 'CONSUMER_STATE' })
        await x.said('in')
        stopping.abort(new ClsConsumerError('CONSUMER_STATE', 'the consumer is stopping'))
        await rejected
        assert.deepEqual([x.broken, x.lines], [[], ['in', 'terminating a thread whose start does not return']])
        y.enqueue()
        assert.deepEqual([(await y.answers(1))[0]?.result, y.broken], ['up', []])
      }
    )
  }

  test('a stop that never returns does not keep the other from its thread', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 1 })
    const y = await consumer('export default () => "up"')
    const x = await consumer('export default { process () {}, stop () { while (true) {} } }', { hookTimeoutMs: 100 })
    await x.stop()
    y.enqueue()
    assert.equal((await y.answers(1))[0]?.result, 'up')
  })

  test('consumers with one processor file have their own options each', BOUNDED, async t => {
    const { consumer, write } = sharers(t, { threads: 1 })
    const file = await write('export default (batch, { options }) => options.name')
    const x = await consumer({ file, options: { name: 'x' } })
    const y = await consumer({ file, options: { name: 'y' } })
    for (const [each, name] of [
      [x, 'x'],
      [y, 'y']
    ] as const) {
      each.enqueue()
      assert.equal((await each.answers(1))[0]?.result, name)
    }
  })

  test(
    'a thread that dies by itself is a failed attempt for each consumer with a batch there, retried',
    BOUNDED,
    async t => {
      const { consumer } = sharers(t, { threads: 1 })
      const y = await consumer(
        'export default (b, { attempt, log }) => { log.info("in"); return attempt === 1 ? new Promise(() => {}) : "again" }'
      )
      const x = await consumer(
        'export default (b, { attempt }) => { if (attempt === 1) process.exit(7); return "again" }'
      )
      y.enqueue()
      await y.said('in')
      x.enqueue()
      for (const each of [x, y]) {
        assert.equal((await each.answers(1))[0]?.result, 'again')
        assert.deepEqual([each.retried, each.broken], [['1 THREAD_LOST'], []])
      }
    }
  )

  test('batches of all are open on one thread, so many for each', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 1, batchesPerThread: 2 })
    const gate = new Int32Array(new SharedArrayBuffer(4))
    const source = `export default async (b, { options, log }) => {
      log.info('in')
      while (Atomics.load(options, 0) === 0) await new Promise(resolve => setTimeout(resolve, 5))
    }`
    const both = [await consumer(source, {}, gate), await consumer(source, {}, gate)]
    for (const each of both) for (const partition of [0, 1, 2]) each.enqueue(partition)
    for (const each of both) await each.said('in', 2)
    assert.deepEqual(
      both.map(each => each.openCount()),
      [2, 2]
    )
    Atomics.store(gate, 0, 1)
    for (const each of both) await each.answers(3)
  })

  test('threads boot with the first consumer, end with the last, and boot anew', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 1 })
    const source = 'import { threadId } from "node:worker_threads"; export default () => threadId'
    const ids: unknown[] = []
    for (let life = 0; life < 2; life++) {
      const x = await consumer(source)
      const y = await consumer(source)
      for (const each of [x, y]) each.enqueue()
      ids.push((await x.answers(1))[0]?.result, (await y.answers(1))[0]?.result)
      await Promise.all([x.stop(), y.stop()])
    }
    const [first, second, third, fourth] = ids
    assert.ok(first === second && third === fourth && first !== third, `${ids}`)
  })
})

describe('code that nobody awaits, on shared threads', () => {
  const QUIET = 'export default () => "quiet"'
  /** It fails soon after `process` has returned, or after `start` has. */
  const late = (hook: string) => `export default {
    start () { if (${hook === 'start'}) this.late() },
    process () { if (${hook === 'process'}) this.late(); return 'done' },
    late () { setTimeout(() => { throw new Error('late') }, 5) }
  }`
  const LINE = 'a shared thread ended by itself, of code that a processor had started and not awaited'

  test('a thread that it ends is told at error to each, replaced, and goes on', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 1 })
    const x = await consumer(late('process'))
    const y = await consumer(QUIET)
    for (let round = 1; round <= 2 * ATTEMPTS; round++) {
      x.enqueue()
      await x.answers(round)
      for (const each of [x, y]) await each.said(LINE, round)
      // Each processed batch begins the count anew: the consumer that is not to blame gets its work done.
      y.enqueue()
      await y.answers(round)
    }
    assert.deepEqual([x.broken, y.broken, x.retried, y.retried], [[], [], [], []])
  })

  test('I8: threads that it ends one after another stop every consumer after `attempts`', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 1 })
    const y = await consumer(QUIET)
    const x = await consumer(late('start'))
    for (const each of [x, y]) {
      const [error] = await each.failed(1)
      assert.match(
        error ?? '',
        /ended thread 0 3 times in a row: Error: late at .*processor-\d+\.mjs:4:\d+; .*cannot be told whose/
      )
    }
    // Whoever starts later has the thread for itself, as soon as the two have left.
    await Promise.all([x.stop(), y.stop()])
    const z = await consumer(QUIET)
    z.enqueue()
    await z.answers(1)
  })

  test('a consumer that is alone on them is told that it was its own code', BOUNDED, async t => {
    const { consumer } = sharers(t, { threads: 1 })
    const x = await consumer(late('process'))
    x.enqueue()
    await x.answers(1)
    const [error] = await x.failed(1)
    assert.match(error ?? '', /^code that the processor had started and not awaited ended its thread: Error: late at /)
  })
})

test('a partition moves between threads with its state handed over by revoke and assign', BOUNDED, async t => {
  const { consumer } = sharers(t, { threads: 2 })
  const state = new Int32Array(new SharedArrayBuffer(4))
  const x = await consumer(
    `import { threadId } from 'node:worker_threads'
     export default class {
       assign (_, { options }) { this.count = Atomics.load(options, 0) }
       revoke (_, { options }) { Atomics.store(options, 0, this.count) }
       process () { this.count += 1; return [threadId, this.count] }
     }`,
    {},
    state
  )
  for (let round = 0; round < 6; round++) {
    x.enqueue()
    x.enqueue()
    const moved = await x.dispatcher.move(PARTITION, (round + 1) % 2)
    assert.ok(moved)
  }
  const answers = await x.answers(12)
  assert.deepEqual(
    answers.map(({ batchId }) => batchId),
    Array.from({ length: 12 }, (_, index) => index + 1),
    'in order'
  )
  const results = answers.map(({ result }) => result)
  assert.deepEqual(
    results.map(result => Array.isArray(result) && result[1]),
    Array.from({ length: 12 }, (_, index) => index + 1),
    'the state came along'
  )
  const threads = new Set(results.map(result => Array.isArray(result) && result[0]))
  assert.equal(threads.size, 2)
})

test('the options of shared threads are checked, with the words of the consumer’s own', () => {
  assert.throws(() => new SharedThreads({ threads: 0 }), { code: 'OPTIONS_INVALID', message: /threads is 0/ })
  const wrong: object = { batchesPerThread: 1000, thread: 1 }
  assert.throws(() => new SharedThreads(wrong), {
    code: 'OPTIONS_INVALID',
    message: /thread.*did you mean threads[\s\S]*batchesPerThread is 1000/
  })
})

test('the heap of shared threads is theirs, or Node’s own', BOUNDED, async t => {
  const file = await processorFile(
    `import { resourceLimits } from 'node:worker_threads'
     export default { start () { throw new Error(\`\${resourceLimits.maxOldGenerationSizeMb} MiB\`) }, process () {} }`
  )
  const stayUp = setInterval(() => undefined, 60_000)
  t.after(() => clearInterval(stayUp))
  const heapOf = async (options: SharedThreadsOptions): Promise<number> => {
    const log = createKeptLog()
    const user = { log, clock: realClock, timers: realTimers, env: process.env, responseBytesMax: 1e6 }
    const { threads } = new SharedThreads({ threads: 1, ...options }).client(user)
    await threads.boot({ onMessage() {}, onKilled() {}, onFailing() {}, onExit() {}, onReplaced() {}, onBroken() {} })
    const answer = await threads.run(0, {
      kind: 'start',
      processor: { file, options: null },
      limits: { responseBytesMax: 1000, keptBytesMax: 1000 },
      commitMode: 'auto',
      deadLetters: 'off',
      leaseEndMs: new SharedArrayBuffer(8)
    })
    await threads.close()
    assert.ok(answer.kind === 'failed', answer.kind)
    return Number(/(\d+) MiB/.exec(answer.failure.message)?.[1])
  }
  assert.equal(await heapOf({ threadHeapMb: 64 }), 64)
  assert.ok((await heapOf({})) > 200)
})

test('idle shared threads and an idle scout do not keep the process up', BOUNDED, async () => {
  const script = join(folder(), 'idle.mjs')
  const file = await processorFile('export default () => {}')
  const here = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  await writeFile(
    script,
    `import { SharedThreads } from ${here('../../src/dispatch/shared-threads.js')}
     import { realClock, realTimers } from ${here('../../src/real-world.js')}
     const line = () => {}
     const log = { debug: line, info: line, warn: line, error: line }
     const shared = new SharedThreads({ threads: 1 })
     const { threads, scout } = shared.client({ log, clock: realClock, timers: realTimers, env: process.env, responseBytesMax: 1e6 })
     await threads.boot({ onMessage () {}, onKilled () {}, onFailing () {}, onExit () {}, onReplaced () {}, onBroken () {} })
     await threads.run(0, { kind: 'start', processor: { file: ${JSON.stringify(file)}, options: null },
       limits: { responseBytesMax: 1000, keptBytesMax: 1000 }, commitMode: 'auto', deadLetters: 'off', leaseEndMs: new SharedArrayBuffer(8) })
     const text = Buffer.from('{"Response":{"Message":[],"NextOffset":42}}')
     const bytes = new SharedArrayBuffer(text.length)
     new Uint8Array(bytes).set(text)
     console.log(String(await scout.nextOffset({ bytes, byteCount: text.length, compression: 'none', requestId: 'r' })))`
  )
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 10_000 })
  assert.equal(stdout, '42\n')
})
