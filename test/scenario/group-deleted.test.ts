/**
 * A consumer group that is deleted under its consumers: they make it again, join anew, and go on where they were. The
 * committed offsets went with the group: only the consumers know them, and what they do not know they read from the
 * beginning.
 */
import { describe, test } from 'node:test'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { finishSound } from './harness/ending.ts'
import type { Interruption } from './harness/evidence.ts'
import { play } from './harness/play.ts'
import type { Load } from './harness/producer.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
/** So that an operator can make members leave: the service deletes no group that has some. */
const QUIRKS = { quirks: { lastBeat: 'leaves' } } as const

describe('a deleted group', { concurrency: 2 }, () => {
  for (const startFrom of ['begin', 'end'] as const) {
    test(`I6: deleted under a running consumer it is made again: startFrom ${startFrom} loses nothing`, TIMEOUT, () =>
      play({ partitionCount: 2, ...QUIRKS }, async stage => {
        const { consumers, load, before } = await startUnderLoad(stage, ['run'], startFrom)
        const forgotten = await forgettableWork(stage, consumers)
        await deleteGroup(stage)
        await untilMadeAgain(stage, ['run'])
        await finish(stage, load, before, forgotten)
      })
    )
  }

  test('I6: deleted while its consumer cannot reach it, it is made again: startFrom end loses nothing', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const { consumers, load, before } = await startUnderLoad(stage, ['run'], 'end')
      const forgotten = await forgettableWork(stage, consumers)
      await deleteOutOfReach(stage)
      await stage.emulator.setFaults([])
      await untilMadeAgain(stage, ['run'])
      await finish(stage, load, before, forgotten)
    })
  )

  test('I6: what another consumer had read of it is read from its beginning, not lost to startFrom end', TIMEOUT, () =>
    play({ partitionCount: 4 }, async stage => {
      const { consumers, load, before } = await startUnderLoad(stage, ['A', 'B'], 'end')
      await deleteOutOfReach(stage)
      // One does not come back: the other takes what it did not hold, and nobody has told it how far that was read.
      const [a, b] = consumers
      await a?.stop()
      await stage.emulator.setFaults([])
      await b?.holds(4)
      const forgotten = await forgettableWork(stage, consumers)
      await finish(
        stage,
        load,
        before,
        forgotten.map(work => ({ ...work, committedOffset: 0n }))
      )
    })
  )
})

/** Consumers with an equal share each, which they got together: none ever held what another does. */
async function startUnderLoad(stage: Stage, names: readonly string[], startFrom: 'begin' | 'end') {
  const partitionCount = 2 * names.length
  const lanes = stage.producer.lanes(stage.topicId, partitionCount)
  for (const lane of lanes) await stage.producer.send(lane, 10)
  const consumers = names.map(name => stage.run(name, { options: { startFrom } }))
  await Promise.all(consumers.map(consumer => consumer.holds(2)))
  const before = new Set(startFrom === 'end' ? stage.producer.ids() : [])
  const load = stage.producer.keepSending(lanes)
  await load.rounds(5)
  return { consumers, load, before }
}

/** All that was written since they held their partitions is processed; what is forgotten may be processed again. */
async function finish(stage: Stage, load: Load, before: ReadonlySet<string>, forgotten: readonly Interruption[]) {
  await load.rounds(5)
  await load.stop()
  const expected = new Map([...stage.producer.acknowledged].filter(([id]) => !before.has(id)))
  const interruptions = (): Interruption[] => stage.consumers.flatMap(consumer => markLost(consumer, forgotten))
  await finishSound(stage, { expected, permitted: before, interruptions })
}

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
async function forgettableWork(stage: Stage, consumers: readonly ScenarioConsumer[]): Promise<Interruption[]> {
  return (await Promise.all(consumers.map(consumer => stage.interruptions(consumer, 'lease-lost', 0)))).flat()
}

/**
 * Work was cut off where its consumer gave the partition up: with the group, or before. A batch that was on its way to the
 * thread when its epoch ended may still have begun, and ends before the release.
 */
function markLost(consumer: ScenarioConsumer, forgotten: readonly Interruption[]): Interruption[] {
  const own = forgotten.filter(({ process }) => process === consumer.name)
  return own.map(interruption => {
    const { partition } = interruption
    const lost = consumer.events('leaseLost', event => event.partition === partition).at(-1)
    // It never had it: nothing of it was cut off.
    if (lost === undefined) return { ...interruption, atMs: 0 }
    const released = consumer.events('released', event => event.partition === partition && event.atMs >= lost.atMs)
    return { ...interruption, kind: 'unclean', atMs: released[0]?.atMs ?? lost.atMs }
  })
}
