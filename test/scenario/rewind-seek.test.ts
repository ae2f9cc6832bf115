/** Going back, or ahead, by order: of the processor, or of whoever runs the consumer. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { dueWithout, idsBetween } from './harness/due.ts'
import { finishSound } from './harness/ending.ts'
import type { Interruption } from './harness/evidence.ts'
import { fillTwo, idAt, SMALL } from './harness/fill.ts'
import type { BatchLine, EventLine } from './harness/lines.ts'
import { play } from './harness/play.ts'
import type { Stage } from './harness/stage.ts'
import { until } from './harness/until.ts'
import { partitionsIn } from './harness/wire-tap.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 60

describe('rewind and seek', { concurrency: 2 }, () => {
  test(
    'I3: a batch that rewinds counts for nothing, and the commit goes back, says so, and comes before the first pull',
    TIMEOUT,
    () =>
      play({ partitionCount: 2 }, async stage => {
        const tap = await stage.tap()
        const [lane0] = await fillTwo(stage, LOG_COUNT)
        const file = join(stage.folder, 'rewind')
        writeFileSync(file, '')
        const rewind = { id: idAt(lane0, LOG_COUNT), toOffset: 0n, file }
        const run = stage.run('run', { options: SMALL, behaviour: { rewind }, onResult: {} })
        await stage.allCommitted()
        await stage.producer.send(lane0, 1)
        const turn = await run.event('repositioned')
        assert.deepEqual([turn.offset, turn.nextOffset, turn.text], [60n, 0n, 'rewind to 0'])
        await finishSound(stage, { interruptions: () => [rewound(stage, turn)] })

        const results = run.events('delivered', ({ ids = [] }) => ids.includes(rewind.id))
        assert.equal(results.length, 1, 'of the second time alone')
        assert.ok((results[0]?.atMs ?? 0) > turn.atMs)
        const again = run.processedIds().filter(id => id.startsWith(`${lane0.name}-`))
        assert.deepEqual(again, [...idsBetween(lane0, 0n, 60n), ...idsBetween(lane0, 0n, 61n)])
        assert.match(run.log(), /INFO +the committed offset goes back .*partition=0 from=60 to=0/)
        const starts = run.events('assigned', ({ partition }) => partition === 0)
        assert.ok(starts.length === 2 && Number(starts[1]?.epoch) > Number(starts[0]?.epoch), 'a new epoch')

        const commit = tap
          .of('CommitConsumerOffsets')
          .findLast(exchange =>
            partitionsIn(exchange).some(({ partition, offset }) => partition === 0 && offset === 0n)
          )
        const pulls = tap
          .of('pull_log')
          .filter(({ request, receivedMs }) => request.PartitionId === 0 && receivedMs > turn.atMs)
          // One of the old epoch may have been on its way: behind the batch that rewound.
          .filter(({ request }, index) => index > 0 || Number(request.StartOffset) !== LOG_COUNT + 1)
        assert.equal(Number(pulls[0]?.request.StartOffset), 0)
        assert.ok((commit?.answer?.atMs ?? Number.POSITIVE_INFINITY) < (pulls[0]?.receivedMs ?? 0), 'I11')
      })
  )

  for (const [where, position] of [
    ['an offset', 20n],
    ['the begin', 'begin']
  ] as const) {
    test(`seek to ${where} reads it all again from there, and the other partition nothing`, TIMEOUT, () =>
      play({ partitionCount: 2 }, async stage => {
        const [lane0] = await fillTwo(stage, LOG_COUNT)
        const run = stage.run('run', { options: SMALL })
        await stage.allCommitted()
        const target = position === 'begin' ? 0n : position
        assert.equal(await run.seek({ topicId: stage.topicId, partition: 0 }, position), target)
        const due = idsBetween(lane0, target, BigInt(LOG_COUNT))
        await stage.until('it is read again', () => run.processedIds().length === 2 * LOG_COUNT + due.length)
        const turn = await run.event('repositioned')
        // The batch that held the target begins before it.
        const { explained } = await finishSound(stage, {
          interruptions: () => [{ ...rewound(stage, turn), committedOffset: 0n }]
        })
        assert.deepEqual(
          explained.map(({ id }) => id),
          due
        )
        assert.match(run.log(), new RegExp(`INFO +the committed offset goes back .*from=60 to=${target}`))
      })
    )
  }

  test('seek to a time reads again what was stored since', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const second = Math.floor(Date.now() / 1000) + 1
      await until('the next second', () => Date.now() >= second * 1000)
      const later = await stage.producer.send(lane0, LOG_COUNT)
      const run = stage.run('run', { options: SMALL })
      await stage.allCommitted()
      const id = { topicId: stage.topicId, partition: 0 }
      assert.equal(await run.seek(id, new Date(second * 1000)), BigInt(LOG_COUNT))
      await stage.until('it is read again', () => run.processedIds().length === 4 * LOG_COUNT)
      const turn = await run.event('repositioned')
      const { explained } = await finishSound(stage, {
        interruptions: () => [{ ...rewound(stage, turn), committedOffset: 0n }]
      })
      assert.deepEqual(
        explained.map(({ id }) => id),
        later
      )
    })
  )

  test('I3: seek to the end passes the backlog, and the batch that is open counts for nothing', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const gate = stage.gate('gate')
      const hold = { gateFile: gate.gateFile, mode: 'heed', partition: 0 } as const
      const run = stage.run('run', { options: SMALL, behaviour: { hold }, onResult: {} })
      await stage.until('a batch waits', () => waits(run.lines()))
      assert.equal(await run.seek({ topicId: stage.topicId, partition: 0 }, 'end'), BigInt(LOG_COUNT))
      gate.open()
      await stage.producer.send(lane0, LOG_COUNT)
      const passed = idsBetween(lane0, 0n, BigInt(LOG_COUNT))
      await finishSound(stage, { expected: dueWithout(stage.producer, passed) })

      assert.ok(!run.processedIds().some(id => passed.includes(id)))
      assert.deepEqual(
        run.events('deliver', ({ ids = [] }) => ids.some(id => passed.includes(id))),
        []
      )
      const turn = await run.event('repositioned')
      assert.deepEqual([turn.offset, turn.nextOffset, turn.text], [0n, BigInt(LOG_COUNT), 'seek to end'])
    })
  )

  test('seek beyond the end of the log is refused, with the end, and nothing changes', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const run = stage.run('run', { options: SMALL })
      await stage.allCommitted()
      const id = { topicId: stage.topicId, partition: 0 }
      await assert.rejects(run.seek(id, 999n), {
        code: 'OPTIONS_INVALID',
        message: /^offset 999 is beyond the end of the log, 60 \(topic .*, partition 0\)$/
      })
      assert.equal(await run.seek(id, BigInt(LOG_COUNT)), BigInt(LOG_COUNT), 'the end is a position')
      await stage.producer.send(lane0, LOG_COUNT)
      await finishSound(stage)
      assert.equal(run.events('repositioned').length, 1)
      assert.deepEqual(run.events('leaseLost'), [])
    })
  )

  test('I1: a rewind beyond the end of the log is a failed attempt, and the next one counts', TIMEOUT, () =>
    play({ partitionCount: 2 }, async stage => {
      const [lane0] = await fillTwo(stage, LOG_COUNT)
      const file = join(stage.folder, 'rewind')
      writeFileSync(file, '')
      const rewind = { id: idAt(lane0, 30), toOffset: 999n, file }
      const run = stage.run('run', { options: { ...SMALL, attempts: 2 }, behaviour: { rewind } })
      await finishSound(stage)
      const [retry] = run.events('retried', ({ partition }) => partition === 0)
      assert.equal(retry?.code, 'PROCESSOR_FAILED')
      assert.match(retry?.text ?? '', /context\.rewind\(\): offset 999 is beyond the end of the log, 60/)
      assert.deepEqual([run.events('repositioned'), run.events('leaseLost')], [[], []])
    })
  )

  test('seek is refused for what is no position, and does nothing to a partition that is not held', TIMEOUT, () =>
    play({ partitionCount: 1 }, async stage => {
      const run = stage.run('run')
      await run.holds(1)
      await assert.rejects(run.seek({ topicId: stage.topicId, partition: 0 }, -1n), { code: 'OPTIONS_INVALID' })
      assert.equal(await run.seek({ topicId: stage.topicId, partition: 7 }, 0n), undefined)
      await run.stop()
      assert.equal(await run.seek({ topicId: stage.topicId, partition: 0 }, 0n), undefined)
      assert.deepEqual(run.events('repositioned'), [])
    })
  )
})

/** Of partition 0. */
function rewound({ topicId }: Stage, { process, atMs, nextOffset = -1n }: EventLine): Interruption {
  return { process, topicId, partition: 0, kind: 'rewound', atMs, committedOffset: nextOffset }
}

function waits(lines: readonly (BatchLine | EventLine)[]): boolean {
  return lines.some(({ kind }) => kind === 'alive')
}
