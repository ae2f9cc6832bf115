/**
 * Every reading of what the protocol leaves open, and every form a body may take: the consumer is right under each. A run,
 * a stop, a start with `startFrom: end` that must not take anything for "no offset", and a bounded run.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EmulatorOptions, Quirks } from '../../src/emulator/start.ts'
import { finishSound } from './harness/ending.ts'
import { assertSound } from './harness/plant.ts'
import { play } from './harness/play.ts'
import { describeReading, everyReading } from './harness/readings.ts'
import type { Part, Stage } from './harness/stage.ts'

const TIMEOUT = { timeout: 60_000 }

/** Switches that say where logs begin and end: a bounded run asks for that. */
const OF_POSITIONS: readonly string[] = [
  'boundedEnd',
  'offsetType',
  'noOffset',
  'nothingNew',
  'emptyMessages',
  'emptyLists'
]

/** Readings that meet: where one hides what the other would have told. */
const TOGETHER: readonly Partial<Quirks>[] = [
  { noOffset: 'absent', offsetType: 'refused' },
  { noOffset: 'null', offsetType: 'ignored' },
  { noOffset: 'minus-one', offsetType: 'refused', nothingNew: 'absent' },
  { boundedEnd: 'with-messages', nothingNew: 'minus-one', emptyMessages: 'null' },
  { boundedEnd: 'with-messages', offsetType: 'ignored', nextOffset: 'last' },
  { boundedEnd: 'with-messages', offsetType: 'refused', nextOffset: 'lying' },
  { nothingNew: 'zero', compression: 'none', emptyMessages: 'absent' },
  { compression: 'none', compressionHeader: 'absent', whiteSpace: 'spaces' },
  { compression: 'snappy', compressionHeader: 'absent', nextOffset: 'last' }
]

const ROWS = [...everyReading('others'), ...TOGETHER]

describe('readings', { concurrency: 3 }, () => {
  for (const quirks of ROWS) {
    const reading = describeReading(quirks)
    test(`with ${reading} a run, a stop and a start lose nothing and repeat nothing`, TIMEOUT, () =>
      play({ partitionCount: 2, quirks, ...logsOf(quirks) }, async stage => {
        await fill(stage)
        const one = stage.run('one', SMALL)
        await stage.processed(stage.producer.ids())
        // It has come to the end, and asks for what is not there yet.
        await fill(stage)
        await stage.processed(stage.producer.ids())
        assert.equal((await one.stop()).code, undefined)
        assert.deepEqual(await stage.committed(), await stage.ends(), 'an orderly stop commits what was processed')
        await fill(stage)
        stage.run('two', { options: { ...SMALL.options, startFrom: 'end' } })
        await finishSound(stage)
      })
    )
    if (!Object.keys(quirks).some(name => OF_POSITIONS.includes(name))) continue

    const outcome = tellsNoEnd(quirks) ? 'says that it cannot end' : 'ends exactly where the partitions ended'
    test(`with ${reading} a bounded run ${outcome}`, TIMEOUT, () =>
      play({ partitionCount: 3, quirks }, async stage => {
        // The third partition has nothing in it.
        const [first, second] = stage.producer.lanes(stage.topicId, 3)
        assert.ok(first !== undefined && second !== undefined)
        await stage.producer.send(first, 40)
        await stage.producer.send(second, 3)
        const run = stage.run('run', { options: { ...SMALL.options, stopAt: 'now' } })
        const { code, text } = await run.finished()
        if (tellsNoEnd(quirks)) {
          assert.equal(code, 'API_REFUSED')
          assert.match(text ?? '', /stopAt/)
          assert.deepEqual([run.processedIds(), [...(await stage.committed())]], [[], []], 'nothing was skipped')
          stage.run('unbounded', SMALL)
          await finishSound(stage)
          return
        }
        assert.equal(code, undefined)
        assert.deepEqual(assertSound(stage.evidence()).explained, [])
        const done = run.events('partitionDone').map(({ partition, nextOffset }) => [partition, nextOffset] as const)
        assert.deepEqual(new Map(done.toSorted()), await stage.ends(), 'each ended at its end')
        const committed = await stage.committed()
        assert.deepEqual([committed.get(0), committed.get(1)], [40n, 3n])
      })
    )
  }
})

const SMALL: { readonly options: NonNullable<Part['options']> } = { options: { pullBytes: 4096 } }

/** Has not the 36 bytes of a real one, for which alone `headerIds` changes what is on the wire. */
const ODD_TOPIC_ID = 'topic-of-odd-length'

/** Where it is the header's ids that differ, ids for which they do; else offsets that a number could not hold, with gaps. */
function logsOf(quirks: Partial<Quirks>): EmulatorOptions {
  if (quirks.headerIds !== undefined) return { topicIds: [ODD_TOPIC_ID] }
  // What is read from a body must be exact.
  return quirks.nextOffset === undefined ? {} : { startOffset: 2n ** 53n + 1n, gapEvery: 4, gapOffsets: 3n }
}

/** Nothing is told of a partition without a committed offset, not even of the log itself. */
function tellsNoEnd({ noOffset = 'position', offsetType = 'list' }: Partial<Quirks>): boolean {
  return noOffset !== 'position' && offsetType !== 'list'
}

async function fill(stage: Stage): Promise<void> {
  for (const lane of stage.producer.lanes(stage.topicId, 2)) await stage.producer.send(lane, 25)
}
