import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printJson } from '../../../src/cls/json.ts'
import { decodeMessageHeader } from '../../../src/cls/log-group.ts'
import { pullLog } from '../../../src/emulator/actions/pull-log.ts'
import type { EmulatorOptions } from '../../../src/emulator/settings.ts'
import { Bench, readPull, refusal, T0 } from '../support.ts'

/** One partition with messages a to d, a second apart. */
function fourMessages(options: EmulatorOptions = {}): Bench {
  const bench = new Bench({ partitionCount: 1, ...options })
  for (const id of ['a', 'b', 'c', 'd']) {
    bench.put([id])
    bench.nowMs += 1000
  }
  return bench
}

const SECONDS = T0 / 1000

test('a chain of pulls gives every message once, in order, and then nothing from the same offset', () => {
  const bench = fourMessages()
  const ids: string[] = []
  let next = -1n
  for (let pulls = 0; pulls < 4; pulls++) {
    const pulled = bench.pull({ StartOffset: next, Size: 1 })
    ids.push(...pulled.ids)
    next = pulled.nextOffset
  }
  assert.deepEqual(ids, ['a', 'b', 'c', 'd'])
  const empty = bench.pull({ StartOffset: next })
  assert.deepEqual(
    [empty.nextOffset, empty.ids, empty.text],
    [4n, [], '{"Response":{"NextOffset":4,"Message":[],"RequestId":"r"}}']
  )
})

test('the next offset comes first in the body', () => {
  assert.match(fourMessages().pull({}).text, /^\{"Response":\{"NextOffset":4,"Message":\["/)
})

test('offsets above 2^53 and gaps are exact', () => {
  const startOffset = 2n ** 53n + 1n
  const bench = fourMessages({ startOffset, gapEvery: 2, gapOffsets: 100n })
  assert.deepEqual(
    [bench.pull({ Size: 1 }).nextOffset, bench.pull({}).nextOffset],
    [startOffset + 1n, startOffset + 204n]
  )
  assert.deepEqual(bench.pull({ StartOffset: startOffset + 50n, Size: 1 }).ids, ['b'])
})

test('Size counts stored bytes: header and payload of as many messages as fit, or of one', () => {
  const bench = fourMessages()
  const messageBytes = bench.pull({ Size: 1 }).messages[0]?.length ?? 0
  assert.deepEqual(bench.pull({ Size: 2 * messageBytes }).ids, ['a', 'b'])
  assert.deepEqual(bench.pull({ Size: 2 * messageBytes - 1 }).ids, ['a'])
})

test('the header of a message tells when it came, and whose it is', () => {
  const header = decodeMessageHeader(fourMessages().pull({ StartOffset: 1 }).messages[0] ?? Buffer.alloc(0))
  assert.deepEqual([header.timestamp, header.accountUin], [BigInt(T0 + 1000), 100_000_000_001n])
  assert.match(header.logsetId, /^logset/)
  assert.match(header.topicId, /^t/)
})

test('StartTime and EndTime bound by receipt, the end exclusive; 0 and absent are no bounds', () => {
  const bench = fourMessages()
  assert.deepEqual(bench.pull({ StartTime: SECONDS + 1, EndTime: SECONDS + 3 }).ids, ['b', 'c'])
  assert.deepEqual(bench.pull({ StartTime: 0, EndTime: 0, Query: '' }).ids, ['a', 'b', 'c', 'd'])
})

test('a bounded pull gives what it has, then -1; and -1 at once where that is how the server ends', () => {
  const bounded = { EndTime: SECONDS + 2 }
  const bench = fourMessages()
  assert.deepEqual([bench.pull(bounded).ids, bench.pull(bounded).nextOffset], [['a', 'b'], 2n])
  assert.equal(bench.pull({ ...bounded, StartOffset: 2 }).nextOffset, -1n)
  const other = fourMessages({ quirks: { boundedEnd: 'with-messages' } }).pull(bounded)
  assert.deepEqual([other.ids, other.nextOffset], [['a', 'b'], -1n])
})

test('a bounded pull whose end is still to come is not at its end', () => {
  const bench = fourMessages()
  const bounded = { EndTime: SECONDS + 60, StartOffset: 4 }
  assert.equal(bench.pull(bounded).nextOffset, 4n)
  bench.nowMs = (SECONDS + 60) * 1000
  assert.equal(bench.pull(bounded).nextOffset, -1n)
})

test('an offset below the begin or beyond the end is refused, and the ends themselves are not', () => {
  const bench = fourMessages({ retentionMs: 2500 })
  assert.deepEqual(bench.pull({ StartOffset: 2 }).ids, ['c', 'd'])
  assert.deepEqual(bench.pull({}).ids, ['c', 'd'], '-1 is the begin')
  assert.deepEqual(bench.pull({ StartOffset: 4 }).ids, [])
  for (const offset of [1, 5, -2]) {
    assert.throws(() => bench.pull({ StartOffset: offset }), refusal('InvalidParameter.InvalidOffset', /2 to 4/))
  }
})

test('snappy, lz4 and uncompressed bodies hold the same', () => {
  const bench = fourMessages()
  for (const compression of ['snappy', 'lz4', 'none'] as const) {
    const body = Buffer.from(printJson({ PartitionId: 0, StartOffset: 0, CompressType: compression }))
    const answer = pullLog({ topicId: 't', headers: {}, body, requestId: 'r' }, bench.state, bench.nowMs)
    assert.equal(answer.headers['x-cls-compress-type'], compression === 'none' ? undefined : compression)
    assert.deepEqual(readPull(answer.body, compression).ids, ['a', 'b', 'c', 'd'])
  }
  assert.throws(() => bench.pull({ CompressType: 'zstd' }), refusal('InvalidParam', /CompressType/))
})

test('the same range is compressed once, and a later message is not missed for it', () => {
  const bench = fourMessages()
  const body = Buffer.from(printJson({ PartitionId: 0, StartOffset: 0, CompressType: 'snappy' }))
  const pull = () => pullLog({ topicId: 't', headers: {}, body, requestId: 'r' }, bench.state, bench.nowMs).body
  assert.equal(pull(), pull())
  bench.put(['e'])
  assert.deepEqual(readPull(pull(), 'snappy').ids, ['a', 'b', 'c', 'd', 'e'])
})

test('what is missing or wrong in a pull is refused', () => {
  const bench = fourMessages()
  assert.throws(() => bench.pull({ PartitionId: 3 }), refusal('InvalidParam', /PartitionId/))
  assert.throws(() => bench.pull({ StartOffset: null }), refusal('InvalidParam', /StartOffset/))
  assert.throws(() => bench.pull({ StartOffset: 2n ** 63n }), refusal('InvalidParam', /StartOffset/))
  const call = (topicId: string, body: string) => () =>
    pullLog({ topicId, headers: {}, body: Buffer.from(body), requestId: 'r' }, bench.state, bench.nowMs)
  assert.throws(call('x', '{}'), { code: 'TopicNotExist', httpStatus: 404 })
  assert.throws(call('t', '{'), refusal('InvalidParam', /JSON/))
})
