/** What a failed command says, and its exit code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exitCodeOf, failureText } from '../../src/cli/failure-text.ts'
import { ClsConsumerError, REMEDIES } from '../../src/errors.ts'

test('what the user must mend first exits with 2, everything else with 1', () => {
  for (const code of ['USAGE', 'OPTIONS_INVALID', 'PROCESSOR_NOT_FOUND', 'BATCH_CLOSED'] as const) {
    assert.equal(exitCodeOf(new ClsConsumerError(code, 'm')), 2)
  }
  for (const code of ['PROCESSOR_FAILED', 'API_UNREACHABLE', 'DEMO_FAILED', 'LEASE_LOST'] as const) {
    assert.equal(exitCodeOf(new ClsConsumerError(code, 'm')), 1)
  }
  for (const strange of [new Error('m'), 'text', undefined]) assert.equal(exitCodeOf(strange), 1)
})

test('an error of ours is its code, its message and what to do, without a stack', () => {
  const error = new ClsConsumerError('API_UNAUTHORIZED', 'refused', { action: 'SendConsumerHeartbeat' })
  const text = failureText(error, false)
  assert.match(text, /^API_UNAUTHORIZED: refused \(action SendConsumerHeartbeat\)\nCheck CLS_SECRET_ID/)
  assert.doesNotMatch(text, /\n\s+at /)
})

test('every remedy has its advice', () => {
  const seen = new Set<string>()
  for (const code of ['API_TIMEOUT', 'LEASE_LOST', 'THREAD_STUCK', 'PROCESSOR_SHAPE'] as const) {
    seen.add(REMEDIES[code])
    const [, advice = ''] = failureText(new ClsConsumerError(code, 'm'), false).split('\n')
    assert.match(advice, /\w+ .*\.$/)
  }
  assert.deepEqual(seen, new Set(Object.values(REMEDIES)))
})

test('an emulator that finds its port taken is told to take another', () => {
  const text = failureText(new ClsConsumerError('EMULATOR_NOT_STARTED', 'EADDRINUSE'), false)
  assert.match(text, /\n.*port.*--port 0/)
})

test('at debug the stack and the cause show', () => {
  const error = new ClsConsumerError('API_UNREACHABLE', 'm', { cause: new Error('ECONNREFUSED') })
  const text = failureText(error, true)
  assert.match(text, /\n\s+at /)
  assert.match(text, /cause: Error: ECONNREFUSED/)
  assert.doesNotMatch(failureText(error, false), /ECONNREFUSED/)
})

test('an error that is not ours shows its stack: it is a bug to report', () => {
  assert.match(failureText(new TypeError('x is not a function'), false), /TypeError: x is not a function\n\s+at /)
  assert.match(failureText('thrown text', false), /thrown text/)
})

test('line feeds of a list of problems stay, control characters do not', () => {
  assert.match(
    failureText(new ClsConsumerError('OPTIONS_INVALID', 'two:\n  - a\x1b[2J'), false),
    /two:\n {2}- a\\u001b\[2J/
  )
})
