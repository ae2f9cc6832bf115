import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectionsBetween, measureHeap } from '../../../bench/decode/heap.ts'

const FORCED =
  '[7:0x5]   30 ms: Mark-Compact 3.4 (4.2) -> 2.7 (5.2) MB, 3.2 / 0.0 ms  (average mu = 1.0) testing; GC requested'
const SCAVENGE =
  '[7:0x5]   31 ms: Scavenge 4.0 (5.2) -> 3.6 (5.2) MB, 2.7 / 0.0 ms  (average mu = 1.0) allocation failure; '
const MARK =
  '[7:0x5]   32 ms: Mark-Compact 9.0 (9.2) -> 3.6 (5.2) MB, 2.7 / 0.0 ms  (average mu = 1.0) allocation failure; '

test('collections are counted between the last two that were forced, and nowhere else', () => {
  assert.equal(collectionsBetween([SCAVENGE, FORCED, 'something else', FORCED].join('\n')), 0)
  assert.equal(collectionsBetween([FORCED, SCAVENGE, FORCED, SCAVENGE, 'x', MARK, FORCED, SCAVENGE].join('\n')), 2)
})

test('a trace without both is refused', () => {
  assert.throws(() => collectionsBetween([SCAVENGE, FORCED, SCAVENGE].join('\n')), /lacks/)
})

test('what a response takes is told, with no collection in between', { timeout: 60_000 }, () => {
  const { bytesPerResponse, collections } = measureHeap('tiny', 'ours-objects')
  assert.equal(collections, 0)
  // One object of eleven texts, and what opening a batch takes.
  assert.ok(bytesPerResponse > 200 && bytesPerResponse < 2 ** 17, `${bytesPerResponse} bytes`)
})
