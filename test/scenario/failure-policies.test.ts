/** A processor that fails: tried again from the bytes that are held, and then the user's policy, while other partitions go on. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { dueWithout, idsOfRange } from './harness/due.ts'
import { finishSound } from './harness/ending.ts'
import { fillTwo, idAt, SMALL } from './harness/fill.ts'
import type { BatchLine } from './harness/lines.ts'
import { play } from './harness/play.ts'
import { SKIPPING_PROCESSOR } from './harness/recording.ts'
import { pullsFrom, readPull } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 120
const BAD = 60
const QUICK = { ...SMALL, backoffMs: 20, backoffMaxMs: 50 } as const

describe('failure policies', { concurrency: 2 }, () => {
  test(
    'I2: a batch that fails is tried again from the bytes held, in its place, while the other partition goes on',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
        const bad = idAt(lane0, BAD)
        const gate = stage.gate('the sink is down')
        const misdeeds = [{ id: bad, how: 'throw', whileFile: gate.gateFile }] as const
        const run = stage.run('run', { options: { ...QUICK, attempts: 1000 }, behaviour: { misdeeds } })
        await stage.until('it has failed', () => failures(run).length > 2)
        await stage.producer.send(lane1, LOG_COUNT)
        await stage.processed(stage.producer.ids(lane1))
        await stage.until('partition 1 is committed', async () => (await stage.committed()).get(1) === 240n)
        const count = failures(run).length
        await stage.until('it fails still', () => failures(run).length > count)
        gate.open()
        await finishSound(stage)

        const tries = attemptsOf(run, bad)
        assert.deepEqual(
          tries.map(({ attempt }) => attempt),
          tries.map((_, index) => index + 1)
        )
        assert.equal(failures(run).length, tries.length - 1, 'each retry is told')
        assert.equal(pullsFrom(tap, 0, tries[0]?.startOffset).length, 1, 'no new pull')
      })
  )

  test(
    'I1: stop: after its last attempt the consumer stops before the batch, and the next one reads it again',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0] = await fillTwo(stage, LOG_COUNT)
        const bad = idAt(lane0, BAD)
        const a = stage.run('A', {
          options: { ...QUICK, attempts: 3 },
          behaviour: { misdeeds: [{ id: bad, how: 'throw' }] }
        })
        const { code, text } = await a.finished()
        assert.equal(code, 'PROCESSOR_FAILED')
        assert.match(text ?? '', new RegExp(`the sink refuses ${bad} .*partition 0, offset \\d+`))
        const tries = begunFrom(a, await committedAt(stage, 0))
        assert.deepEqual(
          tries.map(({ attempt }) => attempt),
          [1, 2, 3]
        )
        stage.run('B', {
          options: { ...QUICK, attempts: 1 },
          behaviour: { misdeeds: [{ id: bad, how: 'throw', attempts: 0 }] }
        })
        await finishSound(stage)
      })
  )

  test('skip: the partition goes on behind the batch, which is counted and told with its offsets', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const misdeeds = [{ id: idAt(lane0, BAD), how: 'throw' }] as const
      const options = { ...QUICK, attempts: 2, onFailure: 'skip' } as const
      const run = stage.run('run', { options, behaviour: { misdeeds } })
      const skipped = await run.event('skipped')
      const ids = idsOfRange(lane0, skipped)
      assert.ok(ids.includes(idAt(lane0, BAD)) && ids.length < LOG_COUNT)
      await finishSound(stage, { expected: dueWithout(stage.producer, ids) })

      assert.equal(run.events('skipped').length, 1)
      assert.equal(skipped.code, 'PROCESSOR_FAILED')
      assert.ok(!run.processedIds().some(id => ids.includes(id)), 'all of the batch, and no more')
      assert.equal((await run.snapshot()).skippedBatchCount, 1)
      const { offset, nextOffset } = skipped
      const told = `WARN +skipped .*partition=0 startOffset=${offset} nextOffset=${nextOffset} .*PROCESSOR_FAILED`
      assert.match(run.log(), new RegExp(told))
    })
  )

  test('the processor’s own policy goes before the option', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      // In the last batch: to go too far would be to go behind the end.
      const misdeeds = [{ id: idAt(lane0, LOG_COUNT - 1), how: 'throw' }] as const
      const options = { ...QUICK, attempts: 1, onFailure: 'stop' } as const
      const run = stage.run('run', { options, behaviour: { misdeeds }, processor: SKIPPING_PROCESSOR })
      const skipped = await run.event('skipped')
      await finishSound(stage, { expected: dueWithout(stage.producer, idsOfRange(lane0, skipped)) })
    })
  )

  test('skip: a result that is refused to the last goes undelivered, alone, and its logs count', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const bad = idAt(lane0, BAD)
      const options = { ...QUICK, attempts: 2, onFailure: 'skip' } as const
      const run = stage.run('run', { options, onResult: { failOn: bad } })
      await finishSound(stage)

      const offered = run.events('deliver', ({ ids = [] }) => ids.includes(bad))
      assert.equal(offered.length, 2)
      const [skipped, ...others] = run.events('skipped')
      assert.equal(skipped?.code, 'ON_RESULT_FAILED')
      assert.equal(others.length, 0)
      assert.equal(skipped?.offset, offered[0]?.offset)
      const refused = new Set(offered[0]?.ids)
      const delivered = run.events('delivered').flatMap(({ ids = [] }) => ids)
      const due = stage.producer.ids().filter(id => !refused.has(id))
      assert.deepEqual(delivered.toSorted(), due.toSorted(), 'every other one is delivered')
    })
  )

  test(
    'I1: park: the partition stands before its batch, the other goes on, and resume() loses and repeats nothing',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
        const gate = stage.gate('the sink is down')
        const misdeeds = [{ id: idAt(lane0, BAD), how: 'throw', whileFile: gate.gateFile }] as const
        const options = { ...QUICK, attempts: 2, onFailure: 'park' } as const
        const run = stage.run('run', { options, behaviour: { misdeeds } })
        const parked = await run.event('parked')
        await stage.producer.send(lane1, LOG_COUNT)
        await stage.processed(stage.producer.ids(lane1))
        await stage.until('partition 1 is committed', async () => (await stage.committed()).get(1) === 240n)
        assert.equal(await committedAt(stage, 0), parked.offset)
        assert.equal(begunFrom(run, parked.offset).length, 2)
        const [place] = (await run.snapshot()).partitions
        assert.deepEqual([place?.phase, place?.state], ['active', 'parked'], 'it stays owned')
        assert.match(run.log(), /ERROR +a partition is parked.*partition=0 .*PROCESSOR_FAILED/)

        assert.equal(await run.resume(), 1)
        await stage.until('it is parked again', () => run.events('parked').length === 2)
        assert.equal(begunFrom(run, parked.offset).length, 4, 'a new try begins with the first attempt')
        gate.open()
        assert.equal(await run.resume(), 1)
        await finishSound(stage)
        assert.equal(await run.resume(), 0)
      })
  )

  test('I5: park: the partition gives back all bytes that it held, and goes on with others by resume()', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const tap = await stage.tap()
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      await stage.producer.send(lane, LOG_COUNT)
      const [busy, down] = [stage.gate('the sink is busy'), stage.gate('the sink is down')]
      const hold = { gateFile: busy.gateFile, mode: 'wait' } as const
      const misdeeds = [{ id: idAt(lane, 0), how: 'throw', whileFile: down.gateFile }] as const
      const options = { ...QUICK, attempts: 1, onFailure: 'park' } as const
      const run = stage.run('run', { options, behaviour: { hold, misdeeds } })
      const pulled = () => tap.of('pull_log').filter(exchange => (readPull(exchange)?.messages.length ?? 0) > 0)
      await stage.until('more is pulled while the first batch is open', () => pulled().length > 2)
      assert.ok((await run.snapshot()).heldBytes > 0)
      busy.open()
      const parked = await run.event('parked')
      assert.equal(parked.offset, 0n)
      await stage.until('nothing is held', async () => (await run.snapshot()).heldBytes === 0)
      assert.equal(begunFrom(run, 0n).length, 1, 'what waited behind it was not begun')

      down.open()
      assert.equal(await run.resume(), 1)
      await finishSound(stage)
    })
  )

  test('I1: park: who starts after the parked one stopped reads on from its batch', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const misdeeds = [{ id: idAt(lane0, BAD), how: 'throw' }] as const
      const options = { ...QUICK, attempts: 1, onFailure: 'park' } as const
      const a = stage.run('A', { options, behaviour: { misdeeds } })
      const parked = await a.event('parked')
      assert.equal((await a.stop()).code, undefined)
      const b = stage.run('B', { options })
      const { offset } = await b.event('assigned', ({ partition }) => partition === 0)
      assert.equal(offset, parked.offset)
      await finishSound(stage)
    })
  )
})

function failures(run: ScenarioConsumer) {
  return run.events('retried', ({ code, partition }) => code === 'PROCESSOR_FAILED' && partition === 0)
}

/** Of the batch that came to hold this log in the end. */
function attemptsOf(run: ScenarioConsumer, id: string): BatchLine[] {
  const end = run.lines().find((line): line is BatchLine => line.kind === 'end' && line.ids.includes(id))
  return begunFrom(run, end?.startOffset)
}

/** In partition 0. */
function begunFrom(run: ScenarioConsumer, startOffset: bigint | undefined): BatchLine[] {
  return run
    .lines()
    .filter((line): line is BatchLine => line.kind === 'begin')
    .filter(line => line.partition === 0 && line.startOffset === startOffset)
}

async function committedAt(stage: { committed(): Promise<Map<number, bigint>> }, partition: number) {
  return (await stage.committed()).get(partition)
}
