/** What each answer means, over the real last resort. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type BatchAnswer, FAILURE_POLICIES, type FailurePolicy } from '../src/dispatch/messages.ts'
import { ClsConsumerError, type ErrorCode, toFailure } from '../src/errors.ts'
import { SetAside } from '../src/failure/set-aside.ts'
import { LastResort } from '../src/last-resort.ts'
import { Settler, type Verdict } from '../src/settler.ts'
import { chance, createFakeTime } from './cls/fakes.ts'
import { batchOf, harvestOf, START } from './failure/given-up.ts'
import { Calls, turn, until } from './support/calls.ts'
import { createFakeScout } from './support/fake-data.ts'
import { FakeFiles } from './support/fake-files.ts'
import { processed } from './support/fake-threads.ts'
import { settingsWith } from './support/settings.ts'

const BOUNDED = { timeout: 10_000 }
const END = START + 100n
const POISON = [{ messageIndex: 4, bytePosition: 96, reason: 'cut', raw: Buffer.from('"QQ=="') }]
const LETTERS = [{ kind: 'log', messageIndex: 2, logIndex: 4, reason: 'odd', raw: Buffer.from('log') }] as const

function bench({ policy = 'stop', hasDeliver = true }: { policy?: FailurePolicy; hasDeliver?: boolean } = {}) {
  const time = createFakeTime()
  const scout = createFakeScout()
  const files = new FakeFiles()
  const told: string[] = []
  const offers = new Calls<unknown, boolean>()
  let hasEnded = false
  let mayRepull = true
  scout.harvests.always = () => harvestOf(3, END)
  const lastResort = new LastResort({
    world: { scout: scout.api },
    policy,
    setAside: new SetAside({
      world: { clock: time.clock, timers: time.timers, random: chance(0.5), files, scout: scout.api },
      settings: settingsWith({ deadLetterDirectory: '/dead' }),
      consumer: 'c'
    }),
    handlers: {
      skipped: ({ error }) => told.push(`skipped ${error.code}`),
      deadLettered: ({ letterCount }) => told.push(`letters ${letterCount}`),
      retried: ({ code }) => told.push(`retried ${code}`),
      hasLogsFrom: async () => true
    }
  })
  const settler = new Settler(lastResort, {
    hasEnded: () => hasEnded,
    mayRepull: () => mayRepull,
    deliver: hasDeliver ? result => offers.make(result) : undefined
  })
  const abort = new AbortController()
  const outline = { nextOffset: END, messageCount: 3 }
  const judge = (answer: BatchAnswer, over = {}) =>
    settler.judge({ batch: batchOf(over), attempt: 2, outline, signal: abort.signal }, answer)
  return {
    told,
    offers,
    files,
    judge,
    end: () => {
      hasEnded = true
    },
    tooOften: () => {
      mayRepull = false
    }
  }
}

const failed = (code: ErrorCode, stage: 'decode' | 'process' | 'lifecycle' = 'process'): BatchAnswer => ({
  kind: 'failed',
  stage,
  failure: toFailure(new ClsConsumerError(code, `said ${code}`), code)
})
/** Its kind, and the code of its error. */
const inShort = (verdict: Verdict): string =>
  'error' in verdict && verdict.error !== undefined ? `${verdict.kind} ${verdict.error.code}` : verdict.kind
const isBroken = (verdict: Verdict): boolean => inShort(verdict) === 'repull BODY_CORRUPT'

describe('answers that bring nothing', () => {
  test('a batch that was not started is pulled again, and that is no fault of its body', BOUNDED, async () => {
    const verdict = await bench().judge({ kind: 'not-started', reason: 'lease-ended' })
    assert.deepEqual(verdict, { kind: 'repull', error: undefined, repulls: 'fresh' })
  })

  test('a rewind is a rewind', BOUNDED, async () => {
    assert.deepEqual(await bench().judge({ kind: 'rewound', offset: 5n }), { kind: 'rewound', offset: 5n })
  })

  for (const [stage, code, expected] of [
    ['decode', 'API_THROTTLED', 'refused API_THROTTLED'],
    ['decode', 'BODY_TOO_LARGE', 'refused BODY_TOO_LARGE'],
    ['decode', 'BODY_CORRUPT', 'repull BODY_CORRUPT'],
    ['decode', 'POOL_BROKEN', 'stop POOL_BROKEN'],
    ['lifecycle', 'PROCESSOR_START_FAILED', 'stop PROCESSOR_START_FAILED']
  ] as const) {
    for (const policy of FAILURE_POLICIES) {
      test(`${code} of stage ${stage} is ${expected}, whatever the policy (${policy})`, BOUNDED, async () => {
        const { judge, told } = bench({ policy })
        assert.deepEqual([inShort(await judge(failed(code, stage))), told], [expected, []])
      })
    }
  }

  for (const [policy, expected, lines] of [
    ['stop', 'stop BODY_CORRUPT', []],
    ['park', 'park BODY_CORRUPT', []],
    ['skip', 'passed-body', ['skipped BODY_CORRUPT']],
    ['dead-letter', 'passed-body', ['letters 1']]
  ] as const) {
    test(`a body that cannot be read, pulled too often: ${expected} under ${policy}`, BOUNDED, async () => {
      const { judge, told, tooOften } = bench({ policy })
      assert.ok(isBroken(await judge(failed('BODY_CORRUPT', 'decode'))), 'first it is pulled again')
      tooOften()
      assert.deepEqual([inShort(await judge(failed('BODY_CORRUPT', 'decode'))), told], [expected, lines])
    })

    test(`messages without an offset to go on from fare likewise under ${policy}`, BOUNDED, async () => {
      const { judge, told, tooOften, offers } = bench({ policy })
      tooOften()
      const stuck = expected.replace('BODY_CORRUPT', 'NEXT_OFFSET_STUCK')
      const verdict = await judge(processed({ nextOffset: START, messageCount: 3 }))
      assert.deepEqual([inShort(verdict), told.length, offers.all.length], [stuck, lines.length, 0])
    })
  }

  for (const [policy, expected] of [
    ['stop', 'stop PROCESSOR_FAILED'],
    ['park', 'park PROCESSOR_FAILED'],
    ['skip', 'passed'],
    ['dead-letter', 'passed']
  ] as const) {
    test(`the last attempt of a batch: ${expected} under ${policy}`, BOUNDED, async () => {
      assert.equal(inShort(await bench({ policy }).judge(failed('PROCESSOR_FAILED'))), expected)
    })
  }
})

describe('a processed batch', () => {
  test('I1: counts once its result is taken, with where it ends', BOUNDED, async () => {
    const { judge, offers } = bench()
    const answer = processed({ nextOffset: END, result: 'r' })
    const judged = judge(answer)
    await turn()
    assert.equal(offers.only.ask, 'r')
    offers.only.answer(true)
    assert.deepEqual(await judged, { kind: 'processed', nextOffset: END, answer })
  })

  for (const [what, over, hasDeliver] of [
    ['without logs', { logCount: 0 }, true],
    ['where nobody takes results', {}, false]
  ] as const) {
    test(`${what} is offered to nobody`, BOUNDED, async () => {
      const { judge, offers } = bench({ hasDeliver })
      assert.equal((await judge(processed({ nextOffset: END, ...over }))).kind, 'processed')
      assert.equal(offers.all.length, 0)
    })
  }

  test('I1: whose result is not taken has left', BOUNDED, async () => {
    const { judge, offers } = bench()
    offers.always = () => false
    assert.deepEqual(await judge(processed({ nextOffset: END })), { kind: 'left' })
  })

  for (const [policy, expected, lines] of [
    ['stop', 'stop ON_RESULT_FAILED', []],
    ['park', 'park ON_RESULT_FAILED', []],
    ['skip', 'passed', ['skipped ON_RESULT_FAILED']],
    ['dead-letter', 'passed', ['letters 3']]
  ] as const) {
    test(`I1: whose result is refused for the last time: ${expected} under ${policy}`, BOUNDED, async () => {
      const { judge, offers, told } = bench({ policy })
      offers.always = () => {
        throw new Error('the sink is full')
      }
      assert.deepEqual([inShort(await judge(processed({ nextOffset: END }))), told], [expected, lines])
    })
  }

  for (const [policy, expected, lines, offered] of [
    ['stop', 'stop MESSAGE_CORRUPT', [], 0],
    ['park', 'park MESSAGE_CORRUPT', [], 0],
    ['skip', 'processed', ['skipped MESSAGE_CORRUPT'], 1],
    ['dead-letter', 'processed', ['letters 1'], 1]
  ] as const) {
    test(`I1: with a message that cannot be decoded: ${expected} under ${policy}`, BOUNDED, async () => {
      const { judge, offers, told } = bench({ policy })
      offers.always = () => true
      const verdict = await judge(processed({ nextOffset: END, poison: POISON }))
      assert.deepEqual([inShort(verdict), told, offers.all.length], [expected, lines, offered])
    })
  }

  test('I1: the letters of a processor are on disk before the result is offered', BOUNDED, async () => {
    const { judge, offers, files, told } = bench()
    const synced = new Calls<void, undefined>()
    files.fault = call => (call === 'sync' ? synced.make() : undefined)
    const judged = judge(processed({ nextOffset: END, letters: LETTERS }))
    await until(() => synced.open.length > 0)
    assert.deepEqual([told, offers.all.length], [[], 0])
    synced.only.answer(undefined)
    await until(() => offers.open.length > 0)
    assert.deepEqual(told, ['letters 1'])
    offers.only.answer(true)
    assert.equal((await judged).kind, 'processed')
  })
})

describe('I3, I12: an epoch that has ended', () => {
  for (const policy of FAILURE_POLICIES) {
    for (const [what, answer] of [
      ['processed', processed({ nextOffset: END })],
      ['processed with letters and poison', processed({ nextOffset: END, poison: POISON, letters: LETTERS })],
      ['failed', failed('PROCESSOR_FAILED')],
      ['unreadable', failed('BODY_CORRUPT', 'decode')],
      ['rewound', { kind: 'rewound', offset: 5n }]
    ] as const) {
      test(
        `I3: before the answer is judged, ${what}, ${policy}: nothing is told, written or delivered`,
        BOUNDED,
        async () => {
          const { judge, end, told, offers, files, tooOften } = bench({ policy })
          tooOften()
          end()
          assert.deepEqual(await judge(answer), { kind: 'left' })
          assert.deepEqual([told, offers.all.length, files.calls], [[], 0, []])
        }
      )
    }
  }

  test('I12: while letters are written: the result is not delivered', BOUNDED, async () => {
    const { judge, end, offers, files } = bench()
    const synced = new Calls<void, undefined>()
    files.fault = call => (call === 'sync' ? synced.make() : undefined)
    const judged = judge(processed({ nextOffset: END, letters: LETTERS }))
    await until(() => synced.open.length > 0)
    end()
    synced.only.answer(undefined)
    assert.deepEqual(await judged, { kind: 'left' })
    assert.equal(offers.all.length, 0)
  })

  test(
    'I12: while messages are written that cannot be decoded: the letters of the processor are not',
    BOUNDED,
    async () => {
      const { judge, end, files, told } = bench({ policy: 'dead-letter' })
      const synced = new Calls<void, undefined>()
      files.fault = call => (call === 'sync' ? synced.make() : undefined)
      const judged = judge(processed({ nextOffset: END, poison: POISON, letters: LETTERS }))
      await until(() => synced.open.length > 0)
      end()
      files.fault = () => undefined
      synced.only.answer(undefined)
      assert.deepEqual([await judged, told], [{ kind: 'left' }, ['letters 1']])
    }
  )

  for (const isTaken of [true, false]) {
    test(`I12: while the result is ${isTaken ? 'taken' : 'refused'}: the batch does not count`, BOUNDED, async () => {
      const { judge, end, offers, told } = bench({ policy: 'skip' })
      const judged = judge(processed({ nextOffset: END }))
      await turn()
      end()
      if (isTaken) offers.only.answer(true)
      else offers.only.refuse(new Error('late'))
      assert.deepEqual([await judged, told], [{ kind: 'left' }, []])
    })
  }
})
