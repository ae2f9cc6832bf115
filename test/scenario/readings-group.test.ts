/** Every reading of how a group hands partitions over and takes commits: consumers join and leave, and nothing is lost. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Quirks } from '../../src/emulator/start.ts'
import { finishSound } from './harness/ending.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import { describeReading, everyReading } from './harness/readings.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const PARTITION_COUNT = 4

const ROWS: readonly Partial<Quirks>[] = [
  ...everyReading('group'),
  // Commits of what another owns by now: the calls carry what is still owned, too.
  { handOver: 'at-once', foreignCommit: 'refuse', refusedCommit: 'rest-kept' },
  { handOver: 'at-once', foreignCommit: 'ignore' },
  { handOver: 'at-once', lastBeat: 'leaves' },
  { emptyLists: 'null', lastBeat: 'leaves' }
]

describe('readings of the group', { concurrency: 2 }, () => {
  for (const quirks of ROWS) {
    test(
      `with ${describeReading(quirks)} one consumer joins and another leaves under load, and nothing is lost`,
      TIMEOUT,
      () =>
        play({ partitionCount: PARTITION_COUNT, quirks }, async stage => {
          const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, PARTITION_COUNT))
          const part = { behaviour: { batchMs: 10 } }
          const a = stage.run('A', part)
          await a.holds(PARTITION_COUNT)
          await load.rounds(5)
          const b = stage.run('B', part)
          await until('each has its half', () => a.held().length === 2 && b.held().length === 2)
          await load.rounds(5)
          await a.stop()
          await b.holds(PARTITION_COUNT)
          await load.rounds(5)
          await load.stop()
          await stage.processed(stage.producer.ids())
          await stage.allCommitted()
          assert.equal((await b.stop()).code, undefined)

          // Whoever is given away while it is held has two owners for a while: what they repeat is the server's doing.
          const isShared = quirks.handOver === 'at-once'
          const interruptions = isShared ? stage.shared() : []
          assert.equal(interruptions.length > 0, isShared, 'B was given what A still held')
          const verdict = assertSound(stage.evidence({ interruptions }))
          if (!isShared) assert.deepEqual(verdict.explained, [])
        })
    )
  }

  test(
    'with lastBeat leaves a consumer that lost its lease leaves by its next heartbeat, and joins anew',
    TIMEOUT,
    () =>
      play({ partitionCount: 2, quirks: { lastBeat: 'leaves' } }, async stage => {
        const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 2))
        const run = stage.run('run')
        await run.holds(2)
        await load.rounds(5)
        // The server hears of it all the time, and keeps it as a member that holds both.
        await stage.emulator.setFaults([{ action: 'SendConsumerHeartbeat', fault: { kind: 'drop', when: 'answer' } }])
        const { atMs } = await run.event('leaseLost')
        const lost = await stage.interruptions(run, 'lease-lost', atMs)
        await stage.emulator.setFaults([])
        await until('both are assigned anew', () => run.events('assigned').length >= 4 && run.held().length === 2)
        await load.rounds(5)
        await load.stop()
        await finishSound(stage, { interruptions: () => lost })
      })
  )
})
