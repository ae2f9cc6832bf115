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
 * Pulls left from where no answer truly led, only its lie, which is one more: guesses were taken. And after one of them a
 * pull left from the truth: the chain went back. Not after each: what is pulled behind a guess may be a guess, too, and is
 * given up with it.
 */
function assertBelievedAndGivenUp(tap: WireTap, partition: number): void {
  const pulls = tap.of('pull_log').filter(({ request }) => request.PartitionId === partition)
  const starts = pulls.map(({ request }) => int64(request.StartOffset) ?? -1n)
  const truths = new Set(pulls.map(pull => readPull(pull)?.nextOffset))
  const guesses = [...starts.entries()].filter(([, start]) => !truths.has(start) && truths.has(start - 1n))
  assert.ok(guesses.length > 0, `partition ${partition}: a pull left from a lie`)
  const isGivenUp = ([index, start]: [number, bigint]): boolean => starts.slice(index + 1).includes(start - 1n)
  assert.ok(guesses.some(isGivenUp), `partition ${partition}: the chain began again from the truth`)
}
