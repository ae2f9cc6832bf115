/**
 * Topics that the service refuses: closed, or without permission. One of two: the other goes on, the consumer says what is
 * wrong, and comes back to the topic by itself. All of them: the consumer stops with what the service said.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FaultRule } from '../../src/emulator/start.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { type Ending, finishSound } from './harness/ending.ts'
import type { Interruption } from './harness/evidence.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Lane } from './harness/producer.ts'
import type { Stage } from './harness/stage.ts'
import { nowMs } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }

interface Refusal {
  readonly title: string
  readonly rule: FaultRule
  readonly code: ErrorCode
  /** Asked before anything of a topic can be read. */
  readonly isAskedFirst: boolean
}

const REFUSALS: readonly Refusal[] = [
  {
    title: 'pulls are not allowed',
    rule: { action: 'pull_log', fault: { kind: 'error', code: 'NotAllowed' } },
    code: 'API_UNAUTHORIZED',
    isAskedFirst: false
  },
  {
    title: 'pulls are not allowed, as a compressed 200 says',
    rule: { action: 'pull_log', fault: { kind: 'error', code: 'NotAllowed', wrapped: 'snappy' } },
    code: 'API_UNAUTHORIZED',
    isAskedFirst: false
  },
  {
    title: 'the topic is closed',
    rule: { action: 'pull_log', fault: { kind: 'error', code: 'TopicClosed' } },
    code: 'API_TOPIC_CLOSED',
    isAskedFirst: false
  },
  {
    title: 'commits are not permitted',
    rule: { action: 'CommitConsumerOffsets', fault: { kind: 'error', code: 'UnauthorizedOperation' } },
    code: 'API_UNAUTHORIZED',
    isAskedFirst: false
  },
  {
    title: 'positions are not told',
    rule: { action: 'DescribeConsumerOffsets', fault: { kind: 'error', code: 'UnauthorizedOperation' } },
    code: 'API_UNAUTHORIZED',
    isAskedFirst: true
  },
  {
    title: 'partitions are not told',
    rule: { action: 'DescribePartitions', fault: { kind: 'error', code: 'UnauthorizedOperation' } },
    code: 'API_UNAUTHORIZED',
    isAskedFirst: true
  }
]

describe('refused topics', { concurrency: 2 }, () => {
  for (const refusal of REFUSALS) {
    test(`of two topics, ${refusal.title} for one from the start: the other is read, then both`, TIMEOUT, () =>
      play({ topicCount: 2, partitionCount: 2 }, async stage => {
        const [good, bad] = lanesOfBoth(stage)
        await send(stage, [...good, ...bad])
        await refuse(stage, refusal)
        stage.run('run')
        await assertOneGoesOn(stage, refusal)
      })
    )

    if (!refusal.isAskedFirst) {
      test(`of two topics, ${refusal.title} for one while it runs: the other goes on, then both`, TIMEOUT, () =>
        play({ topicCount: 2, partitionCount: 2 }, async stage => {
          const [good, bad] = lanesOfBoth(stage)
          await send(stage, [...good, ...bad])
          stage.run('run')
          await stage.processed(stage.producer.ids())
          await refuse(stage, refusal)
          await send(stage, [...good, ...bad])
          await assertOneGoesOn(stage, refusal)
        })
      )
    }

    test(
      `where ${refusal.title} for all topics, the consumer stops with ${refusal.code}; a restart loses nothing`,
      TIMEOUT,
      () =>
        play({ topicCount: 2, partitionCount: 1, faults: [refusal.rule] }, async stage => {
          const [good, bad] = lanesOfBoth(stage)
          await send(stage, [...good, ...bad])
          const run = stage.run('run')
          const { code } = await run.finished()
          assert.equal(code, refusal.code)
          const cut = await stage.interruptions(run, 'unclean', nowMs())
          await stage.emulator.setFaults([])
          stage.run('next')
          await finishSound(stage, cutShort(refusal, cut))
        })
    )
  }

  test(
    'a closed topic that is the only one stops the consumer with API_TOPIC_CLOSED, with all before it committed',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        await send(stage, lanes)
        const run = stage.run('run')
        await stage.processed(stage.producer.ids())
        await stage.emulator.setFaults([{ action: 'pull_log', fault: { kind: 'error', code: 'TopicClosed' } }])
        const { code, text } = await run.finished()
        assert.equal(code, 'API_TOPIC_CLOSED')
        assert.match(text ?? '', new RegExp(stage.topicId))
        assert.deepEqual(await stage.committed(), await stage.ends())
        assert.deepEqual(assertSound(stage.evidence()).explained, [])
      })
  )
})

/** Two lanes to each topic; the second is the one in trouble. */
function lanesOfBoth(stage: Stage): [good: Lane[], bad: Lane[]] {
  const [first = '', second = ''] = stage.emulator.topicIds
  return [stage.producer.lanes(first, 2), stage.producer.lanes(second, 2)]
}

async function send(stage: Stage, lanes: readonly Lane[]): Promise<void> {
  for (const lane of lanes) await stage.producer.send(lane, 15)
}

function refusedTopic(stage: Stage): string {
  const [, topicId] = stage.emulator.topicIds
  assert.ok(topicId !== undefined)
  return topicId
}

async function refuse(stage: Stage, { rule }: Refusal): Promise<void> {
  await stage.emulator.setFaults([{ ...rule, topicId: refusedTopic(stage) }])
}

/** The trouble is told, the other topic is read on; then the trouble ends, which is told too, and nothing was lost. */
async function assertOneGoesOn(stage: Stage, refusal: Refusal): Promise<void> {
  const [run] = stage.consumers
  assert.ok(run !== undefined)
  const topicId = refusedTopic(stage)
  const refused = await run.event('topicRefused')
  assert.deepEqual([refused.topicId, refused.code], [topicId, refusal.code])
  assert.match(run.log(), new RegExp(`ERROR .*${topicId}`), 'an error in the log says so')
  const [good] = lanesOfBoth(stage)
  await send(stage, good)
  const isGood = (id: string): boolean => stage.producer.acknowledged.get(id)?.topicId === stage.topicId
  await stage.processed(stage.producer.ids().filter(isGood))
  await stage.until('the good one is committed', async () => {
    const [committed, ends] = [await stage.committed(), await stage.ends()]
    return [...ends].every(([partition, end]) => committed.get(partition) === end)
  })
  assert.deepEqual(run.events('topicRestored'), [])

  const [committedBefore, sentBefore] = [await stage.interruptions(run, 'unclean', 0), stage.producer.ids()]
  await stage.emulator.setFaults([])
  const restored = await run.event('topicRestored')
  assert.equal(restored.topicId, topicId)
  await stage.processed(sentBefore)
  await send(stage, lanesOfBoth(stage).flat())
  const cut = committedBefore
    .filter(place => place.topicId === topicId)
    .map(place => ({ ...place, atMs: restored.atMs }))
  await finishSound(stage, cutShort(refusal, cut))
  assert.equal(run.events('topicRefused').length, 1, 'told once')
}

/** What was processed while it could not be committed may repeat; nothing else may. */
function cutShort({ rule }: Refusal, interruptions: readonly Interruption[]): Ending {
  return rule.action === 'CommitConsumerOffsets' ? { interruptions: () => interruptions } : {}
}
