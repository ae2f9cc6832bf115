/** Threads that user code ends, or blocks until they are ended: replaced, their batches run again, and the heartbeat goes on. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ChildConsumer, ScenarioConsumer } from './harness/consumers.ts'
import { dueWithout, idsOfRange } from './harness/due.ts'
import { finishSound } from './harness/ending.ts'
import type { Interruption } from './harness/evidence.ts'
import { fillTwo, idAt, SMALL } from './harness/fill.ts'
import { logIdsOf, readLetters } from './harness/letters.ts'
import type { BatchLine, EventLine } from './harness/lines.ts'
import type { Manner } from './harness/misdeeds.ts'
import { play } from './harness/play.ts'
import { GROUP_TIMEOUT_MS, type Stage } from './harness/stage.ts'
import { nowMs, until } from './harness/until.ts'
import type { WireTap } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 120
const BAD = 60
const BAD_LANE = { name: 'lane0' } as const
const QUICK = { ...SMALL, backoffMs: 20, backoffMaxMs: 50 } as const
const IMPATIENT = { ...QUICK, processTimeoutMs: 300, abortGraceMs: 100 } as const

interface Row {
  readonly what: string
  readonly how: Manner
  readonly options: Readonly<Record<string, number>>
  readonly code: string
}

const DEATHS: readonly Row[] = [
  { what: 'process.exit', how: 'exit', options: QUICK, code: 'THREAD_LOST' },
  { what: 'an uncaught exception', how: 'uncaught', options: QUICK, code: 'THREAD_LOST' },
  { what: 'an unhandled rejection', how: 'rejection', options: QUICK, code: 'THREAD_LOST' },
  { what: 'an endless loop', how: 'loop', options: IMPATIENT, code: 'PROCESSOR_TIMEOUT' },
  { what: 'a blocking call', how: 'wait', options: IMPATIENT, code: 'PROCESSOR_TIMEOUT' }
]

describe('a thread that user code ends', { concurrency: 2 }, () => {
  for (const { what, how, options, code } of DEATHS) {
    test(
      `I2: ${what} costs its thread: hooks run on the next one, its batches run again, heartbeats leave on time`,
      TIMEOUT,
      () =>
        play({ partitionCount: 2 }, async stage => {
          const tap = await stage.tap()
          const lanes = stage.producer.lanes(stage.topicId, 2)
          const misdeeds = [{ id: idAt(BAD_LANE, BAD), how, attempts: 1 }]
          const run = stage.run('run', { options, behaviour: { misdeeds, tellsHooks: true } })
          await run.holds(2)
          const uncommitted = await stage.interruptions(run, 'thread-lost', 0)
          const load = stage.producer.keepSending(lanes)
          await stage.until('it has cost a thread', () => losses(run, code, 0).length > 0)
          await load.rounds(5)
          await load.stop()
          const atMs = losses(run, code).at(-1)?.atMs ?? 0
          const verdict = await finishSound(stage, {
            interruptions: () => uncommitted.map(place => ({ ...place, atMs }))
          })

          assertOpenOnesAlone(verdict.explained.map(({ first }) => first))
          assertHooks(run)
          assertOnTime(tap)
          assert.deepEqual(run.events('leaseLost'), [])
        })
    )
  }

  test('I1: heap exhaustion costs its thread, or its process as kill -9 does: nothing is lost', TIMEOUT, t =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const misdeeds = [{ id: idAt(lane0, BAD), how: 'heap', attempts: 1 }] as const
      const a = stage.fork('A', { options: { ...QUICK, threadHeapMb: 48 }, behaviour: { misdeeds } })
      await until('the heap is exhausted', () => a.hasEnded || losses(a, 'THREAD_LOST').length > 0)
      t.diagnostic(a.hasEnded ? 'heap exhaustion took the process' : 'heap exhaustion took the thread alone')
      await finishSound(stage, { interruptions: await survive(stage, a) })
    })
  )
})

describe('a batch that costs every thread', { concurrency: 2 }, () => {
  const options = { ...QUICK, attempts: 2 } as const

  test('I1: stop: the consumer stops before it with THREAD_LOST', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const run = await startDeadly(stage)
      const { code, text } = await run.finished()
      assert.equal(code, 'THREAD_LOST')
      assert.match(text ?? '', /2 threads have died with this batch/)
      assert.equal((await stage.committed()).get(0), losses(run, 'THREAD_LOST', 0)[0]?.offset)
      await finishWithNext(stage, run)
    })
  )

  test('skip: after two deaths the partition goes on behind it', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const run = await startDeadly(stage, { onFailure: 'skip' })
      const skipped = await run.event('skipped')
      await finishGiven(stage, run, skipped)
    })
  )

  test('dead-letter: after two deaths all its messages are written, and the partition goes on', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const deadLetterDirectory = join(stage.folder, 'dead')
      const run = await startDeadly(stage, { onFailure: 'dead-letter', deadLetterDirectory })
      const given = await run.event('deadLettered')
      const ids = await finishGiven(stage, run, given)
      const letters = await readLetters(deadLetterDirectory)
      assert.deepEqual(letters.flatMap(logIdsOf), ids)
      for (const { error, attempt } of letters) assert.deepEqual([error?.code, attempt], ['THREAD_LOST', 2])
    })
  )

  test('I1: park: after two deaths its partition stands before it, and the other goes on', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const run = await startDeadly(stage, { onFailure: 'park' })
      const parked = await run.event('parked')
      assert.equal(parked.code, 'THREAD_LOST')
      await stage.processed(stage.producer.ids().filter(id => id.startsWith('lane1-')))
      await stage.until('what came before is committed', async () => (await stage.committed()).get(0) === parked.offset)
      assert.equal((await run.stop()).code, undefined)
      await finishWithNext(stage, run)
    })
  )

  async function startDeadly(stage: Stage, more: Readonly<Record<string, string>> = {}) {
    await fillTwo(stage, LOG_COUNT)
    const misdeeds = [{ id: idAt(BAD_LANE, BAD), how: 'exit' }] as const
    return stage.run('run', { options: { ...options, ...more }, behaviour: { misdeeds } })
  }

  /** The next one reads on before the batch. The other partition's batch may have been done and not answered at a death. */
  async function finishWithNext(stage: Stage, run: ScenarioConsumer): Promise<void> {
    const deaths = losses(run, 'THREAD_LOST').map(({ partition = 0, atMs }) => lostThread(stage, partition, atMs))
    const unclean = await stage.interruptions(run, 'unclean', nowMs())
    stage.run('next', { options })
    const { explained } = await finishSound(stage, { interruptions: () => [...deaths, ...unclean] })
    assertOpenOnesAlone(explained.map(({ first }) => first))
  }

  /** What the policy has given up is not due. Returns it. */
  async function finishGiven(stage: Stage, run: ScenarioConsumer, event: EventLine): Promise<string[]> {
    assert.equal(event.code, 'THREAD_LOST')
    assert.equal(losses(run, 'THREAD_LOST', 0).length, 1, 'one retry')
    const ids = idsOfRange(BAD_LANE, event)
    const uncommitted = [...(await stage.committed()).keys()].map(partition => lostThread(stage, partition, event.atMs))
    const expected = dueWithout(stage.producer, ids)
    const { explained } = await finishSound(stage, { expected, interruptions: () => uncommitted })
    assertOpenOnesAlone(explained.map(({ first }) => first))
    return ids
  }
})

function lostThread({ topicId }: Stage, partition: number, atMs: number): Interruption {
  return { process: 'run', topicId, partition, kind: 'thread-lost', atMs, committedOffset: 0n }
}

function losses(run: ScenarioConsumer, code: string, partition?: number): EventLine[] {
  return run.events('retried', event => event.code === code && (partition ?? event.partition) === event.partition)
}

/** The thread alone, and the consumer goes on; or the process, and another consumer comes. */
async function survive(stage: Stage, a: ChildConsumer): Promise<() => readonly Interruption[]> {
  const kind = a.hasEnded ? 'killed' : 'thread-lost'
  const uncommitted = await stage.interruptions(a, kind, nowMs())
  if (a.hasEnded) stage.run('B', { options: QUICK })
  return () => uncommitted
}

/** Of each partition no more than the batch whose answer the thread took with it, for each death. */
function assertOpenOnesAlone(repeated: readonly { readonly partition: number; readonly startOffset: bigint }[]): void {
  for (const partition of [0, 1]) {
    const starts = new Set(
      repeated.filter(entry => entry.partition === partition).map(({ startOffset }) => startOffset)
    )
    assert.ok(starts.size <= 2, `batches of partition ${partition} that ran again: ${[...starts]}`)
  }
}

/** On each thread `start` comes first, and `assign` of a partition before its batches. */
function assertHooks(run: ScenarioConsumer): void {
  const lines = run.lines()
  const begun = lines.filter((line): line is BatchLine => line.kind === 'begin')
  const threads = new Set(begun.map(({ thread }) => thread))
  assert.ok(threads.size >= 2, 'a thread was replaced')
  for (const line of begun) {
    const hooks = run.events('hook', ({ text }) => text?.endsWith(` ${line.thread}`) === true)
    const earlier = hooks.filter(hook => lines.indexOf(hook) < lines.indexOf(line))
    assert.match(earlier[0]?.text ?? '', /^start /)
    const assigned = earlier.find(
      ({ text, partition }) => text?.startsWith('assign') === true && partition === line.partition
    )
    assert.ok(assigned !== undefined, `assign of partition ${line.partition} on thread ${line.thread}`)
  }
}

/** A beat is late where the service could have taken the group for gone. */
function assertOnTime(tap: WireTap): void {
  const beats = tap.of('SendConsumerHeartbeat', 'run').map(({ receivedMs }) => receivedMs)
  const gaps = beats.slice(1).map((atMs, index) => atMs - (beats[index] ?? 0))
  assert.ok(Math.max(...gaps) < GROUP_TIMEOUT_MS, `between two heartbeats: ${gaps.map(Math.round)} ms`)
}
