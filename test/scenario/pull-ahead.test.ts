/** Pulling does not wait for processing, and processing of one partition does not wait for another. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { int64 } from '../../src/cls/json.ts'
import { noise } from './harness/noise.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import { until } from './harness/until.ts'
import { readPull, type WireTap } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const PULL_BYTES = 64 * 1024

describe('pulling ahead', { concurrency: 2 }, () => {
  test('with pullBytes of 64 KB at least 3 pulls of a partition are held while its processor sleeps', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const tap = await stage.tap()
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      await stage.producer.send(lane, 400, seed => noise(seed, 2000))
      const gate = stage.gate('gate')
      const run = stage.run('run', {
        options: { pullBytes: PULL_BYTES },
        behaviour: { hold: { gateFile: gate.gateFile, mode: 'wait' } }
      })
      const begun = (): unknown[] => run.lines().filter(({ kind }) => kind === 'begin')
      await until('a batch is in the processor', () => begun().length > 0)
      await until('3 pulls with logs are answered behind it', () => pulledStarts(tap).size >= 4)
      const { heldBytes, batchCount } = await run.snapshot()
      assert.equal(batchCount, 0, 'nothing is processed yet')
      assert.ok(heldBytes > 3 * PULL_BYTES, `${heldBytes} bytes are held`)
      assert.equal(begun().length, 1, 'I2: one batch of the partition is in the processor')
      gate.open()
      await stage.processed(stage.producer.ids())
      await run.stop()
      assertSound(stage.evidence())
    })
  )

  test('I5: what is pulled ahead of a sleeping processor stays within heldBytesMax', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const tap = await stage.tap()
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      await stage.producer.send(lane, 800, seed => noise(seed, 8000))
      const gate = stage.gate('gate')
      const heldBytesMax = 4 * 1024 * 1024
      const run = stage.run('run', {
        options: { pullBytes: 4 * PULL_BYTES, heldBytesMax },
        behaviour: { hold: { gateFile: gate.gateFile, mode: 'wait' } }
      })
      // It stands still when the budget is full: then it sends no pull, not even an idle one.
      let pullCount = -1
      let heldBytes = 0
      await until('pulling has come to a stop', async () => {
        const before = pullCount
        pullCount = tap.of('pull_log').length
        heldBytes = (await run.snapshot()).heldBytes
        // Five eighths are for what is pulled, and less than a quarter is what one open batch needs.
        return heldBytes > 0.7 * heldBytesMax && pullCount === before
      })
      assert.ok(heldBytes <= heldBytesMax, `${heldBytes} bytes are held of ${heldBytesMax}`)
      const pulled = [...pulledStarts(tap).keys()].length
      assert.ok(pulled >= 4, `${pulled} pulls are held`)
      assert.ok((await stage.ends()).get(0) !== undefined && pulled * 4 * PULL_BYTES < 800 * 8000, 'more is there')
      gate.open()
      await stage.processed(stage.producer.ids())
      await run.stop()
      assertSound(stage.evidence())
    })
  )

  test('a partition whose processor sleeps does not keep another one of its thread waiting', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 2)
      for (const lane of lanes) await stage.producer.send(lane, 30)
      const gate = stage.gate('gate')
      const run = stage.run('run', { behaviour: { hold: { gateFile: gate.gateFile, mode: 'wait', partition: 0 } } })
      await stage.processed(stage.producer.ids(lanes[1]))
      assert.ok(run.lines().every(line => line.kind !== 'end' || line.partition === 1))
      gate.open()
      await stage.processed(stage.producer.ids())
      await run.stop()
      assertSound(stage.evidence())
    })
  )
})

/** Start offsets of pulls that were answered with logs. */
function pulledStarts(tap: WireTap): Set<bigint> {
  const pulls = tap.of('pull_log').filter(exchange => (readPull(exchange)?.messages.length ?? 0) > 0)
  return new Set(pulls.map(({ request }) => int64(request.StartOffset) ?? -1n))
}
