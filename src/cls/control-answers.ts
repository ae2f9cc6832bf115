/**
 * What the management plane's answers say.
 *
 * In: the `Response` object of a success. Out: values. Pure. Must never happen: a list or an offset of the wrong shape
 * read as "none" (I6): that is API_MALFORMED. `null` is an empty list, as documented. A list that is left out
 * altogether is read as empty where that is harmless, and refused where "none" would choose a start position.
 */
import type { ConsumerGroup, PartitionDescription, TopicPartitions } from '../world.ts'
import { type Asked, malformed } from './answer.ts'
import { int64, isRecord, type Json } from './json.ts'

type Fields = Readonly<Record<string, Json>>

export function readConsumerGroups(response: Fields, asked: Asked): ConsumerGroup[] {
  return records(response, 'ConsumerGroupsInfo', 'empty', asked).map(entry => ({
    group: text(entry, 'ConsumerGroup', asked),
    timeoutSeconds: count(entry, 'Timeout', asked),
    topicIds: list(entry, 'Topics', 'empty', asked).map(topic => {
      if (typeof topic !== 'string') throw malformed(`a topic ${show(topic)} in Topics`, asked)
      return topic
    })
  }))
}

/** A heartbeat's answer. A member without partitions may well have the list left out: it owns nothing. */
export function readTopicPartitions(response: Fields, asked: Asked): TopicPartitions[] {
  return records(response, 'TopicPartitionsInfo', 'empty', asked).map(entry => ({
    topicId: text(entry, 'TopicID', asked),
    partitions: list(entry, 'Partitions', 'empty', asked).map(partition => partitionNumber(partition, asked))
  }))
}

/** Offsets by partition of one topic. `null`, -1 and no offset at all mean "none", and are absent. */
export function readOffsets(response: Fields, topicId: string, asked: Asked): Map<number, bigint> {
  const offsets = new Map<number, bigint>()
  for (const topic of records(response, 'TopicPartitionOffsetsInfo', 'malformed', asked)) {
    if (text(topic, 'TopicID', asked) !== topicId) continue
    for (const entry of records(topic, 'PartitionOffsets', 'malformed', asked)) {
      const partition = partitionNumber(entry.PartitionId, asked)
      const { Offset: written } = entry
      if (written === undefined || written === null) continue
      const offset = int64(written)
      if (offset === undefined || offset < -1n)
        throw malformed(`an Offset ${show(written)} of partition ${partition}`, asked)
      if (offset !== -1n) offsets.set(partition, offset)
    }
  }
  return offsets
}

export function readPartitions(response: Fields, asked: Asked): PartitionDescription[] {
  return records(response, 'Partitions', 'malformed', asked).map(entry => {
    const status = text(entry, 'Status', asked).toLowerCase()
    if (status !== 'readwrite' && status !== 'readonly') throw malformed(`a Status ${show(status)}`, asked)
    return {
      partition: partitionNumber(entry.PartitionId, asked),
      status,
      beginKey: hashKey(entry, 'InclusiveBeginKey', asked),
      endKey: hashKey(entry, 'ExclusiveEndKey', asked),
      createTime: typeof entry.CreateTime === 'string' ? entry.CreateTime : ''
    }
  })
}

function list(fields: Fields, key: string, absent: 'empty' | 'malformed', asked: Asked): readonly Json[] {
  const value = fields[key]
  if (value === null || (value === undefined && absent === 'empty')) return []
  if (!Array.isArray(value)) throw malformed(value === undefined ? `no ${key}` : `${key} ${show(value)}`, asked)
  return value
}

function records(fields: Fields, key: string, absent: 'empty' | 'malformed', asked: Asked): readonly Fields[] {
  return list(fields, key, absent, asked).map(entry => {
    if (!isRecord(entry)) throw malformed(`an entry ${show(entry)} in ${key}`, asked)
    return entry
  })
}

function text(fields: Fields, key: string, asked: Asked): string {
  const value = fields[key]
  if (typeof value !== 'string' || value === '') throw malformed(`${key} ${show(value)}`, asked)
  return value
}

function count(fields: Fields, key: string, asked: Asked): number {
  const value = fields[key]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw malformed(`${key} ${show(value)}`, asked)
  return value
}

/** A number, or its digits as a string: the API writes both. */
function partitionNumber(value: Json | undefined, asked: Asked): number {
  const partition = Number(int64(value) ?? -1n)
  if (partition < 0 || partition > 0x7fff_ffff) throw malformed(`a partition ${show(value)}`, asked)
  return partition
}

function hashKey(fields: Fields, key: string, asked: Asked): string {
  const value = text(fields, key, asked)
  if (!/^[0-9a-f]{1,33}$/i.test(value)) throw malformed(`${key} ${show(value)}`, asked)
  // The end of the last range may be written as 2^128, a digit longer.
  return value.length > 32 ? 'f'.repeat(32) : value.toLowerCase().padStart(32, '0')
}

function show(value: Json | undefined): string {
  if (value === undefined) return 'missing'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'that is a list' : 'that is an object'
  return JSON.stringify(typeof value === 'bigint' ? value.toString() : value).slice(0, 100)
}
