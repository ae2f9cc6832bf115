/** What cannot be decoded: message by message, or a whole body, by the same policy as a processor that fails. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ScenarioConsumer } from './harness/consumers.ts'
import { dueWithout } from './harness/due.ts'
import { finishSound } from './harness/ending.ts'
import { fillTwo, idAt, SMALL } from './harness/fill.ts'
import { readLetters } from './harness/letters.ts'
import type { EventLine } from './harness/lines.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'
import { nowMs } from './harness/until.ts'
import { pullsFrom, readPull, type WireTap } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 120
const LAYERS = ['base64', 'header', 'protobuf'] as const
/** The first pull and three more. */
const BODY_PULLS = 5

describe('poison messages', { concurrency: 2 }, () => {
  for (const layer of LAYERS) {
    test(
      `dead-letter: a message whose ${layer} is damaged is written as it came, the others are processed`,
      TIMEOUT,
      () =>
        play(damaged(layer), async stage => {
          const tap = await stage.tap()
          const [lane0] = await fillTwo(stage, LOG_COUNT)
          const options = { ...SMALL, onFailure: 'dead-letter', deadLetterDirectory: folderOf(stage) } as const
          const run = stage.run('run', { options })
          const given = await run.event('deadLettered')
          assert.deepEqual([given.count, given.code], [1, 'MESSAGE_CORRUPT'])
          const [letter, ...others] = await readLetters(folderOf(stage))
          assert.ok(letter?.kind === 'message' && others.length === 0)
          const { startOffset, messageIndex } = letter
          const id = idAt(lane0, Number(startOffset) + messageIndex)
          await finishSound(stage, { expected: dueWithout(stage.producer, [id]) })

          assert.ok(!run.processedIds().includes(id))
          assert.match(letter.reason, /^MESSAGE_CORRUPT: /)
          const pulled = pullsFrom(tap, 0, startOffset).map(exchange => readPull(exchange)?.messages[messageIndex])
          assert.deepEqual(
            [letter.readRaw().toString()],
            pulled.map(text => JSON.stringify(text))
          )
        })
    )
  }

  test('skip: a message that cannot be decoded is counted and told, the others are processed', TIMEOUT, () =>
    play(damaged('header'), async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const run = stage.run('run', { options: { ...SMALL, onFailure: 'skip' } })
      const skipped = await run.event('skipped')
      assert.deepEqual([skipped.count, skipped.code], [1, 'MESSAGE_CORRUPT'])
      const [, index] = /WARN +skipped .*messages=1 firstMessage=(\d+)/.exec(run.log()) ?? []
      const id = idAt(lane0, Number(skipped.offset) + Number(index))
      await finishSound(stage, { expected: dueWithout(stage.producer, [id]) })
      assert.ok(!run.processedIds().includes(id))
      assert.equal((await run.snapshot()).skippedMessageCount, 1)
    })
  )

  test(
    'I1: stop: a message that cannot be decoded stops the consumer before its response, and the next one reads it again',
    TIMEOUT,
    () =>
      play(damaged('base64'), async stage => {
        await fillTwo(stage, LOG_COUNT)
        const a = stage.fork('A', { options: SMALL })
        // Its process has ended by itself then: nothing was left running.
        const { code, text } = await a.finished()
        assert.equal(code, 'MESSAGE_CORRUPT')
        const [, stoppedAt] = /partition 0, offset (\d+)/.exec(text ?? '') ?? []
        assert.ok(Number(stoppedAt) > 0, `the error says where: ${text}`)
        assert.equal((await stage.committed()).get(0), BigInt(stoppedAt ?? -1))

        // The others of its response were processed, and did not count.
        const unclean = await stage.interruptions(a, 'unclean', nowMs())
        const b = stage.run('B', { options: SMALL })
        const { offset } = await b.event('assigned', ({ partition }) => partition === 0)
        assert.equal(offset, BigInt(stoppedAt ?? -1))
        const { explained } = await finishSound(stage, { interruptions: () => unclean })
        assert.ok(explained.length > 0, 'they are processed again')
      })
  )

  test(
    'I1: park: a message that cannot be decoded stops its partition before its response, until resume()',
    TIMEOUT,
    () =>
      play(damaged('protobuf'), async stage => {
        const [, lane1] = await fillTwo(stage, LOG_COUNT)
        const run = stage.run('run', { options: { ...SMALL, onFailure: 'park' } })
        const parked = await run.event('parked')
        assert.equal(parked.code, 'MESSAGE_CORRUPT')
        await stage.processed(stage.producer.ids(lane1))
        await stage.until('partition 1 is committed', async () => (await stage.committed()).get(1) === 120n)
        assert.equal((await stage.committed()).get(0), parked.offset)
        // The others of its response were processed, and did not count.
        const unclean = await stage.interruptions(run, 'unclean', nowMs())
        assert.equal(await run.resume(), 1)
        await finishSound(stage, { interruptions: () => unclean })
      })
  )
})

describe('bodies that are broken for good', { concurrency: 2 }, () => {
  test('I1: stop: after three more pulls the consumer stops before the body with BODY_CORRUPT', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const tap = await stage.tap()
      await fillTwo(stage, LOG_COUNT)
      const broken = breakBody(tap)
      const a = stage.run('A', { options: SMALL })
      assert.equal((await a.finished()).code, 'BODY_CORRUPT')
      assert.equal((await stage.committed()).get(0), broken.offset())
      assert.equal(broken.bodies.length, BODY_PULLS)
      broken.heal()
      stage.run('B', { options: SMALL })
      await finishSound(stage)
    })
  )

  test('skip: the partition goes on one offset further, and loses the one log that it says', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const tap = await stage.tap()
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const broken = breakBody(tap)
      const run = stage.run('run', { options: { ...SMALL, onFailure: 'skip' } })
      const skipped = await run.event('skipped')
      assertOneFurther(skipped, broken.offset())
      const id = idAt(lane0, Number(skipped.offset))
      await finishSound(stage, { expected: dueWithout(stage.producer, [id]) })
      assert.equal(broken.bodies.length, BODY_PULLS)
      assert.equal(run.events('skipped').length, 1)
    })
  )

  test('dead-letter: the body is written as it was received, and the rest of it is pulled again', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const tap = await stage.tap()
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const broken = breakBody(tap)
      const options = { ...SMALL, onFailure: 'dead-letter', deadLetterDirectory: folderOf(stage) } as const
      const run = stage.run('run', { options })
      const given = await run.event('deadLettered')
      assertOneFurther(given, broken.offset())
      const id = idAt(lane0, Number(given.offset))
      await finishSound(stage, { expected: dueWithout(stage.producer, [id]) })

      const [letter, ...others] = await readLetters(folderOf(stage))
      assert.ok(letter?.kind === 'body' && others.length === 0)
      assert.deepEqual([letter.startOffset, letter.compression], [broken.offset(), 'snappy'])
      assert.deepEqual(letter.readRaw(), broken.bodies.at(-1))
    })
  )

  test('I1: park: the partition stands before the body, and goes on by resume() once it can be read', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const tap = await stage.tap()
      const [, lane1] = await fillTwo(stage, LOG_COUNT)
      const broken = breakBody(tap)
      const run = stage.run('run', { options: { ...SMALL, onFailure: 'park' } })
      const parked = await run.event('parked')
      assert.equal(parked.offset, broken.offset())
      await stage.processed(stage.producer.ids(lane1))
      broken.heal()
      assert.equal(await run.resume(), 1)
      await finishSound(stage)
    })
  )

  test(
    'I1: skip: at the end of a partition nothing can be passed: the log that comes later is processed',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        const [lane0] = await fillTwo(stage, 10)
        const broken = breakBody(tap, 10)
        const run = stage.run('run', { options: { ...SMALL, onFailure: 'skip' } })
        await stage.until('the policy was asked', () => corruptions(run).length >= BODY_PULLS)
        assert.deepEqual(run.events('skipped'), [])
        broken.heal()
        await stage.producer.send(lane0, 10)
        await finishSound(stage)
        assert.deepEqual(run.events('skipped'), [])
      })
  )
})

/** The second pull of partition 0 has a message that cannot be decoded. */
function damaged(what: (typeof LAYERS)[number]) {
  const rule = { action: 'pull_log', partition: 0, after: 1, times: 1, fault: { kind: 'corrupt', what } } as const
  return { partitionCount: 2, faults: [rule] }
}

/** In partition 0, pulls from this offset (that of the second one, unless said otherwise) bring a body without its end. */
function breakBody(tap: WireTap, at?: number) {
  const bodies: Buffer[] = []
  let offset = at
  let isHealed = false
  tap.tamper = ({ action, request }, { body }) => {
    if (action !== 'pull_log' || request.PartitionId !== 0 || isHealed) return undefined
    const start = Number(request.StartOffset)
    if (start > 0) offset ??= start
    if (start !== offset) return undefined
    const cut = body.subarray(0, body.length - 20)
    bodies.push(cut)
    return cut
  }
  return {
    bodies,
    offset: (): bigint => BigInt(offset ?? -1),
    heal: (): void => {
      isHealed = true
    }
  }
}

function assertOneFurther({ offset, nextOffset, code }: EventLine, expected: bigint): void {
  assert.deepEqual([offset, nextOffset, code], [expected, expected + 1n, 'BODY_CORRUPT'])
}

function corruptions(run: ScenarioConsumer) {
  return run.events('retried', ({ code, partition }) => code === 'BODY_CORRUPT' && partition === 0)
}

function folderOf(stage: Stage): string {
  return join(stage.folder, 'dead')
}
