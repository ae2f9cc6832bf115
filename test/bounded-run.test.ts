import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BoundedRun } from '../src/bounded-run.ts'
import { ClsConsumerError } from '../src/errors.ts'
import { OtherGroup } from '../src/group/own-positions.ts'
import type { Position } from '../src/world.ts'
import { chance, createFakeTime, createKeptLog, rejection } from './cls/fakes.ts'
import { turn } from './support/calls.ts'
import { createFakeControl } from './support/fake-control.ts'
import {
  createFakeData,
  createFakeScout,
  withFewMessages,
  withLateOffset,
  withMessages,
  withoutMessages
} from './support/fake-data.ts'

const BOUNDED = { timeout: 10_000 }
const NOW_S = 1_700_000_000

function bench(stopAt: Position | 'now' | undefined) {
  const time = createFakeTime(NOW_S * 1000)
  const control = createFakeControl()
  const data = createFakeData()
  const told: string[] = []
  const log = createKeptLog()
  let scouted: bigint | undefined
  const { clock, timers } = time
  const run = new BoundedRun(
    {
      clock,
      timers,
      control: control.api,
      data: data.api,
      scout: { ...createFakeScout().api, nextOffset: async () => scouted }
    },
    { stopAt, group: 'g' },
    new OtherGroup({ control: control.api, random: chance(0.5), log }),
    {
      hold: () => told.push(`hold ${time.clock.monotonic()}`),
      known: () => told.push(`known ${time.clock.monotonic()}`)
    }
  )
  const lookUp = (...partitions: number[]) => run.lookUp('t', partitions, new AbortController().signal)
  return {
    time,
    control,
    data,
    told,
    run,
    lookUp,
    log,
    scouts: (nextOffset: bigint) => {
      scouted = nextOffset
    }
  }
}

describe('bounded run: its phases', () => {
  test('without stopAt there is none', BOUNDED, async () => {
    const { time, run, told } = bench(undefined)
    run.start()
    await time.advance(1e9)
    assert.deepEqual([run.phase, told, time.pendingCount], ['none', [], 0])
  })

  for (const stopAt of ['now', 'end', NOW_S - 2, NOW_S - 1000] as const) {
    test(
      `${stopAt === 'now' || stopAt === 'end' ? stopAt : `a time ${NOW_S - stopAt} s ago`} is known from the start`,
      BOUNDED,
      () => {
        const { time, run, told } = bench(stopAt)
        run.start()
        assert.deepEqual([run.phase, told, time.pendingCount], ['known', [], 0])
      }
    )
  }

  test(
    'a time ahead is waited for: pulls stop one guard before it, ends are looked up one guard after',
    BOUNDED,
    async () => {
      const { time, run, told } = bench(NOW_S + 60)
      run.start()
      await time.advance(57_999)
      assert.deepEqual([run.phase, told], ['ahead', []])
      await time.advance(1)
      assert.deepEqual([run.phase, told], ['holding', ['hold 58000']])
      await time.advance(3999)
      assert.equal(run.phase, 'holding')
      await time.advance(1)
      assert.deepEqual([run.phase, told], ['known', ['hold 58000', 'known 62000']])
      assert.equal(time.pendingCount, 0)
    }
  )

  test('a time within the guard holds at once', BOUNDED, async () => {
    for (const ahead of [1, 0, -1]) {
      const { time, run, told } = bench(NOW_S + ahead)
      assert.equal(run.phase, 'ahead')
      run.start()
      assert.equal(run.phase, 'holding')
      await time.advance(4000)
      assert.deepEqual([run.phase, told.length], ['known', 2])
    }
  })

  test('I8: a time weeks ahead sets no timer that the platform cannot keep', BOUNDED, async () => {
    const time = createFakeTime(NOW_S * 1000)
    const delays: number[] = []
    const timers = {
      ...time.timers,
      after: (delayMs: number, fire: () => void) => {
        delays.push(delayMs)
        return time.timers.after(delayMs, fire)
      }
    }
    const told: string[] = []
    const run = new BoundedRun(
      {
        clock: time.clock,
        timers,
        control: createFakeControl().api,
        data: createFakeData().api,
        scout: { ...createFakeScout().api, nextOffset: async () => undefined }
      },
      { stopAt: NOW_S + 30 * 86_400, group: 'g' },
      new OtherGroup({ control: createFakeControl().api, random: chance(0.5), log: createKeptLog() }),
      { hold: () => told.push('hold'), known: () => told.push('known') }
    )
    run.start()
    await time.advance(31 * 86_400_000)
    assert.deepEqual(told, ['hold', 'known'])
    assert.ok(delays.every(delayMs => delayMs <= 2 ** 31 - 1))
  })

  test('stopped, it tells nothing more', BOUNDED, async () => {
    const { time, run, told } = bench(NOW_S + 60)
    run.start()
    run.stop()
    await time.advance(1e6)
    assert.deepEqual([told, time.pendingCount], [[], 0])
  })
})

const BEGINS = [
  [0, 1n],
  [1, 1n]
] as const
const ENDS = [
  [0, 5n],
  [1, 2n ** 60n]
] as const

describe('bounded run: the ends', () => {
  test('now is the log’s own end, with an EndTime past every clock error', BOUNDED, async () => {
    for (const stopAt of ['now', 'end'] as const) {
      const { control, data, lookUp } = bench(stopAt)
      control.offsets.always = ({ from }) => new Map(from === 'end' ? ENDS : BEGINS)
      const ends = await lookUp(0, 1)
      assert.deepEqual([ends.get(0)?.endOffset, ends.get(1)?.endOffset], [5n, 2n ** 60n])
      assert.ok((ends.get(0)?.endTime ?? 0) >= NOW_S + 300)
      assert.ok(control.offsets.asks.every(({ own }) => own === true))
      assert.equal(data.pulls.length, 0, 'begin and end differ: no doubt')
    }
  })

  test('a time is the log’s own offset at that time, and its EndTime', BOUNDED, async () => {
    const { control, lookUp } = bench(NOW_S - 100)
    control.offsets.always = ({ from }) => new Map([[0, from === 'begin' ? 1n : from === 'end' ? 90n : 5n]])
    assert.deepEqual(await lookUp(0), new Map([[0, { endOffset: 5n, endTime: NOW_S - 100 }]]))
    assert.ok(control.offsets.asks.every(({ own }) => own === true))
  })

  test(
    'I6: a time past the last log, of which the service names no position, is the log’s end: nothing is left out',
    BOUNDED,
    async () => {
      const { control, lookUp } = bench(NOW_S - 100)
      control.offsets.always = ({ from }) =>
        new Map<number, bigint>(from === 'begin' ? BEGINS : [[1, 7n], ...(from === 'end' ? [[0, 90n] as const] : [])])
      const ends = await lookUp(0, 1)
      assert.deepEqual([ends.get(0)?.endOffset, ends.get(1)?.endOffset], [90n, 7n])
    }
  )

  test('a partition that was never written has nothing before its end', BOUNDED, async () => {
    for (const stopAt of ['now', NOW_S - 100] as const) {
      const { control, data, lookUp } = bench(stopAt)
      control.offsets.always = () => new Map()
      const looked = lookUp(0)
      await turn()
      await data.from(-1n).complete(withoutMessages(7n))
      assert.equal((await looked).get(0)?.endOffset, -1n)
    }
  })

  test('I6: no end position of a partition that has logs is an error, not "nothing to read"', BOUNDED, async () => {
    const { control, data, lookUp } = bench('now')
    control.offsets.always = () => new Map()
    const refused = rejection('API_REFUSED', lookUp(0))
    await turn()
    await data.from(-1n).complete(withFewMessages(1n))
    const error = await refused
    assert.match(error.message, /stopAt cannot be kept .*partition 0/)
  })

  test('I6: an error is an error, not an end', BOUNDED, async () => {
    const { control, lookUp } = bench('now')
    control.offsets.always = () => {
      throw new ClsConsumerError('API_UNAVAILABLE', 'no')
    }
    await rejection('API_UNAVAILABLE', lookUp(0))
  })
})

describe('bounded run: a site that does not tell the log’s own positions', () => {
  /** Committed is 40, the log goes from 1 to 90; of a group without commits the service tells these. */
  const answer = (isTold: boolean) => (ask: { readonly group: string; readonly from: Position }) =>
    new Map([[0, ask.group === 'g' && !isTold ? 40n : ask.from === 'begin' ? 1n : 90n]])

  test(
    'I6: where it answers with the committed offset, a group without commits is asked, and deleted',
    BOUNDED,
    async () => {
      const { control, data, lookUp } = bench('now')
      control.offsets.always = answer(false)
      control.created.always = () => true
      control.deleted.always = () => undefined
      const looked = lookUp(0)
      await turn()
      assert.deepEqual(data.openOffsets, [40n], 'equal begin and end: a pull tells whether that is the end')
      await data.from(40n).complete(withFewMessages(41n))
      assert.equal((await looked).get(0)?.endOffset, 90n)
      const [made] = control.created.asks
      assert.deepEqual([made?.topicIds, control.deleted.asks], [['t'], [made?.group]])
      assert.notEqual(made?.group, 'g')

      assert.equal((await lookUp(0)).get(0)?.endOffset, 90n)
      assert.equal(data.pulls.length, 1, 'known by now')
    }
  )

  test('I6: an offset that its log does not have is no end', BOUNDED, async () => {
    const { control, data, lookUp } = bench('now')
    control.offsets.always = answer(false)
    control.created.always = () => true
    control.deleted.always = () => undefined
    const looked = lookUp(0)
    await turn()
    await data.from(40n).fail(new ClsConsumerError('API_INVALID_OFFSET', 'expired'))
    assert.equal((await looked).get(0)?.endOffset, 90n)
  })

  test('a large answer tells by its front, and else by the scout', BOUNDED, async () => {
    for (const body of [withMessages(41n), withLateOffset(41n)]) {
      const { control, data, lookUp, scouts } = bench('now')
      control.offsets.always = answer(false)
      control.created.always = () => true
      control.deleted.always = () => undefined
      if (body === withLateOffset(41n)) scouts(41n)
      const looked = lookUp(0)
      await turn()
      await data.from(40n).complete(body)
      assert.equal((await looked).get(0)?.endOffset, 90n)
    }
  })

  test('I6: an answer that nobody can read is an error to be tried again, not an empty log', BOUNDED, async () => {
    const { control, data, lookUp } = bench('now')
    control.offsets.always = answer(false)
    const refused = rejection('API_MALFORMED', lookUp(0))
    await turn()
    await data.from(40n).complete(withLateOffset(41n))
    assert.equal((await refused).remedy, 'retry')
  })

  test('where it refuses the question, a group without commits is asked', BOUNDED, async () => {
    const { control, lookUp } = bench('now')
    control.offsets.always = ask => {
      if (ask.own === true) throw new ClsConsumerError('API_REFUSED', 'no such parameter')
      return answer(false)(ask)
    }
    control.created.always = () => true
    control.deleted.always = () => undefined
    assert.equal((await lookUp(0)).get(0)?.endOffset, 90n)
  })

  test(
    'an empty log has equal ends, too: a pull that brings nothing says so, and no group is made',
    BOUNDED,
    async () => {
      const { control, data, lookUp } = bench('now')
      control.offsets.always = () => new Map([[0, 40n]])
      const looked = lookUp(0)
      await turn()
      await data.from(40n).complete(withoutMessages(40n))
      assert.equal((await looked).get(0)?.endOffset, 40n)
      assert.equal(control.created.all.length, 0)
    }
  )

  test(
    'a commit that is executed between the answers does not make an ignored question look heard',
    BOUNDED,
    async () => {
      for (const moved of [1, 2]) {
        let count = 0
        const { control, data, lookUp } = bench('now')
        control.offsets.always = ask => {
          if (ask.group !== 'g') return answer(false)(ask)
          count += 1
          return new Map([[0, count <= moved ? 40n : 50n]])
        }
        control.created.always = () => true
        control.deleted.always = () => undefined
        const looked = lookUp(0)
        await turn()
        const [offset] = data.openOffsets
        assert.ok(offset !== undefined)
        await data.from(offset).complete(withFewMessages(offset + 1n))
        assert.equal((await looked).get(0)?.endOffset, 90n)
      }
    }
  )

  test(
    'a group whose making was not answered is deleted, too, and one that is not there is no trouble',
    BOUNDED,
    async () => {
      const { control, lookUp, log } = bench('now')
      control.offsets.always = () => {
        throw new ClsConsumerError('API_REFUSED', 'no such parameter')
      }
      control.created.always = () => {
        throw new ClsConsumerError('API_TIMEOUT', 'no answer')
      }
      control.deleted.always = () => {
        throw new ClsConsumerError('API_NOT_FOUND', 'never made')
      }
      await rejection('API_TIMEOUT', lookUp(0))
      assert.deepEqual(control.deleted.asks, [control.created.asks[0]?.group])
      assert.deepEqual(
        log.lines.filter(({ level }) => level === 'warn'),
        []
      )
    }
  )

  test(
    'the group that was asked is deleted also where it gives no answer, and one that stays behind is told of',
    BOUNDED,
    async () => {
      const { control, lookUp, log } = bench('now')
      control.offsets.always = ({ own }) => {
        throw new ClsConsumerError(own === true ? 'API_REFUSED' : 'API_UNAVAILABLE', 'no')
      }
      control.created.always = () => true
      control.deleted.always = () => {
        throw new ClsConsumerError('API_UNAVAILABLE', 'not now')
      }
      await rejection('API_UNAVAILABLE', lookUp(0))
      assert.ok(log.lines.some(({ message }) => /left behind: delete it/.test(message)))
    }
  )
})
