/** Messages with a `NextOffset` that does not lead on: pulled again, and in the end a stop, never dropped, never twice. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compress, decompress } from '../../src/cls/compression.ts'
import { int64 } from '../../src/cls/json.ts'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { finishSound } from './harness/ending.ts'
import type { Interruption } from './harness/evidence.ts'
import { play } from './harness/play.ts'
import type { Lane } from './harness/producer.ts'
import type { Stage } from './harness/stage.ts'
import { nowMs } from './harness/until.ts'
import { readPull, type Tamper } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const SMALL = { pullBytes: 4096 } as const

/** What the second response with messages says instead of where it leads. */
const WRONG: readonly (readonly [title: string, next: (start: bigint) => bigint])[] = [
  ['the offset that was pulled from', start => start],
  ['an offset before it', start => start - 3n],
  ['0', () => 0n],
  ['-1', () => -1n]
]

describe('a next offset that does not advance', { concurrency: 2 }, () => {
  for (const [title, next] of WRONG) {
    test(`once: with messages and ${title}, the consumer pulls again and goes on`, TIMEOUT, () =>
      play({ partitionCount: 1 }, async stage => {
        const tap = await stage.tap()
        await fill(stage)
        let tamperedCount = 0
        tap.tamper = stuckAfterFirst(next, () => {
          tamperedCount += 1
          return tamperedCount === 1
        })
        const run = stage.run('run', { options: SMALL })
        await finishSound(stage, { interruptions: () => seenTwice(stage, run) })
        assert.ok(run.events('retried', ({ code }) => code === 'NEXT_OFFSET_STUCK').length > 0, 'it is said')
      })
    )
  }

  test(
    'I1: for ever: the consumer stops with NEXT_OFFSET_STUCK before these messages; a restart loses nothing',
    TIMEOUT,
    () =>
      play({ partitionCount: 1 }, async stage => {
        const tap = await stage.tap()
        await fill(stage)
        tap.tamper = stuckAfterFirst(
          start => start,
          () => true
        )
        const run = stage.run('run', { options: SMALL })
        const { code, text } = await run.finished()
        assert.equal(code, 'NEXT_OFFSET_STUCK')
        assert.match(text ?? '', /partition 0, offset \d+/)
        const committed = (await stage.committed()).get(0) ?? -1n
        assert.equal(committed, run.events('batch').at(-1)?.nextOffset, 'committed up to where it is stuck')

        tap.tamper = () => undefined
        const unclean = await stage.interruptions(run, 'unclean', nowMs())
        stage.run('next')
        await finishSound(stage, { interruptions: () => unclean })
      })
  )
})

async function fill(stage: Stage): Promise<Lane> {
  const [lane] = stage.producer.lanes(stage.topicId, 1)
  assert.ok(lane !== undefined)
  await stage.producer.send(lane, 120)
  return lane
}

/** Responses with messages, but for those of the first offset, get another `NextOffset`, as long as `isMeant` says so. */
function stuckAfterFirst(next: (start: bigint) => bigint, isMeant: () => boolean): Tamper {
  return (exchange, answer) => {
    const pull = readPull(exchange, answer)
    if (pull === undefined || pull.messages.length === 0) return undefined
    const start = int64(exchange.request.StartOffset) ?? 0n
    if (start === 0n || !isMeant()) return undefined
    const text = decompress(answer.body, 'snappy', 2 ** 26).toString()
    return compress(Buffer.from(text.replace(/"NextOffset":-?\d+/, `"NextOffset":${next(start)}`)), 'snappy')
  }
}

/** The processor may have seen the messages before their offset was found wrong: then they come twice, by the service's doing. */
function seenTwice({ topicId }: Stage, run: ScenarioConsumer): Interruption[] {
  const [retried] = run.events('retried', ({ code }) => code === 'NEXT_OFFSET_STUCK')
  const atMs = retried?.atMs ?? 0
  return [{ process: run.name, topicId, partition: 0, kind: 'unclean', atMs, committedOffset: 1n }]
}
