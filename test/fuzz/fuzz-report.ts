/**
 * What a run of the fuzzer has to say: how many cases were damaged at each layer, how many reached it.
 *
 * In: results of cases, or reports of other threads. Out: counts, and their table. Plain data: a report crosses threads.
 */
import type { CaseResult } from './fuzz-case.ts'
import { LAYERS } from './response-plan.ts'
import type { Stage } from './watched-memory.ts'

export const STAGES = [...LAYERS, 'views'] as const satisfies readonly Stage[]
/** A fuzzer that does not get so far tests nothing there. */
export const REACHED_SHARE_MIN = 0.2

export type StageCounts = Record<Stage, number>

export interface FuzzReport {
  caseCount: number
  /** Responses that were read, with however many messages poisoned. */
  readCount: number
  slowestMs: number
  readonly damaged: StageCounts
  readonly reached: StageCounts
}

export function newReport(): FuzzReport {
  const none = { compressed: 0, json: 0, base64: 0, header: 0, protobuf: 0, views: 0 }
  return { caseCount: 0, readCount: 0, slowestMs: 0, damaged: { ...none }, reached: { ...none } }
}

export function countCase(report: FuzzReport, { damaged, reached, isRead }: CaseResult, tookMs: number): void {
  report.caseCount++
  if (isRead) report.readCount++
  if (tookMs > report.slowestMs) report.slowestMs = tookMs
  report.damaged[damaged]++
  for (const stage of reached) report.reached[stage]++
}

export function addReport(report: FuzzReport, other: FuzzReport): void {
  report.caseCount += other.caseCount
  report.readCount += other.readCount
  report.slowestMs = Math.max(report.slowestMs, other.slowestMs)
  for (const stage of STAGES) {
    report.damaged[stage] += other.damaged[stage]
    report.reached[stage] += other.reached[stage]
  }
}

/** The stages that too few cases reached. */
export function neglected({ caseCount, reached }: FuzzReport): Stage[] {
  return STAGES.filter(stage => !(reached[stage] >= caseCount * REACHED_SHARE_MIN))
}

export function printReport({ caseCount, readCount, slowestMs, damaged, reached }: FuzzReport): string {
  const share = (count: number) => `${((100 * count) / caseCount).toFixed(1)} %`
  const rows = STAGES.map(
    stage =>
      `${stage.padEnd(10)} damaged in ${`${damaged[stage]}`.padStart(9)}, reached by ${`${reached[stage]}`.padStart(9)}: ${share(reached[stage])}`
  )
  return [
    `${caseCount} cases, ${share(readCount)} of them read, the slowest in ${slowestMs.toFixed(1)} ms`,
    ...rows
  ].join('\n')
}
