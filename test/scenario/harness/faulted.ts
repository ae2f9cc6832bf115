/**
 * The scenario of the fault tables: a consumer reads two partitions under load while the server misbehaves.
 *
 * In: a row, which says how the server misbehaves and what the consumer calls that. Out: a sound run, in which every
 * fault struck, all was processed once and committed to the end, and no lease was lost. Must never happen: a row that
 * passes although its fault was never played.
 */
import { test } from 'node:test'
import type { EmulatorOptions, Fault, FaultRule } from '../../../src/emulator/start.ts'
import type { ErrorCode } from '../../../src/errors.ts'
import type { ScenarioConsumer } from './consumers.ts'
import { finishSound } from './ending.ts'
import { play } from './play.ts'
import type { Part, Stage } from './stage.ts'

export interface FaultedRow {
  readonly title: string
  readonly rules: readonly FaultRule[]
  /** How often each rule strikes at least, before the end. */
  readonly struckCount: number
  /** Played for the very last logs, in place of the rules: nothing that comes later makes up for these. */
  readonly last?: readonly FaultRule[]
  /** What the consumer calls it; absent where it should not even notice. */
  readonly code?: ErrorCode
  readonly emulator?: EmulatorOptions
  readonly options?: Part['options']
}

const TIMEOUT = { timeout: 60_000 }
const PARTITION_COUNT = 2
const LOG_COUNT = 60
/** Several pulls to each partition. */
const PULL_BYTES = 4096

/** A test per row. */
export function testRows(rows: readonly FaultedRow[]): void {
  for (const row of rows) test(`${row.title}: nothing is lost, nothing repeated`, TIMEOUT, () => playFaulted(row))
}

export async function playFaulted(row: FaultedRow): Promise<void> {
  const { rules, struckCount, last = rules, code, emulator = {}, options = {} } = row
  await play({ partitionCount: PARTITION_COUNT, faults: rules, ...emulator }, async stage => {
    const lanes = stage.producer.lanes(stage.topicId, PARTITION_COUNT)
    for (const lane of lanes) await stage.producer.send(lane, LOG_COUNT)
    const run = stage.run('run', { options: { pullBytes: PULL_BYTES, ...options } })
    const load = stage.producer.keepSending(lanes)
    await untilStruck(stage, struckCount)
    // A delay strikes long before its client gives up.
    if (code !== undefined) await stage.until(`the consumer says that it met ${code}`, () => hasTold(run, code))
    await load.stop()
    await stage.processed(stage.producer.ids())
    await stage.allCommitted()
    await stage.emulator.setFaults(last)
    for (const lane of lanes) await stage.producer.send(lane, 3)
    // Faults go on to the end: the last heartbeats may meet them, too.
    await finishSound(stage)
  })
}

/** Waits until every rule has struck so often. */
export async function untilStruck(stage: Stage, struckCount: number): Promise<void> {
  await stage.until(`every fault has struck ${struckCount} times`, async () => {
    const { faults } = await stage.snapshot()
    return faults.every(fault => fault.struckCount >= struckCount)
  })
}

/** By an event, or in its log. */
export function hasTold(run: ScenarioConsumer, code: ErrorCode): boolean {
  const events = run.lines().filter(line => line.kind === 'event' && line.code === code)
  return events.length > 0 || run.log().includes(code)
}

/** Faults that every action can meet, and what a client calls them. */
export const COMMON_FAULTS: readonly (readonly [title: string, fault: Fault, code: ErrorCode | undefined])[] = [
  ['a delay before', { kind: 'delay', ms: 150 }, undefined],
  ['a delay after', { kind: 'delay', ms: 150, when: 'after' }, undefined],
  ['InternalError', { kind: 'error', code: 'InternalError' }, 'API_UNAVAILABLE'],
  ['RequestLimitExceeded', { kind: 'error', code: 'RequestLimitExceeded.UinLimitExceeded' }, 'API_THROTTLED'],
  ['an unknown error with HTTP 503', { kind: 'error', code: 'Gremlin', status: 503 }, 'API_UNAVAILABLE'],
  ['HTTP 500 with a page', { kind: 'status', status: 500 }, 'API_UNAVAILABLE'],
  ['HTTP 502 with nothing', { kind: 'status', status: 502, body: 'empty' }, 'API_UNAVAILABLE'],
  ['HTTP 504 with foreign JSON', { kind: 'status', status: 504, body: 'json' }, 'API_UNAVAILABLE'],
  ['HTTP 429 with a page', { kind: 'status', status: 429 }, 'API_THROTTLED'],
  ['HTTP 200 with a page', { kind: 'status', status: 200 }, 'API_MALFORMED'],
  ['a connection cut before it', { kind: 'drop', when: 'before' }, 'API_UNREACHABLE'],
  ['a connection cut in its answer’s headers', { kind: 'drop', when: 'headers' }, 'API_UNREACHABLE'],
  ['a connection cut in its answer’s body', { kind: 'drop', when: 'body' }, 'API_UNREACHABLE'],
  ['an answer lost after it took effect', { kind: 'drop', when: 'answer' }, 'API_UNREACHABLE']
]
