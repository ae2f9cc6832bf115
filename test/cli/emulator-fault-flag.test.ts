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

test('what is wrong is told as it would be of the whole rule', () => {
  for (const [text, ...expected] of [
    ['', /action is "": expected CreateConsumerGroup or/, /kind is ""/],
    ['pull_log', /kind is ""/],
    ['pull_log:delay', /ms is missing/],
    ['pull_log:delay:soon', /ms is "soon": expected a whole number from 1/],
    ['pull_log:delay:1:after:2', /delay takes no more than 2 parts/],
    ['pull_log:dely:1', /kind is "dely": expected delay or error/],
    ['pull_log:toString:1', /kind is "toString": expected delay or error/],
    ['*:constructor', /kind is "constructor": expected delay or error/],
    ['*:constructor:1:2', /kind is "constructor": expected delay or error/],
    ['*:__proto__:1', /kind is "__proto__": expected delay or error/],
    ['pull_log:truncate:1', /truncate takes no more than 0 parts/],
    ['*:truncate,evry=2', /has no evry: there is action, topicId/],
    ['*:truncate,every', /every is ""/],
    ['*:truncate,every=x', /every is "x"/],
    ['{"fault":', /not JSON/],
    ['{"fault":{"kind":"truncate"},"x":1}', /has no x/]
  ] as const) {
    const parsed = parseFaultFlag(text)
    assert.ok(parsed.kind === 'unfit', text)
    const { problems } = parsed
    for (const pattern of expected)
      assert.ok(
        problems.some(problem => pattern.test(problem)),
        `${text}: ${problems}`
      )
  }
})
