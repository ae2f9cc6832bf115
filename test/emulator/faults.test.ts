import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Fault, FaultRule } from '../../src/emulator/fault-rules.ts'
import { Faults, UNSTRUCK } from '../../src/emulator/faults.ts'
import type { RequestDescription } from '../../src/emulator/request-description.ts'

const CUT: Fault = { kind: 'drop', when: 'body' }
const HALF: Fault = { kind: 'truncate' }

const pull = (partition = 0, topicId = 't'): RequestDescription => ({
  action: 'pull_log',
  places: [{ topicId, partition }],
  consumer: undefined
})

/** Which of so many equal requests are struck, counted from 1. */
function struck(rule: Omit<FaultRule, 'fault'>, count: number): number[] {
  const faults = new Faults([{ ...rule, fault: CUT }])
  return Array.from({ length: count }, (_, index) => index + 1).filter(
    () => faults.strike(pull()).fault?.kind === 'drop'
  )
}

test('a rule strikes every request, or every Nth after the first ones, so often', () => {
  assert.deepEqual(struck({}, 3), [1, 2, 3])
  assert.deepEqual(struck({ after: 2 }, 4), [3, 4])
  assert.deepEqual(struck({ every: 3 }, 7), [3, 6])
  assert.deepEqual(struck({ times: 2 }, 4), [1, 2])
  assert.deepEqual(struck({ after: 1, every: 2, times: 2 }, 9), [3, 5])
})

test('whatever after, every and times are, the n-th strike is at after + n × every', () => {
  const parts = fc.record({
    after: fc.nat(5),
    every: fc.integer({ min: 1, max: 5 }),
    times: fc.integer({ min: 1, max: 5 })
  })
  fc.assert(
    fc.property(parts, rule => {
      const expected = Array.from({ length: rule.times }, (_, index) => rule.after + (index + 1) * rule.every)
      assert.deepEqual(struck(rule, 40), expected)
    })
  )
})

test('without a rule that matches, nothing happens', () => {
  assert.deepEqual(new Faults([]).strike(pull()), UNSTRUCK)
  assert.ok(new Faults([]).isEmpty)
  const others: readonly FaultRule[] = [
    { action: 'structuredlog', fault: CUT },
    { topicId: 'u', fault: CUT },
    { partition: 1, fault: CUT },
    { consumer: 'A', fault: CUT }
  ]
  const faults = new Faults(others)
  assert.deepEqual(faults.strike(pull()), UNSTRUCK)
  assert.deepEqual(
    faults.counts(),
    others.map(rule => ({ rule, metCount: 0, struckCount: 0 }))
  )
})

test('a rule stays as it was given, whatever becomes of the object that it was given as', () => {
  const rule = { times: 1, fault: CUT }
  const faults = new Faults([rule])
  rule.times = 9
  assert.deepEqual(
    [1, 2].map(() => faults.strike(pull()).fault?.kind),
    ['drop', undefined]
  )
})

test('a topic and a partition of a rule are of one place of the request', () => {
  const beat: RequestDescription = {
    action: 'SendConsumerHeartbeat',
    places: [
      { topicId: 't', partition: 0 },
      { topicId: 'u', partition: 1 }
    ],
    consumer: 'A'
  }
  const strikes = (rule: Omit<FaultRule, 'fault'>) =>
    new Faults([{ ...rule, fault: CUT }]).strike(beat).fault?.kind === 'drop'
  assert.ok(strikes({ topicId: 'u', partition: 1 }))
  assert.ok(strikes({ partition: 0 }) && strikes({ topicId: 'u' }) && strikes({ consumer: 'A' }))
  assert.ok(!strikes({ topicId: 't', partition: 1 }))
})

test('of several rules the first whose turn it is is played, and the others keep their strikes', () => {
  const first: FaultRule = { every: 2, fault: CUT }
  const second: FaultRule = { times: 2, fault: HALF }
  const faults = new Faults([first, second])
  assert.deepEqual(
    [1, 2, 3, 4].map(() => faults.strike(pull()).fault?.kind),
    ['truncate', 'drop', 'truncate', 'drop']
  )
  assert.deepEqual(faults.counts(), [
    { rule: first, metCount: 4, struckCount: 2 },
    { rule: second, metCount: 4, struckCount: 2 }
  ])
})

test('delays add up with each other and with the fault that follows, not with what stands after it', () => {
  const faults = new Faults([
    { fault: { kind: 'delay', ms: 10 } },
    { fault: { kind: 'delay', ms: 5, when: 'after' } },
    { fault: { kind: 'delay', ms: 100, when: 'before' } },
    { fault: CUT },
    { fault: { kind: 'delay', ms: 1000 } }
  ])
  assert.deepEqual(faults.strike(pull()), { beforeMs: 110, afterMs: 5, fault: CUT })
  assert.deepEqual(
    faults.counts().map(({ struckCount }) => struckCount),
    [1, 1, 1, 1, 0]
  )
})
