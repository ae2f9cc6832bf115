/** What was probably meant by a name that does not exist. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { didYouMean, nearest } from '../src/nearest.ts'

const CANDIDATES = [{ name: 'group' }, { name: 'topicIds', alsoCalled: ['topic', 'CLS_TOPIC_IDS', undefined] }]

for (const [typed, meant] of [
  ['grup', 'group'],
  ['GROUP', 'group'],
  ['topic', 'topicIds'],
  ['topic_id', 'topicIds'],
  ['cls-topic-id', 'topicIds'],
  ['gr', undefined],
  ['rous', undefined],
  ['groupies', undefined],
  ['', undefined],
  ['日志', undefined]
] as const) {
  test(`${JSON.stringify(typed)} means ${meant ?? 'nothing that is there'}`, () =>
    assert.equal(nearest(typed, CANDIDATES), meant))
}

test('of equally near names the first is meant, of others the nearest', () => {
  assert.equal(nearest('abcdef', [{ name: 'abcdxy' }, { name: 'abcdex' }, { name: 'abcdez' }]), 'abcdex')
})

test('a suggestion is a question, and none is nothing', () => {
  assert.equal(didYouMean('group'), ' (did you mean group?)')
  assert.equal(didYouMean(undefined), '')
})
