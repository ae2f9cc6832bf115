/**
 * Who takes part: each contender does one thing with a response, again and again, in a thread of its own.
 *
 * In: nothing. Out: a table, in the order of the report. What each does is in `rivals.ts` and `ours.ts`; the threads of
 * the rivals have the limits that Node gives, ours those of the consumer.
 */

/** What is done with a response. The contenders of one workload give the same answer. */
export type Workload = 'filter' | 'objects' | 'index' | 'loop' | 'snappy'

export interface Contender {
  readonly workload: Workload
  readonly side: 'ours' | 'rival'
  readonly what: string
}

export const CONTENDERS = {
  'rival-filter': { workload: 'filter', side: 'rival', what: 'obvious: whole response' },
  'rival-filter-by-message': { workload: 'filter', side: 'rival', what: 'obvious: by message' },
  'ours-equals': { workload: 'filter', side: 'ours', what: 'ours: log.equals' },
  'ours-get': { workload: 'filter', side: 'ours', what: 'ours: log.get' },
  'rival-objects': { workload: 'objects', side: 'rival', what: 'obvious: whole response' },
  'rival-objects-by-message': { workload: 'objects', side: 'rival', what: 'obvious: by message' },
  'ours-objects': { workload: 'objects', side: 'ours', what: 'ours: batch.toObjects' },
  'ours-index': { workload: 'index', side: 'ours', what: 'ours: body to index' },
  'ours-loop': { workload: 'loop', side: 'ours', what: 'ours: log.equals, index there' },
  'npm-snappy': { workload: 'snappy', side: 'rival', what: 'npm snappy, on the way' },
  'kernel-snappy': { workload: 'snappy', side: 'ours', what: 'ours: the kernel, on the way' },
  'npm-snappy-alone': { workload: 'snappy', side: 'rival', what: 'npm snappy, nothing else' },
  'kernel-snappy-alone': { workload: 'snappy', side: 'ours', what: 'ours: the kernel, nothing else' }
} as const satisfies Record<string, Contender>

export type ContenderId = keyof typeof CONTENDERS
type OfSide<Side> = { [Id in ContenderId]: (typeof CONTENDERS)[Id]['side'] extends Side ? Id : never }[ContenderId]
export type OurId = OfSide<'ours'>
export type RivalId = OfSide<'rival'>

export const CONTENDER_IDS: readonly ContenderId[] = Object.keys(CONTENDERS).filter(isContenderId)

export function isOurs(id: ContenderId): id is OurId {
  return CONTENDERS[id].side === 'ours'
}

export function isContenderId(id: string): id is ContenderId {
  return id in CONTENDERS
}

/**
 * What is between two responses: nothing, or a turn of the event loop, as between two pulls. It makes much of a
 * difference to the rivals. Without turns the buffers of npm snappy, given back in a turn, pile up, each has fresh pages,
 * and collections find the objects of the response alive; with turns the engine collects when all of them are dead.
 */
export const PACES = ['back to back', 'with turns'] as const
export type Pace = (typeof PACES)[number]

export interface Work {
  /** One response. The number is the same each time: a count of logs or bytes. */
  readonly once: () => number
  /** The answer as a text, to be compared with what the payload was made from. */
  readonly digest: () => string
  /** Where only a part of `once` counts: what that part has taken so far. */
  readonly part?: () => Time
}

/** CPU time is the process's, since a collection's helpers have threads of their own. */
export interface Time {
  readonly cpuMs: number
  readonly wallMs: number
}
