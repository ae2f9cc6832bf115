/** Every reading of how a group hands partitions over and takes commits: consumers join and leave, and nothing is lost. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Quirks } from '../../src/emulator/start.ts'
import type { LocalConsumer } from './harness/consumers.ts'
import { finishSound } from './harness/ending.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import { describeReading, everyReading } from './harness/readings.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'
import { type Exchange, partitionsIn, type TappedAnswer, type WireTap } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const PARTITION_COUNT = 4

/** Told by a commit of what another owns by now: that takes partitions given away while they are held, and a late owner. */
function isOfForeignCommits(quirks: Partial<Quirks>): boolean {
  return 'foreignCommit' in quirks || 'refusedCommit' in quirks
}

const LATE_ROWS = everyReading('group')
  .filter(isOfForeignCommits)
  .map((quirks): Partial<Quirks> => ({ handOver: 'at-once', ...quirks }))

const ROWS: readonly Partial<Quirks>[] = [
  ...everyReading('group').filter(quirks => !isOfForeignCommits(quirks)),
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
          // Only a consumer that takes its time still holds what was given away: then A is at the gate until B has it.
          const isShared = quirks.handOver === 'at-once'
          const gate = isShared ? stage.gate('gate') : undefined
          const hold = gate === undefined ? {} : { hold: { gateFile: gate.gateFile, mode: 'wait' as const } }
          const a = stage.run('A', { behaviour: { batchMs: 10, ...hold } })
          await a.holds(PARTITION_COUNT)
          if (isShared) await until('a batch of each partition is at the gate', () => begunCount(a) === PARTITION_COUNT)
          else await load.rounds(5)
          const b = stage.run('B', { behaviour: { batchMs: 10 } })
          if (isShared) await b.holds(2)
          gate?.open()
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
          const interruptions = isShared ? stage.shared() : []
          assert.equal(interruptions.length > 0, isShared, 'B was given what A still held')
          const verdict = assertSound(stage.evidence({ interruptions }))
          if (!isShared) assert.deepEqual(verdict.explained, [])
        })
    )
  }

  for (const quirks of LATE_ROWS) {
    test(`with ${describeReading(quirks)} the old owner commits late, and nothing is lost`, TIMEOUT, () =>
      play({ partitionCount: PARTITION_COUNT, quirks }, stage => playLateCommit(stage, quirks))
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

/**
 * A is at the gate with a batch of each partition while two go to B, who processes and commits them to their ends. Then A's
 * batches end, those it keeps first, and A commits offsets far smaller than B's.
 */
async function playLateCommit(stage: Stage, quirks: Partial<Quirks>): Promise<void> {
  const tap = await stage.tap()
  for (const lane of stage.producer.lanes(stage.topicId, PARTITION_COUNT)) await stage.producer.send(lane, 80)
  const ends = await stage.ends()
  const gates = Array.from({ length: PARTITION_COUNT }, (_, partition) => stage.gate(`gate.${partition}`))
  // It commits when it gives partitions back, not before: that call has to name what else it has got done.
  const a = stage.run('A', {
    options: { pullBytes: 1024, commitIntervalMs: 60_000 },
    behaviour: { hold: { gateFile: join(stage.folder, 'gate'), mode: 'wait', perPartition: true } }
  })
  await until('a batch of each partition is at the gate', () => begunCount(a) === PARTITION_COUNT)
  const b = stage.run('B')
  await b.holds(2)
  const taken = b.held()
  await until('B has committed to the ends', async () => isAt(await stage.committed(), ends, taken))
  await until('A has heard of it', () => a.events('revoked').length === taken.length)
  const lateCommits = watchForeignCommits(stage, tap, taken)
  const open = (isWanted: (partition: number) => boolean): void => {
    for (const [partition, gate] of gates.entries()) if (isWanted(partition)) gate.open()
  }
  open(partition => !taken.includes(partition))
  await until('A has got on with what it keeps', async () => {
    const { partitions } = await a.snapshot()
    return partitions.every(
      ({ partition, startOffset, nextOffset }) => taken.includes(partition) || nextOffset !== startOffset
    )
  })
  open(partition => taken.includes(partition))
  await stage.processed(stage.producer.ids())
  await until('A has released them', () => a.events('released').length === taken.length)
  assert.equal((await a.stop()).code, undefined)
  assert.equal((await b.stop()).code, undefined)

  assertSound(stage.evidence({ interruptions: stage.shared() }))
  assert.deepEqual(await stage.committed(), ends, 'the last owner has the last word')
  assert.ok(lateCommits.length > 0, 'A committed what it owned no longer')
  const isRefusal = quirks.foreignCommit === undefined || quirks.foreignCommit === 'refuse'
  // Only such a call tells whether the rest of a refused one is kept.
  if (isRefusal)
    assert.ok(
      lateCommits.some(({ own }) => own.size > 0),
      'a call names what A still owns, too'
    )
  for (const late of lateCommits) assertTakenAs(quirks, late, ends)
}

function begunCount(consumer: LocalConsumer): number {
  return consumer.lines().filter(({ kind }) => kind === 'begin').length
}

function isAt(
  committed: ReadonlyMap<number, bigint>,
  ends: ReadonlyMap<number, bigint>,
  partitions: readonly number[]
) {
  return partitions.every(partition => committed.get(partition) === ends.get(partition))
}

/** A commit of A that names a partition of B's, and what the server held before its answer left. */
interface ForeignCommit {
  readonly isRefused: boolean
  readonly foreign: ReadonlyMap<number, bigint>
  readonly own: ReadonlyMap<number, bigint>
  readonly committed: ReadonlyMap<number, bigint>
}

/** A's answers wait until the server was looked at: nothing else commits what A named, but B, who is at the ends. */
function watchForeignCommits(stage: Stage, tap: WireTap, taken: readonly number[]): ForeignCommit[] {
  const seen: ForeignCommit[] = []
  tap.tamper = async (exchange: Exchange, answer: TappedAnswer) => {
    if (exchange.action !== 'CommitConsumerOffsets' || exchange.request.Consumer !== 'A') return undefined
    const named = partitionsIn(exchange).map(({ partition, offset }) => [partition, offset ?? -1n] as const)
    const foreign = new Map(named.filter(([partition]) => taken.includes(partition)))
    if (foreign.size === 0) return undefined
    const own = new Map(named.filter(([partition]) => !taken.includes(partition)))
    const isRefused = answer.body.includes('"OperationDenied"')
    seen.push({ isRefused, foreign, own, committed: await stage.committed() })
    return undefined
  }
  return seen
}

/** The server did what the row says: so the consumer has met it. */
function assertTakenAs(quirks: Partial<Quirks>, late: ForeignCommit, ends: ReadonlyMap<number, bigint>): void {
  const { foreignCommit = 'refuse', refusedCommit = 'whole' } = quirks
  assert.equal(late.isRefused, foreignCommit === 'refuse')
  for (const [partition, offset] of late.foreign) {
    assert.ok(offset < (ends.get(partition) ?? 0n), 'it is late')
    const kept = foreignCommit === 'accept' ? offset : ends.get(partition)
    assert.equal(late.committed.get(partition), kept, `partition ${partition} of B`)
  }
  if (foreignCommit !== 'refuse') return
  for (const [partition, offset] of late.own) {
    const isKept = late.committed.get(partition) === offset
    assert.equal(isKept, refusedCommit === 'rest-kept', `partition ${partition} of A`)
  }
}
