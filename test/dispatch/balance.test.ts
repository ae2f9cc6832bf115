/** Which partition moves, by what threads did; and that moves come to an end. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  Balance,
  chooseThread,
  expectShares,
  type Move,
  REST_WINDOWS,
  type ThreadLoad
} from '../../src/dispatch/balance.ts'

interface Seat {
  readonly name: string
}

/** A thread of these partitions, each with its share of the window; full and behind where they come to 0.9. */
function thread(shares: Readonly<Record<string, number>>, over: Partial<ThreadLoad<Seat>> = {}): ThreadLoad<Seat> {
  const busyShare = Object.values(shares).reduce((total, share) => total + share, 0)
  const seats = Object.entries(shares).map(([name, share]) => ({ seat: seatOf(name), share, mayMove: true }))
  return { busyShare, hasWaiting: busyShare >= 0.9, seats, ...over }
}

const seats = new Map<string, Seat>()
function seatOf(name: string): Seat {
  const seat = seats.get(name) ?? { name }
  seats.set(name, seat)
  return seat
}

function describeMove(move: Move<Seat> | undefined): string {
  return move === undefined ? 'none' : `${move.seat.name}: ${move.from} to ${move.to}`
}

/** What is decided in each of these windows, with nothing moved. */
function decisions(windows: readonly (readonly ThreadLoad<Seat>[])[]): string[] {
  const balance = new Balance<Seat>()
  return windows.map(threads => describeMove(balance.decide(threads)))
}

const twice = (...threads: ThreadLoad<Seat>[]): string | undefined => decisions([threads, threads])[1]

describe('a partition moves', () => {
  test('from a full thread with work waiting to the idlest, once that was so in two windows in a row', () => {
    const full = [thread({ a: 0.5, b: 0.5 }), thread({ c: 0.3 }), thread({ d: 0.2 })]
    const easy = [thread({ a: 0.4, b: 0.4 }), thread({ c: 0.3 }), thread({ d: 0.2 })]
    assert.deepEqual(decisions([full, easy, full, full]), ['none', 'none', 'none', 'a: 0 to 2'])
  })

  test('the one after which the fuller of the two threads is least full', () => {
    assert.equal(twice(thread({ a: 0.7, b: 0.25, c: 0.05 }), thread({ d: 0.2 })), 'b: 0 to 1')
    assert.equal(twice(thread({ a: 0.7, b: 0.25, c: 0.05 }), thread({})), 'a: 0 to 1')
  })

  test('from whichever full thread gains most', () => {
    assert.equal(twice(thread({ a: 0.8, b: 0.2 }), thread({ c: 0.5, d: 0.5 }), thread({ e: 0.4 })), 'b: 0 to 2')
    assert.equal(twice(thread({ a: 0.9, b: 0.1 }), thread({ c: 0.5, d: 0.5 }), thread({})), 'c: 1 to 2')
  })
})

describe('none moves', () => {
  test('where the thread keeps up, or is not full', () => {
    assert.equal(twice(thread({ a: 0.5, b: 0.5 }, { hasWaiting: false }), thread({})), 'none')
    assert.equal(twice(thread({ a: 0.44, b: 0.45 }, { hasWaiting: true }), thread({})), 'none')
  })

  test('where the fuller thread would be as full as before, or less full by less than a tenth', () => {
    assert.equal(twice(thread({ a: 0.5, b: 0.5 }), thread({ c: 0.5 })), 'none')
    assert.equal(twice(thread({ a: 0.95, b: 0.05 }), thread({})), 'none')
    assert.equal(twice(thread({ a: 0.5, b: 0.5 }), thread({ c: 0.39 })), 'a: 0 to 1')
  })

  test('that is alone on its thread, whatever else keeps that busy', () => {
    assert.equal(twice(thread({ a: 0.5 }, { busyShare: 1, hasWaiting: true }), thread({})), 'none')
  })

  test('that may not', () => {
    const { seats: [a, b] = [], ...load } = thread({ a: 0.5, b: 0.5 })
    assert.ok(a !== undefined && b !== undefined)
    assert.equal(twice({ ...load, seats: [{ ...a, mayMove: false }, b] }, thread({})), 'b: 0 to 1')
    assert.equal(twice({ ...load, seats: [a, b].map(seat => ({ ...seat, mayMove: false })) }, thread({})), 'none')
  })

  test('from or to a thread that was not up all the time', () => {
    const full = { a: 0.5, b: 0.5 }
    assert.equal(twice(thread(full), thread({}, { busyShare: undefined })), 'none')
    assert.equal(twice(thread(full, { busyShare: undefined }), thread({})), 'none')
    const lost = [thread(full, { busyShare: undefined }), thread({})]
    assert.equal(decisions([[thread(full), thread({})], lost, [thread(full), thread({})]])[2], 'none')
  })
})

test('what has moved rests; others move after two windows more', () => {
  const balance = new Balance<Seat>()
  const threads = [thread({ a: 0.5, b: 0.3, c: 0.2 }), thread({})]
  const next = (): string => describeMove(balance.decide(threads))
  next()
  assert.equal(next(), 'a: 0 to 1')
  balance.moved(seatOf('a'))
  // As if it had come back, by the user's word: it is not taken away at once.
  assert.deepEqual([next(), next()], ['none', 'b: 0 to 1'])
  balance.moved(seatOf('b'))
  const further = Array.from({ length: REST_WINDOWS }, next)
  assert.deepEqual(further.slice(0, 3), ['none', 'c: 0 to 1', 'c: 0 to 1'])
  assert.equal(
    further.findIndex(move => move.startsWith('a')),
    REST_WINDOWS - 2,
    `${further}`
  )
})

/** Partitions that need so much of a thread, in a window; a full thread does what it can, and the rest waits. */
class Model {
  readonly lanes: number[][]
  readonly #demands: readonly number[]
  readonly #seats: readonly Seat[]
  readonly #balance = new Balance<Seat>()

  constructor(demands: readonly number[], places: readonly number[], threadCount: number) {
    this.#demands = demands
    this.#seats = demands.map((_, index) => ({ name: `${index}` }))
    this.lanes = Array.from({ length: threadCount }, (_, lane) =>
      [...demands.keys()].filter(index => (places[index] ?? 0) % threadCount === lane)
    )
  }

  get needs(): number[] {
    return this.lanes.map(lane => lane.reduce((total, index) => total + this.demand(index), 0))
  }

  demand(index: number): number {
    return this.#demands[index] ?? 0
  }

  loads(): ThreadLoad<Seat>[] {
    return this.lanes.map((lane, thread) => {
      const need = this.needs[thread] ?? 0
      const busyShare = Math.min(1, need)
      const seats = lane.map(index => ({
        seat: this.#seats[index] ?? assert.fail(),
        share: need === 0 ? 0 : (this.demand(index) / need) * busyShare,
        mayMove: true
      }))
      return { busyShare, hasWaiting: need >= 0.9, seats }
    })
  }

  /** The partition that has moved in this window. */
  window(): number | undefined {
    const move = this.#balance.decide(this.loads())
    if (move === undefined) return undefined
    const index = this.#seats.indexOf(move.seat)
    this.lanes[move.from] = (this.lanes[move.from] ?? []).filter(other => other !== index)
    this.lanes[move.to]?.push(index)
    this.#balance.moved(move.seat)
    return index
  }
}

const demandsOf = fc.array(
  fc.integer({ min: 0, max: 150 }).map(percent => percent / 100),
  { minLength: 1, maxLength: 12 }
)
const placesOf = fc.array(fc.nat(3), { minLength: 12, maxLength: 12 })
const WINDOWS = 200

test('with loads that stay, moves end soon, the fullest thread gets no fuller, and no further one would help', () => {
  fc.assert(
    fc.property(demandsOf, placesOf, fc.integer({ min: 1, max: 4 }), (demands, places, threadCount) => {
      const model = new Model(demands, places, threadCount)
      let [moveCount, lastWindow] = [0, 0]
      for (let window = 1; window <= WINDOWS; window++) {
        const before = Math.max(...model.needs)
        if (model.window() === undefined) continue
        moveCount += 1
        lastWindow = window
        assert.ok(Math.max(...model.needs) <= before + 1e-9, 'the fullest got fuller')
      }
      assert.ok(moveCount <= demands.length, `${moveCount} moves of ${demands.length} partitions`)
      assert.ok(lastWindow < WINDOWS / 2, `still moving in window ${lastWindow}`)
      assertNoneWouldHelp(model)
    }),
    { numRuns: 500 }
  )
})

/** By trying each, on what was measured. */
function assertNoneWouldHelp(model: Model): void {
  const loads = model.loads()
  for (const { busyShare: from = 0, seats: lane } of loads) {
    if (from < 0.9 || lane.length < 2) continue
    for (const { share } of lane) {
      for (const { busyShare: to = 0 } of loads) {
        const after = Math.max(from - share, to + share)
        assert.ok(after > 0.9 * from - 1e-9, `${share} of ${from} could go to ${to}`)
      }
    }
  }
}

/** Of three threads the last has none at first. */
const PLACES = [0, 0, 0, 0, 1, 1]

test('however loads change, a partition moves once in so many windows, and any at most once in two', () => {
  const loadsOf = fc.array(
    fc.integer({ min: 0, max: 50 }).map(percent => percent / 100),
    { minLength: 2, maxLength: 4 }
  )
  const spellsOf = fc.array(fc.tuple(loadsOf, fc.integer({ min: 1, max: 5 })), { minLength: 5, maxLength: 30 })
  let moveCount = 0
  fc.assert(
    fc.property(spellsOf, spells => {
      const windows = spells.flatMap(([loads, count]) => Array.from({ length: count }, () => loads))
      const demands: number[] = Array.from({ length: PLACES.length }, () => 0)
      const model = new Model(demands, PLACES, 3)
      const lastMoves = new Map<number, number>()
      let lastMove = 0
      for (const [window, loads] of windows.entries()) {
        for (const index of demands.keys()) demands[index] = loads[index % loads.length] ?? 0
        const moved = model.window()
        if (moved === undefined) continue
        moveCount += 1
        assert.ok(window + 1 - lastMove >= 2, 'two windows after the last move')
        assert.ok(window - (lastMoves.get(moved) ?? Number.NEGATIVE_INFINITY) > REST_WINDOWS, 'it had rested')
        lastMove = window + 1
        lastMoves.set(moved, window)
      }
    }),
    { numRuns: 300 }
  )
  assert.ok(moveCount > 100, `${moveCount} moves`)
})

test('a load that goes from one thread to the other and back each window moves nothing', () => {
  const [left, right] = [
    [thread({ a: 0.5, b: 0.5 }), thread({ c: 0.1 })],
    [thread({ a: 0.1 }), thread({ b: 0.5, c: 0.5 })]
  ]
  const windows = Array.from({ length: 40 }, (_, window) => (window % 2 === 0 ? left : right))
  assert.deepEqual(new Set(decisions(windows)), new Set(['none']))
})

describe('a partition that comes', () => {
  test('is seated where the fewest are, from the first thread on, as long as nobody knows what they do', () => {
    assert.equal(chooseThread([2, 1, 1], [], 0), 1)
    assert.equal(chooseThread([1, 1, 1], [], 2), 2)
    assert.equal(chooseThread([1, 0, 0], [], 5), 2)
  })

  test('is seated where the least is done; where about as little is, by the fewest', () => {
    assert.equal(chooseThread([1, 3], [0.9, 0.2], 0), 1)
    assert.equal(chooseThread([1, 3], [0.25, 0.2], 0), 0)
    assert.equal(chooseThread([0, 3], [0.31, 0.2], 0), 1)
  })

  test('several at once are spread by what one is expected to cost', () => {
    const [counts, then] = [
      [1, 1],
      [1, 1]
    ]
    const chosen = Array.from({ length: 4 }, () => {
      const thread = chooseThread(counts, expectShares([0.55, 0.1], then, counts), 0)
      counts[thread] = (counts[thread] ?? 0) + 1
      return thread
    })
    assert.deepEqual(chosen, [1, 1, 0, 1])
  })

  test('what has gone since is not counted, and what was not measured leaves all unknown', () => {
    assert.deepEqual(expectShares([0.6, 0.2], [3, 1], [0, 1]), [0, 0.2])
    assert.deepEqual(expectShares([0.6, undefined], [3, 1], [3, 1]), [])
    assert.deepEqual(expectShares([0, 0], [0, 0], [1, 0]), [0, 0])
  })
})
