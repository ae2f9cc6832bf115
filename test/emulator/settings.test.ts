import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveEmulatorOptions } from '../../src/emulator/settings.ts'
import { ClsConsumerError } from '../../src/errors.ts'

const ADDED = ['token', 'clockSkewMs', 'quirk size', 'faults\\[0\\].every']

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
  const quirks: object = { size: 'large', compression: 'lz4', compressionHeader: 'absent' }
  const options = {
    ...{ port: 70_000, partitionCount: 0, startOffset: -1n, topicIds: ['a', 'a'], retentionMs: 0 },
    ...{ token: '', clockSkewMs: 0.5, faults: [{ every: 0, fault: { kind: 'truncate' } }] as const, quirks }
  }
  assert.throws(
    () => resolveEmulatorOptions(options),
    (error: unknown) => {
      assert.ok(error instanceof ClsConsumerError)
      assert.equal(error.code, 'OPTIONS_INVALID')
      for (const name of ['port', 'partitionCount', 'startOffset', 'a topic id', 'retentionMs', ...ADDED]) {
        assert.match(error.message, new RegExp(`- ${name}`))
      }
      return true
    }
  )
})
