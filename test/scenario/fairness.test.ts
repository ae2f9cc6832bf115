/** One consumer reads many topics: a backlog in one of them, and a slow processor for it, do not keep the others waiting. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BatchLine } from './harness/lines.ts'
import { noise } from './harness/noise.ts'
import { assertSound } from './harness/plant.ts'
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
        const busyEnds = (): BatchLine[] =>
          run.lines().filter((line): line is BatchLine => line.kind === 'end' && line.topicId === stage.topicId)
        const isDone = (): boolean => busyEnds().flatMap(({ ids }) => ids).length === 80 * PARTITION_COUNT

        const doneCounts: number[] = []
        for (let round = 0; round < 2; round++) {
          const before = stage.producer.ids()
          if (round > 0) await send(stage, others.flat())
          const due = stage.producer.ids().filter(id => !isBusy(stage, id) && (round === 0 || !before.includes(id)))
          await stage.processed(due)
          doneCounts.push(countBefore(run.lines(), due, stage.topicId))
        }
        assert.equal(isDone(), false, 'the backlog has not come to its end')
        await stage.processed(stage.producer.ids())
        await stage.allCommitted()
        assert.equal((await run.stop()).code, undefined)
        assert.deepEqual(assertSound(stage.evidence()).explained, [])
        const total = busyEnds().length
        for (const [round, count] of doneCounts.entries()) {
          assert.ok(count < ((round + 1) * total) / 3, `round ${round}: ${count} of ${total} batches came before`)
        }
      })
  )
})

async function send(stage: Stage, lanes: readonly Lane[]): Promise<void> {
  for (const lane of lanes) await stage.producer.send(lane, 5)
}

function isBusy(stage: Stage, id: string): boolean {
  return stage.producer.acknowledged.get(id)?.topicId === stage.topicId
}

/** How many batches of the busy topic had ended before the last of these logs was processed: an order, not a time. */
function countBefore(lines: readonly { readonly kind: string }[], due: readonly string[], busyTopicId: string): number {
  const ends = lines.filter((line): line is BatchLine => line.kind === 'end')
  const wanted = new Set(due)
  const last = ends.findLastIndex(({ ids }) => ids.some(id => wanted.has(id)))
  return ends.slice(0, last).filter(({ topicId }) => topicId === busyTopicId).length
}
