import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Doubts } from '../../src/commit/doubts.ts'

describe('doubts', () => {
  test('a doubtful call threatens every offset but its own, until two calls after it are acknowledged', () => {
    const doubts = new Doubts()
    doubts.add('p', 100n)
    assert.deepEqual([doubts.threaten('p', 200n), doubts.threaten('p', 100n)], [true, false])
    doubts.acknowledged('p')
    assert.equal(doubts.threaten('p', 200n), true)
    doubts.acknowledged('p')
    assert.equal(doubts.threaten('p', 200n), false)
  })

  test('an unknown call threatens every offset, until one call after it is acknowledged', () => {
    const doubts = new Doubts()
    doubts.addUnknown('p')
    assert.equal(doubts.threaten('p', 0n), true)
    doubts.acknowledged('p')
    assert.equal(doubts.threaten('p', 0n), false)
  })

  test('doubts count apart, by call and by partition', () => {
    const doubts = new Doubts()
    doubts.add('p', 100n)
    doubts.acknowledged('p')
    doubts.add('p', 200n)
    doubts.add('q', 1n)
    assert.deepEqual([doubts.threaten('p', 100n), doubts.threaten('p', 200n)], [true, true])
    doubts.acknowledged('p')
    assert.deepEqual(
      [doubts.threaten('p', 200n), doubts.threaten('p', 300n), doubts.threaten('q', 2n)],
      [false, true, true]
    )
  })

  test('the same offset in doubt anew counts from the start', () => {
    const doubts = new Doubts()
    doubts.add('p', 100n)
    doubts.acknowledged('p')
    doubts.add('p', 100n)
    doubts.acknowledged('p')
    assert.equal(doubts.threaten('p', 200n), true)
    doubts.acknowledged('p')
    assert.equal(doubts.threaten('p', 200n), false)
  })

  test('I8: however many doubts there are, those that are kept threaten what all of them would', () => {
    const anyOffset = fc.bigInt({ min: 0n, max: 4n })
    const anyEvent = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('doubtful' as const), offset: anyOffset }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'unknown' as const, offset: -1n }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'acknowledged' as const, offset: 0n }) }
    )
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40, size: 'max' }), events => {
        const doubts = new Doubts()
        let all: { readonly offset: bigint; readonly callsLeft: number }[] = []
        for (const { kind, offset } of events) {
          if (kind === 'doubtful') doubts.add('p', offset)
          else if (kind === 'unknown') doubts.addUnknown('p')
          else doubts.acknowledged('p')
          if (kind === 'acknowledged') {
            all = all
              .map(doubt => ({ ...doubt, callsLeft: doubt.callsLeft - 1 }))
              .filter(({ callsLeft }) => callsLeft > 0)
          } else all.push({ offset, callsLeft: kind === 'unknown' ? 1 : 2 })
          for (let wanted = 0n; wanted <= 5n; wanted++) {
            assert.equal(
              doubts.threaten('p', wanted),
              all.some(doubt => doubt.offset !== wanted)
            )
          }
        }
      })
    )
  })
})
