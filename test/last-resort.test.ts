/** The policy, cell by cell, over the real writing of letters. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FAILURE_POLICIES, type FailurePolicy, type PoisonMessage } from '../src/dispatch/messages.ts'
import { ClsConsumerError, type ErrorCode } from '../src/errors.ts'
import { letterId } from '../src/failure/dead-letter.ts'
import { SetAside } from '../src/failure/set-aside.ts'
import { type Attempt, LastResort } from '../src/last-resort.ts'
import { chance, createFakeTime } from './cls/fakes.ts'
import { batchOf, harvestOf, START } from './failure/given-up.ts'
import { lettersOf, readAll } from './failure/letters.ts'
import { Calls, turn, until } from './support/calls.ts'
import { createFakeScout } from './support/fake-data.ts'
import { FakeFiles, systemError } from './support/fake-files.ts'
import { settingsWith } from './support/settings.ts'

const BOUNDED = { timeout: 10_000 }
const END = START + 100n
const ERROR = new ClsConsumerError('PROCESSOR_FAILED', 'the sink is gone')
const BROKEN = new ClsConsumerError('BODY_CORRUPT', 'not snappy')
const POISON = new ClsConsumerError('MESSAGE_CORRUPT', 'undecodable')
const refusal = (code: ErrorCode) => new ClsConsumerError(code, `said ${code}`)
const poison = (messageIndex: number): PoisonMessage => ({
  messageIndex,
  bytePosition: 7,
  reason: 'cut short',
  raw: Buffer.from(`"message ${messageIndex}"`)
})

function bench(policy: FailurePolicy) {
  const time = createFakeTime()
  const files = new FakeFiles()
  const scout = createFakeScout()
  const told: string[] = []
  const looks = new Calls<bigint, boolean | undefined>()
  const abort = new AbortController()
  const settings = settingsWith({ deadLetterDirectory: '/dead', attempts: 2, backoffMs: 100 })
  const lastResort = new LastResort({
    world: { scout: scout.api },
    policy,
    setAside: new SetAside({
      world: { clock: time.clock, timers: time.timers, random: chance(0.5), files, scout: scout.api },
      settings,
      consumer: 'c'
    }),
    handlers: {
      skipped: ({ kind, startOffset, nextOffset, messageCount, firstMessage, error }) =>
        told.push(
          `skipped ${kind} +${startOffset - START} +${nextOffset - START} ${messageCount} ${firstMessage} ${error.code}`
        ),
      deadLettered: ({ startOffset, nextOffset, letterCount, error }) =>
        told.push(`letters +${startOffset - START} +${(nextOffset ?? 0n) - START} ${letterCount} ${error?.code}`),
      retried: (error, { offset }, waitMs) => told.push(`retried ${error.code} ${offset === START} ${waitMs}`),
      hasLogsFrom: (_, offset) => looks.make(offset)
    }
  })
  const attempt = (over: Partial<Attempt> = {}): Attempt => ({
    batch: batchOf(),
    attempt: 5,
    outline: { nextOffset: END, messageCount: 3 },
    signal: abort.signal,
    ...over
  })
  return {
    time,
    files,
    scout,
    told,
    looks,
    abort,
    lastResort,
    attempt,
    ids: async () => lettersOf(await readAll(files, '/dead')).map(letterId)
  }
}

const id = (...places: number[]): string => ['topic-a', 3, START, ...places].join('/')

/** What each policy makes of each, as the table of the header says. */
const EXPECTED = {
  batch: {
    stop: [{ kind: 'stop', error: ERROR }, [], []],
    park: [{ kind: 'park', error: ERROR }, [], []],
    skip: [{ kind: 'passed', nextOffset: END }, ['skipped batch +0 +100 3 undefined PROCESSOR_FAILED'], []],
    'dead-letter': [{ kind: 'passed', nextOffset: END }, ['letters +0 +100 3 PROCESSOR_FAILED'], [id(0), id(1), id(2)]]
  },
  messages: {
    stop: [{ kind: 'stop', error: POISON }, [], []],
    park: [{ kind: 'park', error: POISON }, [], []],
    skip: [{ kind: 'passed', nextOffset: END }, ['skipped messages +0 +100 2 1 MESSAGE_CORRUPT'], []],
    'dead-letter': [{ kind: 'passed', nextOffset: END }, ['letters +0 +100 2 MESSAGE_CORRUPT'], [id(1), id(2)]]
  },
  body: {
    stop: [{ kind: 'stop', error: BROKEN }, [], []],
    park: [{ kind: 'park', error: BROKEN }, [], []],
    skip: [{ kind: 'passed', nextOffset: START + 1n }, ['skipped body +0 +1 undefined undefined BODY_CORRUPT'], []],
    'dead-letter': [{ kind: 'passed', nextOffset: START + 1n }, ['letters +0 +1 1 BODY_CORRUPT'], [id()]]
  }
} as const

describe('the policy', () => {
  for (const policy of FAILURE_POLICIES) {
    for (const what of ['batch', 'messages', 'body'] as const) {
      const [given, lines, ids] = EXPECTED[what][policy]
      test(`I1: ${policy}, of ${what}: ${given.kind}, with ${ids.length} letters on disk`, BOUNDED, async () => {
        const { lastResort, attempt, told, looks, scout, ids: idsOnDisk } = bench(policy)
        looks.always = () => true
        scout.harvests.always = () => harvestOf(3, END)
        const giveUp = {
          batch: () => lastResort.giveUpBatch(attempt(), ERROR),
          messages: () => lastResort.giveUpMessages(attempt(), [poison(1), poison(2)], END, POISON),
          body: () => lastResort.giveUpBody(attempt(), BROKEN)
        }[what]
        assert.deepEqual(await giveUp(), given)
        assert.deepEqual([told, await idsOnDisk()], [lines, ids])
      })
    }
  }

  for (const policy of FAILURE_POLICIES) {
    test(`what a processor sets aside is written under ${policy}, too`, BOUNDED, async () => {
      const { lastResort, attempt, told, ids } = bench(policy)
      const letters = [{ kind: 'log', messageIndex: 2, logIndex: 4, reason: 'odd', raw: Buffer.from('log') }] as const
      assert.deepEqual(await lastResort.setLogsAside(attempt(), letters, END), { kind: 'passed', nextOffset: END })
      assert.deepEqual([told, await ids()], [['letters +0 +100 1 undefined'], [id(2, 4)]])
    })
  }

  test('the processor’s own word goes before the option', BOUNDED, async () => {
    const { lastResort, attempt, told } = bench('stop')
    lastResort.override('skip')
    assert.deepEqual(await lastResort.giveUpBatch(attempt(), ERROR), { kind: 'passed', nextOffset: END })
    assert.equal(told.length, 1)
  })
})

describe('a batch that is skipped', () => {
  test('ends where its thread had told, and nobody reads it again', BOUNDED, async () => {
    const { lastResort, attempt, scout } = bench('skip')
    await lastResort.giveUpBatch(attempt(), ERROR)
    assert.equal(scout.calls.all.length, 0)
  })

  test('I1: whose thread died before it could tell ends where the scout says', BOUNDED, async () => {
    const { lastResort, attempt, scout, told } = bench('skip')
    const { batch } = attempt()
    const given = lastResort.giveUpBatch(attempt({ batch, outline: undefined }), ERROR)
    await turn()
    assert.deepEqual([told, scout.calls.only.ask === batch.body], [[], true])
    scout.calls.only.answer(END)
    assert.deepEqual(await given, { kind: 'passed', nextOffset: END })
  })

  test('I1: where the scout does not say, being at rest, it ends where its messages do', BOUNDED, async () => {
    const { lastResort, attempt, scout } = bench('skip')
    scout.calls.always = () => undefined
    scout.harvests.always = () => harvestOf(3, END)
    const given = await lastResort.giveUpBatch(attempt({ outline: undefined }), ERROR)
    assert.deepEqual(given, { kind: 'passed', nextOffset: END })
  })

  for (const nextOffset of [undefined, 0n, START, START - 1n, -1n]) {
    test(`I6: where the scout says ${nextOffset} nobody knows where to go on: it stops`, BOUNDED, async () => {
      const { lastResort, attempt, scout, told } = bench('skip')
      scout.calls.always = () => nextOffset
      scout.harvests.always = () => {
        throw new ClsConsumerError('BODY_CORRUPT', 'not to be taken apart')
      }
      const given = await lastResort.giveUpBatch(attempt({ outline: undefined }), ERROR)
      assert.deepEqual([given, told], [{ kind: 'stop', error: ERROR }, []])
    })
  }

  for (const [what, endOffset, harvest, expected] of [
    ['-1 is its end', END, harvestOf(3, -1n), END],
    ['a dense response goes no further than its end', START + 2n, harvestOf(3, START + 3n), START + 2n],
    ['one with gaps goes as far as it says', START + 2n, harvestOf(3, END), END]
  ] as const) {
    test(`I1: in a bounded run ${what}`, BOUNDED, async () => {
      const { lastResort, attempt, scout } = bench('skip')
      scout.harvests.always = () => harvest
      const given = await lastResort.giveUpBatch(attempt({ batch: batchOf({ endOffset }), outline: undefined }), ERROR)
      assert.deepEqual(given, { kind: 'passed', nextOffset: expected })
    })
  }

  test(
    'I6: in a bounded run a body that the scout cannot take apart stops it, with what the batch failed of',
    BOUNDED,
    async () => {
      const { lastResort, attempt, scout, told } = bench('skip')
      scout.harvests.always = () => {
        throw refusal('THREAD_LOST')
      }
      const batch = batchOf({ endOffset: END })
      const given = await lastResort.giveUpBatch(attempt({ batch, outline: undefined }), ERROR)
      assert.deepEqual([given, told], [{ kind: 'stop', error: ERROR }, []])
    }
  )

  test('I6: that is given up while the scout reads is not told as skipped', BOUNDED, async () => {
    const { lastResort, attempt, scout, abort, told } = bench('skip')
    const given = lastResort.giveUpBatch(attempt({ outline: undefined }), ERROR)
    abort.abort(new Error('closing'))
    scout.calls.only.answer(END)
    assert.deepEqual([await given, told], [{ kind: 'left' }, []])
  })
})

describe('a body that cannot be read', () => {
  for (const policy of ['skip', 'dead-letter'] as const) {
    for (const [hasLogs, kind] of [
      [false, 'nothing-there'],
      [undefined, 'stop']
    ] as const) {
      test(
        `I1: ${policy}: where the log has ${hasLogs === false ? 'nothing there' : 'nobody knows what'}, it is not passed`,
        BOUNDED,
        async () => {
          const { lastResort, attempt, looks, told, ids } = bench(policy)
          looks.always = () => hasLogs
          const given = await lastResort.giveUpBody(attempt(), BROKEN)
          assert.deepEqual([given.kind, told, await ids(), looks.asks], [kind, [], [], [START]])
        }
      )
    }

    for (const [code, kind] of [
      ['API_UNAVAILABLE', 'nothing-there'],
      ['API_UNAUTHORIZED', 'stop']
    ] as const) {
      test(`I6: ${policy}: ${code} is not read as logs that are there`, BOUNDED, async () => {
        const { lastResort, attempt, looks, told } = bench(policy)
        looks.always = () => {
          throw refusal(code)
        }
        const given = await lastResort.giveUpBody(attempt(), BROKEN)
        assert.deepEqual([given.kind, told], [kind, []])
      })
    }

    for (const isRefused of [true, false]) {
      test(
        `I3: ${policy}: closed while the service is asked, which ${isRefused ? 'refuses' : 'answers'}: nothing is passed`,
        BOUNDED,
        async () => {
          const { lastResort, attempt, looks, abort, told, ids } = bench(policy)
          const given = lastResort.giveUpBody(attempt(), BROKEN)
          abort.abort(new Error('closing'))
          if (isRefused) looks.only.refuse(refusal('API_UNAVAILABLE'))
          else looks.only.answer(true)
          assert.deepEqual([await given, told, await ids()], [{ kind: 'left' }, [], []])
        }
      )
    }
  }

  for (const policy of ['stop', 'park'] as const) {
    test(`under ${policy} the service is not asked at all`, BOUNDED, async () => {
      const { lastResort, attempt, looks } = bench(policy)
      await lastResort.giveUpBody(attempt(), BROKEN)
      assert.equal(looks.all.length, 0)
    })
  }
})

describe('letters', () => {
  test('I1: the batch is not passed before its letters are synced', BOUNDED, async () => {
    const { lastResort, attempt, scout, files, told } = bench('dead-letter')
    scout.harvests.always = () => harvestOf(2, END)
    const synced = new Calls<void, undefined>()
    files.fault = call => (call === 'sync' ? synced.make() : undefined)
    let isPassed = false
    const given = lastResort.giveUpBatch(attempt(), ERROR).then(() => {
      isPassed = true
    })
    await until(() => synced.open.length > 0)
    await turn()
    assert.deepEqual([isPassed, told], [false, []])
    files.fault = () => undefined
    synced.only.answer(undefined)
    await given
    assert.deepEqual(told, ['letters +0 +100 2 PROCESSOR_FAILED'])
  })

  for (const what of ['batch', 'messages', 'logs', 'body'] as const) {
    test(`I1: ${what}: a full disk is tried again, told, and then parks the partition`, BOUNDED, async () => {
      const { lastResort, attempt, scout, files, told, looks, time } = bench('dead-letter')
      scout.harvests.always = () => harvestOf(2, END)
      looks.always = () => true
      files.fault = call => {
        if (call === 'write') throw systemError('ENOSPC')
        return undefined
      }
      const letters = [{ kind: 'log', messageIndex: 0, logIndex: 0, reason: 'odd', raw: Buffer.from('log') }] as const
      const given = await time.settle(
        {
          batch: () => lastResort.giveUpBatch(attempt(), ERROR),
          messages: () => lastResort.giveUpMessages(attempt(), [poison(0)], END, POISON),
          logs: () => lastResort.setLogsAside(attempt(), letters, END),
          body: () => lastResort.giveUpBody(attempt(), BROKEN)
        }[what]()
      )
      assert.deepEqual([given.kind, given.kind === 'park' && given.error.code], ['park', 'DEAD_LETTER_WRITE'])
      assert.deepEqual(told, ['retried DEAD_LETTER_WRITE true 75'])
    })
  }

  test('I3: a partition that closes while letters are tried again has left', BOUNDED, async () => {
    const { lastResort, attempt, files, abort, told } = bench('dead-letter')
    files.fault = call => {
      if (call === 'write') throw systemError('ENOSPC')
      return undefined
    }
    const given = lastResort.giveUpMessages(attempt(), [poison(0)], END, POISON)
    await until(() => told.length > 0)
    abort.abort(new Error('closing'))
    assert.deepEqual(await given, { kind: 'left' })
  })

  test('a batch that cannot be taken apart is one letter, and goes on where its thread had told', BOUNDED, async () => {
    const { lastResort, attempt, scout, ids } = bench('dead-letter')
    scout.harvests.always = () => {
      throw BROKEN
    }
    const given = await lastResort.giveUpBatch(attempt(), ERROR)
    assert.deepEqual([given, await ids()], [{ kind: 'passed', nextOffset: END }, [id()]])
  })

  test('I6: where neither thread nor scout could tell where it ends, it is written, and stops', BOUNDED, async () => {
    const { lastResort, attempt, scout, ids, told } = bench('dead-letter')
    scout.harvests.always = () => {
      throw BROKEN
    }
    const given = await lastResort.giveUpBatch(attempt({ outline: undefined }), ERROR)
    assert.deepEqual([given, told, await ids()], [{ kind: 'stop', error: ERROR }, [], [id()]])
  })

  test('whose thread died before it could tell goes on where its messages end', BOUNDED, async () => {
    const { lastResort, attempt, scout } = bench('dead-letter')
    scout.harvests.always = () => harvestOf(3, END)
    const given = await lastResort.giveUpBatch(attempt({ outline: undefined }), ERROR)
    assert.deepEqual(given, { kind: 'passed', nextOffset: END })
  })
})
