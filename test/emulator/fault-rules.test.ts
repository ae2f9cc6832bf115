import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FaultRule, faultRuleProblems, isFaultRules } from '../../src/emulator/fault-rules.ts'

const SOUND: readonly FaultRule[] = [
  { fault: { kind: 'delay', ms: 1 } },
  { fault: { kind: 'delay', ms: 1, when: 'after' } },
  { action: 'CommitConsumerOffsets', consumer: 'A', fault: { kind: 'error', code: 'InternalError', message: 'm' } },
  { action: 'pull_log', fault: { kind: 'error', code: 'c', wrapped: 'lz4' } },
  { topicId: 't', partition: 0, after: 0, times: 1, every: 1, fault: { kind: 'status', status: 502, body: 'empty' } },
  { fault: { kind: 'drop', when: 'headers' } },
  { fault: { kind: 'truncate' } },
  { fault: { kind: 'corrupt' } },
  { fault: { kind: 'corrupt', what: 'protobuf' } },
  { fault: { kind: 'too-large', bytes: 1 } }
]

test('every kind of fault, with and without what may be left out, is sound', () => {
  assert.deepEqual(faultRuleProblems(SOUND), [])
  assert.ok(isFaultRules(SOUND))
})

test('every problem is told, with its place, its value and what is right', () => {
  for (const [rule, ...expected] of [
    ['x', /^faults\[0\] is not an object$/],
    [{}, /^faults\[0\]\.fault is not an object with a kind$/],
    [{ fault: { kind: 'dely' } }, /^faults\[0\]\.fault\.kind is "dely": expected delay or error or status/],
    [{ fault: { kind: 'delay' } }, /^faults\[0\]\.fault\.ms is missing$/],
    [
      { fault: { kind: 'delay', ms: 0.5, when: 'now' } },
      /ms is 0\.5: expected a whole number from 1/,
      /before or after/
    ],
    [{ action: 'pull', fault: { kind: 'truncate' } }, /action is "pull": expected .*pull_log or structuredlog/],
    [
      { fault: { kind: 'truncate', half: 1 }, evry: 2 },
      /^faults\[0\] has no evry/,
      /fault has no half: there is no others/
    ],
    [
      { every: 0, times: 0, after: -1, partition: 1.5, fault: { kind: 'truncate' } },
      /every/,
      /times/,
      /after/,
      /partition/
    ],
    [{ topicId: '', consumer: 7, fault: { kind: 'drop' } }, /topicId is ""/, /consumer is 7/, /when is missing/],
    [
      { fault: { kind: 'status', status: 99, body: 'xml' } },
      /status is 99: expected .* 200 to 599/,
      /html or empty or json/
    ],
    [{ fault: { kind: 'error', code: '' } }, /code is ""/],
    [{ fault: { kind: 'error', code: 'c', wrapped: 'plain' } }, /wrapped is of pulls alone/],
    [{ action: 'pull_log', fault: { kind: 'error', code: 'c', wrapped: 'plain', status: 400 } }, /both wrapped/],
    [{ fault: { kind: 'corrupt', what: 'all' } }, /what is "all": expected bytes or json/],
    [{ fault: { kind: 'too-large', bytes: 2 ** 40 } }, /bytes is 1099511627776/]
  ] as const) {
    const problems = faultRuleProblems([rule])
    assert.equal(problems.length >= 1 && isFaultRules([rule]), false, JSON.stringify(rule))
    for (const pattern of expected)
      assert.ok(
        problems.some(problem => pattern.test(problem)),
        `${pattern}: ${problems}`
      )
    assert.equal(problems.length, expected.length, problems.join('\n'))
  }
})

test('the problems of all rules are told at once, and what is no list is none', () => {
  const rules = [SOUND[0], { fault: { kind: 'delay' } }, 7]
  assert.deepEqual(faultRuleProblems(rules), ['faults[1].fault.ms is missing', 'faults[2] is not an object'])
  assert.deepEqual(faultRuleProblems({ fault: 1 }), ['faults is not a list of rules'])
  assert.match(faultRuleProblems(Array.from({ length: 1001 }, () => SOUND[0]))[0] ?? '', /1000 at most/)
})

test('a part of a rule that is undefined is a part not given', () => {
  const rule = { action: undefined, every: undefined, fault: { kind: 'corrupt', what: undefined } }
  assert.deepEqual(faultRuleProblems([rule]), [])
})
