/**
 * What is done to whom, and when: drawn from a seed before anything starts.
 *
 * In: a seed and a length. Out: steps in the order of time. Pure: the same plan each time; what it meets is not, since
 * real processes keep no time. Must never happen: a step that is not over when the run is; a kind of deed that chance
 * leaves out for long.
 */
import type { FaultRule } from '../../src/emulator/start.ts'
import { Dice } from '../fuzz/dice.ts'
import { DOOM_KINDS, type Doom } from './doom.ts'
import { drawTrouble } from './troubles.ts'

export const SLOT_COUNT = 4
/** Twice the heartbeat interval: silent for longer, a consumer is offline. */
export const HEARTBEAT_INTERVAL_MS = 1500
export const GROUP_TIMEOUT_MS = 2 * HEARTBEAT_INTERVAL_MS

/** `slot`: who it is meant for; where that one is not in a state for it, the next one. */
export type Deed =
  /** kill -9; another process follows, under the same name in the group or a new one. */
  | { readonly kind: 'kill' | 'terminate'; readonly slot: number; readonly downMs: number; readonly keepsName: boolean }
  /** SIGSTOP and SIGCONT: past the lease, or for a moment. */
  | { readonly kind: 'freeze' | 'hiccup'; readonly slot: number; readonly forMs: number }
  | { readonly kind: 'doom'; readonly slot: number; readonly doom: Doom }
  | { readonly kind: 'network'; readonly rules: readonly FaultRule[]; readonly forMs: number }
  /** Its heartbeats do not arrive, past its lease, while all else does. */
  | { readonly kind: 'mute'; readonly slot: number; readonly forMs: number }
  /** The server is off the net. */
  | { readonly kind: 'outage'; readonly forMs: number }
  /** `share`: which of the writable partitions, from 0 to below 1. */
  | { readonly kind: 'split' | 'merge'; readonly share: number }

export type DeedKind = Deed['kind']

export interface Step {
  readonly atMs: number
  readonly deed: Deed
}

/** Each round has these, in an order of its own. */
const ROUND: readonly DeedKind[] = [
  ...(['kill', 'kill', 'terminate', 'terminate', 'freeze', 'hiccup', 'mute', 'outage'] as const),
  ...(['doom', 'doom', 'doom', 'doom', 'network', 'network', 'network', 'split', 'merge'] as const)
]

/** Partitions that were split or merged are read for ever after: of these deeds there are only so many in a run. */
const RESHAPES_MAX = 16
const GAP_MS = { least: 150, most: 950 } as const
const DOWN_MS = { least: 0, most: 1500 } as const
const PAST_LEASE_MS = { least: GROUP_TIMEOUT_MS + 300, most: GROUP_TIMEOUT_MS + 1500 } as const
/** Less than what is left of the lease right before a heartbeat. */
const HICCUP_MS = { least: 100, most: 700 } as const
const NETWORK_MS = { least: 800, most: 3000 } as const
const OUTAGE_MS = { least: 150, most: 700 } as const

export function drawPlan(seed: number, lengthMs: number): Step[] {
  const dice = new Dice(seed)
  const dooms = endless(dice, allDooms())
  const kinds = endless(dice, ROUND)
  const steps: Step[] = []
  let reshapeCount = 0
  for (let atMs = between(dice, GAP_MS); atMs < lengthMs; atMs += between(dice, GAP_MS)) {
    const deed = drawDeed(kinds(), dice, dooms)
    if (atMs + durationMs(deed) > lengthMs) continue
    if (deed.kind === 'split' || deed.kind === 'merge') {
      // Spread over the whole run.
      if (reshapeCount * lengthMs > atMs * RESHAPES_MAX) continue
      reshapeCount += 1
    }
    steps.push({ atMs, deed })
  }
  return steps
}

function drawDeed(kind: DeedKind, dice: Dice, dooms: () => Doom): Deed {
  const slot = dice.below(SLOT_COUNT)
  switch (kind) {
    case 'kill':
    case 'terminate':
      return { kind, slot, downMs: between(dice, DOWN_MS), keepsName: dice.oneIn(2) }
    case 'freeze':
    case 'mute':
      return { kind, slot, forMs: between(dice, PAST_LEASE_MS) }
    case 'hiccup':
      return { kind, slot, forMs: between(dice, HICCUP_MS) }
    case 'doom':
      return { kind, slot, doom: dooms() }
    case 'network':
      return { kind, rules: drawTrouble(dice), forMs: between(dice, NETWORK_MS) }
    case 'outage':
      return { kind, forMs: between(dice, OUTAGE_MS) }
    case 'split':
    case 'merge':
      return { kind, share: dice.below(1000) / 1000 }
  }
}

function durationMs(deed: Deed): number {
  if ('forMs' in deed) return deed.forMs
  return 'downMs' in deed ? deed.downMs : 0
}

/** What a person reads of it. */
export function describeDeed(deed: Deed): string {
  switch (deed.kind) {
    case 'kill':
    case 'terminate': {
      const signal = deed.kind === 'kill' ? 'kill -9' : 'SIGTERM'
      return `${signal}; back ${deed.downMs} ms later, ${deed.keepsName ? 'under the same name' : 'under a new name'}`
    }
    case 'freeze':
    case 'hiccup':
      return `SIGSTOP for ${deed.forMs} ms`
    case 'doom':
      return `its next batch: ${deed.doom.kind} ${deed.doom.when} it is done`
    case 'network':
      return `network for ${deed.forMs} ms: ${deed.rules.map(describeRule).join('; ')}`
    case 'mute':
      return `no heartbeat arrives for ${deed.forMs} ms`
    case 'outage':
      return `the server is off the net for ${deed.forMs} ms`
    case 'split':
    case 'merge':
      return deed.kind
  }
}

function describeRule({ action, every, fault }: FaultRule): string {
  const { kind, ...rest } = fault
  return [`${action} 1 in ${every}:`, kind, ...Object.values(rest).map(String)].join(' ')
}

function allDooms(): Doom[] {
  return DOOM_KINDS.flatMap(kind => (['before', 'after'] as const).map(when => ({ kind, when })))
}

/** One after the other, all of them before any comes again, each round in another order. */
function endless<T>(dice: Dice, items: readonly T[]): () => T {
  let left: T[] = []
  return () => {
    if (left.length === 0) left = dice.shuffled(items)
    const next = left.pop()
    if (next === undefined) throw new Error('there is nothing to draw from')
    return next
  }
}

function between(dice: Dice, { least, most }: { readonly least: number; readonly most: number }): number {
  return least + dice.below(most - least + 1)
}
