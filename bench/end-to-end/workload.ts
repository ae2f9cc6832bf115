/**
 * What a run of the end-to-end benchmark consumes, and how.
 *
 * Only plain values, since they cross to processes of their own. No secret is among them.
 */
import type { GeneratedKind } from '../../src/cli/generate.ts'

export interface Workload {
  readonly data: DataPlan
  readonly feed: Feed
  readonly partitionCount: number
  /** How long each pull waits at the server before its answer leaves. */
  readonly pullLatencyMs: number
  readonly processor: ProcessorPlan
  readonly threads: number
  readonly pollIntervalMs: number
  readonly commitIntervalMs: number
  readonly heartbeatIntervalMs: number
  /** A monitor of the event loop's delay runs along. It costs CPU time itself, so not where that is measured. */
  readonly watchesLoop: boolean
}

export interface DataPlan {
  readonly from: { readonly file: string } | { readonly kind: GeneratedKind; readonly seed: number }
  /** Of a response's JSON, about. */
  readonly responseBytes: number
  /** So many different responses, again and again. */
  readonly bodyCount: number
  /** Fields of a log; as they come where undefined. */
  readonly fieldCount: number | undefined
  /** Of each log's bytes, text by chance, which does not compress; 0 … 0.95. */
  readonly randomShare: number
}

/** What the server has for whoever pulls. */
export type Feed =
  /** The next response, always, without end. */
  | { readonly kind: 'repeat' }
  /** Nothing, ever. */
  | { readonly kind: 'idle' }
  /** Logs that become due one by one, evenly, over all partitions in turn. */
  | { readonly kind: 'rate'; readonly logsPerSecond: number }

export type ProcessorPlan =
  | { readonly kind: 'count' }
  /** Counts logs whose field `key` is `text`. */
  | { readonly kind: 'filter'; readonly key: string; readonly text: string }
  /** Makes a plain object of each log. */
  | { readonly kind: 'objects' }
  /** Keeps its thread busy for so long with each batch. */
  | { readonly kind: 'burn'; readonly ms: number }
  /** Waits so long with each batch, as for a sink; of one partition alone where that is given. */
  | { readonly kind: 'sleep'; readonly ms: number; readonly partition?: number }
  /** The user's own. */
  | { readonly kind: 'module'; readonly file: string; readonly options: unknown }

export const PROCESSOR_KINDS = ['count', 'filter', 'objects', 'burn', 'sleep'] as const

/** What the filter looks for: about one access log in 50. */
export const FILTER = { kind: 'filter', key: 'status', text: '500' } as const satisfies ProcessorPlan

/**
 * Access logs, as many a response as 4.5 MB of JSON hold. Made-up ones repeat themselves more than real ones do: with a
 * tenth of text by chance they compress as well as those, to 1.26 MB.
 */
export const DEFAULT_WORKLOAD: Workload = {
  data: {
    from: { kind: 'access', seed: 7 },
    responseBytes: 4_500_000,
    bodyCount: 4,
    fieldCount: undefined,
    randomShare: 0.1
  },
  feed: { kind: 'repeat' },
  partitionCount: 8,
  pullLatencyMs: 0,
  processor: FILTER,
  threads: 2,
  pollIntervalMs: 1000,
  commitIntervalMs: 1000,
  heartbeatIntervalMs: 5000,
  watchesLoop: false
}

/** Who consumes it: this package, or the obvious pipeline, which decodes a response whole or message by message. */
export const CONTENDERS = {
  ours: 'cls-consumer',
  whole: 'whole response',
  message: 'by message'
} as const

export type Contender = keyof typeof CONTENDERS

export const CONTENDER_NAMES = ['ours', 'whole', 'message'] as const satisfies readonly Contender[]
