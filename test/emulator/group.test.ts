import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BeatRules, Group, type PartitionRef, partitionRef } from '../../src/emulator/group.ts'
import { DEFAULT_QUIRKS } from '../../src/emulator/quirks.ts'

const SIX: readonly PartitionRef[] = [1, 2, 3, 4, 5, 6].map(partition => partitionRef('t', partition))
const TIMEOUT_MS = 10_000

/** Consumers that do as they are told at once: what they hold is what the last answer named. */
class Players {
  readonly group = new Group('g', TIMEOUT_MS / 1000, ['t'])
  readonly held = new Map<string, ReadonlySet<number>>()
  nowMs = 0
  all = SIX
  rules: BeatRules = DEFAULT_QUIRKS

  beat(consumer: string, held: Iterable<number> = this.held.get(consumer) ?? []): number[] {
    const keys = new Set([...held].map(partition => partitionRef('t', partition).key))
    const granted = this.group.beat(consumer, keys, this.all, this.nowMs, this.rules).map(({ partition }) => partition)
    this.held.set(consumer, new Set(granted))
    return granted
  }

  owner(partition: number): string | undefined {
    return this.group.owner(partitionRef('t', partition), this.nowMs)
  }
}

test('the first consumer gets everything, and a heartbeat with an empty list joins', () => {
  assert.deepEqual(new Players().beat('A', []), [1, 2, 3, 4, 5, 6])
})

test('A and B have three each; C joins, both give up one, and C gets them only once they left them out', () => {
  const players = new Players()
  players.beat('A')
  players.beat('B')
  players.beat('A')
  players.beat('A')
  const b = players.beat('B')
  const a = players.beat('A')
  assert.deepEqual([a.length, b.length], [3, 3])

  assert.deepEqual(players.beat('C'), [], 'C joins: nothing is free yet')
  const stillA = players.beat('A', a)
  assert.equal(stillA.length, 2, 'A learns that it should give up one')
  assert.deepEqual(players.beat('C'), [], 'A still holds it')
  players.beat('A', stillA)
  const fromA = a.filter(partition => !stillA.includes(partition))
  assert.deepEqual(players.beat('C'), fromA, 'A left it out')
  const stillB = players.beat('B', b)
  players.beat('B', stillB)
  const fromB = b.filter(partition => !stillB.includes(partition))
  assert.deepEqual(players.beat('C'), [...fromA, ...fromB].sort(), 'and one from B')
  assert.deepEqual([players.beat('A'), players.beat('B')], [stillA, stillB], 'nothing else moved')
})

test('a consumer silent for the timeout stays a member, and for longer is gone with all it had', () => {
  const players = new Players()
  players.beat('A')
  players.beat('B')
  players.nowMs = TIMEOUT_MS
  assert.deepEqual(players.beat('B'), [])
  assert.deepEqual([...players.group.members(players.nowMs).keys()], ['A', 'B'])
  players.nowMs = TIMEOUT_MS + 1
  assert.equal(players.owner(1), undefined)
  assert.deepEqual(players.beat('B'), [1, 2, 3, 4, 5, 6])
})

test('a partition that comes back to a consumer whose answer was lost is told again', () => {
  const players = new Players()
  players.beat('A')
  assert.deepEqual(players.beat('A', []), [1, 2, 3, 4, 5, 6])
})

test('what nobody owns and a consumer lists is its own until it leaves it out, whoever it is meant for', () => {
  const players = new Players()
  players.beat('A')
  players.beat('B', [])
  players.beat('C', [])
  const kept = players.beat('A')
  players.beat('A', kept)
  const free = SIX.map(({ partition }) => partition).filter(partition => players.owner(partition) === undefined)
  const meant = free.find(partition => players.group.target(partitionRef('t', partition)) === 'B')
  assert.ok(meant !== undefined)
  players.beat('C', [meant])
  assert.equal(players.owner(meant), 'C')
  assert.ok(!players.beat('B').includes(meant), 'C works on it')
  players.beat('C', [])
  assert.ok(players.beat('B').includes(meant), 'C left it out')
})

test('what another owns and a consumer lists is ignored', () => {
  const players = new Players()
  players.beat('A')
  players.beat('B', [1, 2])
  assert.equal(players.owner(1), 'A')
})

test('new partitions of a split are handed out without moving others', () => {
  const players = new Players()
  players.beat('A')
  players.beat('B')
  players.beat('A')
  players.beat('A')
  const [a, b] = [players.beat('A'), players.beat('B')]
  players.all = [...SIX, partitionRef('t', 7), partitionRef('t', 8)]
  const [nextA, nextB] = [players.beat('A'), players.beat('B')]
  assert.deepEqual([nextA.slice(0, 3), nextB.slice(0, 3)], [a, b])
  assert.deepEqual([nextA.length, nextB.length], [4, 4])
})

test('a partition that leaves the group is owned by nobody, and is free when it comes back', () => {
  const players = new Players()
  players.beat('A')
  players.all = SIX.slice(1)
  assert.deepEqual(players.beat('A'), [2, 3, 4, 5, 6])
  assert.equal(players.owner(1), undefined)
})

test('no two consumers are ever told to hold one partition that the other has not given up', {
  timeout: 60_000
}, () => {
  const step = fc.record({ who: fc.nat(4), waitMs: fc.nat(6000), obeys: fc.boolean(), leaves: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), steps => {
      const players = new Players()
      const lastBeat = new Map<string, number>()
      for (const { who, waitMs, obeys, leaves } of steps) {
        players.nowMs += waitMs
        const consumer = `c${who}`
        for (const [name, at] of lastBeat) {
          if (players.nowMs - at > TIMEOUT_MS) players.held.delete(name)
        }
        // Who does not obey goes on holding what it was told to give up; both ways it holds all it was told to.
        const before = players.held.get(consumer) ?? new Set()
        const granted = players.beat(consumer, leaves ? [] : before)
        const keeps = leaves ? granted : obeys ? granted : [...new Set([...before, ...granted])]
        players.held.set(consumer, new Set(keeps))
        lastBeat.set(consumer, players.nowMs)
        for (const partition of granted) {
          for (const [other, held] of players.held) {
            if (other !== consumer) assert.ok(!held.has(partition), `${partition}: ${consumer} and ${other}`)
          }
        }
      }
    }),
    { numRuns: 300 }
  )
})

test('once all obey and nothing changes, all partitions are owned and sizes differ by at most one', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(4), { maxLength: 30 }), joins => {
      const players = new Players()
      const names = new Set(['c0', ...joins.map(who => `c${who}`)])
      for (const who of joins) players.beat(`c${who}`)
      for (let round = 0; round < 4; round++) for (const name of names) players.beat(name)
      const counts = [...names].map(name => players.held.get(name)?.size ?? 0)
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        6
      )
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join())
    }),
    { numRuns: 200 }
  )
})
