/** A committed offset that retention has passed by: what the user ordered happens, and is said. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Sent } from './harness/evidence.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Lane } from './harness/producer.ts'
import type { Stage } from './harness/stage.ts'

const TIMEOUT = { timeout: 60_000 }
/** Each message has over 1,000 bytes: some 40 of them are kept. */
const KEPT = { partitionCount: 1, retentionBytes: 50_000 } as const
const text = (): string => 'x'.repeat(1000)

describe('an offset that is gone', { concurrency: 2 }, () => {
  test('I6: with onInvalidOffset stop, the default, it stops the consumer with API_INVALID_OFFSET', TIMEOUT, () =>
    play(KEPT, async stage => {
      const lane = await expire(stage)
      const before = await stage.committed()
      const two = stage.run('two')
      const { code, text } = await two.finished()
      assert.equal(code, 'API_INVALID_OFFSET')
      assert.match(text ?? '', /partition 0, offset 20/)
      assert.deepEqual(two.processedIds(), [])
      assert.deepEqual(await stage.committed(), before, 'nothing is committed over what is gone')
      assertSound(stage.evidence({ expected: await firstIds(stage, lane) }))
    })
  )

  test('I6: with begin it goes on at the first log that is kept, and says so', TIMEOUT, () =>
    play(KEPT, async stage => {
      const lane = await expire(stage)
      const kept = await keptIds(stage, lane)
      const two = stage.run('two', { options: { onInvalidOffset: 'begin' } })
      await stage.processed(kept.keys())
      await two.stop()

      const due = new Map([...(await firstIds(stage, lane)), ...kept])
      assertSound(stage.evidence({ expected: due }))
      assert.match(two.log(), /an offset is gone: repositioning .*offset=20 startOffset=\d+ onInvalidOffset=begin/)
      assert.deepEqual(await stage.committed(), await stage.ends())
    })
  )

  test('I6: with end it goes on with what is written from then on, and says so', TIMEOUT, () =>
    play(KEPT, async stage => {
      const lane = await expire(stage)
      const ends = await stage.ends()
      const two = stage.run('two', { options: { onInvalidOffset: 'end' } })
      await two.event('committed', ({ offset }) => offset === ends.get(0))
      const fresh = await stage.producer.send(lane, 10, text)
      await stage.processed(fresh)
      await two.stop()

      const due = new Map([...(await firstIds(stage, lane)), ...sentOf(stage, fresh)])
      assertSound(stage.evidence({ expected: due }))
      assert.match(two.log(), /an offset is gone: repositioning .*offset=20 startOffset=\d+ onInvalidOffset=end/)
    })
  )

  // Where the log begins and ends is asked for by OffsetType 1: a site may not know it.
  for (const offsetType of ['ignored', 'refused'] as const) {
    for (const onInvalidOffset of ['begin', 'end'] as const) {
      test(
        `I6: with OffsetType ${offsetType} it goes on at the ${onInvalidOffset} of the log all the same`,
        TIMEOUT,
        () =>
          play({ ...KEPT, quirks: { offsetType } }, async stage => {
            const lane = await expire(stage)
            const [kept, ends] = [await keptIds(stage, lane), await stage.ends()]
            const two = stage.run('two', { options: { onInvalidOffset } })
            if (onInvalidOffset === 'end') await two.event('committed', ({ offset }) => offset === ends.get(0))
            const due = onInvalidOffset === 'end' ? await stage.producer.send(lane, 10) : [...kept.keys()]
            await stage.processed(due)
            await stage.allCommitted()
            assert.equal((await two.stop()).code, undefined)

            const expected = new Map([...(await firstIds(stage, lane)), ...sentOf(stage, due)])
            assertSound(stage.evidence({ expected }))
            const { groups } = await stage.snapshot()
            assert.deepEqual(
              groups.map(({ group }) => group),
              [stage.group],
              'no group is left behind'
            )
          })
      )
    }
  }
})

const FIRST_COUNT = 20

/** 20 logs are processed and committed; then retention passes their end by. */
async function expire(stage: Stage): Promise<Lane> {
  const [lane] = stage.producer.lanes(stage.topicId, 1)
  assert.ok(lane !== undefined)
  await stage.producer.send(lane, FIRST_COUNT, text)
  const one = stage.run('one')
  await stage.processed(stage.producer.ids())
  await one.stop()
  await stage.producer.send(lane, 100, text)
  const begin = await beginOffset(stage)
  assert.ok(begin > BigInt(FIRST_COUNT), `the beginning has moved to ${begin}`)
  return lane
}

async function beginOffset(stage: Stage): Promise<bigint> {
  return (await stage.snapshot()).topics[0]?.partitions[0]?.beginOffset ?? 0n
}

/** One log a message, no gaps: an offset is the number of the log in its lane. */
async function keptIds(stage: Stage, lane: Lane): Promise<Map<string, Sent>> {
  return sentOf(stage, stage.producer.ids(lane).slice(Number(await beginOffset(stage))))
}

async function firstIds(stage: Stage, lane: Lane): Promise<Map<string, Sent>> {
  return sentOf(stage, stage.producer.ids(lane).slice(0, FIRST_COUNT))
}

function sentOf(stage: Stage, ids: readonly string[]): Map<string, Sent> {
  return new Map([...stage.producer.acknowledged].filter(([id]) => ids.includes(id)))
}
