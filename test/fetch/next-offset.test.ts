import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advances, batchEnd, stepAfterEmpty } from '../../src/fetch/next-offset.ts'

const BOUND = { endOffset: 200n, endTime: 1_700_000_000 }
const BIG = 2n ** 62n

for (const [startOffset, nextOffset, expected] of [
  [100n, 101n, true],
  [-1n, 1n, true],
  [BIG, BIG + 1n, true],
  [100n, 100n, false],
  [100n, 99n, false],
  [-1n, 0n, false],
  [-2n, -1n, false],
  [100n, undefined, false]
] as const) {
  test(`from ${startOffset} the next offset ${nextOffset} ${expected ? 'leads on' : 'does not lead on'}`, () =>
    assert.equal(advances(startOffset, nextOffset), expected))
}

for (const [bound, nextOffset, step] of [
  [undefined, 150n, { kind: 'advance', to: 150n }],
  [BOUND, 150n, { kind: 'advance', to: 150n }],
  [BOUND, 250n, { kind: 'advance', to: 250n }],
  [BOUND, -1n, { kind: 'end', to: 200n }],
  [undefined, -1n, { kind: 'wait' }],
  [undefined, 0n, { kind: 'wait' }],
  [BOUND, 0n, { kind: 'wait' }],
  [undefined, 100n, { kind: 'wait' }],
  [BOUND, 100n, { kind: 'wait' }],
  [undefined, undefined, { kind: 'wait' }],
  [undefined, 99n, { kind: 'went-back', to: 99n }],
  [BOUND, -2n, { kind: 'went-back', to: -2n }]
] as const) {
  test(`nothing from 100, ${bound === undefined ? 'unbounded' : 'bounded'}, next offset ${nextOffset}: ${step.kind}`, () =>
    assert.deepEqual(stepAfterEmpty(100n, bound, nextOffset), step))
}

for (const [what, endOffset, nextOffset, messageCount, expected] of [
  ['leads on', undefined, 110n, 3, 110n],
  ['leads on before the end', 200n, 110n, 10, 110n],
  ['leads to the end', 200n, 200n, 100, 200n],
  ['is dense and leads past the end: as far as that', 105n, 110n, 10, 105n],
  ['is dense and begins past the end: nothing of it', 95n, 110n, 10, 100n],
  ['leads past the end with gaps: all of it was processed', 105n, 110n, 3, 110n],
  ['says -1 in a bounded run', 200n, -1n, 3, 200n],
  ['says -1 in an unbounded one', undefined, -1n, 3, undefined],
  ['has messages and no offset', undefined, undefined, 3, undefined],
  ['has messages and the same offset', 200n, 100n, 3, undefined],
  ['goes back', undefined, 99n, 3, undefined],
  ['has neither messages nor an offset', undefined, undefined, 0, 100n],
  ['has no messages and the same offset', 200n, 100n, 0, 100n],
  ['has no messages and leads on', undefined, 150n, 0, 150n]
] as const) {
  test(`I1: a batch from 100 whose response ${what} ends at ${expected}`, () =>
    assert.equal(batchEnd({ startOffset: 100n, endOffset }, { nextOffset, messageCount }), expected))
}

test('I10: the end of a batch beyond 2^53 is exact', () =>
  assert.equal(
    batchEnd({ startOffset: BIG, endOffset: BIG + 3n }, { nextOffset: BIG + 5n, messageCount: 5 }),
    BIG + 3n
  ))
