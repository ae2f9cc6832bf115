/**
 * Which logs are where, and which of them are due.
 *
 * In: lanes whose logs are a message each, alone in a partition that begins at offset 0 and has no gaps. Out: logs by
 * offset; what is due without those that were given up. Pure.
 */
import assert from 'node:assert/strict'
import type { Sent } from './evidence.ts'
import type { EventLine } from './lines.ts'
import type { Lane, Producer } from './producer.ts'

/** From one offset up to another. */
export function idsBetween(lane: Pick<Lane, 'name'>, startOffset: bigint, nextOffset: bigint): string[] {
  const count = Number(nextOffset - startOffset)
  return Array.from({ length: count }, (_, index) => `${lane.name}-${Number(startOffset) + index + 1}`)
}

/** Of the range that an event names. */
export function idsOfRange(lane: Pick<Lane, 'name'>, { offset, nextOffset }: EventLine): string[] {
  assert.ok(offset !== undefined && nextOffset !== undefined, 'the event names a range')
  return idsBetween(lane, offset, nextOffset)
}

/** All that the server has acknowledged, but for these. */
export function dueWithout(producer: Producer, ids: readonly string[]): Map<string, Sent> {
  const given = new Set(ids)
  return new Map([...producer.acknowledged].filter(([id]) => !given.has(id)))
}
