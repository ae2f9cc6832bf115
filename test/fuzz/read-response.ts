/**
 * What comes of a response by the way that is tested: `decodeResponse`, then every view of the batch.
 *
 * In: a batch task and a memory. Out: the outcome, and the details that are the kernel's own. Every way to read a log is
 * held against the others here: they must agree, whichever is asked first. Must never happen: an error that is not one of
 * ours, or not one of those that a body may cause.
 */
import assert from 'node:assert/strict'
import type { BatchTask } from '../../src/dispatch/messages.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { type Log, type LogBatch, type LogGroup, openBatch } from '../../workers/batch-view.ts'
import { type DecodedResponse, decodeResponse, type Outline } from '../../workers/decode.ts'
import type { KernelMemory } from '../../workers/kernel/memory.ts'
import {
  assertSame,
  firstOfEach,
  type GroupOutcome,
  type LogOutcome,
  type Outcome,
  poisonOutcome,
  refusedOutcome
} from './outcome.ts'

export interface Reading {
  readonly outcome: Outcome
  /** Reasons and positions in the kernel's words. */
  readonly details: string
}

/** All that a body may cause. */
const CODES: readonly string[] = ['BODY_TOO_LARGE', 'BODY_CORRUPT', 'API_REFUSED', 'NEXT_OFFSET_STUCK']

export function readResponse(task: BatchTask, memory: KernelMemory, responseBytesMax: number): Reading {
  const outlines: Outline[] = []
  let decoded: DecodedResponse
  try {
    decoded = decodeResponse(task, memory, responseBytesMax, outline => outlines.push(outline))
  } catch (error) {
    if (!(error instanceof ClsConsumerError)) throw error
    assert.ok(CODES.includes(error.code), `a body causes ${error.code}`)
    const { topicId, partition, offset } = error.place
    assert.deepEqual([topicId, partition, offset], [task.topicId, task.partition, task.startOffset])
    assert.equal(outlines.length, 0, 'no outline is told of a response that is refused')
    return { outcome: refusedOutcome(error), details: error.message }
  }
  assert.equal(outlines.length, 1, 'the outline is told once')
  return { outcome: readOutcome(task, decoded, outlines[0]), details: JSON.stringify(decoded.poison.map(detailOf)) }
}

function detailOf({ messageIndex, reason, bytePosition }: DecodedResponse['poison'][number]): unknown[] {
  return [messageIndex, reason, bytePosition]
}

function readOutcome(task: BatchTask, decoded: DecodedResponse, outline: Outline | undefined): Outcome {
  const { nextOffset, messageCount, responseBytes, logCount, poison } = decoded
  // What is told is what the response has; a cut comes after it, and only at the end of a bounded run.
  if (task.endOffset === undefined) {
    assert.deepEqual([outline?.nextOffset, outline?.messageCount], [nextOffset, messageCount])
  }
  const { topicId, partition, startOffset } = task
  const open = openBatch({ topicId, partition, startOffset, nextOffset, messageCount }, decoded)
  try {
    return {
      nextOffset: nextOffset?.toString(),
      messageCount,
      responseBytes,
      logCount,
      groups: readBatch(open.batch, logCount),
      poison: poison.map(note =>
        poisonOutcome(note, JSON.stringify(JSON.parse(Buffer.from(note.raw).toString('latin1'))))
      )
    }
  } finally {
    open.close()
  }
}

function readBatch(batch: LogBatch, logCount: number): GroupOutcome[] {
  // Which is asked first must not matter; here chance decides, and a seed repeats it.
  const objectsFirst = logCount % 2 === 0 ? batch.toObjects() : undefined
  const groups = [...batch.groups].map(readGroup)
  const objects = objectsFirst ?? batch.toObjects()
  const logs = groups.flatMap(group => group.logs)
  assert.equal(batch.logCount, logCount)
  assert.equal(objects.length, logCount)
  assertSame(
    objects.map(object => Object.entries(object)),
    logs.map(log => log.object)
  )
  assertFilters(batch, logs)
  return groups
}

/** One key asked of all logs, as a filter does. */
function assertFilters(batch: LogBatch, logs: readonly LogOutcome[]): void {
  const [wanted = 'status', value = '500'] = logs.at(-1)?.object[0] ?? []
  let index = 0
  for (const log of batch) {
    const expected = logs[index++]
    const [, found] = expected?.object.find(([key]) => key === wanted) ?? []
    assert.equal(`${log.timeRaw}`, expected?.time)
    assert.equal(log.equals(wanted, value), found === value)
    assert.equal(log.get(wanted), found)
  }
  assert.equal(index, logs.length)
}

function readGroup(group: LogGroup): GroupOutcome {
  const { source, filename, hostname, contextFlow, tags } = group
  const logs = [...group].map(readLog)
  assert.equal(group.logCount, logs.length)
  return { source, filename, hostname, contextFlow, tags: Object.entries(tags), logs }
}

function readLog(log: Log): LogOutcome {
  assert.equal(log.get('no such key'), undefined)
  const entries = log.entries()
  const first = firstOfEach(entries)
  for (const [key, value] of first) assertReads(log, key, value)
  assertSame(log.keys(), [...new Set(entries.map(([key]) => key))])
  const { timeRaw } = log
  assert.equal(log.time, Number(timeRaw))
  assert.equal(log.timeMs, unixMsOf(timeRaw))
  return { time: `${timeRaw}`, entries, object: Object.entries(log.toObject()) }
}

/** The documented rule, in whole numbers. */
function unixMsOf(time: bigint): number {
  const magnitude = time < 0n ? -time : time
  if (magnitude < 10n ** 11n) return Number(time) * 1000
  const perMs = magnitude < 10n ** 14n ? 1n : magnitude < 10n ** 17n ? 1000n : 1_000_000n
  return Number((time - (((time % perMs) + perMs) % perMs)) / perMs)
}

function assertReads(log: Log, key: string, value: string): void {
  const half = value.slice(0, (value.length + 1) >> 1)
  const isRead =
    log.equals(key, value) &&
    log.get(key) === value &&
    log.has(key) &&
    log.startsWith(key, half) &&
    log.startsWith(key, '') &&
    log.startsWith(key, value) &&
    log.equals(key, half) === (half === value) &&
    !log.equals(key, `${value}\0`) &&
    !log.startsWith(key, `${value}.`)
  if (!isRead) assert.fail(`${JSON.stringify(key)} is not read as ${JSON.stringify(value)}`)
}
