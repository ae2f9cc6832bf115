/** Several consumers of one process on one pool of threads: they share the threads, and nothing else. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SharedThreads } from '../../src/dispatch/shared-threads.ts'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { finishSound } from './harness/ending.ts'
import type { BatchLine } from './harness/lines.ts'
import { play } from './harness/play.ts'
import type { Lane } from './harness/producer.ts'
import { OTHER_PROCESSOR } from './harness/recording.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const PATIENCE = { drainTimeoutMs: 300, abortGraceMs: 300, threadExitMs: 5000 } as const

describe('consumers that share threads', { concurrency: 2 }, () => {
  test(
    'two consumers of one group share two threads; one leaves, the other takes over, nothing is lost or repeated',
    TIMEOUT,
    () =>
      play({ partitionCount: 4 }, async stage => {
        const options = { sharedThreads: new SharedThreads({ threads: 2 }) }
        const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 4))
        const [a, b] = [stage.run('A', { options }), stage.run('B', { options })]
        await Promise.all([a.holds(2), b.holds(2)])
        await load.rounds(10)
        await a.stop()
        await b.holds(4)
        await load.rounds(5)
        await load.stop()
        await finishSound(stage)
        const [ofA, ofB] = [threadsOf(stage, 'A'), threadsOf(stage, 'B')]
        assert.deepEqual(ofA, ofB, 'the same threads')
        assert.equal(ofA.length, 2)
      })
  )

  test(
    'two consumers with processors, groups and topics of their own share one thread, each with its own state',
    TIMEOUT,
    () =>
      play({ topicCount: 2, partitionCount: 2 }, async stage => {
        const sharedThreads = new SharedThreads({ threads: 1 })
        const [, b] = startApart(stage, sharedThreads, { second: { processor: OTHER_PROCESSOR } })
        for (let round = 0; round < 3; round++) {
          await send(lanesOf(stage).flat())
          await stage.processed(stage.producer.ids())
        }
        await b.stop()
        // The other one goes on, on the same thread.
        await send(lanesOf(stage)[0])
        await finishSound(stage)
        assert.equal(new Set(stage.evidence().entries.map(({ thread }) => thread)).size, 1)
        assert.equal(b.events('started').length, 1)
        const batchCount = b.lines().filter(({ kind }) => kind === 'begin').length
        assert.deepEqual(
          b.events('ended').map(({ text }) => text),
          [`other ${batchCount}`]
        )

        async function send(lanes: readonly Lane[]): Promise<void> {
          for (const lane of lanes) await stage.producer.send(lane, 20)
        }
      })
  )

  test(
    'I2: where one has its thread terminated, the open batch of the other runs again, on the thread that follows',
    TIMEOUT,
    () =>
      play({ topicCount: 2, partitionCount: 1 }, async stage => {
        const sharedThreads = new SharedThreads({ threads: 1, threadExitMs: PATIENCE.threadExitMs })
        const [bad, good] = [stage.gate('bad'), stage.gate('good')]
        const [a, b] = startApart(stage, sharedThreads, {
          first: { options: PATIENCE, behaviour: { hold: { gateFile: bad.gateFile, mode: 'block' } } },
          second: { behaviour: { hold: { gateFile: good.gateFile, mode: 'wait' } } }
        })
        await Promise.all([a.holds(1), b.holds(1)])
        const [[first], [second]] = lanesOf(stage)
        assert.ok(first !== undefined && second !== undefined)
        await stage.producer.send(second, 10)
        await until('a batch of B waits on the thread', () => begun(b).length === 1)
        await stage.producer.send(first, 10)
        await until('A blocks it', () => begun(a).length === 1)
        assert.equal((await a.stop()).code, undefined)
        assert.match(a.log(), /terminating the thread/)
        await stage.until('the batch of B is begun again', () => begun(b).length === 2)
        const [once, again] = begun(b)
        assert.notEqual(again?.thread, once?.thread)
        good.open()
        bad.open()
        await stage.processed(stage.producer.ids(second))
        await stage.producer.send(second, 10)
        await stage.processed(stage.producer.ids(second))
        assert.equal((await b.stop()).code, undefined)
        for (const name of ['failed', 'leaseLost']) assert.deepEqual(b.events(name), [], `B tells of no ${name}`)

        stage.run('next', { options: { sharedThreads, group: 'first', topicIds: [stage.topicId] } })
        await finishSound(stage)
      })
  )

  test('a pool whose last consumer has stopped boots anew for the next', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const options = { sharedThreads: new SharedThreads({ threads: 1 }) }
      const [lane] = stage.producer.lanes(stage.topicId, 1)
      assert.ok(lane !== undefined)
      for (const name of ['one', 'two']) {
        await stage.producer.send(lane, 10)
        const run = stage.run(name, { options })
        await stage.processed(stage.producer.ids())
        assert.equal((await run.stop()).code, undefined)
      }
      await finishSound(stage)
      assert.equal(new Set(stage.evidence().entries.map(({ thread }) => thread)).size, 2, 'a thread each')
    })
  )
})

type Parts = { readonly [K in 'first' | 'second']?: Parameters<Stage['run']>[1] }

/** A reads the first topic, B the second, in a group each. */
function startApart(stage: Stage, sharedThreads: SharedThreads, parts: Parts): [ScenarioConsumer, ScenarioConsumer] {
  const [topicA = '', topicB = ''] = stage.emulator.topicIds
  const start = (name: string, group: string, topicId: string, part: Parts['first'] = {}): ScenarioConsumer =>
    stage.run(name, { ...part, options: { sharedThreads, group, topicIds: [topicId], ...part.options } })
  return [start('A', 'first', topicA, parts.first), start('B', 'second', topicB, parts.second)]
}

/** A lane to each partition, by topic. */
function lanesOf(stage: Stage): [Lane[], Lane[]] {
  const [first = '', second = ''] = stage.emulator.topicIds
  return [stage.producer.lanes(first, 2), stage.producer.lanes(second, 2)]
}

function begun(consumer: ScenarioConsumer): BatchLine[] {
  return consumer.lines().filter((line): line is BatchLine => line.kind === 'begin')
}

/** The threads on which a consumer's batches were processed, by id. */
function threadsOf(stage: Stage, process: string): number[] {
  const threads = stage.evidence().entries.filter(entry => entry.process === process)
  return [...new Set(threads.map(({ thread }) => thread))].sort((a, b) => a - b)
}
