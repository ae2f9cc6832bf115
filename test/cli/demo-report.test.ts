/** What the demo says: nothing amiss is passed over, and everything fits 80 columns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DemoOutcome, faultsOf, reportLines, successLines } from '../../src/cli/demo-report.ts'
import { cellCount } from '../../src/cli/format.ts'

const TOPIC = 'e0e0e0e0-0000-4000-8000-000000000001'

const GOOD: DemoOutcome = {
  producedCount: 1000,
  verdict: { missingCount: 0, missing: [], repeatedCount: 0, repeated: [], foreignCount: 0 },
  statuses: new Map([
    ['404', 30],
    ['200', 970]
  ]),
  paths: new Map([
    ['/a', 20],
    [`/${'long/'.repeat(40)}`, 900],
    ['/日志\x1b[2J', 80]
  ]),
  consumers: [
    { name: 'demo-a', logCount: 600 },
    { name: 'demo-b', logCount: 400 }
  ],
  partitions: [
    { topicId: TOPIC, partition: 0, consumers: ['demo-a'], committed: 130n, end: 130n },
    { topicId: TOPIC, partition: 1, consumers: ['demo-b'], committed: 9007199254740993n, end: 9007199254740993n }
  ],
  ms: 2000,
  stalledMs: undefined,
  responseBytes: 4_000_000,
  threadCount: 2
}

test('where everything is as promised there is no fault', () => {
  assert.deepEqual(faultsOf(GOOD), [])
  assert.match(successLines(GOOD).join(' '), /demo-a took 600, demo-b took 400/)
})

test('each broken promise is a fault that says what is amiss', () => {
  const [first, second] = GOOD.partitions
  assert.ok(first !== undefined && second !== undefined)
  const cases: [Partial<DemoOutcome>, RegExp][] = [
    [{ stalledMs: 30_000 }, /nothing had moved for 30 s/],
    [{ producedCount: 0 }, /no log was produced/],
    [{ verdict: { ...GOOD.verdict, missingCount: 2, missing: [7, 9] } }, /2 logs were not processed \(id 7, 9\)/],
    [
      { verdict: { ...GOOD.verdict, repeatedCount: 1, repeated: [3] } },
      /1 logs were processed more than once \(id 3\)/
    ],
    [{ verdict: { ...GOOD.verdict, foreignCount: 4 } }, /4 logs were processed that nobody produced/],
    [
      { partitions: [first, { ...second, committed: 9007199254740992n }] },
      /partition 1 is committed to 9007199254740992/
    ],
    [{ partitions: [{ ...first, committed: undefined }] }, /partition 0 is committed to nothing/],
    [{ partitions: [{ ...first, committed: undefined, end: undefined }] }, /partition 0 is committed to nothing/],
    [{ consumers: [...GOOD.consumers.slice(0, 1), { name: 'demo-b', logCount: 0 }] }, /demo-b processed no log/]
  ]
  for (const [change, expected] of cases) {
    const faults = faultsOf({ ...GOOD, ...change })
    assert.equal(faults.length, 1, String(expected))
    assert.match(faults.join(), expected)
  }
})

test('the report fits 80 columns, whatever the paths are', () => {
  const lines = reportLines(GOOD, 80)
  for (const line of lines) assert.ok(cellCount(line) <= 80, `${cellCount(line)} cells: ${line}`)
  assert.ok(!lines.join('').includes('\x1b'))
})

test('the report shows statuses with shares, paths by count, offsets exactly, and the rate', () => {
  const text = reportLines(GOOD, 80).join('\n')
  assert.match(text, /^200 +970 +97\.00 % +900 {2}\/long/m)
  assert.match(text, /^404 +30 +3\.00 % +80 {2}\/日志/m)
  assert.match(text, /^e0e0e0e0…000001 +1 {2}demo-b +9007199254740993 +9007199254740993$/m)
  assert.match(text, /^1,000 logs in 2\.00 s, upload included: 500 logs\/s, 4\.00 MB, on 2 threads$/m)
})
