/** Dead letters: on disk with their exact bytes before the offset passes, and only for attempts that count. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { dueWithout, idsOfRange } from './harness/due.ts'
import { finishSound } from './harness/ending.ts'
import { fillTwo, idAt, SMALL } from './harness/fill.ts'
import { logIdsOf, payloadIn, readLetters } from './harness/letters.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'
import { pullsFrom, readPull } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 120
const BAD = 60
const QUICK = { ...SMALL, backoffMs: 20, backoffMaxMs: 50 } as const

describe('dead letters', { concurrency: 2 }, () => {
  test(
    'I1: a batch after its last attempt is written message by message, byte for byte, and the partition goes on',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        const [lane0] = await fillTwo(stage, LOG_COUNT)
        const misdeeds = [{ id: idAt(lane0, BAD), how: 'throw' }] as const
        const options = {
          ...QUICK,
          attempts: 2,
          onFailure: 'dead-letter',
          deadLetterDirectory: folderOf(stage)
        } as const
        const run = stage.run('run', { options, behaviour: { misdeeds } })
        const given = await run.event('deadLettered')
        const letters = await readLetters(folderOf(stage))
        const ids = idsOfRange(lane0, given)
        assert.ok(ids.includes(idAt(lane0, BAD)) && ids.length < LOG_COUNT)
        assert.equal(given.count, ids.length, 'the event comes once they are on disk')
        await finishSound(stage, { expected: dueWithout(stage.producer, ids) })

        assert.deepEqual(letters.flatMap(logIdsOf), ids)
        const { offset: startOffset = -1n, nextOffset } = given
        const head = { kind: 'message', topicId: stage.topicId, partition: 0, startOffset, nextOffset, attempt: 2 }
        for (const [messageIndex, letter] of letters.entries()) {
          const { kind, topicId, partition, startOffset, nextOffset, attempt, reason, error } = letter
          assert.deepEqual({ kind, topicId, partition, startOffset, nextOffset, attempt }, head)
          assert.equal(letter.kind === 'message' && letter.messageIndex, messageIndex)
          assert.match(reason, /^PROCESSOR_FAILED: .*the sink refuses lane0-61 /)
          assert.equal(error?.code, 'PROCESSOR_FAILED')
          assert.match(error?.stack ?? '', /at .*misdeeds\.js:\d+/)
          assert.deepEqual([letter.group, letter.consumer], [stage.group, 'run'])
        }
        const sent = pullsFrom(tap, 0, startOffset)
          .flatMap(exchange => readPull(exchange)?.messages ?? [])
          .map(text => JSON.stringify(text))
        assert.deepEqual(
          letters.map(letter => letter.readRaw().toString()),
          sent
        )
        assert.equal((await run.snapshot()).deadLetterCount, letters.length)
      })
  )

  test('I1: a group that a processor sets aside is written whole, byte for byte as it came', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const tap = await stage.tap()
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const setGroupsAside = [idAt(lane0, 3), idAt(lane0, BAD)]
      const options = { ...QUICK, deadLetterDirectory: folderOf(stage) }
      const run = stage.run('run', { options, behaviour: { setGroupsAside, setAside: [idAt(lane0, BAD)] } })
      await finishSound(stage)

      const letters = await readLetters(folderOf(stage))
      const groups = letters.filter(({ kind }) => kind === 'group')
      assert.deepEqual(groups.flatMap(logIdsOf), setGroupsAside)
      assert.deepEqual(letters.filter(({ kind }) => kind === 'log').flatMap(logIdsOf), [idAt(lane0, BAD)])
      for (const letter of groups) {
        assert.ok(letter.kind === 'group')
        const [pull] = pullsFrom(tap, 0, letter.startOffset)
        const sent = pull === undefined ? undefined : readPull(pull)?.messages[letter.messageIndex]
        assert.deepEqual(letter.readRaw(), payloadIn(sent ?? ''))
        assert.match(letter.reason, /^the group of lane0-\d+ is to be looked at/)
      }
      assert.equal((await run.snapshot()).deadLetterCount, 3)
    })
  )

  test(
    'I1: logs that a processor sets aside are written once its attempt counts, while all else goes on',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
        const setAside = [idAt(lane0, 3), idAt(lane0, BAD), idAt(lane0, BAD + 1), idAt(lane1, 7)]
        // The batch in the middle fails twice, after it has given its letters.
        const misdeeds = [{ id: idAt(lane0, BAD), how: 'throw', attempts: 2 }] as const
        const options = { ...QUICK, attempts: 3, deadLetterDirectory: folderOf(stage) }
        const run = stage.run('run', { options, behaviour: { misdeeds, setAside } })
        await finishSound(stage)

        const letters = await readLetters(folderOf(stage))
        assert.deepEqual(letters.flatMap(logIdsOf).toSorted(), setAside.toSorted(), 'each once')
        for (const letter of letters) {
          const [id = ''] = logIdsOf(letter)
          assert.equal(letter.kind, 'log')
          assert.equal(letter.reason, `${id} is to be looked at by a person`)
          assert.equal(letter.attempt, misdeeds[0].id === id || idAt(lane0, BAD + 1) === id ? 3 : 1)
          assert.equal(letter.error, undefined)
        }
        assert.equal((await run.snapshot()).deadLetterCount, setAside.length)
      })
  )

  test('letters of attempts that all failed are not written', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0, lane1] = await fillTwo(stage, LOG_COUNT)
      const setAside = [idAt(lane0, BAD), idAt(lane1, 7)]
      const misdeeds = [{ id: idAt(lane0, BAD), how: 'throw' }] as const
      const options = { ...QUICK, attempts: 2, onFailure: 'skip', deadLetterDirectory: folderOf(stage) } as const
      const run = stage.run('run', { options, behaviour: { misdeeds, setAside } })
      const skipped = await run.event('skipped')
      await finishSound(stage, { expected: dueWithout(stage.producer, idsOfRange(lane0, skipped)) })
      assert.deepEqual((await readLetters(folderOf(stage))).flatMap(logIdsOf), [idAt(lane1, 7)])
    })
  )

  test(
    'I1: a kill -9 between a letter and its commit leaves the letter twice, under one id, and loses nothing',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0] = await fillTwo(stage, LOG_COUNT)
        const misdeeds = [{ id: idAt(lane0, BAD), how: 'throw' }] as const
        const options = {
          ...QUICK,
          attempts: 1,
          onFailure: 'dead-letter',
          deadLetterDirectory: folderOf(stage)
        } as const
        const a = stage.fork('A', { options: { ...options, commitIntervalMs: 60_000 }, behaviour: { misdeeds } })
        const given = await a.event('deadLettered')
        const killed = await stage.interruptions(a, 'killed', await a.kill())
        assert.deepEqual(
          killed.map(({ committedOffset }) => committedOffset),
          [0n, 0n]
        )
        const b = stage.run('B', { options, behaviour: { misdeeds } })
        await b.event('deadLettered')
        const ids = idsOfRange(lane0, given)
        await finishSound(stage, { expected: dueWithout(stage.producer, ids), interruptions: () => killed })

        const letters = await readLetters(folderOf(stage))
        assert.deepEqual(letters.flatMap(logIdsOf), [...ids, ...ids])
        const [first, second] = [letters.slice(0, ids.length), letters.slice(ids.length)]
        assert.deepEqual(
          second.map(({ id }) => id),
          first.map(({ id }) => id)
        )
        assert.deepEqual([first[0]?.consumer, second[0]?.consumer], ['A', 'B'])
      })
  )

  test(
    'I1: where letters cannot be written the partition parks before them, the other goes on, and once mended nothing is lost',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0, lane1] = await fillTwo(stage, 1)
        const misdeeds = [{ id: idAt(lane0, BAD), how: 'throw' }] as const
        const options = {
          ...QUICK,
          attempts: 2,
          onFailure: 'dead-letter',
          deadLetterDirectory: folderOf(stage)
        } as const
        const run = stage.run('run', { options, behaviour: { misdeeds } })
        await stage.processed(stage.producer.ids())
        rmSync(folderOf(stage), { recursive: true })
        writeFileSync(folderOf(stage), 'a file in the place of the directory')
        for (const lane of [lane0, lane1]) await stage.producer.send(lane, LOG_COUNT)
        const parked = await run.event('parked')
        assert.equal(parked.code, 'DEAD_LETTER_DIRECTORY')
        await stage.processed(stage.producer.ids(lane1))
        await stage.until('partition 1 is committed', async () => (await stage.committed()).get(1) === 121n)
        assert.equal((await stage.committed()).get(0), parked.offset)
        assert.deepEqual(run.events('deadLettered'), [])

        rmSync(folderOf(stage))
        mkdirSync(folderOf(stage))
        assert.equal(await run.resume(), 1)
        const given = await run.event('deadLettered')
        assert.equal(given.offset, parked.offset)
        const ids = idsOfRange(lane0, given)
        await finishSound(stage, { expected: dueWithout(stage.producer, ids) })
        assert.deepEqual((await readLetters(folderOf(stage))).flatMap(logIdsOf), ids)
      })
  )
})

function folderOf(stage: Stage): string {
  return join(stage.folder, 'dead')
}
