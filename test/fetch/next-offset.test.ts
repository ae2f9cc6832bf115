import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advances, stepAfterEmpty } from '../../src/fetch/next-offset.ts'

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
