/** The judge of all scenarios, judged by itself: what it must find, and what it must let pass. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type Entry,
  type Evidence,
  type Interruption,
  readEntries,
  readShared,
  readTenures
} from './harness/evidence.ts'
import { complaints, judge } from './harness/judge.ts'
import type { BatchLine, EventLine } from './harness/lines.ts'
import { parseLines, printLine } from './harness/lines.ts'
import { plantLoss, plantRepeat } from './harness/plant.ts'

const TOPIC = 'topic'
const FOREVER = Number.POSITIVE_INFINITY

function entry(ids: readonly string[], range: readonly [number, number], more: Partial<Entry> = {}): Entry {
  const [from, to] = range
  return {
    process: 'A',
    topicId: TOPIC,
    partition: 0,
    thread: 1,
    epoch: 1,
    startOffset: BigInt(from),
    nextOffset: BigInt(to),
    ids,
    startMs: from * 10,
    endMs: to * 10,
    ...more
  }
}

/** A run in which A processes a1 … a4, and B partition 1. */
function evidence(entries: readonly Entry[], more: Partial<Evidence> = {}): Evidence {
  const ids = ['a1', 'a2', 'a3', 'a4']
  const sent = ids.map((id, index) => [id, { id, topicId: TOPIC, lane: 'lane', sequence: index + 1 }] as const)
  const tenures = [
    { process: 'A', topicId: TOPIC, partition: 0, epoch: 1, startOffset: 0n, fromMs: 0, untilMs: FOREVER },
    { process: 'B', topicId: TOPIC, partition: 0, epoch: 1, startOffset: 0n, fromMs: 0, untilMs: FOREVER }
  ]
  const none = { permitted: new Set<string>(), unfinished: [], interruptions: [] }
  return { expected: new Map(sent), entries, tenures, ...none, ...more }
}

const FIRST = entry(['a1', 'a2'], [0, 2])
const SECOND = entry(['a3', 'a4'], [2, 4])

function interruption(kind: Interruption['kind'], atMs: number, committedOffset: bigint): Interruption {
  return { process: 'A', topicId: TOPIC, partition: 0, kind, atMs, committedOffset }
}

describe('the judge', () => {
  test('finds nothing wrong with a run in which nothing is wrong', () => {
    assert.deepEqual(complaints(judge(evidence([FIRST, SECOND]))), [])
  })

  test('finds a log that nobody processed', () => {
    assert.deepEqual(judge(evidence([FIRST, entry(['a3'], [2, 4])])).lost, ['a4'])
  })

  test('finds a lost log although another is repeated, so that the counts agree', () => {
    const verdict = judge(evidence([FIRST, entry(['a3', 'a3'], [2, 4])]))
    assert.deepEqual([verdict.lost, verdict.repeats.map(({ id }) => id)], [['a4'], ['a3']])
  })

  test('finds a log that was not to be processed, unless it was permitted', () => {
    const late = entry(['a3', 'a4', 'late'], [2, 5])
    assert.deepEqual(judge(evidence([FIRST, late])).unknown, ['late'])
    assert.deepEqual(judge(evidence([FIRST, late], { permitted: new Set(['late']) })).unknown, [])
  })

  test('explains a repeat by a kill only from the committed offset on', () => {
    const again = [0, 2].map(from =>
      entry([`a${from + 1}`, `a${from + 2}`], [from, from + 2], { process: 'B', startMs: 90, endMs: 91 })
    )
    const entries = [FIRST, SECOND, ...again]
    const verdict = judge(evidence(entries, { interruptions: [interruption('killed', 50, 2n)] }))
    assert.deepEqual(
      verdict.explained.map(({ id }) => id),
      ['a3', 'a4']
    )
    assert.deepEqual(
      verdict.repeats.map(({ id }) => id),
      ['a1', 'a2'],
      'these were committed before'
    )
    const uncommitted = judge(evidence(entries, { interruptions: [interruption('killed', 50, 0n)] }))
    assert.deepEqual(uncommitted.repeats, [])
  })

  test('explains a second time by the interruption of the first, and not a third time by it', () => {
    const again = entry(['a3', 'a4'], [2, 4], { process: 'B', startMs: 90, endMs: 91 })
    const third = entry(['a4'], [4, 5], { process: 'B', startMs: 92, endMs: 93 })
    const interruptions = [interruption('killed', 50, 0n)]
    const verdict = judge(evidence([FIRST, SECOND, again, third], { interruptions }))
    assert.deepEqual([verdict.explained.length, verdict.repeats.map(({ id }) => id)], [2, ['a4']])
  })

  test('explains no repeat of what was processed after the kill, or by another process', () => {
    const again = entry(['a3', 'a4'], [2, 4], { process: 'B', startMs: 90, endMs: 91 })
    const early = judge(evidence([FIRST, SECOND, again], { interruptions: [interruption('killed', 10, 0n)] }))
    assert.deepEqual(
      early.repeats.map(({ id }) => id),
      ['a3', 'a4']
    )
    const foreign = { ...interruption('killed', 50, 0n), process: 'C' }
    assert.equal(judge(evidence([FIRST, SECOND, again], { interruptions: [foreign] })).repeats.length, 2)
  })

  test('I2: finds batches out of order, and logs out of the order in which they were sent', () => {
    const turned = [
      entry(['a3', 'a4'], [2, 4], { startMs: 0, endMs: 1 }),
      entry(['a1', 'a2'], [0, 2], { startMs: 2, endMs: 3 })
    ]
    assert.match(judge(evidence(turned)).faults.join(), /came after \[2, 4\)/)
    assert.match(judge(evidence([entry(['a2', 'a1', 'a3', 'a4'], [0, 4])])).faults.join(), /a1 came after number 2/)
  })

  test('I2: finds two processors that have a partition at once, finished or not', () => {
    const other = entry(['a3', 'a4'], [2, 4], { process: 'B', startMs: 15, endMs: 40 })
    assert.match(judge(evidence([FIRST, other])).faults.join(), /started while/)
    const unfinished = [entry([], [0, 2], { endMs: 16 })]
    const again = [entry(['a1', 'a2'], [0, 2], { process: 'B', startMs: 15, endMs: 20 }), SECOND]
    assert.match(judge(evidence(again, { unfinished })).faults.join(), /started while/)
  })

  test('lets a successor begin once the lease of a process that was stopped has ended', () => {
    const frozen = entry(['a1', 'a2'], [0, 2], { endMs: 99 })
    const rest = entry(['a1', 'a2', 'a3', 'a4'], [0, 4], { process: 'B', startMs: 30, endMs: 40 })
    const verdict = judge(evidence([frozen, rest], { interruptions: [interruption('lease-lost', 20, 0n)] }))
    assert.deepEqual(complaints(verdict), [])
    assert.equal(judge(evidence([frozen, rest])).faults.length, 1)
  })

  test('lets two owners work at once, and repeat each other, only where the server gave the partition to both', () => {
    const other = entry(['a1', 'a2', 'a3', 'a4'], [0, 4], { process: 'B', startMs: 15, endMs: 40 })
    const tenures = evidence([]).tenures.map(tenure =>
      tenure.process === 'A' ? { ...tenure, untilMs: 30 } : { ...tenure, fromMs: 12, startOffset: 0n }
    )
    const run = { tenures, interruptions: readShared(tenures) }
    assert.deepEqual(
      run.interruptions.map(({ process, other, atMs }) => [process, other, atMs]),
      [
        ['A', 'B', 30],
        ['B', 'A', 30]
      ]
    )
    assert.deepEqual(complaints(judge(evidence([FIRST, other], run))), [])
    const without = judge(evidence([FIRST, other], { tenures }))
    assert.deepEqual([without.repeats.length, without.faults.length], [2, 1])
    const third = entry(['a1'], [4, 5], { process: 'B', startMs: 41, endMs: 42 })
    assert.deepEqual(judge(evidence([FIRST, other, third], run)).repeats.length, 1, 'not twice by one of them')
    const later = evidence([FIRST, other], {
      tenures,
      interruptions: run.interruptions.map(interruption => ({ ...interruption, committedOffset: 2n }))
    })
    assert.equal(judge(later).repeats.length, 2, 'nothing from before where the second began')
  })

  test('takes owners one after the other for no sharing', () => {
    const tenures = evidence([]).tenures.map(tenure =>
      tenure.process === 'A' ? { ...tenure, untilMs: 30 } : { ...tenure, fromMs: 30 }
    )
    assert.deepEqual(readShared(tenures), [])
  })

  test('I12: finds a batch that starts past the lease of its tenure', () => {
    const interruptions = [interruption('lease-lost', 15, 2n)]
    assert.match(judge(evidence([FIRST, SECOND], { interruptions })).faults.join(), /past the lease/)
  })

  test('I4: finds a batch outside of a tenure, or in a processor after the release', () => {
    const stray = entry(['a3', 'a4'], [2, 4], { epoch: undefined })
    assert.match(judge(evidence([FIRST, stray])).faults.join(), /without being assigned/)
    const [tenure] = evidence([]).tenures
    const tenures = [
      { ...tenure, process: 'A', topicId: TOPIC, partition: 0, epoch: 1, startOffset: 0n, fromMs: 0, untilMs: 35 }
    ]
    assert.match(judge(evidence([FIRST, SECOND], { tenures })).faults.join(), /after its release/)
  })

  test('sees a planted loss and a planted repeat', () => {
    const sound = evidence([FIRST, SECOND])
    const loss = plantLoss(sound)
    assert.deepEqual(judge(loss.evidence).lost, [loss.id])
    const repeat = plantRepeat(sound)
    assert.deepEqual(
      judge(repeat.evidence).repeats.map(({ id }) => id),
      [repeat.id]
    )
  })
})

describe('the ledger', () => {
  const batch: BatchLine = {
    kind: 'begin',
    process: 'A',
    topicId: TOPIC,
    partition: 0,
    thread: 1,
    attempt: 1,
    startOffset: 2n ** 53n + 1n,
    nextOffset: undefined,
    ids: [],
    words: [],
    atMs: 1.5
  }
  const event: EventLine = {
    kind: 'event',
    process: 'A',
    name: 'assigned',
    atMs: 1,
    topicId: TOPIC,
    partition: 0,
    epoch: 7,
    offset: 5n
  }

  test('gives back what was written, offsets exact', () => {
    const text = [batch, event].map(line => `${printLine(line)}\n`).join('')
    assert.deepEqual(parseLines(text), [batch, event])
  })

  test('leaves out a line that a kill has cut', () => {
    assert.deepEqual(parseLines(`${printLine(event)}\n${printLine(batch).slice(0, 20)}`), [event])
  })

  test('gives each batch its epoch, and keeps those that never ended apart', () => {
    const end: BatchLine = { ...batch, kind: 'end', ids: ['a1'], nextOffset: 9n, atMs: 3 }
    const open: BatchLine = { ...batch, startOffset: 9n, atMs: 4 }
    const lines = [event, batch, end, open, { ...open, kind: 'alive', atMs: 6 } as const]
    const { entries, unfinished } = readEntries(lines)
    assert.deepEqual(
      entries.map(({ epoch, ids, startMs, endMs }) => ({ epoch, ids, startMs, endMs })),
      [{ epoch: 7, ids: ['a1'], startMs: 1.5, endMs: 3 }]
    )
    assert.deepEqual(
      unfinished.map(({ startOffset, startMs, endMs }) => [startOffset, startMs, endMs]),
      [[9n, 4, 6]]
    )
  })

  test('reads a tenure from its assignment to its release', () => {
    const release: EventLine = { ...event, name: 'released', atMs: 8 }
    const [first, second] = readTenures([event, release, { ...event, epoch: 8, atMs: 9 }])
    assert.deepEqual([first?.fromMs, first?.untilMs, second?.epoch, second?.untilMs], [1, 8, 8, FOREVER])
  })
})
