/** What explains a repeat, and what does not: an excuse too many would let a lost guarantee pass. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Evidence, type Interruption, readEntries, readTenures } from '../scenario/harness/evidence.ts'
import { judge, type Verdict } from '../scenario/harness/judge.ts'
import type { BatchLine, EventLine, Line } from '../scenario/harness/lines.ts'
import { type Life, readExcuses } from './excuses.ts'

const PLACE = { topicId: 't', partition: 0 } as const

function event(process: string, name: string, atMs: number, more: Partial<EventLine> = {}): EventLine {
  return { kind: 'event', process, name, atMs, ...PLACE, ...more }
}

function assigned(process: string, atMs: number, offset: bigint, epoch = 1): EventLine {
  return event(process, 'assigned', atMs, { offset, epoch })
}

interface Ran {
  readonly thread?: number
  readonly attempt?: number
}

/** A batch of one log at `offset`, in the processor from `fromMs` for 5 ms. */
function ran(process: string, offset: bigint, fromMs: number, { thread = 1, attempt = 1 }: Ran = {}): BatchLine[] {
  const nextOffset = offset + 1n
  const line = { process, ...PLACE, thread, attempt, startOffset: offset, nextOffset, words: [] }
  return [
    { ...line, kind: 'begin', ids: [], atMs: fromMs },
    { ...line, kind: 'end', ids: [`log${offset}`], atMs: fromMs + 5 }
  ]
}

const told = (process: string, offset: bigint, atMs: number): EventLine => event(process, 'batch', atMs, { offset })
const committed = (process: string, offset: bigint, atMs: number): EventLine =>
  event(process, 'committed', atMs, { offset })

function doomed(process: string, offset: bigint, atMs: number, text: string, thread = 1): EventLine {
  return event(process, 'doomed', atMs, { offset, text, thread })
}

function life(process: string, lines: readonly Line[], killedMs?: number): Life {
  return { process, lines, ...(killedMs === undefined ? {} : { killedMs }) }
}

/** As a run judges it. */
function verdictOf(...lives: readonly Life[]): Verdict {
  const read = lives.map(({ lines }) => ({ ...readEntries(lines), tenures: readTenures(lines) }))
  const entries = read.flatMap(part => part.entries).sort((a, b) => a.startMs - b.startMs)
  const ids = new Set(entries.flatMap(entry => entry.ids))
  const evidence: Evidence = {
    expected: new Map([...ids].map(id => [id, { id, topicId: 't', lane: 'l', sequence: Number(id.slice(3)) }])),
    permitted: new Set(),
    entries,
    unfinished: read.flatMap(part => part.unfinished),
    tenures: read.flatMap(part => part.tenures),
    interruptions: readExcuses(lives)
  }
  return judge(evidence)
}

const repeatedIds = ({ repeats }: Verdict): string[] => repeats.map(({ id }) => id)
const explainedIds = ({ explained }: Verdict): string[] => explained.map(({ id }) => id)
const kinds = (excuses: readonly Interruption[]): string[] => excuses.map(({ kind }) => kind)

describe('a kill', () => {
  const first = [assigned('A', 0, 0n), ...ran('A', 0n, 10), ...ran('A', 1n, 20), committed('A', 1n, 30)]
  const again = [assigned('B', 100, 0n), ...ran('B', 0n, 110), ...ran('B', 1n, 120)]

  test('explains what was not committed, and nothing that the consumer was told is', () => {
    const verdict = verdictOf(life('A', first, 40), life('B', again))
    assert.deepEqual([explainedIds(verdict), repeatedIds(verdict)], [['log1'], ['log0']])
  })

  test('explains nothing of a consumer that was not killed', () => {
    assert.deepEqual(repeatedIds(verdictOf(life('A', first), life('B', again))), ['log0', 'log1'])
  })

  test('does not take a commit of a former tenure for one of the last', () => {
    const lines = [...first, event('A', 'released', 31), assigned('A', 32, 0n, 2), ...ran('A', 0n, 33)]
    const [excuse, ...more] = readExcuses([life('A', lines, 40)])
    assert.deepEqual([excuse?.committedOffset, more], [0n, []])
  })
})

describe('a lost lease', () => {
  const first = [assigned('A', 0, 0n), ...ran('A', 0n, 10), committed('A', 1n, 20), ...ran('A', 1n, 30)]
  const lost = event('A', 'leaseLost', 500)

  test('I12: explains what was not committed, and no batch that starts long after', () => {
    const late = [...first, lost, ...ran('A', 2n, 1000)]
    const verdict = verdictOf(
      life('A', late),
      life('B', [assigned('B', 510, 0n), ...ran('B', 0n, 520), ...ran('B', 1n, 530)])
    )
    assert.deepEqual([explainedIds(verdict), repeatedIds(verdict)], [['log1'], ['log0']])
    assert.match(verdict.faults.join(), /past the lease/)
  })

  test('lets the successor of one that stood still begin before it could know, and nobody else', () => {
    const open = [
      assigned('A', 0, 0n),
      ...ran('A', 0n, 10).map(line => (line.kind === 'end' ? { ...line, atMs: 505 } : line))
    ]
    const successor = life('B', [assigned('B', 300, 0n), ...ran('B', 0n, 310)])
    assert.deepEqual(
      verdictOf(
        life(
          'A',
          [...open, lost].sort((a, b) => a.atMs - b.atMs)
        ),
        successor
      ).faults,
      []
    )
    assert.equal(verdictOf(life('A', open), successor).faults.length, 1)
  })

  test('ends no later than the next tenure of the same process begins', () => {
    const back = [...first, lost, assigned('A', 510, 1n, 2), ...ran('A', 1n, 520), ...ran('A', 2n, 900)]
    const verdict = verdictOf(life('A', back))
    assert.deepEqual([explainedIds(verdict), repeatedIds(verdict), verdict.faults], [['log1'], [], []])
  })
})

describe('a thread that dies', () => {
  const begin = [assigned('A', 0, 0n), ...ran('A', 0n, 10)]

  test('explains the batch that it took with it, and not the next ones', () => {
    const lines = [
      ...begin,
      doomed('A', 0n, 15, 'exit after'),
      ...ran('A', 0n, 50, { thread: 2, attempt: 2 }),
      told('A', 0n, 56)
    ]
    const verdict = verdictOf(life('A', [...lines, ...ran('A', 0n, 60, { thread: 2 })]))
    assert.deepEqual([explainedIds(verdict), repeatedIds(verdict)], [['log0'], ['log0']])
  })

  test('explains no batch that its consumer had told to be done', () => {
    const lines = [
      ...begin,
      told('A', 0n, 16),
      doomed('A', 5n, 17, 'exit after'),
      ...ran('A', 0n, 50, { thread: 2, attempt: 2 })
    ]
    assert.deepEqual(repeatedIds(verdictOf(life('A', lines))), ['log0'])
  })

  test('explains it also where a later tenure tells of another batch from the same offset', () => {
    const lines = [
      assigned('a', 0, 1n),
      ...ran('a', 1n, 10),
      doomed('a', 1n, 16, 'loop after'),
      assigned('a', 500, 1n, 2),
      ...ran('a', 1n, 510),
      told('a', 1n, 520)
    ]
    assert.deepEqual(verdictOf(life('a', lines)).repeats, [])
  })

  test('explains nothing of another thread, or without a death', () => {
    const again = ran('A', 0n, 50, { thread: 2, attempt: 2 })
    assert.deepEqual(repeatedIds(verdictOf(life('A', [...begin, ...again]))), ['log0'])
    const other = [...begin, doomed('A', 0n, 15, 'exit after', 3), ...again]
    assert.deepEqual(repeatedIds(verdictOf(life('A', other))), ['log0'])
  })

  test('a batch that fails explains itself alone; its thread lives on', () => {
    const again = ran('A', 0n, 50, { attempt: 2 })
    const own = verdictOf(life('A', [...begin, doomed('A', 0n, 15, 'fail after'), ...again]))
    assert.deepEqual([explainedIds(own), repeatedIds(own)], [['log0'], []])
    const other = verdictOf(life('A', [...begin, doomed('A', 7n, 15, 'fail after'), ...again]))
    assert.deepEqual(repeatedIds(other), ['log0'])
  })

  test('a run in which nothing happened has no excuse', () => {
    assert.deepEqual(kinds(readExcuses([life('A', [...begin, told('A', 0n, 16), committed('A', 1n, 20)])])), [])
  })
})
