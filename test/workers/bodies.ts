/**
 * Responses and tasks for the workers' tests.
 *
 * In: logs, or a response's JSON. Out: bodies in shared memory and batch tasks, as the main thread makes them.
 */
import assert from 'node:assert/strict'
import { compress } from '../../src/cls/compression.ts'
import { type Printable, printJson } from '../../src/cls/json.ts'
import { encodeLogGroup, encodeMessage, type LogGroup } from '../../src/cls/log-group.ts'
import type { BatchTask } from '../../src/dispatch/messages.ts'
import { GROUP, type IndexedGroups, indexLogGroup } from '../../workers/kernel/log-group-index.ts'
import { align, KernelMemory } from '../../workers/kernel/memory.ts'

export const TOPIC_ID = '5cd3a17e-0000-4000-8000-0123456789ab'

/** A group of logs with these contents, all of one time. */
export function groupOf(contents: readonly Record<string, string>[], rest: Partial<LogGroup> = {}): LogGroup {
  const logs = contents.map(content => ({
    time: 1_700_000_000n,
    contents: Object.entries(content).map(([key, value]) => ({ key, value }))
  }))
  return { logs, logTags: [], ...rest }
}

/** The groups, through their bytes, as a batch has them. */
export function indexGroups(groups: readonly LogGroup[]): IndexedGroups {
  return indexPayloads(groups.map(encodeLogGroup))
}

/** Payloads as they are, each of which must be a group. */
export function indexPayloads(payloads: readonly Uint8Array[]): IndexedGroups {
  const memory = new KernelMemory()
  let at = memory.start
  const spans = payloads.map(payload => {
    const start = at
    at += payload.length
    memory.reserve(at)
    memory.bytes.set(payload, start)
    return { start, end: at }
  })
  const firstGroup = align(at)
  let table = firstGroup
  let logCount = 0
  for (const span of spans) {
    const end = indexLogGroup(memory, span, table)
    assert.ok(typeof end === 'number', 'the payload is a group')
    logCount += memory.words[table / 4 + GROUP.logCount] ?? 0
    table = end
  }
  return { memory, firstGroup, groupCount: spans.length, logCount }
}

/** One stored message in base64. */
export function messageOf(group: LogGroup): string {
  const header = { timestamp: 1_700_000_000_000n, accountUin: 1n, logsetId: 'logset', topicId: TOPIC_ID }
  return encodeMessage(header, encodeLogGroup(group)).toString('base64')
}

/** A message per content, with one log each. */
export function messagesOf(...contents: Record<string, string>[]): string[] {
  return contents.map(content => messageOf(groupOf([content])))
}

export function responseText(nextOffset: Printable | undefined, messages: Printable | undefined): string {
  return printJson({ Response: { NextOffset: nextOffset, Message: messages, RequestId: 'request-1' } })
}

let batchCount = 0

export function batchTask(text: string | Uint8Array, overrides: Partial<BatchTask> = {}): BatchTask {
  const plain = typeof text === 'string' ? Buffer.from(text) : text
  const compressed = compress(plain, overrides.compression ?? 'snappy')
  // Larger than the body, as a buffer that grew by doubling is: only `byteCount` of it counts.
  const body = new SharedArrayBuffer(compressed.length + 100)
  new Uint8Array(body).fill(0xff).set(compressed)
  return {
    kind: 'batch',
    batchId: ++batchCount,
    topicId: TOPIC_ID,
    partition: 3,
    epoch: 1,
    startOffset: 100n,
    endOffset: undefined,
    body,
    byteCount: compressed.length,
    compression: 'snappy',
    attempt: 1,
    ...overrides
  }
}
