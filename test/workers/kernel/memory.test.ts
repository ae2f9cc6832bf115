import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClsConsumerError } from '../../../src/errors.ts'
import { align, END_MASK, KernelMemory } from '../../../workers/kernel/memory.ts'

const PAGE_BYTES = 2 ** 16

test('an instance costs one page, and grows by whole pages, no further than it must', () => {
  const memory = new KernelMemory()
  assert.equal(memory.byteCount, PAGE_BYTES)
  memory.reserve(PAGE_BYTES)
  assert.equal(memory.byteCount, PAGE_BYTES)
  memory.reserve(PAGE_BYTES + 1)
  assert.equal(memory.byteCount, 2 * PAGE_BYTES)
  memory.reserve(10)
  assert.equal(memory.byteCount, 2 * PAGE_BYTES)
})

test('what was written stays where it is when the memory grows, in all three views', () => {
  const memory = new KernelMemory()
  const at = align(memory.start)
  memory.times[at / 8] = 0x0102_0304_0506_0708n
  const { bytes, words, times } = memory
  memory.reserve(3 * PAGE_BYTES)
  // The old ones are detached: who keeps one over `reserve` finds nothing in it.
  assert.deepEqual([bytes.length, words.length, times.length], [0, 0, 0])
  assert.equal(memory.times[at / 8], 0x0102_0304_0506_0708n)
  assert.deepEqual([memory.words[at / 4], memory.words[at / 4 + 1]], [0x0506_0708, 0x0102_0304])
  assert.equal(memory.bytes.readBigUInt64LE(at), 0x0102_0304_0506_0708n)
  assert.deepEqual(
    [memory.bytes.length, memory.words.length * 4, memory.times.length * 8],
    [3 * PAGE_BYTES, 3 * PAGE_BYTES, 3 * PAGE_BYTES]
  )
})

test('a memory that need not grow keeps its views attached', () => {
  const memory = new KernelMemory()
  memory.reserve(3 * PAGE_BYTES)
  const { bytes, words, times } = memory
  memory.reserve(3 * PAGE_BYTES)
  assert.ok(bytes === memory.bytes && words === memory.words && times === memory.times)
  assert.equal(bytes.length, 3 * PAGE_BYTES)
})

test('no instance sees the bytes of another', () => {
  const [one, other] = [new KernelMemory(), new KernelMemory()]
  one.bytes.fill(0xa5, one.start)
  one.reserve(2 * PAGE_BYTES)
  one.bytes.fill(0xa5, one.start)
  other.reserve(2 * PAGE_BYTES)
  assert.ok(other.bytes.subarray(other.start).every(byte => byte === 0))
})

test('the first address is free of the kernel, and has an alignment that suits every table', () => {
  const { start, kernel } = new KernelMemory()
  assert.ok(start >= kernel.FREE.value && start >= kernel.REPORT.value + 32 && start % 16 === 0)
  assert.deepEqual([align(0), align(1), align(16), align(17), align(2 ** 31 - 17)], [0, 16, 16, 32, 2 ** 31 - 16])
})

for (const end of [2 ** 31, 2 ** 31 - PAGE_BYTES + 1, 2 ** 32, 2 ** 53]) {
  test(`address ${end} is none of the kernel's: BODY_TOO_LARGE with both numbers, and nothing has changed`, () => {
    const memory = new KernelMemory()
    const { bytes } = memory
    memory.reserve(1000)
    assert.throws(() => memory.reserve(end), {
      code: 'BODY_TOO_LARGE',
      message: `a response takes ${end} bytes to decode, and the kernel has ${2 ** 31 - PAGE_BYTES} at most`
    })
    assert.ok(memory.bytes === bytes && bytes.length === PAGE_BYTES, 'it grew')
    assert.equal(memory.neededBytes, 1000)
  })
}

test('the last address has no bit in common with the flag of an end', () => {
  assert.ok(2 ** 31 - PAGE_BYTES <= END_MASK)
})

test('the limit is that of the compiled kernel: it would not give a page more', () => {
  const { kernel } = new KernelMemory()
  assert.throws(() => kernel.memory.grow((2 ** 31 - PAGE_BYTES) / PAGE_BYTES), RangeError)
})

test('a host that has no more memory is BODY_TOO_LARGE with both numbers, and what there was goes on', () => {
  const memory = new KernelMemory()
  memory.bytes.write('kept', memory.start)
  const cause = new RangeError('no')
  Object.defineProperty(memory.kernel.memory, 'grow', {
    value() {
      throw cause
    }
  })
  assert.throws(
    () => memory.reserve(5 * PAGE_BYTES),
    (error: unknown) => {
      assert.ok(error instanceof ClsConsumerError)
      assert.equal(error.code, 'BODY_TOO_LARGE')
      assert.equal(
        error.message,
        'a response takes 327680 bytes to decode, and the host has no more than the 65536 there are'
      )
      assert.equal(error.cause, cause)
      return true
    }
  )
  assert.equal(memory.bytes.toString('latin1', memory.start, memory.start + 4), 'kept')
  assert.equal(memory.neededBytes, 0)
})

test('a host that has no room for an instance is BODY_TOO_LARGE too', () => {
  const api: object = Reflect.get(globalThis, 'WebAssembly')
  const Instance: unknown = Reflect.get(api, 'Instance')
  function Failing(): void {
    throw new RangeError('no')
  }
  Reflect.set(api, 'Instance', Failing)
  try {
    assert.throws(() => new KernelMemory(), { code: 'BODY_TOO_LARGE', message: /no room/ })
  } finally {
    Reflect.set(api, 'Instance', Instance)
  }
})

test('what a response needed is told apart from what there is, and forgotten with the next one', () => {
  const memory = new KernelMemory()
  assert.equal(memory.neededBytes, 0)
  memory.reserve(5 * PAGE_BYTES)
  memory.reserve(100)
  assert.equal(memory.neededBytes, 5 * PAGE_BYTES)
  memory.begin()
  assert.equal(memory.neededBytes, 0)
  memory.reserve(100)
  assert.deepEqual([memory.neededBytes, memory.byteCount], [100, 5 * PAGE_BYTES])
})
