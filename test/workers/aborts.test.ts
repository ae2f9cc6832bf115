/** Aborts and batches come by different ports: whichever is first, an abort ends its own attempt and no other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Aborts } from '../../workers/aborts.ts'

const EARLY_MAX = 4096

test('an attempt is aborted, or does not start, exactly where it or a later one was aborted before its end', () => {
  const step = fc.record({ kind: fc.constantFrom('abort', 'begin', 'end'), isLate: fc.boolean() })
  let [refusedCount, sparedCount] = [0, 0]
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), steps => {
      const aborts = new Aborts()
      const batchId = 7
      let attempt = 0
      let signal: AbortSignal | undefined
      /** The last attempt that was aborted. */
      let aborted = 0
      for (const { kind, isLate } of steps) {
        if (kind === 'abort') {
          // Of the attempt that has ended, or the one that runs or is to come.
          const named = signal === undefined ? attempt + (isLate ? 0 : 1) : attempt - (isLate ? 1 : 0)
          if (named < Math.max(1, aborted)) continue
          aborted = named
          aborts.abort({ batchId, attempt: named }, 'why')
        } else if (kind === 'begin' && signal === undefined) {
          attempt += 1
          signal = aborts.begin({ batchId, attempt })
          assert.equal(signal === undefined, attempt <= aborted)
          if (signal === undefined) refusedCount += 1
          else if (aborted > 0) sparedCount += 1
        } else if (kind === 'end' && signal !== undefined) {
          aborts.end(batchId)
          signal = undefined
        }
        if (signal !== undefined) assert.equal(signal.aborted, attempt <= aborted)
      }
    }),
    { numRuns: 2000 }
  )
  assert.ok(refusedCount > 100 && sparedCount > 100, `${refusedCount} refused, ${sparedCount} spared`)
})

test('of aborts whose batches never come the newest are kept', () => {
  const aborts = new Aborts()
  for (let batchId = 0; batchId <= EARLY_MAX; batchId++) aborts.abort({ batchId, attempt: 1 }, 'revoked')
  assert.notEqual(aborts.begin({ batchId: 0, attempt: 1 }), undefined, 'the oldest is forgotten')
  assert.equal(aborts.begin({ batchId: 1, attempt: 1 }), undefined)
  assert.equal(aborts.begin({ batchId: EARLY_MAX, attempt: 1 }), undefined)
})
