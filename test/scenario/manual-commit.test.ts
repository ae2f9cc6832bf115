/** Commit mode manual: what is committed is what the processor has saved, and never more than what is settled. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LocalConsumer, ScenarioConsumer } from './harness/consumers.ts'
import { dueWithout, idsOfRange } from './harness/due.ts'
import { finishSound } from './harness/ending.ts'
import type { Interruption } from './harness/evidence.ts'
import { fillTwo, idAt, SMALL } from './harness/fill.ts'
import type { BatchLine, EventLine } from './harness/lines.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'
import { nowMs } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 120
const SAVED = 50
const MANUAL = { ...SMALL, commitMode: 'manual', backoffMs: 20, backoffMaxMs: 50 } as const

describe('commit mode manual', { concurrency: 2 }, () => {
  test('I1: the last save is committed and no more, and who comes next reads on from there', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
      const saveOn = [idAt(lane0, SAVED), idAt(lane1, LOG_COUNT - 1)]
      const a = stage.run('A', { options: MANUAL, behaviour: { saveOn } })
      await stage.processed(stage.producer.ids())
      await stage.until('partition 1 is committed', async () => (await stage.committed()).get(1) === 120n)
      assert.equal((await a.stop()).code, undefined)
      const saved = endOf(a, idAt(lane0, SAVED))
      assert.ok(saved < 120n)
      assert.deepEqual(
        [...(await stage.committed())],
        [
          [0, saved],
          [1, 120n]
        ]
      )
      const offsets = a.events('committed', ({ partition }) => partition === 0).map(({ offset }) => offset)
      assert.ok(
        offsets.every(offset => offset === 0n || offset === saved),
        `committed were ${offsets}`
      )

      const unsaved = await stage.interruptions(a, 'unclean', nowMs())
      const b = stage.run('B', { options: MANUAL, behaviour: { saveIn: 'revoke' } })
      await stage.processed(stage.producer.ids())
      await stage.until('it is read again', () => new Set(b.processedIds()).size === 120 - Number(saved))
      assert.equal((await b.stop()).code, undefined)
      const verdict = await finishSound(stage, { interruptions: () => unsaved })
      assert.equal(verdict.explained.length, 120 - Number(saved))
    })
  )

  test('I1: a save in revoke covers all that was processed: nothing is read twice', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      await fillTwo(stage, LOG_COUNT)
      const part = { options: MANUAL, behaviour: { saveIn: 'revoke' } } as const
      const a = stage.run('A', part)
      await stage.processed(stage.producer.ids())
      assert.deepEqual([...(await stage.committed()).values()], [0n, 0n], 'nothing is saved yet')
      const b = stage.run('B', part)
      await Promise.all([a.holds(1), b.holds(1)])
      await Promise.all([a.stop(), b.stop()])
      await finishSound(stage)
    })
  )

  test('I1: a partition that is revoked without a save is read again from its last one', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
      const saveOn = [idAt(lane0, SAVED), idAt(lane1, SAVED)]
      const a = stage.run('A', { options: MANUAL, behaviour: { saveOn } })
      await stage.processed(stage.producer.ids())
      const b = stage.run('B', { options: MANUAL, behaviour: { saveIn: 'revoke' } })
      await Promise.all([a.holds(1), b.holds(1)])
      const { partition, offset = -1n, atMs } = await b.event('assigned')
      assert.ok(partition !== undefined)
      assert.equal(offset, endOf(a, idAt(partition === 0 ? lane0 : lane1, SAVED)))
      await stage.until('it is read again', () => b.processedIds().length === 120 - Number(offset))
      await Promise.all([a.stop(), b.stop()])
      const left = interrupted(stage, 'A', { partition, offset, atMs })
      const c = stage.run('C', { options: MANUAL, behaviour: { saveIn: 'revoke' } })
      const other = 1 - partition
      const { offset: rest = -1n } = await c.event('assigned', event => event.partition === other)
      await stage.until('the rest is read again', () => c.processedIds().length === 120 - Number(rest))
      await c.stop()
      const kept = interrupted(stage, 'A', { partition: other, offset: rest, atMs: nowMs() })
      await finishSound(stage, { interruptions: () => [left, kept] })
    })
  )

  test(
    'I1: a thread that dies takes what was not saved with it: each partition goes on from its last save',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
        const run = stage.run('run', {
          options: MANUAL,
          behaviour: { saveOn: [idAt(lane0, SAVED)], saveIn: 'revoke', dieFile: stage.dieFile }
        })
        await stage.processed(stage.producer.ids())
        await stage.until('the save is committed', async () => ((await stage.committed()).get(0) ?? 0n) > 0n)
        const before = run.lines().length
        stage.killNextThread()
        await stage.producer.send(lane1, 1)
        const [first, second] = [await turnOf(run, 0), await turnOf(run, 1)]
        assert.equal(first.nextOffset, endOf(run, idAt(lane0, SAVED)))
        assert.equal(second.nextOffset, 0n, 'it was never saved')
        for (const { text } of [first, second]) assert.match(text ?? '', /^back to its last save/)
        const due = 120 - Number(first.nextOffset) + 121
        const again = (): string[] =>
          run
            .lines()
            .slice(before)
            .flatMap(line => (line.kind === 'end' ? line.ids : []))
        await stage.until('all of it is read again', () => again().length === due)
        assert.equal((await run.stop()).code, undefined)
        const lost = [first, second].map(turn => interrupted(stage, 'run', { ...turn, offset: turn.nextOffset ?? -1n }))
        const { explained } = await finishSound(stage, { interruptions: () => lost })
        assert.equal(explained.length, due - 1)
      })
  )

  test(
    'I1: a partition that moves to another thread without a save goes on there from its last one, in a new epoch',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
        // The log behind the last one is to come: it saves all.
        const saveOn = [idAt(lane0, SAVED), idAt(lane1, LOG_COUNT - 1), idAt(lane0, LOG_COUNT)]
        const run = stage.run('run', { options: { ...MANUAL, threads: 2 }, behaviour: { saveOn } })
        await stage.processed(stage.producer.ids())
        const saved = endOf(run, idAt(lane0, SAVED))
        await stage.until('the save is committed', async () => (await stage.committed()).get(0) === saved)
        const [lineCount, [left]] = [run.lines().length, threadsOf(endsFrom(run, 0))]
        const epochs = await epochsOf(run)
        await move(stage, run)
        const turn = await turnOf(run, 0)
        assert.deepEqual([turn.offset, turn.nextOffset], [120n, saved])
        assert.match(turn.text ?? '', /^back to its last save/)
        const again = (): BatchLine[] => endsFrom(run, lineCount)
        const due = 120 - Number(saved)
        await stage.until('it is read again', () => again().flatMap(({ ids }) => ids).length === due)
        assert.ok(
          again().every(({ partition, thread }) => partition === 0 && thread !== left),
          'on the other thread, and nothing of the other partition'
        )
        assert.equal((await stage.committed()).get(0), saved)
        assert.deepEqual(
          (await epochsOf(run)).map((epoch, index) => epoch === epochs[index]),
          [false, true]
        )

        await stage.producer.send(lane0, 1)
        const lost = interrupted(stage, 'run', { ...turn, offset: saved })
        const { explained } = await finishSound(stage, { interruptions: () => [lost] })
        assert.equal(explained.length, due)
        assert.equal(run.events('repositioned').length, 1)
      })
  )

  test('I1: a partition that saves in revoke moves to another thread and reads nothing twice', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const run = stage.run('run', { options: { ...MANUAL, threads: 2 }, behaviour: { saveIn: 'revoke' } })
      await stage.processed(stage.producer.ids())
      const [lineCount, [left]] = [run.lines().length, threadsOf(endsFrom(run, 0))]
      await move(stage, run)
      await stage.until('the save is committed', async () => (await stage.committed()).get(0) === 120n)
      await stage.producer.send(lane0, LOG_COUNT)
      await stage.processed(stage.producer.ids())
      const [right, ...others] = threadsOf(endsFrom(run, lineCount))
      assert.ok(right !== undefined && right !== left && others.length === 0, 'it goes on on the other thread')
      assert.equal((await stage.committed()).get(1), 0n, 'the other one has not moved, and has not saved')
      await run.stop()
      await finishSound(stage)
      assert.deepEqual(run.events('repositioned'), [])
    })
  )

  test('I1: a save of an attempt that fails never was', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
      const options = { ...MANUAL, attempts: 2, onFailure: 'skip' } as const
      const bad = idAt(lane0, SAVED)
      const saveOn = [bad, idAt(lane1, LOG_COUNT - 1)]
      const a = stage.run('A', { options, behaviour: { saveOn, misdeeds: [{ id: bad, how: 'throw' }] } })
      const passed = idsOfRange(lane0, await a.event('skipped'))
      const due = dueWithout(stage.producer, passed)
      await stage.processed(due.keys())
      await stage.until('partition 1 is committed', async () => (await stage.committed()).get(1) === 120n)
      await a.stop()
      assert.equal((await stage.committed()).get(0), 0n)

      const unsaved = await stage.interruptions(a, 'unclean', nowMs())
      const b = stage.run('B', { options, behaviour: { saveIn: 'revoke' } })
      await stage.until('it is read again', () => b.processedIds().length === 120)
      await b.stop()
      await finishSound(stage, { interruptions: () => unsaved })
    })
  )
})

/** Partition 0, to the other of two threads. */
async function move({ topicId }: Stage, run: LocalConsumer): Promise<void> {
  const id = { topicId, partition: 0 }
  assert.ok((await run.moveToThread(id, 0)) || (await run.moveToThread(id, 1)), 'it has moved')
}

/** What came out of the processor, from this line of the ledger on. */
function endsFrom(run: ScenarioConsumer, from: number): BatchLine[] {
  return run
    .lines()
    .slice(from)
    .filter((line): line is BatchLine => line.kind === 'end')
}

async function epochsOf(run: ScenarioConsumer): Promise<number[]> {
  const { partitions } = await run.snapshot()
  return partitions.map(({ epoch }) => epoch)
}

/** The threads that have processed partition 0. */
function threadsOf(ends: readonly BatchLine[]): number[] {
  return [...new Set(ends.filter(({ partition }) => partition === 0).map(({ thread }) => thread))]
}

/** Where the batch ends that held this log. */
function endOf(run: ScenarioConsumer, id: string): bigint {
  const end = run.lines().find((line): line is BatchLine => line.kind === 'end' && line.ids.includes(id))
  assert.ok(end?.nextOffset !== undefined)
  return end.nextOffset
}

async function turnOf(run: ScenarioConsumer, partition: number): Promise<EventLine> {
  return await run.event('repositioned', event => event.partition === partition)
}

/** What `process` had kept of the partition behind this offset is gone. */
function interrupted(
  { topicId }: Stage,
  process: string,
  { partition = -1, offset = -1n, atMs }: Pick<EventLine, 'partition' | 'offset' | 'atMs'>
): Interruption {
  return { process, topicId, partition, kind: 'unclean', atMs, committedOffset: offset }
}
