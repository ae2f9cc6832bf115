import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  GROUP,
  GROUP_WORDS,
  indexLogGroup,
  LOG,
  LOG_WORDS,
  PAIR_WORDS
} from '../../../workers/kernel/log-group-index.ts'
import { align, KernelMemory } from '../../../workers/kernel/memory.ts'
import { indexPayloads } from '../bodies.ts'
import { encodeByteGroup } from '../byte-groups.ts'
import { ROUNDS } from './setup.ts'

const SHAPES_MAX = 64

/** The keys of logs, as bytes. */
type Keys = readonly Uint8Array[]

/** Values differ from log to log, so that equal keys have different neighbours. */
function payloadOf(logs: readonly Keys[]): Buffer {
  return encodeByteGroup({
    logs: logs.map((keys, log) => ({
      time: BigInt(log),
      contents: keys.map((key, at) => ({ key, value: Buffer.alloc((log * 7 + at) % 5, 97 + (log % 26)) }))
    })),
    tags: [],
    source: undefined
  })
}

/** The word for the shape of each log, group after group; matched one after the other, as a batch does. */
function match(groups: readonly (readonly Keys[])[]): { readonly shapes: number[]; readonly count: number } {
  const { memory, firstGroup, groupCount } = indexPayloads(groups.map(payloadOf))
  const shapes: number[] = []
  let count = 0
  let group = firstGroup
  for (let left = groupCount; left > 0; left--) {
    count = memory.kernel.matchShapes(group, count)
    shapes.push(...shapesIn(memory, group))
    group = memory.words[group / 4 + GROUP.end] ?? 0
  }
  return { shapes, count }
}

function shapesIn({ words }: KernelMemory, group: number): number[] {
  let log = group / 4 + GROUP_WORDS
  return Array.from({ length: words[group / 4] ?? 0 }, () => {
    const shape = words[log + LOG.shape] ?? 0
    log += LOG_WORDS + (words[log] ?? 0) * PAIR_WORDS
    return shape
  })
}

/** What is to come out: numbers in the order in which key sequences are first met. */
function expected(groups: readonly (readonly Keys[])[]): number[] {
  const numbers = new Map<string, number>()
  return groups.flat().map(keys => {
    const name = JSON.stringify(keys.map(key => Buffer.from(key).toString('hex')))
    if (!numbers.has(name) && numbers.size < SHAPES_MAX) numbers.set(name, numbers.size + 1)
    return numbers.get(name) ?? -1
  })
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text)
}

const key = fc.oneof(
  fc.constantFrom('status', 'path', 'stat\u00fcs', 'a key of seventeen', 'a key of seventeem', '').map(bytesOf),
  fc.uint8Array({ maxLength: 40 })
)
const keys = fc.array(key, { maxLength: 6 })
/** Logs that mostly have the keys of others. */
const groups = fc
  .tuple(
    fc.array(keys, { minLength: 1, maxLength: 4 }),
    fc.array(fc.array(fc.nat(3), { maxLength: 12 }), { maxLength: 4 })
  )
  .map(([pool, picks]) => picks.map(group => group.map(pick => pool[pick % pool.length] ?? [])))

describe('the shapes of a group', () => {
  test('logs have one number exactly if their keys are the same bytes in the same order, over all groups of a batch', () => {
    fc.assert(
      fc.property(fc.oneof(groups, fc.array(fc.array(keys, { maxLength: 4 }), { maxLength: 3 })), each => {
        const { shapes, count } = match(each)
        assert.deepEqual(shapes, expected(each))
        assert.equal(count, Math.max(0, ...shapes))
      }),
      { numRuns: ROUNDS * 3 }
    )
  })

  test('keys of every length up to 50 that differ in one byte, wherever it is, are different shapes', () => {
    for (let length = 1; length <= 50; length++) {
      for (let at = 0; at < length; at++) {
        const one = Buffer.alloc(length, 0x61)
        const other = Buffer.from(one)
        other[at] = 0x62
        assert.deepEqual(match([[[one], [other], [one], [other]]]).shapes, [1, 2, 1, 2], `${length} bytes, at ${at}`)
      }
    }
  })

  test('a key is not the same as one that it begins with, nor two keys as the one they make', () => {
    const [a, ab, b, none] = ['a', 'ab', 'b', ''].map(bytesOf)
    assert.ok(a && ab && b && none)
    const logs = [[ab], [a], [a, b], [b, a], [a, b, b], [none, ab], [ab, none], [none], []]
    assert.deepEqual(match([logs]).shapes, [1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test(`after ${SHAPES_MAX} shapes a new one has the number -1, and the others are still known`, () => {
    const logs = Array.from({ length: 100 }, (_, at) => [bytesOf(`key ${at}`)])
    const { shapes, count } = match([logs, logs.toReversed()])
    assert.equal(count, SHAPES_MAX)
    assert.deepEqual(shapes, expected([logs, logs.toReversed()]))
    assert.equal(shapes.filter(shape => shape === -1).length, 2 * (100 - SHAPES_MAX))
  })

  test('a log of more than 1,000 keys has no shape', () => {
    const many = Array.from({ length: 1001 }, () => bytesOf('a'))
    const logs = [many, many.slice(1), many, many.slice(1), many.slice(2)]
    assert.deepEqual(match([logs]).shapes, [-1, 1, -1, 1, 2])
  })

  test('a batch that begins anew knows nothing of the one before in the same memory', () => {
    const { memory, firstGroup } = indexPayloads([payloadOf([[bytesOf('a')], [bytesOf('b')]])])
    assert.equal(memory.kernel.matchShapes(firstGroup, 0), 2)
    const start = memory.start
    const other = payloadOf([[bytesOf('b')], [bytesOf('c')], [bytesOf('a')]])
    memory.bytes.set(other, start)
    const table = align(start + other.length)
    assert.equal(typeof indexLogGroup(memory, { start, end: start + other.length }, table), 'number')
    assert.deepEqual(shapesIn(memory, table), [0, 0, 0])
    assert.equal(memory.kernel.matchShapes(table, 0), 3)
    assert.deepEqual(shapesIn(memory, table), [1, 2, 3])
  })

  test('a payload with no room behind it, which is not read past its end, has logs without shapes', () => {
    const memory = new KernelMemory()
    const payload = payloadOf([[bytesOf('a')], [bytesOf('a')]])
    for (const [room, shapes] of [
      [0, [-1, -1]],
      [15, [-1, -1]],
      [16, [1, 1]]
    ] as const) {
      const end = memory.byteCount - room
      memory.bytes.set(payload, end - payload.length)
      const table = align(memory.start)
      const blockEnd = memory.kernel.indexLogGroup(end - payload.length, end, table, end - payload.length)
      assert.notEqual(blockEnd, 0)
      memory.kernel.matchShapes(table, 0)
      assert.deepEqual(shapesIn(memory, table), shapes, `${room} bytes behind it`)
    }
  })

  test('every log knows the block of its group', () => {
    const { memory, firstGroup } = indexPayloads([payloadOf([]), payloadOf([[], [bytesOf('a')], []])])
    const second = memory.words[firstGroup / 4 + GROUP.end] ?? 0
    let log = second / 4 + GROUP_WORDS
    for (let left = 3; left > 0; left--) {
      assert.equal(memory.words[log + LOG.group], second)
      log += LOG_WORDS + (memory.words[log] ?? 0) * PAIR_WORDS
    }
  })
})
