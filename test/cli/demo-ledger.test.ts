/** The ledger judges by identity: no loss, repeat or stranger escapes it, also where the counts agree. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IDS_MAX, Ledger } from '../../src/cli/demo-ledger.ts'
import { NO_ID } from '../../src/cli/demo-tally.ts'

function ledgerOf(...batches: (readonly [string, readonly number[]])[]): Ledger {
  const ledger = new Ledger()
  for (const [consumer, ids] of batches) ledger.record(consumer, Uint32Array.from(ids))
  return ledger
}

const CLEAN = { missingCount: 0, missing: [], repeatedCount: 0, repeated: [], foreignCount: 0 }

test('exactly the produced ids, each once, in any order and by anyone, is a clean verdict', () => {
  const ledger = ledgerOf(['a', [3, 1]], ['b', [0, 2]])
  assert.deepEqual(ledger.judge(4), CLEAN)
  assert.deepEqual([ledger.processedBy('a'), ledger.processedBy('b'), ledger.processedBy('c')], [2, 2, 0])
  assert.equal(ledger.distinctCount, 4)
})

test('a lost log is found even where a repeated one makes the count right', () => {
  const ledger = ledgerOf(['a', [0, 1, 1, 3]])
  assert.deepEqual(ledger.judge(4), { ...CLEAN, missingCount: 1, missing: [2], repeatedCount: 1, repeated: [1] })
  assert.equal(ledger.distinctCount, 3)
})

test('a repeat by another consumer is a repeat', () => {
  assert.equal(ledgerOf(['a', [0, 1]], ['b', [1]]).judge(2).repeatedCount, 1)
})

test('logs that nobody produced, or without an id, are strangers', () => {
  assert.equal(ledgerOf(['a', [0, 1, 2]]).judge(2).foreignCount, 1)
  assert.equal(ledgerOf(['a', [0, NO_ID, IDS_MAX, NO_ID]]).judge(1).foreignCount, 3)
  assert.equal(ledgerOf(['a', [0, 5, 5]]).judge(1).foreignCount, 2)
})

test('many missing and repeated ones are all counted, the first five shown', () => {
  const ledger = ledgerOf(['a', [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]])
  const { missingCount, missing, repeatedCount, repeated } = ledger.judge(200_000)
  assert.deepEqual([missingCount, missing], [199_993, [7, 8, 9, 10, 11]])
  assert.deepEqual([repeatedCount, repeated], [7, [0, 1, 2, 3, 4]])
})

test('ids far beyond the first table are kept exactly, also repeated past 255 times', () => {
  const ledger = ledgerOf(['a', Array.from({ length: 1000 }, () => 3_000_000)])
  assert.equal(ledger.distinctCount, 1)
  const { missingCount, repeatedCount, repeated } = ledger.judge(3_000_001)
  assert.deepEqual([missingCount, repeatedCount, repeated], [3_000_000, 1, [3_000_000]])
})

test('what came before is still known once far ids have come', () => {
  const ledger = ledgerOf(['a', [1, 2, 2]], ['a', [400_000, 1_000_000]])
  const { missing, repeated } = ledger.judge(1_000_001)
  assert.deepEqual([missing.slice(0, 2), repeated], [[0, 3], [2]])
})
