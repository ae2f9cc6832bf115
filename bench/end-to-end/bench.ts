/**
 * The end-to-end benchmark: a whole consumer against a server in a process of its own, beside what one would write
 * without it.
 *
 * In: cases of the table, or a workload of the user's. Out: one result, with every run in it.
 */
import { type Context, readContext } from '../context.ts'
import { type CaseName, type CaseRow, cpuRatio, medianOf, rowOf, runsOf, scenesOf } from './cases.ts'
import { measureScene, type Progress, type Scene, type SceneResult, type Timing } from './run.ts'
import { sceneOf } from './scenes.ts'
import { CONTENDER_NAMES, type Contender, type Workload } from './workload.ts'

export type BenchPlan = (TablePlan | WorkloadPlan) & {
  /** Shows that everything works, and nothing else. */
  readonly isQuick: boolean
  /** As it was typed. */
  readonly command: string
}

interface TablePlan {
  readonly kind: 'table'
  readonly cases: readonly CaseName[]
  readonly timing: Partial<Timing>
}

interface WorkloadPlan {
  readonly kind: 'workload'
  readonly workload: Workload
  readonly timing: Timing
  /** Offered while latency is measured; 0 for no such measurement. */
  readonly logsPerSecond: number
}

/** Those of cases that were not run are null. */
export interface BenchResult {
  readonly ratios: {
    readonly filterCpu: number | null
    readonly objectsCpu: number | null
    readonly throughput: number | null
  }
  readonly overDecodeMs: number | null
  readonly coresPerTopic: number | null
  readonly isQuick: boolean
  readonly context: Context
  readonly rows: readonly CaseRow[]
  readonly scenes: readonly ComparedScene[]
}

export interface ComparedScene extends SceneResult {
  /** Of medians; empty where we ran alone. */
  readonly comparisons: readonly Comparison[]
}

export interface Comparison {
  readonly rival: Contender
  /** CPU per GB of JSON: the rival's ÷ ours. */
  readonly cpu: number
  /** JSON per second: ours ÷ the rival's. */
  readonly throughput: number
}

export async function runBench(plan: BenchPlan, progress: Progress): Promise<BenchResult> {
  // Before anything here loads the machine.
  const context = readContext(plan.command)
  const measured: SceneResult[] = []
  for (const scene of scenesOfPlan(plan)) measured.push(await measureScene(scene, progress))
  const rows = plan.kind === 'table' ? plan.cases.map(name => rowOf(name, measured)) : []
  const valueAt = (name: CaseName) => rows.find(row => row.case === name)?.value ?? null
  return {
    ratios: {
      filterCpu: valueAt('filterCpu'),
      objectsCpu: valueAt('objectsCpu'),
      throughput: valueAt('throughput')
    },
    overDecodeMs: valueAt('overDecodeMs'),
    coresPerTopic: valueAt('coresPerTopic'),
    isQuick: plan.isQuick,
    context,
    rows,
    scenes: measured.map(scene => ({ ...scene, comparisons: comparisonsOf(scene) }))
  }
}

/** In the order of the table, whatever the order of the names. */
function scenesOfPlan(plan: BenchPlan): Scene[] {
  if (plan.kind === 'table') return scenesOf(plan.cases).map(name => sceneOf(name, plan.isQuick, plan.timing))
  const { workload, timing, logsPerSecond } = plan
  const scene: Scene = { name: 'workload', workload, contenders: CONTENDER_NAMES, decodes: false, timing }
  if (logsPerSecond === 0) return [scene]
  const paced: Scene = {
    ...scene,
    name: 'latency',
    contenders: ['ours'],
    workload: { ...workload, feed: { kind: 'rate', logsPerSecond } }
  }
  return [scene, paced]
}

export function comparisonsOf(scene: SceneResult): Comparison[] {
  return CONTENDER_NAMES.filter(rival => rival !== 'ours' && runsOf(scene, rival).length > 0).map(rival => ({
    rival,
    cpu: cpuRatio(scene, rival),
    throughput:
      medianOf(scene, 'ours', ({ responseMbPerSecond }) => responseMbPerSecond) /
      medianOf(scene, rival, ({ responseMbPerSecond }) => responseMbPerSecond)
  }))
}
