import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Batch, Epoch } from '../../src/batch.ts'
import { Lanes, type Seat } from '../../src/dispatch/lanes.ts'
import type { FailedAnswer } from '../../src/dispatch/messages.ts'
import { bodyOf } from '../support/fake-data.ts'

const BODY = bodyOf('x')
const FAILED: FailedAnswer = {
  kind: 'failed',
  stage: 'process',
  failure: { code: 'PROCESSOR_FAILED', message: 'no', stack: '', place: {} }
}
const epochOf = (partition: number, epoch = 1): Epoch => ({ topicId: 't', partition, epoch })

function batchOf(partition: number, batchId: number, epoch = 1): Batch {
  return {
    ...epochOf(partition, epoch),
    batchId,
    startOffset: BigInt(batchId),
    endOffset: undefined,
    peekedOffset: undefined,
    body: BODY,
    decodedBytes: 10
  }
}

function ready(lanes: Lanes, partition: number, ...batchIds: number[]): Seat {
  const seat = lanes.add(epochOf(partition))
  lanes.turn(seat, 'ready')
  for (const batchId of batchIds) lanes.enqueue(seat, batchOf(partition, batchId))
  return seat
}

describe('lanes', () => {
  test('a partition gets the lane that has the fewest, and keeps it until it leaves', () => {
    const lanes = new Lanes(3, 4)
    const seats = [0, 1, 2, 3].map(partition => lanes.add(epochOf(partition)))
    assert.deepEqual(
      seats.map(({ thread }) => thread),
      [0, 1, 2, 0]
    )
    const [first, second] = seats
    assert.ok(first !== undefined && second !== undefined)
    lanes.remove(second)
    assert.equal(lanes.add(epochOf(9)).thread, 1)
    assert.equal(lanes.find(epochOf(0))?.thread, first.thread)
  })

  test('partitions of a consumer begin on its first thread, and go round from there', () => {
    const lanes = new Lanes(3, 4, 2)
    const threads = [0, 1, 2, 3].map(partition => lanes.add(epochOf(partition)).thread)
    assert.deepEqual(threads, [2, 0, 1, 2])
    assert.equal(new Lanes(2, 4, 5).add(epochOf(0)).thread, 1, 'whatever the number of the consumer')
  })

  test('a partition moves with what waits, and counts where it is', () => {
    const lanes = new Lanes(2, 4)
    const seat = ready(lanes, 0, 1, 2)
    lanes.turn(seat, 'moving')
    assert.equal(lanes.next(0), undefined)
    lanes.moveTo(seat, 1)
    assert.deepEqual([seat.phase, lanes.seatsOf(0), lanes.seatsOf(1)], ['assigning', [], [seat]])
    lanes.turn(seat, 'ready')
    assert.deepEqual([lanes.next(0), lanes.next(1)], [undefined, seat])
    assert.equal(lanes.open(seat).batchId, 1)
    assert.equal(lanes.add(epochOf(9)).thread, 0)
  })

  test('I2: a partition moves only when none of its batches is open', () => {
    const lanes = new Lanes(2, 4)
    const seat = ready(lanes, 0, 1)
    lanes.open(seat)
    lanes.turn(seat, 'moving')
    assert.throws(() => lanes.moveTo(seat, 1), { code: 'INVARIANT_BROKEN' })
    assert.deepEqual([seat.thread, lanes.seatsOf(1)], [0, []])
  })

  test('I2: a draining seat stays so until it leaves', () => {
    const lanes = new Lanes(2, 4)
    const seat = ready(lanes, 0)
    lanes.turn(seat, 'draining')
    for (const phase of ['assigning', 'ready', 'moving'] as const) {
      assert.throws(() => lanes.turn(seat, phase), { code: 'INVARIANT_BROKEN' })
    }
  })

  test('a suspended batch is not offered before it is resumed, and its partition waits with it', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 1, 2)
    lanes.open(seat)
    lanes.failed(seat, FAILED, { isLoss: true, isCounted: true })
    lanes.reopen(seat)
    lanes.suspend(seat)
    assert.deepEqual([lanes.next(0), lanes.attempt(seat), lanes.trouble(seat)?.lossCount], [undefined, 2, 1])
    lanes.resume(seat)
    assert.equal(lanes.next(0), seat)
    assert.equal(lanes.open(seat).batchId, 1)
    assert.deepEqual(lanes.failed(seat, FAILED, { isLoss: true, isCounted: true }), {
      startOffset: 1n,
      beginCount: 2,
      failureCount: 2,
      lossCount: 2,
      last: FAILED
    })
  })

  test('a partition is at work while it has a batch, and nothing keeps it from that', () => {
    const lanes = new Lanes(2, 4)
    const seat = lanes.add(epochOf(0))
    lanes.enqueue(seat, batchOf(0, 1))
    assert.equal(lanes.isAtWork(seat), false, 'assigning')
    lanes.turn(seat, 'ready')
    assert.equal(lanes.isAtWork(seat), true, 'queued')
    lanes.open(seat)
    assert.equal(lanes.isAtWork(seat), true, 'open')
    lanes.failed(seat, FAILED, { isLoss: false, isCounted: true })
    lanes.reopen(seat)
    assert.equal(lanes.isAtWork(seat), true, 'to be tried again')
    lanes.suspend(seat)
    assert.equal(lanes.isAtWork(seat), false, 'in backoff')
    lanes.resume(seat)
    lanes.open(seat)
    lanes.failed(seat, FAILED, { isLoss: true, isCounted: true })
    lanes.reopen(seat)
    assert.equal(lanes.isAtWork(seat), false, 'a thread was lost of its batch')
    lanes.clear(seat)
    assert.equal(lanes.isAtWork(seat), false, 'nothing to do')
  })

  test('what went wrong counts by its kind: begun, failed, lost', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 1)
    const other = { ...FAILED, failure: { ...FAILED.failure, message: 'another' } }
    for (const act of [
      () => lanes.cutShort(seat),
      () => lanes.failed(seat, FAILED, { isLoss: false, isCounted: true }),
      () => lanes.failed(seat, other, { isLoss: true, isCounted: true }),
      () => lanes.cutShort(seat)
    ]) {
      lanes.open(seat)
      act()
      lanes.reopen(seat)
    }
    assert.deepEqual(lanes.trouble(seat), {
      startOffset: 1n,
      beginCount: 4,
      failureCount: 2,
      lossCount: 1,
      last: other
    })
    assert.equal(lanes.attempt(seat), 5)
  })

  test('what went wrong is that of the batch that starts there: not of one before it, and over once one behind it ends', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 5)
    lanes.open(seat)
    lanes.failed(seat, FAILED, { isLoss: true, isCounted: true })
    lanes.discard(seat)
    lanes.renew(seat, epochOf(0, 2), false)
    for (const [batchId, startOffset] of [
      [6, 3n],
      [7, 5n],
      [8, 9n]
    ] as const) {
      lanes.enqueue(seat, { ...batchOf(0, batchId, 2), startOffset })
    }
    assert.deepEqual([lanes.attempt(seat), lanes.trouble(seat)], [1, undefined], 'the one before it')
    lanes.open(seat)
    lanes.close(seat)
    assert.deepEqual([lanes.attempt(seat), lanes.trouble(seat)?.lossCount], [2, 1])
    lanes.open(seat)
    lanes.close(seat)
    assert.equal(seat.troubles.size, 0)
    assert.equal(lanes.attempt(seat), 1)
  })

  test('each of several bad batches is counted by itself, and only the newest are remembered', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0)
    let batchId = 100
    const failAt = (startOffset: bigint): void => {
      lanes.enqueue(seat, { ...batchOf(0, batchId++), startOffset })
      lanes.open(seat)
      lanes.failed(seat, FAILED, { isLoss: false, isCounted: true })
      lanes.discard(seat)
    }
    // As after each restart at the same save.
    for (let round = 0; round < 3; round++) for (const startOffset of [5n, 8n]) failAt(startOffset)
    lanes.enqueue(seat, { ...batchOf(0, batchId++), startOffset: 8n })
    assert.equal(lanes.trouble(seat)?.failureCount, 3)
    lanes.open(seat)
    lanes.close(seat)
    for (let startOffset = 10n; startOffset < 200n; startOffset++) failAt(startOffset)
    assert.deepEqual([seat.troubles.size, seat.troubles.has(5n), seat.troubles.has(199n)], [64, false, true])
  })

  test('a new try forgives what went wrong, and what is still open: its end counts for nothing', () => {
    for (const isNewTry of [true, false]) {
      const lanes = new Lanes(1, 4)
      const seat = ready(lanes, 0, 1)
      lanes.open(seat)
      lanes.failed(seat, FAILED, { isLoss: false, isCounted: true })
      assert.equal(lanes.isForgiven(seat), false)
      lanes.renew(seat, epochOf(0, 2), isNewTry)
      assert.deepEqual([seat.troubles.size === 0, lanes.isForgiven(seat)], [isNewTry, isNewTry])
      lanes.renew(seat, epochOf(0, 3), false)
      assert.equal(lanes.isForgiven(seat), isNewTry, 'and stays so')
      lanes.discard(seat)
      assert.equal(lanes.isForgiven(seat), false)
      lanes.enqueue(seat, batchOf(0, 2, 3))
      lanes.open(seat)
      assert.equal(lanes.isForgiven(seat), false, 'of the new try')
    }
  })

  test('a batch that a thread was lost of is open alone on its lane, and comes before others', () => {
    const lanes = new Lanes(1, 4)
    const [suspect, other, third] = [0, 1, 2].map(partition => ready(lanes, partition, partition + 1))
    assert.ok(suspect !== undefined && other !== undefined && third !== undefined)
    lanes.open(suspect)
    lanes.failed(suspect, FAILED, { isLoss: true, isCounted: true })
    lanes.reopen(suspect)
    lanes.suspend(suspect)
    assert.equal(lanes.next(0), other)
    lanes.open(other)
    lanes.resume(suspect)
    assert.equal(lanes.next(0), undefined, 'not beside another, and no other before it')
    lanes.close(other)
    assert.equal(lanes.next(0), suspect)
    lanes.open(suspect)
    assert.equal(lanes.next(0), undefined, 'no other beside it')
    lanes.close(suspect)
    assert.equal(lanes.next(0), third)
  })

  test('a batch that has failed by itself, or was cut short, runs beside others', () => {
    const lanes = new Lanes(1, 4)
    const [failed, other] = [0, 1].map(partition => ready(lanes, partition, partition + 1))
    assert.ok(failed !== undefined && other !== undefined)
    lanes.open(failed)
    lanes.failed(failed, FAILED, { isLoss: false, isCounted: true })
    lanes.cutShort(failed)
    lanes.reopen(failed)
    lanes.open(other)
    assert.equal(lanes.next(0), failed)
  })

  test('I2: a partition is seated once, in one epoch', () => {
    const lanes = new Lanes(2, 4)
    const seat = lanes.add(epochOf(0))
    assert.throws(() => lanes.add(epochOf(0, 2)), { code: 'INVARIANT_BROKEN' })
    lanes.remove(seat)
    lanes.add(epochOf(0, 2))
  })

  test('I3: a seat is found in its own epoch alone', () => {
    const lanes = new Lanes(1, 4)
    const seat = lanes.add(epochOf(0, 5))
    assert.deepEqual(
      [lanes.find(epochOf(0, 5)), lanes.find(epochOf(0, 4)), lanes.find(epochOf(1, 5))],
      [seat, undefined, undefined]
    )
    lanes.renew(seat, epochOf(0, 6), true)
    assert.deepEqual([lanes.find(epochOf(0, 5)), lanes.find(epochOf(0, 6))], [undefined, seat])
  })

  test('I2: one batch of a partition is open at a time, and the next is offered once it is closed', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 1, 2)
    assert.equal(lanes.next(0), seat)
    assert.equal(lanes.open(seat).batchId, 1)
    assert.equal(lanes.next(0), undefined)
    assert.throws(() => lanes.open(seat), { code: 'INVARIANT_BROKEN' })
    lanes.close(seat)
    assert.equal(lanes.open(seat).batchId, 2)
  })

  test('I2: batches start in offset order', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 5)
    assert.throws(() => lanes.enqueue(seat, batchOf(0, 4)), { code: 'INVARIANT_BROKEN' })
    lanes.open(seat)
    assert.throws(() => lanes.enqueue(seat, batchOf(0, 5)), { code: 'INVARIANT_BROKEN' })
  })

  test('I2: a partition leaves its lane only when none of its batches is open', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 1)
    lanes.open(seat)
    assert.throws(() => lanes.remove(seat), { code: 'INVARIANT_BROKEN' })
    lanes.close(seat)
    lanes.remove(seat)
    assert.deepEqual(lanes.seatsOf(0), [])
  })

  test('a seat that is being assigned or drained is not offered', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 1)
    for (const phase of ['assigning', 'moving', 'draining'] as const) {
      lanes.turn(seat, phase)
      assert.equal(lanes.next(0), undefined)
    }
  })

  test('a thread opens no more than its batches, of different partitions, which take turns', () => {
    const lanes = new Lanes(1, 2)
    const seats = [0, 1, 2].map(partition => ready(lanes, partition, partition * 10 + 1, partition * 10 + 2))
    const opened: number[] = []
    for (let turn = 0; turn < 6; turn++) {
      for (let seat = lanes.next(0); seat !== undefined; seat = lanes.next(0)) opened.push(lanes.open(seat).batchId)
      assert.ok(seats.filter(({ open }) => open !== undefined).length <= 2)
      const oldest = seats.find(seat => seat.open?.batchId === opened[turn])
      assert.ok(oldest !== undefined)
      lanes.close(oldest)
    }
    assert.deepEqual(opened, [1, 11, 21, 2, 12, 22])
  })

  test('a batch that did not run to its end is the next one again, as a further attempt', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 1, 2)
    lanes.open(seat)
    lanes.cutShort(seat)
    lanes.reopen(seat)
    assert.deepEqual([lanes.attempt(seat), seat.open, seat.queue.map(({ batchId }) => batchId)], [2, undefined, [1, 2]])
    assert.equal(lanes.open(seat).batchId, 1)
    lanes.close(seat)
    assert.equal(lanes.attempt(seat), 1)
    for (const act of [
      () => lanes.reopen(seat),
      () => lanes.cutShort(seat),
      () => lanes.failed(seat, FAILED, { isLoss: false, isCounted: true })
    ]) {
      assert.throws(act, { code: 'INVARIANT_BROKEN' })
    }
  })

  test('an open batch is found by its number, a waiting one is not', () => {
    const lanes = new Lanes(2, 4)
    const seat = ready(lanes, 0, 1, 2)
    lanes.open(seat)
    assert.equal(lanes.openBatch(1), seat.open)
    assert.equal(lanes.openBatch(2), undefined)
  })

  test('cleared batches are returned in order, and the open one stays', () => {
    const lanes = new Lanes(1, 4)
    const seat = ready(lanes, 0, 1, 2, 3)
    lanes.open(seat)
    assert.deepEqual(
      lanes.clear(seat).map(({ batchId }) => batchId),
      [2, 3]
    )
    assert.equal(seat.open?.batchId, 1)
    assert.deepEqual(seat.queue, [])
  })

  test('I2: under any schedule a partition has one open batch at most, in order, and each thread no more than its limit', () => {
    const act = fc.record({
      kind: fc.constantFrom('enqueue' as const, 'open' as const, 'close' as const, 'reopen' as const),
      seat: fc.nat(5),
      thread: fc.nat(1)
    })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(act, { maxLength: 100 }), (limit, acts) => {
        const lanes = new Lanes(2, limit)
        const seats = Array.from({ length: 6 }, (_, partition) => ready(lanes, partition))
        const started = new Map<number, number>()
        let batchId = 0
        for (const { kind, seat: index, thread } of acts) {
          const seat = seats[index]
          if (seat === undefined) continue
          if (kind === 'enqueue') lanes.enqueue(seat, batchOf(index, ++batchId))
          else if (kind === 'close' && seat.open !== undefined) lanes.close(seat)
          else if (kind === 'reopen' && seat.open !== undefined) {
            lanes.reopen(seat)
            started.set(index, (seat.queue[0]?.batchId ?? 0) - 1)
          } else if (kind === 'open') {
            const next = lanes.next(thread)
            if (next === undefined) continue
            assert.equal(next.thread, thread)
            const { partition, batchId: opened } = lanes.open(next)
            assert.ok(opened > (started.get(partition) ?? 0))
            started.set(partition, opened)
          }
          for (const each of [0, 1])
            assert.ok(lanes.seatsOf(each).filter(({ open }) => open !== undefined).length <= limit)
        }
        assert.equal(lanes.seatsOf(0).length + lanes.seatsOf(1).length, 6)
      }),
      { numRuns: 500 }
    )
  })
})
