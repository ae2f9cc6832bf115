/** Partitions and consumers come and go while logs are written: nothing is lost, nothing is processed twice. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ChildConsumer } from './harness/consumers.ts'
import type { Tenure } from './harness/evidence.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Part, Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'
import { type Exchange, partitionsIn, type WireTap } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }

describe('a group that changes', { concurrency: 2 }, () => {
  test('a partition that is split under load is followed into its children by two consumers', TIMEOUT, () =>
    play({ partitionCount: 4 }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 8)
      const [a, b] = await startTwo(stage, { startFrom: 'begin' })
      const load = stage.producer.keepSending(lanes)
      await load.rounds(10)
      await stage.control.splitPartition({ topicId: stage.topicId, partition: 3 })
      await load.rounds(10)
      await until('six partitions are held', () => a.held().length + b.held().length === 6)
      assert.deepEqual([a.held().length, b.held().length], [3, 3])
      await load.rounds(10)
      await load.stop()
      await stage.processed(stage.producer.ids())
      await stage.allCommitted()
      await Promise.all([a.stop(), b.stop()])

      const evidence = stage.evidence()
      assert.ok(assertSound(evidence).explained.length === 0)
      const used = new Set(evidence.entries.map(({ partition }) => partition))
      assert.deepEqual([...used].sort(), [0, 1, 2, 3, 4, 5], 'the parent and both children were read')
    })
  )

  test('I11: with startFrom end nothing written after the join is lost to a split', TIMEOUT, () =>
    play({ partitionCount: 4 }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 8)
      for (const lane of lanes) await stage.producer.send(lane, 5)
      const before = new Set(stage.producer.ids())
      const [a, b] = await startTwo(stage, { startFrom: 'end' })
      const load = stage.producer.keepSending(lanes)
      await load.rounds(5)
      await stage.control.splitPartition({ topicId: stage.topicId, partition: 3 })
      // The children have logs long before any heartbeat tells of them.
      await load.rounds(10)
      await until('six partitions are held', () => a.held().length + b.held().length === 6)
      await load.rounds(5)
      await load.stop()
      const after = new Map([...stage.producer.acknowledged].filter(([id]) => !before.has(id)))
      await stage.processed(after.keys())
      await Promise.all([a.stop(), b.stop()])

      const verdict = assertSound(stage.evidence({ expected: after }))
      assert.deepEqual(verdict.explained, [])
      const children = [...a.events('assigned'), ...b.events('assigned')].filter(
        ({ partition }) => (partition ?? 0) > 3
      )
      assert.deepEqual(
        children.map(({ offset }) => offset),
        [0n, 0n],
        'children are read from their beginning'
      )
    })
  )

  test('I4: a third consumer gets a partition of each of two, after they have committed and released it', TIMEOUT, () =>
    play({ partitionCount: 6 }, async stage => {
      const tap = await stage.tap()
      const lanes = stage.producer.lanes(stage.topicId, 6)
      const load = stage.producer.keepSending(lanes)
      const behaviour = { batchMs: 5 }
      const a = stage.fork('A', { behaviour })
      const b = stage.fork('B', { behaviour })
      await Promise.all([a.holds(3), b.holds(3)])
      await load.rounds(10)
      const c = stage.fork('C', { behaviour })
      await c.holds(2)
      assert.deepEqual([a.held().length, b.held().length], [2, 2])
      await load.rounds(10)
      await load.stop()
      await stage.processed(stage.producer.ids())
      await Promise.all([a.stop(), b.stop(), c.stop()])

      const evidence = stage.evidence()
      assert.deepEqual(assertSound(evidence).explained, [])
      const taken = evidence.tenures.filter(({ process }) => process === 'C')
      assert.equal(taken.length, 2)
      const givers = taken.map(tenure => giverOf(tenure, evidence.tenures))
      assert.deepEqual(givers.map(({ process }) => process).sort(), ['A', 'B'], 'each gave one')

      for (const [index, giver] of givers.entries()) assertHandedOver(tap, giver, taken[index])
    })
  )

  test('three consumers that leave one by one hand everything over without a repeat', TIMEOUT, () =>
    play({ topicCount: 2, partitionCount: 3 }, async stage => {
      const [first = '', second = ''] = stage.emulator.topicIds
      const lanes = [...stage.producer.lanes(first, 3), ...stage.producer.lanes(second, 3)]
      const load = stage.producer.keepSending(lanes)
      const [a, b, c] = [stage.fork('A'), stage.fork('B'), stage.fork('C')]
      await Promise.all([a.holds(2), b.holds(2), c.holds(2)])
      await load.rounds(5)
      await a.stop()
      await until('two hold all', () => b.held().length + c.held().length === 6)
      await load.rounds(5)
      await b.stop()
      await c.holds(6)
      await load.rounds(5)
      await load.stop()
      await stage.processed(stage.producer.ids())
      await c.stop()

      assert.deepEqual(assertSound(stage.evidence()).explained, [])
    })
  )
})

/** A and B, with two partitions each. */
async function startTwo(stage: Stage, options: NonNullable<Part['options']>): Promise<[ChildConsumer, ChildConsumer]> {
  const [a, b] = [stage.fork('A', { options }), stage.fork('B', { options })]
  await Promise.all([a.holds(2), b.holds(2)])
  return [a, b]
}

/** The last tenure of the partition before this one. */
function giverOf({ partition, fromMs }: Tenure, tenures: readonly Tenure[]): Tenure {
  const givers = tenures.filter(tenure => tenure.partition === partition && tenure.fromMs < fromMs)
  const giver = givers.sort((a, b) => a.fromMs - b.fromMs).at(-1)
  assert.ok(giver !== undefined, `partition ${partition} came from somebody`)
  return giver
}

/** On the wire: the last commit is answered, then the first heartbeat without the partition leaves, then the next starts. */
function assertHandedOver(tap: WireTap, giver: Tenure, taker: Tenure | undefined): void {
  const names = (exchange: Exchange): boolean =>
    partitionsIn(exchange).some(({ partition }) => partition === giver.partition)
  const beats = tap.of('SendConsumerHeartbeat', giver.process).filter(({ receivedMs }) => receivedMs > giver.fromMs)
  const commit = tap.of('CommitConsumerOffsets', giver.process).filter(names).at(-1)
  const without = beats.find(beat => !names(beat))
  assert.ok(commit?.answer?.status === 200 && without !== undefined && taker !== undefined)

  const committed = partitionsIn(commit).find(({ partition }) => partition === giver.partition)
  assert.equal(taker.startOffset, committed?.offset, 'the next owner starts where the last one committed')
  assert.ok(commit.answer.atMs < without.receivedMs, 'held in every heartbeat until the commit was answered')
  assert.ok(without.receivedMs < taker.fromMs, 'assigned after the release')
}
