/** Where a consumer starts again, and that any offset will do: 0, above 2^53, with gaps. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EmulatorOptions } from '../../src/emulator/start.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }

const LOGS: readonly (readonly [title: string, options: EmulatorOptions, first: bigint])[] = [
  ['offset 0 is an offset like any other', { startOffset: 0n }, 0n],
  ['I10: offsets above 2^53 stay exact', { startOffset: 2n ** 53n + 1n }, 2n ** 53n + 1n],
  ['I10: offsets near the end of int64 stay exact', { startOffset: 2n ** 62n - 1n }, 2n ** 62n - 1n],
  ['gaps between offsets are neither lost logs nor repeated ones', { gapEvery: 3, gapOffsets: 5n }, 0n]
]

describe('resuming', { concurrency: 2 }, () => {
  for (const [title, options, first] of LOGS) {
    test(`${title}: a restart goes on at the committed offset`, TIMEOUT, () =>
      play({ partitionCount: 2, ...options }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        const send = async (): Promise<void> => {
          for (const lane of lanes) await stage.producer.send(lane, 25)
        }
        await send()
        const one = stage.run('one')
        await stage.processed(stage.producer.ids())
        await one.stop()
        const committed = await stage.committed()
        assert.deepEqual(committed, await stage.ends(), 'an orderly stop commits all that was processed')

        await send()
        const two = stage.run('two')
        await stage.processed(stage.producer.ids())
        await two.stop()

        assert.deepEqual(assertSound(stage.evidence()).explained, [], 'nothing twice')
        const starts = (consumer: typeof one): unknown[] =>
          consumer.events('assigned').map(({ partition, offset }) => [partition, offset])
        assert.deepEqual(starts(one), [
          [0, first],
          [1, first]
        ])
        assert.deepEqual(starts(two), [...committed])
        assert.deepEqual(await stage.committed(), await stage.ends())
      })
    )
  }

  test('I1: offset 0 is committed before the first pull, and a restart does not take it for none', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      const one = stage.run('one', { options: { startFrom: 'end' } })
      await one.holds(1)
      await one.stop()
      assert.deepEqual([...(await stage.committed())], [[0, 0n]])

      await stage.producer.send(lane, 10)
      const two = stage.run('two', { options: { startFrom: 'end' } })
      await stage.processed(stage.producer.ids())
      await two.stop()
      assertSound(stage.evidence())
    })
  )

  test('I6: startFrom a time reads what was stored from then on, and says so', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 2)
      for (const lane of lanes) await stage.producer.send(lane, 10)
      const before = new Set(stage.producer.ids())
      const fromSecond = Math.floor(Date.now() / 1000) + 1
      await until('the next second', () => Date.now() >= fromSecond * 1000)
      for (const lane of lanes) await stage.producer.send(lane, 10)
      const due = new Map([...stage.producer.acknowledged].filter(([id]) => !before.has(id)))
      const one = stage.run('one', { options: { startFrom: fromSecond } })
      await stage.processed(due.keys())
      await one.stop()

      assertSound(stage.evidence({ expected: due }))
      assert.deepEqual(
        one.events('assigned').map(({ offset }) => offset),
        [10n, 10n]
      )
      assert.match(one.log(), new RegExp(`nothing committed, startFrom ${fromSecond}`))
    })
  )
})
