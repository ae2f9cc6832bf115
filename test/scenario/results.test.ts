/** `onResult`: in order per partition, one at a time, awaited, and never past what is committed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { finishSound } from './harness/ending.ts'
import type { EventLine } from './harness/lines.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import { nowMs, until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const SMALL = { pullBytes: 4096 } as const
const PARTITION_COUNT = 5
const RESULTS_MAX = 2

describe('results', { concurrency: 2 }, () => {
  test(
    'I3: results come in the order of offsets per partition, one at a time, each with the logs of its batch',
    TIMEOUT,
    () =>
      play({ partitionCount: 3 }, async stage => {
        for (const lane of stage.producer.lanes(stage.topicId, 3)) await stage.producer.send(lane, 100)
        const run = stage.run('run', { options: { ...SMALL, threads: 2 }, onResult: { resultMs: 5 } })
        await stage.processed(stage.producer.ids())
        await run.stop()

        assertSound(stage.evidence())
        for (const partition of [0, 1, 2]) assertAlternating(run, partition)
        const delivered = run.events('delivered').flatMap(({ ids = [] }) => ids)
        assert.deepEqual(delivered.toSorted(), stage.producer.ids().toSorted(), 'each log once')
        assert.deepEqual(await stage.committed(), await stage.ends())
      })
  )

  test('I1: what waits in onResult is not committed, and the next batch of its partition does not start', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 2)
      for (const lane of lanes) await stage.producer.send(lane, 50)
      const gate = stage.gate('gate')
      const run = stage.run('run', { options: SMALL, onResult: { gateFile: gate.gateFile, partition: 0 } })
      // Partition 1 goes on, and its commits go with those of partition 0, had that any.
      await until('partition 1 is committed', async () => (await stage.committed()).get(1) === 50n)
      assert.equal(run.events('deliver', ({ partition }) => partition === 0).length, 1)
      assert.equal((await stage.committed()).get(0), 0n, 'nothing of partition 0 but its start')
      const begun = run.lines().filter(line => line.kind === 'begin' && line.partition === 0)
      assert.equal(begun.length, 1, 'I2: one batch of it was begun')
      gate.open()
      await stage.processed(stage.producer.ids())
      await run.stop()
      assertSound(stage.evidence())
    })
  )

  test(
    'I5: no more than resultsMax batches are open or have results that are not taken, whatever waits behind them',
    TIMEOUT,
    () =>
      play({ partitionCount: PARTITION_COUNT }, async stage => {
        for (const lane of stage.producer.lanes(stage.topicId, PARTITION_COUNT)) await stage.producer.send(lane, 60)
        const gate = stage.gate('gate')
        const options = { ...SMALL, threads: 2, resultsMax: RESULTS_MAX }
        const run = stage.run('run', { options, onResult: { gateFile: gate.gateFile, resultMs: 5 } })
        await run.holds(PARTITION_COUNT)
        await stage.until('results wait', () => run.events('deliver').length === RESULTS_MAX)
        gate.open()
        await finishSound(stage)
        assert.equal(mostUntaken(run), RESULTS_MAX, 'the limit is reached, and never passed')
      })
  )

  test(
    'a result that is refused for a while is offered again, alone: its batch is not processed again, others go on',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        for (const lane of lanes) await stage.producer.send(lane, 100)
        const [bad] = stage.producer.ids(lanes[0])
        assert.ok(bad !== undefined)
        const gate = stage.gate('refusing')
        const options = { ...SMALL, attempts: 1000, backoffMs: 20, backoffMaxMs: 50 }
        const run = stage.run('run', { options, onResult: { failOn: bad, failWhile: gate.gateFile } })
        const refusals = (): EventLine[] => run.events('retried', ({ code }) => code === 'ON_RESULT_FAILED')
        const others = stage.producer.ids(lanes[1])
        const taken = (): Set<string> => new Set(run.events('deliver').flatMap(({ ids = [] }) => ids))
        await stage.until('the other partition went on to its end', () => others.every(id => taken().has(id)))
        await stage.until('it was refused a few times', () => refusals().length > 2)
        gate.open()
        await finishSound(stage)

        const offered = run.events('deliver', ({ ids }) => ids?.includes(bad) === true)
        assert.equal(refusals().length, offered.length - 1, 'each retry is told')
        assert.equal(new Set(offered.map(({ ids }) => String(ids))).size, 1, 'the very result that was kept')
        const results = (partition: number): EventLine[] =>
          run.events('deliver', event => event.partition === partition)
        assert.deepEqual(results(0).slice(0, offered.length), offered, 'the next one of its partition waits')
        assertGrowing(results(0).slice(offered.length - 1))
        assertGrowing(results(1))
        const lastMs = offered.at(-1)?.atMs ?? 0
        assert.ok(results(1).length > 1 && results(1).every(({ atMs }) => atMs < lastMs), 'the other partition went on')
      })
  )

  test(
    'I1: a result that is refused `attempts` times stops the consumer with ON_RESULT_FAILED, uncommitted',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        for (const lane of lanes) await stage.producer.send(lane, 100)
        const bad = stage.producer.ids(lanes[0])[60]
        assert.ok(bad !== undefined)
        const options = { ...SMALL, attempts: 3, backoffMs: 20 }
        const run = stage.run('run', { options, onResult: { failOn: bad } })
        const { code, text } = await run.finished()
        assert.equal(code, 'ON_RESULT_FAILED')
        assert.match(text ?? '', new RegExp(`the receiver refuses ${bad}.*partition 0`))
        const offered = run.events('deliver', ({ ids }) => ids?.includes(bad) === true)
        assert.equal(offered.length, 3)
        assert.equal((await stage.committed()).get(0), offered[0]?.offset, 'committed is where its batch begins')

        const unclean = await stage.interruptions(run, 'unclean', nowMs())
        stage.run('next')
        await finishSound(stage, { interruptions: () => unclean })
      })
  )
})

/** How many batches were begun and not delivered at one time: the ledger has each line in the turn in which it happened. */
function mostUntaken(run: ScenarioConsumer): number {
  let [untaken, most] = [0, 0]
  for (const line of run.lines()) {
    if (line.kind === 'begin') untaken += 1
    if (line.kind === 'event' && line.name === 'delivered') untaken -= 1
    most = Math.max(most, untaken)
  }
  return most
}

/** In the order of offsets, each from where the last one ended. */
function assertGrowing(results: readonly EventLine[]): void {
  for (const [index, { offset }] of results.entries()) {
    if (index > 0) assert.equal(offset, results[index - 1]?.nextOffset)
  }
}

/** deliver, delivered, deliver, delivered …, each from where the last one ended. */
function assertAlternating(run: ScenarioConsumer, partition: number): void {
  const calls = run
    .lines()
    .filter((line): line is EventLine => line.kind === 'event' && line.partition === partition)
    .filter(({ name }) => name === 'deliver' || name === 'delivered')
  let nextOffset = 0n
  for (const [index, call] of calls.entries()) {
    assert.equal(call.name, index % 2 === 0 ? 'deliver' : 'delivered')
    if (call.name === 'delivered') continue
    assert.equal(call.offset, nextOffset)
    nextOffset = call.nextOffset ?? -1n
  }
  assert.ok(calls.length >= 4, 'there were several results')
}
