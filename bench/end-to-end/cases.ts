/**
 * What the consumer has to reach, and whether it does: one case a measure, each of which can be run alone.
 *
 * In: measured scenes. Out: a value with its marks and a verdict. Pure.
 */
import { median } from '../statistics.ts'
import { delayBetween, type Run } from './figures.ts'
import type { SceneResult } from './run.ts'
import { CHAIN_LATENCY_MS, type SceneName } from './scenes.ts'
import type { Contender } from './workload.ts'

export interface Demand {
  readonly what: string
  readonly unit: 'ratio' | 'ms' | 'cores' | 'share' | 'batches/s' | 'count' | 'calls'
  readonly better: 'more' | 'less'
  readonly atLeast: number
  readonly aimFor: number | undefined
}

export interface CaseRow extends Demand {
  readonly case: CaseName
  readonly value: number
  readonly verdict: 'aim reached' | 'reached' | 'missed'
}

type Scenes = (name: SceneName) => SceneResult

interface Case extends Demand {
  readonly scenes: readonly SceneName[]
  readonly value: (scenes: Scenes) => number
  /** Where the mark is not known before it was measured. */
  readonly mark?: (scenes: Scenes) => number
}

/** The response that the demand was measured with, compressed. */
const RESPONSE_BYTES = 1_260_000
/** A topic at the service's limit: 50 partitions of 5 MB/s, compressed. */
const TOPIC_MB_PER_SECOND = 250

export const CASES = {
  filterCpu: {
    ...more('ratio', 9, 12, 'CPU per GB of JSON, one field compared per log: obvious ÷ ours'),
    scenes: ['filter'],
    value: at => cpuRatio(at('filter'), 'whole')
  },
  objectsCpu: {
    ...more('ratio', 5, 8, 'the same, a plain object per log'),
    scenes: ['objects'],
    value: at => cpuRatio(at('objects'), 'whole')
  },
  overDecodeMs: {
    ...less('ms', 2.5, 1.5, 'CPU beyond decoding in process, per 1.26 MB response'),
    scenes: ['filter'],
    value: at => overDecodeMs(at('filter'))
  },
  coresPerTopic: {
    ...less('cores', 1.2, 1, 'cores for 250 MB/s compressed, one field compared'),
    scenes: ['filter'],
    value: at => medianOf(at('filter'), 'ours', coresPerMb) * TOPIC_MB_PER_SECOND
  },
  throughput: {
    ...more('ratio', 10, 15, 'MB/s, 8 partitions, 4 MB responses: ours ÷ obvious'),
    scenes: ['filter'],
    value: at => {
      const mbPerSecond = (contender: Contender) =>
        medianOf(at('filter'), contender, ({ responseMbPerSecond }) => responseMbPerSecond)
      return mbPerSecond('ours') / mbPerSecond('whole')
    }
  },
  pullChain: {
    ...more('share', 0.9, 0.97, '1 partition, 50 ms to the server, 40 ms a batch: of the bound'),
    scenes: ['chain'],
    value: at => medianOf(at('chain'), 'ours', ({ batchesPerSecond }) => (batchesPerSecond * CHAIN_LATENCY_MS) / 1000)
  },
  asyncSink: {
    ...more('batches/s', 38, 40, '50 partitions, 2 threads, a sink of 200 ms a batch'),
    scenes: ['sink'],
    value: at => medianOf(at('sink'), 'ours', ({ batchesPerSecond }) => batchesPerSecond)
  },
  neighbours: {
    ...less('ms', 0, undefined, "one slow processor: how much later others' pulls leave"),
    scenes: ['even', 'one slow'],
    value: at => delayOf(at).delayMs,
    mark: at => delayOf(at).noiseMs
  },
  mainThread: {
    ...less('ms', 20, 8, "event loop's delay at full load, p99"),
    scenes: ['load'],
    value: at => medianOf(at('load'), 'ours', ({ loopDelayP99Ms }) => loopDelayP99Ms ?? Number.NaN)
  },
  heartbeats: {
    ...less('count', 0, 0, 'heartbeats late by more than 10 % at full load, each second'),
    scenes: ['load'],
    value: at => sumOf(at('load'), ({ lateHeartbeatCount }) => lateHeartbeatCount)
  },
  commitCalls: {
    ...less('calls', 1, 1, 'commit calls per interval, 50 partitions'),
    scenes: ['sink'],
    // Two digits: an interval that is a millisecond short is one.
    value: at => Number(medianOf(at('sink'), 'ours', ({ commitsPerInterval }) => commitsPerInterval).toFixed(2))
  },
  rssGrowth: {
    ...less('share', 0.05, 0.02, 'memory growth from minute 1 to 8, processor too slow'),
    scenes: ['backlog'],
    value: at => medianOf(at('backlog'), 'ours', ({ rssGrowth }) => rssGrowth)
  },
  idleCpu: {
    ...less('share', 0.02, 0.012, '50 idle partitions: share of one core'),
    scenes: ['idle'],
    value: at => medianOf(at('idle'), 'ours', ({ consumerCores }) => consumerCores)
  },
  latency: {
    ...less('ms', 250, 120, 'due to processed at 1,000 logs/s, p99'),
    scenes: ['trickle'],
    value: at => medianOf(at('trickle'), 'ours', ({ latency }) => latency?.processed.p99Ms ?? Number.NaN)
  }
} as const satisfies Record<string, Case>

export type CaseName = keyof typeof CASES

export const CASE_NAMES: readonly CaseName[] = Object.keys(CASES).filter(isCaseName)

export function isCaseName(name: string): name is CaseName {
  return Object.hasOwn(CASES, name)
}

/** Each once: cases share them. */
export function scenesOf(names: readonly CaseName[]): SceneName[] {
  return [...new Set(names.flatMap((name): readonly SceneName[] => CASES[name].scenes))]
}

export function rowOf(name: CaseName, measured: readonly SceneResult[]): CaseRow {
  const { value, mark, scenes: _, ...demand }: Case = CASES[name]
  const at: Scenes = scene => {
    const found = measured.find(each => each.name === scene)
    if (found === undefined) throw new Error(`${scene} was not measured`)
    return found
  }
  return { case: name, ...judge(mark === undefined ? demand : { ...demand, atLeast: mark(at) }, value(at)) }
}

export function judge(demand: Demand, value: number): Omit<CaseRow, 'case'> {
  const reaches = (mark: number) => (demand.better === 'more' ? value >= mark : value <= mark)
  const verdict = !reaches(demand.atLeast)
    ? 'missed'
    : reaches(demand.aimFor ?? demand.atLeast)
      ? 'aim reached'
      : 'reached'
  return { ...demand, value, verdict }
}

function more(unit: Demand['unit'], atLeast: number, aimFor: number | undefined, what: string): Demand {
  return { what, unit, better: 'more', atLeast, aimFor }
}

function less(unit: Demand['unit'], atLeast: number, aimFor: number | undefined, what: string): Demand {
  return { what, unit, better: 'less', atLeast, aimFor }
}

export function runsOf({ runs }: SceneResult, contender: Contender): Run[] {
  return runs.filter(run => run.contender === contender)
}

export function medianOf(scene: SceneResult, contender: Contender, figure: (run: Run) => number): number {
  return median(runsOf(scene, contender).map(figure))
}

function sumOf(scene: SceneResult, figure: (run: Run) => number): number {
  return scene.runs.map(figure).reduce((total, value) => total + value, 0)
}

/** The rival ÷ ours. */
export function cpuRatio(scene: SceneResult, rival: Contender): number {
  const perGb = (contender: Contender) => medianOf(scene, contender, ({ cpuPerGb }) => cpuPerGb.total)
  return perGb(rival) / perGb('ours')
}

/** CPU-seconds per MB, compressed. */
function coresPerMb({ consumerCores, bodyMbPerSecond }: Run): number {
  return consumerCores / bodyMbPerSecond
}

/** Per compressed byte, on both sides: so the responses may differ a little from that of the demand. */
function overDecodeMs(scene: SceneResult): number {
  const msPerByte = {
    ours: medianOf(
      scene,
      'ours',
      ({ consumerCores, seconds, bodyBytes }) => (consumerCores * seconds * 1000) / bodyBytes
    ),
    decode: median(scene.decoded.map(({ cpuMs, bodyBytes }) => cpuMs / bodyBytes))
  }
  return (msPerByte.ours - msPerByte.decode) * RESPONSE_BYTES
}

/** Of the partitions whose processor is not slow. */
function delayOf(at: Scenes) {
  const others = (scene: SceneResult) => runsOf(scene, 'ours').map(({ pullsPerSecond }) => pullsPerSecond.slice(1))
  return delayBetween(others(at('even')), others(at('one slow')))
}
