import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deliver } from '../../src/failure/deliver.ts'
import { chance, createFakeTime } from '../cls/fakes.ts'

const BOUNDED = { timeout: 10_000 }
const LIMITS = { attempts: 4, backoffMs: 100, backoffMaxMs: 150 }

function bench() {
  const time = createFakeTime()
  const closing = new AbortController()
  const waits: number[] = []
  const givenUp: string[] = []
  let offerCount = 0
  let isHeld = () => true
  const offered = (failures: number, limits = LIMITS) =>
    deliver(
      () => {
        offerCount += 1
        if (offerCount <= failures) throw new Error(`refused ${offerCount}`)
      },
      { timers: time.timers, random: chance(0) },
      limits,
      {
        mayOffer: () => isHeld(),
        signal: closing.signal,
        retried: (_, waitMs) => void waits.push(waitMs),
        gaveUp: error => void givenUp.push(String(error))
      }
    )
  return {
    time,
    closing,
    waits,
    offered,
    givenUp,
    offerCount: () => offerCount,
    holdWhile: (held: () => boolean) => {
      isHeld = held
    }
  }
}

describe('a result', () => {
  test('that is taken at once waits for nothing', BOUNDED, async () => {
    const { offered, waits, offerCount } = bench()
    await offered(0)
    assert.deepEqual([waits, offerCount()], [[], 1])
  })

  test('that is refused is offered again after growing waits, until it is taken', BOUNDED, async () => {
    const { time, offered, waits, offerCount } = bench()
    await time.settle(offered(3))
    assert.deepEqual([waits, offerCount(), time.clock.monotonic()], [[50, 75, 75], 4, 200])
  })

  test('that is refused to the last attempt ends with the error of that one', BOUNDED, async () => {
    const { time, offered, offerCount } = bench()
    await assert.rejects(time.settle(offered(9)), { message: 'refused 4' })
    assert.equal(offerCount(), 4)
  })

  test('is not offered again once its partition closes, even in the middle of a wait', BOUNDED, async () => {
    const { time, closing, offered, offerCount } = bench()
    const end = offered(9)
    await time.advance(10)
    closing.abort(new Error('closing'))
    assert.equal(await end, false)
    await time.advance(10_000)
    assert.equal(offerCount(), 1)
  })

  test('that is refused while its partition closes is given up, and that is told', BOUNDED, async () => {
    const { closing, offered, waits, givenUp } = bench()
    closing.abort(new Error('closing'))
    assert.equal(await offered(1), false)
    assert.deepEqual([waits, givenUp], [[], ['Error: refused 1']])
  })

  test('I12: is not offered again past the lease, whatever timer fires first', BOUNDED, async () => {
    const { time, offered, offerCount, holdWhile } = bench()
    const end = offered(9)
    holdWhile(() => false)
    assert.equal(await time.settle(end), false)
    assert.equal(offerCount(), 1)
  })
})
