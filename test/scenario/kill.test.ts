/** A consumer that dies, or is stopped for so long that it should be dead: another one takes over, and nothing is lost. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ChildConsumer } from './harness/consumers.ts'
import type { Interruption } from './harness/evidence.ts'
import type { Line } from './harness/lines.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Lane } from './harness/producer.ts'
import { GROUP_TIMEOUT_MS, type Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'
import { type Exchange, readPull, type WireTap } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }

describe('a consumer that dies', { concurrency: 2 }, () => {
  test('I1: after kill -9 the other takes over from what was committed, and repeats only what was not', TIMEOUT, () =>
    play({ partitionCount: 4 }, async stage => {
      const tap = await stage.tap()
      const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 4))
      // Seldom enough that the kill finds work processed and not committed.
      const part = { options: { commitIntervalMs: 700 } }
      const [a, b] = [stage.fork('A', part), stage.fork('B', part)]
      await Promise.all([a.holds(2), b.holds(2)])
      await until('A has committed twice, and processed more', () => hasUncommittedWork(a.lines()))
      const killedMs = await a.kill()
      const killed = await stage.interruptions(a, 'killed', killedMs)
      await b.holds(4)
      await load.rounds(10)
      await load.stop()
      await stage.processed(stage.producer.ids())
      await stage.allCommitted()
      await b.stop()

      const verdict = assertSound(stage.evidence({ interruptions: killed }))
      assert.ok(verdict.explained.length > 0, 'the kill came before the commit of what was processed')
      for (const { partition, atMs, offset } of b.events('assigned', event => event.atMs > killedMs)) {
        assert.ok(atMs >= lastBeatMs(tap, 'A') + GROUP_TIMEOUT_MS, 'not before the group timeout')
        assert.equal(offset, killed.find(interruption => interruption.partition === partition)?.committedOffset)
      }
    })
  )

  test(
    'I11: with startFrom end, what arrived before a kill -9 ahead of the first commit is read by the successor',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        for (const lane of lanes) await stage.producer.send(lane, 5)
        const before = new Set(stage.producer.ids())
        const part = { options: { startFrom: 'end', commitIntervalMs: 60_000 } } as const
        const a = stage.fork('A', part)
        await a.holds(2)
        for (const lane of lanes) await stage.producer.send(lane, 20)
        await until('A has processed some of it', () => a.processedIds().length > 20)
        const killed = await stage.interruptions(a, 'killed', await a.kill())
        for (const lane of lanes) await stage.producer.send(lane, 5)
        const b = stage.fork('B', part)
        const due = new Map([...stage.producer.acknowledged].filter(([id]) => !before.has(id)))
        await until('B has it all', () => new Set(b.processedIds()).size === due.size)
        await b.stop()

        assertSound(stage.evidence({ expected: due, interruptions: killed }))
        assert.deepEqual(
          killed.map(({ committedOffset }) => committedOffset),
          [5n, 5n],
          'only the start was committed'
        )
      })
  )

  test(
    'I1: a batch in the processor at a kill -9 is not committed, although commits went on; its partition was empty at the start',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        const gate = stage.gate('gate')
        const options = { startFrom: 'end' } as const
        const hold = { gateFile: gate.gateFile, mode: 'wait', partition: 0 } as const
        const a = stage.fork('A', { options, behaviour: { hold } })
        await a.holds(2)
        for (const lane of lanes) await stage.producer.send(lane, 10)
        await until('a batch waits in A', () => a.lines().some(({ kind }) => kind === 'alive'))
        await stage.producer.send(second(lanes), 10)
        await until('partition 1 is committed', async () => (await stage.committed()).get(1) === 20n)
        const killed = await stage.interruptions(a, 'killed', await a.kill())
        assert.equal((await stage.committed()).get(0), 0n)
        const b = stage.fork('B', { options })
        await stage.processed(stage.producer.ids())
        await b.stop()

        const verdict = assertSound(stage.evidence({ interruptions: killed }))
        assert.deepEqual(verdict.explained, [], 'A had committed all that it had processed')
      })
  )

  test('I12: a consumer stopped past its lease commits nothing after it wakes, and joins anew', TIMEOUT, () =>
    play({ partitionCount: 4 }, async stage => {
      const tap = await stage.tap()
      const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 4))
      const part = { behaviour: { batchMs: 20 }, onResult: {} }
      const [a, b] = [stage.fork('A', part), stage.fork('B', part)]
      await Promise.all([a.holds(2), b.holds(2)])
      await load.rounds(10)
      const lost = await freeze(stage, tap, a)
      const leaseEndMs = lastBeatMs(tap, 'A') + GROUP_TIMEOUT_MS
      const before = a.events('assigned').length
      await b.holds(4)
      await load.rounds(5)
      a.thaw()
      await until('A is assigned anew', () => a.events('assigned')[before])
      await load.rounds(10)
      await load.stop()
      await stage.processed(stage.producer.ids())
      await stage.allCommitted()
      await Promise.all([a.stop(), b.stop()])

      assertSound(stage.evidence({ interruptions: lost }))
      // By A, between the lease's end and the answer to its next heartbeat, which begins another lease:
      const next = tap.of('SendConsumerHeartbeat', 'A').find(beat => beat.receivedMs > leaseEndMs)
      const renewedMs = next?.answer?.atMs ?? 0
      assert.ok(renewedMs > leaseEndMs)
      const isPast = ({ atMs }: { readonly atMs: number }): boolean => atMs > leaseEndMs && atMs < renewedMs
      const commits = tap.of('CommitConsumerOffsets', 'A').map(({ receivedMs }) => ({ atMs: receivedMs }))
      assert.deepEqual(commits.filter(isPast), [], 'no commit past the lease')
      for (const name of ['deliver', 'delivered', 'batch', 'committed']) {
        assert.deepEqual(a.events(name, isPast), [], `I3: no ${name} past the lease`)
      }
      assert.equal(a.events('leaseLost').length, 2)
    })
  )

  test('I12: a batch that waits on its thread does not start when its process wakes past the lease', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const tap = await stage.tap()
      const [lane0, lane1] = stage.producer.lanes(stage.topicId, 2)
      assert.ok(lane0 !== undefined && lane1 !== undefined)
      const gate = stage.gate('gate')
      const hold = { gateFile: gate.gateFile, mode: 'block', partition: 1 } as const
      const a = stage.fork('A', { behaviour: { hold } })
      await a.holds(2)
      await stage.producer.send(lane1, 10)
      await until('A blocks', () => a.lines().some(({ kind }) => kind === 'alive'))
      await stage.producer.send(lane0, 10)
      await until('a batch of partition 0 waits for the same thread', () => tap.of('pull_log').some(bringsPartition0))
      const lost = await freeze(stage, tap, a)
      gate.open()
      const b = stage.fork('B')
      await stage.processed(stage.producer.ids())
      a.thaw()
      await a.event('leaseLost')
      await until('the blocked batch has come to its end', () => a.lines().some(({ kind }) => kind === 'end'))
      await Promise.all([a.stop(), b.stop()])

      const verdict = assertSound(stage.evidence({ interruptions: lost }))
      assert.deepEqual(
        verdict.explained.map(({ first }) => first.partition),
        Array(10).fill(1),
        'the open batch alone'
      )
    })
  )
})

/** Stops the process. From its last heartbeat on its lease runs out; what the server has as committed now, stays. */
async function freeze(stage: Stage, tap: WireTap, consumer: ChildConsumer): Promise<Interruption[]> {
  await consumer.freeze()
  const frozen = await stage.interruptions(consumer, 'lease-lost', 0)
  // Read last: a beat may have been under way.
  const atMs = lastBeatMs(tap, consumer.name) + GROUP_TIMEOUT_MS
  return frozen.map(interruption => ({ ...interruption, atMs }))
}

function bringsPartition0(exchange: Exchange): boolean {
  return exchange.request.PartitionId === 0 && (readPull(exchange)?.messages.length ?? 0) > 0
}

function second(lanes: readonly Lane[]): Lane {
  const [, lane] = lanes
  assert.ok(lane !== undefined)
  return lane
}

/** Commits are behind it, and batches that the last of them does not cover. */
function hasUncommittedWork(lines: readonly Line[]): boolean {
  const commits = lines.filter(line => line.kind === 'event' && line.name === 'committed')
  const last = commits.at(-1)
  if (last === undefined || commits.length < 4) return false
  return lines.filter(({ kind, atMs }) => kind === 'end' && atMs > last.atMs).length >= 4
}

/** When the last heartbeat that was answered left the consumer, at the latest. */
function lastBeatMs(tap: WireTap, consumer: string): number {
  const beat = tap.of('SendConsumerHeartbeat', consumer).findLast(({ answer }) => answer?.status === 200)
  assert.ok(beat !== undefined, `${consumer} has beaten`)
  return beat.receivedMs
}
