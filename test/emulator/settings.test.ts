import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveEmulatorOptions } from '../../src/emulator/settings.ts'
import { ClsConsumerError } from '../../src/errors.ts'

test('two emulators started alike have the same identities', () => {
  assert.deepEqual(resolveEmulatorOptions({ topicCount: 3 }), resolveEmulatorOptions({ topicCount: 3 }))
  assert.equal(new Set(resolveEmulatorOptions({ topicCount: 3 }).topicIds).size, 3)
})

test('an option given as undefined has its default', () => {
  const given = { partitionCount: 7, port: undefined, topicIds: undefined, logsetId: undefined }
  assert.deepEqual(resolveEmulatorOptions(given), resolveEmulatorOptions({ partitionCount: 7 }))
  assert.equal(resolveEmulatorOptions(given).partitionCount, 7)
})

test('every fault is named, in one error', () => {
  const options = { port: 70_000, partitionCount: 0, startOffset: -1n, topicIds: ['a', 'a'], retentionMs: 0 }
  assert.throws(
    () => resolveEmulatorOptions(options),
    (error: unknown) => {
      assert.ok(error instanceof ClsConsumerError)
      assert.equal(error.code, 'OPTIONS_INVALID')
      for (const name of ['port', 'partitionCount', 'startOffset', 'a topic id', 'retentionMs']) {
        assert.match(error.message, new RegExp(`- ${name}`))
      }
      return true
    }
  )
})
