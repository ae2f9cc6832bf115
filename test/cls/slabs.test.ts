import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Slabs, slabBytes } from '../../src/cls/slabs.ts'

const MB = 1024 * 1024

function slabsOf(bytesMax: number) {
  let nowMs = 0
  const slabs = new Slabs(bytesMax, { monotonic: () => nowMs })
  return { slabs, wait: (ms: number) => (nowMs += ms) }
}

describe('slabs', () => {
  test('a slab that came back is the next one of about its size', () => {
    const { slabs } = slabsOf(10 * MB)
    const first = slabs.take(1_200_000)
    slabs.give(first)
    assert.equal(slabs.take(900_000), first)
    assert.notEqual(slabs.take(900_000), first)
  })

  test('a small body does not take a large slab', () => {
    const { slabs } = slabsOf(10 * MB)
    const large = slabs.take(MB)
    slabs.give(large)
    assert.notEqual(slabs.take(1000), large)
  })

  test('I5: a slab is given back once, and only where it came from', () => {
    const { slabs } = slabsOf(10 * MB)
    const slab = slabs.take(100)
    slabs.give(slab)
    assert.throws(() => slabs.give(slab), { code: 'INVARIANT_BROKEN' })
    assert.throws(() => slabs.give(new SharedArrayBuffer(4096)), { code: 'INVARIANT_BROKEN' })
  })

  test('what was not needed for 30 s is dropped, and what is needed stays', () => {
    const { slabs, wait } = slabsOf(10 * MB)
    const [needed, idle] = [slabs.take(MB), slabs.take(MB)]
    slabs.give(idle)
    slabs.give(needed)
    for (let second = 0; second < 31; second++) {
      wait(1000)
      const taken = slabs.take(MB)
      assert.equal(taken, needed)
      slabs.give(taken)
    }
    assert.equal(slabs.idleBytes, needed.byteLength)
  })

  test('a slab is at most a quarter larger than what it is made for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4096, max: 100 * MB }), byteCount => {
        const size = slabBytes(byteCount)
        assert.ok(size >= byteCount && size <= byteCount * 1.25, `${size} for ${byteCount}`)
        assert.equal(slabBytes(size), size)
      })
    )
  })

  test('I5: nobody shares a slab; and idle ones never take what is held over the limit', () => {
    const steps = fc.array(
      fc.oneof(fc.record({ take: fc.integer({ min: 0, max: 2 * MB }) }), fc.record({ give: fc.nat() }))
    )
    fc.assert(
      fc.property(steps, taken => {
        const bytesMax = 4 * MB
        const { slabs } = slabsOf(bytesMax)
        const inUse: SharedArrayBuffer[] = []
        for (const step of taken) {
          if ('take' in step) {
            const slab = slabs.take(step.take)
            assert.ok(slab.byteLength >= step.take && !inUse.includes(slab))
            inUse.push(slab)
          } else {
            const [slab] = inUse.splice(step.give % Math.max(1, inUse.length), 1)
            if (slab !== undefined) slabs.give(slab)
          }
          const inUseBytes = inUse.reduce((sum, { byteLength }) => sum + byteLength, 0)
          assert.equal(slabs.inUseBytes, inUseBytes)
          assert.ok(slabs.idleBytes === 0 || slabs.idleBytes + inUseBytes <= bytesMax)
        }
      })
    )
  })
})
