import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { retryDelayMs } from '../../src/failure/retry-policy.ts'

const LIMITS = { attempts: 5, backoffMs: 100, backoffMaxMs: 1000 } as const

test('waits double up to the longest, and the last attempt is not followed by another', () => {
  const delays = [1, 2, 3, 4, 5].map(attempt => retryDelayMs({ ...LIMITS, attempt, chance: 1 - Number.EPSILON }))
  assert.deepEqual(delays, [100, 200, 400, 800, undefined])
  assert.equal(retryDelayMs({ ...LIMITS, attempts: 9, attempt: 8, chance: 1 - Number.EPSILON }), 1000)
})

test('a single attempt is never repeated', () => {
  assert.equal(retryDelayMs({ ...LIMITS, attempts: 1, attempt: 1, chance: 0 }), undefined)
})

test('I8: whatever the numbers, a wait is a whole number of ms between half its ceiling and its ceiling', () => {
  const limits = fc.record({
    attempt: fc.integer({ min: 1, max: 999_999 }),
    backoffMs: fc.integer({ min: 0, max: 600_000 }),
    backoffMaxMs: fc.integer({ min: 0, max: 3_600_000 }),
    chance: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  })
  fc.assert(
    fc.property(limits, failed => {
      const delayMs = retryDelayMs({ ...failed, attempts: 1_000_000 })
      assert.ok(delayMs !== undefined && Number.isInteger(delayMs))
      const ceilingMs =
        failed.backoffMs === 0 ? 0 : Math.min(failed.backoffMaxMs, failed.backoffMs * 2 ** (failed.attempt - 1))
      assert.ok(delayMs >= ceilingMs / 2 && delayMs <= ceilingMs)
    })
  )
})
