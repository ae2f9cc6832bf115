/** A stop that takes long says what for; one that does not says nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tellWaits } from '../../src/cli/stop-waits.ts'
import type { ConsumerPhase, ConsumerSnapshot, PartitionSnapshot } from '../../src/consumer-events.ts'
import { createFakeTime, createKeptLog } from '../cls/fakes.ts'
import { settingsWith } from '../support/settings.ts'

const BOUNDED = { timeout: 10_000 }

function bench(phase: ConsumerPhase, partitions: readonly PartitionSnapshot[] = []) {
  const time = createFakeTime()
  const log = createKeptLog()
  const controller = new AbortController()
  const counted = { batchCount: 0, logCount: 0, bodyBytes: 0, responseBytes: 0 }
  const givenUp = { skippedBatchCount: 0, skippedMessageCount: 0, deadLetterCount: 0 }
  let snapshot: ConsumerSnapshot = {
    phase,
    partitions,
    ...counted,
    ...givenUp,
    moveCount: 0,
    heldBytes: 0,
    heldBytesMax: 1
  }
  const waits = tellWaits({ snapshot: () => snapshot }, settingsWith({ hookTimeoutMs: 7000 }), {
    stop: controller.signal,
    clock: time.clock,
    timers: time.timers,
    log
  })
  return {
    time,
    waits,
    told: () => log.lines.splice(0).map(({ level, message, fields }) => [level, message, fields]),
    stop: () => {
      controller.abort()
      snapshot = { ...snapshot, phase: 'stopping' }
    },
    release: () => {
      snapshot = { ...snapshot, partitions: [] }
    }
  }
}

const HELD: PartitionSnapshot = {
  topicId: 't',
  partition: 3,
  epoch: 1,
  phase: 'draining',
  state: 'closing',
  startOffset: 0n,
  nextOffset: 0n,
  committedOffset: 0n
}

const LIMITS = { abortGraceMs: 5000, hookTimeoutMs: 7000, callTimeoutMs: 60_000 }

test('a stop while the consumer starts says every 5 s what is waited for and how long at most', BOUNDED, async () => {
  const { time, told, waits, stop } = bench('starting')
  await time.advance(60_000)
  assert.deepEqual(told(), [], 'nobody has asked for a stop')
  stop()
  await time.advance(4999)
  assert.deepEqual(told(), [], 'most stops are quick')
  await time.advance(5001)
  const what = "still stopping: waiting for the processor's `start`, or the service"
  const { hookTimeoutMs: _, ...ofStart } = LIMITS
  assert.deepEqual(told(), [
    ['warn', what, { afterMs: 5000, ...ofStart }],
    ['warn', what, { afterMs: 10_000, ...ofStart }]
  ])
  waits.cancel()
  await time.advance(60_000)
  assert.deepEqual([told(), time.pendingCount], [[], 0])
})

test(
  'a stop with partitions names them and all that each may take, then `stop` of the processor',
  BOUNDED,
  async () => {
    const { time, told, stop, release } = bench('running', [HELD, { ...HELD, partition: 5 }])
    stop()
    await time.advance(5000)
    release()
    await time.advance(5000)
    const { abortGraceMs: _, ...ofStop } = LIMITS
    assert.deepEqual(told(), [
      [
        'warn',
        'still stopping: waiting for open batches, `revoke` and the last commit of these partitions',
        { afterMs: 5000, partitions: 't/3, t/5', drainTimeoutMs: 30_000, ...LIMITS }
      ],
      ['warn', "still stopping: waiting for the processor's `stop`, or the service", { afterMs: 10_000, ...ofStop }]
    ])
  }
)

test('cancelled before any stop, nothing of it is left', BOUNDED, async () => {
  const { time, told, waits, stop } = bench('running', [HELD])
  waits.cancel()
  stop()
  await time.advance(60_000)
  assert.deepEqual([told(), time.pendingCount], [[], 0])
})
