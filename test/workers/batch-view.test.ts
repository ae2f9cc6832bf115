import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { LogGroup as RawGroup } from '../../src/cls/log-group.ts'
import { type Log, type LogBatch, openBatch } from '../../workers/batch-view.ts'
import { groupOf, indexGroups } from './bodies.ts'

const HEAD = { topicId: 'topic', partition: 2, startOffset: 10n, nextOffset: 13n, messageCount: 2 }

function open(groups: readonly RawGroup[]): { readonly batch: LogBatch; readonly close: () => void } {
  return openBatch(HEAD, indexGroups(groups))
}

function only(batch: LogBatch): Log {
  const [log, ...more] = batch
  assert.ok(log !== undefined && more.length === 0)
  return log
}

const REPEATED: RawGroup = {
  logs: [
    {
      time: 1_700_000_000n,
      contents: [
        { key: 'status', value: '500' },
        { key: '路径', value: '/搜索' },
        { key: 'status', value: '200' },
        { key: 'empty', value: '' },
        { key: '__proto__', value: 'kept' }
      ]
    }
  ],
  logTags: [
    { key: 'env', value: 'prod' },
    { key: 'env', value: 'test' }
  ],
  source: '10.0.0.1',
  filename: '/var/log/a.log',
  hostname: 'host-1',
  contextFlow: 'flow-1'
}

test('a batch says where it is from and how much it holds', () => {
  const { batch } = open([groupOf([{ a: '1' }, { a: '2' }]), groupOf([{ a: '3' }])])
  const { topicId, partition, startOffset, nextOffset, messageCount, logCount } = batch
  assert.deepEqual({ topicId, partition, startOffset, nextOffset, messageCount }, HEAD)
  assert.equal(logCount, 3)
})

test('logs come in order, a fresh view each, so that they can be collected', () => {
  const { batch } = open([groupOf([{ a: '1' }, { a: '2' }]), groupOf([]), groupOf([{ a: '3' }])])
  const logs = [...batch]
  assert.deepEqual(
    logs.map(log => log.get('a')),
    ['1', '2', '3']
  )
  assert.equal(new Set(logs).size, 3)
})

test('a loop that was left early, or an iterator that was ended, yields no more', () => {
  const logs = open([groupOf([{ a: '1' }, { a: '2' }]), groupOf([{ a: '3' }])]).batch[Symbol.iterator]()
  for (const log of logs) {
    assert.equal(log.get('a'), '1')
    break
  }
  assert.deepEqual(logs.next(), { done: true, value: undefined })
  assert.deepEqual([...logs], [])
})

test('logs can be taken apart, one after the other, by hand', () => {
  const { batch } = open([groupOf([]), groupOf([{ a: '1' }, { a: '2' }]), groupOf([{ a: '3' }])])
  const [first, ...rest] = batch
  assert.deepEqual(
    [first, ...rest].map(log => log?.get('a')),
    ['1', '2', '3']
  )
  const logs = batch[Symbol.iterator]()
  assert.equal(logs.next().value?.get('a'), '1')
  assert.deepEqual(
    Array.from(logs, log => log.get('a')),
    ['2', '3']
  )
  assert.equal(logs.next().done, true)
})

test('a batch without groups has no logs', () => {
  const { batch } = open([])
  assert.deepEqual([[...batch], [...batch.groups], batch.toObjects(), batch.logCount], [[], [], [], 0])
})

test('groups come in order with their logs and what is said of them', () => {
  const groups = [...open([REPEATED, groupOf([{ a: '1' }, { a: '2' }])]).batch.groups]
  assert.deepEqual(
    groups.map(group => [...group].length),
    [1, 2]
  )
  const [first, second] = groups
  assert.ok(first !== undefined && second !== undefined)
  const { source, filename, hostname, contextFlow, tags, logCount } = first
  assert.deepEqual(
    { source, filename, hostname, contextFlow, tags, logCount },
    {
      source: '10.0.0.1',
      filename: '/var/log/a.log',
      hostname: 'host-1',
      contextFlow: 'flow-1',
      tags: { env: 'prod' },
      logCount: 1
    }
  )
  assert.equal(second.source, undefined)
  const [log] = second
  assert.equal(log?.group, second)
})

test('of a repeated key get, equals, startsWith and toObject take the first value, and entries has all', () => {
  const log = only(open([REPEATED]).batch)
  assert.equal(log.get('status'), '500')
  assert.equal(log.equals('status', '500'), true)
  assert.equal(log.equals('status', '200'), false)
  assert.equal(log.startsWith('status', '5'), true)
  assert.equal(log.startsWith('status', '2'), false)
  assert.equal(log.toObject().status, '500')
  assert.deepEqual(log.keys(), ['status', '路径', 'empty', '__proto__'])
  assert.deepEqual(log.entries()[2], ['status', '200'])
  assert.equal(log.entries().length, 5)
})

test('an absent key is not an empty value', () => {
  const log = only(open([REPEATED]).batch)
  assert.equal(log.has('empty'), true)
  assert.equal(log.equals('empty', ''), true)
  assert.equal(log.startsWith('empty', ''), true)
  assert.equal(log.has('absent'), false)
  assert.equal(log.get('absent'), undefined)
  assert.equal(log.equals('absent', ''), false)
  assert.equal(log.startsWith('absent', ''), false)
})

test('a key named __proto__ is a key like any other', () => {
  const object = only(open([REPEATED]).batch).toObject()
  assert.deepEqual(Object.entries(object), [
    ['status', '500'],
    ['路径', '/搜索'],
    ['empty', ''],
    ['__proto__', 'kept']
  ])
  assert.equal(Object.getPrototypeOf(object), Object.prototype)
})

test('logs that have more different keys than a batch keeps shapes for are read as all others', () => {
  const contents = Array.from({ length: 200 }, (_, index) => [
    { key: `key ${index}`, value: 'own' },
    { key: '键', value: '值' },
    { key: 'all', value: `${index}` },
    { key: '键', value: 'second' }
  ])
  const { batch } = open([{ logs: contents.map(each => ({ time: 1n, contents: each })), logTags: [] }])
  assert.deepEqual(
    batch.toObjects(),
    contents.map((_, index) => ({ [`key ${index}`]: 'own', 键: '值', all: `${index}` }))
  )
  for (const [index, log] of [...batch].entries()) {
    assert.equal(log.get(`key ${index}`), 'own')
    assert.equal(log.get('all'), `${index}`)
    assert.equal(log.equals('键', '值'), true)
    assert.equal(log.startsWith('键', 'second'), false)
    assert.equal(log.get('键'), '值')
    assert.equal(log.has('absent'), false)
    assert.deepEqual(log.keys(), [`key ${index}`, '键', 'all'])
    assert.deepEqual(
      log.entries(),
      contents[index]?.map(({ key, value }) => [key, value])
    )
  }
})

test('thousands of logs of one shape, the last value of each not ASCII, are the objects that were written', () => {
  const contents = Array.from({ length: 3000 }, (_, index) => ({
    a: `${index}`,
    b: '-'.repeat(index % 40),
    c: `茶 ${index}`
  }))
  const { batch } = open([groupOf(contents)])
  assert.deepEqual(batch.toObjects(), contents)
  // From the last to the first, so that each is far from where the one before was read.
  for (const [index, log] of [...batch].toReversed().entries()) {
    assert.deepEqual(log.toObject(), contents[contents.length - 1 - index])
  }
})

test('values that repeat are made once, even if keys and shapes are asked by turns', () => {
  const contents = Array.from({ length: 1000 }, (_, index) =>
    index % 2 === 0 ? { status: '200', method: 'GET' } : { method: 'POST', status: '404', path: '/' }
  )
  const indexed = indexGroups([groupOf(contents)])
  const { batch } = openBatch(HEAD, indexed)
  let madeCount = 0
  const { bytes } = indexed.memory
  bytes.toString = (...place) => {
    madeCount++
    return Buffer.prototype.toString.apply(bytes, place)
  }
  const seen = [...batch].map(log => ({ status: log.get('status'), method: log.get('method') }))
  assert.deepEqual(
    seen,
    contents.map(({ status, method }) => ({ status, method }))
  )
  // Five keys, and two values of two keys.
  assert.equal(madeCount, 5 + 4)
})

test('keys that the thread knows from another batch are compared without a string', () => {
  const contents = { 'known-from-before': '200', 路径: '/搜索' }
  assert.equal(only(open([groupOf([contents])]).batch).has('路径'), true)
  // Elsewhere in the memory than in the batch before.
  const indexed = indexGroups([groupOf([{ 'in-front': 'x'.repeat(500) }]), groupOf([contents])])
  const [other, log] = openBatch(HEAD, indexed).batch
  assert.equal(other?.has('in-front'), true)
  indexed.memory.bytes.toString = () => assert.fail('a string was made')
  assert.equal(log?.equals('路径', '/搜索'), true)
  assert.equal(log?.startsWith('known-from-before', '20'), true)
  assert.deepEqual(log?.keys(), Object.keys(contents))
})

test('a log of very many keys is read as all others', () => {
  const content = Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`key ${index}`, `${index}`]))
  const log = only(open([groupOf([content])]).batch)
  assert.deepEqual(log.toObject(), content)
  assert.equal(log.get('key 2999'), '2999')
  assert.equal(log.keys().length, 3000)
})

test('logs of which a loop asks two keys by turns, of several shapes by turns, answer for their own', () => {
  const contents = Array.from({ length: 40 }, (_, index) =>
    index % 2 === 0 ? { a: `a${index}`, b: `b${index}` } : { b: `b${index}`, c: '', a: `a${index}` }
  )
  for (const [index, log] of [...open([groupOf(contents)]).batch].entries()) {
    assert.equal(log.get('b'), `b${index}`)
    assert.equal(log.get('a'), `a${index}`)
    assert.equal(log.get('c'), index % 2 === 0 ? undefined : '')
  }
})

test('what is said of a group is the same at each use, and its tags are a fresh object', () => {
  const [group] = open([REPEATED]).batch.groups
  assert.ok(group !== undefined)
  assert.equal(group.hostname, 'host-1')
  assert.equal(group.hostname, 'host-1')
  group.tags.env = 'changed'
  assert.deepEqual(group.tags, { env: 'prod' })
})

test('of a group said nothing is not an empty text', () => {
  const [bare, empty] = open([groupOf([]), groupOf([], { source: '', filename: '', hostname: '', contextFlow: '' })])
    .batch.groups
  for (const field of ['source', 'filename', 'hostname', 'contextFlow'] as const) {
    assert.equal(bare?.[field], undefined)
    assert.equal(empty?.[field], '')
  }
})

for (const [raw, ms] of [
  [1_700_000_000n, 1_700_000_000_000],
  [1_700_000_000_123n, 1_700_000_000_123],
  [1_700_000_000_123_999n, 1_700_000_000_123],
  [1_700_000_000_123_999_999n, 1_700_000_000_123],
  [99_999_999_999n, 99_999_999_999_000],
  [100_000_000_000n, 100_000_000_000],
  [0n, 0],
  [-5n, -5000],
  [-1_700_000_000_123_999n, -1_700_000_000_124]
] as const) {
  test(`time ${raw} is ${ms} Unix ms`, () => {
    const log = only(open([{ logs: [{ time: raw, contents: [] }], logTags: [] }]).batch)
    assert.equal(log.timeMs, ms)
    assert.equal(log.time, Number(raw))
    assert.equal(log.timeRaw, raw)
  })
}

test('views become the JSON of what they show, not empty objects', () => {
  const { batch } = open([REPEATED])
  const log = only(batch)
  const contents = { status: '500', 路径: '/搜索', empty: '', ['__proto__']: 'kept' }
  assert.equal(JSON.stringify(log), JSON.stringify(contents))
  assert.equal(JSON.stringify(batch), JSON.stringify([contents]))
  const said = { source: '10.0.0.1', filename: '/var/log/a.log', hostname: 'host-1', contextFlow: 'flow-1' }
  assert.equal(JSON.stringify(log.group), JSON.stringify({ ...said, tags: { env: 'prod' }, logs: [contents] }))
})

test('what is no text is refused at every value alike', () => {
  const [ascii, wide] = open([groupOf([{ a: '500' }, { a: '五百' }])]).batch
  const ask: (log: Log | undefined, method: 'equals' | 'startsWith', text: unknown) => unknown = (log, method, text) =>
    log !== undefined && Reflect.apply(log[method], log, ['a', text])
  for (const log of [ascii, wide]) {
    assert.throws(() => ask(log, 'equals', 500), {
      name: 'TypeError',
      message: /log\.equals\("a", …\) .* not with 500/
    })
    assert.throws(() => ask(log, 'startsWith', undefined), { name: 'TypeError', message: /not with undefined/ })
  }
})

test('a late use is told with the line that made it', () => {
  const { batch, close } = open([REPEATED])
  const log = only(batch)
  close()
  const file = join(mkdtempSync(join(tmpdir(), 'cls-late-')), 'late.cjs')
  writeFileSync(file, 'module.exports = log =>\n  log.get("status")\n')
  const use: (log: Log) => unknown = createRequire(import.meta.url)(file)
  assert.throws(() => use(log), {
    code: 'BATCH_CLOSED',
    message: /used at .*late\.cjs:2:7 after its process had settled/
  })
  rmSync(dirname(file), { recursive: true })
})

test('a closed batch throws BATCH_CLOSED at every use, and what was read before stays good', () => {
  const { batch, close } = open([REPEATED])
  const log = only(batch)
  const { group } = log
  const iterator = batch[Symbol.iterator]()
  const { groups } = batch
  const object = log.toObject()
  const objects = batch.toObjects()
  const { tags } = group
  close()
  const uses: readonly (() => unknown)[] = [
    () => batch.topicId,
    () => batch.partition,
    () => batch.startOffset,
    () => batch.nextOffset,
    () => batch.logCount,
    () => batch.messageCount,
    () => [...batch],
    () => [...batch.groups],
    () => batch.groups,
    () => batch[Symbol.iterator](),
    () => batch.toObjects(),
    () => batch.toJSON(),
    () => group.toJSON(),
    () => log.toJSON(),
    () => iterator.next(),
    () => groups.next(),
    () => [...group],
    () => group.source,
    () => group.filename,
    () => group.hostname,
    () => group.contextFlow,
    () => group.tags,
    () => group.logCount,
    () => log.get('status'),
    () => log.has('status'),
    () => log.equals('status', '500'),
    () => log.startsWith('status', '5'),
    () => log.keys(),
    () => log.entries(),
    () => log.toObject(),
    () => log.time,
    () => log.timeRaw,
    () => log.timeMs,
    () => log.group
  ]
  for (const use of uses) {
    const place = { topicId: 'topic', partition: 2, offset: 10n }
    assert.throws(use, { code: 'BATCH_CLOSED', place }, use.toString())
  }
  assert.equal(object.status, '500')
  assert.deepEqual(objects, [object])
  assert.equal(tags.env, 'prod')
})

test('a loop that awaits while its batch closes ends with BATCH_CLOSED, not with half the logs', () => {
  const { batch, close } = open([groupOf([{ a: '1' }, { a: '2' }])])
  let seenCount = 0
  assert.throws(
    () => {
      for (const _ of batch) {
        seenCount++
        close()
      }
    },
    { code: 'BATCH_CLOSED' }
  )
  assert.equal(seenCount, 1)
})
