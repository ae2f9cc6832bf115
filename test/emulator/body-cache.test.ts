import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyCache } from '../../src/emulator/body-cache.ts'

test('a body is made once while it is kept', () => {
  const cache = new BodyCache(100)
  const first = cache.get('a', () => new Uint8Array(10))
  assert.equal(
    cache.get('a', () => assert.fail('made twice')),
    first
  )
})

test('the cache never holds more than its limit, and drops what was not used longest', () => {
  const cache = new BodyCache(25)
  const made: string[] = []
  const get = (key: string): void => {
    cache.get(key, () => {
      made.push(key)
      return new Uint8Array(10)
    })
    assert.ok(cache.heldBytes <= 25)
  }
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) get(key)
  assert.deepEqual(made, ['a', 'b', 'c', 'b'])
})

test('what is cleared holds nothing and is made again, up to the limit', () => {
  const cache = new BodyCache(10)
  const first = cache.get('a', () => new Uint8Array(10))
  cache.clear()
  assert.equal(cache.heldBytes, 0)
  const second = cache.get('a', () => new Uint8Array(10))
  assert.notEqual(second, first)
  assert.equal(
    cache.get('a', () => assert.fail('made twice')),
    second
  )
})

test('a body larger than the whole cache is handed out, and does not crowd out the others', () => {
  const cache = new BodyCache(5)
  const small = cache.get('small', () => new Uint8Array(5))
  assert.equal(cache.get('large', () => new Uint8Array(6)).length, 6)
  assert.equal(
    cache.get('small', () => assert.fail('made twice')),
    small
  )
})
