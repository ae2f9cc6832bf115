/**
 * How the ledger's processor behaves: what a scenario may ask of it.
 *
 * In: `processorOptions`, from any process. Out: a `Behaviour`, checked. A gate is a file: while it exists, whoever
 * waits at it waits. Files work from thread to thread and from process to process.
 */

import type { Misdeed } from './misdeeds.ts'

/** What to do with batches that wait at the gate, once their signal aborts. block: the thread hears of nothing. */
export type HoldMode = 'wait' | 'heed' | 'block'

export interface Behaviour {
  readonly ledgerFile: string
  readonly process: string
  /** Each batch takes at least this long, without keeping its thread busy; those of one topic alone, where it is given. */
  readonly batchMs?: number
  readonly slowTopicId?: string
  /** Each batch of these partitions keeps its thread busy for so long. */
  readonly burn?: { readonly ms: number; readonly partitions: readonly number[] }
  /** Batches (of this partition alone, where it is given) wait at the gate. */
  readonly hold?: {
    readonly gateFile: string
    readonly mode: HoldMode
    /** Only this one. */
    readonly partition?: number
    /** Each has a gate of its own: the file with its number behind a dot. */
    readonly perPartition?: boolean
  }
  /** Throws for a batch that holds this log. */
  readonly failOn?: string
  readonly misdeeds?: readonly Misdeed[]
  /** Gives these logs to the dead letters. They count as processed. */
  readonly setAside?: readonly string[]
  /** Likewise the groups that hold them. */
  readonly setGroupsAside?: readonly string[]
  /** Saves in the batch that holds one of these logs, or in `revoke`. */
  readonly saveOn?: readonly string[]
  readonly saveIn?: 'revoke'
  /** Rewinds in the batch that holds this log, if this file exists; the first who finds it takes it away. */
  readonly rewind?: { readonly id: string; readonly toOffset: bigint; readonly file: string }
  /** Each call of a hook is an event `hook`, with its name and thread as text. */
  readonly tellsHooks?: boolean
  /** Ends its thread, if this file exists; the first who finds it takes it away. */
  readonly dieFile?: string
  /** Of the processor of `chaos/` alone: while this file exists, it names what befalls the next batch. */
  readonly doomFile?: string
  /** Plants: does not process this log, or processes it twice. */
  readonly skip?: string
  readonly double?: string
  /** The value of this key is written beside each log's id. */
  readonly wordKey?: string
}

export function readBehaviour(options: unknown): Behaviour {
  if (!isBehaviour(options)) throw new TypeError('the ledger processor was given no ledgerFile and process')
  return options
}

/** Both ends are this harness, in one version: that the two names are there tells ours from anything else. */
function isBehaviour(options: unknown): options is Behaviour {
  if (typeof options !== 'object' || options === null) return false
  return 'ledgerFile' in options && typeof options.ledgerFile === 'string' && 'process' in options
}
