/** Partitions that stand still by order: held, and in every heartbeat, until they are resumed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { finishSound } from './harness/ending.ts'
import { fillTwo, SMALL } from './harness/fill.ts'
import { play } from './harness/play.ts'
import { partitionsIn, type WireTap } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 120

describe('pause and resume', { concurrency: 2 }, () => {
  test(
    'I4: a paused partition is neither pulled nor processed, and stays in the heartbeat, while the other goes on',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
        const run = stage.run('run', { options: SMALL })
        await stage.allCommitted()
        assert.equal(run.pause({ topicId: stage.topicId, partition: 0 }), true)
        const { atMs } = await run.event('paused')
        for (const lane of [lane0, lane1]) await stage.producer.send(lane, LOG_COUNT)
        await stage.processed(stage.producer.ids(lane1))
        await tap.granted('SendConsumerHeartbeat', 2)
        assert.equal((await stage.committed()).get(0), 120n)
        assert.deepEqual(pullsSince(tap, atMs), [])
        const [place] = (await run.snapshot()).partitions
        assert.deepEqual([place?.phase, place?.state], ['active', 'paused'])
        const beats = tap.of('SendConsumerHeartbeat', 'run').filter(({ receivedMs }) => receivedMs > atMs)
        assert.ok(beats.length >= 2)
        for (const beat of beats)
          assert.deepEqual(
            partitionsIn(beat).map(({ partition }) => partition),
            [0, 1]
          )

        assert.equal(await run.resume(), 1)
        await finishSound(stage)
      })
  )

  test(
    'I1: the batch that is open when its partition is paused counts, and the next one begins after resume()',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [, lane1] = await fillTwo(stage, LOG_COUNT)
        const gate = stage.gate('gate')
        const hold = { gateFile: gate.gateFile, mode: 'wait', partition: 0 } as const
        const run = stage.run('run', { options: SMALL, behaviour: { hold } })
        await stage.until('a batch waits', () => run.lines().some(({ kind }) => kind === 'alive'))
        assert.equal(run.pause({ topicId: stage.topicId, partition: 0 }), true)
        gate.open()
        const { nextOffset } = await run.event('batch', ({ partition }) => partition === 0)
        await stage.until('it is committed', async () => (await stage.committed()).get(0) === nextOffset)
        await stage.processed(stage.producer.ids(lane1))
        const begun = run.lines().filter(line => line.kind === 'begin' && line.partition === 0)
        assert.equal(begun.length, 1)

        assert.equal(await run.resume(), 1)
        assert.equal(await run.resume(), 0)
        await finishSound(stage)
      })
  )

  test('I1: a partition that is paused when its consumer stops is read on by the next one', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const a = stage.run('A', { options: SMALL })
      await stage.allCommitted()
      assert.equal(a.pause({ topicId: stage.topicId, partition: 0 }), true)
      assert.equal(a.pause({ topicId: stage.topicId, partition: 7 }), false)
      await stage.producer.send(lane0, LOG_COUNT)
      assert.equal((await a.stop()).code, undefined)
      const b = stage.run('B', { options: SMALL })
      const { offset } = await b.event('assigned', ({ partition }) => partition === 0)
      assert.equal(offset, 120n)
      await finishSound(stage)
    })
  )
})

/** Of partition 0. */
function pullsSince(tap: WireTap, sinceMs: number) {
  return tap.of('pull_log').filter(({ request, receivedMs }) => request.PartitionId === 0 && receivedMs > sinceMs)
}
