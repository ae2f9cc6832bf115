/** What no retry mends: the consumer stops before it, says what it was, and whoever comes after loses nothing. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Fault } from '../../src/emulator/start.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { finishSound } from './harness/ending.ts'
import { untilStruck } from './harness/faulted.ts'
import { play } from './harness/play.ts'
import { nowMs } from './harness/until.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 120
/** Small pulls, so that there are good batches before the bad one. */
const SMALL = { pullBytes: 4096 } as const

const FINAL: readonly (readonly [title: string, fault: Fault, code: ErrorCode])[] = [
  ['a message that is not base64', { kind: 'corrupt', what: 'base64' }, 'MESSAGE_CORRUPT'],
  ['a message whose header is wrong', { kind: 'corrupt', what: 'header' }, 'MESSAGE_CORRUPT'],
  ['a message that is no log group', { kind: 'corrupt', what: 'protobuf' }, 'MESSAGE_CORRUPT'],
  ['a refusal that nothing is known of', { kind: 'error', code: 'Gremlin' }, 'API_REFUSED'],
  ['the same inside a 200', { kind: 'error', code: 'Gremlin', wrapped: 'plain' }, 'API_REFUSED'],
  ['the same inside a snappy body', { kind: 'error', code: 'Gremlin', wrapped: 'snappy' }, 'API_REFUSED'],
  ['the same inside an lz4 body', { kind: 'error', code: 'Gremlin', wrapped: 'lz4' }, 'API_REFUSED']
]

describe('what cannot be read', { concurrency: 2 }, () => {
  for (const [title, fault, code] of FINAL) {
    test(
      `I1: ${title} stops the consumer with ${code}, uncommitted from there on; a restart loses nothing`,
      TIMEOUT,
      () =>
        play({ partitionCount: 2 }, async stage => {
          for (const lane of stage.producer.lanes(stage.topicId, 2)) await stage.producer.send(lane, LOG_COUNT)
          await stage.emulator.setFaults([{ action: 'pull_log', partition: 0, fault, after: 2, times: 1 }])
          const a = stage.run('A', { options: SMALL })
          const finished = await a.finished()
          assert.equal(finished.code, code)
          assert.match(finished.text ?? '', /partition 0, offset \d+/)
          await untilStruck(stage, 1)
          const unclean = await stage.interruptions(a, 'unclean', nowMs())
          const committed = (await stage.committed()).get(0) ?? 0n
          const good = a.events('batch', ({ partition }) => partition === 0)
          assert.ok(good.length > 0, 'there were good batches before the bad one')
          assert.equal(committed, good.at(-1)?.nextOffset, 'committed is where the bad batch begins')
          assert.ok(committed < BigInt(LOG_COUNT))

          stage.run('B')
          await finishSound(stage, { interruptions: () => unclean })
        })
    )
  }
})
