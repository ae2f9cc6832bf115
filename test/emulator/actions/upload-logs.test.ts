import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compress } from '../../../src/cls/compression.ts'
import { encodeLogGroupList } from '../../../src/cls/log-group.ts'
import { uploadLogs } from '../../../src/emulator/actions/upload-logs.ts'
import { Bench, refusal, uploadBody } from '../support.ts'

const MIB = 1024 * 1024

function groups(...values: readonly (readonly string[])[]): Uint8Array {
  return encodeLogGroupList(
    values.map(list => ({ logs: list.map(value => ({ time: 1n, contents: [{ key: 'id', value }] })), logTags: [] }))
  )
}

test('each log group becomes one message, all of an upload in one partition', () => {
  const bench = new Bench({ partitionCount: 2 })
  bench.upload(groups(['a', 'b'], ['c']))
  const pulled = bench.pull({ PartitionId: 0 })
  assert.deepEqual([pulled.ids, pulled.messages.length], [['a', 'b', 'c'], 2])
  bench.upload(groups(['d']))
  assert.deepEqual(bench.pull({ PartitionId: 1 }).ids, ['d'], 'the next upload, the next partition')
})

test('a raw lz4 block is unpacked', () => {
  const bench = new Bench({ partitionCount: 1 })
  bench.upload(compress(uploadBody(['a']), 'lz4'), { 'x-cls-compress-type': 'lz4' })
  assert.deepEqual(bench.pull({}).ids, ['a'])
})

test('the hash key picks the partition whose range holds it', () => {
  const bench = new Bench({ partitionCount: 4 })
  bench.put(['low'], '0'.repeat(32))
  bench.put(['high'], 'F'.repeat(32))
  bench.put(['third'], `8${'0'.repeat(31)}`)
  assert.deepEqual(
    [0, 1, 2, 3].map(partition => bench.pull({ PartitionId: partition }).ids),
    [['low'], [], ['third'], ['high']]
  )
})

test('uploads beyond a limit are refused as a whole, and those at the limit are stored', () => {
  const bench = new Bench({ partitionCount: 1 })
  const value = (bytes: number) => 'x'.repeat(bytes)
  const list = (count: number) => Array.from({ length: count }, () => 'x')
  const sizeExceeded = refusal('LogSizeExceed')
  assert.throws(() => bench.upload(groups(...Array.from({ length: 11 }, () => ['x']))), refusal('InvalidParam', /11/))
  assert.throws(() => bench.upload(groups(['ok'], list(10_001))), refusal('InvalidParam', /10001/))
  assert.throws(() => bench.upload(groups([value(MIB + 1)])), sizeExceeded)
  const fiveParts = Array.from({ length: 5 }, () => value(MIB))
  assert.throws(() => bench.upload(groups([...fiveParts, 'x'])), sizeExceeded)
  assert.throws(() => bench.upload(groups(fiveParts, [value(MIB)])), sizeExceeded, '6 MB of values and more in a body')
  assert.equal(bench.pull({}).ids.length, 0)

  bench.upload(groups(...Array.from({ length: 10 }, () => ['x'])))
  bench.upload(groups(list(10_000)))
  bench.upload(groups(fiveParts))
  assert.equal(bench.pull({ Size: 10 * MIB }).ids.length, 10 + 10_000 + 5)
})

test('a body that is compressed to little and unpacks to too much is refused before it is unpacked', () => {
  const bench = new Bench()
  const body = compress(Buffer.alloc(7 * MIB), 'lz4')
  assert.ok(body.length < MIB)
  assert.throws(() => bench.upload(body, { 'x-cls-compress-type': 'lz4' }), { code: 'LogSizeExceed', httpStatus: 413 })
})

test('bodies, types and keys that are none each have their code', () => {
  const bench = new Bench()
  const body = uploadBody(['a'])
  assert.throws(() => bench.upload(body, { 'content-type': 'application/json' }), refusal('InvalidContentType'))
  assert.throws(() => bench.upload(body, { 'x-cls-compress-type': 'zstd' }), refusal('InvalidCompressType'))
  assert.throws(() => bench.upload(body, { 'x-cls-hashkey': 'g'.repeat(32) }), refusal('InvalidParam', /hashkey/))
  assert.throws(() => bench.upload(Buffer.alloc(0)), refusal('MissingContent'))
  assert.throws(() => bench.upload(body.subarray(0, -1)), refusal('InvalidContent'))
  assert.throws(() => bench.upload(body, { 'x-cls-compress-type': 'lz4' }), refusal('InvalidContent'))
  assert.throws(() => bench.upload(groups([])), refusal('InvalidContent', /no log/))
  const unknown = { topicId: 'x', headers: {}, body, requestId: 'r' }
  assert.throws(() => uploadLogs(unknown, bench.state, 0), { code: 'TopicNotExist', httpStatus: 404 })
})
