/** What is given up is on disk before anybody goes on, whatever the disk and the scout do. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import { letterId } from '../../src/failure/dead-letter.ts'
import { RAW_BYTES_MAX } from '../../src/failure/dead-letter-record.ts'
import { poisonLetters } from '../../src/failure/letters.ts'
import { SetAside, type WriteHooks } from '../../src/failure/set-aside.ts'
import { realClock, realFiles, realRandom, realTimers } from '../../src/real-world.ts'
import { chance, createFakeTime, rejection } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { bodyOf, createFakeScout } from '../support/fake-data.ts'
import { FakeFiles, type Fault, type FileCall, systemError } from '../support/fake-files.ts'
import { settingsWith } from '../support/settings.ts'
import { batchOf, failedOf, harvestOf, START } from './given-up.ts'
import { letter, lettersOf, readAll } from './letters.ts'

const BOUNDED = { timeout: 20_000 }
const DIRECTORY = '/dead'
const WRITE_MS = 30_000

function bench({ fault, attempts = 3, directory = DIRECTORY }: Setup = {}) {
  const time = createFakeTime()
  const files = new FakeFiles()
  if (fault !== undefined) files.fault = fault
  const scout = createFakeScout()
  let fileCount = 0
  const random = { ...chance(1 - 2 ** -20), hex: () => `${fileCount++}`.padStart(8, '0') }
  const world = { clock: time.clock, timers: time.timers, random, files, scout: scout.api }
  const settings = settingsWith({ deadLetterDirectory: directory, attempts, backoffMs: 100, backoffMaxMs: 1000 })
  const setAside = new SetAside({ world, settings, consumer: 'c' })
  const abort = new AbortController()
  const retried: [code: ErrorCode, waitMs: number][] = []
  const hooks: WriteHooks = {
    signal: abort.signal,
    retried: ({ code }, waitMs) => retried.push([code, waitMs])
  }
  const ids = async () => lettersOf(await readAll(files, DIRECTORY)).map(letterId)
  return { time, files, scout, setAside, abort, retried, hooks, ids }
}

interface Setup {
  readonly fault?: Fault
  readonly attempts?: number
  readonly directory?: string
}

/** The first `times` calls of this kind fail. */
function failing(call: FileCall, code: string, times = Number.POSITIVE_INFINITY): Fault {
  let left = times
  return made => {
    if (made === call && left-- > 0) throw systemError(code)
    return undefined
  }
}

/** The first call of this kind hangs until `end`. */
function hanging(call: FileCall) {
  let end = (): void => undefined
  const ended = new Promise<undefined>(resolve => {
    end = () => resolve(undefined)
  })
  let isFirst = true
  const fault: Fault = made => {
    if (made !== call || !isFirst) return undefined
    isFirst = false
    return ended
  }
  return { fault, end }
}

const idOf = (messageIndex: number): string => `topic-a/3/${START}/${messageIndex}`

test('I1: letters are on disk when the write resolves', BOUNDED, async () => {
  const { files, setAside, hooks, time } = bench()
  let isWritten = false
  files.fault = call => {
    if (call === 'sync') assert.equal(isWritten, false)
    return undefined
  }
  await setAside.write([letter(1), letter(2)], hooks).then(() => {
    isWritten = true
  })
  const found = await readAll(
    files.crashed(() => 0),
    DIRECTORY
  )
  assert.deepEqual(lettersOf(found).map(letterId), [idOf(1), idOf(2)])
  assert.equal(time.pendingCount, 0, 'no timer keeps the process up')
})

test('a full disk is tried again with longer and longer waits, until there is room', BOUNDED, async () => {
  const { setAside, hooks, time, retried, ids } = bench({ fault: failing('write', 'ENOSPC', 2) })
  await time.settle(setAside.write([letter(1)], hooks))
  assert.deepEqual(retried, [
    ['DEAD_LETTER_WRITE', 100],
    ['DEAD_LETTER_WRITE', 200]
  ])
  assert.deepEqual(await ids(), [idOf(1)])
})

for (const [call, system, code] of [
  ['write', 'ENOSPC', 'DEAD_LETTER_WRITE'],
  ['sync', 'EIO', 'DEAD_LETTER_WRITE'],
  ['create', 'EACCES', 'DEAD_LETTER_DIRECTORY']
] as const) {
  test(`I1: where ${call} goes on failing with ${system}, the last error is thrown`, BOUNDED, async () => {
    const { setAside, hooks, time, retried } = bench({ fault: failing(call, system) })
    await time.settle(rejection(code, setAside.write([letter(1)], hooks)))
    assert.deepEqual(
      retried.map(([told]) => told),
      [code, code]
    )
    assert.equal(time.pendingCount, 0)
  })
}

test('a letter that no attempt makes smaller is refused at once', BOUNDED, async () => {
  const { setAside, hooks, retried } = bench()
  const huge = { ...letter(1), raw: new Uint8Array(RAW_BYTES_MAX + 1) }
  await rejection('DEAD_LETTER_TOO_LARGE', setAside.write([huge], hooks))
  assert.deepEqual(retried, [])
})

test(
  'I8: a disk that hangs is told of after the limit, and the same write waited for: nothing is written twice',
  BOUNDED,
  async () => {
    const { fault, end } = hanging('sync')
    const { setAside, hooks, time, retried, files } = bench({ fault })
    const written = setAside.write([letter(1)], hooks)
    await time.advance(WRITE_MS - 1)
    assert.deepEqual(retried, [])
    await time.advance(1)
    assert.deepEqual(retried, [['DEAD_LETTER_WRITE', 100]])
    await time.advance(100 + WRITE_MS)
    assert.equal(retried.length, 2)
    end()
    await time.settle(written)
    assert.deepEqual(files.calls.filter(call => call.startsWith('write')).length, 1)
    assert.equal(time.pendingCount, 0)
  }
)

test('I8: a disk that never answers ends in an error that names the directory', BOUNDED, async () => {
  const { setAside, hooks, time, retried } = bench({ fault: hanging('write').fault })
  const error = rejection('DEAD_LETTER_WRITE', setAside.write([letter(1)], hooks))
  await time.advance(3 * WRITE_MS + 300)
  assert.match((await error).message, /within 30000 ms: does the disk answer\? \(file \/dead\)/)
  assert.equal(retried.length, 2)
})

test('an abort ends the tries with its reason, at once where it waits between two', BOUNDED, async () => {
  const { setAside, hooks, time, abort, retried, files } = bench({ fault: failing('write', 'ENOSPC') })
  const written = assert.rejects(setAside.write([letter(1)], hooks), { message: 'lease lost' })
  await turn()
  assert.equal(retried.length, 1)
  abort.abort(new Error('lease lost'))
  await written
  assert.equal(time.pendingCount, 0)
  const callCount = files.calls.length
  await assert.rejects(setAside.write([letter(1)], hooks), { message: 'lease lost' })
  assert.ok(files.calls.length > callCount, 'who is closing still has his first try')
  assert.deepEqual([retried.length, time.pendingCount], [1, 0], 'and no other')
})

test('I1: an abort during a write does not make a lost letter of one that was written', BOUNDED, async () => {
  const { fault, end } = hanging('sync')
  const { setAside, hooks, abort, ids } = bench({ fault })
  const written = setAside.write([letter(1)], hooks)
  await turn()
  abort.abort(new Error('lease lost'))
  await turn()
  end()
  await written
  assert.deepEqual(await ids(), [idOf(1)])
})

test(
  'a failed batch is taken apart, and every message of it written before it counts as set aside',
  BOUNDED,
  async () => {
    const { setAside, hooks, scout, ids } = bench()
    const failed = failedOf()
    const done = setAside.harvestAndWrite(failed, hooks)
    await turn()
    assert.deepEqual(scout.harvests.asks, [failed.batch.body])
    assert.deepEqual(await ids(), [])
    scout.harvests.only.answer(harvestOf(3))
    assert.deepEqual(await done, { letterCount: 3, nextOffset: START + 100n })
    assert.deepEqual(await ids(), [idOf(0), idOf(1), idOf(2)])
  }
)

test('a bounded run goes on at its end, not behind it', BOUNDED, async () => {
  const { setAside, hooks, scout, ids } = bench()
  const batch = batchOf({ endOffset: START + 1n })
  const done = setAside.harvestAndWrite(failedOf({ batch }), hooks)
  await turn()
  scout.harvests.only.answer(harvestOf(2, START + 2n))
  assert.deepEqual(await done, { letterCount: 1, nextOffset: START + 1n })
  assert.deepEqual(await ids(), [idOf(0)])
})

for (const code of ['BODY_CORRUPT', 'BODY_TOO_LARGE', 'API_REFUSED', 'POOL_BROKEN', 'THREAD_STUCK'] as const) {
  test(
    `a batch that cannot be taken apart (${code}) is one letter: its body, as it was received`,
    BOUNDED,
    async () => {
      const { setAside, hooks, scout, files } = bench()
      const batch = batchOf({ body: bodyOf('no response', 'lz4') })
      const done = setAside.harvestAndWrite(failedOf({ batch }), hooks)
      await turn()
      scout.harvests.only.refuse(new ClsConsumerError(code, 'why not'))
      assert.deepEqual(await done, { letterCount: 1, nextOffset: undefined })
      const [stored] = lettersOf(await readAll(files, DIRECTORY))
      assert.ok(stored?.kind === 'body' && stored.compression === 'lz4')
      assert.match(stored.reason, /the sink is gone.*as a whole: why not/)
      assert.deepEqual(stored.readRaw(), Buffer.from(new Uint8Array(batch.body.bytes, 0, batch.body.byteCount)))
    }
  )
}

test(
  'a thread that is lost is given the body once more; lost again, the body is written as a whole',
  BOUNDED,
  async () => {
    for (const again of ['read', 'lost'] as const) {
      const { setAside, hooks, scout, ids } = bench()
      const done = setAside.harvestAndWrite(failedOf(), hooks)
      await turn()
      scout.harvests.only.refuse(new ClsConsumerError('THREAD_LOST', 'gone'))
      await turn()
      if (again === 'read') scout.harvests.only.answer(harvestOf(1))
      else scout.harvests.only.refuse(new ClsConsumerError('THREAD_LOST', 'gone'))
      await done
      assert.deepEqual(await ids(), [again === 'read' ? idOf(0) : `topic-a/3/${START}`])
      assert.equal(scout.harvests.all.length, 2)
    }
  }
)

test('one batch is taken apart at a time, and the next only once it is written', BOUNDED, async () => {
  const { fault, end } = hanging('sync')
  const { setAside, hooks, scout, ids } = bench({ fault })
  const first = setAside.harvestAndWrite(failedOf(), hooks)
  const second = setAside.harvestAndWrite(failedOf({ batch: batchOf({ partition: 4 }) }), hooks)
  await turn()
  scout.harvests.only.answer(harvestOf(1))
  await turn()
  assert.equal(scout.harvests.all.length, 1)
  end()
  await first
  await turn()
  scout.harvests.only.answer(harvestOf(1))
  await second
  assert.deepEqual(await ids(), [idOf(0), `topic-a/4/${START}/0`])
})

test('a batch that could not be written keeps none behind it from its turn', BOUNDED, async () => {
  const { setAside, hooks, scout, time, ids } = bench({ fault: failing('write', 'ENOSPC', 1), attempts: 1 })
  scout.harvests.always = () => harvestOf(1)
  const first = rejection('DEAD_LETTER_WRITE', setAside.harvestAndWrite(failedOf(), hooks))
  const second = setAside.harvestAndWrite(failedOf({ batch: batchOf({ partition: 4 }) }), hooks)
  await time.settle(Promise.all([first, second]))
  assert.deepEqual(await ids(), [`topic-a/4/${START}/0`])
})

test('an abort ends the wait for the turn, and the batch is not taken apart when it comes', BOUNDED, async () => {
  const { setAside, hooks, scout, ids } = bench()
  const first = setAside.harvestAndWrite(failedOf(), hooks)
  const abort = new AbortController()
  const second = setAside.harvestAndWrite(failedOf(), { ...hooks, signal: abort.signal })
  await turn()
  abort.abort(new Error('lease lost'))
  await assert.rejects(second, { message: 'lease lost' })
  scout.harvests.only.answer(harvestOf(1))
  await first
  await turn()
  assert.equal(scout.harvests.all.length, 1)
  assert.deepEqual(await ids(), [idOf(0)])
})

test('an abort ends the wait for the scout, and nothing is written of what it finds', BOUNDED, async () => {
  const { setAside, hooks, scout, abort, files } = bench()
  const done = assert.rejects(setAside.harvestAndWrite(failedOf(), hooks), { message: 'lease lost' })
  await turn()
  abort.abort(new Error('lease lost'))
  await done
  scout.harvests.only.answer(harvestOf(1))
  await turn()
  assert.deepEqual(files.calls, [])
})

test('without a directory nothing is opened, and whoever has letters is told the cure', BOUNDED, async () => {
  const time = createFakeTime()
  const files = new FakeFiles()
  const scout = createFakeScout()
  const world = { clock: time.clock, timers: time.timers, random: chance(0.5), files, scout: scout.api }
  const setAside = new SetAside({ world, settings: settingsWith(), consumer: 'c' })
  const { hooks } = bench()
  await setAside.prepare()
  await setAside.write([], hooks)
  for (const refused of [setAside.write([letter(1)], hooks), setAside.harvestAndWrite(failedOf(), hooks)]) {
    assert.match((await rejection('DEAD_LETTER_DIRECTORY', refused)).message, /set the option deadLetterDirectory/)
  }
  await setAside.close()
  assert.deepEqual([files.calls, scout.harvests.all], [[], []])
})

test(
  'a directory that takes nothing is known before the first letter; one that hangs, after the limit',
  BOUNDED,
  async () => {
    await rejection('DEAD_LETTER_DIRECTORY', bench({ fault: failing('create', 'EROFS') }).setAside.prepare())
    const { setAside, time } = bench({ fault: hanging('makeDirectory').fault })
    const prepared = rejection('DEAD_LETTER_WRITE', setAside.prepare())
    await time.advance(WRITE_MS)
    assert.match((await prepared).message, /no file could be made .* within 30000 ms/)
  }
)

test('I8: the end waits for what is being written, and not for ever', BOUNDED, async () => {
  const waiting = hanging('sync')
  const first = bench({ fault: waiting.fault })
  const written = first.setAside.write([letter(1)], first.hooks)
  await turn()
  const closed = first.setAside.close().then(() => first.ids())
  waiting.end()
  await written
  assert.deepEqual(await closed, [idOf(1)])
  const stuck = bench({ fault: hanging('sync').fault, attempts: 1 })
  const failed = rejection('DEAD_LETTER_WRITE', stuck.setAside.write([letter(1)], stuck.hooks))
  await turn()
  const late = rejection('DRAIN_TIMEOUT', stuck.setAside.close())
  await stuck.time.advance(WRITE_MS)
  await Promise.all([failed, late])
})

test(
  'on a real disk every letter is read back as it was, from a relative directory of the folder of then',
  BOUNDED,
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'cls-consumer-aside-'))
    const before = process.cwd()
    t.after(() => {
      process.chdir(before)
      rmSync(folder, { recursive: true })
    })
    const scout = createFakeScout()
    scout.harvests.always = () => harvestOf(2)
    const world = { clock: realClock, timers: realTimers, random: realRandom, files: realFiles, scout: scout.api }
    const settings = settingsWith({ deadLetterDirectory: relative(before, join(folder, 'new/dead')) })
    const setAside = new SetAside({ world, settings, consumer: 'c' })
    // So deep that the same relative path leads elsewhere.
    const deep = join(folder, 'a/b/c/d/e/f/g/h')
    mkdirSync(deep, { recursive: true })
    process.chdir(deep)
    await setAside.prepare()
    const hooks = { signal: new AbortController().signal, retried: () => assert.fail('the disk is sound') }
    const failed = failedOf()
    await setAside.harvestAndWrite(failed, hooks)
    const poison = { messageIndex: 7, bytePosition: 1, reason: 'no good', raw: Buffer.from([0, 255]) }
    await setAside.write(poisonLetters({ batch: batchOf({ partition: 4 }), attempt: 1 }, START + 1n, [poison]), hooks)
    await setAside.close()
    const letters = lettersOf(await readAll(realFiles, join(folder, 'new/dead')))
    assert.deepEqual(letters.map(letterId), [idOf(0), idOf(1), `topic-a/4/${START}/7`])
    assert.deepEqual(
      letters.map(one => one.readRaw()),
      [...harvestOf(2).messages, poison.raw]
    )
    const { code, message, stack } = failed.error
    assert.deepEqual(letters[1]?.error, { code, message, stack })
    assert.deepEqual([letters[0]?.consumer, letters[0]?.group, letters[0]?.nextOffset], ['c', 'group', START + 100n])
  }
)
