import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  describeEnd,
  endFor,
  isIdleEnd,
  leftoverError,
  ownerlessError,
  type PoolEnd
} from '../../src/dispatch/thread-end.ts'
import type { Failure } from '../../src/errors.ts'

const ME = 1
const OTHER = 2
const ended = (over: Partial<PoolEnd> = {}): PoolEnd => ({
  cause: 'by-itself',
  exitCode: 1,
  error: undefined,
  atWork: new Set(),
  users: new Set([ME]),
  idleCount: 0,
  ...over
})
const failure = (message: string, ...frames: string[]): Failure => ({
  code: 'THREAD_LOST',
  message,
  stack: [message, ...frames.map(frame => `    at ${frame}`)].join('\n'),
  place: {}
})

for (const [fault, what, over] of [
  ['none', 'it was terminated, with work there', { cause: 'terminated', atWork: new Set([ME]) }],
  ['none', 'it was terminated, idle', { cause: 'terminated' }],
  ['none', 'only code of others had run there', { users: new Set([OTHER]) }],
  ['none', 'only code of others had run there, and was at work', { users: new Set([OTHER]), atWork: new Set([OTHER]) }],
  ['work', 'own work was there', { atWork: new Set([ME]) }],
  ['work', 'own and other work was there', { atWork: new Set([OTHER, ME]), users: new Set([ME, OTHER]) }],
  ['others', 'work of others was there', { atWork: new Set([OTHER]), users: new Set([ME, OTHER]) }],
  ['own', 'only own code had run there', {}],
  ['unknown', 'own and other code had run there', { users: new Set([OTHER, ME]) }],
  ['unknown', 'nobody’s code had run there', { users: new Set<number>() }]
] as const) {
  test(`the fault is ${fault} where ${what}`, () => assert.equal(endFor(ME, ended(over)).fault, fault))
}

test('an end is idle where it came by itself, with no work of anybody', () => {
  assert.equal(isIdleEnd(ended()), true)
  assert.equal(isIdleEnd(ended({ atWork: new Set([OTHER]) })), false)
  assert.equal(isIdleEnd(ended({ cause: 'terminated' })), false)
})

test('an end is described by its exit code, and what it was of', () => {
  assert.equal(describeEnd({ exitCode: 7, error: undefined }), 'exit code 7')
  assert.equal(describeEnd({ exitCode: 1, error: failure('Error: late') }), 'exit code 1, of Error: late')
})

test('the place told is the innermost one of the user’s, as a path that an editor opens', () => {
  const own = new URL('../../workers/batch-view.js', import.meta.url).href
  const says = (...frames: string[]) =>
    leftoverError({ exitCode: 1, error: failure('Error: late', ...frames) }, '/p.mjs').what
  for (const [frames, at] of [
    [['Timeout.late (file:///home/me/a%20b.mjs:3:7)', 'f (file:///home/me/c.mjs:1:1)'], ' at /home/me/a b.mjs:3:7;'],
    [[`Log.text (${own}:1:1)`, 'node:internal/timers:581:17', 'file:///home/me/c.mjs:1:2'], ' at /home/me/c.mjs:1:2;'],
    [['Object.late (/home/me/c.cjs:5:9)'], ' at /home/me/c.cjs:5:9;'],
    [['listOnTimeout (node:internal/timers:581:17)'], 'thread: Error: late;'],
    [[], 'thread: Error: late;']
  ] as const) {
    assert.ok(says(...frames).includes(at), says(...frames))
  }
})

test('both errors have the user’s stack, and the file of the processor', () => {
  const error = failure('Error: late', 'late (file:///home/me/c.mjs:1:2)')
  const end = { fault: 'unknown', exitCode: 1, error, idleCount: 2 } as const
  for (const told of [leftoverError(end, '/p.mjs'), ownerlessError(end, 3, '/p.mjs')]) {
    assert.deepEqual([told.code, told.stack, told.place], ['PROCESSOR_FAILED', error.stack, { file: '/p.mjs' }])
  }
  assert.match(ownerlessError(end, 3, '/p.mjs').message, /ended thread 3 2 times in a row: Error: late at /)
  assert.match(ownerlessError({ ...end, idleCount: 1 }, 3, '/p.mjs').message, /ended thread 3: Error/)
})
