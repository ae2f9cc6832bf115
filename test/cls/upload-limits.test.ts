/** The limits of one upload: what a log takes is never underestimated, and every limit is told by name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeLogGroupList, type Log } from '../../src/cls/log-group.ts'
import { checkBody, checkGroups, checkLog, logBytes, UPLOAD_LIMITS } from '../../src/cls/upload-limits.ts'

function logOf(...values: readonly string[]): Log {
  return { time: 1n, contents: values.map(value => ({ key: 'k', value })) }
}

function bodyOf(log: Log): Uint8Array {
  return encodeLogGroupList([{ logs: [log], logTags: [] }])
}

test('no log takes more bytes in a body than is counted for it', () => {
  const text = fc.string({ unit: 'binary', maxLength: 300 })
  const contents = fc.array(fc.record({ key: text, value: text }), { maxLength: 20 })
  fc.assert(
    fc.property(contents, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (contents, time) => {
      const log = { time, contents }
      const groupFrameBytes = 8
      assert.ok(bodyOf(log).length - groupFrameBytes <= logBytes(log))
    }),
    { numRuns: 500 }
  )
})

test('a log that passes fits into an upload of its own; one that does not is named by its limit', () => {
  const mebibyte = 'v'.repeat(UPLOAD_LIMITS.valueBytes)
  const largest = logOf(...new Array<string>(5).fill(mebibyte))
  assert.equal(checkLog(largest, {}), logBytes(largest))
  checkBody(bodyOf(largest), {})
  checkGroups([{ logs: [largest], logTags: [] }], {})

  const over: readonly (readonly [Log, RegExp])[] = [
    [logOf(`${mebibyte}v`), /1048577 bytes in one value are more than the 1048576/],
    [logOf('日'.repeat(UPLOAD_LIMITS.valueBytes / 2)), /1572864 bytes in one value/],
    [
      logOf(...new Array<string>(5).fill(mebibyte), 'v'),
      /5242881 bytes of values in one log are more than the 5242880/
    ],
    [{ time: 1n, contents: new Array(400_000).fill({ key: 'k', value: '' }) }, /bytes in one log with its keys/],
    [{ time: 1n, contents: [{ key: 'k'.repeat(7_000_000), value: '' }] }, /bytes in one log with its keys/]
  ]
  for (const [log, message] of over) {
    assert.throws(() => checkLog(log, {}), { code: 'OPTIONS_INVALID', message })
  }
})
