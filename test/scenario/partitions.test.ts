/**
 * Partitions that are split and merged, whatever the group does meanwhile: parents are read and committed to their end,
 * children from their beginning, and nothing is lost or processed twice. Across parent and child the service promises no
 * order; within a partition the judge asks for it.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { finishSound } from './harness/ending.ts'
import { play } from './harness/play.ts'
import type { Lane, Load } from './harness/producer.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
/** Of the first topic at the start. Partition 1, in the middle, is what changes. */
const PARTITION_COUNT = 3
/** Four to each partition, so that every child gets some. */
const LANE_COUNT = 12

interface Change {
  readonly title: string
  make(stage: Stage): Promise<unknown>
  readonly parents: readonly number[]
  readonly children: readonly number[]
}

const CHANGES: readonly Change[] = [
  {
    title: 'a split into 3',
    make: ({ control, topicId }) => control.splitPartition({ topicId, partition: 1, count: 3 }),
    parents: [1],
    children: [3, 4, 5]
  },
  {
    title: 'a split at a key',
    // The range goes from 5555… to aaaa…: one lane to the left, three to the right.
    async make({ control, topicId }) {
      const splitKey = '7'.padEnd(32, '0')
      const described = await control.splitPartition({ topicId, partition: 1, splitKey })
      assert.ok(
        described.some(({ partition, endKey }) => partition === 3 && endKey === splitKey),
        'cut at the key'
      )
    },
    parents: [1],
    children: [3, 4]
  },
  {
    title: 'a merge',
    make: ({ control, topicId }) => control.mergePartition({ topicId, partition: 1 }),
    parents: [1, 2],
    children: [3]
  }
]

/** Two changes at once: the children of the first are parents of the second before anybody has seen them. */
const SPLIT_AND_MERGED: Change = {
  title: 'a split whose children are merged again',
  async make({ control, topicId, producer }) {
    await control.splitPartition({ topicId, partition: 1 })
    for (const lane of producer.lanes(topicId, LANE_COUNT)) await producer.send(lane, 5)
    await control.mergePartition({ topicId, partition: 3 })
  },
  parents: [1, 3, 4],
  children: [5]
}

describe('partitions that change', { concurrency: 2 }, () => {
  for (const change of CHANGES) {
    test(`${change.title} under load is followed by two consumers, and nothing is lost or repeated`, TIMEOUT, () =>
      play({ partitionCount: PARTITION_COUNT }, async stage => {
        const [a, b] = [stage.run('A'), stage.run('B')]
        const load = stage.producer.keepSending(lanes(stage))
        await until('both hold all', () => a.held().length + b.held().length === PARTITION_COUNT)
        await load.rounds(3)
        await change.make(stage)
        await followToTheEnd(stage, change, load)
      })
    )

    test(`${change.title} in the moment in which a consumer joins is followed by both`, TIMEOUT, () =>
      play({ partitionCount: PARTITION_COUNT }, async stage => {
        const a = stage.run('A')
        const load = stage.producer.keepSending(lanes(stage))
        await a.holds(PARTITION_COUNT)
        const b = stage.run('B')
        await b.event('joined')
        await change.make(stage)
        await until('B has its share', () => b.held().length > 0)
        await followToTheEnd(stage, change, load)
      })
    )

    test(`${change.title} in the moment in which a consumer leaves is followed by the other`, TIMEOUT, () =>
      play({ partitionCount: PARTITION_COUNT }, async stage => {
        const [a, b] = [stage.run('A'), stage.run('B', { behaviour: { batchMs: 20 } })]
        const load = stage.producer.keepSending(lanes(stage))
        await until('both have some', () => a.held().length > 0 && b.held().length > 0)
        await load.rounds(3)
        b.tellToStop()
        await change.make(stage)
        await b.finished()
        await followToTheEnd(stage, change, load)
      })
    )
  }

  for (const change of [...CHANGES, SPLIT_AND_MERGED]) {
    for (const startFrom of ['begin', 'end'] as const) {
      const title = `I11: ${change.title} while no consumer runs loses nothing to startFrom ${startFrom}`
      test(title, TIMEOUT, () =>
        play({ partitionCount: PARTITION_COUNT }, async stage => {
          const all = lanes(stage)
          await send(stage, all)
          const one = stage.run('one')
          await stage.processed(stage.producer.ids())
          await one.stop()
          // Unread in the parents, then in the children.
          await send(stage, all)
          await change.make(stage)
          await send(stage, all)
          stage.run('two', { options: { startFrom } })
          await followToTheEnd(stage, change, stage.producer.keepSending(all))
        })
      )
    }
  }
})

function lanes(stage: Stage): Lane[] {
  return stage.producer.lanes(stage.topicId, LANE_COUNT)
}

async function send(stage: Stage, all: readonly Lane[]): Promise<void> {
  for (const lane of all) await stage.producer.send(lane, 5)
}

/** Goes on until the children are read, and asserts that all went well. */
async function followToTheEnd(stage: Stage, { parents, children }: Change, load: Load): Promise<void> {
  await load.rounds(3)
  const held = (): number[] => stage.consumers.flatMap(consumer => consumer.held())
  await until('every child is held', () => children.every(child => held().includes(child)))
  await load.rounds(3)
  await load.stop()
  await finishSound(stage)

  const evidence = stage.evidence()
  const read = new Set(evidence.entries.filter(({ ids }) => ids.length > 0).map(({ partition }) => partition))
  assert.deepEqual(
    [...parents, ...children].filter(partition => !read.has(partition)),
    [],
    'parents and children were read'
  )
  const [committed, ends] = [await stage.committed(), await stage.ends()]
  for (const parent of parents) assert.equal(committed.get(parent), ends.get(parent), `parent ${parent} to its end`)
  assert.deepEqual(firstStarts(stage.consumers, children), Array(children.length).fill(0n), 'children from the start')
  const { topics } = await stage.snapshot()
  const readOnly = topics[0]?.partitions.filter(({ status }) => status === 'readonly') ?? []
  assert.deepEqual(
    readOnly.map(({ partition }) => partition),
    parents
  )
}

/** Where the first owner of each of these partitions began. */
function firstStarts(consumers: readonly ScenarioConsumer[], partitions: readonly number[]): (bigint | undefined)[] {
  const assigned = consumers.flatMap(consumer => consumer.events('assigned')).sort((a, b) => a.atMs - b.atMs)
  return partitions.map(partition => assigned.find(event => event.partition === partition)?.offset)
}
