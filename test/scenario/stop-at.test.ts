/** Bounded runs: exactly what was stored before `stopAt` is processed, and then the run ends by itself. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ScenarioConsumer } from './harness/consumers.ts'
import type { Sent } from './harness/evidence.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Lane, Upload } from './harness/producer.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'
import { readPull } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }

describe('a bounded run', { concurrency: 2 }, () => {
  test('stopAt now ends where each partition ended at its assignment, while a producer goes on', TIMEOUT, () =>
    play({ partitionCount: 3 }, async stage => {
      const tap = await stage.tap()
      const lanes = stage.producer.lanes(stage.topicId, 3)
      for (const lane of lanes) await stage.producer.send(lane, 50)
      const before = new Map(stage.producer.acknowledged)
      // Stored when the ends have been looked up, and before the first pull can leave: pulls do bring them.
      tap.tamper = async ({ action, request }) => {
        if (action !== 'DescribeConsumerOffsets' || request.OffsetType !== 1 || request.From !== 'end') return undefined
        for (const lane of lanes) await stage.producer.send(lane, 5)
        return undefined
      }
      const run = stage.run('run', { options: { stopAt: 'now' } })
      assert.equal((await run.finished()).code, undefined)

      assertSound(stage.evidence({ expected: before }))
      assert.deepEqual(await assertEndsCommitted(stage, run, lanes), before)
      assert.ok(before.size < stage.producer.acknowledged.size, 'the producer went on')
      const pulled = tap.of('pull_log').flatMap(exchange => readPull(exchange)?.messages ?? [])
      assert.ok(pulled.length > before.size, 'more was pulled than is processed')
    })
  )

  test('stopAt a past time processes what was stored before it, and nothing after', TIMEOUT, () =>
    play({ partitionCount: 3 }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 3)
      for (const lane of lanes) await stage.producer.send(lane, 30)
      const stopAt = Math.floor(Date.now() / 1000) + 1
      await until('the next second', () => Date.now() >= stopAt * 1000)
      for (const lane of lanes) await stage.producer.send(lane, 30)
      // Past what a clock that differs a little could make of it.
      await until('the time lies behind', () => Date.now() >= stopAt * 1000 + 2000)
      const run = stage.run('run', { options: { stopAt } })
      assert.equal((await run.finished()).code, undefined)

      const due = await assertEndsCommitted(stage, run, lanes)
      assertCut(stage, due, stopAt)
      assertSound(stage.evidence({ expected: due }))
    })
  )

  test('stopAt a time ahead processes what is stored until then, and ends soon after', TIMEOUT, () =>
    play({ partitionCount: 3, gapEvery: 4, gapOffsets: 3n }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 3)
      const load = stage.producer.keepSending(lanes)
      await load.rounds(3)
      const stopAt = Math.floor(Date.now() / 1000) + 4
      const run = stage.run('run', { options: { stopAt } })
      await run.holds(3)
      assert.equal((await run.finished()).code, undefined)
      await load.stop()

      const due = new Map(
        [...stage.producer.acknowledged].filter(([, upload]) => upload.acknowledgedWallMs < stopAt * 1000)
      )
      // Under way when the time came: on either side.
      const permitted = [...stage.producer.acknowledged.values()].filter(isUnderWayAt(stopAt)).map(({ id }) => id)
      const verdict = assertSound(stage.evidence({ expected: due, permitted: new Set(permitted) }))
      assert.deepEqual(verdict.explained, [])
      assert.ok(due.size < stage.producer.acknowledged.size - permitted.length, 'the producer went on')
      await assertDoneAtCommitted(stage, run)
    })
  )

  test('a bounded run over partitions with nothing in them ends at once', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [, second] = stage.producer.lanes(stage.topicId, 2)
      assert.ok(second !== undefined)
      await stage.producer.send(second, 5)
      const run = stage.run('run', { options: { stopAt: 'now' } })
      assert.equal((await run.finished()).code, undefined)
      assertSound(stage.evidence())
      await assertDoneAtCommitted(stage, run)
    })
  )

  test('two bounded consumers share the partitions, and both end by themselves', TIMEOUT, () =>
    play({ partitionCount: 4 }, async stage => {
      for (const lane of stage.producer.lanes(stage.topicId, 4)) await stage.producer.send(lane, 50)
      const part = { options: { stopAt: 'now' }, behaviour: { batchMs: 50 } } as const
      const [a, b] = [stage.run('A', part), stage.run('B', part)]
      await Promise.all([a.finished(40_000), b.finished(40_000)])
      assert.deepEqual(assertSound(stage.evidence()).explained, [])
      assert.deepEqual(await stage.committed(), await stage.ends())
    })
  )
})

/**
 * Each partition ended at its committed offset. One lane a partition and one log a message without gaps: the logs before
 * the end are so many first ones of the lane. Returns them: exactly these were due.
 */
async function assertEndsCommitted(
  stage: Stage,
  run: ScenarioConsumer,
  lanes: readonly Lane[]
): Promise<ReadonlyMap<string, Sent>> {
  await assertDoneAtCommitted(stage, run)
  const committed = await stage.committed()
  const due = new Map<string, Sent>()
  for (const [partition, lane] of lanes.entries()) {
    const ids = stage.producer.ids(lane).slice(0, Number(committed.get(partition)))
    for (const id of ids) due.set(id, upload(stage, id))
  }
  return due
}

async function assertDoneAtCommitted(stage: Stage, run: ScenarioConsumer): Promise<void> {
  const done = run.events('partitionDone').map(({ partition, nextOffset }) => [partition, nextOffset] as const)
  assert.deepEqual(new Map(done), await stage.committed(), 'each partition ended where it is committed')
}

/** What was acknowledged before the time was due, what was sent after it was not. */
function assertCut(stage: Stage, due: ReadonlyMap<string, Sent>, stopAt: number): void {
  for (const { id, acknowledgedWallMs, sentWallMs } of stage.producer.acknowledged.values()) {
    if (acknowledgedWallMs < stopAt * 1000) assert.ok(due.has(id), `${id} was stored before`)
    if (sentWallMs >= stopAt * 1000) assert.ok(!due.has(id), `${id} was stored after`)
  }
}

function isUnderWayAt(stopAt: number): (upload: Upload) => boolean {
  return ({ sentWallMs, acknowledgedWallMs }) => sentWallMs < stopAt * 1000 && acknowledgedWallMs >= stopAt * 1000
}

function upload(stage: Stage, id: string): Upload {
  const found = stage.producer.acknowledged.get(id)
  assert.ok(found !== undefined)
  return found
}
