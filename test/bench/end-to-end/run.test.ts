import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome } from '../../../bench/end-to-end/readings.ts'
import { checkOutcome } from '../../../bench/end-to-end/run.ts'
import { FILTER } from '../../../bench/end-to-end/workload.ts'

const EXPECTED = [
  { partition: 0, offset: 110, logCount: 100, hitCount: 3 },
  { partition: 1, offset: 120, logCount: 200, hitCount: 5 }
]
const RIGHT: Outcome = {
  positions: [
    { partition: 1, offset: 120 },
    { partition: 0, offset: 110 }
  ],
  processedLogCount: 300,
  settledLogCount: 300,
  hitCount: 8,
  breakCount: 0,
  latency: undefined
}
const WORKLOAD = { processor: FILTER, partitionCount: 2, feed: { kind: 'repeat' } } as const

test('a consumer that has all logs once and in order is right', () => {
  checkOutcome('ours', RIGHT, EXPECTED, WORKLOAD)
})

test('a consumer that lost, repeated, miscounted or disordered logs has no figures', () => {
  const WRONGS: readonly (readonly [Partial<Outcome>, RegExp])[] = [
    [{ processedLogCount: 301 }, /301 logs were processed, and there are 300/],
    [{ settledLogCount: 299 }, /299 logs are settled, and there are 300/],
    [{ hitCount: 7 }, /the processor counted 7, and there are 8/],
    [{ breakCount: 1 }, /1 batches did not begin where the one before ended/],
    [{ positions: RIGHT.positions.slice(1) }, /1 of 2 partitions have an end/],
    [
      {
        positions: [
          { partition: 0, offset: 110 },
          { partition: 1, offset: 119 }
        ]
      },
      /partition 1 ends at 119, not at 120/
    ]
  ]
  for (const [change, said] of WRONGS) {
    const check = () => checkOutcome('whole', { ...RIGHT, ...change }, EXPECTED, WORKLOAD)
    assert.throws(check, error => error instanceof Error && said.test(error.message), String(said))
    assert.throws(check, { code: 'BENCH_FAILED' })
  }
})

test("what a user's own processor counts is its own matter", () => {
  const processor = { kind: 'module', file: 'p.js', options: undefined } as const
  checkOutcome('ours', { ...RIGHT, hitCount: 0 }, EXPECTED, { ...WORKLOAD, processor })
})
