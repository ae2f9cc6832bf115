/** Partitions that move from thread to thread under load: their order stays, and nothing is lost or processed twice. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LocalConsumer } from './harness/consumers.ts'
import { finishSound } from './harness/ending.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Load } from './harness/producer.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const THREADS = 3
const PARTITION_COUNT = 4
const PART = { options: { threads: THREADS, pullBytes: 4096 }, behaviour: { batchMs: 3 } } as const

describe('partitions that change threads', { concurrency: 2 }, () => {
  test(
    'I2: moved dozens of times under load, partitions keep their order, and nothing is lost or repeated',
    TIMEOUT,
    () =>
      play({ partitionCount: PARTITION_COUNT }, async stage => {
        const load = keepSending(stage)
        const run = stage.run('run', PART)
        await run.holds(PARTITION_COUNT)
        const movedCount = await moveAround(stage, run, 40)
        assert.ok(movedCount >= 30, `${movedCount} moves`)
        await finish(load)
        await finishSound(stage)
        for (let partition = 0; partition < PARTITION_COUNT; partition++) {
          assert.ok(threadsOf(stage, partition).size > 1, `partition ${partition} was processed on several threads`)
        }
      })
  )

  test('I2: moves while partitions are revoked and come back cost nothing', TIMEOUT, () =>
    play({ partitionCount: PARTITION_COUNT }, async stage => {
      const load = keepSending(stage)
      const run = stage.run('run', PART)
      await run.holds(PARTITION_COUNT)
      let isOver = false
      const moving = (async () => {
        let [movedCount, round] = [0, 0]
        while (!isOver) {
          movedCount += await moveAround(stage, run, PARTITION_COUNT, round)
          round += 1
        }
        return movedCount
      })()
      const guest = stage.run('guest', PART)
      await until('the guest has its half', () => guest.held().length === 2 && run.held().length === 2)
      await load.rounds(5)
      await guest.stop()
      await run.holds(PARTITION_COUNT)
      isOver = true
      assert.ok((await moving) > 10, 'there were moves all the time')
      await finish(load)
      await finishSound(stage)
    })
  )

  test('I2: moves while threads die lose nothing, and repeat only what the dead had not answered for', TIMEOUT, () =>
    play({ partitionCount: PARTITION_COUNT }, async stage => {
      const load = keepSending(stage)
      const { options, behaviour } = PART
      const part = { options: { ...options, backoffMs: 20 }, behaviour: { ...behaviour, dieFile: stage.dieFile } }
      const run = stage.run('run', part)
      await run.holds(PARTITION_COUNT)
      const uncommitted = await stage.interruptions(run, 'thread-lost', 0)
      for (let deathCount = 1; deathCount <= 3; deathCount++) {
        stage.killNextThread()
        await moveAround(stage, run, 2 * PARTITION_COUNT)
        await stage.until('the death was seen', () => deaths(run).length >= deathCount)
      }
      await finish(load)
      const atMs = deaths(run).at(-1)?.atMs ?? 0
      await finishSound(stage, { interruptions: () => uncommitted.map(place => ({ ...place, atMs })) })
    })
  )

  test('I2: of two partitions that are too much for their thread one moves to the idle one by itself', TIMEOUT, () =>
    play({ partitionCount: PARTITION_COUNT }, async stage => {
      const load = keepSending(stage)
      const run = stage.run('run', {
        options: { threads: 2, pullBytes: 4096, balanceIntervalMs: 300 },
        behaviour: { burn: { ms: 80, partitions: [0, 2] }, tellsHooks: true }
      })
      await run.holds(PARTITION_COUNT)
      const movedCount = () => [0, 2].filter(partition => threadsOf(stage, partition).size > 1).length
      await stage.until('one has moved', () => movedCount() > 0)
      assert.equal(movedCount(), 1)
      await load.stop()
      await finishSound(stage)
      assert.equal(movedCount(), 1, 'and nothing further')
      assert.equal((await run.snapshot()).moveCount, 1)
      const moved = [0, 2].find(partition => threadsOf(stage, partition).size > 1)
      const [from, to] = threadsOf(stage, moved ?? -1)
      const hooks = run.events('hook', ({ partition }) => partition === moved).map(({ text }) => text)
      assert.deepEqual(hooks, [`assign ${from}`, `revoke ${from}`, `assign ${to}`, `revoke ${to}`])
    })
  )

  test('a partition that is not held moves nowhere, and a thread that is not there is refused', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      await stage.producer.send(lane, 10)
      const run = stage.run('run', PART)
      await stage.processed(stage.producer.ids())
      const { topicId } = stage
      assert.equal(await run.moveToThread({ topicId, partition: 7 }, 0), false)
      await assert.rejects(run.moveToThread({ topicId, partition: 0 }, THREADS), { code: 'OPTIONS_INVALID' })
      await run.stop()
      assert.equal(await run.moveToThread({ topicId, partition: 0 }, 1), false)
      assert.deepEqual(assertSound(stage.evidence()).explained, [])
    })
  )
})

function keepSending(stage: Stage): Load {
  return stage.producer.keepSending(stage.producer.lanes(stage.topicId, PARTITION_COUNT))
}

/** One move after the other, each partition in turn to each thread in turn. How many took place. */
async function moveAround(stage: Stage, run: LocalConsumer, moveCount: number, round = 0): Promise<number> {
  let movedCount = 0
  for (let move = 0; move < moveCount; move++) {
    const partition = move % PARTITION_COUNT
    const thread = (partition + round + Math.floor(move / PARTITION_COUNT)) % THREADS
    const batchCount = run.events('batch').length
    if (await run.moveToThread({ topicId: stage.topicId, partition }, thread)) movedCount += 1
    // Something happens between two moves.
    await stage.until('a further batch', () => run.events('batch').length > batchCount)
  }
  return movedCount
}

async function finish(load: Load): Promise<void> {
  await load.rounds(3)
  await load.stop()
}

function deaths(run: LocalConsumer) {
  return run.events('retried', ({ code }) => code === 'THREAD_LOST')
}

function threadsOf(stage: Stage, partition: number): Set<number> {
  const { entries } = stage.evidence()
  return new Set(entries.filter(entry => entry.partition === partition).map(({ thread }) => thread))
}
