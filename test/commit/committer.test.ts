import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Epoch } from '../../src/batch.ts'
import { Committer } from '../../src/commit/committer.ts'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import { createFakeTime } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { createFakeControl } from '../support/fake-control.ts'

const BOUNDED = { timeout: 10_000 }
const INTERVAL_MS = 3000

const epochOf = (partition: number, epoch = 1): Epoch => ({ topicId: 't', partition, epoch })
const fail = (code: ErrorCode) => new ClsConsumerError(code, `said ${code}`)
const [P0, P1, P2] = [epochOf(0), epochOf(1), epochOf(2)]

function bench() {
  const time = createFakeTime()
  const control = createFakeControl()
  const told: string[] = []
  let leaseMs = 1e9
  const committer = new Committer({
    world: { timers: time.timers, control: control.api },
    settings: { group: 'group', commitIntervalMs: INTERVAL_MS, callTimeoutMs: 60_000 },
    consumer: 'me',
    handlers: {
      committed: ({ partition, epoch }, offset) => told.push(`committed ${partition} e${epoch} ${offset}`),
      wentBack: ({ partition, epoch }, from, to) => told.push(`went back ${partition} e${epoch} ${from} ${to}`),
      failed: (error, count) => told.push(`failed ${error.code} ${count}`),
      refused: ({ partition }, error) => told.push(`refused ${partition} ${error.code}`),
      broken: error => told.push(`broken ${error.code}`),
      leaseRemainingMs: () => leaseMs
    }
  })
  const { commits } = control
  /** What the newest call carries: `0:100`. */
  const sent = (): string[] =>
    (commits.asks.at(-1)?.offsets ?? []).map(({ partition, offset }) => `${partition}:${offset}`)
  return {
    time,
    committer,
    commits,
    told,
    sent,
    setLease: (ms: number) => {
      leaseMs = ms
    },
    async answer(): Promise<void> {
      commits.only.answer()
      await turn()
    },
    async refuse(code: ErrorCode): Promise<void> {
      commits.only.refuse(fail(code))
      await turn()
    },
    interval: () => time.advance(INTERVAL_MS)
  }
}

describe('committer: the interval', () => {
  test('the progress of all partitions goes in one call per interval, the newest offset of each', BOUNDED, async () => {
    const { committer, commits, sent, interval, answer, told } = bench()
    committer.start()
    committer.track(P0, 1n)
    committer.track(P1, 2n ** 63n - 1n)
    committer.track(P0, 5n)
    assert.equal(commits.all.length, 0)
    await interval()
    assert.equal(commits.all.length, 1)
    assert.deepEqual(sent(), ['0:5', '1:9223372036854775807'])
    await answer()
    assert.deepEqual(told, ['committed 0 e1 5', 'committed 1 e1 9223372036854775807'])
    assert.equal(committer.committedOffset(P0), 5n)
  })

  test('nothing new sends nothing', BOUNDED, async () => {
    const { committer, commits, interval, answer } = bench()
    committer.start()
    committer.adopt(P1, 7n)
    await interval()
    assert.equal(commits.all.length, 0)
    committer.track(P1, 7n)
    await interval()
    assert.equal(commits.all.length, 0, 'the committed offset again is no news')
    committer.track(P0, 1n)
    await interval()
    await answer()
    await interval()
    await interval()
    assert.equal(commits.all.length, 1)
  })

  test('at most one call is in flight, however long it takes', BOUNDED, async () => {
    const { committer, commits, sent, interval, answer } = bench()
    committer.start()
    committer.track(P0, 1n)
    await interval()
    committer.track(P0, 2n)
    committer.track(P1, 9n)
    for (let count = 0; count < 5; count++) await interval()
    assert.equal(commits.all.length, 1)
    await answer()
    await interval()
    assert.deepEqual(sent(), ['0:2', '1:9'])
    assert.equal(commits.open.length, 1)
  })

  test('what is acknowledged is what was sent, not what is wanted by then', BOUNDED, async () => {
    const { committer, interval, answer, sent } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    committer.track(P0, 200n)
    await answer()
    assert.equal(committer.committedOffset(P0), 100n)
    assert.equal(committer.isClean([P0]), false)
    await interval()
    assert.deepEqual(sent(), ['0:200'])
  })

  test('stop waits for the call in flight and sends no other', BOUNDED, async () => {
    const { committer, commits, interval, told, time } = bench()
    committer.start()
    committer.track(P0, 1n)
    await interval()
    let isStopped = false
    const stopped = committer.stop().then(() => {
      isStopped = true
    })
    await turn()
    assert.equal(isStopped, false)
    commits.only.answer()
    await stopped
    committer.track(P0, 2n)
    await time.advance(10 * INTERVAL_MS)
    assert.equal(commits.all.length, 1)
    assert.deepEqual(told, ['committed 0 e1 1'])
    assert.equal(time.pendingCount, 0)
  })
})

test('a committer that was stopped between two calls sends nothing more', BOUNDED, async () => {
  const { committer, commits, time } = bench()
  committer.start()
  committer.track(P0, 1n)
  await committer.stop()
  assert.equal(time.pendingCount, 0)
  await time.advance(10 * INTERVAL_MS)
  assert.equal(commits.all.length, 0)
})

describe('committer: epochs', () => {
  test('I3: a forgotten epoch is in no further call', BOUNDED, async () => {
    const { committer, commits, interval } = bench()
    committer.start()
    committer.track(P0, 1n)
    committer.forget(P0)
    await interval()
    assert.equal(commits.all.length, 0)
    assert.equal(committer.committedOffset(P0), undefined)
    assert.equal(committer.isClean([P0]), true)
  })

  test('I3: the answer to a call of an ended epoch says nothing of its successor', BOUNDED, async () => {
    const { committer, interval, answer, told, sent } = bench()
    const next = epochOf(0, 2)
    committer.start()
    committer.track(P0, 100n)
    await interval()
    committer.forget(P0)
    committer.track(next, 100n)
    await answer()
    assert.deepEqual(told, [])
    assert.equal(committer.committedOffset(next), undefined)
    await interval()
    assert.deepEqual(sent(), ['0:100'])
    await answer()
    assert.deepEqual(told, ['committed 0 e2 100'])
  })

  test('I3: forgetting an old epoch does not forget its successor', () => {
    const { committer } = bench()
    committer.track(P0, 1n)
    committer.track(epochOf(0, 2), 5n)
    committer.forget(P0)
    assert.equal(committer.isClean([epochOf(0, 2)]), false)
    assert.equal(committer.isClean([P0]), true)
  })

  test('I3: an ended epoch never takes the place of its successor', () => {
    const { committer } = bench()
    committer.track(epochOf(0, 2), 5n)
    assert.throws(() => committer.track(P0, 1n), { code: 'INVARIANT_BROKEN' })
    assert.throws(() => committer.adopt(P0, 1n), { code: 'INVARIANT_BROKEN' })
  })
})

describe('committer: a call that waits between two tries', () => {
  test('I3: it may be sent as long as no epoch in it has ended', BOUNDED, async () => {
    const { committer, commits, interval } = bench()
    committer.start()
    committer.track(P0, 1n)
    committer.track(P1, 1n)
    await interval()
    const maySend = (): boolean | undefined => commits.asks[0]?.maySend?.()
    assert.equal(maySend(), true)
    committer.track(P0, 2n)
    committer.track(P2, 1n)
    committer.forget(P2)
    assert.equal(maySend(), true, 'progress, and the end of an epoch that is not in it, are no reason')
    committer.forget(P1)
    assert.equal(maySend(), false)
  })

  test('I3: nor as soon as another epoch has taken the place of one in it', BOUNDED, async () => {
    const { committer, commits, interval } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    committer.track(epochOf(0, 2), 50n)
    assert.equal(commits.asks[0]?.maySend?.(), false)
  })

  test(
    'I3: what is left of a withdrawn call goes at once in a new one, with what is wanted by then',
    BOUNDED,
    async () => {
      const { committer, commits, interval, refuse, answer, sent, told } = bench()
      committer.start()
      committer.track(P0, 100n)
      committer.track(P1, 10n)
      await interval()
      committer.forget(P0)
      committer.track(epochOf(0, 2), 50n)
      committer.track(P1, 20n)
      await refuse('CALL_WITHDRAWN')
      assert.equal(commits.open.length, 1)
      assert.deepEqual(sent(), ['1:20', '0:50'])
      await answer()
      assert.deepEqual(told, ['committed 1 e1 20', 'committed 0 e2 50'], 'a withdrawn call is no failure')
      assert.equal(committer.isClean([epochOf(0, 2), P1]), true, 'nor in doubt: nothing of it was taken')
      await interval()
      assert.equal(commits.all.length, 2)
    }
  )

  test('where nothing is left of a withdrawn call, none follows', BOUNDED, async () => {
    const { committer, commits, interval, refuse } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    committer.forget(P0)
    await refuse('CALL_WITHDRAWN')
    await interval()
    assert.equal(commits.all.length, 1)
  })

  test('I3: withdrawn while the others are settled one by one, it ends alone, and is no refusal', BOUNDED, async () => {
    const { committer, commits, interval, refuse, answer, sent, told } = bench()
    committer.start()
    committer.track(P0, 1n)
    committer.track(P1, 1n)
    await interval()
    await refuse('API_REFUSED')
    assert.deepEqual(sent(), ['0:1'])
    committer.forget(P0)
    assert.equal(commits.asks[1]?.maySend?.(), false)
    await refuse('CALL_WITHDRAWN')
    assert.deepEqual(sent(), ['1:1'])
    assert.equal(commits.asks[2]?.maySend?.(), true, 'its fate is its own')
    await answer()
    assert.deepEqual(told, ['committed 1 e1 1'])
  })

  test('a flush is not held up by the pause of a failure, and what it waits for is in one call', BOUNDED, async () => {
    const { committer, commits, time, refuse, answer, sent } = bench()
    committer.track(P0, 1n)
    committer.track(P1, 1n)
    const flushed = committer.flush([P1], 60_000)
    await turn()
    committer.forget(P0)
    await refuse('CALL_WITHDRAWN')
    assert.deepEqual(sent(), ['1:1'])
    await answer()
    assert.equal(await flushed, true)
    assert.deepEqual([commits.all.length, time.clock.monotonic()], [2, 0])
  })

  test('after stop nothing follows a withdrawn call', BOUNDED, async () => {
    const { committer, commits, interval, refuse } = bench()
    committer.start()
    committer.track(P0, 1n)
    committer.track(P1, 1n)
    await interval()
    const stopped = committer.stop()
    committer.forget(P0)
    await refuse('CALL_WITHDRAWN')
    await stopped
    await turn()
    assert.equal(commits.all.length, 1)
  })
})

describe('committer: going back', () => {
  test('I6: the first commit below the last acknowledged one is told, once, with both offsets', BOUNDED, async () => {
    const { committer, interval, answer, told } = bench()
    const next = epochOf(0, 2)
    committer.start()
    committer.track(P0, 100n)
    committer.track(P1, 7n)
    await interval()
    await answer()
    committer.forget(P0)
    committer.track(next, 50n)
    await interval()
    await answer()
    committer.track(next, 60n)
    committer.track(P1, 8n)
    await interval()
    await answer()
    assert.deepEqual(told, [
      'committed 0 e1 100',
      'committed 1 e1 7',
      'went back 0 e2 100 50',
      'committed 0 e2 50',
      'committed 1 e1 8',
      'committed 0 e2 60'
    ])
  })

  test('it is told of the answer, not of the wish', BOUNDED, async () => {
    const { committer, interval, answer, refuse, told } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    await answer()
    committer.track(epochOf(0, 2), 50n)
    await interval()
    await refuse('API_UNAVAILABLE')
    assert.deepEqual(told.slice(1), ['failed API_UNAVAILABLE 1'])
    await interval()
    await answer()
    assert.deepEqual(told.slice(2), ['went back 0 e2 100 50', 'committed 0 e2 50'])
  })

  test('an answer that comes after the end of its epoch still says what the service holds', BOUNDED, async () => {
    const { committer, interval, answer, told } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    committer.forget(P0)
    committer.track(epochOf(0, 2), 50n)
    await answer()
    await interval()
    await answer()
    assert.deepEqual(told, ['went back 0 e2 100 50', 'committed 0 e2 50'])
  })

  test('an adopted offset is where the service stands: below it is back, from before it is not', BOUNDED, async () => {
    const { committer, interval, answer, told } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    await answer()
    committer.forget(P0)
    // Another consumer had the partition meanwhile.
    committer.adopt(epochOf(0, 2), 30n)
    committer.track(epochOf(0, 2), 40n)
    await interval()
    await answer()
    committer.track(epochOf(0, 3), 20n)
    await interval()
    await answer()
    assert.deepEqual(told.slice(1), ['committed 0 e2 40', 'went back 0 e3 40 20', 'committed 0 e3 20'])
  })

  test('where nothing is committed any more, nothing goes back', BOUNDED, async () => {
    const { committer, interval, answer, told } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    await answer()
    committer.repeatAll()
    committer.track(epochOf(0, 2), 50n)
    await interval()
    await answer()
    assert.deepEqual(told.slice(1), ['committed 0 e2 50'])
  })

  test('I8: only so many partitions are remembered, the latest ones', BOUNDED, async () => {
    const { committer, interval, answer, told } = bench()
    const partitionCount = 10_001
    committer.start()
    for (let partition = 0; partition < partitionCount; partition++) {
      committer.adopt(epochOf(partition), 100n)
      committer.forget(epochOf(partition))
    }
    committer.track(epochOf(1, 2), 50n)
    committer.track(epochOf(0, 2), 50n)
    await interval()
    await answer()
    assert.deepEqual(told, ['went back 1 e2 100 50', 'committed 1 e2 50', 'committed 0 e2 50'])
  })
})

describe('committer: failures', () => {
  test('a failed call is told, and its offsets go again with what is new', BOUNDED, async () => {
    const { committer, interval, refuse, told, sent } = bench()
    committer.start()
    committer.track(P0, 1n)
    committer.track(P1, 1n)
    await interval()
    await refuse('API_UNAVAILABLE')
    assert.deepEqual(told, ['failed API_UNAVAILABLE 2'])
    committer.track(P1, 2n)
    await interval()
    assert.deepEqual(sent(), ['0:1', '1:2'])
  })

  for (const code of ['API_TIMEOUT', 'API_UNREACHABLE'] as const) {
    test(
      `after ${code} the newest offset is sent again after it was acknowledged, since the lost call may come late`,
      BOUNDED,
      async () => {
        const { committer, commits, interval, refuse, answer, sent } = bench()
        committer.start()
        committer.track(P0, 100n)
        await interval()
        await refuse(code)
        committer.track(P0, 200n)
        await interval()
        assert.deepEqual(sent(), ['0:200'])
        await answer()
        assert.equal(committer.isClean([P0]), false, 'the lost call may still be executed')
        await interval()
        assert.equal(commits.all.length, 3)
        assert.deepEqual(sent(), ['0:200'])
        await answer()
        assert.equal(committer.isClean([P0]), true)
        await interval()
        assert.equal(commits.all.length, 3)
      }
    )
  }

  test(
    'a call whose fate is unknown does no harm where it carried what is wanted: one acknowledgement is enough',
    BOUNDED,
    async () => {
      const { committer, commits, interval, refuse, answer, sent } = bench()
      committer.start()
      committer.track(P0, 100n)
      // Every second call is lost.
      for (const offset of [100n, 200n, 300n]) {
        committer.track(P0, offset)
        await interval()
        await refuse('API_TIMEOUT')
        await interval()
        assert.deepEqual(sent(), [`0:${offset}`])
        await answer()
      }
      assert.equal(committer.isClean([P0]), true)
      await interval()
      assert.equal(commits.open.length, 0)
    }
  )

  test('what is repeated is sent once more, and told once', BOUNDED, async () => {
    const { committer, commits, interval, answer, sent, told } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    await answer()
    committer.repeat(P0)
    assert.equal(committer.isClean([P0]), false)
    await interval()
    assert.deepEqual(sent(), ['0:100'])
    await answer()
    assert.equal(committer.isClean([P0]), true)
    assert.deepEqual(told, ['committed 0 e1 100'])
    await interval()
    assert.equal(commits.all.length, 2)
  })

  test('what was only adopted is not repeated, and counts as acknowledged by nobody', BOUNDED, async () => {
    const { committer } = bench()
    committer.adopt(P0, 100n)
    committer.repeat(P0)
    assert.equal(committer.isClean([P0]), true)
    assert.deepEqual(committer.acknowledged(P0.topicId), [])
  })

  test(
    'once nothing is committed any more, everything is sent again, and nothing counts as acknowledged before',
    BOUNDED,
    async () => {
      const { committer, interval, answer, sent } = bench()
      committer.start()
      committer.track(P0, 100n)
      committer.track(P1, 200n)
      await interval()
      await answer()
      assert.deepEqual(committer.acknowledged(P0.topicId), [0, 1])
      committer.repeatAll()
      assert.deepEqual(committer.acknowledged(P0.topicId), [])
      await interval()
      assert.deepEqual(sent(), ['0:100', '1:200'])
      await answer()
      assert.deepEqual(committer.acknowledged(P0.topicId), [0, 1])
    }
  )

  test('a call whose fate is unknown keeps its partition in doubt beyond its epoch', BOUNDED, async () => {
    const { committer, commits, interval, refuse, answer, sent } = bench()
    committer.start()
    committer.track(P0, 100n)
    await interval()
    // The partition goes on from an earlier offset, in a new epoch, while the call is in flight.
    const next = epochOf(0, 2)
    committer.forget(P0)
    committer.track(next, 50n)
    await refuse('API_TIMEOUT')
    for (let call = 2; call <= 3; call++) {
      await interval()
      assert.equal(commits.all.length, call)
      assert.deepEqual(sent(), ['0:50'])
      assert.equal(committer.isClean([next]), false)
      await answer()
    }
    assert.equal(committer.isClean([next]), true)
  })

  test('a refusal is settled partition by partition, and ends only the refused epochs', BOUNDED, async () => {
    const { committer, commits, interval, told } = bench()
    committer.start()
    for (const epoch of [P0, P1, P2]) committer.track(epoch, 10n)
    commits.always = ({ offsets }) => {
      if (offsets.some(({ partition }) => partition === 1)) throw fail('API_REFUSED')
    }
    await interval()
    assert.deepEqual(
      commits.asks.map(({ offsets }) => offsets.map(({ partition }) => partition)),
      [[0, 1, 2], [0], [1], [2]]
    )
    assert.deepEqual(told, ['committed 0 e1 10', 'refused 1 API_REFUSED', 'committed 2 e1 10'])
    assert.equal(committer.isClean([P0, P1, P2]), true)
    await interval()
    assert.equal(commits.all.length, 4, 'the refused epoch is gone')
  })

  test('the refusal of a call for one partition needs no second call', BOUNDED, async () => {
    const { committer, commits, interval, refuse, told } = bench()
    committer.start()
    committer.track(P0, 10n)
    await interval()
    await refuse('API_REFUSED')
    assert.deepEqual([commits.all.length, told], [1, ['refused 0 API_REFUSED']])
  })

  test('one by one, a partition whose own call fails in passing is kept', BOUNDED, async () => {
    const { committer, commits, interval, told } = bench()
    committer.start()
    committer.track(P0, 10n)
    committer.track(P1, 10n)
    commits.always = ({ offsets }) => {
      if (offsets.length === 2) throw fail('API_REFUSED')
      if (offsets[0]?.partition === 0) throw fail('API_UNAVAILABLE')
    }
    await interval()
    assert.deepEqual(told, ['failed API_UNAVAILABLE 1', 'committed 1 e1 10'])
    assert.equal(committer.isClean([P0]), false)
  })

  test('I3: an epoch that ends while the others are settled one by one is not called for', BOUNDED, async () => {
    const { committer, commits, interval, refuse, answer } = bench()
    committer.start()
    committer.track(P0, 10n)
    committer.track(P1, 10n)
    await interval()
    await refuse('API_REFUSED')
    committer.forget(P1)
    await answer()
    await turn()
    assert.deepEqual(
      commits.asks.map(({ offsets }) => offsets.map(({ partition }) => partition)),
      [[0, 1], [0]]
    )
  })

  for (const code of ['API_UNAUTHORIZED', 'API_NOT_FOUND'] as const) {
    test(
      `${code} may be the matter of one topic: each partition is tried, and only the refused epochs end`,
      BOUNDED,
      async () => {
        const { committer, commits, interval, refuse, told } = bench()
        committer.start()
        committer.track(P0, 10n)
        committer.track(P1, 10n)
        await interval()
        await refuse(code)
        commits.only.answer()
        await turn()
        await refuse(code)
        assert.deepEqual(told.at(-1), `refused 1 ${code}`)
        assert.equal(committer.committedOffset(P0), 10n)
        assert.equal(committer.committedOffset(P1), undefined)
      }
    )
  }

  test('what is thrown by mistake breaks it too, and is not taken for a refusal', BOUNDED, async () => {
    const { committer, commits, interval, told } = bench()
    committer.start()
    committer.track(P0, 10n)
    await interval()
    commits.only.refuse(new TypeError('a bug'))
    await turn()
    assert.deepEqual(told, ['broken INVARIANT_BROKEN'])
  })
})

describe('committer: the lease', () => {
  test('I12: past the lease nothing is committed, by interval or flush', BOUNDED, async () => {
    const { committer, commits, interval, setLease, time } = bench()
    committer.start()
    committer.track(P0, 1n)
    setLease(0)
    await interval()
    assert.equal(await time.settle(committer.flush([P0], 60_000)), false)
    assert.equal(commits.all.length, 0)
    setLease(1000)
    await interval()
    assert.equal(commits.all.length, 1)
  })

  test('I12: a call may take no longer than the lease holds', BOUNDED, async () => {
    const { committer, commits, interval, setLease, answer } = bench()
    committer.start()
    committer.track(P0, 1n)
    setLease(1234)
    await interval()
    assert.equal(commits.asks[0]?.deadlineMs, 1234)
    assert.equal(commits.asks[0]?.whenUnsure, 'fail', 'a retry within the call would hide that its fate is unknown')
    await answer()
    setLease(1e9)
    committer.track(P0, 2n)
    await interval()
    const deadlineMs = commits.asks[1]?.deadlineMs ?? Number.POSITIVE_INFINITY
    assert.ok(deadlineMs <= 10_000, 'I8: and never longer than newer offsets may wait')
  })

  test(
    'I12: the lease that ends between two calls of a refusal ends the calls, and no epoch is blamed',
    BOUNDED,
    async () => {
      const { committer, commits, interval, setLease, refuse, told } = bench()
      committer.start()
      committer.track(P0, 1n)
      committer.track(P1, 1n)
      await interval()
      setLease(0)
      await refuse('API_REFUSED')
      assert.equal(commits.all.length, 1)
      assert.deepEqual(told, [])
    }
  )

  test('I12: a flush ends with the lease', BOUNDED, async () => {
    const { committer, commits, setLease, time } = bench()
    committer.track(P0, 1n)
    const flushed = committer.flush([P0], 60_000)
    await turn()
    setLease(0)
    commits.only.refuse(fail('API_TIMEOUT'))
    assert.equal(await time.settle(flushed), false)
    assert.equal(commits.all.length, 1)
  })
})

describe('committer: flush', () => {
  test('flushes of one turn share one call', BOUNDED, async () => {
    const { committer, commits, sent, answer } = bench()
    committer.track(P0, 1n)
    const first = committer.flush([P0], 1000)
    committer.track(P1, 2n)
    const flushed = Promise.all([first, committer.flush([P1], 1000)])
    await turn()
    assert.deepEqual(sent(), ['0:1', '1:2'])
    await answer()
    assert.deepEqual(await flushed, [true, true])
    assert.equal(commits.all.length, 1)
  })

  test('a flush during a call waits for it, and sends what it did not carry', BOUNDED, async () => {
    const { committer, commits, interval, answer, sent } = bench()
    committer.start()
    committer.track(P0, 1n)
    await interval()
    committer.track(P0, 2n)
    const flushed = committer.flush([P0], 1000)
    await turn()
    assert.equal(commits.all.length, 1)
    await answer()
    assert.deepEqual(sent(), ['0:2'])
    await answer()
    assert.equal(await flushed, true)
  })

  test('it tries again, not at once, until its deadline', BOUNDED, async () => {
    const { committer, commits, time } = bench()
    committer.track(P0, 1n)
    commits.always = () => {
      throw fail('API_UNAVAILABLE')
    }
    assert.equal(await time.settle(committer.flush([P0], 1000)), false)
    assert.equal(time.clock.monotonic(), 1000)
    assert.ok(commits.all.length >= 3 && commits.all.length <= 10, `${commits.all.length} calls`)
    assert.equal(committer.isClean([P0]), false)
  })

  test('I8: a call that does not end does not keep a flush beyond its deadline', BOUNDED, async () => {
    const { committer, commits, time } = bench()
    committer.track(P0, 1n)
    assert.equal(await time.settle(committer.flush([P0], 1000)), false)
    assert.equal(time.clock.monotonic(), 1000)
    assert.equal(commits.open.length, 1)
  })

  test('it ends when its epochs are gone', BOUNDED, async () => {
    const { committer, commits, time } = bench()
    committer.track(P0, 1n)
    const flushed = committer.flush([P0], 60_000)
    await turn()
    committer.forget(P0)
    commits.only.refuse(fail('API_REFUSED'))
    assert.equal(await time.settle(flushed), true)
    assert.ok(time.clock.monotonic() < 1000)
  })

  test('what is clean needs no call', BOUNDED, async () => {
    const { committer, commits } = bench()
    committer.adopt(P0, 1n)
    assert.equal(await committer.flush([P0, P1], 1000), true)
    assert.equal(commits.all.length, 0)
  })
})
