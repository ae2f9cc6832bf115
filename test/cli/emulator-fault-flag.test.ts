/** One `--fault` of the emulator, in short or as JSON. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULT_EXAMPLES, parseFaultFlag } from '../../src/cli/fault-flag.ts'

test('the short form says action, kind and what the kind takes, then parts of the rule', () => {
  for (const [text, rule] of [
    ['pull_log:delay:200', { action: 'pull_log', fault: { kind: 'delay', ms: 200 } }],
    ['*:delay:5:after', { fault: { kind: 'delay', ms: 5, when: 'after' } }],
    ['*:error:InternalError', { fault: { kind: 'error', code: 'InternalError' } }],
    [
      'pull_log:error:TopicClosed:410',
      { action: 'pull_log', fault: { kind: 'error', code: 'TopicClosed', status: 410 } }
    ],
    ['*:error:InvalidParameter.InvalidOffset', { fault: { kind: 'error', code: 'InvalidParameter.InvalidOffset' } }],
    ['*:status:502', { fault: { kind: 'status', status: 502 } }],
    ['*:status:200:empty', { fault: { kind: 'status', status: 200, body: 'empty' } }],
    ['*:drop:body', { fault: { kind: 'drop', when: 'body' } }],
    ['structuredlog:truncate', { action: 'structuredlog', fault: { kind: 'truncate' } }],
    ['pull_log:corrupt', { action: 'pull_log', fault: { kind: 'corrupt' } }],
    ['pull_log:corrupt:json', { action: 'pull_log', fault: { kind: 'corrupt', what: 'json' } }],
    ['pull_log:too-large:9', { action: 'pull_log', fault: { kind: 'too-large', bytes: 9 } }],
    [
      '*:truncate,every=2,times=3,after=4,partition=5',
      { every: 2, times: 3, after: 4, partition: 5, fault: { kind: 'truncate' } }
    ],
    ['*:truncate,topicId=t-1,consumer=A', { topicId: 't-1', consumer: 'A', fault: { kind: 'truncate' } }]
  ] as const) {
    assert.deepEqual(parseFaultFlag(text), { kind: 'rule', rule }, text)
  }
})

test('a text in braces is the whole rule as JSON', () => {
  const rule = { action: 'pull_log', topicId: 'a,b:c', fault: { kind: 'error', code: 'c', wrapped: 'snappy' } }
  assert.deepEqual(parseFaultFlag(JSON.stringify(rule)), { kind: 'rule', rule })
})

test('the examples of the help are rules', () => {
  for (const example of FAULT_EXAMPLES) assert.equal(parseFaultFlag(example).kind, 'rule', example)
})

test('a text of digits is a number only where the rule wants one', () => {
  assert.deepEqual(parseFaultFlag('*:error:500,consumer=7,every=7'), {
    kind: 'rule',
    rule: { consumer: '7', every: 7, fault: { kind: 'error', code: '500' } }
  })
})

test('what is wrong is told in the words of the form that it is written in', () => {
  const none = /^there is no kind of fault "(dely|toString|constructor|__proto__)": expected delay or error/
  for (const [text, ...expected] of [
    ['', /^action is "": expected CreateConsumerGroup or/, /^the kind of fault is missing: expected delay or error/],
    ['pull_log', /^the kind of fault is missing/],
    ['pull_log:delay', /^delay lacks its ms: it is written delay:ms\[:before\|after\]$/],
    ['pull_log:delay:', /^delay lacks its ms/],
    ['*:drop', /^drop lacks its when: it is written drop:before\|headers\|body\|answer$/],
    ['pull_log:delay:soon', /^ms is "soon": expected a whole number from 1/],
    ['pull_log:delay:1:', /^when is "": expected before or after$/],
    ['pull_log:delay:1:after:2', /^delay takes no more than 2 parts after it: delay:ms/],
    ['pull_log:dely:1', none],
    ['pull_log:toString:1', none],
    ['*:constructor', none],
    ['*:constructor:1:2', none],
    ['*:__proto__:1', none],
    ['pull:delay:0,every=0', /^action is "pull"/, /^ms is 0/, /^every is 0: expected a whole number, 1 or more$/],
    ['pull_log:truncate:1', /^truncate takes no more than 0 parts after it: truncate$/],
    ['*:truncate,evry=2', /^evry cannot stand behind a fault: topicId, .*every can$/],
    ['*:truncate,', /^an empty part cannot stand behind/],
    ['*:truncate,__proto__=2', /^__proto__ cannot stand behind/],
    ['*:truncate,action=pull_log', /^action cannot stand behind/],
    ['*:truncate,fault=x', /^fault cannot stand behind/],
    ['*:truncate,every=2,every=3', /^every is given twice$/],
    ['*:truncate,every', /every is ""/],
    ['*:truncate,every=x', /every is "x"/],
    ['{"fault":', /not JSON/],
    ['{"fault":{"kind":"truncate"},"x":1}', /has no x/]
  ] as const) {
    const parsed = parseFaultFlag(text)
    assert.ok(parsed.kind === 'unfit', text)
    const { problems } = parsed
    assert.equal(problems.length, expected.length, `${text}: ${problems}`)
    for (const pattern of expected)
      assert.ok(
        problems.some(problem => pattern.test(problem)),
        `${text}: ${problems}`
      )
  }
})
