/** Keys: the same partition for the same key, every partition of every topic for some. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashKeyOf, topicIndexOf } from '../../src/cli/hash-key.ts'

test('a hash key is the MD5 of the key in UTF-8, 32 hex digits', () => {
  assert.equal(hashKeyOf('user-17'), '62ba533209fda25d4b0d5e5e2151a0b2')
  assert.equal(hashKeyOf(''), 'd41d8cd98f00b204e9800998ecf8427e')
  assert.equal(hashKeyOf('用户'), '1fd02a90c38333badc226309fea6fecb')
})

test('keys spread over topics, and within each topic over the whole range of hash keys', () => {
  const cells = new Map<string, number>()
  for (let key = 0; key < 16_000; key++) {
    const hashKey = hashKeyOf(`key-${key}`)
    const cell = `${topicIndexOf(hashKey, 4)} ${Math.floor(Number.parseInt(hashKey.slice(0, 2), 16) / 64)}`
    cells.set(cell, (cells.get(cell) ?? 0) + 1)
  }
  assert.equal(cells.size, 16)
  for (const [cell, hits] of cells) assert.ok(hits > 850 && hits < 1150, `${cell}: ${hits} of about 1,000`)
})
