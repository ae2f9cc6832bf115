/**
 * The scenes that the table's cases are measured in: what is consumed, by whom, for how long.
 *
 * In: full or quick. Out: scenes by name. A quick one only shows that everything works: its figures tell nothing.
 */
import type { Scene, Timing } from './run.ts'
import { CONTENDER_NAMES, type Contender, type DataPlan, DEFAULT_WORKLOAD, type Workload } from './workload.ts'

export type SceneName =
  | 'filter'
  | 'objects'
  | 'chain'
  | 'sink'
  | 'even'
  | 'one slow'
  | 'load'
  | 'backlog'
  | 'idle'
  | 'trickle'

interface SceneRow {
  readonly workload: Partial<Workload>
  /** Ours alone where absent. */
  readonly contenders?: readonly Contender[]
  readonly decodes?: boolean
  readonly responseBytes?: number
  /** Where it differs from the others'. */
  readonly timing?: Partial<Timing>
  readonly quickTiming?: Partial<Timing>
}

export const TIMING: Timing = { warmUpMs: 3000, measureMs: 8000, runCount: 5 }
export const QUICK: Timing = { warmUpMs: 300, measureMs: 1000, runCount: 1 }
const QUICK_RESPONSE_BYTES = 200_000
const QUICK_BODY_COUNT = 2

/** The service is as slow as this to pulls, where a scene is about waiting. */
export const CHAIN_LATENCY_MS = 50
export const SINK_MS = 200
const NEIGHBOUR_LATENCY_MS = 50

const SCENES: Readonly<Record<SceneName, SceneRow>> = {
  filter: { workload: {}, contenders: CONTENDER_NAMES, decodes: true },
  objects: { workload: { processor: { kind: 'objects' } }, contenders: CONTENDER_NAMES },
  chain: {
    workload: { partitionCount: 1, pullLatencyMs: CHAIN_LATENCY_MS, processor: { kind: 'burn', ms: 40 } },
    timing: { runCount: 3 }
  },
  sink: {
    workload: { partitionCount: 50, processor: { kind: 'sleep', ms: SINK_MS } },
    responseBytes: 200_000,
    timing: { runCount: 3 },
    // Commits are counted over whole intervals.
    quickTiming: { measureMs: 2500 }
  },
  even: {
    workload: { pullLatencyMs: NEIGHBOUR_LATENCY_MS, processor: { kind: 'count' } },
    responseBytes: 450_000,
    timing: { runCount: 3 }
  },
  'one slow': {
    workload: {
      pullLatencyMs: NEIGHBOUR_LATENCY_MS,
      processor: { kind: 'sleep', ms: 10 * NEIGHBOUR_LATENCY_MS, partition: 0 }
    },
    responseBytes: 450_000,
    timing: { runCount: 3 }
  },
  load: { workload: { watchesLoop: true, heartbeatIntervalMs: 1000 }, timing: { runCount: 3 } },
  backlog: {
    workload: { processor: { kind: 'sleep', ms: 1000 } },
    // From minute 1 to minute 8.
    timing: { warmUpMs: 60_000, measureMs: 420_000, runCount: 1 },
    quickTiming: { measureMs: 3000 }
  },
  // A process that has just started compiles and trims its heap for most of a minute: that is not what an idle one costs.
  idle: {
    workload: { partitionCount: 50, feed: { kind: 'idle' } },
    timing: { warmUpMs: 60_000, measureMs: 20_000, runCount: 3 }
  },
  trickle: {
    workload: { feed: { kind: 'rate', logsPerSecond: 1000 }, processor: { kind: 'count' } },
    timing: { warmUpMs: 5000, measureMs: 20_000, runCount: 3 }
  }
}

export function sceneOf(name: SceneName, isQuick: boolean, change: Partial<Timing> = {}): Scene {
  const { workload, contenders = ['ours'], decodes = false, responseBytes, timing, quickTiming } = SCENES[name]
  const { data } = DEFAULT_WORKLOAD
  const size = responseBytes ?? data.responseBytes
  return {
    name,
    workload: {
      ...DEFAULT_WORKLOAD,
      data: sizedFor(isQuick, { ...data, responseBytes: size }),
      ...workload
    },
    contenders,
    decodes,
    timing: { ...(isQuick ? { ...QUICK, ...quickTiming } : { ...TIMING, ...timing }), ...change }
  }
}

export function sizedFor(isQuick: boolean, data: DataPlan): DataPlan {
  if (!isQuick) return data
  return { ...data, responseBytes: Math.min(data.responseBytes, QUICK_RESPONSE_BYTES), bodyCount: QUICK_BODY_COUNT }
}
