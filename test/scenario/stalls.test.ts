/** Partitions that have something to do and do not come forward: told, with what they wait for. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { finishSound } from './harness/ending.ts'
import { fillTwo, idAt, SMALL } from './harness/fill.ts'
import { play } from './harness/play.ts'
import type { Part, Stage } from './harness/stage.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 120
const BAD = 60
const QUICK = { ...SMALL, stallMs: 1000 } as const

interface Row {
  readonly what: string
  readonly reason: RegExp
  /** Partition 0 stalls for as long as the gate is closed. */
  readonly part: (gateFile: string, bad: string) => Part
}

const STALLS: readonly Row[] = [
  {
    what: 'a processor that does not return',
    reason: /^processor running for \d+ s$/,
    part: gateFile => ({ behaviour: { hold: { gateFile, mode: 'wait', partition: 0 } } })
  },
  {
    what: 'a batch that fails again and again',
    reason: /^its batch has failed/,
    part: (whileFile, id) => ({
      options: { attempts: 1000, backoffMs: 700, backoffMaxMs: 700 },
      behaviour: { misdeeds: [{ id, how: 'throw', whileFile }] }
    })
  },
  {
    what: 'an onResult that does not return',
    reason: /^onResult has not returned/,
    part: gateFile => ({ onResult: { gateFile, partition: 0 } })
  }
]

describe('stalls', { concurrency: 2 }, () => {
  for (const { what, reason, part } of STALLS) {
    test(`${what} is told as a stall of its partition, again and again, and of no other`, TIMEOUT, () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0] = await fillTwo(stage, LOG_COUNT)
        const gate = stage.gate('gate')
        const { options, ...rest } = part(gate.gateFile, idAt(lane0, BAD))
        const run = stage.run('run', { ...rest, options: { ...QUICK, ...options } })
        await stage.until('it is told twice', () => run.events('stalled').length === 2)
        const stalls = run.events('stalled')
        const { offset } = stalls[0] ?? {}
        for (const stall of stalls) {
          assert.match(stall.text ?? '', reason)
          assert.deepEqual([stall.partition, stall.offset], [0, offset])
        }
        assert.equal((await stage.committed()).get(0), offset)
        assert.match(run.log(), new RegExp(`WARN +stalled .*partition=0 offset=${offset} stalledMs=\\d+ reason=`))
        gate.open()
        await finishSound(stage)
      })
    )
  }

  test('a partition that is parked is a stall, and one that is paused, or has nothing new, is none', TIMEOUT, () =>
    play({ partitionCount: 3 }, async stage => {
      const lanes = stage.producer.lanes(stage.topicId, 3)
      for (const lane of lanes.slice(0, 2)) await stage.producer.send(lane, LOG_COUNT)
      const gate = stage.gate('the sink is down')
      const misdeeds = [{ id: 'lane0-61', how: 'throw', whileFile: gate.gateFile }] as const
      const options = { ...QUICK, attempts: 1, onFailure: 'park', drainTimeoutMs: 200 } as const
      const run = stage.run('run', { options, behaviour: { misdeeds } })
      await run.holds(3)
      assert.equal(run.pause({ topicId: stage.topicId, partition: 1 }), true)
      await stage.until('it is told twice', () => run.events('stalled').length === 2)
      for (const { partition, text } of run.events('stalled')) {
        assert.equal(partition, 0)
        assert.match(text ?? '', /^it is parked/)
      }
      await stop(stage)
    })
  )

  test('pulls that the service throttles are a stall, with its word', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      await fillTwo(stage, LOG_COUNT)
      const fault = { kind: 'error', code: 'RequestLimitExceeded.UinLimitExceeded' } as const
      await stage.emulator.setFaults([{ action: 'pull_log', partition: 0, fault }])
      const run = stage.run('run', { options: QUICK })
      const stall = await run.event('stalled')
      assert.equal(stall.partition, 0)
      assert.match(stall.text ?? '', /throttled by the service: .*RequestLimitExceeded/)
      await stage.emulator.setFaults([])
      await finishSound(stage)
    })
  )

  test('I1: onStall stop ends the consumer with PARTITION_STALLED, and the next one loses nothing', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      await fillTwo(stage, LOG_COUNT)
      const hold = { gateFile: stage.gate('gate').gateFile, mode: 'heed', partition: 0 } as const
      const options = { ...QUICK, onStall: 'stop', drainTimeoutMs: 200 } as const
      const a = stage.run('A', { options, behaviour: { hold } })
      const { code, text } = await a.finished()
      assert.equal(code, 'PARTITION_STALLED')
      assert.match(text ?? '', /no progress for \d+ ms: processor running for \d+ s.*partition 0, offset 0/)
      stage.run('B', { options: SMALL })
      await finishSound(stage)
    })
  )
})

/** What stands still stays so. */
async function stop(stage: Stage): Promise<void> {
  for (const consumer of stage.consumers) assert.equal((await consumer.stop()).code, undefined)
}
