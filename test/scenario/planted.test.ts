/** A processor that really loses a log, or really doubles one: the ledger must tell, or no scenario proves anything. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Behaviour } from './harness/behaviour.ts'
import { judge, type Verdict } from './harness/judge.ts'
import { assertSound } from './harness/plant.ts'
import { play, readReplaysMax } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'

const TIMEOUT = { timeout: 60_000 }
const VICTIM = 'lane1-17'

describe('planted faults', { concurrency: 2 }, () => {
  test('a processor that skips a log is found out, and nothing else is complained of', TIMEOUT, async () => {
    const verdict = await runWith({ skip: VICTIM })
    assert.deepEqual(verdict.lost, [VICTIM])
    assert.deepEqual([verdict.repeats, verdict.unknown, verdict.faults], [[], [], []])
  })

  test('a processor that processes a log twice is found out, and nothing else is complained of', TIMEOUT, async () => {
    const verdict = await runWith({ double: VICTIM })
    assert.deepEqual(
      verdict.repeats.map(({ id }) => id),
      [VICTIM]
    )
    assert.deepEqual([verdict.lost, verdict.unknown, verdict.faults], [[], [], []])
  })

  for (const replaysMax of [0, 1]) {
    const count = replaysMax === 0 ? 'not played again where that is forbidden' : 'played again, so often at most'
    test(`a scenario that fails after a lease was lost for no reason of its own is ${count}`, TIMEOUT, async () => {
      let playCount = 0
      const failing = play(
        { partitionCount: 1 },
        async stage => {
          playCount += 1
          await loseLease(stage)
          throw new Error('planted')
        },
        replaysMax
      )
      await assert.rejects(failing, /planted/)
      assert.equal(playCount, 1 + replaysMax)
    })
  }

  test('a scenario that ends well when it is played again has passed, and is played no more', TIMEOUT, async () => {
    let playCount = 0
    await play(
      { partitionCount: 1 },
      async stage => {
        playCount += 1
        if (playCount === 2) return
        await loseLease(stage)
        throw new Error('planted')
      },
      2
    )
    assert.equal(playCount, 2)
  })

  test('a scenario that fails with every lease kept is not played again', TIMEOUT, async () => {
    let playCount = 0
    const failing = play(
      { partitionCount: 1 },
      async () => {
        playCount += 1
        throw new Error('planted')
      },
      2
    )
    await assert.rejects(failing, /planted/)
    assert.equal(playCount, 1)
  })

  test('replays are two unless the environment says another count, and what is no count is refused', () => {
    assert.deepEqual([undefined, '', '0', '5'].map(readReplaysMax), [2, 2, 0, 5])
    for (const text of ['-1', 'none', '1.5', ' 1', '1e9']) {
      assert.throws(() => readReplaysMax(text), /CLS_SCENARIO_REPLAYS/, text)
    }
  })
})

/** As a machine that stands still would take it. */
async function loseLease(stage: Stage): Promise<void> {
  const run = stage.run('run')
  await run.holds(1)
  await stage.emulator.suspend()
  await run.event('leaseLost')
  await stage.emulator.resume()
}

/** The same run as the other scenarios', with a processor that is faulty by itself. */
async function runWith(fault: Pick<Behaviour, 'skip' | 'double'>): Promise<Verdict> {
  let verdict: Verdict | undefined
  await play({ partitionCount: 2 }, async stage => {
    for (const lane of stage.producer.lanes(stage.topicId, 2)) await stage.producer.send(lane, 30)
    const run = stage.run('run', { options: { stopAt: 'now' }, behaviour: fault })
    await run.finished()
    const evidence = stage.evidence()
    verdict = judge(evidence)
    assert.throws(() => assertSound(evidence), 'what all scenarios end with fails')
  })
  assert.ok(verdict !== undefined)
  return verdict
}
