import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Epoch } from '../../src/batch.ts'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import { Holdings } from '../../src/group/holdings.ts'
import { Lease } from '../../src/group/lease.ts'
import { Membership } from '../../src/group/membership.ts'
import type { TopicPartitions } from '../../src/world.ts'
import { createFakeTime, createKeptLog, rejection } from '../cls/fakes.ts'
import { turn } from '../support/calls.ts'
import { createFakeControl } from '../support/fake-control.ts'
import { settingsWith } from '../support/settings.ts'

const BOUNDED = { timeout: 10_000 }
const CALL_TIMEOUT_MS = 60_000
const INTERVAL_MS = 20_000
const TIMEOUT_MS = 2 * INTERVAL_MS

const grant = (...partitions: number[]): TopicPartitions[] => [{ topicId: 'topic-a', partitions }]
const fail = (code: ErrorCode) => new ClsConsumerError(code, `said ${code}`)

function bench() {
  const time = createFakeTime()
  let stoppedMs = 0
  const clock = { now: time.clock.now, monotonic: () => time.clock.monotonic() + stoppedMs }
  const control = createFakeControl()
  const log = createKeptLog()
  const holdings = new Holdings(['topic-a'])
  const lease = new Lease(TIMEOUT_MS)
  /** What was told, in order: `assigned 1`. */
  const told: string[] = []
  const reasons: string[] = []
  const epochs = new Map<number, Epoch>()
  const tell = (what: string) => (all: readonly Epoch[]) => {
    for (const epoch of all) {
      told.push(`${what} ${epoch.partition}`)
      epochs.set(epoch.partition, epoch)
    }
  }
  const membership = new Membership({
    world: { clock, timers: time.timers, control: control.api, log },
    settings: settingsWith({ heartbeatIntervalMs: INTERVAL_MS, callTimeoutMs: CALL_TIMEOUT_MS }),
    consumer: 'me',
    holdings,
    lease,
    handlers: {
      assigned: tell('assigned'),
      revoked: tell('revoked'),
      lost: (epochs, reason) => {
        tell('lost')(epochs)
        reasons.push(reason)
      },
      unknown: error => told.push(`unknown ${error.code}`),
      failed: error => told.push(`failed ${error.code}`)
    }
  })
  const { heartbeats } = control
  const heldInLast = (): readonly number[] | undefined => heartbeats.asks.at(-1)?.held[0]?.partitions
  const epochOf = (partition: number): Epoch => {
    const epoch = epochs.get(partition)
    assert.ok(epoch !== undefined, `partition ${partition} was told of`)
    return epoch
  }
  return {
    time,
    log,
    holdings,
    lease,
    membership,
    heartbeats,
    told,
    reasons,
    heldInLast,
    epochOf,
    /** The process was stopped for so long: the clock has moved on, and no timer had its turn. */
    stopProcess(ms: number): void {
      stoppedMs += ms
    },
    /** Joins and is granted these. */
    async join(...partitions: number[]): Promise<void> {
      const joined = membership.join(new AbortController().signal)
      heartbeats.only.answer(grant(...partitions))
      await joined
      for (const partition of partitions) holdings.activate(epochOf(partition))
    },
    async answer(...partitions: number[]): Promise<void> {
      heartbeats.only.answer(grant(...partitions))
      await turn()
    },
    /** The partition's work has ended. */
    release(partition: number): void {
      const phase = holdings.phaseOf(epochOf(partition))
      if (phase === 'active') holdings.drain(epochOf(partition))
      membership.release(epochOf(partition))
    }
  }
}

describe('membership: joining', () => {
  test('join sends a heartbeat that lists every topic, and takes what is granted', BOUNDED, async () => {
    const { membership, heartbeats, told, join } = bench()
    await join(1, 0)
    assert.deepEqual(told, ['assigned 0', 'assigned 1'])
    assert.deepEqual(heartbeats.asks[0]?.held, [{ topicId: 'topic-a', partitions: [] }])
    assert.equal(membership.checkLease(), true)
  })

  test('join rejects where the service refuses, and no heartbeat follows', BOUNDED, async () => {
    const { time, membership, heartbeats } = bench()
    const joined = membership.join(new AbortController().signal)
    heartbeats.only.refuse(fail('API_UNAUTHORIZED'))
    await rejection('API_UNAUTHORIZED', joined)
    await time.advance(10 * INTERVAL_MS)
    assert.equal(heartbeats.all.length, 1)
    await membership.leave()
    assert.equal(heartbeats.all.length, 1, 'who has not joined does not leave')
  })

  test(
    'I8: a silent service is asked again, each time within an interval, until callTimeoutMs has passed',
    BOUNDED,
    async () => {
      const { time, membership, heartbeats } = bench()
      const joined = membership.join(new AbortController().signal)
      const rejected = rejection('API_TIMEOUT', joined)
      while (heartbeats.open.length > 0) {
        const waitedMs = time.clock.monotonic()
        const deadlineMs = heartbeats.only.ask.deadlineMs ?? Number.POSITIVE_INFINITY
        assert.ok(deadlineMs < INTERVAL_MS, `${deadlineMs}`)
        assert.ok(waitedMs + deadlineMs <= CALL_TIMEOUT_MS, `${deadlineMs} after ${waitedMs}`)
        await time.advance(deadlineMs)
        heartbeats.only.refuse(fail('API_TIMEOUT'))
        await turn()
        await time.advance(time.sleptMs.at(-1) ?? 0)
      }
      await rejected
      assert.ok(heartbeats.all.length >= 3, `${heartbeats.all.length} heartbeats`)
      await time.advance(10 * INTERVAL_MS)
      assert.equal(heartbeats.open.length, 0, 'who has not joined does not beat')
    }
  )

  test('join ends as soon as the consumer stops', BOUNDED, async () => {
    const { membership } = bench()
    const stop = new AbortController()
    const joined = membership.join(stop.signal)
    stop.abort(fail('CONSUMER_STATE'))
    await rejection('CONSUMER_STATE', joined)
  })
})

describe('membership: heartbeats', () => {
  test('one leaves every interval, counted from sending to sending', BOUNDED, async () => {
    const { time, heartbeats, join, answer } = bench()
    await join(1)
    await time.advance(INTERVAL_MS - 1)
    assert.equal(heartbeats.all.length, 1)
    await time.advance(1)
    assert.equal(heartbeats.all.length, 2)
    await time.advance(5000)
    await answer(1)
    await time.advance(INTERVAL_MS - 5001)
    assert.equal(heartbeats.all.length, 2)
    await time.advance(1)
    assert.equal(heartbeats.all.length, 3)
  })

  test('I8: a heartbeat with its retries ends before the next one is due', BOUNDED, async () => {
    const { time, heartbeats, join, answer, membership, release } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    await answer(1)
    release(1)
    await answer()
    const left = membership.leave()
    await turn()
    await answer()
    await left
    const deadlines = heartbeats.asks.map(({ deadlineMs }) => deadlineMs ?? Number.POSITIVE_INFINITY)
    assert.ok(deadlines.length === 4 && deadlines.every(deadlineMs => deadlineMs < INTERVAL_MS), `${deadlines}`)
  })

  test('at most one is in flight, however many partitions are released meanwhile', BOUNDED, async () => {
    const { time, heartbeats, join, answer, release, heldInLast } = bench()
    await join(1, 2, 3)
    await time.advance(INTERVAL_MS)
    release(1)
    release(2)
    await turn()
    assert.equal(heartbeats.open.length, 1)
    assert.deepEqual(heldInLast(), [1, 2, 3])
    await answer(1, 2, 3)
    assert.equal(heartbeats.all.length, 3, 'one more leaves at once, for both')
    assert.deepEqual(heldInLast(), [3])
    await answer(3)
    assert.equal(heartbeats.all.length, 3)
  })

  test('a release is told at once', BOUNDED, async () => {
    const { heartbeats, join, release, heldInLast } = bench()
    await join(1, 2)
    release(1)
    assert.equal(heartbeats.open.length, 1)
    assert.deepEqual(heldInLast(), [2])
  })

  test('I4: the answer to a heartbeat sent before a release does not give the partition back', BOUNDED, async () => {
    const { time, join, answer, release, told, heldInLast } = bench()
    await join(1, 2)
    await time.advance(INTERVAL_MS)
    release(1)
    await answer(1, 2)
    assert.deepEqual(told, ['assigned 1', 'assigned 2'])
    assert.deepEqual(heldInLast(), [2])
    await answer(1, 2)
    assert.deepEqual(told, ['assigned 1', 'assigned 2', 'assigned 1'], 'a later grant counts')
  })

  test('a revoked partition stays in the heartbeat until it is released', BOUNDED, async () => {
    const { time, join, answer, told, heldInLast } = bench()
    await join(1, 2)
    await time.advance(INTERVAL_MS)
    await answer(2)
    assert.deepEqual(told.slice(2), ['revoked 1'])
    await time.advance(INTERVAL_MS)
    assert.deepEqual(heldInLast(), [1, 2])
  })

  test('a failed heartbeat ends nothing while the lease holds, and the next one leaves on time', BOUNDED, async () => {
    const { time, heartbeats, join, told, log } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    heartbeats.only.refuse(fail('API_TIMEOUT'))
    await time.advance(INTERVAL_MS - 1)
    assert.deepEqual(told, ['assigned 1'])
    assert.equal(heartbeats.all.length, 2)
    assert.ok(log.lines.some(({ level, message }) => level === 'warn' && message === 'heartbeat failed'))
  })

  test('a heartbeat that is refused for good is told', BOUNDED, async () => {
    const { time, heartbeats, join, told } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    heartbeats.only.refuse(fail('API_UNAUTHORIZED'))
    await turn()
    assert.deepEqual(told.slice(1), ['failed API_UNAUTHORIZED'])
  })

  test('partitions of a topic that is not read are warned of, once a topic', BOUNDED, async () => {
    const { time, join, heartbeats, log } = bench()
    await join(1)
    for (let beat = 0; beat < 2; beat++) {
      await time.advance(INTERVAL_MS)
      heartbeats.only.answer([...grant(1), { topicId: 'foreign', partitions: [0, 1] }])
      await turn()
    }
    assert.deepEqual(
      log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields),
      [{ topicId: 'foreign' }]
    )
  })
})

describe('membership: the lease', () => {
  test('I12: it ends one group timeout after the sending of the last acknowledged heartbeat', BOUNDED, async () => {
    const { time, heartbeats, join, answer, told, membership } = bench()
    await join(1, 2)
    await time.advance(INTERVAL_MS)
    await time.advance(10_000)
    await answer(1, 2) // sent at 20 s, answered at 30 s: ends at 60 s
    await time.advance(10_000)
    heartbeats.only.refuse(fail('API_UNREACHABLE'))
    await time.advance(TIMEOUT_MS - INTERVAL_MS - 1)
    assert.deepEqual(told, ['assigned 1', 'assigned 2'])
    assert.equal(membership.checkLease(), true)
    await time.advance(1)
    assert.deepEqual(told.slice(2), ['lost 1', 'lost 2'])
    assert.equal(membership.checkLease(), false)
  })

  test('I12: whoever asks first after the end learns it, before any timer has fired', BOUNDED, async () => {
    const { membership, join, told, stopProcess } = bench()
    await join(1)
    stopProcess(TIMEOUT_MS - 1)
    assert.equal(membership.checkLease(), true)
    stopProcess(1)
    assert.equal(membership.checkLease(), false)
    assert.deepEqual(told, ['assigned 1', 'lost 1'])
    assert.equal(membership.checkLease(), false)
    assert.deepEqual(told, ['assigned 1', 'lost 1'], 'told once')
  })

  test('I12: a heartbeat that fails after the end ends the epochs, where no timer has fired', BOUNDED, async () => {
    const { time, heartbeats, join, told, stopProcess } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    stopProcess(INTERVAL_MS)
    heartbeats.only.refuse(fail('API_UNREACHABLE'))
    await turn()
    assert.deepEqual(told, ['assigned 1', 'lost 1'])
  })

  test('I4: lost partitions stay in the heartbeat until their work has ended', BOUNDED, async () => {
    const { time, heartbeats, join, told, heldInLast } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    heartbeats.only.refuse(fail('API_UNREACHABLE'))
    await time.advance(INTERVAL_MS)
    assert.deepEqual(told.slice(1), ['lost 1'])
    assert.deepEqual(heldInLast(), [1])
  })

  test('I12: an answer that comes after the end ends the epochs first', BOUNDED, async () => {
    const { time, join, answer, told, release, epochOf } = bench()
    await join(1)
    const before = epochOf(1).epoch
    await time.advance(INTERVAL_MS)
    await time.advance(INTERVAL_MS - 1)
    assert.deepEqual(told, ['assigned 1'])
    await time.advance(1)
    assert.deepEqual(told, ['assigned 1', 'lost 1'])
    await answer(1) // sent at 20 s: counts, its lease ends at 60 s
    assert.deepEqual(told, ['assigned 1', 'lost 1'], 'still held: not assigned yet')
    release(1)
    await answer(1)
    assert.deepEqual(told, ['assigned 1', 'lost 1', 'assigned 1'])
    assert.ok(epochOf(1).epoch > before)
  })

  test('I12: an answer is not applied as if the lease still held, where no timer has fired', BOUNDED, async () => {
    const { time, membership, join, answer, told, stopProcess } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    stopProcess(INTERVAL_MS) // until 40 s, when the lease of the first heartbeat is just over
    await answer(2)
    assert.deepEqual(told, ['assigned 1', 'lost 1', 'assigned 2'], 'lost first, not revoked')
    assert.equal(membership.checkLease(), true, 'the heartbeat of 20 s counts until 60 s')
    stopProcess(INTERVAL_MS)
    assert.equal(membership.checkLease(), false)
  })

  test('I12: an answer older than the group timeout grants nothing', BOUNDED, async () => {
    const { time, membership, heartbeats, answer, told, holdings, stopProcess } = bench()
    const joined = membership.join(new AbortController().signal)
    stopProcess(TIMEOUT_MS)
    await answer(1)
    assert.deepEqual([told, holdings.heldCount, heartbeats.open.length], [[], 0, 0])
    await time.advance(1000)
    await answer(1)
    await joined
    assert.deepEqual(told, ['assigned 1'])
  })
})

describe('membership: leaving', () => {
  test(
    'I4: the last heartbeat lists every topic without partitions, its grants are ignored, and none follows',
    BOUNDED,
    async () => {
      const { time, membership, heartbeats, join, answer, release, told, holdings } = bench()
      await join(1)
      membership.takeNoMore()
      release(1)
      await answer(1)
      assert.deepEqual(told, ['assigned 1'], 'a consumer that stops takes nothing')
      const left = membership.leave()
      await turn()
      assert.deepEqual(heartbeats.asks.at(-1)?.held, [{ topicId: 'topic-a', partitions: [] }])
      await answer(1, 2, 3)
      await left
      assert.equal(holdings.heldCount, 0)
      assert.deepEqual(told, ['assigned 1'])
      assert.equal(time.pendingCount, 0, 'no timer is left')
      const count = heartbeats.all.length
      await time.advance(10 * TIMEOUT_MS)
      assert.equal(heartbeats.all.length, count)
    }
  )

  test('a consumer that drains beats on until it leaves', BOUNDED, async () => {
    const { time, membership, heartbeats, join, heldInLast } = bench()
    await join(1)
    membership.takeNoMore()
    await time.advance(INTERVAL_MS)
    assert.equal(heartbeats.all.length, 2)
    assert.deepEqual(heldInLast(), [1])
  })

  test('the heartbeat in flight is given up for the last one, and changes nothing', BOUNDED, async () => {
    const { time, membership, heartbeats, join, answer, told, log } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    const left = membership.leave()
    await turn()
    assert.deepEqual([heartbeats.all.length, heartbeats.open.length], [3, 1])
    await answer()
    await left
    assert.deepEqual([told, log.lines], [['assigned 1'], []])
  })

  test('I8: the last heartbeat is bounded, however long the interval', BOUNDED, async () => {
    const { membership, heartbeats, join, answer } = bench()
    await join()
    const left = membership.leave()
    await turn()
    assert.ok((heartbeats.only.ask.deadlineMs ?? Number.POSITIVE_INFINITY) <= 5000)
    await answer()
    await left
  })

  test('a lost last heartbeat is no error', BOUNDED, async () => {
    const { membership, heartbeats, join, told, log } = bench()
    await join()
    const left = membership.leave()
    await turn()
    heartbeats.only.refuse(fail('API_TIMEOUT'))
    await left
    assert.deepEqual(told, [])
    assert.ok(log.lines.some(({ message }) => message === 'last heartbeat failed'))
  })
})

test(
  'I12: a heartbeat that is never answered leaves time for two more tries within its interval',
  BOUNDED,
  async () => {
    const { time, join, heartbeats } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    for (const { deadlineMs = 0, tryMs = Number.POSITIVE_INFINITY } of heartbeats.asks)
      assert.ok(3 * tryMs <= deadlineMs)
    heartbeats.only.answer(grant(1))
  }
)

describe('a group that is gone', () => {
  test('I12: the epochs and the lease end at once; no heartbeat leaves until it is made again', BOUNDED, async () => {
    const { time, join, told, reasons, lease, heartbeats, heldInLast, membership } = bench()
    await join(1, 2)
    await time.advance(INTERVAL_MS)
    heartbeats.only.refuse(fail('API_NOT_FOUND'))
    await turn()
    assert.deepEqual(told.slice(2), ['lost 1', 'lost 2', 'unknown API_NOT_FOUND'])
    assert.deepEqual(reasons, ['the group is gone'])
    assert.equal(lease.holds(time.clock.monotonic()), false)
    await time.advance(10 * INTERVAL_MS)
    assert.equal(heartbeats.open.length, 0)
    membership.groupMade()
    assert.deepEqual(heldInLast(), [1, 2], 'their work may still run')
  })

  test('releases meanwhile tell nobody, and cost none of the tries', BOUNDED, async () => {
    const { time, join, told, membership, epochOf, heartbeats } = bench()
    await join(0, 1, 2, 3, 4, 5, 6, 7)
    await time.advance(INTERVAL_MS)
    heartbeats.only.refuse(fail('API_NOT_FOUND'))
    await turn()
    for (let partition = 0; partition < 8; partition++) {
      membership.release(epochOf(partition))
      await turn()
    }
    assert.equal(heartbeats.open.length, 0)
    assert.ok(!told.includes('failed API_NOT_FOUND'))
  })

  test('made again, it is joined: what it grants is taken as new', BOUNDED, async () => {
    const { time, join, told, membership, epochOf, heartbeats, lease } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    heartbeats.only.refuse(fail('API_NOT_FOUND'))
    await turn()
    membership.release(epochOf(1))
    membership.groupMade()
    heartbeats.only.answer(grant(1))
    await turn()
    assert.deepEqual(told.slice(1), ['lost 1', 'unknown API_NOT_FOUND', 'assigned 1'])
    assert.ok(lease.holds(time.clock.monotonic()))
  })

  test('I8: one that is gone again each time it was made is given up', BOUNDED, async () => {
    const { time, join, told, heartbeats, membership } = bench()
    await join(1)
    await time.advance(INTERVAL_MS)
    for (let round = 1; round <= 6; round++) {
      heartbeats.only.refuse(fail('API_NOT_FOUND'))
      await turn()
      membership.groupMade()
    }
    assert.equal(told.filter(line => line === 'unknown API_NOT_FOUND').length, 5)
    assert.equal(told.at(-1), 'failed API_NOT_FOUND')
  })

  test('a heartbeat that is understood in between begins the count anew', BOUNDED, async () => {
    const { time, join, told, heartbeats, membership } = bench()
    await join()
    for (let round = 1; round <= 12; round++) {
      await time.advance(INTERVAL_MS)
      if (round % 4 === 0) heartbeats.only.answer(grant())
      else {
        heartbeats.only.refuse(fail('API_NOT_FOUND'))
        await turn()
        membership.groupMade()
        heartbeats.only.answer(grant())
      }
      await turn()
    }
    assert.ok(!told.includes('failed API_NOT_FOUND'))
  })
})
