/**
 * Where the logs of one key go.
 *
 * In: a key, any text. Out: its hash key, the same as every client that hashes by MD5 sends; and its topic of several.
 * Pure. The topic is chosen by other digits than those by which a topic chooses the partition: were they the same, each
 * topic would fill some of its partitions only.
 */
import { createHash } from 'node:crypto'

/** 32 hex digits, lower case. */
export function hashKeyOf(key: string): string {
  return createHash('md5').update(key).digest('hex')
}

/** From 0. */
export function topicIndexOf(hashKey: string, topicCount: number): number {
  return Number.parseInt(hashKey.slice(-8), 16) % topicCount
}
