/**
 * A consumer group that is deleted under its consumers: they make it again, join anew, and go on where they were. The
 * committed offsets went with the group: only the consumers know them, and what they do not know they read from the
 * beginning.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { finishSound } from './harness/ending.ts'
import type { Interruption, Sent } from './harness/evidence.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
/** So that an operator can make members leave: the service deletes no group that has some. */
const QUIRKS = { quirks: { lastBeat: 'leaves' } } as const

describe('a deleted group', { concurrency: 2 }, () => {
  for (const startFrom of ['begin', 'end'] as const) {
    test(`I6: deleted under a running consumer it is made again: startFrom ${startFrom} loses nothing`, TIMEOUT, () =>
      play({ partitionCount: 2, ...QUIRKS }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        for (const lane of lanes) await stage.producer.send(lane, 10)
        const run = stage.run('run', { options: { startFrom } })
        await run.holds(2)
        const before = startFrom === 'end' ? new Set(stage.producer.ids()) : new Set<string>()
        const load = stage.producer.keepSending(lanes)
        await load.rounds(5)
        const forgotten = await forgettableWork(stage, run)
        await deleteGroup(stage)
        await untilMadeAgain(stage, ['run'])
        await load.rounds(5)
        await load.stop()
        const due = dueAfter(stage, before)
        await finishSound(stage, { expected: due, interruptions: () => markLost(run, forgotten) })
      })
    )
  }

  test(
    'I6: deleted while its consumer could not reach it, it is made again, and startFrom end loses nothing',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        for (const lane of lanes) await stage.producer.send(lane, 10)
        const run = stage.run('run', { options: { startFrom: 'end' } })
        await run.holds(2)
        const before = new Set(stage.producer.ids())
        const load = stage.producer.keepSending(lanes)
        await load.rounds(5)
        const forgotten = await forgettableWork(stage, run)
        await deleteOutOfReach(stage)
        await stage.emulator.setFaults([])
        await untilMadeAgain(stage, ['run'])
        await load.rounds(5)
        await load.stop()
        const due = dueAfter(stage, before)
        await finishSound(stage, { expected: due, interruptions: () => markLost(run, forgotten) })
      })
  )

  test(
    'I6: what another consumer had read of a deleted group is read from its beginning, not lost to startFrom end',
    TIMEOUT,
    () =>
      play({ partitionCount: 4 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 4)
        for (const lane of lanes) await stage.producer.send(lane, 10)
        const part = { options: { startFrom: 'end' } } as const
        // Together, so that neither ever holds what the other does.
        const [a, b] = [stage.run('A', part), stage.run('B', part)]
        await Promise.all([a.holds(2), b.holds(2)])
        const before = new Set(stage.producer.ids())
        const load = stage.producer.keepSending(lanes)
        await load.rounds(5)
        await deleteOutOfReach(stage)
        // One does not come back: the other takes what it did not hold.
        await a.stop()
        await stage.emulator.setFaults([])
        await b.holds(4)
        await load.rounds(5)
        await load.stop()
        const due = dueAfter(stage, before)
        await stage.processed(due.keys())
        await stage.allCommitted()
        assert.equal((await b.stop()).code, undefined)
        // Nobody has told B how far A was.
        const interruptions = [...markLost(a, await everything(stage, a)), ...markLost(b, await everything(stage, b))]
        assertSound(stage.evidence({ expected: due, permitted: before, interruptions }))
      })
  )
})

/** No heartbeat comes through; once the server takes all members for gone, an operator deletes the group. */
async function deleteOutOfReach(stage: Stage): Promise<void> {
  await stage.emulator.setFaults([{ action: 'SendConsumerHeartbeat', fault: { kind: 'error', code: 'InternalError' } }])
  for (const consumer of stage.consumers) await consumer.event('leaseLost')
  await until('the server takes them for gone', async () => (await membersOf(stage)).length === 0)
  await stage.control.deleteConsumerGroup(stage.group)
}

/** As an operator does it: members are told to leave, then the group goes. They may come back in between. */
async function deleteGroup(stage: Stage): Promise<void> {
  const { control, group, topicId } = stage
  await until('the group is deleted', async () => {
    for (const consumer of await membersOf(stage)) {
      await control.sendConsumerHeartbeat({ group, consumer, held: [{ topicId, partitions: [] }] })
    }
    return await control.deleteConsumerGroup(group).then(
      () => true,
      () => false
    )
  })
}

async function membersOf(stage: Stage): Promise<readonly string[]> {
  const { groups } = await stage.snapshot()
  return groups.find(({ group }) => group === stage.group)?.consumers ?? []
}

/** The group is there, has these members, and every partition of the first topic has an owner. */
async function untilMadeAgain(stage: Stage, members: readonly string[]): Promise<void> {
  await stage.until('the group is there again', async () => {
    const { groups } = await stage.snapshot()
    const made = groups.find(({ group }) => group === stage.group)
    if (made === undefined || !members.every(member => made.consumers.includes(member))) return false
    return made.partitions.every(({ owner }) => owner !== null)
  })
}

/** What was processed and not committed before this moment may repeat: it is unknown to the group that is made again. */
async function forgettableWork(stage: Stage, run: ScenarioConsumer): Promise<Interruption[]> {
  return await stage.interruptions(run, 'lease-lost', 0)
}

/** Nothing that the consumer processed is known to be committed any more. */
async function everything(stage: Stage, consumer: ScenarioConsumer): Promise<Interruption[]> {
  const work = await stage.interruptions(consumer, 'lease-lost', 0)
  return work.map(interruption => ({ ...interruption, committedOffset: 0n }))
}

/** Work was cut off where the consumer heard that its partitions are lost: with the group, or before. */
function markLost(run: ScenarioConsumer, work: readonly Interruption[]): Interruption[] {
  return work.map(interruption => {
    const lost = run.events('leaseLost', ({ partition }) => partition === interruption.partition).at(-1)
    return { ...interruption, atMs: lost?.atMs ?? 0 }
  })
}

function dueAfter(stage: Stage, before: ReadonlySet<string>): Map<string, Sent> {
  return new Map([...stage.producer.acknowledged].filter(([id]) => !before.has(id)))
}
