/**
 * What the demo's processor counts: of one batch, and summed up.
 *
 * In: results of `process`, which crossed a thread boundary and are therefore checked. Out: sums. Distinct paths are
 * bounded: past the bound, new ones count as others, so that a strange file cannot fill the memory.
 */

const PATHS_MAX = 50_000

/** Of one batch. Ids as numbers in 4 bytes each: a log without a usable one counts as `NO_ID`. */
export interface Tally {
  readonly ids: Uint32Array
  readonly statuses: ReadonlyMap<string, number>
  readonly paths: ReadonlyMap<string, number>
}

export const NO_ID = 0xffff_ffff

export function isTally(value: unknown): value is Tally {
  if (typeof value !== 'object' || value === null) return false
  if (!('ids' in value && 'statuses' in value && 'paths' in value)) return false
  return value.ids instanceof Uint32Array && value.statuses instanceof Map && value.paths instanceof Map
}

export class TallySum {
  readonly statuses = new Map<string, number>()
  readonly paths = new Map<string, number>()
  otherPathCount = 0

  add({ statuses, paths }: Tally): void {
    for (const [status, lines] of statuses) increase(this.statuses, status, lines)
    for (const [path, lines] of paths) {
      if (this.paths.has(path) || this.paths.size < PATHS_MAX) increase(this.paths, path, lines)
      else this.otherPathCount += lines
    }
  }
}

export function increase(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
