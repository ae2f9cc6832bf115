/** Processors that do not end when they should: patience, abort, termination, and what the neighbours notice. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ScenarioConsumer } from './harness/consumers.ts'
import type { BatchLine } from './harness/lines.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'
import { type Exchange, readPull } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const PATIENCE = { drainTimeoutMs: 300, abortGraceMs: 300, threadExitMs: 5000 } as const

describe('draining', { concurrency: 2 }, () => {
  test(
    'I4: stop() terminates a thread that blocks, releases its partition after its exit, and a successor repeats it',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        for (const lane of lanes) await stage.producer.send(lane, 10)
        const gate = stage.gate('gate')
        const hold = { gateFile: gate.gateFile, mode: 'block', partition: 0 } as const
        const a = stage.fork('A', { options: { ...PATIENCE, threads: 2 }, behaviour: { hold } })
        await stage.processed(stage.producer.ids(lanes[1]))
        await until('A blocks', () => alive(a).length > 2)
        const finished = await a.stop()
        assert.equal(finished.code, undefined, 'a thread that had to be terminated is no failure of the consumer')
        const [released] = a.events('released', ({ partition }) => partition === 0)
        const lastAlive = alive(a).at(-1)
        assert.ok(released !== undefined && lastAlive !== undefined && lastAlive.atMs < released.atMs)
        assert.match(a.log(), /terminating the thread/)
        const [released1] = a.events('released', ({ partition }) => partition === 1)
        assert.equal(released1?.offset, 10n, 'the neighbour was committed')
        gate.open()
        await finishWith(stage, 'B')

        assert.deepEqual(assertSound(stage.evidence()).explained, [], 'the blocked batch was never processed by A')
      })
  )

  test(
    'I2: a partition revoked from a thread that blocks is assigned elsewhere only after the thread has ended',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        const [lane0, lane1] = stage.producer.lanes(stage.topicId, 2)
        assert.ok(lane0 !== undefined && lane1 !== undefined)
        const gate = stage.gate('gate')
        const hold = { gateFile: gate.gateFile, mode: 'block', partition: 1 } as const
        const a = stage.fork('A', { options: PATIENCE, behaviour: { hold } })
        await a.holds(2)
        await stage.producer.send(lane1, 10)
        await until('A blocks', () => alive(a).length > 2)
        await stage.producer.send(lane0, 10)
        await until('a batch of partition 0 waits for the same thread', () => tap.of('pull_log').some(bringsPartition0))
        const b = stage.fork('B')
        await b.holds(1)
        assert.deepEqual(b.held(), [1], 'the server leaves partition 0 where it is')
        const [assigned] = b.events('assigned')
        const lastAlive = alive(a).at(-1)
        assert.ok(assigned !== undefined && lastAlive !== undefined)
        assert.ok(lastAlive.atMs < assigned.atMs, 'the thread was last seen before B was assigned its partition')
        // What waited behind it died with the thread, through no fault of its own, and is tried again on another one.
        const isAgain = ({ partition, attempt, thread }: BatchLine): boolean =>
          partition === 0 && attempt === 2 && thread !== lastAlive.thread
        await until('the batch of partition 0 begins on another thread', () => begun(a).some(isAgain))
        gate.open()
        await stage.processed(stage.producer.ids())
        await Promise.all([a.stop(), b.stop()])
        assert.deepEqual(assertSound(stage.evidence()).explained, [])
      })
  )

  test('a processor that heeds its signal is not terminated, and its batch repeats elsewhere', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      await stage.producer.send(lane, 10)
      const gate = stage.gate('gate')
      const hold = { gateFile: gate.gateFile, mode: 'heed' } as const
      const a = stage.fork('A', { options: { ...PATIENCE, abortGraceMs: 10_000 }, behaviour: { hold } })
      await until('A waits', () => alive(a).length > 2)
      const finished = await a.stop()
      assert.equal(finished.code, undefined)
      assert.doesNotMatch(a.log(), /terminating the thread/)
      gate.open()
      await finishWith(stage, 'B')
      assert.deepEqual(assertSound(stage.evidence()).explained, [])
    })
  )

  test('a batch that ends within drainTimeoutMs counts: it is committed, and not repeated', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      await stage.producer.send(lane, 10)
      const gate = stage.gate('gate')
      const hold = { gateFile: gate.gateFile, mode: 'heed' } as const
      const a = stage.fork('A', { options: { drainTimeoutMs: 20_000 }, behaviour: { hold } })
      await until('A waits', () => alive(a).length > 2)
      a.tellToStop()
      await until('A is stopping', async () => (await a.snapshot()).phase === 'stopping')
      gate.open()
      await a.finished()
      assert.deepEqual(await stage.committed(), await stage.ends())
      assertSound(stage.evidence())
    })
  )
})

function bringsPartition0(exchange: Exchange): boolean {
  return exchange.request.PartitionId === 0 && (readPull(exchange)?.messages.length ?? 0) > 0
}

function begun(consumer: ScenarioConsumer): BatchLine[] {
  return consumer.lines().filter((line): line is BatchLine => line.kind === 'begin')
}

function alive(consumer: ScenarioConsumer): BatchLine[] {
  return consumer.lines().filter((line): line is BatchLine => line.kind === 'alive')
}

/** A successor reads what is left, and all is committed. */
async function finishWith(stage: Stage, process: string): Promise<void> {
  const consumer = stage.fork(process)
  await stage.processed(stage.producer.ids())
  await stage.allCommitted()
  await consumer.stop()
}
