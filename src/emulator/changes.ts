/**
 * What can be changed about an emulator while it runs: by its handle, or over HTTP.
 *
 * In: a change, untrusted. Out: nothing wrong, and the state as asked; or every problem, and the state as it was. No
 * clock: the moment of a change is when it is called.
 */

import { isRecord } from '../cls/json.ts'
import { faultRuleProblems, isFaultRules } from './fault-rules.ts'
import { Faults } from './faults.ts'
import { changedQuirks, isQuirkChange, type Quirks, quirkContradictions, quirkProblems } from './quirks.ts'
import { type EmulatorSettings, settingProblems } from './settings.ts'
import type { EmulatorState } from './state.ts'

/** What is named changes. */
export interface SettingsChange {
  readonly quirks?: Partial<Quirks>
  readonly rateLimits?: EmulatorSettings['rateLimits']
  readonly clockSkewMs?: number
  readonly secretId?: string
  readonly secretKey?: string
  /** `null`: none is asked for. */
  readonly token?: string | null
}

const CHANGEABLE = {
  quirks: true,
  rateLimits: true,
  clockSkewMs: true,
  secretId: true,
  secretKey: true,
  token: true
} as const satisfies Record<keyof SettingsChange, true>

const NAMES = Object.keys(CHANGEABLE)

/** Rules that take the place of all there are. Answers the problems. */
export function changeFaults(state: EmulatorState, rules: unknown): string[] {
  if (!isFaultRules(rules)) return faultRuleProblems(rules)
  state.faults = new Faults(rules)
  return []
}

/** Answers the problems. */
export function changeSettings(state: EmulatorState, change: unknown): string[] {
  if (!isRecord(change)) return ['the change is not an object']
  const { quirks: given = {}, ...rest } = change
  const named = Object.entries(rest).filter(([, value]) => value !== undefined)
  const quirks = isQuirkChange(given) ? changedQuirks(state.settings.quirks, given) : state.settings.quirks
  const settings = { ...state.settings, ...Object.fromEntries(named), quirks }
  const problems = [
    ...named.flatMap(([name]) => (NAMES.includes(name) ? [] : [`${name} cannot be changed: ${NAMES.join(', ')} can`])),
    ...quirkProblems(given),
    ...quirkContradictions(quirks),
    ...settingProblems(settings)
  ]
  if (problems.length > 0) return problems
  const aheadMs = settings.clockSkewMs - state.settings.clockSkewMs
  state.settings = settings
  // Also where a quirk is named as it was: a body of former quirks must never be answered.
  if (change.quirks !== undefined) state.bodies.clear()
  if (aheadMs !== 0) shiftTimers(state, aheadMs)
  return []
}

/**
 * Moments from which a length of time is counted move with the clock: otherwise setting it forward by ten minutes would
 * end every membership at once. Moments of receipt stay: they have been told.
 */
function shiftTimers(state: EmulatorState, aheadMs: number): void {
  for (const group of state.groups.values()) group.shiftClock(aheadMs)
  state.rates.clear()
}
