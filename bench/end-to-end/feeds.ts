/**
 * What the bench's server answers a pull.
 *
 * In: a partition, a start offset, the moment. Out: a compressed response in two parts. Pure but for the bodies, which
 * are made beforehand. Every partition begins at `BASE_OFFSET`, so that all offsets have as many digits. Must never
 * happen: an offset that was not handed out answered as if it had been: a consumer that errs shall fail here.
 */
import type { Log } from '../../src/cls/log-group.ts'
import { type LogSource, messageOf } from './bodies.ts'
import { headOf, type RepeatableBody, repeatableBody } from './repeatable-body.ts'

/** Below 2^53, with room for every message of any run: these offsets may be numbers. */
export const BASE_OFFSET = 1_000_000_000_000

export interface PullAnswer {
  readonly head: Uint8Array
  readonly tail: Uint8Array
}

export interface Pull {
  readonly partition: number
  readonly startOffset: number
}

export type AnswerPull = (pull: Pull, nowMs: number) => PullAnswer

/** What of a body counts. */
export type BodyCounts = Pick<RepeatableBody, 'messageCount' | 'logCount' | 'hitCount'>

const NOTHING = repeatableBody([], { logCount: 0, hitCount: 0 })

export function idleFeed(): AnswerPull {
  return ({ startOffset }) => ({ head: headOf(NOTHING, startOffset), tail: NOTHING.tail })
}

export function repeatFeed(bodies: readonly RepeatableBody[]): AnswerPull {
  const byPosition = new Map<number, RepeatableBody>()
  let cycle = 0
  for (const body of bodies) {
    byPosition.set(cycle, body)
    cycle += body.messageCount
  }
  return ({ startOffset }) => {
    const body = byPosition.get((startOffset - BASE_OFFSET) % cycle)
    if (body === undefined) throw new Error(`no response ends at offset ${startOffset}`)
    return { head: headOf(body, startOffset + body.messageCount), tail: body.tail }
  }
}

/** What is in a partition before `offset`: whole bodies only, as they are answered. */
export function countsBefore(bodies: readonly BodyCounts[], offset: number): { logCount: number; hitCount: number } {
  let left = offset - BASE_OFFSET
  const cycle = sumOf(bodies, 'messageCount')
  const cycles = Math.floor(left / cycle)
  let [logCount, hitCount] = [cycles * sumOf(bodies, 'logCount'), cycles * sumOf(bodies, 'hitCount')]
  left -= cycles * cycle
  for (const body of bodies) {
    if (left === 0) break
    left -= body.messageCount
    logCount += body.logCount
    hitCount += body.hitCount
  }
  if (left !== 0) throw new Error(`no response ends at offset ${offset}`)
  return { logCount, hitCount }
}

function sumOf(bodies: readonly BodyCounts[], name: keyof BodyCounts): number {
  return bodies.reduce((total, body) => total + body[name], 0)
}

/** Field of a log of `rateFeed`: the moment it was due, ms on the host's monotonic clock. */
export const DUE_FIELD = 'benchDueMs'

/** More come with the next pull. */
const LOGS_PER_PULL_MAX = 5000

export interface RatePlan {
  readonly logsPerSecond: number
  readonly partitionCount: number
  readonly beganMs: number
}

/**
 * Log i of all is due at `beganMs` + i ÷ rate, whether anybody pulls or not, and goes to partition i mod count, as a
 * message of its own. So a consumer that falls behind is late with every log that was due meanwhile: nothing is omitted.
 */
export function rateFeed(nextLog: LogSource, plan: RatePlan, endsAtMs: () => number): AnswerPull {
  const { partitionCount, beganMs, logsPerSecond } = plan
  return ({ partition, startOffset }, nowMs) => {
    const dueCount = dueCountOf(plan, partition, Math.min(nowMs, endsAtMs()))
    const first = startOffset - BASE_OFFSET
    const count = Math.max(0, Math.min(dueCount - first, LOGS_PER_PULL_MAX))
    const messages = Array.from({ length: count }, (_, index) => {
      const nth = (first + index) * partitionCount + partition
      return messageOf([dueLog(nextLog(), beganMs + (nth * 1000) / logsPerSecond)])
    })
    const body = repeatableBody(messages, { logCount: count, hitCount: count })
    return { head: headOf(body, startOffset + count), tail: body.tail }
  }
}

/** How many logs of a partition are due by a moment; of all where there is one partition. */
export function dueCountOf(
  { logsPerSecond, partitionCount, beganMs }: RatePlan,
  partition: number,
  atMs: number
): number {
  const dueOfAll = Math.max(0, Math.floor(((atMs - beganMs) * logsPerSecond) / 1000) + 1)
  return Math.max(0, Math.ceil((dueOfAll - partition) / partitionCount))
}

function dueLog(log: Log, dueMs: number): Log {
  return { ...log, contents: [...log.contents, { key: DUE_FIELD, value: dueMs.toFixed(3) }] }
}
