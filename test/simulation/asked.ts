/**
 * What a request asks, read from the wire: what the ledger has to know of it.
 *
 * In: a request as the client sends it. Out: its kind, with the partitions that it is about.
 */
import assert from 'node:assert/strict'
import { int64, isRecord, type Json, parseJson } from '../../src/cls/json.ts'
import type { WireRequest } from '../../src/emulator/plane.ts'

export interface AskedOffset {
  readonly key: string
  readonly offset: bigint
}

export type Asked =
  | { readonly kind: 'heartbeat'; readonly consumer: string; readonly held: readonly string[] }
  | { readonly kind: 'commit'; readonly consumer: string; readonly offsets: readonly AskedOffset[] }
  | { readonly kind: 'pull'; readonly at: AskedOffset }
  | { readonly kind: 'other'; readonly action: string }

/** As the emulator writes it, too. */
export function partitionKey(topicId: string, partition: number): string {
  return `${topicId}#${partition}`
}

export function readAsked({ path, query, headers, body }: WireRequest): Asked {
  const fields = parseJson(Buffer.from(body).toString())
  if (path === '/pull_log') {
    const topicId = query.replace('topic_id=', '')
    const at = { key: partitionKey(topicId, count(fields, 'PartitionId')), offset: offset(fields, 'StartOffset') }
    return { kind: 'pull', at }
  }
  const action = headers['x-tc-action'] ?? ''
  switch (action) {
    case 'SendConsumerHeartbeat': {
      const held = list(fields, 'TopicPartitionsInfo').flatMap(topic =>
        list(topic, 'Partitions').map(partition => partitionKey(text(topic, 'TopicID'), Number(partition)))
      )
      return { kind: 'heartbeat', consumer: text(fields, 'Consumer'), held }
    }
    case 'CommitConsumerOffsets': {
      const offsets = list(fields, 'TopicPartitionOffsetsInfo').flatMap(topic =>
        list(topic, 'PartitionOffsets').map(entry => ({
          key: partitionKey(text(topic, 'TopicID'), count(entry, 'PartitionId')),
          offset: offset(entry, 'Offset')
        }))
      )
      return { kind: 'commit', consumer: text(fields, 'Consumer'), offsets }
    }
    default:
      return { kind: 'other', action }
  }
}

/** For the trace. */
export function describeAsked(asked: Asked): string {
  switch (asked.kind) {
    case 'heartbeat':
      return `heartbeat of ${asked.held.join(' ') || 'nothing'}`
    case 'commit':
      return `commit of ${asked.offsets.map(({ key, offset }) => `${key}:${offset}`).join(' ')}`
    case 'pull':
      return `pull of ${asked.at.key}:${asked.at.offset}`
    case 'other':
      return asked.action
  }
}

function member(fields: Json, name: string): Json {
  assert.ok(isRecord(fields), `no object with ${name}`)
  return fields[name] ?? null
}

function list(fields: Json, name: string): readonly Json[] {
  const value = member(fields, name)
  assert.ok(Array.isArray(value), `${name} is no list`)
  return value
}

function text(fields: Json, name: string): string {
  const value = member(fields, name)
  assert.ok(typeof value === 'string', `${name} is no text`)
  return value
}

function count(fields: Json, name: string): number {
  return Number(offset(fields, name))
}

function offset(fields: Json, name: string): bigint {
  const value = int64(member(fields, name))
  assert.ok(value !== undefined, `${name} is no int64`)
  return value
}
