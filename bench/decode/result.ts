/** What `npm run bench -- decode --json FILE` writes, and the report reads. */

import type { Context } from '../context.ts'
import type { PayloadSize } from '../corpus.ts'
import type { Filter, PayloadName } from '../payloads.ts'
import type { ClosedCheck } from './closed-check.ts'
import type { FreshSnappy } from './fresh-snappy.ts'
import type { HeapUse } from './heap.ts'
import type { Ratios, Target } from './targets.ts'
import type { Measured, Plan } from './turns.ts'
import type { YoungGeneration } from './young-generation.ts'

export interface DecodeResult {
  /** Of CPU time, back to back (snappy: `freshSnappy`), on the payload `ratiosOf`. */
  readonly ratios: Ratios
  /** From body to index, on that payload. */
  readonly heapBytesPerResponse: number
  /** As `ratios`, with a turn of the event loop after each response. */
  readonly ratiosWithTurns: Ratios
  readonly ratiosOf: PayloadName
  readonly targets: readonly Target[]
  readonly context: Context & Plan
  readonly payloads: readonly PayloadResult[]
  /** Payloads that this machine cannot make. */
  readonly skipped: readonly PayloadName[]
  readonly cases: readonly Case[]
  readonly heap: readonly HeapUse[]
  readonly freshSnappy: FreshSnappy
  readonly youngGeneration: readonly YoungGeneration[]
  readonly closedCheck: ClosedCheck
}

export interface PayloadResult extends PayloadSize {
  readonly name: PayloadName
  readonly what: string
  readonly filter: Filter
}

export interface Case extends Measured {
  readonly payload: PayloadName
}
