/** The closing lines account for every log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closingLines, type ProduceEnd } from '../../src/cli/produce-report.ts'
import type { UploadTally } from '../../src/cli/upload-logs.ts'

const TALLY: UploadTally = {
  storedCount: 5001,
  storedBytes: 1_234_567,
  doubtCount: 0,
  unstoredCount: 0,
  duplicateCountMax: 0,
  retryCount: 0
}

function linesFor(tally: Partial<UploadTally>, change: Partial<ProduceEnd> = {}, ...failures: unknown[]): string[] {
  return closingLines({
    uploaded: { tally: { ...TALLY, ...tally }, failures, storedThroughLine: 4000 },
    read: { badLineCount: 0, noTimeCount: 0, noKeyCount: 0 },
    topicCount: 2,
    ms: 2140,
    isStopped: false,
    logsPerSecond: undefined,
    timeField: undefined,
    keyField: undefined,
    ...change
  })
}

test('where all went well it is one line', () => {
  assert.deepEqual(linesFor({}), ['5,001 logs (1.23 MB) uploaded to 2 topics in 2.14 s'])
  assert.deepEqual(linesFor({ storedCount: 1, storedBytes: 100 }, { topicCount: 1 }), [
    '1 log (0.00 MB) uploaded to 1 topic in 2.14 s'
  ])
})

test('everything else is told, each by its number', () => {
  const lines = linesFor(
    { retryCount: 12, duplicateCountMax: 3000, doubtCount: 1000, unstoredCount: 1 },
    { read: { badLineCount: 3, noTimeCount: 4, noKeyCount: 5 }, timeField: 'at', keyField: 'user' },
    new Error('no answer')
  )
  assert.deepEqual(lines, [
    '5,001 logs (1.23 MB) uploaded to 2 topics in 2.14 s',
    '  uploads tried again: 12',
    '  up to 3,000 duplicates may be stored: answers were lost, and their uploads sent again',
    '  1,000 logs may or may not be stored: the answer to their upload is lost',
    '  1 log read, but not stored',
    '  of the file, all lines up to line 4000 are stored',
    '  lines that were not JSON objects, kept as message: 3',
    '  4 logs without a readable time in "at": they have the time of their upload',
    '  5 logs without "user": the service chose their partition'
  ])
})

test('a stop says so, and from where to go on in a file', () => {
  assert.deepEqual(linesFor({}, { isStopped: true }), [
    'stopped: 5,001 logs (1.23 MB) uploaded to 2 topics in 2.14 s',
    '  of the file, all lines up to line 4000 are stored'
  ])
  const uploaded = { tally: TALLY, failures: [], storedThroughLine: undefined }
  assert.equal(linesFor({}, { isStopped: true, uploaded }).length, 1, 'made-up logs have no lines')
})

test('a rate that was not reached is told, but for short runs', () => {
  const rated = { logsPerSecond: 1000, ms: 10_000 }
  assert.match(linesFor({}, rated).at(-1) ?? '', /the rate was not reached: 500 of 1,000 logs\/s/)
  assert.equal(linesFor({ storedCount: 9700 }, rated).length, 1)
  assert.equal(linesFor({ storedCount: 100 }, { ...rated, ms: 3000 }).length, 1)
})
