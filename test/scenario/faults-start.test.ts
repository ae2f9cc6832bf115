/**
 * The way into the group under fire: positions, partitions, the group itself. An error is never read as "no offset" (I6):
 * with `startFrom: end` that would lose what was written while nobody ran.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FaultRule } from '../../src/emulator/start.ts'
import { finishSound } from './harness/ending.ts'
import { COMMON_FAULTS, hasTold, untilStruck } from './harness/faulted.ts'
import { play } from './harness/play.ts'
import { GROUP_TIMEOUT_MS } from './harness/stage.ts'

const TIMEOUT = { timeout: 60_000 }
const OTHER_TIMEOUT_S = 30

const FAULTS = [
  ...COMMON_FAULTS,
  ['an answer cut in half', { kind: 'truncate' }, 'API_MALFORMED'],
  ['a garbled answer', { kind: 'corrupt' }, 'API_MALFORMED']
] as const

describe('faults on the way in', { concurrency: 3 }, () => {
  for (const [title, fault, code] of FAULTS) {
    test(`I6: positions that meet ${title} are asked for again: startFrom end loses nothing`, TIMEOUT, () =>
      play({ partitionCount: 2 }, async stage => {
        const lanes = stage.producer.lanes(stage.topicId, 2)
        for (const lane of lanes) await stage.producer.send(lane, 20)
        const one = stage.run('one')
        await stage.processed(stage.producer.ids())
        await one.stop()
        for (const lane of lanes) await stage.producer.send(lane, 20)
        // Of begin and end, both.
        await stage.emulator.setFaults([{ action: 'DescribeConsumerOffsets', fault, times: 2 }])
        const two = stage.run('two', { options: { startFrom: 'end' } })
        await untilStruck(stage, 2)
        await finishSound(stage)
        if (code !== undefined) assert.ok(hasTold(two, code), `it says that it met ${code}`)
      })
    )
  }

  const ACTIONS = [
    'DescribeConsumerGroups',
    'CreateConsumerGroup',
    'DescribePartitions',
    'SendConsumerHeartbeat',
    'DescribeConsumerOffsets',
    'CommitConsumerOffsets',
    'pull_log'
  ]
  for (const [title, fault] of FAULTS) {
    test(`a first start whose every action meets ${title} goes through, and nothing is lost`, TIMEOUT, () =>
      play(
        { partitionCount: 2, faults: ACTIONS.map((action): FaultRule => ({ action, fault, times: 1 })) },
        async stage => {
          for (const lane of stage.producer.lanes(stage.topicId, 2)) await stage.producer.send(lane, 20)
          stage.run('run')
          await untilStruck(stage, 1)
          await finishSound(stage)
        }
      )
    )
  }

  // The kinds that differ in whether it took effect; pages and delays are no other matter here than above.
  for (const [title, fault] of FAULTS.filter(([, { kind }]) => ['error', 'drop', 'truncate'].includes(kind))) {
    test(`a group with another timeout is changed although the change meets ${title}`, TIMEOUT, () =>
      play({ partitionCount: 2 }, async stage => {
        const [group, topicIds] = [stage.group, [stage.topicId]]
        await stage.control.createConsumerGroup({ group, timeoutSeconds: OTHER_TIMEOUT_S, topicIds })
        await stage.emulator.setFaults([{ action: 'ModifyConsumerGroup', fault, times: 1 }])
        for (const lane of stage.producer.lanes(stage.topicId, 2)) await stage.producer.send(lane, 20)
        stage.run('run')
        await untilStruck(stage, 1)
        await finishSound(stage)
        const { groups } = await stage.snapshot()
        assert.deepEqual(
          groups.map(({ timeoutSeconds }) => timeoutSeconds),
          [GROUP_TIMEOUT_MS / 1000]
        )
      })
    )

    test(`a group made to ask for ends is deleted although its deletion meets ${title}`, TIMEOUT, () =>
      play({ partitionCount: 2, quirks: { offsetType: 'refused', noOffset: 'position' } }, async stage => {
        for (const lane of stage.producer.lanes(stage.topicId, 2)) await stage.producer.send(lane, 20)
        // With everything committed, `OffsetType` 0 tells nothing of the end: it takes another group to ask.
        stage.run('first')
        await finishSound(stage)
        for (const lane of stage.producer.lanes(stage.topicId, 2)) await stage.producer.send(lane, 20)
        await stage.emulator.setFaults([{ action: 'DeleteConsumerGroup', fault, times: 1 }])
        const run = stage.run('bounded', { options: { stopAt: 'now' } })
        assert.equal((await run.finished()).code, undefined)
        await untilStruck(stage, 1)
        await finishSound(stage)
        const { groups } = await stage.snapshot()
        assert.deepEqual(
          groups.map(({ group }) => group),
          [stage.group],
          'none is left behind'
        )
      })
    )
  }
})
