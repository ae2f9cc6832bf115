/** Bodies whose `NextOffset` is not at the front, or a lie there: pulling goes on ahead of the processor all the same. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { int64 } from '../../src/cls/json.ts'
import type { Quirks } from '../../src/emulator/start.ts'
import { finishSound } from './harness/ending.ts'
import { noise } from './harness/noise.ts'
import { play } from './harness/play.ts'
import { describeReading } from './harness/readings.ts'
import { until } from './harness/until.ts'
import { readPull, type WireTap } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
/** Far more than is looked at on the main thread. */
const PULL_BYTES = 256 * 1024

const BODIES: readonly Partial<Quirks>[] = [
  { nextOffset: 'last' },
  { nextOffset: 'last', compression: 'lz4' },
  { nextOffset: 'last', compression: 'none' },
  { nextOffset: 'last', extraKeys: 'nested', whiteSpace: 'spaces' }
]

describe('a next offset that is hard to find', { concurrency: 2 }, () => {
  for (const quirks of BODIES) {
    const title = `with ${describeReading(quirks)} the next pulls leave while the processor is still at the first batch`
    test(title, TIMEOUT, () =>
      play({ partitionCount: 1, quirks }, async stage => {
        const tap = await stage.tap()
        const [lane] = stage.producer.lanes(stage.topicId, 1)
        assert.ok(lane !== undefined)
        await stage.producer.send(lane, 200, seed => noise(seed, 8000))
        const gate = stage.gate('gate')
        const run = stage.run('run', {
          options: { pullBytes: PULL_BYTES },
          behaviour: { hold: { gateFile: gate.gateFile, mode: 'wait' } }
        })
        await until('a batch is in the processor', () => run.lines().some(({ kind }) => kind === 'begin'))
        await until('three more pulls are answered with logs', () => {
          return tap.of('pull_log').filter(exchange => (readPull(exchange)?.messages.length ?? 0) > 0).length >= 4
        })
        const begun = run.lines().filter(({ kind }) => kind === 'begin')
        assert.equal(begun.length, 1, 'I2: one batch of the partition is in the processor')
        assert.deepEqual(run.processedIds(), [], 'which has not come to its end')
        gate.open()
        await finishSound(stage)
      })
    )
  }

  for (const compression of ['snappy', 'lz4', 'none'] as const) {
    const title = `a lie at the front of every body (${compression}), under load and a slow processor, is believed at first and given up, and loses and repeats nothing`
    test(title, TIMEOUT, () =>
      play({ partitionCount: 2, quirks: { nextOffset: 'lying', compression } }, async stage => {
        const tap = await stage.tap()
        const lanes = stage.producer.lanes(stage.topicId, 2)
        for (const lane of lanes) await stage.producer.send(lane, 100, seed => noise(seed, 500))
        const load = stage.producer.keepSending(lanes)
        stage.run('run', { options: { pullBytes: 8 * 1024 }, behaviour: { batchMs: 10 } })
        await load.rounds(20)
        await load.stop()
        await finishSound(stage)
        for (const partition of [0, 1]) assertBelievedAndGivenUp(tap, partition)
      })
    )
  }

  test(
    'a server that begins to lie, tells the truth and lies again is followed without a loss or a repeat',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        const load = stage.producer.keepSending(lanes)
        stage.run('run', { options: { pullBytes: 8 * 1024 }, behaviour: { batchMs: 5 } })
        for (const nextOffset of ['lying', 'first', 'last', 'lying', 'last', 'first'] as const) {
          await load.rounds(4)
          await stage.emulator.setQuirks({ nextOffset })
        }
        await load.stop()
        await finishSound(stage)
      })
  )
})

/**
 * A pull left from where no answer truly led: a guess was taken. And a later one from where the answer before had led, which
 * nobody had pulled from until then: the chain went back and began again.
 */
function assertBelievedAndGivenUp(tap: WireTap, partition: number): void {
  const pulls = tap.of('pull_log').filter(({ request }) => request.PartitionId === partition)
  const starts = pulls.map(({ request }) => int64(request.Offset))
  const truths = new Set(pulls.map(pull => readPull(pull)?.nextOffset))
  const guess = starts.findIndex((start, index) => index > 0 && !truths.has(start))
  assert.ok(guess > 0, `partition ${partition}: a pull left from a lie`)
  const isGoneBack = (start: bigint | undefined, index: number): boolean =>
    index > guess && truths.has(start) && !starts.slice(0, index).includes(start)
  assert.ok(starts.some(isGoneBack), `partition ${partition}: the chain began again from the truth`)
}
