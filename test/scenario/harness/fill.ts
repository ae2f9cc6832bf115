/**
 * A stage with logs on it: one lane a partition, each log a message, small pulls.
 *
 * In: a stage. Out: its lanes; the id of any log. Must never happen: a lane that shares its partition.
 */
import assert from 'node:assert/strict'
import type { Lane } from './producer.ts'
import type { Stage } from './stage.ts'

/** Several batches to each partition. */
export const SMALL = { pullBytes: 4096 } as const

/** So many logs in each of two partitions. */
export async function fillTwo(stage: Stage, logCount: number): Promise<readonly [Lane, Lane]> {
  const [first, second] = stage.producer.lanes(stage.topicId, 2)
  assert.ok(first !== undefined && second !== undefined)
  for (const lane of [first, second]) await stage.producer.send(lane, logCount)
  return [first, second]
}

/** Of the log at this offset, stored or not. */
export function idAt({ name }: Pick<Lane, 'name'>, offset: number): string {
  return `${name}-${offset + 1}`
}
