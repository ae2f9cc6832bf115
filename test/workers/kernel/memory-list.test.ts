import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KernelMemory } from '../../../workers/kernel/memory.ts'
import { MemoryList } from '../../../workers/kernel/memory-list.ts'

const MIB = 1024 * 1024
const WHILE_MS = 30_000

/** A list with a clock that is turned by hand. */
function listOf(keptBytesMax = 1024 * MIB): { readonly list: MemoryList; readonly clock: { nowMs: number } } {
  const clock = { nowMs: 5 }
  return { list: new MemoryList(keptBytesMax, () => clock.nowMs), clock }
}

/** A batch that needs so many bytes opens and closes. */
function play(list: MemoryList, neededBytes: number): KernelMemory {
  const memory = list.take()
  memory.reserve(neededBytes)
  list.give(memory)
  return memory
}

describe('the free list of a thread', () => {
  test('open batches have a memory each; a closed one’s goes to the next, as large as it has become', () => {
    const { list } = listOf()
    const one = list.take()
    const other = list.take()
    assert.notEqual(one, other)
    one.reserve(3 * MIB)
    list.give(one)
    assert.equal(list.take(), one)
    assert.ok(one.byteCount >= 3 * MIB)
    assert.equal(list.byteCount, one.byteCount + other.byteCount)
  })

  test('the one used last is used next, so that the others fall idle and go', () => {
    const { list, clock } = listOf()
    const memories = [list.take(), list.take(), list.take()]
    for (const memory of memories) {
      memory.reserve(MIB)
      list.give(memory)
    }
    const used = memories[2]
    for (let turn = 0; turn < 4; turn++) {
      clock.nowMs += WHILE_MS / 3
      assert.equal(play(list, MIB), used)
    }
    list.sweep()
    assert.equal(list.byteCount, used?.byteCount)
  })

  test('a memory that no response has needed half of for a while is dropped, not before', () => {
    const { list, clock } = listOf()
    const large = play(list, 8 * MIB)
    clock.nowMs += WHILE_MS
    assert.equal(play(list, 3 * MIB), large, 'it is kept for large responses to come')
    list.sweep()
    assert.ok(list.byteCount >= 8 * MIB)
    clock.nowMs += 1
    assert.equal(play(list, 3 * MIB), large)
    assert.equal(list.byteCount, 0)
    assert.notEqual(play(list, 3 * MIB), large)
    assert.ok(list.byteCount < 4 * MIB)
  })

  test('one that is needed now and then stays', () => {
    const { list, clock } = listOf()
    const large = play(list, 8 * MIB)
    for (let turn = 0; turn < 5; turn++) {
      clock.nowMs += WHILE_MS - 1
      list.sweep()
      assert.equal(play(list, 5 * MIB), large)
    }
  })

  test('idle memory is dropped by the sweep, open memory never', () => {
    const { list, clock } = listOf()
    const open = list.take()
    play(list, MIB)
    clock.nowMs += WHILE_MS + 1
    list.sweep()
    assert.equal(list.byteCount, open.byteCount)
    list.give(open)
    assert.equal(list.byteCount, 0)
  })

  test('I5: of closed batches’ memories one is always kept, and further ones as far as there is room', () => {
    const { list } = listOf(6 * MIB)
    const [one, small, large] = [list.take(), list.take(), list.take()]
    one.reserve(4 * MIB)
    small.reserve(MIB)
    large.reserve(4 * MIB)
    list.give(one)
    list.give(small)
    list.give(large)
    assert.equal(list.byteCount, one.byteCount + small.byteCount, 'the third was more than may be kept')
    assert.equal(list.take(), small)
    assert.equal(list.take(), one)
  })

  test('what open batches need leaves the room of the kept ones alone: they have their own share', () => {
    const { list } = listOf(6 * MIB)
    const open = list.take()
    open.reserve(20 * MIB)
    const [one, other] = [list.take(), list.take()]
    one.reserve(2 * MIB)
    other.reserve(2 * MIB)
    list.give(one)
    list.give(other)
    assert.equal(list.byteCount, open.byteCount + one.byteCount + other.byteCount)
  })

  test('with many threads and large responses no batch makes a memory of its own', () => {
    // A sixteenth of an eighth of 256 MiB is kept, and a response needs more than that.
    const { list } = listOf((256 * MIB) / 8 / 16)
    const first = play(list, 7 * MIB)
    for (let batch = 0; batch < 20; batch++) assert.equal(play(list, 7 * MIB), first)
  })

  // What a weak reference was made to, or asked for, stays until the turn ends.
  test('what there was no room for, or no use, is taken again while the engine has not collected it', () => {
    const { list, clock } = listOf(6 * MIB)
    const open = (): KernelMemory[] => Array.from({ length: 4 }, () => list.take())
    const close = (memories: readonly KernelMemory[]): void => {
      for (const memory of memories) {
        memory.reserve(4 * MIB)
        list.give(memory)
      }
    }
    const first = open()
    close(first)
    assert.equal(list.byteCount, first[0]?.byteCount, 'one is kept, and counts')
    const second = open()
    assert.deepEqual(new Set(second), new Set(first))
    close(second)
    clock.nowMs += WHILE_MS + 1
    list.sweep()
    assert.equal(list.byteCount, 0)
    assert.deepEqual(new Set(open()), new Set(first))
  })

  test('what was dropped and is too large once it is taken again is dropped for good', () => {
    const { list, clock } = listOf()
    const large = play(list, 8 * MIB)
    clock.nowMs += WHILE_MS + 1
    list.sweep()
    assert.equal(play(list, MIB), large)
    assert.notEqual(play(list, MIB), large)
  })

  test('a memory is given back once, and only what was taken', () => {
    const { list } = listOf()
    const memory = list.take()
    list.give(memory)
    assert.throws(() => list.give(memory), { code: 'INVARIANT_BROKEN' })
    assert.throws(() => list.give(listOf().list.take()), { code: 'INVARIANT_BROKEN' })
  })
})
