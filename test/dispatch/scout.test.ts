import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { PoolHandlers } from '../../src/dispatch/engine.ts'
import type { AnyAnswer, HarvestedAnswer, PoolTask } from '../../src/dispatch/messages.ts'
import { createMembers } from '../../src/dispatch/pool.ts'
import { type ScoutPool, ScoutThread } from '../../src/dispatch/scout.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { realTimers } from '../../src/real-world.ts'
import { createFakeTime, createKeptLog, rejection } from '../cls/fakes.ts'
import { Calls, turn } from '../support/calls.ts'
import { bodyOf, withLateOffset } from '../support/fake-data.ts'

const BOUNDED = { timeout: 10_000 }
const LIMIT = 1000
const BODY = bodyOf(withLateOffset(7n))
const SCOUT_MS = 5000
const REST_MS = 10_000
const HARVEST_MS = 30_000
const HARVEST_CALL_MS = 120_000
const HARVESTED: HarvestedAnswer = { kind: 'harvested', nextOffset: 8n, messages: [Buffer.from('"QQ=="')] }
const HARVEST = { nextOffset: 8n, messages: [Buffer.from('"QQ=="')] }

/** A scout whose thread is the test's. */
function bench() {
  const time = createFakeTime()
  const log = createKeptLog()
  const runs = new Calls<PoolTask, AnyAnswer>()
  const happened: string[] = []
  let handlers: PoolHandlers | undefined
  let bootError: ClsConsumerError | undefined
  let replaced: Promise<void> = Promise.resolve()
  const pool: ScoutPool = {
    async boot(given) {
      happened.push('boot')
      if (bootError !== undefined) throw bootError
      handlers = given
    },
    settled: () => replaced,
    run: (thread, task) => {
      assert.equal(thread, 0)
      return runs.make(task)
    },
    async kill() {
      happened.push('kill')
      exit()
    },
    async close() {
      happened.push('close')
    }
  }
  const exit = () => {
    const end = {
      cause: 'by-itself',
      exitCode: 1,
      error: undefined,
      atWork: new Set<number>(),
      users: new Set<number>()
    } as const
    handlers?.onExit(0, { ...end, idleCount: 1 })
    for (const run of runs.open) run.refuse(new ClsConsumerError('THREAD_LOST', 'gone'))
  }
  const scout = new ScoutThread({ clock: time.clock, timers: time.timers, log }, () => pool)
  return {
    time,
    log,
    runs,
    happened,
    scout,
    exit,
    ask: () => scout.nextOffset(BODY, LIMIT),
    harvest: () => scout.harvest(BODY, LIMIT),
    /** Until then its replacement is not up. */
    replaceAfter: (up: Promise<void>) => {
      replaced = up
    },
    failBoot: () => {
      bootError = new ClsConsumerError('POOL_BROKEN', 'no thread')
    },
    break: () => handlers?.onBroken(new ClsConsumerError('THREAD_STUCK', 'it stays')),
    answer: async (nextOffset: bigint | undefined) => {
      await turn()
      runs.only.answer({ kind: 'scouted', nextOffset })
      await turn()
    }
  }
}

describe('the scout', () => {
  test('boots at its first use, and tells what its thread finds', BOUNDED, async () => {
    const { ask, answer, happened, runs, time } = bench()
    assert.deepEqual(happened, [])
    const asked = ask()
    await answer(2n ** 60n)
    assert.equal(await asked, 2n ** 60n)
    const task = {
      kind: 'scout',
      body: BODY.bytes,
      byteCount: BODY.byteCount,
      compression: 'snappy',
      responseBytesMax: LIMIT
    }
    assert.deepEqual(runs.asks, [task])
    const again = ask()
    await answer(undefined)
    assert.equal(await again, undefined)
    assert.deepEqual(happened, ['boot'])
    assert.equal(time.pendingCount, 0, 'no timer keeps the process up')
  })

  test('unpacks one body at a time', BOUNDED, async () => {
    const { ask, answer, runs } = bench()
    const asked = [ask(), ask(), ask()]
    for (const nextOffset of [1n, 2n, 3n]) {
      await turn()
      assert.equal(runs.open.length, 1)
      await answer(nextOffset)
    }
    assert.deepEqual(await Promise.all(asked), [1n, 2n, 3n])
  })

  test('I8: a body that blocks it costs its thread, and nobody waits for longer than the limit', BOUNDED, async () => {
    const { ask, time, happened, runs } = bench()
    const asked = [ask(), ask()]
    await time.advance(SCOUT_MS)
    assert.deepEqual(await Promise.all(asked), [undefined, undefined])
    assert.deepEqual([happened, runs.all.length], [['boot', 'kill'], 1])
    assert.equal(time.pendingCount, 0)
  })

  test('I8: nobody waits for the bodies of others, and what nobody waits for is not unpacked', BOUNDED, async () => {
    const { ask, answer, time, happened, runs } = bench()
    const [first, second, third] = [ask(), ask(), ask()]
    await time.advance(SCOUT_MS - 1000)
    await answer(1n)
    assert.equal(await first, 1n)
    assert.equal(runs.all.length, 2)
    await time.advance(1000)
    assert.deepEqual([await second, await third], [undefined, undefined])
    assert.deepEqual(happened, ['boot'], 'the second body has had a second: it may take more')
    await answer(2n)
    assert.equal(runs.all.length, 2)
    const fourth = ask()
    await answer(4n)
    assert.equal(await fourth, 4n)
  })

  test(
    'I8: after the end of its thread it rests: hostile bodies cannot have threads booted without end',
    BOUNDED,
    async () => {
      const { ask, answer, exit, time, runs, log } = bench()
      const asked = ask()
      await turn()
      exit()
      assert.equal(await asked, undefined)
      assert.match(JSON.stringify(log.lines), /scout thread has ended/)
      await time.advance(REST_MS - 1)
      assert.equal(await ask(), undefined)
      assert.equal(runs.all.length, 1)
      await time.advance(1)
      const later = ask()
      await answer(9n)
      assert.equal(await later, 9n)
    }
  )

  test('those that waited behind a body that killed it go without, at once', BOUNDED, async () => {
    const { ask, exit, runs } = bench()
    const asked = [ask(), ask(), ask()]
    await turn()
    exit()
    assert.deepEqual(await Promise.all(asked), [undefined, undefined, undefined])
    assert.equal(runs.all.length, 1)
  })

  test('without its thread it answers nothing, warns once, and never rejects', BOUNDED, async () => {
    for (const way of ['boot', 'later'] as const) {
      const { ask, failBoot, happened, log, answer, ...made } = bench()
      if (way === 'boot') failBoot()
      const first = ask()
      if (way === 'later') {
        await answer(1n)
        made.break()
      }
      await first
      for (let count = 0; count < 3; count++) assert.equal(await ask(), undefined)
      assert.deepEqual(happened, ['boot'])
      assert.equal(log.lines.filter(({ message }) => message.includes('without the scout')).length, 1)
    }
  })

  test('I8: callers beyond its limit go without', BOUNDED, async () => {
    const { ask, time } = bench()
    const asked = Array.from({ length: 300 }, ask)
    assert.equal(await asked[299], undefined)
    await time.advance(SCOUT_MS)
    await Promise.all(asked)
  })

  test('closed, it ends its thread and answers nothing', BOUNDED, async () => {
    const { ask, answer, scout, happened, log } = bench()
    const asked = ask()
    await answer(5n)
    await asked
    await scout.close()
    assert.equal(await ask(), undefined)
    assert.deepEqual([happened, log.lines], [['boot', 'close'], []])
    const unused = bench()
    await unused.scout.close()
    assert.deepEqual(unused.happened, [])
  })

  test('closed, it lets go at once of all who wait, whatever its thread is at', BOUNDED, async () => {
    const { ask, harvest, scout, runs, time } = bench()
    const asked = [ask(), ask()]
    const harvested = rejection('POOL_BROKEN', harvest())
    await turn()
    assert.equal(runs.all.length, 1)
    await scout.close()
    assert.deepEqual(await Promise.all(asked), [undefined, undefined])
    await harvested
    for (const run of runs.open) run.refuse(new ClsConsumerError('THREAD_LOST', 'gone'))
    await turn()
    assert.equal(time.pendingCount, 0, 'no timer outlives the consumer')
  })
})

describe('messages for dead letters', () => {
  test('are told as the thread finds them', BOUNDED, async () => {
    const { harvest, runs, time } = bench()
    const harvested = harvest()
    await turn()
    const { ask } = runs.only
    const { bytes: body, byteCount, compression } = BODY
    assert.deepEqual(ask, { kind: 'harvest', body, byteCount, compression, responseBytesMax: LIMIT })
    runs.only.answer(HARVESTED)
    assert.deepEqual(await harvested, HARVEST)
    assert.equal(time.pendingCount, 0, 'no timer keeps the process up')
  })

  test('come one body at a time, in turn with the bodies that are scouted', BOUNDED, async () => {
    const { ask, harvest, answer, runs } = bench()
    const asked = ask()
    const harvested = [harvest(), harvest()]
    await answer(1n)
    for (const _ of harvested) {
      runs.only.answer(HARVESTED)
      await turn()
    }
    assert.deepEqual(await Promise.all([asked, ...harvested]), [1n, HARVEST, HARVEST])
  })

  test('that cannot be read are an error, in the words of the thread', BOUNDED, async () => {
    const { harvest, ask, answer, runs } = bench()
    const harvested = harvest()
    await turn()
    const place = { bytePosition: 7 }
    const failure = { code: 'BODY_CORRUPT', message: 'not JSON', stack: 'its stack', place } as const
    runs.only.answer({ kind: 'failed', stage: 'decode', failure })
    const error = await rejection('BODY_CORRUPT', harvested)
    assert.deepEqual([error.message, error.stack, error.place], ['not JSON', 'its stack', place])
    const asked = ask()
    await answer(3n)
    assert.equal(await asked, 3n, 'it costs nobody else anything')
  })

  test('of a body that its thread dies of are an error; who comes after it waits out the rest', BOUNDED, async () => {
    const { harvest, ask, exit, runs, time } = bench()
    const dying = rejection('THREAD_LOST', harvest())
    await turn()
    exit()
    await dying
    const later = harvest()
    await time.advance(REST_MS - 1)
    assert.deepEqual([runs.all.length, await ask()], [1, undefined])
    await time.advance(1)
    runs.only.answer(HARVESTED)
    assert.deepEqual(await later, HARVEST)
    assert.equal(time.pendingCount, 0)
  })

  test('wait for a replacement that takes longer than the rest', BOUNDED, async () => {
    const { harvest, exit, runs, time, replaceAfter } = bench()
    const dying = rejection('THREAD_LOST', harvest())
    await turn()
    exit()
    await dying
    let up = (): void => undefined
    replaceAfter(
      new Promise(resolve => {
        up = resolve
      })
    )
    const later = harvest()
    await time.advance(REST_MS)
    assert.equal(runs.all.length, 1)
    up()
    await turn()
    runs.only.answer(HARVESTED)
    assert.deepEqual(await later, HARVEST)
  })

  test('I8: that take too long are an error, and cost the thread', BOUNDED, async () => {
    const { harvest, time, happened } = bench()
    const stuck = rejection('THREAD_LOST', harvest())
    await time.advance(HARVEST_MS - 1)
    assert.deepEqual(happened, ['boot'])
    await time.advance(1)
    assert.match((await stuck).message, /30000 ms/)
    assert.deepEqual(happened, ['boot', 'kill'])
    assert.equal(time.pendingCount, 0)
  })

  test('I8: whose turn does not come are an error, and nothing is unpacked for them later', BOUNDED, async () => {
    const { harvest, time, runs } = bench()
    // Each takes its whole time, and then the thread rests: the fourth waits out a rest when its own time is over.
    const waiting = Array.from({ length: 5 }, () => rejection('THREAD_LOST', harvest()))
    await time.advance(HARVEST_CALL_MS)
    const [first, , , fourth, fifth] = await Promise.all(waiting)
    assert.match(first?.message ?? '', /not done with a body within 30000 ms/)
    for (const late of [fourth, fifth]) assert.match(late?.message ?? '', /not free within 120000 ms/)
    await time.advance(HARVEST_CALL_MS)
    assert.equal(runs.all.length, 3)
  })

  test('I8: a next offset does not wait for them past its own limit', BOUNDED, async () => {
    const { harvest, ask, time, runs } = bench()
    const harvested = harvest()
    const asked = ask()
    await time.advance(SCOUT_MS)
    assert.equal(await asked, undefined)
    runs.only.answer(HARVESTED)
    await harvested
    await turn()
    assert.equal(runs.all.length, 1)
  })

  test('without a thread are an error, not silence', BOUNDED, async () => {
    const unbooted = bench()
    unbooted.failBoot()
    for (let count = 0; count < 2; count++) await rejection('POOL_BROKEN', unbooted.harvest())
    assert.deepEqual(unbooted.happened, ['boot'])
    const closed = bench()
    await closed.scout.close()
    await rejection('POOL_BROKEN', closed.harvest())
    assert.deepEqual(closed.happened, [])
  })

  test('that wait out a rest are given up when the scout is closed', BOUNDED, async () => {
    const { harvest, exit, scout, time } = bench()
    const dying = rejection('THREAD_LOST', harvest())
    await turn()
    exit()
    await dying
    const later = rejection('POOL_BROKEN', harvest())
    await turn()
    await scout.close()
    await later
    assert.equal(time.pendingCount, 0)
  })
})

test('a real scout thread that dies of a body is replaced, and used again after its rest', BOUNDED, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'cls-scout-'))
  const file = join(folder, 'run.mjs')
  await writeFile(
    file,
    `import { resourceLimits } from 'node:worker_threads'
     export default task => {
       if (task.kind === 'hello') return { kind: 'done' }
       if (task.byteCount === 1) process.exit(3)
       if (task.kind === 'harvest') {
         return { kind: 'harvested', nextOffset: 6n, messages: [Buffer.from([resourceLimits.maxOldGenerationSizeMb > 48])] }
       }
       return { kind: 'scouted', nextOffset: 5n }
     }`
  )
  const { clock, advance } = createFakeTime()
  const members = createMembers({
    count: 1,
    batchesPerThread: 1,
    threadExitMs: 5000,
    // Of the threads that run processors; the scout's is as it is.
    threadHeapMb: 48,
    env: process.env,
    clock,
    timers: realTimers,
    file: pathToFileURL(file)
  })
  const log = createKeptLog()
  const threads = members.client(log)
  const stayUp = setInterval(() => undefined, 60_000)
  t.after(async () => {
    clearInterval(stayUp)
    await threads.close()
    await rm(folder, { recursive: true })
  })
  assert.equal(await members.scout(BODY, LIMIT), undefined, 'before any consumer has its threads')
  await rejection('POOL_BROKEN', members.harvest(BODY, LIMIT))
  await threads.boot({ onMessage() {}, onKilled() {}, onFailing() {}, onExit() {}, onReplaced() {}, onBroken() {} })
  assert.equal(await members.scout(BODY, LIMIT), 5n)
  assert.deepEqual(await members.harvest(BODY, LIMIT), { nextOffset: 6n, messages: [Uint8Array.of(1)] })
  assert.equal(await members.scout({ ...BODY, byteCount: 1 }, LIMIT), undefined)
  assert.equal(await members.scout(BODY, LIMIT), undefined, 'it rests')
  assert.match(JSON.stringify(log.lines), /scout thread has ended/)
  await advance(REST_MS)
  // Its replacement takes as long as it takes: until then there is no answer either.
  let found: bigint | undefined
  while (found === undefined) {
    await turn()
    found = await members.scout(BODY, LIMIT)
  }
  assert.equal(found, 5n)
  await rejection('THREAD_LOST', members.harvest({ ...BODY, byteCount: 1 }, LIMIT))
  await threads.close()
  assert.equal(await members.scout(BODY, LIMIT), undefined)
  await rejection('POOL_BROKEN', members.harvest(BODY, LIMIT))
})
