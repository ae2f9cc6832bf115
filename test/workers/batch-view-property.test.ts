/** Views against plain strings: whatever bytes a group holds, and in whatever order it is asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WINDOW_BYTES } from '../../workers/batch-texts.ts'
import { type Log, openBatch } from '../../workers/batch-view.ts'
import { indexPayloads } from './bodies.ts'
import { type ByteGroup, type BytePair, encodeByteGroup } from './byte-groups.ts'
import { ROUNDS } from './kernel/setup.ts'

const HEAD = { topicId: 'topic', partition: 2, startOffset: 10n, nextOffset: 13n, messageCount: 2 }

/** What the views' strings are by contract. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

const texts = fc
  .oneof(
    { arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 30 }), weight: 3 },
    { arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }), weight: 2 },
    {
      arbitrary: fc.constantFrom(
        '',
        '运动鞋',
        '/搜索?q=茶',
        '😀',
        'a\0b',
        '\ufeffbom',
        '\ufffd',
        'x\ufffdy',
        '500',
        'é'
      ),
      weight: 3
    }
  )
  .map(text => Buffer.from(text))
/** Cut within a character, over-long, half a surrogate pair, bytes that are never UTF-8. */
const invalid = fc.oneof(
  fc.constantFrom('e4b8', 'c328', 'c0af', 'eda080', 'f09f98', 'ff', '61ff62', 'efbfbd', 'f4908080').map(fromHex),
  fc.uint8Array({ maxLength: 12 })
)
const long = fc
  .tuple(fc.constantFrom('a', '茶'), fc.integer({ min: WINDOW_BYTES / 4, max: WINDOW_BYTES + 100 }))
  .map(([text, count]) => Buffer.from(text.repeat(count)))
const value = fc.oneof(
  { arbitrary: texts, weight: 40 },
  { arbitrary: invalid, weight: 8 },
  { arbitrary: long, weight: 1 }
)
const key = fc.oneof(
  {
    arbitrary: fc
      .constantFrom('status', 'path', '__proto__', 'constructor', '0', '10', '', '键', '\ufffd', '\ufeffkey', 'a\0b')
      .map(text => Buffer.from(text)),
    weight: 6
  },
  { arbitrary: texts, weight: 1 },
  { arbitrary: invalid, weight: 1 }
)
const pairs = fc.array(fc.record({ key, value }), { maxLength: 6 })
const keyLists = fc.array(fc.array(key, { maxLength: 6 }), { minLength: 1, maxLength: 3 })

/** Logs of few shapes, as a program writes them, and of many. */
const group = keyLists.chain(lists =>
  fc.record<ByteGroup>({
    logs: fc.array(
      fc.record({
        time: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        contents: fc.oneof(
          { arbitrary: fc.constantFrom(...lists).chain(contentsOf), weight: 5 },
          { arbitrary: pairs, weight: 1 }
        )
      }),
      { maxLength: 8 }
    ),
    tags: pairs,
    source: fc.option(value, { nil: undefined })
  })
)

function contentsOf(keys: readonly Uint8Array[]): fc.Arbitrary<BytePair[]> {
  return fc
    .array(value, { minLength: keys.length, maxLength: keys.length })
    .map(values => keys.map((each, index) => ({ key: each, value: values[index] ?? Buffer.alloc(0) })))
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}

function open(groups: readonly ByteGroup[]) {
  return openBatch(HEAD, indexPayloads(groups.map(encodeByteGroup)))
}

function stringsOf(pairs: readonly BytePair[]): [key: string, value: string][] {
  return pairs.map(pair => [decoder.decode(pair.key), decoder.decode(pair.value)])
}

/** Member by member, as plain code without a kernel would. */
function objectOf(entries: readonly [key: string, value: string][]): Record<string, string> {
  const firsts = new Map<string, string>()
  for (const [key, value] of entries) if (!firsts.has(key)) firsts.set(key, value)
  return Object.fromEntries(firsts)
}

/** Equal, with members in the same order, and none that is not its own. */
function assertObject(object: object, wanted: object): void {
  assert.deepEqual(Object.entries(object), Object.entries(wanted))
  assert.equal(Object.getPrototypeOf(object), Object.prototype)
}

/** What a text may be mistaken for. */
function neighbours(text: string): string[] {
  const half = Math.ceil(text.length / 2)
  return [
    text,
    text.slice(0, half),
    text.slice(0, -1),
    `${text}x`,
    `${text}\ufffd`,
    `${text.slice(0, -1)}\ufffd`,
    `${text.slice(0, -1)}\ud83d`,
    `\ufeff${text}`,
    text.replace(/^\ufeff/, ''),
    text.toUpperCase(),
    ''
  ]
}

function assertKey(log: Log, key: string, entries: readonly [key: string, value: string][]): void {
  const wanted = entries.find(([each]) => each === key)?.[1]
  assert.equal(log.get(key), wanted)
  assert.equal(log.has(key), wanted !== undefined)
  for (const text of neighbours(wanted ?? 'absent')) {
    assert.equal(log.equals(key, text), wanted === text, `${key} equals ${text}`)
    assert.equal(log.startsWith(key, text), wanted?.startsWith(text) ?? false, `${key} starts with ${text}`)
  }
}

test('a view answers as plain strings and objects do, in whatever order it is asked', () => {
  fc.assert(
    fc.property(fc.array(group, { maxLength: 3 }), fc.array(fc.nat(), { maxLength: 40 }), (groups, asked) => {
      const { batch } = open(groups)
      const logs = [...batch]
      const wanted = groups.flatMap(each => each.logs)
      assert.equal(logs.length, wanted.length)
      for (const pick of logs.length === 0 ? [] : asked) {
        const at = pick % logs.length
        const log = logs[at]
        assert.ok(log !== undefined)
        const entries = stringsOf(wanted[at]?.contents ?? [])
        const keys = [...new Set(entries.map(([key]) => key))]
        switch (pick % 7) {
          case 0:
            assert.deepEqual(log.entries(), entries)
            break
          case 1:
            assert.deepEqual(log.keys(), keys)
            break
          case 2:
            assertObject(log.toObject(), objectOf(entries))
            break
          case 3:
            assert.equal(log.timeRaw, wanted[at]?.time)
            assert.equal(log.time, Number(wanted[at]?.time))
            break
          default:
            for (const key of [...keys, 'absent', 'toString', '\ufffd', '\ud83d']) assertKey(log, key, entries)
        }
      }
    }),
    { numRuns: ROUNDS }
  )
})

test('all objects of a batch, its groups, their tags and texts are those of the strings', () => {
  fc.assert(
    fc.property(fc.array(group, { maxLength: 4 }), groups => {
      const { batch } = open(groups)
      const objects = groups.flatMap(each => each.logs.map(log => objectOf(stringsOf(log.contents))))
      assert.equal(batch.logCount, objects.length)
      const made = batch.toObjects()
      assert.equal(made.length, objects.length)
      for (const [index, object] of made.entries()) assertObject(object, objects[index] ?? {})
      const views = [...batch.groups]
      for (const [index, { logs, tags, source }] of groups.entries()) {
        const view = views[index]
        assert.ok(view !== undefined)
        assertObject(view.tags, objectOf(stringsOf(tags)))
        assert.equal(view.source, source === undefined ? undefined : decoder.decode(source))
        assert.equal(view.logCount, logs.length)
        const inGroup = [...view]
        assert.ok(inGroup.every(log => log.group === view))
        assert.deepEqual(
          inGroup.map(log => log.timeRaw),
          logs.map(log => log.time)
        )
      }
    }),
    { numRuns: ROUNDS }
  )
})

test('a text of any two bytes, and of any character, is that of a TextDecoder', () => {
  const values: Buffer[] = []
  for (let two = 0; two < 2 ** 16; two++) values.push(Buffer.from([two >> 8, two & 255]))
  for (let code = 0; code <= 0x10ffff; code += 61) values.push(Buffer.from(`a${String.fromCodePoint(code)}b`))
  const contents = values.map(each => ({ key: Buffer.from('k'), value: each }))
  const { batch } = open([
    { logs: contents.map(pair => ({ time: 1n, contents: [pair] })), tags: [], source: undefined }
  ])
  let index = 0
  for (const log of batch) {
    const text = decoder.decode(values[index++])
    assert.equal(log.get('k'), text)
    assert.ok(log.equals('k', text) && log.startsWith('k', text))
  }
})
