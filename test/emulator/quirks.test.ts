/**
 * Each quirk, by what a client gets. How bodies are written is in pull-body.test.ts and control-plane.test.ts;
 * boundedEnd and foreignCommit are where their actions are tested.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Json, parseJson } from '../../src/cls/json.ts'
import { decodeMessageHeader } from '../../src/cls/log-group.ts'
import { changeSettings } from '../../src/emulator/changes.ts'
import type { ControlFields } from '../../src/emulator/plane.ts'
import {
  changedQuirks,
  DEFAULT_QUIRKS,
  isQuirkChange,
  QUIRKS,
  type Quirks,
  quirkContradictions,
  quirkProblems
} from '../../src/emulator/quirks.ts'
import { at, Bench, refusal, T0 } from './support.ts'

/** One partition with messages a, b and c, a consumer A that holds it, and nothing committed. */
function bench(quirks: Partial<Quirks>, partitionCount = 1): Bench {
  const made = new Bench({ partitionCount, quirks })
  made.createGroup()
  made.put(['a', 'b', 'c'], '0'.repeat(32))
  made.beat('A', [])
  return made
}

/** The fields of a pull's answer, as they stand there. */
function pulled(made: Bench, fields: ControlFields): Record<string, Json> {
  const { body } = made.pullAnswer({ ...fields, CompressType: 'none' })
  return Object(at(parseJson(Buffer.from(body).toString()), 'Response'))
}

test('the first value of each quirk is its default, and names and values that there are not are told with those there are', () => {
  for (const [name, { values }] of Object.entries(QUIRKS)) {
    assert.equal(Object.entries(DEFAULT_QUIRKS).find(([other]) => other === name)?.[1], values[0])
    for (const value of values) assert.ok(isQuirkChange({ [name]: value }), `${name}=${value}`)
  }
  assert.deepEqual(quirkProblems({ size: 'large', nextOffset: undefined }), [
    'quirk size is "large": expected bytes or log-groups'
  ])
  const [unknown = '', ...others] = quirkProblems({ sizes: 'bytes' })
  assert.deepEqual(others, [])
  for (const name of Object.keys(QUIRKS)) assert.ok(unknown.includes(name), name)
  assert.deepEqual([quirkProblems(null), quirkProblems([])], [['quirks is not an object'], ['quirks is not an object']])
})

test('lz4 that no header names is refused, since nothing would tell it', () => {
  const changed = changedQuirks(DEFAULT_QUIRKS, { compression: 'lz4' })
  assert.deepEqual(quirkContradictions(changed), [])
  assert.match(quirkContradictions({ ...changed, compressionHeader: 'absent' })[0] ?? '', /lz4.*absent/)
  assert.deepEqual(quirkContradictions({ ...changed, compression: 'snappy', compressionHeader: 'absent' }), [])
})

test('refusedCommit rest-kept: a refused commit keeps the offsets of what its consumer owns', () => {
  for (const [refusedCommit, kept] of [
    ['whole', 0],
    ['rest-kept', 1]
  ] as const) {
    const made = bench({ refusedCommit }, 2)
    made.beat('B', [])
    const [mine = -1] = made.beat('A', [0, 1])
    made.beat('A', [mine])
    made.beat('B', [])
    made.put(['d'], 'f'.repeat(32))
    const both = [0, 1].map(partition => ({ PartitionId: partition, Offset: 1 }))
    const fields = {
      ConsumerGroup: 'g',
      Consumer: 'A',
      TopicPartitionOffsetsInfo: [{ TopicID: 't', PartitionOffsets: both }]
    }
    assert.throws(() => made.control('CommitConsumerOffsets', fields), refusal('OperationDenied'))
    const offsets = made.offsets({ From: 'begin' })
    assert.deepEqual([offsets.get(mine), offsets.get(1 - mine)], [kept, 0])
  }
})

test('handOver at-once: the next owner gets a partition that the old one still lists, who may then not commit it', () => {
  const made = bench({ handOver: 'at-once' }, 2)
  const [given = -1, ...more] = made.beat('B', [])
  assert.deepEqual(more, [])
  assert.deepEqual(made.beat('A', [0, 1]), [1 - given], 'A learns of it with its next beat')
  assert.throws(() => made.commit('A', given, 0n), refusal('OperationDenied'))
  made.commit('B', given, 0n)
})

test('lastBeat leaves: a heartbeat without partitions after some is a leave, and one before is a join', () => {
  const made = bench({ lastBeat: 'leaves' })
  assert.deepEqual(made.beat('B', []), [], 'B joins')
  assert.deepEqual(made.beat('A', [0]), [0])
  assert.deepEqual(made.beat('A', []), [], 'A leaves')
  assert.deepEqual(made.beat('B', []), [0], 'and what it held is free')
  const members = made.state.groups.get('g')?.members(made.nowMs).keys() ?? []
  assert.deepEqual([...members], ['B'])
  made.beat('B', [0])
  made.beat('B', [])
  assert.deepEqual(made.beat('A', []), [0], 'who left can join again')
})

test('lastBeat joins: a heartbeat without partitions is granted its share anew', () => {
  const made = bench({ lastBeat: 'joins' })
  made.beat('A', [0])
  assert.deepEqual(made.beat('A', []), [0])
})

test("offsetType: the log's own position, the committed one all the same, or a refusal", () => {
  const ask = (quirks: Partial<Quirks>, fields = {}) => {
    const made = bench(quirks)
    made.commit('A', 0, 1n)
    return made.offsets({ From: 'end', ...fields }).get(0)
  }
  assert.equal(ask({ offsetType: 'list' }, { OffsetType: 1 }), 3)
  assert.equal(ask({ offsetType: 'ignored' }, { OffsetType: 1 }), 1)
  assert.throws(() => ask({ offsetType: 'refused' }, { OffsetType: 1 }), refusal('InvalidParameter', /OffsetType/))
  assert.throws(() => ask({ offsetType: 'refused' }, { OffsetType: 0 }), refusal('InvalidParameter', /OffsetType/))
  assert.equal(ask({ offsetType: 'refused' }), 1)
})

test('noOffset: an offset that is not committed is a position, absent, null or -1; a committed one is told in any case', () => {
  for (const [noOffset, expected] of [
    [
      'position',
      [
        [0, 3],
        [1, 0]
      ]
    ],
    ['absent', []],
    [
      'null',
      [
        [0, null],
        [1, null]
      ]
    ],
    [
      'minus-one',
      [
        [0, -1],
        [1, -1]
      ]
    ]
  ] as const) {
    const made = bench({ noOffset }, 2)
    assert.deepEqual([...made.offsets({ From: 'end' })], expected)
    assert.deepEqual(
      [...made.offsets({ From: 'end', OffsetType: 1 })],
      [
        [0, 3],
        [1, 0]
      ]
    )
    made.commit('A', 0, 0n)
    assert.equal(made.offsets({ From: 'end' }).get(0), 0)
  }
})

test('size log-groups: Size is how many messages come, whatever their bytes', () => {
  const made = bench({ size: 'log-groups' })
  assert.deepEqual(made.pull({ Size: 2 }).ids, ['a', 'b'])
  assert.deepEqual(made.pull({ Size: 0 }).ids, ['a', 'b', 'c'])
  made.put(
    Array.from({ length: 10_100 }, (_, index) => String(index)),
    '0'.repeat(32)
  )
  assert.equal(made.pull({ Size: 2_097_152 }).ids.length, 10_000)
  assert.equal(bench({ size: 'bytes' }).pull({ Size: 2 }).ids.length, 1)
})

test('nothingNew: the next offset of a pull that brings nothing; never of one that brings something or has an end', () => {
  for (const [nothingNew, expected] of [
    ['same', 3],
    ['minus-one', -1],
    ['zero', 0],
    ['absent', undefined]
  ] as const) {
    const made = bench({ nothingNew })
    const next = (fields: ControlFields) => pulled(made, fields).NextOffset
    assert.equal(next({ StartOffset: 3 }), expected)
    assert.equal(next({ StartOffset: 0 }), 3)
    assert.equal(next({ StartOffset: 3, EndTime: T0 / 1000 + 60 }), 3, 'the end is still to come')
  }
})

test('headerTime: the unit of the time in the header of messages that come from then on', () => {
  const made = bench({})
  assert.deepEqual(changeSettings(made.state, { quirks: { headerTime: 'seconds' } }), [])
  made.put(['d'])
  assert.deepEqual(changeSettings(made.state, { quirks: { headerTime: 'microseconds' } }), [])
  made.nowMs += 1
  made.put(['e'])
  const times = made.pull({}).messages.map(message => decodeMessageHeader(message).timestamp)
  assert.deepEqual(times.slice(2), [BigInt(T0), BigInt(T0 / 1000), BigInt(T0 + 1) * 1000n])
})

test('headerIds: ids of another length are filled up, or left out; those of 36 bytes are there in any case', () => {
  const id = 'e0e0e0e0-0000-4000-8000-000000000001'
  for (const [headerIds, logset] of [
    ['padded', 'logset'],
    ['cut', '']
  ] as const) {
    const made = new Bench({ topicIds: ['t', id], partitionCount: 1, quirks: { headerIds } })
    made.put(['a'])
    const header = decodeMessageHeader(made.pull({}).messages[0] ?? Buffer.alloc(0))
    assert.deepEqual([header.logsetId, header.topicId], [logset, logset === '' ? '' : 't'])
    const whole = new Bench({ topicIds: ['t'], logsetId: id, partitionCount: 1, quirks: { headerIds } })
    whole.put(['a'])
    assert.equal(decodeMessageHeader(whole.pull({}).messages[0] ?? Buffer.alloc(0)).logsetId, id)
  }
})

test('compression and compressionHeader: what a pull is answered with, and whether a header names it', () => {
  const answer = (quirks: Partial<Quirks>) => {
    return bench(quirks).pullAnswer({}).headers
  }
  const named = (quirks: Partial<Quirks>) => answer(quirks)['x-cls-compress-type']
  assert.equal(named({}), 'snappy')
  assert.equal(named({ compression: 'lz4' }), 'lz4')
  assert.equal(named({ compression: 'none' }), undefined)
  assert.equal(named({ compressionHeader: 'absent' }), undefined)
  assert.equal(answer({ compression: 'none' })['content-type'], 'application/json')
  assert.equal(answer({ compressionHeader: 'absent' })['content-type'], 'application/octet-stream')
})

test('the cache holds bodies of the quirks in force alone; other changes leave it as it is', () => {
  const made = bench({})
  const { bodies } = made.state
  const pull = () => made.pullAnswer({}).body
  const first = pull()
  assert.deepEqual(changeSettings(made.state, { clockSkewMs: 5 }), [])
  assert.equal(pull(), first)
  assert.deepEqual(changeSettings(made.state, { quirks: { nextOffset: 'last' } }), [])
  assert.equal(bodies.heldBytes, 0)
  const last = pull()
  assert.notDeepEqual(last, first)
  assert.equal(pull(), last)
  assert.equal(bodies.heldBytes, last.length)
  assert.deepEqual(changeSettings(made.state, { quirks: { nextOffset: 'first' } }), [])
  assert.notDeepEqual(pull(), last)
})

test('emptyMessages: a pull that brings nothing has an empty list, null, or no list at all', () => {
  const empty = (emptyMessages: Quirks['emptyMessages']) => pulled(bench({ emptyMessages }), { StartOffset: 3 }).Message
  assert.deepEqual([empty('list'), empty('null'), empty('absent')], [[], null, undefined])
  assert.equal(bench({ emptyMessages: 'absent' }).pull({}).ids.length, 3)
})

test('the table has no quirk without a test', () => {
  const tested = [
    ...['boundedEnd', 'foreignCommit', 'refusedCommit', 'handOver', 'lastBeat', 'offsetType', 'noOffset', 'size'],
    ...['nothingNew', 'headerTime', 'headerIds', 'nextOffset', 'whiteSpace', 'base64', 'extraKeys', 'compression'],
    ...['compressionHeader', 'emptyMessages', 'emptyLists']
  ]
  assert.deepEqual(Object.keys(QUIRKS), tested)
})
