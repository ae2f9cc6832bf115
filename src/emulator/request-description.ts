/**
 * What a request is about, as far as a fault's rule may ask.
 *
 * In: a request that nothing has been checked of yet, and where uploads would go. Out: its action, and the topics,
 * partitions and consumer that it names. Never refuses: what cannot be read names nothing.
 */
import { int64, isRecord, type Json, parseJson } from '../cls/json.ts'
import { readHashKey } from './actions/upload-logs.ts'
import { findTopicId } from './data-plane.ts'
import type { WireRequest } from './plane.ts'
import { Refusal } from './refusal.ts'
import type { EmulatorState } from './state.ts'

/** What a request is about. */
export interface RequestDescription {
  /** The name of the action, or the path without its slash. */
  readonly action: string
  /** Topics and partitions that it names; a topic without a partition stands for itself. */
  readonly places: readonly RequestPlace[]
  readonly consumer: string | undefined
}

export interface RequestPlace {
  readonly topicId: string | undefined
  readonly partition: number | undefined
}

export function describeRequest(request: WireRequest, state: EmulatorState): RequestDescription {
  const { path, headers, query, body } = request
  if (path === '/') {
    const fields = readJson(body)
    const consumer = isRecord(fields) && typeof fields.Consumer === 'string' ? fields.Consumer : undefined
    return { action: headers['x-tc-action'] ?? '', places: placesIn(fields, undefined), consumer }
  }
  const topicId = findTopicId(query)
  const partitions = path === '/pull_log' ? partitionsIn(readJson(body)) : uploadPartition(request, topicId, state)
  const places = partitions.length === 0 ? [undefined] : partitions
  return { action: path.slice(1), places: places.map(partition => ({ topicId, partition })), consumer: undefined }
}

function readJson(body: Uint8Array): Json {
  try {
    return parseJson(Buffer.from(body).toString())
  } catch {
    return null
  }
}

/** Partitions count for the topic named beside them, or in the object around theirs. */
function placesIn(value: Json, outerTopicId: string | undefined): RequestPlace[] {
  if (Array.isArray(value)) return value.flatMap(item => placesIn(item, outerTopicId))
  if (!isRecord(value)) return []
  const topicIds = topicsIn(value)
  const topicId = topicIds[0] ?? outerTopicId
  return [
    ...topicIds.map(id => ({ topicId: id, partition: undefined })),
    ...partitionsIn(value).map(partition => ({ topicId, partition })),
    ...Object.values(value).flatMap(member => placesIn(member, topicId))
  ]
}

function topicsIn({ TopicId, TopicID, Topics }: Readonly<Record<string, Json>>): string[] {
  const named = [TopicId, TopicID, ...(Array.isArray(Topics) ? Topics : [])]
  return named.flatMap(topicId => (typeof topicId === 'string' ? [topicId] : []))
}

function partitionsIn(value: Json): number[] {
  if (!isRecord(value)) return []
  const { PartitionId, Partitions } = value
  const named = [PartitionId, ...(Array.isArray(Partitions) ? Partitions : [])]
  return named.flatMap(partition => {
    const number = int64(partition)
    return number === undefined ? [] : [Number(number)]
  })
}

/** Where it would go as things are. */
function uploadPartition({ headers }: WireRequest, topicId: string | undefined, state: EmulatorState): number[] {
  const topic = state.topics.get(topicId ?? '')
  try {
    const partition = topic?.nextFor(readHashKey(headers))
    return partition === undefined ? [] : [partition.id]
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return []
  }
}
