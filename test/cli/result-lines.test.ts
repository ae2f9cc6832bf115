/** Results as JSON lines: whatever a clone can hold becomes one line, int64 exactly. */
import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { resultLine, writeOut } from '../../src/cli/result-lines.ts'

const PLACE = { topicId: 't', partition: 1, startOffset: 2n ** 53n + 1n, nextOffset: 2n ** 63n - 1n, logCount: 3 }

function result(value: unknown): string {
  const line = resultLine(value, PLACE)
  assert.ok(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1, line)
  return line.slice(line.indexOf('"result":') + 9, -2)
}

test('a line holds the place with exact offsets, and the result', () => {
  assert.equal(
    resultLine({ errors: 2 }, PLACE),
    '{"topicId":"t","partition":1,"startOffset":9007199254740993,"nextOffset":9223372036854775807,"logCount":3,"result":{"errors":2}}\n'
  )
})

test('every value that can be cloned has its JSON', () => {
  assert.equal(result(undefined), 'null')
  assert.equal(result('a\nb'), '"a\\nb"')
  assert.equal(result([1, Number.NaN, 2n ** 60n, true]), '[1,null,1152921504606846976,true]')
  assert.equal(result(new Map<unknown, unknown>([[200, new Set([1, 2])]])), '{"200":[1,2]}')
  assert.equal(result({ ids: Uint32Array.of(1, 2), big: BigInt64Array.of(-1n) }), '{"ids":[1,2],"big":[-1]}')
  assert.equal(result(new Date(0)), '"1970-01-01T00:00:00.000Z"')
  assert.equal(result(new RangeError('far')), '{"name":"RangeError","message":"far"}')
})

test('a value inside itself becomes null there, a shared one is printed twice', () => {
  const shared = { a: 1 }
  const ring: { shared: unknown[]; self?: unknown } = { shared: [shared, shared] }
  ring.self = ring
  assert.equal(result(ring), '{"shared":[{"a":1},{"a":1}],"self":null}')
})

test('a write that nobody reads rejects', { timeout: 5000 }, async () => {
  const closed = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) })
  closed.on('error', () => undefined)
  await assert.rejects(writeOut(closed, 'x\n'), /EPIPE/)
  let taken = ''
  const open = new Writable({
    write: (chunk, _encoding, done) => {
      taken += String(chunk)
      done()
    }
  })
  await writeOut(open, 'x\n')
  assert.equal(taken, 'x\n')
})
