import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Balance, chooseThread, expectShares, REST_WINDOWS, type ThreadLoad } from '../../src/dispatch/balance.ts'

interface Partition {
  readonly name: string
  /** Of one thread's time, with all its work done. */
  readonly load: number
}

/** Threads whose partitions have work without an end: what is too much waits. */
function loadsOf(lanes: readonly (readonly Partition[])[], mayMove = (_: Partition) => true): ThreadLoad<Partition>[] {
  return lanes.map(lane => {
    const wanted = lane.reduce((total, { load }) => total + load, 0)
    const busyShare = Math.min(1, wanted)
    return {
      busyShare,
      hasWaiting: wanted >= 1,
      seats: lane.map(seat => ({
        seat,
        share: seat.load * (busyShare / Math.max(wanted, 1e-9)),
        mayMove: mayMove(seat)
      }))
    }
  })
}

const partition = (name: string, load: number): Partition => ({ name, load })
const HEAVY = [partition('a', 0.6), partition('b', 0.6)]

describe('which partition changes its thread', () => {
  test('one of two that are too much for theirs, once that has lasted for two windows', () => {
    const balance = new Balance<Partition>()
    const loads = loadsOf([HEAVY, []])
    assert.equal(balance.decide(loads), undefined)
    const move = balance.decide(loads)
    assert.deepEqual([move?.from, move?.to], [0, 1])
  })

  test('the count begins anew where a window in between was not too much', () => {
    const balance = new Balance<Partition>()
    const [much, little] = [loadsOf([HEAVY, []]), loadsOf([[partition('a', 0.3)], []])]
    for (const loads of [much, little, much, little]) assert.equal(balance.decide(loads), undefined)
  })

  const STAYS: readonly (readonly [string, readonly ThreadLoad<Partition>[]])[] = [
    ['a partition alone on its thread', loadsOf([[partition('a', 2)], []])],
    ['where nothing waits', loadsOf([HEAVY, []]).map(load => ({ ...load, hasWaiting: false }))],
    ['where the other thread is as full', loadsOf([HEAVY, HEAVY])],
    ['where it would help by less than a tenth', loadsOf([[partition('a', 0.95), partition('b', 0.06)], []])],
    ['what may not move', loadsOf([HEAVY, []], () => false)],
    ['where a thread was not up all the time', loadsOf([HEAVY, []]).map(load => ({ ...load, busyShare: undefined }))]
  ]
  for (const [what, loads] of STAYS) {
    test(`none: ${what}`, () => {
      const balance = new Balance<Partition>()
      for (let window = 0; window < 5; window++) assert.equal(balance.decide(loads), undefined)
    })
  }

  test('what has moved rests, though loads turn round at once', () => {
    const balance = new Balance<Partition>()
    const [a, b, c] = [partition('a', 0.6), partition('b', 0.6), partition('c', 0.9)]
    balance.decide(loadsOf([[a, b], []]))
    const move = balance.decide(loadsOf([[a, b], []]))
    assert.ok(move !== undefined)
    balance.moved(move.seat)
    const stays = move.seat === a ? b : a
    const turned = loadsOf([[], [move.seat, c]]).map((load, thread) => (thread === 0 ? { ...load, seats: [] } : load))
    const later = Array.from({ length: REST_WINDOWS }, () => balance.decide(turned))
    assert.ok(later.every(each => each?.seat !== move.seat))
    assert.notEqual(stays, move.seat)
  })

  const lanesArbitrary = fc
    .array(fc.array(fc.integer({ min: 1, max: 150 }), { maxLength: 5 }), { minLength: 2, maxLength: 4 })
    .map(lanes =>
      lanes.map((lane, thread) => lane.map((percent, index) => partition(`${thread}/${index}`, percent / 100)))
    )

  test('with loads that stay, moves come to an end, and none makes a thread fuller than the one it relieves', () => {
    fc.assert(
      fc.property(lanesArbitrary, given => {
        const lanes = given.map(lane => [...lane])
        const balance = new Balance<Partition>()
        const fullest = () => Math.max(...loadsOf(lanes).map(({ busyShare }) => busyShare ?? 0))
        const count = lanes.flat().length
        let moveCount = 0
        let quietWindows = 0
        for (let window = 0; quietWindows < 2 * REST_WINDOWS; window++) {
          assert.ok(window < 50 * (count + 1), 'it goes on for ever')
          const move = balance.decide(loadsOf(lanes))
          quietWindows = move === undefined ? quietWindows + 1 : 0
          if (move === undefined) continue
          const before = fullest()
          assert.ok(move.toShare + move.share < move.fromShare, 'the other thread is then as full')
          lanes[move.from]?.splice(lanes[move.from]?.indexOf(move.seat) ?? 0, 1)
          lanes[move.to]?.push(move.seat)
          balance.moved(move.seat)
          moveCount++
          assert.ok(fullest() <= before + 1e-9)
        }
        assert.ok(moveCount <= 2 * count, `${moveCount} moves of ${count} partitions`)
      })
    )
  })

  test('of loads that change with every window, a partition moves once in its rest at most', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 150 })), { maxLength: 60 }),
        loads => {
          const balance = new Balance<object>()
          const seats = [{}, {}, {}]
          const threadOf = new Map(seats.map((seat, index) => [seat, index % 2]))
          const lastMove = new Map<object, number>()
          for (const [window, shares] of loads.entries()) {
            const shareOf = (seat: object): number => shares[seat === seats[0] ? 0 : 1] / 100
            const threads = [0, 1].map(thread => {
              const own = seats.filter(seat => threadOf.get(seat) === thread)
              const wanted = own.reduce<number>((total, seat) => total + shareOf(seat), 0)
              return {
                busyShare: Math.min(1, wanted),
                hasWaiting: wanted > 1,
                seats: own.map(seat => ({ seat, share: shareOf(seat), mayMove: true }))
              }
            })
            const move = balance.decide(threads)
            if (move === undefined) continue
            assert.ok(window - (lastMove.get(move.seat) ?? Number.NEGATIVE_INFINITY) > REST_WINDOWS)
            lastMove.set(move.seat, window)
            threadOf.set(move.seat, move.to)
            balance.moved(move.seat)
          }
        }
      )
    )
  })
})

describe('where a partition that comes is seated', () => {
  test('where the fewest sit, as long as nobody knows the loads; of several, in turn from the first', () => {
    assert.equal(chooseThread([1, 0, 0], [], 0), 1)
    assert.equal(chooseThread([0, 0, 0], [], 2), 2)
  })

  test('where the least is done, once that is known', () => {
    assert.equal(chooseThread([1, 5], [0.9, 0.2], 0), 1)
  })

  test('what has come since counts as an average partition: not all that come go to one thread', () => {
    assert.deepEqual(expectShares([0.8, 0.2], [2, 2], [2, 4]), [0.8, 0.7])
    assert.deepEqual(expectShares([0.8, undefined], [2, 2], [2, 4]), [])
  })
})
