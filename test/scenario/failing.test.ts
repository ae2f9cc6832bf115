/** Logs that cannot be processed: the consumer stops before them, and whoever comes after, healed, loses nothing. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compress, decompress } from '../../src/cls/compression.ts'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'
import { nowMs } from './harness/until.ts'
import { type Exchange, readPull, type TappedAnswer } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
/** Small pulls, so that there are good batches before the bad one. */
const SMALL = { pullBytes: 4096 } as const
const LOG_COUNT = 120

describe('failing', { concurrency: 2 }, () => {
  test(
    'I1: a processor that throws stops the consumer with PROCESSOR_FAILED, uncommitted from the failed batch on',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [bad] = await fill(stage)
        const a = stage.run('A', { options: SMALL, behaviour: { failOn: bad } })
        const { code, text } = await a.finished()
        assert.equal(code, 'PROCESSOR_FAILED')
        assert.match(text ?? '', new RegExp(`the sink refuses ${bad}`))
        assert.ok(!a.processedIds().includes(bad))
        await assertCommittedBefore(stage, a)

        await finishWith(stage, 'B')
        assert.deepEqual(assertSound(stage.evidence()).explained, [], 'what was processed before it was committed')
      })
  )

  test('I1: an onResult that throws stops the consumer with ON_RESULT_FAILED, and its batch repeats', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [bad] = await fill(stage)
      const options = { ...SMALL, attempts: 2, backoffMs: 10 }
      const a = stage.run('A', { options, onResult: { failOn: bad } })
      const { code } = await a.finished()
      assert.equal(code, 'ON_RESULT_FAILED')
      const unclean = await stage.interruptions(a, 'unclean', nowMs())
      await assertCommittedBefore(stage, a)

      await finishWith(stage, 'B')
      const verdict = assertSound(stage.evidence({ interruptions: unclean }))
      assert.ok(
        verdict.explained.some(({ id }) => id === bad),
        'the log was processed, and its result not taken'
      )
    })
  )

  test(
    'an undecodable message stops the consumer with MESSAGE_CORRUPT and its place; the rest of its batch repeats',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        await fill(stage)
        tap.tamper = corruptMessage
        const a = stage.run('A', { options: SMALL })
        const { code, text } = await a.finished()
        assert.equal(code, 'MESSAGE_CORRUPT')
        assert.match(text ?? '', /message 1: .*partition 0, offset \d+/)
        const unclean = await stage.interruptions(a, 'unclean', nowMs())
        await assertCommittedBefore(stage, a)

        tap.tamper = () => undefined
        await finishWith(stage, 'B')
        assertSound(stage.evidence({ interruptions: unclean }))
      })
  )

  test('a body that is corrupt once is pulled again, and nothing is lost or repeated', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const tap = await stage.tap()
      await fill(stage)
      let cutCount = 0
      tap.tamper = (exchange, answer) => {
        const pull = readPull(exchange, answer)
        if (pull === undefined || pull.messages.length === 0) return undefined
        cutCount += 1
        // Every third response lacks its end.
        return cutCount % 3 === 2 ? answer.body.subarray(0, answer.body.length - 20) : undefined
      }
      const a = stage.run('A', { options: SMALL })
      await stage.processed(stage.producer.ids())
      await a.stop()
      assert.ok(a.events('retried', ({ code: found }) => found === 'BODY_CORRUPT').length > 0, 'a body was refused')
      assert.deepEqual(assertSound(stage.evidence()).explained, [])
      assert.deepEqual(await stage.committed(), await stage.ends())
    })
  )
})

/** Two full partitions. Returns the id of a log in the middle of the first. */
async function fill(stage: Stage): Promise<[string]> {
  const lanes = stage.producer.lanes(stage.topicId, 2)
  for (const lane of lanes) await stage.producer.send(lane, LOG_COUNT)
  const id = stage.producer.ids(lanes[0])[LOG_COUNT / 2]
  assert.ok(id !== undefined)
  return [id]
}

/** Partition 0 has a good batch and a bad one behind it, and is committed between them, as its release says. */
async function assertCommittedBefore(stage: Stage, consumer: ScenarioConsumer): Promise<void> {
  const committed = (await stage.committed()).get(0) ?? 0n
  const good = consumer.events('batch', ({ partition }) => partition === 0)
  assert.ok(good.length > 0, 'there were good batches before the bad one')
  assert.equal(committed, good.at(-1)?.nextOffset, 'committed is where the bad batch begins')
  assert.ok(committed < BigInt(LOG_COUNT / 2) + 1n)
  const [released] = consumer.events('released', ({ partition }) => partition === 0)
  assert.equal(released?.offset, committed)
}

async function finishWith(stage: Stage, process: string): Promise<void> {
  const consumer = stage.run(process)
  await stage.processed(stage.producer.ids())
  await stage.allCommitted()
  await consumer.stop()
}

/** In partition 0, from the middle on: message 1 of a response gets another version in its header. */
function corruptMessage(exchange: Exchange, answer: TappedAnswer): Buffer | undefined {
  const pull = readPull(exchange, answer)
  const [first, second] = pull?.messages ?? []
  const { PartitionId: partition, StartOffset: start } = exchange.request
  if (second === undefined || first === undefined || partition !== 0 || Number(start) === 0) return undefined
  const text = decompress(answer.body, 'snappy', 2 ** 26).toString()
  const message = Buffer.from(second, 'base64')
  message.writeInt32BE(1, 0)
  return compress(Buffer.from(text.replace(second, message.toString('base64'))), 'snappy')
}
