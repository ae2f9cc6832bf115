/**
 * What the network and the server do to requests, for a while.
 *
 * In: dice. Out: fault rules for the emulator. Pure. Must never happen: a fault that strikes every request of an action,
 * or a delay near the time limit of a request: what a client gave up could then take effect long after it sent more, and
 * would not be the network's doing.
 */
import type { Fault, FaultRule } from '../../src/emulator/start.ts'
import type { Dice } from '../fuzz/dice.ts'

/** Of any action. None of them damages what a consumer would have to believe. */
const COMMON: readonly [Fault, ...Fault[]] = [
  { kind: 'delay', ms: 60 },
  { kind: 'delay', ms: 250 },
  { kind: 'delay', ms: 120, when: 'after' },
  { kind: 'error', code: 'InternalError' },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 502, body: 'empty' },
  { kind: 'status', status: 504, body: 'json' },
  { kind: 'drop', when: 'before' },
  { kind: 'drop', when: 'headers' },
  { kind: 'drop', when: 'body' },
  { kind: 'drop', when: 'answer' }
]

const REFUSED_PULLS: readonly [Fault, ...Fault[]] = [
  { kind: 'error', code: 'SpeedQuotaExceed' },
  { kind: 'error', code: 'InternalError', wrapped: 'snappy' }
]

const DAMAGED_PULLS: readonly [Fault, ...Fault[]] = [
  { kind: 'truncate' },
  { kind: 'corrupt', what: 'bytes' },
  { kind: 'corrupt', what: 'json' }
]

/** `every`: how many requests it takes at least until one is struck: heartbeats and uploads are few. */
const TARGETS: readonly [Target, ...Target[]] = [
  { action: 'pull_log', every: 3, faults: [...COMMON, ...REFUSED_PULLS] },
  // A body that is damaged whenever it is pulled again is damaged for good, and stops its consumer rightly.
  { action: 'pull_log', every: 5, times: 2, faults: DAMAGED_PULLS },
  { action: 'CommitConsumerOffsets', every: 2, faults: COMMON },
  { action: 'SendConsumerHeartbeat', every: 3, faults: COMMON },
  { action: 'DescribeConsumerOffsets', every: 2, faults: COMMON },
  { action: 'DescribePartitions', every: 2, faults: COMMON },
  { action: 'structuredlog', every: 4, faults: COMMON }
]

interface Target {
  readonly action: string
  readonly every: number
  readonly times?: number
  readonly faults: readonly [Fault, ...Fault[]]
}

const SPREAD = 4
const TROUBLES_MAX = 3

/** A few rules at once. */
export function drawTrouble(dice: Dice): FaultRule[] {
  return dice.list(1 + dice.below(TROUBLES_MAX), () => {
    const { action, every, times, faults } = dice.pick(TARGETS)
    const rule = { action, every: every + dice.below(SPREAD), fault: dice.pick(faults) }
    return times === undefined ? rule : { ...rule, times }
  })
}
