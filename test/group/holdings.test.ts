import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Epoch, keyOf } from '../../src/batch.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { Holdings, type Phase } from '../../src/group/holdings.ts'
import type { TopicPartitions } from '../../src/world.ts'

const T = 'topic-a'

function grants(...partitions: number[]): TopicPartitions[] {
  return [{ topicId: T, partitions }]
}

function heldOf(holdings: Holdings): readonly number[] {
  return holdings.held()[0]?.partitions ?? []
}

function only(epochs: readonly Epoch[]): Epoch {
  const [epoch, ...others] = epochs
  assert.ok(epoch !== undefined && others.length === 0, `one epoch was expected, there are ${epochs.length}`)
  return epoch
}

/** A holding in a phase, reached by legal moves. */
function inPhase(phase: Phase): { holdings: Holdings; epoch: Epoch } {
  const holdings = new Holdings([T])
  const epoch = only(holdings.apply(grants(1), holdings.nextBeat()).assigned)
  if (phase === 'active') holdings.activate(epoch)
  if (phase === 'draining') holdings.drain(epoch)
  if (phase === 'lost' || phase === 'released') holdings.lose(epoch)
  if (phase === 'released') holdings.release(epoch)
  assert.equal(holdings.phaseOf(epoch), phase)
  return { holdings, epoch }
}

describe('holdings: phases', () => {
  const LEGAL: Record<Phase, readonly Phase[]> = {
    starting: ['active', 'draining', 'lost'],
    active: ['draining', 'lost'],
    draining: ['released', 'lost'],
    lost: ['released'],
    released: []
  }
  const MOVES = [
    ['active', (holdings: Holdings, epoch: Epoch) => holdings.activate(epoch)],
    ['draining', (holdings: Holdings, epoch: Epoch) => holdings.drain(epoch)],
    ['released', (holdings: Holdings, epoch: Epoch) => holdings.release(epoch)]
  ] as const
  for (const from of ['starting', 'active', 'draining', 'lost', 'released'] as const) {
    for (const [to, move] of MOVES) {
      const isLegal = LEGAL[from].includes(to)
      test(`I4: ${from} → ${to} is ${isLegal ? 'legal' : 'refused'}`, () => {
        const { holdings, epoch } = inPhase(from)
        if (isLegal) {
          move(holdings, epoch)
          assert.equal(holdings.phaseOf(epoch), to)
          return
        }
        assert.throws(() => move(holdings, epoch), { code: 'INVARIANT_BROKEN' })
        assert.equal(holdings.phaseOf(epoch), from)
      })
    }
    test(`${from} → lost ${LEGAL[from].includes('lost') ? 'happens, and says so' : 'is no news'}`, () => {
      const { holdings, epoch } = inPhase(from)
      assert.equal(holdings.lose(epoch), LEGAL[from].includes('lost'))
    })
  }

  test('loseAll tells each partition once, in order, and keeps all of them held', () => {
    const holdings = new Holdings([T])
    const { assigned } = holdings.apply(grants(3, 1, 2), holdings.nextBeat())
    assert.deepEqual(
      assigned.map(({ partition }) => partition),
      [1, 2, 3]
    )
    assert.deepEqual(holdings.loseAll(), assigned)
    assert.deepEqual(holdings.loseAll(), [])
    assert.deepEqual(heldOf(holdings), [1, 2, 3])
    assert.equal(holdings.heldCount, 3)
  })
})

describe('holdings: answers', () => {
  test('I4: a partition stays in the heartbeat from its assignment until its release, whatever the server says', () => {
    const { holdings, epoch } = inPhase('active')
    const { revoked } = holdings.apply([], holdings.nextBeat())
    assert.deepEqual(revoked, [epoch])
    assert.deepEqual(heldOf(holdings), [1])
    assert.deepEqual(holdings.apply([], holdings.nextBeat()).revoked, [], 'it is revoked once')
    assert.deepEqual(heldOf(holdings), [1])
    holdings.release(epoch)
    assert.deepEqual(heldOf(holdings), [])
  })

  test('I4: every topic is listed, also without partitions, and each with its own', () => {
    const holdings = new Holdings([T, 'topic-b', 'topic-c'])
    holdings.apply(
      [
        { topicId: T, partitions: [2, 0] },
        { topicId: 'topic-c', partitions: [0] }
      ],
      holdings.nextBeat()
    )
    assert.deepEqual(holdings.held(), [
      { topicId: T, partitions: [0, 2] },
      { topicId: 'topic-b', partitions: [] },
      { topicId: 'topic-c', partitions: [0] }
    ])
  })

  test('a partition revoked before it became active drains', () => {
    const { holdings, epoch } = inPhase('starting')
    assert.deepEqual(holdings.apply([], holdings.nextBeat()).revoked, [epoch])
    assert.equal(holdings.phaseOf(epoch), 'draining')
  })

  test('what is held already is not assigned again, in any phase', () => {
    for (const phase of ['starting', 'active', 'draining', 'lost'] as const) {
      const { holdings, epoch } = inPhase(phase)
      assert.deepEqual(holdings.apply(grants(1), holdings.nextBeat()), { assigned: [], revoked: [], foreign: [] })
      assert.equal(holdings.phaseOf(epoch), phase)
    }
  })

  test('I4: the answer to a heartbeat sent before a release does not assign that partition again', () => {
    const { holdings, epoch } = inPhase('draining')
    const beat = holdings.nextBeat()
    holdings.release(epoch)
    assert.deepEqual(holdings.apply(grants(1), beat).assigned, [])
    assert.deepEqual(heldOf(holdings), [])
    const again = only(holdings.apply(grants(1), holdings.nextBeat()).assigned)
    assert.ok(again.epoch > epoch.epoch)
  })

  test('a stale answer keeps back the released partition alone', () => {
    const { holdings, epoch } = inPhase('draining')
    const beat = holdings.nextBeat()
    holdings.release(epoch)
    const { assigned } = holdings.apply(grants(1, 2), beat)
    assert.deepEqual(only(assigned).partition, 2)
  })

  test('a lost partition that is granted is assigned after its release, with a new epoch', () => {
    const { holdings, epoch } = inPhase('lost')
    assert.deepEqual(holdings.apply(grants(1), holdings.nextBeat()).assigned, [])
    holdings.release(epoch)
    const again = only(holdings.apply(grants(1), holdings.nextBeat()).assigned)
    assert.ok(again.epoch > epoch.epoch)
    assert.equal(holdings.phaseOf(epoch), 'released')
    assert.equal(holdings.phaseOf(again), 'starting')
  })

  test('a consumer that is stopping takes nothing, and still gives up what is revoked', () => {
    const { holdings, epoch } = inPhase('active')
    assert.deepEqual(holdings.apply(grants(2), holdings.nextBeat(), false), {
      assigned: [],
      revoked: [epoch],
      foreign: []
    })
    assert.deepEqual(heldOf(holdings), [1])
  })

  test('partitions of a topic that was not asked for are told, and not held', () => {
    const holdings = new Holdings([T])
    const { assigned, foreign } = holdings.apply([{ topicId: 'other', partitions: [7] }], holdings.nextBeat())
    assert.deepEqual([assigned, foreign], [[], [{ topicId: 'other', partition: 7 }]])
    assert.deepEqual(holdings.held(), [{ topicId: T, partitions: [] }])
  })

  test('a partition granted twice in one answer is assigned once', () => {
    const holdings = new Holdings([T])
    only(holdings.apply([...grants(1), ...grants(1)], holdings.nextBeat()).assigned)
  })
})

describe('holdings: epochs', () => {
  test('I3: a renewed partition goes on under a new number, and the old one is over', () => {
    const { holdings, epoch } = inPhase('active')
    const next = holdings.renew(epoch)
    assert.ok(next.epoch > epoch.epoch)
    assert.deepEqual([holdings.phaseOf(epoch), holdings.phaseOf(next)], ['released', 'active'])
    assert.equal(holdings.lose(epoch), false, 'an old epoch cannot be lost')
    holdings.drain(next)
    assert.throws(() => holdings.release(epoch), { code: 'INVARIANT_BROKEN' }, 'an old epoch releases nothing')
    assert.deepEqual(heldOf(holdings), [1])
    holdings.release(next)
  })

  test('I3: only an active partition is renewed', () => {
    for (const phase of ['starting', 'draining', 'lost'] as const) {
      const { holdings, epoch } = inPhase(phase)
      assert.throws(() => holdings.renew(epoch), { code: 'INVARIANT_BROKEN' })
    }
  })

  test('I4: whatever grants, losses and releases come, held is what is assigned and not released, each epoch new', () => {
    const act = fc.oneof(
      fc.record({ kind: fc.constant('answer' as const), partitions: fc.uniqueArray(fc.integer({ min: 0, max: 4 })) }),
      fc.record({ kind: fc.constant('stale' as const), partitions: fc.uniqueArray(fc.integer({ min: 0, max: 4 })) }),
      fc.record({ kind: fc.constantFrom('lose' as const, 'drain' as const, 'release' as const), nth: fc.nat(4) })
    )
    fc.assert(
      fc.property(fc.array(act, { maxLength: 40 }), acts => {
        const holdings = new Holdings([T])
        const model = new Map<string, Epoch>()
        /** Released since the heartbeat in flight was sent. */
        let released = new Set<string>()
        let highest = 0
        let beat = holdings.nextBeat()
        for (const each of acts) {
          if (each.kind === 'answer' || each.kind === 'stale') {
            if (each.kind === 'answer') {
              beat = holdings.nextBeat()
              released = new Set()
            }
            const before = highest
            for (const epoch of holdings.apply(grants(...each.partitions), beat).assigned) {
              assert.ok(!model.has(keyOf(epoch)) && !released.has(keyOf(epoch)) && epoch.epoch > before)
              highest = Math.max(highest, epoch.epoch)
              model.set(keyOf(epoch), epoch)
            }
          } else {
            const epoch = [...model.values()][each.nth]
            if (epoch === undefined) continue
            const phase = holdings.phaseOf(epoch)
            if (each.kind === 'lose') holdings.lose(epoch)
            if (each.kind === 'drain' && phase === 'starting') holdings.drain(epoch)
            if (each.kind === 'release' && (phase === 'lost' || phase === 'draining')) {
              holdings.release(epoch)
              model.delete(keyOf(epoch))
              released.add(keyOf(epoch))
            }
          }
          const expected = [...model.values()].map(({ partition }) => partition).sort((a, b) => a - b)
          assert.deepEqual(heldOf(holdings), expected)
        }
      })
    )
  })

  test('the error of an illegal move names the partition and both phases', () => {
    const { holdings, epoch } = inPhase('starting')
    assert.throws(
      () => holdings.release(epoch),
      (error: unknown) =>
        error instanceof ClsConsumerError && /topic-a\/1 moves from starting to released/.test(error.message)
    )
  })
})
