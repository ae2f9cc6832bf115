import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Recent } from '../../src/cls/recent.ts'

test('only the latest entries are kept', () => {
  const recent = new Recent<number>(3)
  for (const [index, key] of [...'abcde'].entries()) recent.set(key, index)
  assert.deepEqual(
    [...'abcde'].map(key => recent.get(key)),
    [undefined, undefined, 2, 3, 4]
  )
})

test('an entry that is set again is the latest, with its new value, and costs no other its place', () => {
  const recent = new Recent<number>(2)
  recent.set('a', 1)
  recent.set('b', 2)
  recent.set('a', 3)
  assert.deepEqual([recent.get('a'), recent.get('b')], [3, 2])
  recent.set('c', 4)
  assert.deepEqual([recent.get('a'), recent.get('b'), recent.get('c')], [3, undefined, 4])
})
