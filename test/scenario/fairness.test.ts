/** One consumer reads many topics: a backlog in one of them, and a slow processor for it, do not keep the others waiting. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { finishSound } from './harness/ending.ts'
import type { BatchLine } from './harness/lines.ts'
import { noise } from './harness/noise.ts'
import { play } from './harness/play.ts'
import type { Lane } from './harness/producer.ts'
import type { Stage } from './harness/stage.ts'

const TIMEOUT = { timeout: 60_000 }
const TOPIC_COUNT = 6
const PARTITION_COUNT = 4
const MIB = 1024 * 1024

describe('many topics in one consumer', { concurrency: 2 }, () => {
  test(
    'a backlog with a slow processor gets its turns, and no more: the other topics are read meanwhile',
    TIMEOUT,
    () =>
      play({ topicCount: TOPIC_COUNT, partitionCount: PARTITION_COUNT }, async stage => {
        const [busy = [], ...others] = stage.emulator.topicIds.map(id => stage.producer.lanes(id, PARTITION_COUNT))
        // Over a hundred batches, which together fill the budget of bytes.
        for (const lane of busy) await stage.producer.send(lane, 80, seed => noise(seed, 4000))
        await send(stage, others.flat())
        const run = stage.run('run', {
          // One thread, with fewer turns than the busy topic has partitions.
          options: { pullBytes: 8192, heldBytesMax: 4 * MIB, batchesPerThread: 2 },
          behaviour: { batchMs: 20, slowTopicId: stage.topicId }
        })
        const quick = stage.producer.ids().filter(id => stage.producer.acknowledged.get(id)?.topicId !== stage.topicId)
        await finishSound(stage)
        // An order, not a time: what came before the last log of the other topics.
        const ends = run.lines().filter((line): line is BatchLine => line.kind === 'end')
        const last = ends.findLastIndex(({ ids }) => ids.some(id => quick.includes(id)))
        const isBusy = ({ topicId }: BatchLine): boolean => topicId === stage.topicId
        const [before, total] = [ends.slice(0, last).filter(isBusy).length, ends.filter(isBusy).length]
        assert.ok(total > 100 && before < total / 4, `${before} of ${total} batches came before`)
      })
  )
})

async function send(stage: Stage, lanes: readonly Lane[]): Promise<void> {
  for (const lane of lanes) await stage.producer.send(lane, 5)
}
