/** Heartbeats that the server refuses, breaks off, garbles or takes late: the lease holds while it can, and only so long. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FaultRule } from '../../src/emulator/start.ts'
import { finishSound } from './harness/ending.ts'
import { COMMON_FAULTS, type FaultedRow, testRows } from './harness/faulted.ts'
import { play } from './harness/play.ts'
import { GROUP_TIMEOUT_MS } from './harness/stage.ts'
import { nowMs, until } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const action = 'SendConsumerHeartbeat'

/** The join goes through; of what comes after, every second request is struck, and tried again. */
const ROWS: readonly FaultedRow[] = [
  ...COMMON_FAULTS.map(
    ([title, fault, code]): FaultedRow => ({
      title: `heartbeats that meet ${title}`,
      rules: [{ action, fault, every: 2 }],
      struckCount: 1,
      ...(code === undefined ? {} : { code })
    })
  ),
  {
    title: 'a heartbeat whose answer is cut in half',
    rules: [{ action, fault: { kind: 'truncate' }, every: 2 }],
    struckCount: 1,
    code: 'API_MALFORMED'
  },
  {
    title: 'a heartbeat whose answer is garbled',
    rules: [{ action, fault: { kind: 'corrupt' }, every: 2 }],
    struckCount: 1,
    code: 'API_MALFORMED'
  },
  {
    title: 'a heartbeat that the server takes only after the next one should have left',
    rules: [{ action, fault: { kind: 'delay', ms: 1200 }, after: 1, times: 1 }],
    struckCount: 1,
    code: 'API_TIMEOUT'
  },
  {
    title: 'a heartbeat that is answered only after the next one should have left',
    rules: [{ action, fault: { kind: 'delay', ms: 1200, when: 'after' }, after: 1, times: 1 }],
    struckCount: 1,
    code: 'API_TIMEOUT'
  }
]

describe('faults of heartbeats', { concurrency: 3 }, () => {
  testRows(ROWS)

  const LASTING: readonly (readonly [title: string, fault: FaultRule['fault']])[] = [
    ['are refused', { kind: 'error', code: 'InternalError' }],
    ['are taken, and never answered', { kind: 'drop', when: 'answer' }]
  ]
  for (const [title, fault] of LASTING) {
    test(`I12: heartbeats that ${title} for longer than the lease end it, and the consumer joins anew`, TIMEOUT, () =>
      play({ partitionCount: 2 }, async stage => {
        const load = stage.producer.keepSending(stage.producer.lanes(stage.topicId, 2))
        const run = stage.run('run', { behaviour: { batchMs: 10 } })
        await run.holds(2)
        await load.rounds(5)
        await stage.emulator.setFaults([{ action, fault }])
        const faultyMs = nowMs()
        const { atMs } = await run.event('leaseLost')
        assert.ok(atMs < faultyMs + GROUP_TIMEOUT_MS + 1000, 'the lease ends without the server')
        const lost = await stage.interruptions(run, 'lease-lost', atMs)
        await stage.emulator.setFaults([])
        await until('all is held again', () => run.held().length === 2 && run.events('assigned').length === 4)
        await load.rounds(5)
        await load.stop()
        await finishSound(stage, { interruptions: () => lost })
      })
    )
  }
})
