/** What of a window each thread was busy, and with which partition. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoadMeter, type Reading } from '../../src/dispatch/load-meter.ts'

const [A, B, C] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
type Seat = typeof A

/** Of one or two threads, each with what it has done. */
function reading(atMs: number, ...works: (readonly [busyMs: number, batchMs: number] | undefined)[]): Reading {
  return { atMs, works: works.map(work => (work === undefined ? undefined : { busyMs: work[0], batchMs: work[1] })) }
}

function sharesOf(meter: LoadMeter<Seat>, at: Reading, ...lanes: Seat[][]): (number | undefined)[][] {
  return meter.end(at, lanes).map(({ busyShare, seats }) => [busyShare, ...seats.map(({ share }) => share)])
}

test('a busy thread is shared out by what batches took, though they took longer together than there was time', () => {
  const meter = new LoadMeter<Seat>()
  meter.begin(reading(1000, [400, 70]))
  meter.took(A, 1500)
  meter.took(B, 250)
  meter.took(B, 250)
  assert.deepEqual(sharesOf(meter, reading(2000, [1200, 2070]), [A, B, C]), [[0.8, 0.6000000000000001, 0.2, 0]])
})

test('what batches waited for is no load: a thread that idles has partitions that cost next to nothing', () => {
  const meter = new LoadMeter<Seat>()
  meter.begin(reading(0, [0, 0]))
  meter.took(A, 900)
  assert.deepEqual(sharesOf(meter, reading(1000, [10, 900]), [A]), [[0.01, 0.01]])
})

test('the batches of other consumers of the thread have their part in it', () => {
  const meter = new LoadMeter<Seat>()
  meter.begin(reading(0, [0, 0]))
  meter.took(A, 200)
  assert.deepEqual(sharesOf(meter, reading(1000, [1000, 1000]), [A]), [[1, 0.2]])
})

test('a thread that was not up at the begin or the end, or has ended between, has no share', () => {
  const meter = new LoadMeter<Seat>()
  meter.begin(reading(0, undefined, [0, 0]))
  assert.deepEqual(sharesOf(meter, reading(1000, [500, 0], undefined), [A], [B]), [
    [undefined, 0],
    [undefined, 0]
  ])
  meter.begin(reading(1000, [0, 0], [0, 0]))
  meter.spoil(1)
  assert.deepEqual(sharesOf(meter, reading(2000, [500, 0], [500, 0]), [A], [B]), [
    [0.5, 0],
    [undefined, 0]
  ])
  meter.begin(reading(2000, [0, 0], [0, 0]))
  assert.equal(sharesOf(meter, reading(3000, [0, 0], [500, 0]), [A], [B])[1]?.[0], 0.5, 'and the next window is good')
})

test('a batch that takes longer than a window is not forgotten in the window in which none ends', () => {
  const meter = new LoadMeter<Seat>()
  meter.begin(reading(0, [0, 0]))
  meter.took(A, 1000)
  meter.took(B, 200)
  sharesOf(meter, reading(1000, [1000, 1200]), [A, B])
  meter.begin(reading(1000, [1000, 1200]))
  meter.took(B, 200)
  const [[busyShare, a = 0, b = 0] = []] = sharesOf(meter, reading(2000, [2000, 1400]), [A, B])
  assert.equal(busyShare, 1)
  assert.ok(a > 2 * b, `${a} and ${b}`)
})

test('a thread that no time was given is not known to be anything', () => {
  const meter = new LoadMeter<Seat>()
  meter.begin(reading(5, [0, 0]))
  assert.deepEqual(sharesOf(meter, reading(5, [0, 0]), [A]), [[undefined, 0]])
})
