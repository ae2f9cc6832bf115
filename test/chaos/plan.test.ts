/** The plan of a run: the same for a seed, nothing left out, nothing under way at its end. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isFaultRules } from '../../src/emulator/fault-rules.ts'
import { DOOM_KINDS } from './doom.ts'
import { type Deed, type DeedKind, describeDeed, drawPlan, GROUP_TIMEOUT_MS, SLOT_COUNT } from './plan.ts'

const MINUTE_MS = 60_000
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8]
const ALL: readonly DeedKind[] = [
  ...(['kill', 'terminate', 'freeze', 'hiccup', 'doom'] as const),
  ...(['network', 'mute', 'outage', 'split', 'merge'] as const)
]

function deeds(seed: number, lengthMs = MINUTE_MS): Deed[] {
  return drawPlan(seed, lengthMs).map(({ deed }) => deed)
}

describe('a plan of chaos', () => {
  test('is the same for the same seed, and another for another', () => {
    assert.deepEqual(drawPlan(7, MINUTE_MS), drawPlan(7, MINUTE_MS))
    assert.notDeepEqual(drawPlan(7, MINUTE_MS), drawPlan(8, MINUTE_MS))
  })

  test('has every kind of deed within a minute, and every doom within two', () => {
    for (const seed of SEEDS) {
      const kinds = new Set(deeds(seed).map(({ kind }) => kind))
      assert.deepEqual(
        ALL.filter(kind => !kinds.has(kind)),
        [],
        `seed ${seed}`
      )
      const dooms = new Set(
        deeds(seed, 2 * MINUTE_MS).flatMap(deed => (deed.kind === 'doom' ? `${deed.doom.kind} ${deed.doom.when}` : []))
      )
      assert.equal(dooms.size, 2 * DOOM_KINDS.length, `seed ${seed}`)
    }
  })

  test('is in the order of time, over at its end, and names consumers that there are', () => {
    for (const seed of SEEDS) {
      let lastMs = 0
      for (const { atMs, deed } of drawPlan(seed, MINUTE_MS)) {
        assert.ok(atMs >= lastMs)
        lastMs = atMs
        const lengthMs = 'forMs' in deed ? deed.forMs : 'downMs' in deed ? deed.downMs : 0
        assert.ok(atMs + lengthMs <= MINUTE_MS, describeDeed(deed))
        if ('slot' in deed) assert.ok(deed.slot >= 0 && deed.slot < SLOT_COUNT)
      }
    }
  })

  test('I12: takes the lease from whom it freezes or mutes, and from nobody by a hiccup', () => {
    for (const deed of SEEDS.flatMap(seed => deeds(seed))) {
      if (deed.kind === 'freeze' || deed.kind === 'mute') assert.ok(deed.forMs > GROUP_TIMEOUT_MS)
      if (deed.kind === 'hiccup' || deed.kind === 'outage') assert.ok(deed.forMs < GROUP_TIMEOUT_MS / 2)
    }
  })

  test('has splits and merges over a whole long run, and not more of them than in a short one can be', () => {
    for (const seed of SEEDS) {
      const steps = drawPlan(seed, 20 * MINUTE_MS).filter(({ deed }) => deed.kind === 'split' || deed.kind === 'merge')
      assert.ok(steps.length > 10 && steps.length <= 17, `${steps.length} of them`)
      assert.ok((steps.at(-1)?.atMs ?? 0) > 15 * MINUTE_MS)
    }
  })

  test('leaves every action through now and then, and asks for faults that can be played', () => {
    for (const deed of SEEDS.flatMap(seed => deeds(seed))) {
      if (deed.kind !== 'network') continue
      assert.ok(isFaultRules(deed.rules))
      for (const { every = 1 } of deed.rules) assert.ok(every > 1)
    }
  })
})
