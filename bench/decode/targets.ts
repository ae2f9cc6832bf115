/**
 * What the kernel has to reach, and whether it does.
 *
 * In: measured cases. Out: the ratios, and a verdict on each demand. Pure.
 */
import type { PayloadName } from '../payloads.ts'
import { CONTENDERS, type ContenderId, isOurs, type Pace } from './contenders.ts'
import type { FreshSnappy } from './fresh-snappy.ts'
import type { Case } from './result.ts'

/** The rival's CPU time ÷ ours. */
export interface Ratios {
  readonly filter: number
  readonly objects: number
  readonly snappy: number
}

export interface Demand {
  readonly measure: string
  readonly unit: 'ratio' | 'bytes' | 'share'
  readonly better: 'more' | 'less'
  readonly atLeast: number
  readonly aimFor: number | undefined
}

export interface Target extends Demand {
  readonly value: number
  /** Where there is a turn of the event loop after each response. */
  readonly withTurns: number | undefined
  /** The case it was, where it could have been any. */
  readonly where: string | undefined
  readonly verdict: 'aim reached' | 'reached' | 'missed'
}

export const DEMANDS = {
  filter: ratio('filter: obvious ÷ ours, one field compared per log', 13, 18),
  objects: ratio('objects: obvious ÷ ours, every log to a plain object', 5, 9),
  snappy: ratio("snappy: npm snappy, a fresh buffer each time ÷ the kernel's", 4, 5),
  snappyToWhole: ratio('the same npm snappy ÷ our whole way with one field compared', 2.7, 3.2),
  heapBytes: below('heap allocated from body to index', 'bytes', 64 * 1024, 16 * 1024),
  gcShare: below("garbage collection's share of CPU, filter", 'share', 0.03, 0.01),
  slowest: ratio('no case slower than either rival: rival ÷ ours', 1, undefined),
  closedCheck: below('cost of the check that a batch is open, of the filter', 'share', 0.02, undefined)
} as const satisfies Record<string, Demand>

export function ratiosOf(cases: readonly Case[], payload: PayloadName, pace: Pace): Ratios {
  const cpuMs = (id: ContenderId) => caseOf(cases, payload, id, pace).cpuMs.median
  return {
    filter: cpuMs('rival-filter') / cpuMs('ours-equals'),
    objects: cpuMs('rival-objects') / cpuMs('ours-objects'),
    snappy: cpuMs('npm-snappy') / cpuMs('kernel-snappy')
  }
}

export function snappyToWhole(cases: readonly Case[], payload: PayloadName, pace: Pace): number {
  const cpuMs = (id: ContenderId) => caseOf(cases, payload, id, pace).cpuMs.median
  return cpuMs('npm-snappy') / cpuMs('ours-equals')
}

export interface Slowest {
  readonly ratio: number
  readonly where: string
}

/** Of both rivals, all payloads and paces, of CPU time and of wall time: rival ÷ ours, where that is least. */
export function slowestOf(cases: readonly Case[]): Slowest {
  const ours = cases.filter(({ contender }) => isOurs(contender) && CONTENDERS[contender].workload !== 'snappy')
  const all = ours.flatMap(our =>
    cases.filter(each => isRivalOf(each, our)).flatMap(rival => ratiosBetween(rival, our))
  )
  const [slowest] = all.toSorted((one, other) => one.ratio - other.ratio)
  if (slowest === undefined) throw new Error('nothing was measured beside a rival')
  return slowest
}

/** What is measured apart from the cases. */
export interface Apart {
  readonly heapBytes: number
  readonly freshSnappy: FreshSnappy
  /** CPU ms of a loop that compares one field of each log. */
  readonly closedCheckMs: number
}

/** Back to back; of snappy where each buffer of npm's is fresh, which is how the demand was measured. */
export function demandedRatiosOf(
  cases: readonly Case[],
  payload: PayloadName,
  { npmMs, kernelMs }: FreshSnappy
): Ratios {
  return { ...ratiosOf(cases, payload, 'back to back'), snappy: npmMs.median / kernelMs.median }
}

export function targetsOf(cases: readonly Case[], payload: PayloadName, apart: Apart): Target[] {
  const { heapBytes, closedCheckMs, freshSnappy } = apart
  const ratios = demandedRatiosOf(cases, payload, freshSnappy)
  const ratiosWithTurns = ratiosOf(cases, payload, 'with turns')
  const byPace = (value: (pace: Pace) => number): [number, number] => [value('back to back'), value('with turns')]
  const wholeMs = caseOf(cases, payload, 'ours-equals', 'back to back').cpuMs.median
  const slowest = slowestOf(cases)
  return [
    judge(DEMANDS.filter, ratios.filter, ratiosWithTurns.filter),
    judge(DEMANDS.objects, ratios.objects, ratiosWithTurns.objects),
    judge(DEMANDS.snappy, ratios.snappy, ratiosWithTurns.snappy),
    judge(DEMANDS.snappyToWhole, freshSnappy.npmMs.median / wholeMs, snappyToWhole(cases, payload, 'with turns')),
    judge(DEMANDS.heapBytes, heapBytes),
    judge(DEMANDS.gcShare, ...byPace(pace => caseOf(cases, payload, 'ours-equals', pace).gcShare)),
    judge(DEMANDS.slowest, slowest.ratio, undefined, slowest.where),
    judge(DEMANDS.closedCheck, Math.max(0, closedCheckMs) / wholeMs)
  ]
}

export function judge(demand: Demand, value: number, withTurns?: number, where?: string): Target {
  const reaches = (mark: number) => (demand.better === 'more' ? value >= mark : value < mark)
  const aim = demand.aimFor ?? demand.atLeast
  const verdict = !reaches(demand.atLeast) ? 'missed' : reaches(aim) ? 'aim reached' : 'reached'
  return { ...demand, value, withTurns, where, verdict }
}

function ratio(measure: string, atLeast: number, aimFor: number | undefined): Demand {
  return { measure, unit: 'ratio', better: 'more', atLeast, aimFor }
}

function below(measure: string, unit: Demand['unit'], atLeast: number, aimFor: number | undefined): Demand {
  return { measure, unit, better: 'less', atLeast, aimFor }
}

export function caseOf(cases: readonly Case[], payload: PayloadName, id: ContenderId, pace: Pace): Case {
  const found = cases.find(each => each.payload === payload && each.contender === id && each.pace === pace)
  if (found === undefined) throw new Error(`${id} was not measured on ${payload} ${pace}`)
  return found
}

function isRivalOf(each: Case, our: Case): boolean {
  const [one, other] = [CONTENDERS[each.contender], CONTENDERS[our.contender]]
  if (each.payload !== our.payload || each.pace !== our.pace) return false
  return one.side === 'rival' && one.workload === other.workload
}

function ratiosBetween(rival: Case, our: Case): Slowest[] {
  return (['cpuMs', 'wallMs'] as const).map(time => ({
    ratio: rival[time].median / our[time].median,
    where: `${our.payload} ${our.pace}, ${CONTENDERS[our.contender].what}, ${time === 'cpuMs' ? 'CPU' : 'wall'}`
  }))
}
