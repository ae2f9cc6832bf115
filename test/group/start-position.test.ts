import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError } from '../../src/errors.ts'
import { decideStart, describeTopic, lookUpStarts, type Positions } from '../../src/group/start-position.ts'
import type { PartitionDescription, Position } from '../../src/world.ts'
import { rejection } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { createFakeControl } from '../support/fake-control.ts'

const BOUNDED = { timeout: 10_000 }
const FIRST = '0'.repeat(32)
const MIDDLE = `8${'0'.repeat(31)}`
const QUARTER = `4${'0'.repeat(31)}`
const LAST = 'f'.repeat(32)

function partitionOf(partition: number, over: Partial<PartitionDescription> = {}): PartitionDescription {
  return { partition, status: 'readwrite', beginKey: FIRST, endKey: LAST, createTime: '', ...over }
}

const NO_PAST = { leftAt: new Map<number, bigint>(), isGroupMadeAgain: false }

/** Partition 0 with a log from 10 to 90, nothing committed. */
function positions(over: Partial<Positions> = {}): Positions {
  return {
    begin: new Map([[0, 10n]]),
    end: new Map([[0, 90n]]),
    atTime: new Map(),
    partitions: [partitionOf(0)],
    partitionsAtJoin: new Set([0]),
    past: NO_PAST,
    ...over
  }
}

describe('where a partition starts', () => {
  test('I11: equal answers are the committed offset, whatever startFrom says, and are committed again', () => {
    for (const startFrom of ['begin', 'end', 1_700_000_000] as const) {
      const at = positions({ begin: new Map([[0, 42n]]), end: new Map([[0, 42n]]), atTime: new Map([[0, 7n]]) })
      const { offset, mustCommit } = decideStart(0, at, startFrom)
      assert.deepEqual([offset, mustCommit], [42n, true])
    }
  })

  test('I6: offset 0 is a position, not the lack of one', () => {
    const at = positions({ begin: new Map([[0, 0n]]), end: new Map([[0, 0n]]) })
    assert.deepEqual([decideStart(0, at, 'end').offset, decideStart(0, at, 'end').mustCommit], [0n, true])
    const uncommitted = positions({ begin: new Map([[0, 0n]]) })
    assert.deepEqual(
      [decideStart(0, uncommitted, 'begin').offset, decideStart(0, uncommitted, 'begin').mustCommit],
      [0n, true]
    )
  })

  for (const [startFrom, offset] of [
    ['begin', 10n],
    ['end', 90n],
    [1_700_000_000, 50n]
  ] as const) {
    test(`I11: with nothing committed, startFrom ${startFrom} decides, is committed first, and says so`, () => {
      const start = decideStart(0, positions({ atTime: new Map([[0, 50n]]) }), startFrom)
      assert.deepEqual([start.offset, start.mustCommit], [offset, true])
      assert.match(start.reason, new RegExp(`startFrom ${startFrom}`))
    })
  }

  test('a time past the last log starts at the end', () => {
    assert.equal(decideStart(0, positions(), 1_700_000_000).offset, 90n)
  })

  test('I11: a partition created after this consumer joined starts at its beginning', () => {
    for (const startFrom of ['end', 1_700_000_000] as const) {
      const at = positions({ partitionsAtJoin: new Set(), atTime: new Map([[0, 50n]]) })
      assert.deepEqual([decideStart(0, at, startFrom).offset, decideStart(0, at, startFrom).mustCommit], [10n, true])
    }
  })

  describe('I11: the child of a split or merge', () => {
    const family = (parent: Partial<PartitionDescription>, parentEnd: bigint): Positions =>
      positions({
        begin: new Map([
          [0, 70n],
          [1, 10n]
        ]),
        end: new Map([
          [0, parentEnd],
          [1, 90n]
        ]),
        partitions: [
          partitionOf(0, { status: 'readonly', ...parent }),
          partitionOf(1, { beginKey: MIDDLE, endKey: LAST })
        ],
        partitionsAtJoin: new Set([0, 1])
      })
    const startOf = (at: Positions): bigint => decideStart(1, at, 'end').offset

    test('I11: a child of a read-only parent with a committed offset starts at its beginning', () => {
      const start = decideStart(1, family({}, 70n), 'end')
      assert.deepEqual([start.offset, start.mustCommit], [10n, true])
      assert.match(start.reason, /child of partition 0/)
    })

    test('I11: the merge of two, of which one was read, starts at its beginning', () => {
      const at = family({ beginKey: MIDDLE, endKey: LAST }, 70n)
      assert.equal(
        decideStart(1, { ...at, partitions: [...at.partitions.slice(0, 1), partitionOf(1)] }, 'end').offset,
        10n
      )
    })

    test('I11: a child of a parent that nobody has read follows startFrom', () =>
      assert.equal(startOf(family({}, 80n)), 90n))
    test('I11: keys that only touch make no child', () =>
      assert.equal(startOf(family({ beginKey: QUARTER, endKey: MIDDLE }, 70n)), 90n))
    test('I11: nor do keys that only touch from the other side', () => {
      const at = family({ beginKey: MIDDLE, endKey: LAST }, 70n)
      const partitions = [...at.partitions.slice(0, 1), partitionOf(1, { beginKey: QUARTER, endKey: MIDDLE })]
      assert.equal(startOf({ ...at, partitions }), 90n)
    })
    test('I11: a partition that is still written is nobody’s parent', () =>
      assert.equal(startOf(family({ status: 'readwrite' }, 70n)), 90n))
    test('I11: a partition is not its own parent', () => {
      const at = positions({ partitions: [partitionOf(0, { status: 'readonly' })] })
      assert.equal(decideStart(0, at, 'begin').reason, 'nothing committed, startFrom begin')
    })
  })

  test('I11: a read-only partition at its end is not committed; one with something left is', () => {
    const readonly = { partitions: [partitionOf(0, { status: 'readonly' })] }
    assert.deepEqual(
      [
        decideStart(0, positions(readonly), 'end').mustCommit,
        decideStart(0, positions(readonly), 'begin').mustCommit,
        decideStart(0, positions(), 'end').mustCommit
      ],
      [false, true, true]
    )
  })

  test('a partition of which the service names no position at all starts at the beginning, -1', () => {
    const start = decideStart(0, positions({ begin: new Map(), end: new Map() }), 'end')
    assert.deepEqual([start.offset, start.mustCommit], [-1n, false])
    assert.match(start.reason, /beginning/)
  })

  test('a beginning without an end is where it starts', () => {
    const start = decideStart(0, positions({ end: new Map() }), 'end')
    assert.deepEqual([start.offset, start.mustCommit], [10n, true])
  })

  test('I10: offsets beyond 2^53 stay exact', () => {
    const exact = 2n ** 63n - 1n
    assert.equal(decideStart(0, positions({ end: new Map([[0, exact]]) }), 'end').offset, exact)
  })
})

type Answers = (ask: { readonly from: Position; readonly own?: boolean }) => Map<number, bigint>

function bench(answers: Answers, startFrom: Position = 'end', acknowledged: readonly number[] = []) {
  const noticed: string[] = []
  const control = createFakeControl()
  control.offsets.always = answers
  control.partitions.always = () => [partitionOf(0), partitionOf(1)]
  const stop = new AbortController()
  const lookUp = () =>
    lookUpStarts(
      { control: control.api },
      { group: 'group', startFrom },
      {
        topicId: 'topic-a',
        partitions: [0],
        partitionsAtJoin: new Set([0, 1]),
        past: NO_PAST,
        acknowledged: new Set(acknowledged),
        groupMadeAgain: () => void noticed.push('made again'),
        signal: stop.signal
      }
    )
  const asked = () => control.offsets.asks.map(({ from, own }) => (own === true ? `own ${from}` : `${from}`))
  return { control, lookUp, asked, stop, noticed }
}

describe('asking for start positions', () => {
  test('two calls tell a committed offset, one more that nothing is committed', BOUNDED, async () => {
    const committed = bench(() => new Map([[0, 5n]]))
    assert.equal((await committed.lookUp()).get(0)?.offset, 5n)
    assert.deepEqual(committed.asked(), ['begin', 'end'])
    const none = bench(({ from }) => new Map([[0, from === 'begin' ? 1n : 9n]]))
    assert.equal((await none.lookUp()).get(0)?.offset, 9n)
    assert.deepEqual(none.asked(), ['begin', 'end', 'begin'])
  })

  test(
    'I11: a commit that is executed between two answers does not make a partition look uncommitted',
    BOUNDED,
    async () => {
      const answers = [100n, 200n, 200n, 200n]
      const { lookUp } = bench(() => new Map([[0, answers.shift() ?? 200n]]))
      assert.deepEqual(
        await lookUp(),
        new Map([[0, { offset: 200n, reason: 'committed, or empty', mustCommit: true }]])
      )
    }
  )

  test('I6: positions that never stand still are an error to be retried, not a guess', BOUNDED, async () => {
    let offset = 0n
    const { lookUp } = bench(() => {
      offset += 1n
      return new Map([[0, offset]])
    })
    const error = await rejection('API_UNAVAILABLE', lookUp())
    assert.equal(error.remedy, 'retry')
  })

  test('retention that moves the beginning is looked at again until it stands', BOUNDED, async () => {
    const begins = [1n, 2n, 3n, 3n]
    const { lookUp } = bench(({ from }) => new Map([[0, from === 'begin' ? (begins.shift() ?? 3n) : 90n]]), 'begin')
    assert.equal((await lookUp()).get(0)?.offset, 3n)
  })

  test(
    'a beginning that moves with every look keeps no other partition waiting, and passes for a parent that was read',
    BOUNDED,
    async () => {
      let looks = 0n
      const { control, lookUp, asked } = bench(({ from }) => {
        looks += 1n
        return new Map([
          [0, from === 'begin' ? 10n : 90n],
          [1, from === 'begin' ? looks : 1000n]
        ])
      })
      const described = partitionOf(1)
      control.partitions.always = () => [partitionOf(0), { ...described, status: 'readonly' }]
      assert.equal((await lookUp()).get(0)?.offset, 10n, 'the child of what may have been read begins at its beginning')
      assert.ok(asked().length <= 30)
    }
  )

  test('I6: an error of any call is an error, never "none"', BOUNDED, async () => {
    for (let failing = 0; failing < 3; failing++) {
      let count = 0
      const { lookUp } = bench(({ from }) => {
        if (count++ === failing) throw new ClsConsumerError('API_UNAVAILABLE', 'not now')
        return new Map([[0, from === 'begin' ? 1n : 9n]])
      })
      await rejection('API_UNAVAILABLE', lookUp())
    }
    const { control, lookUp } = bench(() => new Map([[0, 5n]]))
    control.partitions.always = () => {
      throw new ClsConsumerError('API_UNAVAILABLE', 'not now')
    }
    await rejection('API_UNAVAILABLE', lookUp())
  })

  test('where the service names none, the log’s own positions are asked for', BOUNDED, async () => {
    const { lookUp, asked } = bench(({ from, own }) =>
      own === true ? new Map([[0, from === 'begin' ? 10n : 90n]]) : new Map()
    )
    const start = (await lookUp()).get(0)
    assert.deepEqual([start?.offset, start?.mustCommit], [90n, true])
    assert.deepEqual(asked(), ['begin', 'end', 'own begin', 'own end'])
  })

  test('a partition without any position does not hide the committed offset of another', BOUNDED, async () => {
    const control = createFakeControl()
    control.offsets.always = ({ own }) => (own === true ? new Map([[1, 3n]]) : new Map([[1, 70n]]))
    control.partitions.always = () => [partitionOf(0), partitionOf(1)]
    const starts = await lookUpStarts(
      { control: control.api },
      { group: 'group', startFrom: 'begin' },
      {
        topicId: 'topic-a',
        partitions: [0, 1],
        partitionsAtJoin: new Set([0, 1]),
        past: NO_PAST,
        acknowledged: new Set(),
        groupMadeAgain: () => assert.fail('nothing was acknowledged'),
        signal: new AbortController().signal
      }
    )
    assert.deepEqual([starts.get(0)?.offset, starts.get(1)?.offset], [-1n, 70n])
  })

  test('a time is asked for only where startFrom is one', BOUNDED, async () => {
    const { lookUp, asked } = bench(
      ({ from }) => new Map([[0, from === 'begin' ? 1n : from === 'end' ? 9n : 4n]]),
      1_700_000_000
    )
    assert.equal((await lookUp()).get(0)?.offset, 4n)
    assert.ok(asked().includes('1700000000'))
  })

  test('where the site refuses to tell the log’s own positions, none stays none', BOUNDED, async () => {
    const { lookUp } = bench(({ own }) => {
      if (own === true) throw new ClsConsumerError('API_REFUSED', 'OffsetType is not known here')
      return new Map()
    })
    assert.equal((await lookUp()).get(0)?.offset, -1n)
  })

  test('it ends as soon as the consumer stops', BOUNDED, async () => {
    const { control, lookUp, stop } = bench(() => new Map())
    control.offsets.always = undefined
    const looked = lookUp()
    await turn()
    stop.abort(new ClsConsumerError('CONSUMER_STATE', 'stopping'))
    await rejection('CONSUMER_STATE', looked)
  })

  test('the partitions of a topic are its numbers', BOUNDED, async () => {
    const control = createFakeControl()
    control.partitions.always = topicId => (topicId === 'a' ? [partitionOf(0), partitionOf(3)] : [])
    const described = await describeTopic({ control: control.api }, 'a', new AbortController().signal)
    assert.deepEqual(described, new Set([0, 3]))
  })
})

describe('where a partition starts after its group was deleted and made again', () => {
  const past = (leftAt: readonly (readonly [number, bigint])[], isGroupMadeAgain: boolean) => ({
    past: { leftAt: new Map(leftAt), isGroupMadeAgain }
  })

  for (const startFrom of ['begin', 'end', 1_700_000_000] as const) {
    test(`I6: where this consumer left it, not where startFrom ${startFrom} says`, () => {
      const start = decideStart(0, positions(past([[0, 55n]], true)), startFrom)
      assert.deepEqual([start.offset, start.mustCommit], [55n, true])
      assert.match(start.reason, /committed offset is gone/)
    })

    test(`I6: at the beginning where another consumer had it, whatever startFrom ${startFrom} says`, () => {
      const start = decideStart(0, positions(past([[1, 55n]], true)), startFrom)
      assert.deepEqual([start.offset, start.mustCommit], [10n, true])
      assert.match(start.reason, /deleted and made again/)
    })
  }

  test('what another consumer has committed since wins over what this one remembers', () => {
    const at = positions({ ...past([[0, 55n]], true), begin: new Map([[0, 70n]]), end: new Map([[0, 70n]]) })
    assert.equal(decideStart(0, at, 'end').offset, 70n)
  })

  test('without a past startFrom decides', () => {
    assert.equal(decideStart(0, positions(past([], false)), 'end').offset, 90n)
  })

  test(
    'I6: what was acknowledged and is not committed tells that another consumer met the deleted group first',
    BOUNDED,
    async () => {
      const { lookUp, noticed } = bench(
        ({ from }) =>
          new Map([
            [0, from === 'begin' ? 10n : 90n],
            [1, from === 'begin' ? 10n : 90n]
          ]),
        'end',
        [1]
      )
      assert.deepEqual(await lookUp(), new Map([[0, { ...MADE_AGAIN, offset: 10n }]]))
      assert.deepEqual(noticed, ['made again'])
    }
  )

  test(
    'what was acknowledged and is committed tells nothing, nor does a partition without a position',
    BOUNDED,
    async () => {
      for (const second of [[[1, 50n]], []] as const) {
        const { lookUp, noticed } = bench(
          ({ from }) => new Map([[0, from === 'begin' ? 10n : 90n], ...second]),
          'end',
          [1]
        )
        assert.equal((await lookUp()).get(0)?.offset, 90n)
        assert.deepEqual(noticed, [])
      }
    }
  )

  test('where this consumer left it is no way on where the log begins later', () => {
    const past = { leftAt: new Map([[0, 5n]]), isGroupMadeAgain: true }
    assert.equal(decideStart(0, positions({ past }), 'end').offset, 10n)
  })
})

const MADE_AGAIN = { reason: 'the group was deleted and made again: the beginning', mustCommit: true }
