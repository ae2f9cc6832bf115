/** Flags that a command does not have, and what was meant by them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unknownFlags } from '../../src/config/unknown-flags.ts'
import { flag, type OptionRow, text } from '../../src/option-kinds.ts'
import { OPTIONS } from '../../src/options.ts'

const ROWS = { ...OPTIONS, printResults: flag({ flag: 'print-results', help: 'h' }) }

test('what a command has is not unknown, as the parser gives it', () => {
  const args = {
    _: ['run'],
    $0: 'cls-consumer',
    h: false,
    help: false,
    'pull-bytes': '1',
    pullBytes: '1',
    topic: ['a']
  }
  assert.deepEqual(unknownFlags({ ...args, 'print-results': true, printResults: true, nope: undefined }, ROWS), [])
})

test('each unknown flag is one line, without its value', () => {
  const args = { 'no-pe': 'hush', noPe: 'hush', x: 'hush', colour: false, group: 'g', constructor: 'hush' }
  const lines = ['--no-pe', '-x', '--no-colour', '--constructor'].map(written => `unknown flag ${written}`)
  assert.deepEqual(unknownFlags(args, ROWS), lines)
})

for (const [typed, meant] of [
  ['grup', 'group'],
  ['gruop', 'group'],
  ['Group', 'group'],
  ['treads', 'threads'],
  ['topic-ids', 'topic'],
  ['logset-id', 'logset'],
  ['topics', 'topic'],
  ['pull_bytes', 'pull-bytes'],
  ['stop-att', 'stop-at'],
  ['print-result', 'print-results']
] as const) {
  test(`--${typed} is near --${meant}`, () =>
    assert.deepEqual(unknownFlags({ [typed]: '1' }, ROWS), [`unknown flag --${typed} (did you mean --${meant}?)`]))
}

test('what is near nothing is only named: a short word, three slips, a row without a flag', () => {
  for (const name of ['x', 'to', 'nope', 'grphs', 'threadpools', 'credentials', 'on-result', '_', '日志']) {
    const suggested = unknownFlags({ [name]: '1' }, ROWS).filter(line => line.includes('did you mean'))
    assert.deepEqual(suggested, [], name)
  }
})

test('of two near flags the nearer one is suggested', () => {
  const row = (name: string): OptionRow<string> => text({ flag: name, help: 'h' })
  const rows = { a: row('abcdxy'), b: row('abcdex'), c: row('abcdez') }
  assert.deepEqual(unknownFlags({ abcdef: '1' }, rows), ['unknown flag --abcdef (did you mean --abcdex?)'])
})
