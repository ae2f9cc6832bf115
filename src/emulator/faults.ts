/**
 * Which rule strikes a request.
 *
 * In: what a request is about. Out: how long it waits, and what then becomes of it. Keeps the counters of its rules, and
 * no clock: what a delay is, the HTTP shell knows.
 *
 * Every rule that a request matches counts it, whichever of them strikes: `every: 3` is each third matching request
 * whatever else is played meanwhile. A rule whose turn comes on a request that an earlier one has struck lets it pass.
 */
import type { Fault, FaultRule, StrikingFault } from './fault-rules.ts'
import type { RequestDescription } from './request-description.ts'

/** What a request meets with. */
export interface Strike {
  /** How long it waits before it takes effect. */
  readonly beforeMs: number
  /** How long its answer waits. */
  readonly afterMs: number
  readonly fault: StrikingFault | undefined
}

export const UNSTRUCK: Strike = { beforeMs: 0, afterMs: 0, fault: undefined }

export type RuleCounts = { readonly rule: FaultRule; readonly metCount: number; readonly struckCount: number }

export class Faults {
  readonly #rules: readonly { readonly rule: FaultRule; metCount: number; struckCount: number }[]

  constructor(rules: readonly FaultRule[]) {
    // A copy: rules of this process are its own to change.
    this.#rules = rules.map(rule => ({ rule: structuredClone(rule), metCount: 0, struckCount: 0 }))
  }

  /** Nothing is described, and nothing looked up, where there is no rule. */
  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  counts(): RuleCounts[] {
    return this.#rules.map(({ rule, metCount, struckCount }) => ({ rule, metCount, struckCount }))
  }

  strike(request: RequestDescription): Strike {
    let [beforeMs, afterMs] = [0, 0]
    let struck: StrikingFault | undefined
    for (const counted of this.#rules) {
      const { rule } = counted
      if (!matches(rule, request)) continue
      counted.metCount += 1
      if (struck !== undefined || !isDue(rule, counted.metCount, counted.struckCount)) continue
      counted.struckCount += 1
      const { fault } = rule
      if (!isDelay(fault)) struck = fault
      else if (fault.when === 'after') afterMs += fault.ms
      else beforeMs += fault.ms
    }
    return { beforeMs, afterMs, fault: struck }
  }
}

function isDelay(fault: Fault): fault is Extract<Fault, { kind: 'delay' }> {
  return fault.kind === 'delay'
}

function isDue({ after = 0, every = 1, times = Number.POSITIVE_INFINITY }: FaultRule, met: number, struck: number) {
  return struck < times && met > after && (met - after) % every === 0
}

function matches(rule: FaultRule, { action, places, consumer }: RequestDescription): boolean {
  const { topicId, partition } = rule
  if (rule.action !== undefined && rule.action !== action) return false
  if (rule.consumer !== undefined && rule.consumer !== consumer) return false
  if (topicId === undefined && partition === undefined) return true
  // Both of one place: partition 1 of another topic is not what is meant.
  return places.some(
    place =>
      (topicId === undefined || place.topicId === topicId) && (partition === undefined || place.partition === partition)
  )
}
